//! The page at `/`: what an operator wants to see first, as one document without script.
//!
//! It is made of the same records as every other output. What others wrote (names, certificates,
//! error replies) only ever goes through [`text`].

use std::fmt::{self, Write};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::html::text;
use crate::clock::Timestamp;
use crate::diagnosis::Finding;
use crate::history::TargetHistory;
use crate::observation::Connection;
use crate::observation::dns::View;
use crate::output::words;
use crate::record::{Record, Tool};
use crate::vantage::Vantage;

pub(super) const STYLE: &str = include_str!("status_page.css");

/// How often the page fetches itself anew, in seconds.
const REFRESH: u32 = 15;

/// What the page may do, as a `Content-Security-Policy`: be shown in this one style.
pub(crate) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The page.
pub(crate) fn page(vantage: &Vantage, targets: &[(String, TargetHistory)], now: Timestamp) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = document(&mut page, vantage, targets, now);
    page
}

fn document(out: &mut String, vantage: &Vantage, targets: &[(String, TargetHistory)], now: Timestamp) -> fmt::Result {
    let host = text(&vantage.hostname);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{REFRESH}\">\n\
         <title>redpath on {host}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>redpath on {host}</h1>\n<p>"
    )?;
    for (label, value) in &vantage.labels {
        write!(out, "{}: {}, ", text(label), text(value))?;
    }
    for (label, value) in [("pod", &vantage.pod), ("namespace", &vantage.namespace), ("node", &vantage.node)] {
        if let Some(value) = value {
            write!(out, "{label}: {}, ", text(value))?;
        }
    }
    writeln!(out, "as of {now}</p></header>\n<main>")?;
    if targets.is_empty() {
        writeln!(out, "<p>No target is configured.</p>")?;
    }
    for (name, history) in targets {
        target(out, name, history, now)?;
    }
    let version = Tool::this().version;
    writeln!(
        out,
        "</main>\n<footer>redpath {version}; the page is fetched anew every {REFRESH} s; \
         <a href=\"/metrics\">metrics</a>, <a href=\"/api/v1/records\">records</a>, <a href=\"/codes\">codes</a></footer>\n</body>\n</html>"
    )
}

fn target(out: &mut String, name: &str, history: &TargetHistory, now: Timestamp) -> fmt::Result {
    let Some(record) = &history.latest else {
        let name = text(name);
        return writeln!(out, "<section class=\"unknown\"><h2>{name}</h2><p>It has not been probed yet.</p></section>");
    };
    let status = record.verdict.status;
    writeln!(out, "<section class=\"{status}\"><h2>{}</h2>", text(name))?;
    write!(out, "<p><span class=\"verdict\">{status}</span>: {}", text(record.verdict.cause))?;
    if let Some(since) = history.since {
        write!(out, ", since {since}{}", ago(since, now))?;
    }
    writeln!(out, "</p>\n<p class=\"note\">last probe {}{}</p>", record.started_at, ago(record.started_at, now))?;
    if let Some(line) = words::precheck(record) {
        writeln!(out, "<p>{}</p>", text(line))?;
    }
    path(out, record)?;
    findings(out, &record.findings)?;
    phases(out, record)?;
    cluster(out, record)?;
    posture(out, record)?;
    views(out, &record.observation.resolution.views)?;
    if !history.changes.is_empty() {
        writeln!(out, "<h3>Last changes</h3>\n<ul>")?;
        for change in &history.changes {
            writeln!(out, "<li>{}: {}</li>", change.at, text(&change.summary))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</section>")
}

fn path(out: &mut String, record: &Record) -> fmt::Result {
    let target = &record.target;
    writeln!(out, "<h3>Path</h3>\n<ul>")?;
    let tls = if target.tls { "TLS" } else { "plain" };
    writeln!(
        out,
        "<li><code>{}:{}</code> {}, {tls}, expected: {}</li>",
        text(&target.host),
        target.port,
        text(target.service.title()),
        record.expectation.path
    )?;
    if let Some(view) = record.observation.resolution.in_use() {
        for link in &view.chain {
            let (kind, data) = (text(&link.record_type), text(&link.data));
            writeln!(out, "<li>{kind} <code>{data}</code> (TTL {} s)</li>", link.ttl)?;
        }
        if let (true, Some(name)) = (view.chain.is_empty(), view.canonical_name.as_deref()) {
            writeln!(out, "<li>canonical name <code>{}</code></li>", text(name))?;
        }
    }
    match &record.observation.connection {
        Some(connection) => connected(out, connection)?,
        None => writeln!(out, "<li>no address to connect to</li>")?,
    }
    writeln!(out, "</ul>")
}

fn connected(out: &mut String, connection: &Connection) -> fmt::Result {
    let given = if connection.address_given { ", given in place of what was resolved" } else { "" };
    write!(out, "<li>address in use <code>{}</code> {}{given}", connection.address, connection.class)?;
    if let Some(source) = connection.source {
        write!(out, ", from <code>{source}</code>")?;
    }
    writeln!(out, "</li>")?;
    let Some(tls) = &connection.tls else { return Ok(()) };
    if let Some(certificate) = &tls.certificate {
        let verified = if tls.verified { "verified" } else { "not verified" };
        write!(out, "<li>certificate {verified}: <code>{}</code>", text(&certificate.subject))?;
        write!(out, " by <code>{}</code>", text(&certificate.issuer))?;
        if let Some(end) = certificate.not_after {
            write!(out, ", until {end}")?;
        }
        writeln!(out, "</li>")?;
    }
    Ok(())
}

fn findings(out: &mut String, findings: &[Finding]) -> fmt::Result {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3>Findings</h3>")?;
    for finding in findings {
        let severity = finding.severity.as_str();
        let (code, summary) = (finding.code, text(&finding.summary));
        writeln!(out, "<p><b>{severity}</b> <a href=\"/codes/{code}\"><code>{code}</code></a>: {summary}</p>")?;
        if !finding.detail.is_empty() {
            writeln!(out, "<p class=\"detail note\">{}</p>", text(&finding.detail))?;
        }
        if !finding.hint.is_empty() {
            writeln!(out, "<p class=\"detail\">What to do: {}</p>", text(&finding.hint))?;
        }
        if !finding.commands.is_empty() {
            writeln!(out, "<pre>{}</pre>", text(finding.commands.join("\n")))?;
        }
    }
    Ok(())
}

fn phases(out: &mut String, record: &Record) -> fmt::Result {
    writeln!(out, "<h3>Phases</h3>\n<table><tr><th>phase</th><th>outcome</th><th>time</th><th></th></tr>")?;
    for phase in words::phases_told(&record.observation.phases) {
        let summary = record.observation.phases.get(phase);
        let (outcome, took) = (summary.outcome.as_str().replace('_', " "), summary.took.map(|took| took.to_string()));
        let (took, reason) = (took.unwrap_or_default(), text(summary.reason.unwrap_or_default()));
        writeln!(out, "<tr><td>{phase}</td><td>{outcome}</td><td>{took}</td><td>{reason}</td></tr>")?;
    }
    writeln!(out, "</table>")
}

fn cluster(out: &mut String, record: &Record) -> fmt::Result {
    let facts = record.observation.cluster.as_ref();
    let Some((facts, summary)) = facts.and_then(|facts| Some((facts, words::cluster(facts)?))) else { return Ok(()) };
    writeln!(out, "<h3>Cluster</h3>\n<p>{}</p>", text(summary))?;
    list(out, &words::cluster_nodes(facts))
}

fn posture(out: &mut String, record: &Record) -> fmt::Result {
    let lines = words::posture(record);
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3>Posture</h3>")?;
    list(out, &lines)
}

fn list(out: &mut String, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "<ul>")?;
    for line in lines {
        writeln!(out, "<li>{}</li>", text(line))?;
    }
    writeln!(out, "</ul>")
}

fn views(out: &mut String, views: &[View]) -> fmt::Result {
    if views.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3>Views</h3>\n<table><tr><th>view</th><th>outcome</th><th>addresses</th><th>time</th></tr>")?;
    for view in views {
        let (name, outcome) = (text(&view.view), view.outcome.as_str().replace('_', " "));
        let addresses: Vec<String> =
            view.addresses.iter().map(|address| format!("<code>{}</code> {}", address.ip, address.class)).collect();
        let (addresses, took) = (addresses.join("<br>"), view.took_seconds.map(|took| took.to_string()));
        let took = took.unwrap_or_default();
        writeln!(out, "<tr><td>{name}</td><td>{outcome}</td><td>{addresses}</td><td>{took}</td></tr>")?;
    }
    writeln!(out, "</table>")
}

/// ` (3m 20s ago)`, or nothing where the clock was set back in between.
fn ago(then: Timestamp, now: Timestamp) -> String {
    let Some(age) = then.until(now) else { return String::new() };
    format!(" ({} ago)", humantime::format_duration(std::time::Duration::from_secs(age.as_secs())))
}
