//! The metrics page: as a whole, over the life of a target, and held to its documentation.

mod contract;
mod records;

use std::sync::Arc;
use std::time::Duration;

use redpath::clock::Timestamp;
use redpath::diagnosis::{Code, Severity};
use redpath::metrics_settings::MetricsSettings;
use redpath::observation::dns::ViewKind;
use redpath::observation::{Attempt, AttemptOutcome, Phase, StoppedBy};
use redpath::output::metrics::{ExpositionFormat, Metrics};
use redpath::output::prometheus::{blackbox_exposition, exposition_of};
use redpath::plan::{Addresses, Plan};
use redpath::record::Record;

use records::{PUBLIC, answer, closed_outside, cluster, finding, gone, healthy, interrupted, plan, silent, unlinked};

const INTERVAL: Duration = Duration::from_secs(15);

/// Metrics with the default settings, for these plans.
fn metrics_for(plans: &[Plan]) -> Metrics {
    let metrics = Metrics::new(&MetricsSettings::default(), &records::vantage());
    metrics.set_targets(plans);
    metrics.set_intervals(&plans.iter().map(|plan| (plan.target.name.clone(), INTERVAL)).collect());
    metrics
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode(ExpositionFormat::Text)).expect("UTF-8")
}

/// The value of a series, written out as on the page; `None` where there is none.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

/// The lines of a page that begin like this.
fn lines<'a>(page: &'a str, begin: &str) -> Vec<&'a str> {
    page.lines().filter(|line| line.starts_with(begin)).collect()
}

/// The page after these records of one target.
fn page_after(plan: &Plan, records: &[Record]) -> String {
    let metrics = metrics_for(std::slice::from_ref(plan));
    records.iter().for_each(|record| metrics.observe(&Arc::new(record.clone())));
    text(&metrics)
}

#[test]
fn metrics_before_first_probe_claim_nothing() {
    let page = page_after(&plan("cache1"), &[]);
    let outcomes = lines(&page, "redpath_phase_outcome{");
    assert_eq!(outcomes.len(), 20);
    assert!(outcomes.iter().all(|line| line.ends_with(" 0")), "{outcomes:?}");
    assert_eq!(lines(&page, "redpath_verdict{").len(), 4);
    assert_eq!(lines(&page, "redpath_phase_failures_total{").len(), 5);
    for series in [
        "redpath_probes_total{target=\"cache1\"}",
        "redpath_probe_failures_total{target=\"cache1\"}",
        "redpath_phase_duration_seconds_count{target=\"cache1\",phase=\"auth\"}",
        "redpath_resolution_changes_total{target=\"cache1\",view=\"libc\"}",
        "redpath_resolution_changes_total{target=\"cache1\",view=\"azure\"}",
    ] {
        assert_eq!(value(&page, series), Some(0.0), "{series}");
    }
    for name in [
        "redpath_probe_success",
        "redpath_path_private",
        "redpath_address_expected",
        "redpath_resolver_agreement",
        "redpath_last_probe_timestamp_seconds",
        "redpath_verdict_since_timestamp_seconds",
        "redpath_probe_failures_by_cause_total",
        "redpath_finding_active",
        "redpath_verdict_info",
        "redpath_connection_info",
    ] {
        assert_eq!(lines(&page, name), Vec::<&str>::new());
    }
}

#[test]
fn metrics_healthy_target_has_150_series() {
    let plan = plan("cache1");
    let count = |records: &[Record]| page_after(&plan, records).matches("{target=\"cache1\"").count();
    let (before, healthy_once) = (count(&[]), count(&[healthy(&plan, 0)]));
    let after_trouble = count(&[healthy(&plan, 0), unlinked(&plan, 15), silent(&plan, 30), gone(&plan, 45)]);
    // 95 of them are the phases' histograms: (16 buckets, +Inf, sum and count) of 5 phases.
    assert_eq!((before, healthy_once, after_trouble), (138, 159, 151));
}

#[test]
fn metrics_verdict_info_has_one_series() {
    let plan = plan("cache1");
    let page = page_after(&plan, &[healthy(&plan, 0), unlinked(&plan, 15)]);
    assert_eq!(
        lines(&page, "redpath_verdict_info{"),
        ["redpath_verdict_info{target=\"cache1\",status=\"fail\",cause=\"private_zone_not_seen\"} 1"]
    );
    assert_eq!(
        lines(&page, "redpath_connection_info{"),
        ["redpath_connection_info{target=\"cache1\",address=\"20.50.1.10\",address_class=\"public\"} 1"]
    );
}

#[test]
fn metrics_target_info_names_what_is_expected() {
    let expected = |plan: &Plan| {
        let page = page_after(plan, &[]);
        let info = lines(&page, "redpath_target_info{").first().map(|line| (*line).to_owned()).expect("it is there");
        info.split_once("expected=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a label").0.to_owned()
    };
    let mut plan = plan("cache1");
    assert_eq!(expected(&plan), "10.60.4.5");
    let range = redpath::address::parse_range("10.60.4.0/24").expect("a range");
    plan.expectation.endpoints = vec![range; 10];
    assert!(expected(&plan).ends_with(" and 2 more"), "{}", expected(&plan));
    plan.expectation.endpoints.clear();
    assert_eq!(expected(&plan), "private");
}

#[test]
fn metrics_interval_follows_without_restart() {
    let plan = plan("cache1");
    let metrics = metrics_for(std::slice::from_ref(&plan));
    metrics.observe(&Arc::new(healthy(&plan, 0)));
    let series = "redpath_probe_interval_seconds{target=\"cache1\"}";
    assert_eq!(value(&text(&metrics), series), Some(15.0));
    metrics.set_intervals(&[("cache1".to_owned(), INTERVAL * 20)].into());
    let page = text(&metrics);
    assert_eq!(value(&page, series), Some(300.0));
    assert_eq!(value(&page, "redpath_probes_total{target=\"cache1\"}"), Some(1.0));
}

#[test]
fn metrics_optional_phase_starts_with_run() {
    let plan = plan("cache1");
    let never = page_after(&plan, &[healthy(&plan, 0), silent(&plan, 15)]);
    assert!(!never.contains("phase=\"cluster\"") && !never.contains("redpath_cluster_nodes{"), "{never}");

    let once = [cluster(&plan, 0)];
    let page = page_after(&plan, &once);
    let count = "redpath_phase_duration_seconds_count{target=\"cache1\",phase=\"cluster\"}";
    let failures = "redpath_phase_failures_total{target=\"cache1\",phase=\"cluster\"}";
    assert_eq!((value(&page, count), value(&page, failures)), (Some(1.0), Some(1.0)));
    for (state, nodes) in [("reachable", 2.0), ("unreachable", 1.0), ("unexpected_address", 0.0), ("not_tried", 0.0)] {
        let series = format!("redpath_cluster_nodes{{target=\"cache1\",state=\"{state}\"}}");
        assert_eq!(value(&page, &series), Some(nodes), "{state}");
    }

    // It stays, and claims nothing, once the phase is not reached any more.
    let mut gone = silent(&plan, 15);
    gone.observation.phases.cluster = Some(Phase::NotReached { stopped_by: StoppedBy::Connect });
    let page = page_after(&plan, &[cluster(&plan, 0), gone]);
    assert_eq!((value(&page, count), value(&page, failures)), (Some(1.0), Some(1.0)));
    let outcome = "redpath_phase_outcome{target=\"cache1\",phase=\"cluster\",outcome=\"not_reached\"}";
    assert_eq!(value(&page, outcome), Some(1.0));
    assert!(!page.contains("redpath_cluster_nodes{"), "{page}");
    assert!(blackbox_exposition(&once[0]).contains("probe_phase_duration_seconds{phase=\"cluster\"} 2.5"));
}

#[test]
fn metrics_skipped_phase_has_no_sample() {
    let plan = plan("cache1");
    let record = silent(&plan, 0);
    let page = page_after(&plan, std::slice::from_ref(&record));
    for (phase, count, failures) in
        [("resolve", 1.0, 0.0), ("connect", 1.0, 1.0), ("tls", 0.0, 0.0), ("auth", 0.0, 0.0), ("ping", 0.0, 0.0)]
    {
        let labels = format!("{{target=\"cache1\",phase=\"{phase}\"}}");
        assert_eq!(value(&page, &format!("redpath_phase_duration_seconds_count{labels}")), Some(count), "{phase}");
        assert_eq!(value(&page, &format!("redpath_phase_failures_total{labels}")), Some(failures), "{phase}");
    }
    assert_eq!(
        value(&page, "redpath_phase_outcome{target=\"cache1\",phase=\"tls\",outcome=\"not_reached\"}"),
        Some(1.0)
    );
    let on_demand = blackbox_exposition(&record);
    assert_eq!(value(&on_demand, "probe_phase_duration_seconds{phase=\"connect\"}"), Some(2.5));
    assert_eq!(value(&on_demand, "probe_phase_duration_seconds{phase=\"tls\"}"), None);
}

#[test]
fn metrics_public_address_is_a_sample() {
    let plan = plan("cache1");
    let open = "redpath_public_access_open{target=\"cache1\"}";
    let durations = "redpath_phase_duration_seconds_count{target=\"cache1\",phase=\"posture\"}";
    let outcome = "redpath_phase_outcome{target=\"cache1\",phase=\"posture\",outcome=\"done\"}";
    let of = |page: &str| [open, durations, outcome].map(|series| value(page, series));
    assert_eq!(of(&page_after(&plan, &[healthy(&plan, 0)])), [None; 3]);
    let closed = closed_outside(healthy(&plan, 0));
    assert_eq!(of(&page_after(&plan, std::slice::from_ref(&closed))), [Some(0.0), Some(1.0), Some(1.0)]);
    // The number goes with the probe that told it; what adds up over the probes stays, and the outcome is none.
    let page = page_after(&plan, &[closed.clone(), healthy(&plan, 15)]);
    assert_eq!(of(&page), [None, Some(1.0), Some(0.0)]);

    let with = |how: AttemptOutcome| {
        let mut record = closed.clone();
        let posture = record.observation.phases.posture.as_mut().expect("the phase");
        let public = posture.facts.public_access.as_mut().expect("the check");
        (public.state, public.attempt) = (how.state(), Attempt::ended(how));
        value(&page_after(&plan, &[record]), open)
    };
    assert_eq!(with(AttemptOutcome::RedisAnswered), Some(1.0));
    assert_eq!(with(AttemptOutcome::NoAddress), None, "no claim where it could not be told");
}

/// The gauges of its last address go.
#[test]
fn metrics_name_without_address_drops_claims() {
    let plan = plan("cache1");
    let private = "redpath_path_private{target=\"cache1\"}";
    let expected = "redpath_address_expected{target=\"cache1\"}";
    let before = page_after(&plan, &[healthy(&plan, 0)]);
    assert_eq!((value(&before, private), value(&before, expected)), (Some(1.0), Some(1.0)));

    let page = page_after(&plan, &[healthy(&plan, 0), gone(&plan, 15)]);
    assert_eq!((value(&page, private), value(&page, expected)), (Some(0.0), Some(0.0)));
    for name in [
        "redpath_address_class",
        "redpath_resolution_info",
        "redpath_resolution_ttl_seconds",
        "redpath_tls_info",
        "redpath_tls_certificate_not_after_timestamp_seconds",
    ] {
        assert!(!lines(&before, name).is_empty(), "{name}");
        assert_eq!(lines(&page, name), Vec::<&str>::new());
    }
    assert_eq!(
        lines(&page, "redpath_finding_active{"),
        ["redpath_finding_active{target=\"cache1\",code=\"name_not_found\",severity=\"error\"} 1"]
    );
    assert_eq!(
        value(&page, "redpath_probe_failures_by_cause_total{target=\"cache1\",cause=\"name_not_found\"}"),
        Some(1.0)
    );
    assert_eq!(value(&page, "redpath_resolver_agreement{target=\"cache1\"}"), Some(1.0), "none has an address");
}

#[test]
fn metrics_interrupted_probe_changes_nothing() {
    let plan = plan("cache1");
    let page = page_after(&plan, &[healthy(&plan, 0), interrupted(&plan, 15)]);
    assert_eq!(value(&page, "redpath_probe_success{target=\"cache1\"}"), Some(0.0));
    assert_eq!(value(&page, "redpath_path_private{target=\"cache1\"}"), Some(0.0));
    assert_eq!(value(&page, "redpath_verdict{target=\"cache1\",status=\"unknown\"}"), Some(1.0));
    assert_eq!(value(&page, "redpath_resolver_agreement{target=\"cache1\"}"), None);
    assert_eq!(
        value(&page, "redpath_resolution_changes_total{target=\"cache1\",view=\"system:10.10.0.53\"}"),
        Some(0.0)
    );
}

#[test]
fn metrics_verdict_since_first_probe() {
    let plan = plan("cache1");
    let since = |records: &[Record]| {
        value(&page_after(&plan, records), "redpath_verdict_since_timestamp_seconds{target=\"cache1\"}")
    };
    let first = healthy(&plan, 0).started_at.unix_seconds();
    assert_eq!(since(&[healthy(&plan, 0), healthy(&plan, 15)]), Some(first));
    assert_eq!(since(&[healthy(&plan, 0), silent(&plan, 15), silent(&plan, 30)]), Some(first + 15.0));
    assert_eq!(since(&[silent(&plan, 0), gone(&plan, 15)]), Some(first + 15.0), "failing still, of another cause");
}

/// A timeout is no change of the answer.
#[test]
fn metrics_answer_changes_ignore_timeouts() {
    let plan = plan("cache1");
    let changes = |records: &[Record]| {
        value(&page_after(&plan, records), "redpath_resolution_changes_total{target=\"cache1\",view=\"azure\"}")
    };
    let with_azure = |change: &dyn Fn(&mut redpath::observation::View)| {
        let mut record = healthy(&plan, 15);
        change(&mut record.observation.resolution.views[2]);
        record
    };
    let both = with_azure(&|view| answer(view, &plan, &["10.60.4.5", "10.60.4.6"]));
    let turned = with_azure(&|view| answer(view, &plan, &["10.60.4.6", "10.60.4.5"]));
    let older = with_azure(&|view| view.addresses.iter_mut().for_each(|address| address.ttl = Some(3)));
    let other_chain = with_azure(&|view| view.chain[0].data = "cache1.westeurope.cloudapp.azure.com".into());
    let silence = with_azure(&|view| {
        *view = redpath::observation::View::new(view.view.clone(), view.kind, view.server);
        view.outcome = redpath::observation::ViewOutcome::Timeout;
    });
    let first = healthy(&plan, 0);
    assert_eq!(changes(&[first.clone(), older, first.clone()]), Some(0.0), "a TTL runs down");
    assert_eq!(changes(&[both.clone(), turned]), Some(0.0), "servers rotate");
    assert_eq!(changes(&[first.clone(), silence.clone(), first.clone()]), Some(0.0));
    assert_eq!(changes(&[first.clone(), silence, both.clone()]), Some(1.0));
    assert_eq!(changes(&[first.clone(), other_chain]), Some(1.0), "another chain to the same address");
    assert_eq!(changes(&[first.clone(), gone(&plan, 15), first]), Some(2.0));
}

#[test]
fn metrics_removed_servers_leave_no_series() {
    let plan = plan("cache1");
    let records: Vec<Record> = (0..50)
        .map(|number| {
            let mut record = healthy(&plan, number);
            record.observation.resolution.views[1].view = format!("system:10.10.0.{number}");
            record
        })
        .collect();
    let page = page_after(&plan, &records);
    assert_eq!(lines(&page, "redpath_resolution_changes_total{").len(), 3);
}

#[test]
fn metrics_public_resolver_has_no_agreement() {
    let plan = plan("cache1");
    let agreement_of = |kind: ViewKind, views: [&str; 2], server: &str| {
        let mut record = healthy(&plan, 0);
        let resolution = &mut record.observation.resolution;
        resolution.views[2].kind = kind;
        answer(&mut resolution.views[1], &plan, &[views[0]]);
        answer(&mut resolution.views[2], &plan, &[views[1]]);
        resolution.views[2].server = Some(server.parse().expect("an address"));
        value(&page_after(&plan, &[record]), "redpath_resolver_agreement{target=\"cache1\"}")
    };
    let agreement = |views, server| agreement_of(ViewKind::Resolver, views, server);
    let private = records::PRIVATE;
    assert_eq!(agreement([private, private], "168.63.129.16:53"), Some(1.0));
    assert_eq!(agreement([private, PUBLIC], "168.63.129.16:53"), Some(0.0), "Azure's own stands inside");
    assert_eq!(agreement([private, PUBLIC], "8.8.8.8:53"), Some(1.0));
    assert_eq!(agreement_of(ViewKind::System, [private, PUBLIC], "8.8.8.8:53"), Some(0.0), "applications ask it");
    assert_eq!(agreement([PUBLIC, PUBLIC], "8.8.8.8:53"), Some(0.0));
}

#[test]
fn metrics_absurd_answer_is_capped() {
    let plan = plan("cache1");
    let mut record = healthy(&plan, 0);
    let many: Vec<String> = (0..500).map(|number| format!("20.50.{}.{}", number / 250, number % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let views = &mut record.observation.resolution.views;
    answer(&mut views[0], &plan, &["10.60.4.5", "10.60.4.5", PUBLIC]);
    answer(&mut views[2], &plan, &many);
    views.push(views[1].clone());
    record.findings.push(finding(Code::MixedAddresses, Severity::Error));
    record.findings.push(finding(Code::MixedAddresses, Severity::Error));
    let page = page_after(&plan, &[record]);
    let info = lines(&page, "redpath_resolution_info{");
    assert_eq!(info.len(), 32 - 1, "32, of which one was there twice");
    assert_eq!(
        info[0],
        "redpath_resolution_info{target=\"cache1\",view=\"libc\",path=\"mixed\",address=\"10.60.4.5\",address_class=\"private\"} 1"
    );
    let mut series: Vec<&str> = page.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    let all = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), all, "a series stands twice on the page");
}

#[test]
fn metrics_resolution_can_be_disabled() {
    let plan = plan("cache1");
    let settings =
        MetricsSettings { resolution_info: false, phase_buckets: vec![0.1, 1.0], ..MetricsSettings::default() };
    let metrics = Metrics::new(&settings, &records::vantage());
    metrics.set_targets(std::slice::from_ref(&plan));
    metrics.observe(&Arc::new(healthy(&plan, 0)));
    let page = text(&metrics);
    assert!(!page.contains("address=\""), "an address in {page}");
    assert_eq!(lines(&page, "redpath_phase_duration_seconds_bucket{target=\"cache1\",phase=\"tls\"").len(), 3);
}

#[test]
fn metrics_without_buckets_keep_count_and_sum() {
    let plan = plan("cache1");
    for native_histograms in [false, true] {
        let settings = MetricsSettings { classic_histograms: false, native_histograms, ..MetricsSettings::default() };
        let metrics = Metrics::new(&settings, &records::vantage());
        metrics.set_targets(std::slice::from_ref(&plan));
        metrics.observe(&Arc::new(healthy(&plan, 0)));
        let of_tls = "redpath_phase_duration_seconds_";
        let expected =
            ["bucket{target=\"cache1\",phase=\"tls\",le=\"+Inf\"} 1", "count{target=\"cache1\",phase=\"tls\"} 1"];
        let page = text(&metrics);
        assert_eq!(lines(&page, &format!("{of_tls}bucket{{target=\"cache1\",phase=\"tls\"")).len(), 1);
        for line in expected {
            assert!(page.contains(&format!("{of_tls}{line}\n")), "{line}");
        }
        let page = String::from_utf8(metrics.encode(ExpositionFormat::OpenMetrics)).expect("UTF-8");
        assert!(page.contains(&format!("{of_tls}{}\n", expected[1])) && page.ends_with("# EOF\n"));
    }
}

#[test]
fn metrics_reload_keeps_unchanged_targets() {
    let [kept, changed, removed, added] = ["kept", "changed", "removed", "added"].map(plan);
    let metrics = metrics_for(&[kept.clone(), changed.clone(), removed.clone()]);
    for plan in [&kept, &changed, &removed] {
        metrics.observe(&Arc::new(healthy(plan, 0)));
    }
    let otherwise = Plan { addresses: Addresses::All, ..changed };
    metrics.set_targets(&[added, otherwise, kept.clone()]);
    metrics.observe(&Arc::new(healthy(&removed, 15))); // it was under way during the reload
    let page = text(&metrics);
    let probes = |name: &str| value(&page, &format!("redpath_probes_total{{target=\"{name}\"}}"));
    assert_eq!(["kept", "changed", "removed", "added"].map(probes), [Some(1.0), Some(0.0), None, Some(0.0)]);
    assert!(!page.contains("\"removed\""));
    assert_eq!(value(&page, "redpath_path_private{target=\"changed\"}"), None);
}

#[test]
fn metrics_bad_reload_keeps_success_time() {
    let metrics = metrics_for(&[]);
    let successful = "redpath_config_last_reload_successful";
    let time = "redpath_config_last_reload_success_timestamp_seconds";
    let at = |seconds| Timestamp::from_unix(seconds).expect("a time");
    metrics.reload(true, at(1_000));
    metrics.reload(false, at(2_000));
    let page = text(&metrics);
    assert_eq!((value(&page, successful), value(&page, time)), (Some(0.0), Some(1_000.0)));
    metrics.reload(true, at(3_000));
    let page = text(&metrics);
    assert_eq!((value(&page, successful), value(&page, time)), (Some(1.0), Some(3_000.0)));
}

#[test]
fn metrics_page_has_complete_probes() {
    let plan = plan("cache1");
    let metrics = metrics_for(std::slice::from_ref(&plan));
    let (good, bad) = (Arc::new(healthy(&plan, 0)), Arc::new(unlinked(&plan, 15)));
    metrics.observe(&good);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..2_000).for_each(|number| metrics.observe(if number % 2 == 0 { &bad } else { &good })));
        for _ in 0..50 {
            let page = text(&metrics);
            let private = value(&page, "redpath_path_private{target=\"cache1\"}");
            assert_eq!(value(&page, "redpath_verdict{target=\"cache1\",status=\"pass\"}"), private);
            assert_eq!(value(&page, "redpath_resolver_agreement{target=\"cache1\"}"), private);
        }
    });
}

#[test]
fn metrics_check_output_has_no_process() {
    let plan = plan("cache1");
    let page = exposition_of(&[healthy(&plan, 0)]);
    let agent = page_after(&plan, &[healthy(&plan, 0)]);
    let of_target = |page: &str| page.lines().filter(|line| line.contains("cache1")).map(str::to_owned).collect();
    let (check, mut agent): (Vec<String>, Vec<String>) = (of_target(&page), of_target(&agent));
    agent.retain(|line| !line.starts_with("redpath_probe_interval_seconds{"));
    assert_eq!(check, agent);
    for name in ["process_", "redpath_config", "redpath_schedule"] {
        assert!(!page.contains(name), "{name}");
    }
    assert!(page.contains("redpath_vantage_info{"));
}

#[test]
fn metrics_check_ports_are_two_targets() {
    let plan = plan("cache1");
    let mut plain = gone(&plan, 0);
    plain.target.port = 6379;
    let page = exposition_of(&[healthy(&plan, 0), plain]);
    assert_eq!(value(&page, "redpath_probe_success{target=\"cache1:6380\"}"), Some(1.0));
    assert_eq!(value(&page, "redpath_probe_success{target=\"cache1:6379\"}"), Some(0.0));
}

#[test]
fn metrics_probe_matches_blackbox_exporter() {
    let plan = plan("cache1");
    let page = blackbox_exposition(&unlinked(&plan, 0));
    for (series, expected) in [
        ("probe_success", 0.0),
        ("probe_duration_seconds", 0.012),
        ("probe_dns_lookup_time_seconds", 0.004),
        ("probe_ip_protocol", 4.0),
        ("probe_phase_duration_seconds{phase=\"tls\"}", 0.005),
        ("probe_ssl_earliest_cert_expiry", 1_800_489_600.0),
        ("probe_tls_version_info{version=\"TLS 1.3\"}", 1.0),
        ("probe_tls_cipher_info{cipher=\"TLS_AES_256_GCM_SHA384\"}", 1.0),
        ("redpath_path_private", 0.0),
        ("redpath_finding_active{code=\"private_zone_not_seen\",severity=\"error\"}", 1.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series} in {page}");
    }
    assert!(!page.contains("target="), "{page}");

    let page = blackbox_exposition(&gone(&plan, 0));
    assert_eq!(lines(&page, "probe_ip_protocol").len() + lines(&page, "probe_tls").len(), 0, "{page}");
}
