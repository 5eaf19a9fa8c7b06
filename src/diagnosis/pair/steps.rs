//! What is left to do in a migration, in the order in which it is done.

use super::{Command, Comparison, Migration, Step};
use crate::diagnosis::service::Certainty;
use crate::diagnosis::{Cause, Code, Status};
use crate::observation::Usability;

/// The steps that are known to be left.
pub(super) fn left_to_do(migration: &Migration) -> Vec<Step> {
    let (new, old) = (&migration.new, &migration.old);
    let mut steps = Vec::new();
    if new.verdict.status == Status::Fail {
        let text = format!("repair the path to the new name {} ({}): see its findings", new.host, new.verdict.cause);
        steps.push(Step { text, commands: explain(new.verdict.cause) });
    }
    if new.path_expected == Some(true) && new.verdict.status == Status::Unknown {
        let text = format!("find out why the probe of {} ended early, before anything is switched", new.host);
        steps.push(Step { text, commands: commands([format!("redpath check {}:{}", new.host, new.port)]) });
    }
    let is_gone = matches!(old.verdict.cause, Cause::Code(Code::NameNotFound | Code::NoAddress));
    if is_gone {
        return steps;
    }
    if old.path_expected == Some(false) {
        let text = format!(
            "clients of the old name {} do not take the expected path ({}): repair it, or move them to {} first",
            old.host, old.verdict.cause, new.host
        );
        steps.push(Step { text, commands: explain(old.verdict.cause) });
    }
    let undecided = migration.differences.iter().filter(|difference| difference.state == Comparison::Unknown);
    let undecided: Vec<_> = undecided.filter(|difference| !difference.commands.is_empty()).collect();
    if !undecided.is_empty() {
        let names: Vec<String> =
            undecided.iter().map(|difference| difference.aspect.to_string().replace('_', " ")).collect();
        let mut seen: Vec<Command> = Vec::new();
        for command in undecided.iter().flat_map(|difference| &difference.commands) {
            if !seen.contains(command) {
                seen.push(command.clone());
            }
        }
        steps.push(Step { text: format!("find out what is unknown from here: {}", names.join(", ")), commands: seen });
    }
    for side in [new, old] {
        let likely = match (side.behind.certainty, side.behind.service) {
            (Certainty::Shown, _) => continue,
            (Certainty::Likely, Some(service)) => format!("likely {}", service.title()),
            (Certainty::Likely | Certainty::Unknown, _) => "unknown from here".to_owned(),
        };
        let text = format!("make sure which product is behind {}: {likely}", side.host);
        steps.push(Step { text, commands: side.decide.clone() });
    }
    match migration.old_use.connections_here {
        Some(0) => {}
        Some(_) => steps.push(Step {
            text: format!(
                "configure {} in the applications here, and restart those that are on {}",
                new.host, old.host
            ),
            commands: commands([format!("redpath connections {}:{}", old.host, old.port)]),
        }),
        None => steps.push(Step {
            text: "look from the network namespace of the application, as a sidecar or by kubectl debug".to_owned(),
            commands: commands([format!("redpath connections {}:{}", old.host, old.port)]),
        }),
    }
    if old.usable != Usability::No {
        steps.push(Step {
            text: format!(
                "wait until no client anywhere uses {}; then remove the old cache and its private endpoint",
                old.host
            ),
            commands: migration.old_use.commands.clone(),
        });
    }
    steps
}

fn commands(commands: impl IntoIterator<Item = String>) -> Vec<Command> {
    commands.into_iter().map(Command::from).collect()
}

fn explain(cause: Cause) -> Vec<Command> {
    match cause {
        Cause::Code(code) => commands([format!("redpath explain {code}")]),
        Cause::Healthy | Cause::Unknown => Vec::new(),
    }
}
