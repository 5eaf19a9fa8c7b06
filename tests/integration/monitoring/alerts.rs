//! The shipped rules in a real Prometheus: the view of a name server flips to the public address and back.
#![allow(clippy::print_stdout, reason = "the figures of a run are shown by --nocapture")]

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::world::{HOST, PRIVATE, World};

const SCRAPE_SECONDS: f64 = 2.0;

/// Measured from the beginning of the first probe that saw the flip (which is when it took effect) to the time
/// that Prometheus gives the alert. It waits for no more than the next scrape and the next evaluation.
#[test]
fn view_flip_alert_fires_and_resolves() {
    let mut world = World::new();
    world.agent(
        "app-a",
        &format!(
            "defaults: {{interval: 500ms, tls: {{ca_file: CA_FILE}}, expect: {{endpoints: [{PRIVATE}]}}}}\n\
             targets: [{{name: sessions, host: {HOST}}}]\n"
        ),
    );
    world.prometheus("2s", "500ms");
    let private = "redpath_path_private{target=\"sessions\"}";
    world.wait_for("healthy, for three scrapes", |world| {
        let series = world.query(&format!("count_over_time(({private} == 1)[1m:1s])"), "");
        let count: f64 = series.first()?["value"][1].as_str()?.parse().ok()?;
        (count > 2.0 * SCRAPE_SECONDS).then_some(())
    });
    assert_eq!(active(&world), Some(Vec::new()), "an alert fires where all is well");

    world.sees_private_zone(false);
    let alert = world.wait_for("the alert", |world| {
        let alerts = active(world)?;
        alerts.into_iter().find(|alert| alert["labels"]["alertname"] == "RedpathPathNotPrivate")
    });
    assert_eq!(alert["state"], "firing");
    for (label, value) in [("target", "sessions"), ("subnet", "app-a"), ("vnet", "spoke-1"), ("severity", "critical")] {
        assert_eq!(alert["labels"][label], value, "{alert}");
    }
    let fired = OffsetDateTime::parse(alert["activeAt"].as_str().expect("a time"), &Rfc3339).expect("RFC 3339");
    let fired = fired.unix_timestamp_nanos() as f64 / 1e9;
    let scraped = samples(&world, private).into_iter().find(|(_, value)| *value == 0.0).expect("a scrape saw it").0;
    let flipped = since(&world, scraped);
    assert!(
        flipped <= scraped && scraped <= fired && fired - flipped <= 2.0 * SCRAPE_SECONDS,
        "probed at {flipped}, scraped at {scraped}, fired at {fired}"
    );
    println!("scraped {:.2} s after the probe, fired after {:.2} s", scraped - flipped, fired - flipped);

    world.sees_private_zone(true);
    world.wait_for("the alert to resolve", |world| active(world)?.is_empty().then_some(()));
    let (resolved, _) =
        *samples(&world, "ALERTS{alertname=\"RedpathPathNotPrivate\",alertstate=\"firing\"}").last().expect("it fired");
    let scraped = samples(&world, private).last().expect("a scrape").0;
    let back = since(&world, scraped);
    assert!(resolved - back <= 2.0 * SCRAPE_SECONDS, "probed at {back}, last firing at {resolved}");
    println!("last firing {:.2} s after the probe", resolved - back);
}

/// The alerts that are pending or firing; none where Prometheus does not answer.
fn active(world: &World) -> Option<Vec<Value>> {
    world.get("/api/v1/alerts")["data"]["alerts"].as_array().cloned()
}

/// Time and value of the samples of one series in the last minute.
fn samples(world: &World, series: &str) -> Vec<(f64, f64)> {
    let result = world.query(&format!("{series}[1m]"), "");
    let samples = result.first().and_then(|series| series["values"].as_array().cloned()).unwrap_or_default();
    let sample = |sample: &Value| Some((sample[0].as_f64()?, sample[1].as_str()?.parse().ok()?));
    samples.iter().filter_map(sample).collect()
}

/// When the first probe began that had the verdict of this time.
fn since(world: &World, time: f64) -> f64 {
    let series = world.query("redpath_verdict_since_timestamp_seconds{target=\"sessions\"}", &format!("&time={time}"));
    series.first().and_then(|series| series["value"][1].as_str()?.parse().ok()).expect("a verdict")
}
