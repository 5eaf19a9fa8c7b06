//! The gate over a real Prometheus that scrapes real agents.
#![allow(clippy::print_stdout, reason = "the answers of a run are shown by --nocapture")]

use super::world::{HOST, PRIVATE, UNLINKED, World};

const EXPECTED: &str = "vantages: [{subnet: app-a}, {subnet: app-b}, {subnet: app-c}, {subnet: app-d}, {subnet: app-e}, {subnet: app-f}]\ntargets: [sessions]\n";

fn configuration(resolver: &str) -> String {
    format!(
        "{resolver}defaults: {{interval: 500ms, tls: {{ca_file: CA_FILE}}, expect: {{endpoints: [{PRIVATE}]}}}}\n\
         targets: [{{name: sessions, host: {HOST}}}]\n"
    )
}

/// Six vantages are expected: four are ready, one asks a name server without the zone, one is silent.
#[test]
fn gate_over_prometheus_waits_for_all() {
    let mut world = World::new();
    let linked = configuration("");
    for subnet in ["app-a", "app-b", "app-c", "app-d", "other"] {
        world.agent(subnet, &linked);
    }
    let stale = configuration(&format!("resolvers: [{{name: stale, address: {UNLINKED}}}]\n"));
    world.agent("app-e", &stale.replace("interval: 500ms", "interval: 500ms, views: [stale]"));
    world.prometheus("1s", "10s");
    world.wait_for("six agents in Prometheus", |world| {
        let (text, _) = world.gate(EXPECTED, &[]);
        (text.matches("  READY").count() == 4 && text.contains("public 20.50.1.10") && text.contains("unexpected"))
            .then_some(())
    });
    let (text, status) = world.gate(EXPECTED, &[]);
    println!("{text}");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.starts_with("NOT READY at "), "{text}");
    for part in [
        "app-f: silent: nothing was heard of it",
        "4 of 6 expected vantages are ready, 1 silent",
        "app-e (",
        "path: public 20.50.1.10",
        "unexpected",
        "other (",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    world.configure("app-e", &linked);
    world.agent("app-f", &linked);
    let (text, status) = world.gate(EXPECTED, &["--for", "10s", "--wait", "--interval", "1s", "--timeout", "60s"]);
    println!("{text}");
    assert_eq!(status, Some(0), "{text}");
    assert!(text.starts_with("READY at "), "{text}");
    let (text, status) = world.gate(EXPECTED, &["--for", "10m"]);
    assert_eq!(status, Some(1), "no probe is that old: {text}");
    assert!(text.contains("no probe before "), "{text}");
}
