//! The path as a chain, from the name to the address in use, and the answers of the views.

use std::net::IpAddr;

use maud::{Markup, PreEscaped, html};

use crate::address::display_range;
use crate::azure;
use crate::observation::dns::{HostsEntry, View, ViewKind};
use crate::output::describe::{self, Agreement, AnswerMark};
use crate::record::Record;

/// The maximum number of links of a chain, and of addresses.
const MAX_LINKS: usize = 24;

/// The chain of the view in use, or of the view with the most complete chain, and the connection.
pub(super) fn chain(record: &Record) -> Markup {
    let resolution = &record.observation.resolution;
    let in_use = resolution.in_use();
    let view = describe::chain_view(resolution).or(in_use);
    let host = record.target.host.as_str();
    html! {
        section {
            h3 { "Path" }
            ol class="chain" {
                li {
                    code { (host) }
                    @if let Some(view) = view {
                        @if let Some(answered) = view.answered_name.as_deref().filter(|name| *name != host) {
                            " " span class="note" { "answered as" } " " code { (answered) }
                        }
                        @if matches!(describe::agreement(resolution, view), Agreement::Differs | Agreement::Unknown) {
                            " " span class="note" { "as " (describe::view_name(view)) " answers it" }
                        }
                    }
                }
                @if let Some(view) = view { (links(record, view)) }
                @if let Some(connected) = connected_address(record, view, in_use) { (connected) }
            }
            (connection(record))
        }
    }
}

/// The address of the connection, unless the chain shows it already.
fn connected_address(record: &Record, view: Option<&View>, in_use: Option<&View>) -> Option<Markup> {
    let connection = record.observation.connection.as_ref()?;
    let ip = connection.address.ip();
    if connection.address_given {
        return Some(address(record, ip, "--connect, in place of the resolved address"));
    }
    if view.is_some_and(|view| view.ips().any(|shown| shown == ip)) {
        return None;
    }
    let hosts = in_use.and_then(|view| hosts_line(view, ip));
    let by = hosts.or_else(|| in_use.map(|view| format!("from {}", describe::view_name(view))));
    Some(address(record, ip, &by.unwrap_or_default()))
}

fn hosts_line(view: &View, ip: IpAddr) -> Option<String> {
    let HostsEntry { file, line, .. } = view.hosts_file.iter().find(|entry| entry.ip == ip)?;
    Some(format!("{file} line {line}"))
}

fn links(record: &Record, view: &View) -> Markup {
    let is_in_chain = |ip: IpAddr| view.chain.iter().any(|link| link.data.parse() == Ok(ip));
    let canonical = view.canonical_name.as_deref().filter(|name| *name != record.target.host.as_str());
    html! {
        @for link in view.chain.iter().take(MAX_LINKS) {
            @let by = format!("{}, TTL {}", link.record_type, describe::ttl(link.ttl));
            @match link.data.parse() {
                Ok(ip) => (address(record, ip, &by)),
                Err(_) => (name(&by, &link.data)),
            }
        }
        @if view.chain.len() > MAX_LINKS { li class="note" { "and " (view.chain.len() - MAX_LINKS) " more" } }
        @if let Some(canonical) = canonical.filter(|_| view.chain.is_empty()) { (name("canonical name", canonical)) }
        @for found in view.addresses.iter().filter(|found| !is_in_chain(found.ip)).take(MAX_LINKS) {
            (address(record, found.ip, &hosts_line(view, found.ip).unwrap_or_default()))
        }
        @if view.addresses.is_empty() { li class="end miss" { b { "✗ " (describe::view_answer(view)) } } }
    }
}

fn name(by: &str, name: &str) -> Markup {
    let is_privatelink = azure::privatelink_zone(name).is_some();
    html! {
        li class=[is_privatelink.then_some("step")] {
            span class="by" { (by) } " " code { (name) }
            @if is_privatelink { " " span class="tag" { "privatelink step" } }
        }
    }
}

fn address(record: &Record, ip: IpAddr, by: &str) -> Markup {
    let (class, word) =
        if record.expectation.allows(ip) { ("met", "✓ expected") } else { ("miss", "✗ not expected") };
    let connected = record.observation.connection.as_ref().is_some_and(|connection| connection.address.ip() == ip);
    html! {
        li class={ "end " (class) } {
            span class="by" { (by) } " " code { (ip) } " " span class="tag" { (record.expectation.class(ip)) } " "
            b { (word) } @if connected { ", in use" }
        }
    }
}

/// The expectation and the connection.
fn connection(record: &Record) -> Markup {
    let expectation = &record.expectation;
    html! {
        ul class="plain" {
            li {
                "expected: " b { (expectation.path) }
                @for endpoint in &expectation.endpoints { " " code { (display_range(endpoint)) } }
            }
            @match &record.observation.connection {
                None => li { "no address to connect to" },
                Some(connection) => {
                    @for attempt in connection.earlier_attempts.iter().take(MAX_LINKS) {
                        li { "tried " code { (attempt.address.ip()) } ": " (attempt.failure) ", so the next was tried" }
                    }
                    li {
                        "to " code { (connection.address) }
                        @if let Some(source) = connection.source { " from " code { (source) } }
                    }
                    @for other in record.observation.other_connections.iter().take(MAX_LINKS) {
                        li { "also " code { (other.connection.address) } ": " (describe::phase_list(&other.phases)) }
                    }
                    @if let Some(facts) = &connection.tls {
                        @if let Some(tls) = describe::tls(facts, record.started_at) { li { (tls) } }
                        @if let Some(certificate) = &facts.certificate {
                            li {
                                "certificate of " code { (certificate.subject) } ", issued by "
                                code { (certificate.issuer) }
                            }
                        }
                    }
                },
            }
        }
    }
}

/// The answer of each view; those that differ are marked.
pub(super) fn views(record: &Record) -> Markup {
    let views = &record.observation.resolution.views;
    html! {
        @if !views.is_empty() {
            section {
                h3 { "Views" }
                table class="views" {
                    caption { "The answer of each resolver to the name" }
                    thead {
                        tr {
                            th scope="col" { "view" } th scope="col" { "answer" }
                            th scope="col" class="number" { "time" }
                        }
                    }
                    tbody { @for view in views { (view_row(record, view)) } }
                }
            }
        }
    }
}

fn view_row(record: &Record, view: &View) -> Markup {
    let mark = describe::answer_mark(record, view);
    let (class, note) = match describe::agreement(&record.observation.resolution, view) {
        Agreement::InUse => ("used", "◂ in use"),
        _ if mark == AnswerMark::PublicResolver => ("", "public resolver"),
        Agreement::Agrees => ("", "= agrees"),
        Agreement::Differs => ("odd", "≠ differs"),
        Agreement::Unknown => ("", ""),
    };
    let (colour, symbol) = match mark {
        AnswerMark::Right => ("pass", "✓ "),
        AnswerMark::Wrong => ("fail", "✗ "),
        AnswerMark::PublicResolver | AnswerMark::NoAddress => ("", ""),
    };
    let end = view.end_of_chain().filter(|_| matches!(view.kind, ViewKind::System | ViewKind::Resolver));
    html! {
        tr class=(class) {
            th scope="row" { (describe::view_name(view)) span class="mark" { (note) } }
            td {
                span class=(colour) { (symbol) (describe::view_answer(view)) }
                @if let Some(end) = end { span class="note" { "through " (breakable(end)) } }
            }
            td class="number" { @if let Some(took) = view.took_seconds { (took) } }
        }
    }
}

/// A long name that may break after its dots.
fn breakable(name: &str) -> Markup {
    PreEscaped(html! { (name) }.0.replace('.', ".<wbr>"))
}
