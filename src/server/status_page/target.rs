//! One target in full: its verdict, what to do about it, and all that was seen.

use std::fmt::{self, Write};

use super::super::html::text;
use super::{Shown, age, ago, href, look, moment, path};
use crate::clock::Timestamp;
use crate::diagnosis::{Cause, Finding, Severity};
use crate::history::{Change, TargetHistory};
use crate::output::describe::{self, PhaseState};
use crate::record::Record;

/// The last changes shown beside other targets; a target's own page shows all that are kept.
const FEW_CHANGES: usize = 5;

impl Shown<'_> {
    /// The target; `at` tells the headings of one page apart.
    pub(super) fn in_full(&self, out: &mut String, at: usize, name: &str, history: &TargetHistory) -> fmt::Result {
        let (class, symbol, word) = look(super::status(history));
        write!(
            out,
            "<article class=\"card {class}\" aria-labelledby=\"t{at}\">\n<h2 id=\"t{at}\"><span class=\"verdict\">{symbol} {word}</span> {}</h2>\n",
            text(name)
        )?;
        match &history.latest {
            None => self.unprobed(out, name)?,
            Some(record) => self.probed(out, name, history, record)?,
        }
        out.push_str("</article>\n");
        Ok(())
    }

    fn unprobed(&self, out: &mut String, name: &str) -> fmt::Result {
        out.push_str("<p>It has not been probed yet");
        if let Some(interval) = self.state.intervals.get(name) {
            write!(out, "; the first probe begins within a second of the start, then every {}", age(*interval))?;
        }
        out.push_str(".</p>\n");
        Ok(())
    }

    fn probed(&self, out: &mut String, name: &str, history: &TargetHistory, record: &Record) -> fmt::Result {
        out.push_str("<p class=\"cause\">");
        match record.verdict.cause {
            Cause::Code(code) => write!(out, "<a href=\"/codes/{code}\"><code>{code}</code></a>")?,
            Cause::Healthy | Cause::Unknown => write!(out, "<code>{}</code>", record.verdict.cause)?,
        }
        if let Some(since) = history.since {
            write!(out, " since {}{}", moment(since), ago(since, self.now))?;
        }
        let target = &record.target;
        let tls = if target.tls { "TLS" } else { "without TLS" };
        write!(
            out,
            "</p>\n<p class=\"note\"><code>{}:{}</code>, {}, {tls}; probed {} in {}",
            text(&target.host),
            target.port,
            text(target.service.title()),
            moment(record.started_at),
            record.took_seconds,
        )?;
        self.timing(out, name, record.started_at)?;
        if self.only.is_none() {
            write!(out, "; <a href=\"{}\">this target alone</a>", href(Some(name), self.refreshes))?;
        }
        out.push_str("</p>\n");
        if let Some(line) = describe::precheck(record) {
            writeln!(out, "<p class=\"notice\">{}</p>", text(line))?;
        }
        for finding in &record.findings {
            self::finding(out, finding)?;
        }
        out.push_str("<div class=\"grid\">\n");
        path::chain(out, record)?;
        path::views(out, record)?;
        phases(out, record)?;
        if let Some(facts) = &record.observation.cluster
            && let Some(summary) = describe::cluster(facts)
        {
            list(out, "Cluster", std::iter::once(summary).chain(describe::cluster_nodes(facts)))?;
        }
        list(out, "Posture", describe::posture(record).into_iter())?;
        self.changes(out, history)?;
        out.push_str("</div>\n");
        Ok(())
    }

    /// When the target is probed again, or that it should have been.
    fn timing(&self, out: &mut String, name: &str, last: Timestamp) -> fmt::Result {
        out.push_str(&ago(last, self.now));
        let Some(interval) = self.state.intervals.get(name) else { return Ok(()) };
        write!(out, ", every {}", age(*interval))?;
        if self.overdue(name, last) {
            out.push_str(", <b class=\"warn\">! overdue</b>");
        } else if let Some(left) = last.after(*interval).and_then(|next| self.now.until(next)) {
            write!(out, ", next in {}", age(left))?;
        }
        Ok(())
    }

    fn changes(&self, out: &mut String, history: &TargetHistory) -> fmt::Result {
        let shown = if self.only.is_some() { history.changes.len() } else { FEW_CHANGES };
        if history.changes.is_empty() {
            return Ok(());
        }
        out.push_str("<section><h3>Last changes</h3>\n<ol class=\"changes\">\n");
        for Change { at, to, summary, .. } in history.changes.iter().take(shown) {
            let (class, symbol, _) = look(Some(to.status));
            let summary = summary.replace("->", "→");
            writeln!(
                out,
                "<li class=\"{class}\"><span class=\"note\">{}{}</span> <b aria-hidden=\"true\">{symbol}</b> {}</li>",
                moment(*at),
                ago(*at, self.now),
                text(summary)
            )?;
        }
        out.push_str("</ol></section>\n");
        Ok(())
    }
}

fn finding(out: &mut String, finding: &Finding) -> fmt::Result {
    let (class, symbol, word) = match finding.severity {
        Severity::Error => ("fail", "✗", "error"),
        Severity::Warning => ("warn", "!", "warning"),
        Severity::Info => ("unknown", "i", "note"),
    };
    let code = finding.code;
    write!(
        out,
        "<section class=\"finding {class}\"><h3><span class=\"mark\">{symbol} {word}</span> <a href=\"/codes/{code}\"><code>{code}</code></a></h3>\n<p>{}</p>\n",
        text(&finding.summary)
    )?;
    if !finding.hint.is_empty() {
        writeln!(out, "<p><b>What to do:</b> {}</p>", text(&finding.hint))?;
    }
    if !finding.commands.is_empty() {
        // One click selects a command whole.
        out.push_str("<pre>");
        for command in &finding.commands {
            write!(out, "<code>{}</code>", text(command))?;
        }
        out.push_str("</pre>\n");
    }
    if !finding.detail.is_empty() {
        writeln!(out, "<p class=\"note\">{}</p>", text(&finding.detail))?;
    }
    out.push_str("</section>\n");
    Ok(())
}

/// Each phase's bar begins where the one before ended.
fn phases(out: &mut String, record: &Record) -> fmt::Result {
    let phases = &record.observation.phases;
    let told = describe::phases_told(phases);
    let took = |phase| describe::phase_state(phases, phase).took().map(|took| took.0).unwrap_or_default();
    let total: std::time::Duration = told.iter().map(|phase| took(*phase)).sum();
    let axis = crate::clock::Seconds(total);
    writeln!(
        out,
        "<section><h3>Phases</h3>\n<table class=\"phases\"><caption>One after the other, on an axis of {axis}</caption>\n\
         <thead><tr><th scope=\"col\">phase</th><th scope=\"col\" class=\"number\">time</th><th scope=\"col\">when and how</th></tr></thead>\n<tbody>"
    )?;
    let mut begun = 0.0;
    for phase in told {
        let state = describe::phase_state(phases, phase);
        let (class, symbol, words) = match &state {
            PhaseState::Done(_) => ("done", "✓", describe::phase_note(phase, record.observation.connection.as_ref())),
            PhaseState::Failed(..) => ("fail", "✗", Some(state.outcome())),
            PhaseState::Skipped(_) | PhaseState::NotReached(_) => ("left", "–", Some(state.outcome())),
        };
        write!(out, "<tr class=\"{class}\"><th scope=\"row\">{symbol} {phase}</th>")?;
        match state.took() {
            Some(took) => write!(out, "<td class=\"number\">{took}</td><td>")?,
            None => out.push_str("<td colspan=\"2\" class=\"wordy\">"),
        }
        if let (Some(took), false) = (state.took(), total.is_zero()) {
            let share = |seconds: f64| 100.0 * seconds / axis.as_f64();
            let (from, width) = (share(begun).min(99.4), share(took.as_f64()).max(0.6));
            write!(
                out,
                "<svg viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect x=\"{from:.1}\" width=\"{width:.1}\" height=\"1\"/></svg>"
            )?;
            begun += took.as_f64();
        }
        if let Some(words) = words {
            write!(out, "<span class=\"note\">{}</span>", text(words))?;
        } else if matches!(state, PhaseState::Done(_)) {
            out.push_str("<span class=\"unseen\">done</span>");
        }
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody></table></section>\n");
    Ok(())
}

fn list(out: &mut String, heading: &str, lines: impl Iterator<Item = String>) -> fmt::Result {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "<section><h3>{heading}</h3>\n<ul>")?;
    for line in lines {
        writeln!(out, "<li>{}</li>", text(line))?;
    }
    out.push_str("</ul></section>\n");
    Ok(())
}
