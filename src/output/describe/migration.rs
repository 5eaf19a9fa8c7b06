//! A migration as a pair, in lines: both names, what differs, who uses the old one, what is left to do.

use crate::diagnosis::pair::{Comparison, Difference, MigrationSide, Step};
use crate::diagnosis::service::{Certainty, ServiceBehind};
use crate::observation::Usability;
use crate::printable::printable;
use crate::record::Record;

/// The lines without the steps that are left.
pub(crate) fn migration(record: &Record) -> Vec<String> {
    let Some(migration) = record.migration.as_deref() else { return Vec::new() };
    let mut lines = vec![side("new", &migration.new), side("old", &migration.old)];
    lines.extend(migration.differences.iter().map(difference));
    lines.push(format!("old name in use: {}", migration.old_use.text));
    lines.extend(migration.tool.iter().map(|line| format!("by az, {line}")));
    lines.iter().map(|line| printable(line).into_owned()).collect()
}

/// What is left to do, each step with its number and its commands.
pub(crate) fn steps_left(record: &Record) -> Vec<(String, Vec<String>)> {
    let steps = record.migration.as_deref().map(|migration| migration.left_to_do.as_slice()).unwrap_or_default();
    let commands = |step: &Step| step.commands.iter().map(|command| command.command.clone()).collect();
    steps.iter().enumerate().map(|(at, step)| (format!("{}. {}", at + 1, step.text), commands(step))).collect()
}

/// `old cache1.redis.cache.windows.net:6380: 10.60.4.5 private, works; behind it likely Azure Cache for Redis (…)`.
fn side(label: &str, side: &MigrationSide) -> String {
    let address = match (side.address, side.class) {
        (Some(address), Some(class)) => format!("{address} {class}"),
        _ => "no address".to_owned(),
    };
    let usable = match side.usable {
        Usability::Yes => ", works",
        Usability::No => ", does not work",
        Usability::Unknown => "",
    };
    let verdict = side.verdict.to_string();
    format!("{label} {}:{}: {address}{usable}, {verdict}; {}", side.host, side.port, behind(&side.behind))
}

/// Which product answers, and what shows it.
fn behind(behind: &ServiceBehind) -> String {
    let texts: Vec<&str> = behind.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
    let rest = if texts.is_empty() { String::new() } else { format!(" ({})", texts.join("; ")) };
    match (behind.service, behind.certainty) {
        (Some(service), Certainty::Shown) => format!("behind it {}{rest}", service.title()),
        (Some(service), Certainty::Likely) => format!("behind it likely {}{rest}", service.title()),
        (Some(_) | None, _) => format!("which product is behind it is unknown{rest}"),
    }
}

fn difference(difference: &Difference) -> String {
    let aspect = difference.aspect.to_string().replace('_', " ");
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let (old, new) = (value(&difference.old), value(&difference.new));
    let meaning = difference.meaning.as_ref().map(|meaning| format!(": {meaning}")).unwrap_or_default();
    match difference.state {
        Comparison::Same => format!("same {aspect}: {new}"),
        Comparison::Differs => format!("other {aspect}, {old} before and {new} now{meaning}"),
        Comparison::Unknown if difference.old == difference.new && difference.new.is_some() => {
            format!("unknown {aspect}, {new} on both{meaning}")
        }
        Comparison::Unknown => format!("unknown {aspect}, {old} before and {new} now{meaning}"),
    }
}
