//! `/probe` for hosts under an allowed suffix, asked by whoever controls a name there: what it may lead the agent to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_proto::rr::RecordType;

use crate::support::agent::{Agent, Directory, agent};
use crate::support::dns::{Action, Asked, DnsServer};
use crate::support::fake_redis::{FakeRedis, requiring};
use crate::support::zone::address;

/// A host of the operator's, and where nothing may be connected to: loopback, as seen by any name.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// The one host that the operator named.
const CONFIGURED: &str = "sessions.example.net";

/// A name server, two servers that note who connects, and an agent for which [`HOST`] alone is private.
struct World {
    dns: DnsServer,
    host: FakeRedis,
    loopback: FakeRedis,
    agent: Agent,
    _directory: Directory,
}

impl World {
    /// `answers`: the addresses of a name that is not configured at each question, counted from 1.
    async fn new(name: &str, answers: impl Fn(usize) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        let dns = DnsServer::start(move |asked: &Asked| {
            if asked.record_type != RecordType::A {
                return Action::answers(Vec::new());
            }
            let host = asked.host();
            let ips = if host == CONFIGURED { vec![HOST] } else { answers(asked.attempt) };
            Action::answers(ips.into_iter().map(|ip| address(host, 0, ip)).collect())
        });
        let host = FakeRedis::start(SocketAddr::new(HOST, 0), None, requiring("x")).expect("a free port");
        let port = host.address().port();
        let loopback = FakeRedis::start(SocketAddr::new(LOOPBACK, port), None, requiring("x")).expect("the same port");
        let directory = Directory::new(name);
        let config = format!(
            "resolvers: [{{name: lab, address: '{}'}}]\nprivate_ranges: [127.0.0.10]\n\
             defaults: {{interval: 1h, timeout: 3s, views: [lab], tls: {{plaintext: true}}, posture: {{require_auth: off}}}}\n\
             web: {{listen: '127.0.0.1:0', probe: {{allowed_suffixes: [example.org]}}}}\n\
             targets: [{{name: sessions, host: {CONFIGURED}, port: {port}}}]\n",
            dns.address()
        );
        let agent = Agent::start(agent(&directory.file("agent.yaml", &config))).await;
        agent.has_probed("sessions", 1).await;
        Self { dns, host, loopback, agent, _directory: directory }
    }

    /// Whether the probe of the name succeeded.
    async fn probed(&self, name: &str) -> bool {
        let page = self.agent.request("GET", &format!("/probe?target={name}:{}", self.host.address().port())).await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        page.contains("probe_success 1\n")
    }

    /// How often anybody connected to the host, and to loopback.
    fn connections(&self) -> (usize, usize) {
        (self.host.connections().len(), self.loopback.connections().len())
    }
}

/// A second answer (DNS rebinding) is never asked for.
#[tokio::test]
async fn on_demand_resolves_name_once() {
    let world = World::new("rebinding", |question| match question {
        1 => vec![HOST],
        question if question % 2 == 0 => vec![LOOPBACK],
        _ => vec![METADATA],
    })
    .await;
    let before = world.connections();
    assert!(world.probed("rebind.example.org").await);
    let asked = |name: &str| world.dns.names_asked(RecordType::A).iter().filter(|asked| *asked == name).count();
    assert_eq!(asked("rebind.example.org"), 1, "what is connected to is what was looked at");
    assert_eq!(world.connections(), (before.0 + 1, 0));
    for question in 2..6 {
        assert!(!world.probed("rebind.example.org").await);
        assert_eq!(asked("rebind.example.org"), question);
    }
    assert_eq!(world.connections(), (before.0 + 1, 0), "the later answers were connected to");
}

#[tokio::test]
async fn on_demand_uses_only_allowed_addresses() {
    let world = World::new("mixed", |_| vec![LOOPBACK, METADATA, HOST, "127.0.0.1".parse().expect("an address")]).await;
    let before = world.connections();
    world.probed("mixed.example.org").await;
    assert_eq!(world.connections(), (before.0 + 1, 0));
}

#[tokio::test]
async fn on_demand_rejects_foreign_names_and_ports() {
    let world = World::new("elsewhere", |_| vec![HOST]).await;
    let (before, questions) = (world.connections(), world.dns.asked().len());
    let port = world.host.address().port();
    for (target, status) in [
        (format!("cache1.evil.example:{port}"), 404),
        (format!("evilexample.org:{port}"), 404),
        (format!("example.org.evil.example:{port}"), 404),
        (format!("127.0.0.10:{port}"), 400),
        ("a.example.org:22".to_owned(), 400),
        ("a.example.org:443".to_owned(), 400),
        (format!("rediss://a.example.org:{port}"), 400),
        (format!("a.example.org:{port}@evil.example"), 400),
    ] {
        let page = world.agent.request("GET", &format!("/probe?target={target}")).await;
        assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {page}");
    }
    assert_eq!((world.connections(), world.dns.asked().len()), (before, questions));
}
