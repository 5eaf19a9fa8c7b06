//! The resolve phase against a scripted DNS server and against BIND: what each view keeps, and how long it takes.
//!
//! Only configured resolvers are asked here; the C library and resolv.conf have their turn in `paths`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::RecordType;
use redpath::observation::dns::Transport as Seen;
use redpath::observation::{Observation, Phase, PhaseName, View, ViewOutcome};
use redpath::plan::{Plan, Resolver, ViewSelection};
use redpath::probe::Prober;
use redpath::probe::budget::Interrupt;
use redpath::target::{HostName, Target};

use crate::support::bind::{self, Bind};
use crate::support::dns::{Action, DnsServer, Reply, Transport, closed_port};
use crate::support::zone::{Zone, address, long_chain, many_addresses};

const HOST: &str = "cache1.redis.cache.windows.net";
const ENDPOINT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10));

/// The limit of a probe whose server is silent: short, since half of it is waited for.
const IMPATIENT: Duration = Duration::from_millis(600);

fn plan(host: &str, servers: &[SocketAddr]) -> Plan {
    let mut plan = Plan::new(Target::new(HostName::parse(host).unwrap(), Some(closed_port(ENDPOINT).port()), true));
    plan.expectation.endpoints = vec![ENDPOINT.into()];
    plan.resolvers = servers
        .iter()
        .enumerate()
        .map(|(index, address)| Resolver { name: format!("r{index}"), address: *address })
        .collect();
    plan.views = ViewSelection::Only(plan.resolvers.iter().map(|resolver| resolver.name.clone()).collect());
    plan
}

async fn probe(plan: &Plan) -> Observation {
    let (_handle, interrupt) = Interrupt::new();
    Prober::new().probe(plan, &interrupt).await
}

async fn ask(host: &str, server: SocketAddr) -> View {
    probe(&plan(host, &[server])).await.resolution.views.remove(0)
}

async fn ask_impatiently(host: &str, server: SocketAddr) -> View {
    let mut plan = plan(host, &[server]);
    plan.timeout = IMPATIENT;
    probe(&plan).await.resolution.views.remove(0)
}

#[tokio::test]
async fn dns_chain_keeps_ttls() {
    let server = DnsServer::start(Zone::unlinked(HOST, Ipv4Addr::new(127, 0, 0, 20)).script());
    let view = ask(HOST, server.address()).await;
    assert_eq!(view.outcome, ViewOutcome::Answered);
    let types: Vec<&str> = view.chain.iter().map(|record| record.record_type.as_str()).collect();
    assert_eq!(types, ["CNAME", "CNAME", "A"]);
    assert_eq!(view.privatelink_zone.as_deref(), Some("privatelink.redis.cache.windows.net"));
    assert_eq!(view.privatelink_name(), Some("cache1.privatelink.redis.cache.windows.net"));
    assert!(view.chain.iter().all(|record| record.ttl > 0));
    assert_eq!(view.transport, Some(Seen::Udp));
    assert_eq!(view.rcode.as_deref(), Some("NOERROR"));
}

#[tokio::test]
async fn dns_negative_answer_keeps_soa_and_ede() {
    let zone = Zone::record_missing(HOST);
    let server = DnsServer::start(move |asked| {
        let extended_error = Some((15, b"blocked \x1b[2J".to_vec()));
        Action::Reply(Reply { extended_error, ..zone.answer(asked) })
    });
    let view = ask(HOST, server.address()).await;
    let soa = view.soa.expect("an SOA");
    assert_eq!((soa.owner.as_str(), soa.primary.as_str()), ("privatelink.redis.cache.windows.net", "ns.example.net"));
    assert!(!view.without_soa);
    let error = view.extended_error.expect("an extended DNS error");
    assert_eq!((error.code, error.text.as_deref()), (15, Some("blocked \\u{1b}[2J")));
}

#[tokio::test]
async fn dns_negative_answer_without_soa_is_noted() {
    let bare = DnsServer::start(|_| Action::Reply(Reply::empty()));
    let view = ask(HOST, bare.address()).await;
    assert_eq!((view.outcome, view.without_soa, view.soa), (ViewOutcome::NoData, true, None));
    let good = DnsServer::start(Zone::healthy(HOST, ENDPOINT).script());
    let view = ask(HOST, good.address()).await;
    assert_eq!((view.outcome, view.without_soa, view.extended_error), (ViewOutcome::Answered, false, None));
}

#[tokio::test]
async fn dns_time_excludes_other_work() {
    let delay = Duration::from_millis(150);
    let zone = Zone::healthy(HOST, ENDPOINT);
    let server = DnsServer::start(move |asked| Action::Reply(zone.answer(asked)).after(delay));
    let observation = probe(&plan(HOST, &[server.address()])).await;
    let resolve = observation.phases.get(PhaseName::Resolve).took.unwrap().0;
    assert!(resolve >= delay && resolve < delay * 2, "{resolve:?}");
    let connect = observation.phases.get(PhaseName::Connect);
    assert!(connect.took.unwrap().0 < delay / 2, "{connect:?}");
    // Nothing listens there, so what follows was not reached and has no number.
    for phase in [PhaseName::Tls, PhaseName::Auth, PhaseName::Ping] {
        assert_eq!(observation.phases.get(phase).took, None);
    }
}

#[tokio::test]
async fn dns_silent_resolver_delays_no_other() {
    let good = DnsServer::start(Zone::healthy(HOST, ENDPOINT).script());
    let silent = DnsServer::start(|_| Action::Drop);
    let mut plan = plan(HOST, &[good.address(), silent.address()]);
    plan.timeout = IMPATIENT;
    let began = Instant::now();
    let observation = probe(&plan).await;
    assert!(began.elapsed() < IMPATIENT, "half of the probe's time is the most that resolving may take");
    assert!(observation.phases.get(PhaseName::Resolve).took.unwrap().0 < IMPATIENT / 3);
    assert!(matches!(observation.phases.connection.connect, Phase::Failed { .. }), "{observation:?}");
    let [good, silent] = observation.resolution.views.as_slice() else { panic!("two views") };
    assert_eq!((good.outcome, silent.outcome), (ViewOutcome::Answered, ViewOutcome::Timeout));
}

#[tokio::test]
async fn dns_lost_query_is_resent() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let server = DnsServer::start(
        move |asked| {
            if asked.attempt == 1 { Action::Drop } else { Action::Reply(zone.answer(asked)) }
        },
    );
    let view = ask_impatiently(HOST, server.address()).await;
    assert_eq!(view.outcome, ViewOutcome::Answered);
    assert!(view.questions.iter().all(|question| question.attempts == 2), "{:?}", view.questions);
}

#[tokio::test]
async fn dns_late_first_answer_counts() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let server = DnsServer::start(move |asked| {
        if asked.attempt == 1 { Action::Reply(zone.answer(asked)).after(IMPATIENT / 5) } else { Action::Drop }
    });
    let view = ask_impatiently(HOST, server.address()).await;
    assert_eq!(view.outcome, ViewOutcome::Answered);
}

#[tokio::test]
async fn dns_truncated_answer_uses_tcp() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let server = DnsServer::start(move |asked| match asked.transport {
        Transport::Udp => Action::truncated(),
        Transport::Tcp => Action::Reply(zone.answer(asked)),
    });
    let view = ask(HOST, server.address()).await;
    assert_eq!((view.outcome, view.transport), (ViewOutcome::Answered, Some(Seen::Tcp)));
    assert!(view.questions.iter().all(|question| question.truncated));
}

#[tokio::test]
async fn dns_truncated_without_tcp_is_named() {
    let server = DnsServer::start_without_tcp(|_| Action::truncated());
    let view = ask(HOST, server.address()).await;
    assert_eq!((view.outcome, view.transport), (ViewOutcome::Unreachable, Some(Seen::Tcp)));
    assert!(view.reason.unwrap().contains("TCP"));
}

/// A server that answers over TCP alone; UDP is dropped on the way.
fn tcp_only() -> DnsServer {
    let zone = Zone::healthy(HOST, ENDPOINT);
    DnsServer::start(move |asked| match asked.transport {
        Transport::Udp => Action::Drop,
        Transport::Tcp => Action::Reply(zone.answer(asked)),
    })
}

#[tokio::test]
async fn dns_silent_over_udp_tries_tcp() {
    let began = Instant::now();
    let view = ask_impatiently(HOST, tcp_only().address()).await;
    assert!(began.elapsed() < IMPATIENT, "within the phase's time");
    assert_eq!((view.outcome, view.transport, view.udp_silent), (ViewOutcome::Answered, Some(Seen::Tcp), true));
    assert_eq!(view.ips().collect::<Vec<_>>(), [ENDPOINT]);
    assert!(view.questions.iter().all(|question| question.udp_silent && question.attempts == 3), "{view:?}");
}

#[tokio::test]
async fn dns_udp_is_read_during_tcp() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let late = IMPATIENT.mul_f64(0.5 * 0.8);
    let server = DnsServer::start(move |asked| match asked.transport {
        Transport::Udp => Action::Reply(zone.answer(asked)).after(late),
        Transport::Tcp => Action::Drop,
    });
    let view = ask_impatiently(HOST, server.address()).await;
    assert_eq!((view.outcome, view.transport, view.udp_silent), (ViewOutcome::Answered, Some(Seen::Udp), false));
}

#[tokio::test]
async fn dns_edns_dropped_is_asked_without() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let server = DnsServer::start(move |asked| match asked.edns_payload.is_some() {
        true => Action::Drop,
        false => Action::Reply(zone.answer(asked)),
    });
    let view = ask_impatiently(HOST, server.address()).await;
    assert_eq!((view.outcome, view.edns_dropped, view.udp_silent), (ViewOutcome::Answered, true, false));
    assert_eq!((view.ips().collect::<Vec<_>>(), view.transport), (vec![ENDPOINT], Some(Seen::Udp)));
}

#[tokio::test]
async fn dns_late_answer_is_no_dropped_edns() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let late = IMPATIENT.mul_f64(0.5 * 0.6);
    let server = DnsServer::start(move |asked| Action::Reply(zone.answer(asked)).after(late));
    let view = ask_impatiently(HOST, server.address()).await;
    assert_eq!((view.outcome, view.edns_dropped), (ViewOutcome::Answered, false));
}

#[tokio::test]
async fn dns_silent_over_both_times_out() {
    let view = ask_impatiently(HOST, DnsServer::start(|_| Action::Drop).address()).await;
    assert_eq!((view.outcome, view.transport, view.udp_silent), (ViewOutcome::Timeout, Some(Seen::Udp), false));
    let without_tcp = ask_impatiently(HOST, DnsServer::start_without_tcp(|_| Action::Drop).address()).await;
    assert_eq!((without_tcp.outcome, without_tcp.udp_silent), (ViewOutcome::Timeout, false));
}

/// Every third question for the A record leads to the public address.
fn flapping() -> DnsServer {
    let right = Zone::healthy(HOST, ENDPOINT);
    let wrong = Zone::unlinked(HOST, PUBLIC);
    DnsServer::start(move |asked| {
        Action::Reply(if asked.attempt % 3 == 0 { wrong.answer(asked) } else { right.answer(asked) })
    })
}

const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 20);

fn counts(view: &View) -> Vec<(u32, Vec<IpAddr>)> {
    view.tries.iter().map(|tries| (tries.count, tries.addresses.iter().map(|address| address.ip).collect())).collect()
}

#[tokio::test]
async fn dns_repeats_are_counted_by_answer() {
    let server = flapping();
    let mut plan = plan(HOST, &[server.address()]);
    plan.tries = Some(10);
    let observation = probe(&plan).await;
    let view = &observation.resolution.views[0];
    assert_eq!(counts(view), [(7, vec![ENDPOINT]), (3, vec![PUBLIC.into()])]);
    assert_eq!(view.ips().collect::<Vec<_>>(), [ENDPOINT], "the first try's answer is the view's own");
    assert_eq!(view.questions.len(), 2, "and so are its questions");
    assert_eq!(server.names_asked(RecordType::A).len(), 10, "neither more nor less");
    let slowest = view.tries.iter().map(|tries| tries.took_seconds).max();
    assert!(view.took_seconds <= slowest, "the time is the first try's");
}

/// With the binary: a person sees the counts and the cause.
#[test]
fn dns_flapping_server_is_counted() {
    let server = flapping();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_redpath"))
        .args(["check", HOST, "--resolver", &format!("hub={}", server.address()), "--views", "hub", "--tries", "6"])
        .args(["--endpoint", &ENDPOINT.to_string(), "--output", "text"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("flapping_answer"), "{text}");
    assert!(text.contains("4x 127.0.0.10 private, 2x 127.0.0.20"), "{text}"); // the column may break after it
    let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains("4 × 127.0.0.10, 2 × 127.0.0.20"), "{text}");
}

#[tokio::test]
async fn dns_single_try_sends_one_query() {
    for tries in [None, Some(1)] {
        let server = flapping();
        let mut plan = plan(HOST, &[server.address()]);
        plan.tries = tries;
        let view = probe(&plan).await.resolution.views.remove(0);
        assert!(view.tries.is_empty());
        assert_eq!(server.names_asked(RecordType::A).len(), 1);
    }
}

#[tokio::test]
async fn dns_repeats_end_with_phase() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let delay = IMPATIENT / 10;
    let server = DnsServer::start(move |asked| Action::Reply(zone.answer(asked)).after(delay));
    let mut plan = plan(HOST, &[server.address()]);
    (plan.timeout, plan.tries) = (IMPATIENT, Some(20));
    let began = Instant::now();
    let view = probe(&plan).await.resolution.views.remove(0);
    assert!(began.elapsed() < IMPATIENT);
    let [(count, _)] = counts(&view)[..] else { panic!("one answer, whatever was cut off: {view:?}") };
    assert!((2..=5).contains(&count), "{count}");
}

#[tokio::test]
async fn dns_repeat_cut_short_is_not_counted() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let server =
        DnsServer::start_without_tcp(
            move |asked| {
                if asked.attempt == 1 { Action::Reply(zone.answer(asked)) } else { Action::Drop }
            },
        );
    let mut plan = plan(HOST, &[server.address()]);
    (plan.timeout, plan.tries) = (IMPATIENT, Some(3));
    let view = probe(&plan).await.resolution.views.remove(0);
    let outcomes: Vec<_> = view.tries.iter().map(|tries| (tries.count, tries.outcome)).collect();
    assert_eq!(outcomes, [(1, ViewOutcome::Answered), (1, ViewOutcome::Timeout)]);
    assert_eq!(view.outcome, ViewOutcome::Answered);
}

#[tokio::test]
async fn dns_slow_tcp_is_bounded() {
    let reply = Reply { answers: vec![address(HOST, 10, ENDPOINT)], ..Reply::empty() };
    let server = DnsServer::start(move |asked| match asked.transport {
        Transport::Udp => Action::truncated(),
        Transport::Tcp => Action::Dribble(Duration::from_secs(1), reply.clone()),
    });
    let began = Instant::now();
    let view = ask_impatiently(HOST, server.address()).await;
    assert!(began.elapsed() < IMPATIENT);
    assert_eq!(view.outcome, ViewOutcome::Timeout);
}

#[tokio::test]
async fn dns_rcodes_and_errors_are_classified() {
    for (rcode, outcome, name) in [
        (ResponseCode::ServFail, ViewOutcome::ServerFailure, "SERVFAIL"),
        (ResponseCode::Refused, ViewOutcome::Refused, "REFUSED"),
        (ResponseCode::NXDomain, ViewOutcome::NameNotFound, "NXDOMAIN"),
        (ResponseCode::NotImp, ViewOutcome::OtherRcode, "NOTIMP"),
    ] {
        let server = DnsServer::start(move |_| Action::rcode(rcode));
        let view = ask(HOST, server.address()).await;
        assert_eq!((view.outcome, view.rcode.as_deref()), (outcome, Some(name)));
    }
    let closed = ask(HOST, closed_port(ENDPOINT)).await;
    assert_eq!((closed.outcome, closed.rcode), (ViewOutcome::Unreachable, None));
    assert!(closed.took_seconds.unwrap().0 < Duration::from_secs(1), "ICMP says it at once");
}

#[tokio::test]
async fn dns_forged_and_broken_answers_ignored() {
    let forged = Reply { answers: vec![address(HOST, 10, Ipv4Addr::new(127, 0, 0, 66))], ..Reply::empty() };
    type Script = Box<dyn Fn(Reply) -> Action + Send + Sync>;
    let scripts: [Script; 4] = [
        Box::new(Action::WrongId),
        Box::new(Action::WrongQuestion),
        Box::new(|_| Action::Garbage),
        Box::new(|_| Action::RawBytes(vec![0xc0; 512])),
    ];
    for script in scripts {
        let action = script(forged.clone());
        let alone = action.clone();
        let server = DnsServer::start(move |_| alone.clone());
        let view = ask_impatiently(HOST, server.address()).await;
        assert_eq!(view.outcome, ViewOutcome::BadAnswer, "{action:?}");
        assert!(view.addresses.is_empty());
        // The right answer behind it is taken.
        let zone = Zone::healthy(HOST, ENDPOINT);
        let server =
            DnsServer::start(move |asked| Action::Each(vec![action.clone(), Action::Reply(zone.answer(asked))]));
        let view = ask(HOST, server.address()).await;
        assert_eq!(view.ips().collect::<Vec<_>>(), [ENDPOINT]);
        assert!(view.questions.iter().any(|question| question.unexpected_datagrams > 0));
    }
}

#[tokio::test]
async fn dns_loops_and_huge_answers_are_bounded() {
    let server = DnsServer::start(Zone::looping(HOST).script());
    let view = ask(HOST, server.address()).await;
    assert_eq!(view.outcome, ViewOutcome::BadAnswer);
    assert!(view.reason.unwrap().contains("loops"));

    let server = DnsServer::start(long_chain(HOST, 40, Ipv4Addr::LOCALHOST).script());
    let view = ask(HOST, server.address()).await;
    assert_eq!(view.outcome, ViewOutcome::BadAnswer);
    assert!(view.chain.len() <= 16);

    let server = DnsServer::start(many_addresses(HOST, 3_000).script());
    let view = ask(HOST, server.address()).await;
    assert_eq!((view.outcome, view.transport), (ViewOutcome::Answered, Some(Seen::Tcp)));
    assert_eq!(view.addresses.len(), 64);
}

#[tokio::test]
async fn dns_records_off_chain_are_ignored() {
    let server = DnsServer::start(|_| {
        Action::answers(vec![
            address("somebody.else.example", 10, Ipv4Addr::new(127, 0, 0, 66)),
            address(HOST, 10, ENDPOINT),
        ])
    });
    let view = ask(HOST, server.address()).await;
    assert_eq!(view.ips().collect::<Vec<_>>(), [ENDPOINT]);
}

#[tokio::test]
async fn dns_formerr_is_retried_without_edns() {
    for (rcode, name) in
        [(ResponseCode::FormErr, "FORMERR"), (ResponseCode::NotImp, "NOTIMP"), (ResponseCode::BADVERS, "BADVERS")]
    {
        let zone = Zone::healthy(HOST, ENDPOINT);
        let server = DnsServer::start(move |asked| match asked.edns_payload {
            Some(_) => Action::rcode(rcode),
            None => Action::Reply(zone.answer(asked)),
        });
        let view = ask(HOST, server.address()).await;
        assert_eq!((view.outcome, view.edns_refused.as_deref()), (ViewOutcome::Answered, Some(name)));
        assert_eq!((view.edns_dropped, view.ips().collect::<Vec<_>>()), (false, vec![ENDPOINT]));
        assert!(server.asked().iter().any(|asked| asked.edns_payload == Some(1232)));
    }
}

/// A server that cannot read the query's end sends the header back, without the question.
#[tokio::test]
async fn dns_formerr_without_question_is_an_answer() {
    let zone = Zone::healthy(HOST, ENDPOINT);
    let server = DnsServer::start(move |asked| match asked.edns_payload {
        Some(_) => Action::RawBytes(formerr_header(asked.id)),
        None => Action::Reply(zone.answer(asked)),
    });
    let view = ask(HOST, server.address()).await;
    assert_eq!((view.outcome, view.edns_refused.as_deref()), (ViewOutcome::Answered, Some("FORMERR")));
}

fn formerr_header(id: u16) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Response, OpCode::Query);
    message.metadata.response_code = ResponseCode::FormErr;
    message.to_vec().expect("a message")
}

#[tokio::test]
async fn dns_formerr_to_all_stays_the_answer() {
    let server = DnsServer::start(|_| Action::rcode(ResponseCode::FormErr));
    let view = ask(HOST, server.address()).await;
    assert_eq!((view.outcome, view.rcode.as_deref()), (ViewOutcome::OtherRcode, Some("FORMERR")));
    assert_eq!((view.edns_refused, view.edns_dropped), (None, false));
}

#[tokio::test]
async fn dns_ids_and_ports_are_random() {
    let server = DnsServer::start(Zone::healthy(HOST, ENDPOINT).script());
    for _ in 0..8 {
        ask(HOST, server.address()).await;
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 16, "A and AAAA, eight times");
    let distinct = |mut values: Vec<u16>| {
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    assert!(distinct(asked.iter().map(|asked| asked.id).collect()) >= 14);
    assert!(distinct(asked.iter().map(|asked| asked.source.port()).collect()) >= 7);
    let ids: Vec<u16> = asked.iter().map(|asked| asked.id).collect();
    assert!(ids.windows(2).filter(|pair| pair[1] == pair[0].wrapping_add(1)).count() < 3, "they count up: {ids:?}");
    assert_eq!(server.names_asked(RecordType::AAAA).len(), 8);
}

#[tokio::test]
async fn dns_answer_age_is_known_on_repeat() {
    let server = DnsServer::start(Zone::healthy(HOST, ENDPOINT).script());
    let plan = plan(HOST, &[server.address()]);
    let (_handle, interrupt) = Interrupt::new();
    let prober = Prober::new();
    let mut unchanged = Vec::new();
    for _ in 0..3 {
        let observation = prober.probe(&plan, &interrupt).await;
        unchanged.push(observation.resolution.views[0].same_answer);
    }
    let [None, Some(second), Some(third)] = unchanged.as_slice() else { panic!("{unchanged:?}") };
    assert!(second.for_seconds < third.for_seconds && third.longest_ttl > 0, "{unchanged:?}");
}

#[tokio::test]
async fn dns_interrupt_keeps_partial_result() {
    let good = DnsServer::start(Zone::healthy(HOST, ENDPOINT).script());
    let silent = DnsServer::start(|_| Action::Drop);
    let plan = plan(HOST, &[good.address(), silent.address()]);
    let (handle, interrupt) = Interrupt::new();
    let prober = Prober::new();
    let asked = async {
        while silent.asked().is_empty() || good.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        // The good answers are on their way; the connection that follows is the sign that they came.
        tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>()).await.unwrap_err();
        handle.raise();
    };
    let (observation, ()) = tokio::join!(prober.probe(&plan, &interrupt), asked);
    let outcomes: Vec<ViewOutcome> = observation.resolution.views.iter().map(|view| view.outcome).collect();
    assert_eq!(outcomes, [ViewOutcome::Answered, ViewOutcome::Interrupted]);
    assert!(observation.resolution.views[1].took_seconds.is_none_or(|took| took.0 < Duration::from_secs(2)));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn dns_split_view_of_bind() {
    let public = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 20));
    let bind = Bind::start(ENDPOINT, public);
    let observation = probe(&plan(bind::CACHE, &[bind.linked(), bind.unlinked()])).await;
    let [linked, unlinked] = observation.resolution.views.as_slice() else { panic!("two views") };
    assert_eq!(linked.ips().collect::<Vec<_>>(), [ENDPOINT]);
    assert_eq!(unlinked.ips().collect::<Vec<_>>(), [public]);
    assert!(linked.privatelink_zone.is_some() && unlinked.privatelink_zone.is_some());

    for (host, outcome) in [
        (bind::RECORD_MISSING, ViewOutcome::NameNotFound),
        (bind::RECORD_EMPTY, ViewOutcome::NoData),
        (bind::BROKEN, ViewOutcome::ServerFailure),
        (bind::REFUSED, ViewOutcome::Refused),
        (bind::LOOP, ViewOutcome::ServerFailure),
        (bind::NO_ENDPOINT, ViewOutcome::Answered),
        (bind::MANY_ADDRESSES, ViewOutcome::Answered),
        (bind::DUAL_STACK, ViewOutcome::Answered),
    ] {
        let view = ask(host, bind.linked()).await;
        assert_eq!(view.outcome, outcome, "{host}: {view:?}");
        match host {
            bind::RECORD_MISSING | bind::RECORD_EMPTY => {
                assert!(view.privatelink_zone.is_some(), "the chain of a dangling name is kept: {view:?}");
            }
            bind::LOOP => {
                assert!(view.reason.unwrap().contains("loops"), "BIND says SERVFAIL, and its answer shows why")
            }
            bind::MANY_ADDRESSES => {
                assert_eq!(view.transport, Some(Seen::Tcp));
                assert_eq!(view.addresses.len(), 64);
            }
            bind::DUAL_STACK => {
                assert!(view.ips().any(|ip| ip.is_ipv6()) && view.ips().any(|ip| ip.is_ipv4()));
            }
            _ => {}
        }
    }
}
