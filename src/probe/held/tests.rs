//! Tests of the held connections against listeners on loopback.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::address::AddressClass;
use crate::observation::{HeldEndKind, Phase};
use crate::probe::budget::InterruptHandle;
use crate::target::{HostName, Target};

/// Nothing here takes a tenth as long.
const LIMIT: Duration = Duration::from_secs(30);

struct Case {
    held: HeldConnections,
    connector: Arc<Connector>,
    plan: Plan,
    listener: TcpListener,
    interrupt: Interrupt,
    _handle: InterruptHandle,
}

impl Case {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let target = Target::new(HostName::parse("cache1.example.org").expect("a host name"), Some(port), false);
        let plan = Plan { held_connection: true, timeout: Duration::from_secs(2), ..Plan::new(target) };
        let (handle, interrupt) = Interrupt::new();
        let connector = Arc::new(Connector::new());
        Self { held: HeldConnections::default(), connector, plan, listener, interrupt, _handle: handle }
    }

    /// As a probe that could use the cache does at its end.
    fn after_probe(&self) -> HeldConnectionFacts {
        let address = self.listener.local_addr().expect("an address");
        let connection = Connection::new(address, AddressClass::Loopback);
        let done = Duration::from_millis(1);
        let mut phases = ConnectionPhases { connect: Phase::done(done), ..ConnectionPhases::default() };
        phases.ping = Phase::done(done);
        let resolution = Resolution::default();
        let found = FoundByProbe { resolution: &resolution, phases: &phases, connection: Some(&connection) };
        self.held.after_probe(&self.plan, &found).expect("it is held")
    }

    fn ping(&self) {
        self.held.ping(&self.connector, &self.plan, &self.interrupt);
    }

    /// The server's side of an open connection whose first `PING` is answered.
    async fn open(&self) -> TcpStream {
        self.ping();
        assert_eq!(self.after_probe().state, HeldState::NotOpened);
        let (mut server, _) = self.listener.accept().await.expect("a client");
        reply(&mut server, b"-NOAUTH Authentication required.\r\n").await;
        self.until(|facts| facts.state == HeldState::Open).await;
        server
    }

    fn facts(&self) -> HeldConnectionFacts {
        let held = lock(&self.held.0);
        let status = lock(&held[&key(&self.plan)].status);
        facts(&status, &self.plan, &Resolution::default())
    }

    async fn until(&self, holds: impl Fn(&HeldConnectionFacts) -> bool) -> HeldConnectionFacts {
        let wait = async {
            loop {
                let facts = self.facts();
                if holds(&facts) {
                    return facts;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, wait).await.expect("the state comes")
    }

    async fn end(&self) -> HeldEnd {
        let facts = self.until(|facts| facts.losses == 1).await;
        assert_eq!((facts.state, facts.open()), (HeldState::Closed, None));
        facts.ended.expect("it has ended")
    }
}

/// Answers one command.
async fn reply(server: &mut TcpStream, bytes: &[u8]) {
    let mut command = [0; 64];
    let length = server.read(&mut command).await.expect("a command");
    assert_eq!(&command[..length], b"*1\r\n$4\r\nPING\r\n");
    server.write_all(bytes).await.expect("an open connection");
}

#[tokio::test]
async fn held_noauth_is_alive_until_fin() {
    let case = Case::new().await;
    let mut server = case.open().await;
    for answer in [&b"-NOAUTH Authentication required.\r\n"[..], b"+PONG\r\n", b"-NOPERM no\r\n"] {
        case.ping();
        reply(&mut server, answer).await;
    }
    case.until(|facts| facts.state == HeldState::Open).await;
    drop(server);
    let end = case.end().await;
    assert_eq!((end.how, end.reason.as_str()), (HeldEndKind::Fin, "the peer closed it (FIN)"));
    assert_eq!(end.address, case.listener.local_addr().expect("an address"));
}

#[tokio::test]
async fn held_reset_is_named_and_opened_again() {
    let case = Case::new().await;
    let server = case.open().await;
    server.set_zero_linger().expect("an option");
    drop(server);
    assert_eq!(case.end().await.how, HeldEndKind::Rst);
    // Not before the next probe.
    assert_eq!(case.after_probe().state, HeldState::Closed);
    let (mut server, _) = case.listener.accept().await.expect("a client");
    reply(&mut server, b"+PONG\r\n").await;
    let facts = case.until(|facts| facts.state == HeldState::Open).await;
    assert_eq!((facts.losses, facts.ended.map(|end| end.how)), (1, Some(HeldEndKind::Rst)));
}

#[tokio::test]
async fn held_error_reply_ends_it() {
    let case = Case::new().await;
    let mut server = case.open().await;
    case.ping();
    reply(&mut server, b"-LOADING Redis is loading the dataset in memory\r\n").await;
    let end = case.end().await;
    assert_eq!(end.how, HeldEndKind::ErrorReply);
    assert!(end.reason.contains("LOADING Redis is loading"), "{}", end.reason);
}

#[tokio::test]
async fn held_error_without_command_ends_it() {
    let case = Case::new().await;
    let mut server = case.open().await;
    server.write_all(b"-ERR max number of clients reached\r\n").await.expect("an open connection");
    assert_eq!(case.end().await.how, HeldEndKind::ErrorReply);
}

#[tokio::test]
async fn held_acknowledged_ping_is_no_silence() {
    let case = Case::new().await;
    let mut server = case.open().await;
    case.ping();
    let mut command = [0; 64];
    let _ = server.read(&mut command).await.expect("a command");
    assert_eq!(case.until(|facts| facts.state == HeldState::Waiting).await.losses, 0);
    let end = case.end().await;
    assert_eq!(end.how, HeldEndKind::NoReply, "{}", end.reason);
}

#[tokio::test]
async fn held_connection_of_removed_plan_closes() {
    let case = Case::new().await;
    let mut server = case.open().await;
    case.held.retain(|plan| *plan == case.plan);
    case.ping();
    reply(&mut server, b"+PONG\r\n").await;
    case.held.retain(|_| false);
    let mut rest = Vec::new();
    let read = timeout(LIMIT, server.read_to_end(&mut rest)).await.expect("it closes");
    read.expect("an orderly end");
    assert_eq!(rest, b"*1\r\n$4\r\nQUIT\r\n");
}

#[tokio::test]
async fn held_first_ping_failed_is_not_opened() {
    let case = Case::new().await;
    case.ping();
    case.after_probe();
    let (mut server, _) = case.listener.accept().await.expect("a client");
    reply(&mut server, b"-ERR max number of clients reached\r\n").await;
    let facts = case.until(|facts| facts.not_opened.is_some()).await;
    assert_eq!((facts.state, facts.losses), (HeldState::NotOpened, 0));
    assert!(facts.not_opened.is_some_and(|reason| reason.contains("max number of clients")));
}
