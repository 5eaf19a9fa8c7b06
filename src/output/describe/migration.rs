//! A migration as a pair, in lines: both names, what differs, who uses the old one, what is left to do.

use crate::diagnosis::pair::{Aspect, Comparison, Difference, MigrationSide, Step};
use crate::diagnosis::service::{Certainty, ServiceBehind};
use crate::observation::Usability;
use crate::printable::printable;
use crate::record::Record;

/// The lines without the steps that are left.
pub(crate) fn migration(record: &Record) -> Vec<String> {
    let Some(migration) = record.migration.as_deref() else { return Vec::new() };
    let mut lines = vec![side("new", &migration.new), side("old", &migration.old)];
    lines.extend(migration.differences.iter().map(difference));
    lines.push(format!("use of the old name: {}", migration.old_use.text));
    lines.extend(migration.tool.iter().map(|line| format!("by az, {line}")));
    lines.iter().map(|line| printable(line).into_owned()).collect()
}

/// What is left to do, each step with its number and its commands.
pub(crate) fn steps_left(record: &Record) -> Vec<(String, Vec<String>)> {
    let steps = record.migration.as_deref().map(|migration| migration.left_to_do.as_slice()).unwrap_or_default();
    let commands = |step: &Step| step.commands.iter().map(|command| command.command.clone()).collect();
    steps.iter().enumerate().map(|(at, step)| (format!("{}. {}", at + 1, step.text), commands(step))).collect()
}

/// `old cache1.redis.cache.windows.net:6380: 10.60.4.5 private, works, pass (healthy); behind it likely …`.
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

/// Which product answers, and what shows it: all of the evidence where it is unknown.
fn behind(behind: &ServiceBehind) -> String {
    match (behind.service, behind.certainty) {
        (Some(service), Certainty::Shown) => {
            format!("behind it {}: {}", service.title(), behind.deciding().join("; "))
        }
        (Some(service), Certainty::Likely) => {
            format!("behind it likely {}: all that is known agrees with the name", service.title())
        }
        (Some(_) | None, _) => {
            let texts: Vec<&str> = behind.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
            let rest = if texts.is_empty() { String::new() } else { format!(": {}", texts.join("; ")) };
            format!("which product is behind it is unknown{rest}")
        }
    }
}

fn difference(difference: &Difference) -> String {
    let aspect = match difference.aspect {
        Aspect::Port => "port",
        Aspect::Zone => "zone",
        Aspect::GroupId => "group ID",
        Aspect::ClusterPolicy => "cluster policy",
        Aspect::Certificate => "certificate",
        Aspect::Authentication => "authentication",
        Aspect::Tls => "TLS",
        Aspect::RedisVersion => "Redis version",
    };
    let meaning = difference.meaning.as_ref().map(|meaning| format!("; {meaning}")).unwrap_or_default();
    match (&difference.old, &difference.new) {
        (Some(old), Some(new)) if old == new && difference.state == Comparison::Same => {
            format!("{aspect}: {new} on both")
        }
        (Some(old), Some(new)) if old == new => format!("{aspect}: {new} on both, of which kind is unknown{meaning}"),
        (Some(old), Some(new)) => format!("{aspect}: {old}, now {new}{meaning}"),
        (None, Some(new)) => format!("{aspect}: unknown, now {new}{meaning}"),
        (Some(old), None) => format!("{aspect}: {old}, now unknown{meaning}"),
        (None, None) => format!("{aspect}: unknown on both{meaning}"),
    }
}
