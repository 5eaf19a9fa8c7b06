//! What the end of a held connection says: what an application's open connection would have seen.

use std::time::Duration;

use super::{Code, Context, Finding, Severity};
use crate::azure::Service;
use crate::observation::held::HeldEnd;
use crate::observation::{HeldConnectionFacts, HeldEndKind, HeldState};
use crate::phase::PhaseName;

/// How long a loss is a finding.
const ACTIVE_FOR: Duration = Duration::from_secs(5 * 60);

/// How much of the activity log before the end is looked at, and after it: entries come late.
const LOG_BEFORE: Duration = Duration::from_secs(15 * 60);
const LOG_AFTER: Duration = Duration::from_secs(5 * 60);

/// The findings of the held connection.
pub(super) fn diagnose(case: &Context<'_>) -> Vec<Finding> {
    let Some(facts) = &case.observation.held_connection else { return Vec::new() };
    let lost = facts.ended.as_ref().filter(|end| end.ago_seconds.0 < ACTIVE_FOR).map(|end| lost(case, facts, end));
    lost.into_iter().chain(not_opened(facts)).collect()
}

fn lost(case: &Context<'_>, facts: &HeldConnectionFacts, end: &HeldEnd) -> Finding {
    let HeldEnd { address, class, age_seconds, reason, .. } = end;
    let summary = format!("the held connection to {address} ({class}) was lost after {age_seconds}: {reason}");
    let cause = match end.how {
        HeldEndKind::Fin => {
            "A FIN comes from a restart, a failover, maintenance, a switch of the access keys, CLIENT KILL, or a proxy or load balancer on the way: which, the client cannot know."
        }
        HeldEndKind::Rst => {
            "A RST comes from a server that is gone or was restarted, or from a firewall or load balancer that no longer knows or no longer allows the connection: which, the client cannot know."
        }
        HeldEndKind::Silence => {
            "Packets are dropped on the way, or the peer is gone. An application's connection hangs in the same way, until its own timeout or for about 15 minutes (tcp_retries2)."
        }
        HeldEndKind::NoReply => "The path works; the server is busy or hangs.",
        HeldEndKind::ErrorReply => "The path works; redpath closed the connection because of the error.",
        HeldEndKind::Other => "The reason is what the operating system, TLS or the reply said.",
    };
    let now = match facts.open() {
        Some(held) => format!("It was opened again, to {} {}.", held.address, held.class),
        None => "It is opened again after the next probe that reaches Redis.".to_owned(),
    };
    let detail = format!(
        "{cause} It ended at {}. {now} Connections of applications to {} may have ended, too. This is a finding for 5 minutes after the loss.",
        end.at,
        end.address.ip()
    );
    let hint = match end.how {
        HeldEndKind::Silence => {
            "find what drops the packets; restart clients that hang on such a connection, and give them a timeout of their own"
        }
        HeldEndKind::Fin | HeldEndKind::Rst | HeldEndKind::NoReply | HeldEndKind::ErrorReply | HeldEndKind::Other => {
            "see what happened to the cache at that time, and that the applications' clients have connected again"
        }
    };
    Finding::new(Code::HeldConnectionLost, Severity::Warning, summary, detail)
        .hint(hint)
        .commands(activity_log(case, end))
        .commands(commands(end))
}

/// What was asked for and could not be looked at is no pass.
fn not_opened(facts: &HeldConnectionFacts) -> Option<Finding> {
    let reason = facts.not_opened.as_ref().filter(|_| facts.state == HeldState::NotOpened)?;
    let summary = "no connection could be held open to the target".to_owned();
    let finding = Finding::new(Code::NotChecked, Severity::Warning, summary, format!("The last attempt: {reason}."));
    Some(
        finding
            .phase(PhaseName::Application)
            .hint("see why the server refuses a second connection, or leave held_connection out"),
    )
}

/// What was done to resources of Azure at that time.
fn activity_log(case: &Context<'_>, end: &HeldEnd) -> Option<String> {
    if case.target.service == Service::Other {
        return None;
    }
    let (from, to) = (end.at.before(LOG_BEFORE)?, end.at.after(LOG_AFTER)?);
    Some(format!(
        "az monitor activity-log list --resource-group <resource-group> --start-time {}T{}Z --end-time {}T{}Z --query '[].[eventTimestamp,operationName.localizedValue,status.value,resourceId]' --output tsv",
        from.date(),
        from.time_of_day(),
        to.date(),
        to.time_of_day()
    ))
}

fn commands(end: &HeldEnd) -> Vec<String> {
    let ip = end.address.ip();
    let filter = if ip.is_ipv6() { format!("'[{ip}]'") } else { ip.to_string() };
    let mut commands = vec![format!("ss -tnpoi dst {filter}")];
    if end.how == HeldEndKind::Silence {
        commands.push("kubectl --namespace <namespace> rollout restart deployment <application>".to_owned());
        commands.push("systemctl restart <application>".to_owned());
    }
    commands
}
