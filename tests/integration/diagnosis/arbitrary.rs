//! Arbitrary observations: drawn from few addresses and names, so that the rules meet each other.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use strum::IntoEnumIterator;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use redpath::azure;
use redpath::azure::facts::AzFacts;
use redpath::clock::Timestamp;
use redpath::expectation::{Expectation, ExpectedPath};
use redpath::observation::dns::{
    ChainRecord, HostsEntry, Question, RepeatGroup, Resolution, ResolveFailure, ResolvedAddress, Transport, ViewKind,
};
use redpath::observation::redis::{AuthFacts, AuthMethod, PingFacts, PingReply};
use redpath::observation::tcp::FailedAttempt;
use redpath::observation::tls::{CertificateChecks, CertificateFacts, TlsFacts};
use redpath::observation::{
    ConnectFailure, Connection, ConnectionPhases, Observation, OtherConnection, Phase, Phases, RedisFailure,
    SkipReason, StoppedBy, TlsFailure, View, ViewOutcome,
};
use redpath::target::{HostName, Target};

/// What the diagnosis is given.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) target: Target,
    pub(crate) expectation: Expectation,
    pub(crate) observation: Observation,
}

const HOSTS: &[&str] = &[
    "cache1.redis.cache.windows.net",
    "amr1.westeurope.redis.azure.net",
    "cache1.privatelink.redis.cache.windows.net",
    "redis.corp.example",
];

const IPS: &[&str] = &[
    "10.60.4.5",
    "10.60.4.5",
    "10.60.4.9",
    "::ffff:10.60.4.5",
    "fd10:60:4::5",
    "20.50.1.10",
    "20.50.1.11",
    "2603:1030:50:1::10",
    "100.64.7.5",
    "127.0.0.1",
    "203.0.113.5",
];

const SERVERS: &[&str] = &["168.63.129.16:53", "10.10.0.53:53", "10.10.0.54:5353", "20.50.1.53:53", "[fd00::53]:53"];

/// What may come from outside, some of it meant for a terminal or a shell.
const WORDS: &[&str] = &[
    "cache1.privatelink.redis.cache.windows.net",
    "cache1-we.westeurope.cloudapp.azure.com",
    "$(reboot).privatelink.redis.cache.windows.net",
    "-rf.redis.cache.windows.net",
    "a;b\n.redis.azure.net",
    "\u{1b}[2J\u{202e}",
    "",
];

fn ip() -> impl Strategy<Value = IpAddr> {
    select(IPS).prop_map(|ip| ip.parse().unwrap_or(IpAddr::from([10, 60, 4, 5])))
}

fn word() -> impl Strategy<Value = String> {
    select(WORDS).prop_map(str::to_owned)
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    option::of(
        (1_700_000_000i64..1_900_000_000)
            .prop_map(|seconds| Timestamp::from_unix(seconds).unwrap_or_else(Timestamp::now)),
    )
}

fn target() -> impl Strategy<Value = Target> {
    (select(HOSTS), select(HOSTS), any::<bool>(), any::<bool>()).prop_filter_map("hosts", |(host, other, same, tls)| {
        let mut target = Target::new(HostName::parse(host).ok()?, None, tls);
        target.server_name = HostName::parse(if same { host } else { other }).ok()?;
        Some(target)
    })
}

fn expectation() -> impl Strategy<Value = Expectation> {
    let nets = || prop::collection::vec(select(&["10.60.4.5/32", "20.50.1.10/32", "100.64.0.0/10"][..]), 0..2);
    let path = select(&[ExpectedPath::Private, ExpectedPath::Private, ExpectedPath::Public, ExpectedPath::Any][..]);
    (path, nets(), nets(), any::<bool>(), any::<bool>(), option::weighted(0.3, az())).prop_map(
        |(path, endpoints, ranges, require_auth, slow, az)| {
            let nets = |texts: Vec<&str>| texts.iter().filter_map(|text| text.parse().ok()).collect();
            let budget = || Duration::from_micros(500).into();
            let latency = redpath::phase::PhaseName::iter().filter(|_| slow).map(|phase| (phase, budget())).collect();
            Expectation {
                path,
                endpoints: nets(endpoints),
                private_ranges: nets(ranges),
                require_auth,
                latency,
                az: az.map(Box::new),
                ..Expectation::default()
            }
        },
    )
}

/// Files of `tests/fixtures/az/` that name causes, and such as name none.
const AZ: &[&str] = &[
    "redis-show-public.arm",
    "redis-show.cli",
    "redisenterprise-show-managed.cli",
    "database-list-managed-plaintext.cli",
    "private-endpoint-show-approved.cli",
    "private-endpoint-show-pending.arm",
    "private-endpoint-show-disconnected.arm",
    "private-endpoint-show-wrong-group.cli",
    "private-endpoint-connection-list-rejected.cli",
    "dns-zone-group-list-no-records.cli",
    "dns-zone-group-list-wrong-zone.cli",
    "private-dns-zone-list-unlinked.arm",
    "link-vnet-list-fallback.arm",
    "record-set-show-stale.arm",
    "empty-list.cli",
];

/// Facts of some files about one of the hosts, their names and IDs at times as nobody writes them.
fn az() -> impl Strategy<Value = AzFacts> {
    (subsequence(AZ, 0..5), select(HOSTS), word(), option::weighted(0.3, word())).prop_map(
        |(files, host, file, name)| {
            let mut expectation = Expectation::default();
            if let Ok(host) = HostName::parse(host) {
                crate::az::read(&files).expect(&mut Target::new(host, None, true), true, &mut expectation);
            }
            let mut facts = expectation.az.map(|facts| *facts).unwrap_or_default();
            if let Some(name) = name {
                let id = Some(format!("/subscriptions/x/resourceGroups/{name}/{name}"));
                if let Some(cache) = &mut facts.cache {
                    (cache.file, cache.host, cache.id) = (file.clone(), name.clone(), id.clone());
                }
                for endpoint in &mut facts.endpoints {
                    (endpoint.file, endpoint.id, endpoint.group_ids) = (file.clone(), id.clone(), vec![name.clone()]);
                }
                for group in &mut facts.zone_groups {
                    (group.file, group.zone, group.endpoint_id) = (file.clone(), name.clone(), id.clone());
                }
                for link in &mut facts.links {
                    (link.file, link.network_id) = (file.clone(), id.clone());
                }
                for zone in &mut facts.zones {
                    (zone.file, zone.id) = (file.clone(), id.clone());
                }
            }
            facts
        },
    )
}

const OUTCOMES: &[ViewOutcome] = &[
    ViewOutcome::NoData,
    ViewOutcome::NameNotFound,
    ViewOutcome::NoAddress,
    ViewOutcome::ServerFailure,
    ViewOutcome::Refused,
    ViewOutcome::OtherRcode,
    ViewOutcome::TryAgain,
    ViewOutcome::Timeout,
    ViewOutcome::Unreachable,
    ViewOutcome::BadAnswer,
    ViewOutcome::Failed,
    ViewOutcome::NotReached,
    ViewOutcome::Interrupted,
];

fn view() -> impl Strategy<Value = View> {
    (
        select(&[ViewKind::Libc, ViewKind::System, ViewKind::Resolver][..]),
        select(SERVERS),
        prop_oneof![3 => Just(None), 2 => select(OUTCOMES).prop_map(Some)],
        prop::collection::vec((ip(), option::of(0u32..4000)), 0..3),
        prop::collection::vec(word(), 0..4),
        option::weighted(0.1, word()),
        option::weighted(0.2, ip()),
        option::weighted(0.2, word()),
        (option::of(word()), tries(), any::<bool>(), prop::collection::vec((select(HOSTS), select(OUTCOMES)), 0..4)),
    )
        .prop_map(
            |(kind, server, failed, ips, names, answered, pinned, canonical, (reason, tries, tcp, asked))| {
                let server: Option<SocketAddr> = server.parse().ok();
                let name = match kind {
                    ViewKind::Libc => "libc".to_owned(),
                    ViewKind::System => server.map_or_else(String::new, |server| format!("system:{}", server.ip())),
                    ViewKind::Resolver => server.map_or_else(String::new, |server| format!("r{}", server.ip())),
                };
                let mut view = View::new(name, kind, server.filter(|_| kind != ViewKind::Libc));
                view.outcome = failed.unwrap_or(ViewOutcome::Answered);
                view.reason = reason;
                view.tries = tries;
                view.transport = tcp.then_some(Transport::Tcp);
                view.udp_silent = tcp && kind != ViewKind::Libc && failed.is_none();
                view.questions = asked.into_iter().map(|(name, outcome)| question(name, outcome)).collect();
                if failed.is_none() {
                    view.addresses = ips
                        .iter()
                        .map(|(ip, ttl)| ResolvedAddress {
                            ip: *ip,
                            class: Expectation::default().class(*ip),
                            ttl: *ttl,
                        })
                        .collect();
                }
                if kind == ViewKind::Libc {
                    view.canonical_name = canonical;
                    view.hosts_file =
                        pinned.into_iter().map(|ip| HostsEntry { file: "/etc/hosts".into(), line: 3, ip }).collect();
                } else {
                    view.answered_name = answered;
                    view.chain = names
                        .windows(2)
                        .filter_map(|pair| match pair {
                            [name, data] => Some(ChainRecord {
                                name: name.clone(),
                                record_type: "CNAME".into(),
                                ttl: 60,
                                data: data.clone(),
                            }),
                            _ => None,
                        })
                        .collect();
                    view.privatelink_zone = names.iter().find_map(|name| azure::privatelink_zone(name));
                }
                view
            },
        )
}

fn question(name: &str, outcome: ViewOutcome) -> Question {
    Question {
        name: name.to_owned(),
        record_type: "A".into(),
        outcome,
        rcode: None,
        transport: Transport::Udp,
        attempts: 1,
        truncated: outcome == ViewOutcome::Timeout,
        udp_silent: false,
        edns_dropped: false,
        edns_refused: None,
        unexpected_datagrams: 0,
        answers: 0,
        took_seconds: if name.starts_with('r') { Duration::from_secs(1 << 62) } else { Duration::from_millis(1) }
            .into(),
    }
}

/// Some tries of a view, also such as do not fit what the view says.
fn tries() -> impl Strategy<Value = Vec<RepeatGroup>> {
    let one = (
        prop_oneof![1u32..20, any::<u32>()],
        prop_oneof![2 => Just(ViewOutcome::Answered), 1 => select(OUTCOMES)],
        ip(),
        option::of(word()),
    )
        .prop_map(|(count, outcome, ip, rcode)| RepeatGroup {
            count,
            outcome,
            rcode,
            addresses: (outcome == ViewOutcome::Answered)
                .then(|| ResolvedAddress { ip, class: Expectation::default().class(ip), ttl: None })
                .into_iter()
                .collect(),
            took_seconds: Duration::from_millis(1).into(),
        });
    prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(one, 0..9)]
}

fn phase<F: Clone + std::fmt::Debug + std::fmt::Display + 'static>(
    failures: Vec<F>,
) -> impl Strategy<Value = Phase<F>> {
    let took = Duration::from_millis(1);
    let skip = select(vec![
        SkipReason::Plaintext,
        SkipReason::NoCredentials,
        SkipReason::WithheldUnexpectedAddress,
        SkipReason::CredentialUnavailable,
    ]);
    let stop =
        select(vec![StoppedBy::Resolve, StoppedBy::Connect, StoppedBy::Tls, StoppedBy::Auth, StoppedBy::Interrupt]);
    prop_oneof![
        4 => Just(Phase::done(took)),
        2 => select(failures).prop_map(move |failure| Phase::failed(took, failure)),
        1 => skip.prop_map(|reason| Phase::Skipped { reason }),
        1 => stop.prop_map(|stopped_by| Phase::NotReached { stopped_by }),
    ]
}

fn phases() -> impl Strategy<Value = ConnectionPhases> {
    (word(), word()).prop_flat_map(|(error, more)| {
        let reply = |code: &str| RedisFailure::ErrorReply { code: code.into(), message: more.clone() };
        let mut redis: Vec<RedisFailure> =
            ["WRONGPASS", "NOAUTH", "NOPERM", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "MOVED", "ASK", "ERR", "\u{1b}"]
                .into_iter()
                .map(reply)
                .collect();
        redis.extend([
            RedisFailure::ErrorReply { code: "ERR".into(), message: "max number of clients reached".into() },
            RedisFailure::UnexpectedReply { reply: error.clone() },
            RedisFailure::NotRedis { error: error.clone() },
            RedisFailure::TooLong { limit: 9 },
            RedisFailure::Timeout,
            RedisFailure::Closed,
            RedisFailure::Reset,
            RedisFailure::Other { error: error.clone() },
        ]);
        let connect = vec![
            ConnectFailure::Timeout,
            ConnectFailure::Refused,
            ConnectFailure::Reset,
            ConnectFailure::HostUnreachable,
            ConnectFailure::NetworkUnreachable,
            ConnectFailure::Other { error: error.clone() },
        ];
        let tls = vec![
            TlsFailure::Timeout { bytes_received: 0 },
            TlsFailure::Closed { bytes_received: 7 },
            TlsFailure::Reset { bytes_received: 0 },
            TlsFailure::NotTls { received: error.clone(), plain_redis: true },
            TlsFailure::NotTls { received: error.clone(), plain_redis: false },
            TlsFailure::NameMismatch { expected: error.clone(), presented: vec![more.clone(); 12] },
            TlsFailure::CertificateExpired { not_after: None, intermediate: None },
            TlsFailure::CertificateNotYetValid { not_before: None },
            TlsFailure::UntrustedIssuer { issuer: error.clone() },
            TlsFailure::BadCertificate { error: error.clone() },
            TlsFailure::NoSharedVersion,
            TlsFailure::NoSharedCipher,
            TlsFailure::ClientCertificateRequired,
            TlsFailure::Alert { alert: error.clone() },
            TlsFailure::NoTrustAnchors { error: error.clone() },
            TlsFailure::Other { error },
        ];
        (phase(connect), phase(tls), phase(redis.clone()), phase(redis))
            .prop_map(|(connect, tls, auth, ping)| ConnectionPhases { connect, tls, auth, ping })
    })
}

fn connection() -> impl Strategy<Value = Connection> {
    (
        ip(),
        prop::bool::weighted(0.2),
        option::weighted(0.2, ip()),
        option::of(select(&[PingReply::Pong, PingReply::Noauth, PingReply::Noperm][..])),
        (word(), option::weighted(0.2, word()), time()),
        option::of(any::<[bool; 3]>()),
    )
        .prop_map(|(ip, given, earlier, reply, (user, credential_error, not_after), checks)| {
            let class = Expectation::default().class(ip);
            let took = Duration::from_millis(1).into();
            let mut connection = Connection::new(SocketAddr::new(ip, 6380), class);
            connection.address_given = given;
            connection.earlier_attempts.extend(earlier.map(|ip| FailedAttempt {
                address: SocketAddr::new(ip, 6380),
                class,
                failure: ConnectFailure::Timeout,
                took_seconds: took,
            }));
            connection.ping = reply.map(|reply| PingFacts {
                reply,
                samples: 1,
                min_seconds: took,
                median_seconds: took,
                max_seconds: took,
            });
            connection.auth = Some(AuthFacts {
                method: AuthMethod::Password,
                username: Some(user.clone()),
                credential_error,
                surrounded_by: None,
                looks_like: None,
                token_renewed: false,
            });
            let certificate = CertificateFacts {
                subject: user.clone(),
                sans: vec![user.clone()],
                issuer: user,
                not_before: None,
                not_after,
                sha256: String::new(),
                unreadable: None,
            };
            let checks =
                checks.map(|[trusted, in_date, name_matches]| CertificateChecks { trusted, in_date, name_matches });
            connection.tls = Some(TlsFacts { certificate: Some(certificate), checks, ..TlsFacts::default() });
            connection
        })
}

/// Anything at all.
pub(crate) fn seen() -> impl Strategy<Value = Seen> {
    let resolve = phase(vec![
        ResolveFailure::NoView,
        ResolveFailure::NoAddress { view: "libc".into(), view_outcome: ViewOutcome::NoAddress, detail: None },
    ]);
    let others = prop::collection::vec((phases(), connection()), 0..2);
    (
        target(),
        expectation(),
        prop::collection::vec(view(), 0..5),
        0usize..6,
        option::weighted(0.1, word()),
        (resolve, phases()),
        option::weighted(0.8, connection()),
        others,
    )
        .prop_map(|(target, expectation, mut views, in_use, conf, (resolve, phases), connection, others)| {
            views.sort_by_key(|view| view.view != "libc");
            // Most often the first view is in use, as with a real probe.
            let view_in_use = match in_use {
                0..=3 => views.first().map(|view| view.view.clone()),
                4 => views.last().map(|view| view.view.clone()),
                _ => None,
            };
            let observation = Observation {
                resolution: Resolution { views, view_in_use, resolv_conf_error: conf, ..Resolution::default() },
                phases: Phases { resolve, connection: phases, ..Phases::default() },
                connection,
                other_connections: others
                    .into_iter()
                    .map(|(phases, connection)| OtherConnection { phases, connection })
                    .collect(),
                ..Observation::default()
            };
            Seen { target, expectation, observation }
        })
}

/// Every view agrees on the expected address, and the probe goes through.
pub(crate) fn healthy() -> impl Strategy<Value = Seen> {
    (select(&HOSTS[..2]), 1usize..4, 0usize..3, any::<bool>(), any::<bool>()).prop_filter_map(
        "hosts",
        |(host, system, resolvers, libc, password)| {
            let target = Target::new(HostName::parse(host).ok()?, None, true);
            let endpoint = azure::endpoint(host)?;
            let ip: IpAddr = "10.60.4.5".parse().ok()?;
            let expectation = Expectation { endpoints: vec!["10.60.4.5/32".parse().ok()?], ..Expectation::default() };
            let took = Duration::from_millis(1);
            let mut views = Vec::new();
            let names = (0..system)
                .map(|number| (format!("system:10.10.0.{number}"), ViewKind::System))
                .chain((0..resolvers).map(|number| (format!("hub{number}"), ViewKind::Resolver)));
            for (name, kind) in libc.then(|| ("libc".to_owned(), ViewKind::Libc)).into_iter().chain(names) {
                let mut view =
                    View::new(name, kind, (kind != ViewKind::Libc).then(|| SocketAddr::from(([10, 10, 0, 1], 53))));
                view.outcome = ViewOutcome::Answered;
                view.took_seconds = Some(took.into());
                view.addresses = vec![ResolvedAddress { ip, class: expectation.class(ip), ttl: None }];
                if kind != ViewKind::Libc {
                    let data = format!("{}.{}", endpoint.record, endpoint.zone);
                    view.chain = vec![ChainRecord { name: host.into(), record_type: "CNAME".into(), ttl: 60, data }];
                    view.privatelink_zone = Some(endpoint.zone.clone());
                }
                views.push(view);
            }
            let mut connection = Connection::new(SocketAddr::new(ip, target.port), expectation.class(ip));
            let (auth, reply) = if password {
                (Phase::done(took), PingReply::Pong)
            } else {
                (Phase::Skipped { reason: SkipReason::NoCredentials }, PingReply::Noauth)
            };
            let time = took.into();
            connection.ping =
                Some(PingFacts { reply, samples: 1, min_seconds: time, median_seconds: time, max_seconds: time });
            let phases =
                ConnectionPhases { connect: Phase::done(took), tls: Phase::done(took), auth, ping: Phase::done(took) };
            let observation = Observation {
                resolution: Resolution {
                    view_in_use: views.first().map(|view| view.view.clone()),
                    views,
                    ..Resolution::default()
                },
                phases: Phases { resolve: Phase::done(took), connection: phases, ..Phases::default() },
                connection: Some(connection),
                ..Observation::default()
            };
            Some(Seen { target, expectation, observation })
        },
    )
}
