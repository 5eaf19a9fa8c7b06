//! What one view answered, in one line of a story.
//!
//! `CNAME a.example 60 -> A 10.0.0.1 10`, `NXDOMAIN`, `TIMEOUT`, or one of the four answers that
//! Azure's names have: `private`, `public`, `record missing`, `no endpoint`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redpath::azure;
use redpath::clock::Seconds;
use redpath::expectation::Expectation;
use redpath::observation::dns::{
    AuthoritySoa, ChainRecord, ExtendedError, Question, ResolvedAddress, Transport, ViewKind,
};
use redpath::observation::{View, ViewOutcome};
use redpath::target::Target;

/// Reads one answer into a view called `name`.
pub(crate) fn view(
    name: &str,
    server: Option<SocketAddr>,
    text: &str,
    target: &Target,
    expectation: &Expectation,
) -> Result<View, String> {
    let kind = match name {
        "libc" => ViewKind::Libc,
        name if name.starts_with("system:") => ViewKind::System,
        _ => ViewKind::Resolver,
    };
    let mut view = View::new(name, kind, server);
    if !["INTERRUPTED", "LOCAL_LIMIT"].contains(&text) {
        view.took_seconds = Some(Seconds(Duration::from_millis(1)));
    }
    match kind {
        ViewKind::Libc => libc(&mut view, text, expectation)?,
        ViewKind::System | ViewKind::Resolver => {
            let steps: Vec<String> =
                text.split("->").map(|step| in_full(step.trim(), target)).collect::<Result<_, _>>()?;
            dns(&mut view, &steps.join(" -> "), target, expectation)?;
        }
    }
    Ok(view)
}

fn libc(view: &mut View, text: &str, expectation: &Expectation) -> Result<(), String> {
    let (outcome, reason) = match text {
        "EAI_NONAME" => (ViewOutcome::NoAddress, "getaddrinfo: EAI_NONAME (-2)"),
        "EAI_AGAIN" => (ViewOutcome::TryAgain, "getaddrinfo: EAI_AGAIN (-3)"),
        "EAI_FAIL" => (ViewOutcome::ServerFailure, "getaddrinfo: EAI_FAIL (-4)"),
        "EAI_SYSTEM" => (ViewOutcome::Failed, "getaddrinfo: EAI_SYSTEM (-11)"),
        "TIMEOUT" => (ViewOutcome::Timeout, "no answer after 2.00 s"),
        "LOCAL_LIMIT" => (ViewOutcome::NotReached, "local_limit: too many calls of getaddrinfo have not returned"),
        "INTERRUPTED" => return Ok(()),
        addresses => {
            view.outcome = ViewOutcome::Answered;
            for address in addresses.split_whitespace() {
                view.addresses.push(resolved(address, None, expectation)?);
            }
            return Ok(());
        }
    };
    view.outcome = outcome;
    view.reason = Some(reason.to_owned());
    Ok(())
}

fn resolved(text: &str, ttl: Option<u32>, expectation: &Expectation) -> Result<ResolvedAddress, String> {
    let ip: IpAddr = text.parse().map_err(|_| format!("{text:?} is no address"))?;
    Ok(ResolvedAddress { ip, class: expectation.class(ip), ttl })
}

/// The four answers that Azure's names have, written out.
fn in_full(text: &str, target: &Target) -> Result<String, String> {
    let (known, rest) = ["private", "public", "record missing", "no endpoint"]
        .into_iter()
        .find_map(|known| Some((known, text.strip_prefix(known)?)))
        .unwrap_or(("", text));
    if known.is_empty() {
        return Ok(text.to_owned());
    }
    let endpoint =
        azure::endpoint(target.host.as_str()).ok_or_else(|| format!("{known:?} is for the names of Azure Redis"))?;
    let privatelink = format!("CNAME {}.{} 120", endpoint.record, endpoint.zone);
    let cache = endpoint.record.split('.').next().unwrap_or_default();
    let outside = format!("CNAME {cache}-we.westeurope.cloudapp.azure.com 60");
    let mut words = rest.split_whitespace();
    let own = words.next();
    let ttl = words.next();
    let public = format!("A {} {}", own.unwrap_or("20.50.1.10"), ttl.unwrap_or("60"));
    Ok(match known {
        "private" => format!("{privatelink} -> A {} {}", own.unwrap_or("10.60.4.5"), ttl.unwrap_or("10")),
        "public" => format!("{privatelink} -> {outside} -> {public}"),
        "record missing" => format!("{privatelink} -> NXDOMAIN"),
        _ => format!("{outside} -> {public}"),
    })
}

fn dns(view: &mut View, text: &str, target: &Target, expectation: &Expectation) -> Result<(), String> {
    let mut name = target.host.as_str().to_owned();
    view.transport = Some(Transport::Udp);
    for step in text.split("->").map(str::trim) {
        let mut words = step.split_whitespace();
        let word = words.next().unwrap_or_default();
        let data = words.next().unwrap_or_default().to_owned();
        let ttl = words.next().map_or(Ok(60), |ttl| ttl.parse().map_err(|_| format!("{step:?} has a bad TTL")))?;
        match word {
            "TCP" => view.transport = Some(Transport::Tcp),
            "SILENT" => {
                view.transport = Some(Transport::Tcp);
                view.udp_silent = true;
            }
            "AUTOMATIC" => view.automatic = true,
            "EDNS_DROPPED" => view.edns_dropped = true,
            "EDNS_REFUSED" => view.edns_refused = Some(data),
            "BLOCKED" => {
                view.outcome = ViewOutcome::Timeout;
                view.reason = Some("truncated over UDP, and no answer over TCP".into());
                view.questions.push(Question { truncated: true, ..question(&name, "A", ViewOutcome::Timeout) });
            }
            "NAME" => {
                name.clone_from(&data);
                view.answered_name = Some(data);
            }
            "CNAME" => {
                let record = ChainRecord { name, record_type: word.into(), ttl, data: data.clone() };
                view.chain.push(record);
                name = data;
                set(view, ViewOutcome::NoData, "NOERROR");
            }
            "A" | "AAAA" => {
                view.addresses.push(resolved(&data, Some(ttl), expectation)?);
                view.chain.push(ChainRecord { name: name.clone(), record_type: word.into(), ttl, data });
                set(view, ViewOutcome::Answered, "NOERROR");
            }
            "NODATA" => set(view, ViewOutcome::NoData, "NOERROR"),
            "NXDOMAIN" => set(view, ViewOutcome::NameNotFound, "NXDOMAIN"),
            "SERVFAIL" => set(view, ViewOutcome::ServerFailure, "SERVFAIL"),
            "REFUSED" => set(view, ViewOutcome::Refused, "REFUSED"),
            "FORMERR" => set(view, ViewOutcome::OtherRcode, "FORMERR"),
            "TIMEOUT" => lost(view, ViewOutcome::Timeout, "no answer after 2.00 s"),
            "UNREACHABLE" => lost(view, ViewOutcome::Unreachable, "connection refused"),
            "BAD" => lost(view, ViewOutcome::BadAnswer, "the CNAME chain loops at a.example"),
            "INTERRUPTED" => {}
            _ => return Err(format!("{step:?} is no step of an answer")),
        }
    }
    view.privatelink_zone = view
        .chain
        .iter()
        .flat_map(|record| [record.name.as_str(), record.data.as_str()])
        .find_map(azure::privatelink_zone);
    Ok(())
}

/// What the answer says of its origin: `zone [primary]` or `none` for the SOA, `15 text` for the extended DNS error.
pub(crate) fn origin(view: &mut View, soa: Option<&String>, ede: Option<&String>) -> Result<(), String> {
    match soa.map(String::as_str) {
        Some("none") => view.without_soa = true,
        Some(soa) => {
            let (owner, primary) = soa.split_once(' ').unwrap_or((soa, "azureprivatedns.net"));
            view.soa = Some(AuthoritySoa { owner: owner.to_owned(), primary: primary.to_owned() });
        }
        None => {}
    }
    if let Some(ede) = ede {
        let (code, text) = ede.split_once(' ').map_or((ede.as_str(), None), |(code, text)| (code, Some(text)));
        let code = code.parse().map_err(|_| format!("{ede:?} has no code"))?;
        view.extended_error = Some(ExtendedError { code, text: text.map(str::to_owned) });
    }
    Ok(())
}

/// The questions of a walk along the search list that found nothing before the name itself.
pub(crate) fn walk(view: &mut View, target: &Target, search: &[String], ndots: Option<u32>) {
    let host = target.host.as_str();
    let dots = host.bytes().filter(|byte| *byte == b'.').count();
    if view.kind == ViewKind::Libc || usize::try_from(ndots.unwrap_or(1)).is_ok_and(|ndots| dots >= ndots) {
        return;
    }
    for domain in search {
        let name = format!("{host}.{domain}");
        view.questions.extend(["A", "AAAA"].map(|kind| question(&name, kind, ViewOutcome::NameNotFound)));
    }
    view.questions.extend(["A", "AAAA"].map(|kind| question(host, kind, view.outcome)));
}

/// One question and what came of it: `AAAA SERVFAIL`, with another name after it where it is not the host.
pub(crate) fn asked(text: &str, target: &Target) -> Result<Question, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind @ ("A" | "AAAA"), outcome, name @ ..] = words.as_slice() else {
        return Err(format!("{text:?} is no question and its outcome"));
    };
    let (outcome, rcode) = match *outcome {
        "ANSWERED" => (ViewOutcome::Answered, Some("NOERROR")),
        "NODATA" => (ViewOutcome::NoData, Some("NOERROR")),
        "NXDOMAIN" => (ViewOutcome::NameNotFound, Some("NXDOMAIN")),
        "SERVFAIL" => (ViewOutcome::ServerFailure, Some("SERVFAIL")),
        "REFUSED" => (ViewOutcome::Refused, Some("REFUSED")),
        "TIMEOUT" => (ViewOutcome::Timeout, None),
        _ => return Err(format!("{text:?} is no question and its outcome")),
    };
    let name = name.first().copied().unwrap_or(target.host.as_str());
    Ok(Question { rcode: rcode.map(str::to_owned), ..question(name, kind, outcome) })
}

fn question(name: &str, kind: &str, outcome: ViewOutcome) -> Question {
    Question {
        name: name.to_owned(),
        record_type: kind.to_owned(),
        outcome,
        rcode: None,
        transport: Transport::Udp,
        attempts: 1,
        truncated: false,
        udp_silent: false,
        edns_dropped: false,
        edns_refused: None,
        unexpected_datagrams: 0,
        answers: 0,
        took_seconds: Seconds(Duration::from_millis(2)),
    }
}

fn set(view: &mut View, outcome: ViewOutcome, rcode: &str) {
    view.outcome = outcome;
    view.rcode = Some(rcode.to_owned());
}

fn lost(view: &mut View, outcome: ViewOutcome, reason: &str) {
    view.outcome = outcome;
    view.transport = None;
    view.reason = Some(reason.to_owned());
}
