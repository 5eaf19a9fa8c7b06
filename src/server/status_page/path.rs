//! The path as a chain, from the name to the address in use, and the views side by side.

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::super::html::text;
use crate::azure;
use crate::observation::dns::{View, ViewKind};
use crate::output::describe::{self, Agreement};
use crate::output::text::range;
use crate::record::Record;

/// A hostile chain stays on the screen.
const MOST_LINKS: usize = 24;

/// The chain of the view in use, or of the one that shows best how the name leads there, and what
/// was connected to.
pub(super) fn chain(out: &mut String, record: &Record) -> fmt::Result {
    let resolution = &record.observation.resolution;
    let in_use = resolution.in_use();
    let view = describe::chain_view(resolution).or(in_use);
    out.push_str("<section><h3>Path</h3>\n<ol class=\"chain\">\n");
    let host = record.target.host.as_str();
    write!(out, "<li><code>{}</code>", text(host))?;
    if let Some(view) = view {
        if let Some(answered) = view.answered_name.as_deref().filter(|name| *name != host) {
            write!(out, " <span class=\"note\">answered as</span> <code>{}</code>", text(answered))?;
        }
        if matches!(describe::standing(resolution, view), Agreement::Differs | Agreement::Unknown) {
            write!(out, " <span class=\"note\">as {} sees it</span>", text(describe::view_name(view)))?;
        }
    }
    out.push_str("</li>\n");
    if let Some(view) = view {
        links(out, record, view)?;
    }
    if let Some(connection) = &record.observation.connection {
        let ip = connection.address.ip();
        let told = view.is_some_and(|view| view.ips().any(|told| told == ip));
        if connection.address_given {
            address(out, record, ip, "the address given, in place of what was resolved")?;
        } else if !told {
            let hosts = in_use.and_then(|view| view.hosts_file.iter().find(|entry| entry.ip == ip));
            let by = hosts.map(|entry| format!("{} line {}", entry.file, entry.line));
            let by = by.or_else(|| in_use.map(|view| format!("from {}", describe::view_name(view))));
            address(out, record, ip, &by.unwrap_or_default())?;
        }
    }
    out.push_str("</ol>\n");
    connection(out, record)?;
    out.push_str("</section>\n");
    Ok(())
}

fn links(out: &mut String, record: &Record, view: &View) -> fmt::Result {
    for link in view.chain.iter().take(MOST_LINKS) {
        let by = format!("{}, TTL {} s", link.record_type, link.ttl);
        match link.data.parse() {
            Ok(ip) => address(out, record, ip, &by)?,
            Err(_) => name(out, &by, &link.data)?,
        }
    }
    if view.chain.len() > MOST_LINKS {
        writeln!(out, "<li class=\"note\">and {} more</li>", view.chain.len() - MOST_LINKS)?;
    }
    let told = |ip: IpAddr| view.chain.iter().any(|link| link.data.parse() == Ok(ip));
    if let (true, Some(canonical)) = (view.chain.is_empty(), view.canonical_name.as_deref())
        && canonical != record.target.host.as_str()
    {
        name(out, "canonical name", canonical)?;
    }
    for found in view.addresses.iter().filter(|found| !told(found.ip)).take(MOST_LINKS) {
        let by = view.hosts_file.iter().find(|entry| entry.ip == found.ip);
        let by = by.map(|entry| format!("{} line {}", entry.file, entry.line)).unwrap_or_default();
        address(out, record, found.ip, &by)?;
    }
    if view.addresses.is_empty() {
        writeln!(out, "<li class=\"end miss\"><b>✗ {}</b></li>", text(describe::view_answer(view)))?;
    }
    Ok(())
}

fn name(out: &mut String, by: &str, name: &str) -> fmt::Result {
    let step = azure::privatelink_zone(name).is_some();
    let (class, tag) =
        if step { (" class=\"step\"", " <span class=\"tag\">privatelink step</span>") } else { ("", "") };
    writeln!(out, "<li{class}><span class=\"by\">{}</span> <code>{}</code>{tag}</li>", text(by), text(name))
}

fn address(out: &mut String, record: &Record, ip: IpAddr, by: &str) -> fmt::Result {
    let met = record.expectation.allows(ip);
    let (class, word) = if met { ("met", "✓ expected") } else { ("miss", "✗ not expected") };
    let connected = record.observation.connection.as_ref().is_some_and(|connection| connection.address.ip() == ip);
    writeln!(
        out,
        "<li class=\"end {class}\"><span class=\"by\">{}</span> <code>{ip}</code> <span class=\"tag\">{}</span> <b>{word}</b>{}</li>",
        text(by),
        record.expectation.class(ip),
        if connected { ", in use" } else { "" }
    )
}

/// What is expected, and the connection.
fn connection(out: &mut String, record: &Record) -> fmt::Result {
    let expectation = &record.expectation;
    out.push_str("<ul class=\"plain\">\n");
    write!(out, "<li>expected: <b>{}</b>", expectation.path)?;
    for endpoint in &expectation.endpoints {
        write!(out, " <code>{}</code>", range(endpoint))?;
    }
    out.push_str("</li>\n");
    let Some(connection) = &record.observation.connection else {
        out.push_str("<li>no address to connect to</li>\n</ul>\n");
        return Ok(());
    };
    for attempt in connection.earlier_attempts.iter().take(MOST_LINKS) {
        let ip = attempt.address.ip();
        writeln!(out, "<li>tried <code>{ip}</code>: {}, so the next was tried</li>", text(&attempt.failure))?;
    }
    write!(out, "<li>to <code>{}</code>", connection.address)?;
    if let Some(source) = connection.source {
        write!(out, " from <code>{source}</code>")?;
    }
    out.push_str("</li>\n");
    for other in record.observation.other_connections.iter().take(MOST_LINKS) {
        let (address, phases) = (other.connection.address, describe::phases_in_a_row(&other.phases));
        writeln!(out, "<li>also <code>{address}</code>: {}</li>", text(phases))?;
    }
    if let Some(facts) = &connection.tls {
        if let Some(tls) = describe::tls(facts, record.started_at) {
            writeln!(out, "<li>{}</li>", text(tls))?;
        }
        if let Some(certificate) = &facts.certificate {
            let (subject, issuer) = (text(&certificate.subject), text(&certificate.issuer));
            writeln!(out, "<li>certificate of <code>{subject}</code>, issued by <code>{issuer}</code></li>")?;
        }
    }
    out.push_str("</ul>\n");
    Ok(())
}

/// What each resolver answers, the one that differs marked.
pub(super) fn views(out: &mut String, record: &Record) -> fmt::Result {
    let resolution = &record.observation.resolution;
    if resolution.views.is_empty() {
        return Ok(());
    }
    out.push_str(
        "<section><h3>Views</h3>\n<table class=\"views\"><caption>The name as each resolver answers it</caption>\n\
         <thead><tr><th scope=\"col\">view</th><th scope=\"col\">answer</th><th scope=\"col\" class=\"number\">time</th></tr></thead>\n<tbody>\n",
    );
    for view in &resolution.views {
        let (class, mark) = match describe::standing(resolution, view) {
            Agreement::InUse => ("used", "◂ in use"),
            Agreement::Agrees => ("", "= agrees"),
            Agreement::Differs => ("odd", "≠ differs"),
            Agreement::Unknown => ("", ""),
        };
        let (name, answer) = (text(describe::view_name(view)), text(describe::view_answer(view)));
        let (hue, symbol) = match view.addresses.is_empty() {
            true => ("", ""),
            false if view.ips().all(|ip| record.expectation.allows(ip)) => ("pass", "✓ "),
            false => ("fail", "✗ "),
        };
        let took = view.took_seconds.map(|took| took.to_string()).unwrap_or_default();
        write!(
            out,
            "<tr class=\"{class}\"><th scope=\"row\">{name}<span class=\"mark\">{mark}</span></th><td><span class=\"{hue}\">{symbol}{answer}</span>"
        )?;
        if let (ViewKind::System | ViewKind::Resolver, Some(end)) = (view.kind, view.end_of_chain()) {
            // A long name breaks behind its dots.
            let end = text(end).to_string().replace('.', ".<wbr>");
            write!(out, "<span class=\"note\">through {end}</span>")?;
        }
        writeln!(out, "</td><td class=\"number\">{took}</td></tr>")?;
    }
    out.push_str("</tbody></table></section>\n");
    Ok(())
}
