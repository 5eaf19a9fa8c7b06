//! What a phase's time is of: the other side's, not of this program's own waking up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redpath::plan::Plan;
use redpath::probe::budget::{Budget, Interrupt};
use redpath::probe::connection::{ConnectionOutcome, Connector};
use redpath::target::{HostName, Target};
use tokio::sync::Notify;

use crate::support::certificates::NAME;
use crate::support::fake_redis::{Answer, Event, FakeRedis};

/// How long the answer takes, and how long this thread does something else from the question on.
const LATE: Duration = Duration::from_millis(60);
const BUSY: Duration = Duration::from_millis(600);

#[tokio::test]
async fn dns_time_ends_at_arrival() {
    let asked = Arc::new(Notify::new());
    let asked_there = Arc::clone(&asked);
    let script = move |event: Event<'_>| match event {
        Event::Command { words, .. } if words.first().is_some_and(|word| word == "PING") => {
            asked_there.notify_one();
            Answer::Late(LATE, Box::new(Answer::line("+PONG")))
        }
        Event::Command { .. } => Answer::line("+OK"),
        Event::Connected => Answer::Send(Vec::new()),
    };
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = FakeRedis::start(address, None, script).expect("a free port");
    let plan = Plan {
        timeout: Duration::from_secs(10),
        ..Plan::new(Target::new(HostName::parse(NAME).expect("a name"), Some(server.address().port()), false))
    };
    let connector = Connector::new();
    let begun = Instant::now();
    // The kernel begins to stamp packets a moment after the connector has asked for that.
    let took = loop {
        let (_handle, interrupt) = Interrupt::new();
        let budget = Budget::new(plan.timeout, interrupt);
        let busy = async {
            asked.notified().await;
            std::thread::sleep(BUSY);
        };
        let addresses = [server.address().ip()];
        let (ConnectionOutcome { phases, .. }, ()) = tokio::join!(connector.connect(&plan, &addresses, &budget), busy);
        assert!(phases.ping.is_done(), "{phases:?}");
        let took = phases.ping.summary().took.expect("it ran").0;
        if took < BUSY || begun.elapsed() > Duration::from_secs(20) {
            break took;
        }
    };
    assert!(took >= LATE && took < BUSY / 2, "{took:?} for an answer after {LATE:?}");
}

/// The kernel has answered long before this thread gets to hear of it.
#[tokio::test]
async fn connect_time_is_the_handshake_time() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = FakeRedis::start(address, None, |event| match event {
        Event::Command { .. } => Answer::line("+PONG"),
        Event::Connected => Answer::Send(Vec::new()),
    });
    let server = server.expect("a free port");
    let plan = Plan::new(Target::new(HostName::parse(NAME).expect("a name"), Some(server.address().port()), false));
    let (_handle, interrupt) = Interrupt::new();
    let budget = Budget::new(Duration::from_secs(10), interrupt);
    let (connector, addresses) = (Connector::new(), [server.address().ip()]);
    let begun = Instant::now();
    // Its turn comes when the SYN is out.
    let busy = async { std::thread::sleep(BUSY) };
    let (ConnectionOutcome { phases, .. }, ()) =
        tokio::join!(biased; connector.connect(&plan, &addresses, &budget), busy);
    assert!(phases.connect.is_done() && begun.elapsed() >= BUSY, "{phases:?}");
    let took = phases.connect.summary().took.expect("it ran").0;
    assert!(took < BUSY / 4, "{took:?} for a handshake on loopback");
}
