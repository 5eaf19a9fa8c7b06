//! The parts of a probe that redpath itself computes, and the page of all results, each alone: `make bench`.
//!
//! What a whole probe costs, beside other programs, is `benches/peers.rs`.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use redpath::address::classify;
use redpath::config::MetricsSettings;
use redpath::output::metrics::{ExpositionFormat, Metrics};
use redpath::plan::Plan;
use redpath::record::{Record, saved};

/// A record of a probe that found a stale forwarder: three views, a connection, findings.
const RECORD: &str = include_str!("../tests/stories/saved-stale-forwarder-public-access-disabled.record.json");

/// The targets of the page.
const TARGETS: usize = 1_000;

fn record() -> Record {
    let saved = saved::read(RECORD.as_bytes()).expect("a saved record");
    saved.report.records.into_iter().next().expect("one record")
}

fn classification(criterion: &mut Criterion) {
    let texts = ["10.60.4.5", "20.50.1.10", "168.63.129.16", "fd00::5", "2603:1030::1", "127.0.0.1"];
    let addresses = texts.map(|text| text.parse::<IpAddr>().expect("an address"));
    let ranges = ["203.0.113.0/24", "198.51.100.0/24"].map(|range| range.parse().expect("a range"));
    criterion.bench_function("classify 6 addresses, 2 private ranges", |bencher| {
        bencher.iter(|| addresses.map(|address| classify(black_box(address), black_box(&ranges))));
    });
}

fn diagnosis(criterion: &mut Criterion) {
    let Record { started_at, took_seconds, target, vantage, expectation, observation, .. } = record();
    criterion.bench_function("diagnose a probe of 3 views with findings", |bencher| {
        bencher.iter(|| {
            let parts = (target.clone(), vantage.clone(), expectation.clone(), observation.clone());
            Record::new(started_at, took_seconds.0, parts.0, parts.1, parts.2, black_box(parts.3))
        });
    });
}

fn page(criterion: &mut Criterion) {
    let record = record();
    let metrics = Metrics::new(&MetricsSettings::default(), &record.vantage);
    let mut records: Vec<Arc<Record>> = Vec::new();
    for number in 0..TARGETS {
        let mut record = record.clone();
        record.target.name = format!("cache{number}");
        records.push(Arc::new(record));
    }
    metrics.set_targets(&records.iter().map(|record| Plan::new(record.target.clone())).collect::<Vec<_>>());
    records.iter().for_each(|record| metrics.observe(record));
    for (format, name) in [(ExpositionFormat::Text, "text"), (ExpositionFormat::OpenMetrics, "OpenMetrics")] {
        criterion.bench_function(&format!("/metrics of 1,000 targets, {name}"), |bencher| {
            bencher.iter(|| metrics.encode(black_box(format)));
        });
    }
    let record = Arc::new(record);
    criterion.bench_function("take a record into account", |bencher| {
        bencher.iter(|| metrics.observe(black_box(&record)));
    });
}

criterion_group!(parts, classification, diagnosis, page);
criterion_main!(parts);
