//! The page at `/`: what an operator wants to see first, as one document without script.
//!
//! It is made of the same records as every other output. What others wrote (names, certificates,
//! error replies) only ever goes through [`text`].

mod path;
mod target;
mod time;

use std::cmp::Reverse;
use std::fmt::{self, Write};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::AgentState;
use super::html::text;
use crate::clock::Timestamp;
use crate::diagnosis::Status;
use crate::history::TargetHistory;
use crate::record::Tool;
use crate::vantage::Vantage;
use time::{age, ago, moment};

pub(super) const STYLE: &str = include_str!("status_page.css");

/// How often the page fetches itself anew, in seconds.
const REFRESH: u32 = 15;

/// The most targets in full on the page of all: beyond it they are a row each, with a page of their
/// own, so that the page of hundreds stays one that a phone can show.
const MOST_IN_FULL: usize = 6;

/// As few targets as this are shown in full whatever their verdict.
const FEW: usize = 3;

/// What the page may do, as a `Content-Security-Policy`: be shown in this one style.
pub(crate) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// What is shown.
pub(crate) struct Shown<'a> {
    /// Where the agent looks from.
    pub(crate) vantage: &'a Vantage,
    /// What it says of itself.
    pub(crate) state: &'a AgentState,
    /// Every target.
    pub(crate) targets: Vec<(String, TargetHistory)>,
    /// The one that is asked for, in full; all where it is none.
    pub(crate) only: Option<String>,
    /// Whether the page fetches itself anew.
    pub(crate) refreshes: bool,
    /// The moment that ages are counted to.
    pub(crate) now: Timestamp,
}

/// The page; `None` where the one target that is asked for is not there.
pub(crate) fn page(mut shown: Shown<'_>) -> Option<String> {
    if let Some(only) = &shown.only
        && !shown.targets.iter().any(|(name, _)| name == only)
    {
        return None;
    }
    // Stable: the targets of one rank stay in the order of their names.
    shown.targets.sort_by_key(|(_, history)| Reverse(rank(history)));
    let mut page = String::with_capacity(16 * 1024);
    // Writing to a String cannot fail.
    let _ = shown.document(&mut page);
    Some(page)
}

/// The verdict, `None` before the first probe.
fn status(history: &TargetHistory) -> Option<Status> {
    history.latest.as_ref().map(|record| record.verdict.status)
}

/// How much a target wants to be looked at.
fn rank(history: &TargetHistory) -> u8 {
    match status(history) {
        Some(Status::Fail) => 4,
        Some(Status::Unknown) => 3,
        Some(Status::Warn) => 2,
        None => 1,
        Some(Status::Pass) => 0,
    }
}

/// A verdict as class, symbol and word; colour only ever adds to them.
fn look(status: Option<Status>) -> (&'static str, &'static str, &'static str) {
    match status {
        Some(Status::Pass) => ("pass", "✓", "pass"),
        Some(Status::Warn) => ("warn", "!", "warn"),
        Some(Status::Fail) => ("fail", "✗", "fail"),
        Some(Status::Unknown) => ("unknown", "?", "unknown"),
        None => ("unknown", "…", "not probed yet"),
    }
}

/// The address of a page of ours.
fn href(target: Option<&str>, refreshes: bool) -> String {
    let name = |name: &str| url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>();
    match (target, refreshes) {
        (None, true) => "/".to_owned(),
        (None, false) => "/?refresh=off".to_owned(),
        (Some(target), true) => format!("/?target={}", name(target)),
        (Some(target), false) => format!("/?target={}&amp;refresh=off", name(target)),
    }
}

impl Shown<'_> {
    fn document(&self, out: &mut String) -> fmt::Result {
        let host = text(&self.vantage.hostname);
        let counts = self.counts();
        out.push_str(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n",
        );
        if self.refreshes {
            writeln!(out, "<meta http-equiv=\"refresh\" content=\"{REFRESH}\">")?;
        }
        let worst = counts.first().map(|(status, count)| (look(*status), count));
        let title = worst.map(|((_, symbol, word), count)| format!("{symbol} {count} {word} – ")).unwrap_or_default();
        write!(
            out,
            "<title>{title}redpath on {host}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header class=\"top\">\n<h1>redpath on <b>{host}</b></h1>\n"
        )?;
        self.place(out)?;
        self.overview(out, &counts)?;
        out.push_str("</header>\n<main>\n");
        self.targets(out)?;
        out.push_str("</main>\n<footer>\n");
        self.agent(out)?;
        out.push_str(
            "<nav aria-label=\"More\"><a href=\"/codes\">codes of findings</a> <a href=\"/api/v1/records\">records as JSON</a> \
             <a href=\"/metrics\">metrics</a></nav>\n</footer>\n</body>\n</html>\n",
        );
        Ok(())
    }

    /// How many targets there are of each verdict, the worst first.
    fn counts(&self) -> Vec<(Option<Status>, usize)> {
        let mut counts: Vec<(Option<Status>, usize)> = Vec::new();
        for (_, history) in &self.targets {
            match counts.last_mut() {
                Some((last, count)) if *last == status(history) => *count += 1,
                Some(_) | None => counts.push((status(history), 1)),
            }
        }
        counts
    }

    fn place(&self, out: &mut String) -> fmt::Result {
        let vantage = self.vantage;
        let labels = vantage.labels.iter().map(|(label, value)| (label.as_str(), value));
        let own = [
            ("subnet", vantage.subnet.as_ref().filter(|_| !vantage.labels.contains_key("subnet"))),
            ("pod", vantage.pod.as_ref()),
            ("namespace", vantage.namespace.as_ref()),
            ("node", vantage.node.as_ref()),
        ];
        let mut facts = labels.chain(own.into_iter().filter_map(|(label, value)| Some((label, value?)))).peekable();
        if facts.peek().is_none() {
            return Ok(());
        }
        out.push_str("<ul class=\"facts\" aria-label=\"Vantage\">");
        for (label, value) in facts {
            write!(out, "<li>{} <b>{}</b></li>", text(label), text(value))?;
        }
        out.push_str("</ul>\n");
        Ok(())
    }

    fn overview(&self, out: &mut String, counts: &[(Option<Status>, usize)]) -> fmt::Result {
        let total = self.targets.len();
        if total > 0 {
            out.push_str("<ul class=\"counts\" aria-label=\"Verdicts\">");
            for (status, count) in counts {
                let (class, symbol, word) = look(*status);
                write!(
                    out,
                    "<li class=\"{class}\"><span aria-hidden=\"true\">{symbol}</span> <b>{count}</b> {word}</li>"
                )?;
            }
            writeln!(out, "<li class=\"all\">of {total} target{}</li></ul>", if total == 1 { "" } else { "s" })?;
        }
        if let Some((at, error)) = &self.state.reload_error {
            writeln!(
                out,
                "<p class=\"notice fail\"><b>✗ The configuration was not reloaded</b> at {}{}; the old one stays: {}</p>",
                moment(*at),
                ago(*at, self.now),
                text(error)
            )?;
        }
        let only = self.only.as_deref();
        write!(out, "<p class=\"note\">As of {}; ", moment(self.now))?;
        let other = href(only, !self.refreshes);
        match self.refreshes {
            true => write!(out, "fetched anew every {REFRESH} s, <a href=\"{other}\">stop that</a>")?,
            false => write!(out, "<b>not fetched anew</b>, <a href=\"{other}\">do so every {REFRESH} s</a>")?,
        }
        if only.is_some() {
            write!(out, "; <a href=\"{}\">all targets</a>", href(None, self.refreshes))?;
        }
        out.push_str("</p>\n");
        Ok(())
    }

    fn targets(&self, out: &mut String) -> fmt::Result {
        if self.targets.is_empty() {
            out.push_str("<p>No target is configured.</p>\n");
        }
        if let Some(only) = &self.only {
            let one = self.targets.iter().find(|(name, _)| name == only);
            return one.map_or(Ok(()), |(name, history)| self.in_full(out, 0, name, history));
        }
        let few = self.targets.len() <= FEW;
        let wants = |history: &TargetHistory| few || !matches!(status(history), None | Some(Status::Pass));
        let full = self.targets.iter().take(MOST_IN_FULL).take_while(|(_, history)| wants(history)).count();
        let (in_full, rows) = self.targets.split_at(full);
        for (at, (name, history)) in in_full.iter().enumerate() {
            self.in_full(out, at, name, history)?;
        }
        self.rows(out, full, rows)
    }

    fn rows(&self, out: &mut String, above: usize, rows: &[(String, TargetHistory)]) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "<section class=\"card\"><h2>{} targets</h2>\n<div class=\"wide\"><table class=\"rows\"><caption>Each name leads to its details.</caption>\n\
             <thead><tr><th scope=\"col\">target</th><th scope=\"col\">verdict</th><th scope=\"col\">address in use</th></tr></thead>\n<tbody>",
            if above > 0 { format!("{} more", rows.len()) } else { rows.len().to_string() }
        )?;
        for (name, history) in rows {
            let (class, symbol, word) = look(status(history));
            write!(
                out,
                "<tr><th scope=\"row\"><a href=\"{}\">{}</a></th><td><b class=\"{class}\">{symbol} {word}</b>",
                href(Some(name), self.refreshes),
                text(name)
            )?;
            if let Some(record) = &history.latest {
                if record.verdict.status != Status::Pass {
                    write!(out, " {}", record.verdict.cause)?;
                }
                if let Some(age) = history.since.and_then(|since| since.until(self.now)) {
                    write!(out, " <span class=\"note\">for {}</span>", self::age(age))?;
                }
                out.push_str(if self.overdue(name, record.started_at) {
                    " <b class=\"warn\">! overdue</b>"
                } else {
                    ""
                });
                if let Some(connection) = &record.observation.connection {
                    write!(out, "</td><td><code>{}</code> {}", connection.address.ip(), connection.class)?;
                } else {
                    out.push_str("</td><td>none");
                }
            } else {
                out.push_str("</td><td>");
            }
            out.push_str("</td></tr>\n");
        }
        out.push_str("</tbody></table></div></section>\n");
        Ok(())
    }

    /// Whether the target should have been probed again by now: twice its interval ago, and a
    /// probe's own time.
    fn overdue(&self, name: &str, last: Timestamp) -> bool {
        const STALE_AFTER: std::time::Duration = std::time::Duration::from_secs(30);
        let interval = self.state.intervals.get(name);
        interval.is_some_and(|interval| last.until(self.now).is_some_and(|age| age > *interval * 2 + STALE_AFTER))
    }

    fn agent(&self, out: &mut String) -> fmt::Result {
        let (version, state) = (Tool::this().version, self.state);
        let up = state.started.until(self.now).map(age).unwrap_or_default();
        let loaded = moment(state.loaded);
        let config = if state.reload_error.is_some() { "✗ last reload failed, in force is that of" } else { "read" };
        writeln!(
            out,
            "<p>redpath {version}, up {up} since {}; configuration {config} {loaded}</p>",
            moment(state.started)
        )
    }
}
