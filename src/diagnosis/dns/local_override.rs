//! What this machine does to DNS: the hosts file, another source of nsswitch.conf, a cache of its own.

use super::views::{AnswerClass, Views, addresses, answer_word, describe_answer, view_label};
use crate::diagnosis::remediation;
use crate::diagnosis::text::listed;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::View;

/// This machine answers its programs otherwise than its name servers do, and wrongly.
pub(super) fn overridden(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let pinned = views.answered_by_hosts_file();
    // A pin that says what the name servers say is no cause; without them to compare with, it is one.
    let servers_agree = views.system.iter().any(|view| view.outcome.is_final() && !disjoint(view, views.in_use));
    // Without a pin, another public address is no override: the zone is at fault at the servers already.
    let reading = views.classify(views.in_use);
    let alike = views.system.iter().any(|view| view.outcome.is_final() && views.classify(view) == reading);
    let stands_alone = views.libc_differs_from_servers() && !alike;
    if !(stands_alone || (pinned && !servers_agree)) {
        return None;
    }
    let host = &case.target.host;
    let server = views.system.iter().copied().find(|view| view.outcome.is_final()).or_else(|| views.dns().next());
    let dns = server.map_or_else(
        || "no name server was asked".to_owned(),
        |view| format!("{} {}", view_label(view), answer_word(view)),
    );
    let summary = if server.is_some_and(|view| view.outcome.is_final()) {
        format!("programs here get {} for {host}, which is not what DNS says", describe_answer(views.in_use))
    } else {
        format!(
            "programs here get {} for {host} from the hosts file, and DNS has no say",
            describe_answer(views.in_use)
        )
    };
    let finding = Finding::new(
        Code::OverriddenLocally,
        Severity::Error,
        summary,
        format!(
            "The C library answers {}; {dns}. {}{}",
            describe_answer(views.in_use),
            evidence(views),
            super::wrong_address::connection_evidence(case)
        ),
    );
    Some(if pinned {
        finding
            .hint(format!("remove {} for {host}, then probe again", lines(views)))
            .commands([remediation::grep_hosts(case), format!("getent ahosts {host}")])
    } else {
        finding.hint(COMPARE).commands(
            [format!("getent ahosts {host}")]
                .into_iter()
                .chain(server.map(|view| remediation::ask(view, host.as_str())))
                .chain([NSSWITCH.to_owned()]),
        )
    })
}

/// Every name server has an address, and programs get none.
pub(super) fn address_missing_locally(case: &Context<'_>, views: &Views<'_>, server: &View) -> Finding {
    let host = &case.target.host;
    Finding::new(
        Code::OverriddenLocally,
        Severity::Error,
        format!("programs here get no address for {host}, although DNS has one"),
        format!(
            "The C library says {}; {} answers {}. The sources or their order in nsswitch.conf, nscd or sssd keep it from programs; or the server answers differently from one question to the next.",
            views.in_use.reason.as_deref().unwrap_or("no address"),
            view_label(server),
            describe_answer(server)
        ),
    )
    .hint(COMPARE)
    .commands([format!("getent ahosts {host}"), remediation::ask(server, host.as_str()), NSSWITCH.to_owned()])
}

/// Programs get the right address while DNS says something else.
pub(super) fn right_by_override(case: &Context<'_>, views: &Views<'_>, dns: &View) -> Finding {
    let host = &case.target.host;
    Finding::new(
        Code::OverriddenLocally,
        Severity::Warning,
        format!("programs here get the expected address for {host} although DNS says otherwise"),
        format!(
            "The C library answers {}; {} answers {}. {}",
            describe_answer(views.in_use),
            view_label(dns),
            describe_answer(dns),
            evidence(views)
        ),
    )
    .hint("set DNS right, then remove the override: it will not follow the endpoint when its address changes")
    .commands([remediation::grep_hosts(case), remediation::ask(dns, host.as_str())])
}

/// Programs get one private address and DNS has another, and nobody said which is the endpoint's.
pub(super) fn differs(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    if !views.libc_differs_from_servers() {
        return None;
    }
    let dns = views.system.iter().copied().find(|view| views.classify(view) == AnswerClass::Expected)?;
    let host = &case.target.host;
    Some(
        Finding::new(
            Code::OverriddenLocally,
            Severity::Warning,
            format!(
                "programs here get {} for {host}, and {} answers {}",
                describe_answer(views.in_use),
                view_label(dns),
                describe_answer(dns)
            ),
            format!(
                "Both meet the expectation as far as it goes. Unknown: which is the endpoint's. {}",
                evidence(views)
            ),
        )
        .hint("say which address is expected with --endpoint, and remove the override if it is not that one")
        .commands([remediation::grep_hosts(case), remediation::ask(dns, host.as_str())]),
    )
}

/// The hosts file pins what DNS says today; it will not follow DNS tomorrow.
pub(super) fn pinned(case: &Context<'_>, views: &Views<'_>, cause: Option<&Finding>) -> Option<Finding> {
    if !views.answered_by_hosts_file() {
        return None;
    }
    let summary = format!("{} pins {}; programs here do not ask DNS for it", lines(views), case.target.host);
    let wrong = cause.is_some() || views.classify(views.in_use) != AnswerClass::Expected;
    let finding = if wrong {
        Finding::new(
            Code::OverriddenLocally,
            Severity::Warning,
            summary,
            "Setting DNS right will not reach the programs here while the line stands.",
        )
        .hint("remove the line together with the cause")
    } else {
        Finding::new(
            Code::OverriddenLocally,
            Severity::Info,
            summary,
            "It says what is expected, so nothing is wrong now; it will not follow the endpoint when its address changes.",
        )
        .hint("remove the line once DNS is known to answer rightly")
    };
    Some(finding.commands([remediation::grep_hosts(case)]))
}

const COMPARE: &str = "compare what programs get with what the server says, a few times each; then look at the hosts file, nsswitch.conf, nscd or sssd";
const NSSWITCH: &str = "grep ^hosts: /etc/nsswitch.conf";

fn disjoint(a: &View, b: &View) -> bool {
    addresses(a).is_disjoint(&addresses(b))
}

fn evidence(views: &Views<'_>) -> String {
    if views.answered_by_hosts_file() {
        return format!("It comes from {}.", lines(views));
    }
    let steady = views.system.iter().filter_map(|view| match view.tries.as_slice() {
        [only] if only.count > 2 => Some((view, only.count)),
        _ => None,
    });
    if let Some((view, count)) = steady.into_iter().next() {
        return format!(
            "The hosts file does not name it, and {} gave the same answer {count} times, so it is a cache on this machine or another source of nsswitch.conf.",
            view_label(view)
        );
    }
    "The hosts file does not name it, so it is a cache or another source of nsswitch.conf, or a server that answers differently from one question to the next; one probe cannot tell which.".to_owned()
}

/// `line 7 of /etc/hosts`.
fn lines(views: &Views<'_>) -> String {
    let entries = &views.in_use.hosts_file;
    let numbers: Vec<String> = entries.iter().map(|entry| entry.line.to_string()).collect();
    let file = entries.first().map_or("/etc/hosts", |entry| entry.file.as_str());
    let word = if numbers.len() == 1 { "line" } else { "lines" };
    format!("{word} {} of {file}", listed(&numbers))
}
