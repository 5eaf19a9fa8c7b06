//! The path as a chain: from the name, record by record, to its addresses.

use super::style::{Paint, Style};
use crate::azure;
use crate::observation::dns::{ChainRecord, View};
use crate::output::describe::{self, Agreement};
use crate::record::Record;

/// A hostile chain stays on the screen.
const MAX_DEPTH: usize = 8;
const MAX_RECORDS: usize = 24;

/// The chain of the view in use, or of the one that shows best how the name leads there; what the
/// hosts file says instead comes first.
pub(crate) fn chain_lines(record: &Record, style: &Style) -> Vec<String> {
    let resolution = &record.observation.resolution;
    let in_use = resolution.in_use();
    match describe::chain_view(resolution) {
        None => in_use.map(|view| answer_lines(record, view, style)).unwrap_or_default(),
        Some(view) => {
            let overridden = in_use.filter(|view| !view.hosts_file.is_empty());
            let mut lines = overridden.map(|view| answer_lines(record, view, style)).unwrap_or_default();
            lines.extend(chain_of(record, view, style));
            lines
        }
    }
}

fn chain_of(record: &Record, view: &View, style: &Style) -> Vec<String> {
    let mut lines = vec![root(record, view, style)];
    let shown = &view.chain[..view.chain.len().min(MAX_RECORDS)];
    let mut rows: Vec<(String, Option<u32>, Option<Paint>)> = Vec::new();
    let mut depth = 0;
    for (at, link) in shown.iter().enumerate() {
        let is_last = shown[at + 1..].iter().all(is_alias) || is_alias(link);
        rows.push((
            format!("{}{}", branch(depth, is_last, style), words_of(link, record, style)),
            Some(link.ttl),
            paint(link, record),
        ));
        if is_alias(link) {
            depth += 1;
        }
    }
    if view.chain.len() > MAX_RECORDS {
        rows.push((format!("{}and {} more", branch(depth, true, style), view.chain.len() - MAX_RECORDS), None, None));
    } else if view.addresses.is_empty() {
        let answer = style.clean(&describe::view_answer(view));
        rows.push((format!("{}{answer}", branch(depth, true, style)), None, None));
    }
    // One long name must not push the numbers of all the others off the screen.
    let most = style.width.saturating_sub(20);
    let width = rows.iter().map(|(text, _, _)| text.chars().count()).filter(|&width| width <= most).max().unwrap_or(0);
    let ttl_width = rows.iter().filter_map(|(_, ttl, _)| Some(describe::ttl((*ttl)?).len())).max().unwrap_or(0);
    lines.extend(rows.into_iter().map(|(text, ttl, paint)| {
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        let text = paint.map(|paint| style.paint(paint, &text)).unwrap_or(text);
        match ttl {
            Some(ttl) => {
                format!("{text}{padding}{}", style.paint(Paint::Dim, &format!("  {:>ttl_width$}", describe::ttl(ttl))))
            }
            None => text,
        }
    }));
    lines
}

/// The name, and where the chain was seen if that is not what is in use.
fn root(record: &Record, view: &View, style: &Style) -> String {
    let mut line = style.clean(record.target.host.as_str());
    if let Some(answered) = view.answered_name.as_deref().filter(|name| *name != record.target.host.as_str()) {
        line.push_str(&format!(", answered as {}", style.clean(answered)));
    }
    match describe::agreement(&record.observation.resolution, view) {
        Agreement::InUse | Agreement::Agrees => {}
        Agreement::Differs | Agreement::Unknown => {
            let seen = format!("  (as {} sees it)", style.clean(&describe::view_name(view)));
            line.push_str(&style.paint(Paint::Dim, &seen));
        }
    }
    line
}

/// The answer of a view that shows no chain: the C library tells the canonical name and the
/// addresses alone.
fn answer_lines(record: &Record, view: &View, style: &Style) -> Vec<String> {
    let mut lines = vec![root(record, view, style)];
    let mut depth = 0;
    if let Some(name) = view.canonical_name.as_deref().filter(|name| *name != record.target.host.as_str()) {
        lines.push(format!("{}canonical name {}", branch(0, true, style), style.clean(name)));
        depth = 1;
    }
    if view.addresses.is_empty() {
        lines.push(format!("{}{}", branch(depth, true, style), style.clean(&describe::view_answer(view))));
    }
    let shown = &view.addresses[..view.addresses.len().min(MAX_RECORDS)];
    for (at, address) in shown.iter().enumerate() {
        let by = view.hosts_file.iter().find(|entry| entry.ip == address.ip);
        let by = by.map(|entry| style.clean(&format!(", {} line {}", entry.file, entry.line))).unwrap_or_default();
        let branch = branch(depth, at + 1 == shown.len(), style);
        lines.push(format!("{branch}{}{by}", style.address(record, address.ip)));
    }
    lines
}

fn words_of(link: &ChainRecord, record: &Record, style: &Style) -> String {
    let class = link.data.parse().map(|ip| format!("  {}", record.expectation.class(ip))).unwrap_or_default();
    style.clean(&format!("{} {}{class}", link.record_type, link.data))
}

fn is_alias(link: &ChainRecord) -> bool {
    link.record_type == "CNAME"
}

/// The name in the private zone stands out, and an address shows whether it is expected.
fn paint(link: &ChainRecord, record: &Record) -> Option<Paint> {
    match link.data.parse() {
        Ok(ip) if record.expectation.allows(ip) => Some(Paint::Good),
        Ok(_) => Some(Paint::Bad),
        Err(_) => azure::privatelink_zone(&link.data).map(|_| Paint::Strong),
    }
}

fn branch(depth: usize, is_last: bool, style: &Style) -> String {
    let corner = match (style.unicode, is_last) {
        (true, true) => "└─ ",
        (true, false) => "├─ ",
        (false, true) => "`- ",
        (false, false) => "|- ",
    };
    format!("{:indent$}{corner}", "", indent = 3 * depth.min(MAX_DEPTH))
}
