//! The search list: questions that cost time before the name itself is asked.

use std::time::Duration;

use super::views::{Views, view_label};
use crate::clock::Seconds;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::dns::{Question, View, ViewKind};

/// The failed queries of the search list that a server in use got before the one for the name itself.
pub(super) fn waste(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let host = case.target.host.as_str();
    let in_use = Some(views.in_use).filter(|view| view.kind == ViewKind::Resolver);
    let (view, wasted) = views
        .system
        .iter()
        .copied()
        .chain(in_use)
        .find_map(|view| Some((view, before_the_name(view, host).filter(|wasted| !wasted.is_empty())?)))?;
    let names = distinct_names(wasted);
    let took: Duration = names.iter().map(|name| slowest(wasted, name)).fold(Duration::ZERO, Duration::saturating_add);
    let dots = host.bytes().filter(|byte| *byte == b'.').count();
    let ndots = case.observation.resolution.ndots.unwrap_or_default();
    let (plural, each) = if names.len() == 1 { ("", "it") } else { ("s", "each of them") };
    Some(
        Finding::new(
            Code::SearchListWaste,
            Severity::Info,
            format!(
                "{} search-list queries ({}) to {} fail before {host} itself is asked",
                wasted.len(),
                Seconds(took),
                view_label(view)
            ),
            format!(
                "The name has {dots} dots, and with ndots:{ndots} a name with fewer than {ndots} is asked under the search list first: {} name{plural}, {each} for A and AAAA. Every new connection of a program pays for that.",
                names.len()
            ),
        )
        .hint(format!(
            "write the name with a trailing dot ({host}.) where the client keeps the dot out of TLS, or set ndots to {dots} for these programs (dnsConfig.options of a pod)"
        )),
    )
}

/// The questions before the first one for `host`; `None` where it was never asked.
fn before_the_name<'a>(view: &'a View, host: &str) -> Option<&'a [Question]> {
    let at = view.questions.iter().position(|question| question.name.eq_ignore_ascii_case(host))?;
    view.questions.get(..at)
}

fn distinct_names(questions: &[Question]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for question in questions {
        if !names.contains(&question.name.as_str()) {
            names.push(&question.name);
        }
    }
    names
}

/// A and AAAA go side by side, so the slower one is what a name costs.
fn slowest(questions: &[Question], name: &str) -> Duration {
    questions
        .iter()
        .filter(|question| question.name == name)
        .map(|question| question.took_seconds.0)
        .max()
        .unwrap_or_default()
}
