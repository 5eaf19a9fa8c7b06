//! Questions that fail beside a right A record: AAAA, and names of the search list. The C library of
//! this machine may still get the address, while musl's or a slow program gets none.

use super::views::{Views, describe_answer, view_label};
use crate::diagnosis::remediation;
use crate::diagnosis::text::capitalized;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::dns::{Question, ViewKind};
use crate::observation::{View, ViewOutcome};

/// The C library gave up, and a name server of its own answers A and fails for AAAA.
pub(super) fn library_fails(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    if views.in_use.kind != ViewKind::Libc {
        return None;
    }
    let (view, question) = failing_server(case, views)?;
    Some(lookup_fails(case, view, question, Severity::Error))
}

/// A name server in use answers A and fails for AAAA, without harm to the C library of this machine.
pub(super) fn remark(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let (view, question) = failing_server(case, views)?;
    Some(lookup_fails(case, view, question, Severity::Warning))
}

fn failing_server<'a>(case: &Context<'_>, views: &Views<'a>) -> Option<(&'a View, &'a Question)> {
    views.system.iter().find_map(|view| Some((*view, failed_aaaa(case, view)?)))
}

/// The question for AAAA that failed while the one for A of the same name was answered.
fn failed_aaaa<'a>(case: &Context<'_>, view: &'a View) -> Option<&'a Question> {
    let name = view.answered_name.as_deref().unwrap_or(case.target.host.as_str());
    let asked = |record_type: &str| {
        view.questions
            .iter()
            .find(|question| question.record_type == record_type && question.name.eq_ignore_ascii_case(name))
    };
    asked("A").filter(|question| question.outcome == ViewOutcome::Answered)?;
    asked("AAAA").filter(|question| {
        matches!(
            question.outcome,
            ViewOutcome::NameNotFound
                | ViewOutcome::ServerFailure
                | ViewOutcome::Refused
                | ViewOutcome::OtherRcode
                | ViewOutcome::Timeout
                | ViewOutcome::BadAnswer
        )
    })
}

fn lookup_fails(case: &Context<'_>, view: &View, question: &Question, severity: Severity) -> Finding {
    let host = case.target.host.as_str();
    let who = view_label(view);
    let rcode = question.rcode.as_deref().unwrap_or("an error");
    let (what, means) = match question.outcome {
        ViewOutcome::Timeout if question.truncated => (
            "truncates its answer for AAAA, and gives none over TCP".to_owned(),
            "Programs that ask for both wait for it (glibc 5 to 15 s) or give up.",
        ),
        ViewOutcome::Timeout => (
            "is silent for AAAA".to_owned(),
            "Programs that ask for both wait for it (glibc 5 to 15 s) or give up; those of musl (Alpine images) get no address.",
        ),
        ViewOutcome::NameNotFound => (
            "answers AAAA with NXDOMAIN".to_owned(),
            "NXDOMAIN holds for every record type of a name: programs of glibc still get the address, those of musl (Alpine images) get none, and a cache that keeps it denies the A record too (RFC 8020).",
        ),
        _ => (
            format!("answers AAAA with {rcode}"),
            "Programs of glibc still get the address, those of musl (Alpine images) get none.",
        ),
    };
    let address = view.ips().find(std::net::IpAddr::is_ipv4);
    let address = address.map_or_else(|| describe_answer(view), |ip| ip.to_string());
    Finding::new(
        Code::AaaaLookupFails,
        severity,
        format!("{who} gives {address} for {host}, and {what}"),
        format!("{means} A name without an AAAA record is to be answered NOERROR without one (NODATA)."),
    )
    .hint(format!(
        "have {who} answer AAAA (NODATA is enough); until then use options no-aaaa in resolv.conf, or single-request-reopen where the second of two questions from one port is lost"
    ))
    .commands([format!("{} A", remediation::ask(view, host)), format!("{} AAAA", remediation::ask(view, host))])
}

/// Names of the search list are refused or fail before the name itself is answered: glibc goes on, and
/// musl's resolver ends there.
pub(super) fn search_list_ends_musl(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let host = case.target.host.as_str();
    let ends = |outcome| matches!(outcome, ViewOutcome::Refused | ViewOutcome::ServerFailure);
    let (view, question) = views.system.iter().find_map(|view| {
        let at = view.questions.iter().position(|question| question.name.eq_ignore_ascii_case(host))?;
        let earlier = view.questions.get(..at)?;
        (view.outcome == ViewOutcome::Answered).then_some(())?;
        Some((*view, earlier.iter().find(|question| ends(question.outcome))?))
    })?;
    Some(
        Finding::new(
            Code::MuslLookupFails,
            Severity::Warning,
            format!(
                "{} answers {} for a name of the search list: programs of musl (Alpine images) get no address",
                view_label(view),
                question.rcode.as_deref().unwrap_or(question.outcome.as_str())
            ),
            format!(
                "{} is asked for {} before {host} itself. The C library of this machine (glibc) goes on after such an answer; musl's resolver stops there, and the program gets no address.",
                capitalized(&view_label(view)),
                question.name
            ),
        )
        .hint(format!(
            "have that server answer NXDOMAIN for names of the search list (allow them in the DNS rules of a network policy), or write the name with a trailing dot ({host}.)"
        ))
        .commands([remediation::ask(view, &question.name)]),
    )
}
