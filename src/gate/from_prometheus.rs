//! What the metrics of a Prometheus API say of the window. The queries are joined here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use super::seen::{Fault, Held, Seen, SeenTarget, SeenVantage, Window};
use crate::clock::Timestamp;
use crate::evidence::timeline::MAX_GAP_INTERVALS;
use crate::prometheus::{Api, Sample, Series};

/// The most vantages and targets of which all samples are read, to find a gap or a change.
const MAX_LOCATED: usize = 100;

/// A vantage and a target: the labels of its series that are not redpath's own, and the target's name.
type Key = (BTreeMap<String, String>, String);

/// Asks for everything that a judgement needs.
pub async fn seen(api: &Api, window: Window) -> Seen {
    let mut asked = Asked { api, window, sources: vec![api.name()], faults: Vec::new() };
    let metrics = asked.metrics().await;
    let mut found = metrics.vantages();
    if !window.is_moment() {
        asked.locate_gaps(&metrics, &mut found).await;
        asked.locate_changes(&mut found).await;
    }
    let mut seen = Seen {
        vantages: found.into_iter().map(Found::into_seen).collect(),
        sources: asked.sources,
        faults: asked.faults,
        ..Seen::default()
    };
    if seen.vantages.is_empty() && seen.faults.is_empty() {
        let sentence = "no series of redpath was found: is it scraped, and by this server?".to_owned();
        seen.faults.push(Fault { condition: None, sentence });
    }
    seen
}

/// A vantage with the labels that all its series have.
struct Found {
    common: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    targets: BTreeMap<String, SeenTarget>,
}

impl Found {
    fn into_seen(self) -> SeenVantage {
        SeenVantage { labels: Arc::new(self.labels), targets: self.targets }
    }
}

struct Asked<'a> {
    api: &'a Api,
    window: Window,
    sources: Vec<String>,
    faults: Vec<Fault>,
}

/// The values by vantage and target.
#[derive(Default)]
struct Metrics {
    info: Vec<Series>,
    interval: BTreeMap<Key, f64>,
    last: BTreeMap<Key, f64>,
    verdict: BTreeMap<Key, [String; 2]>,
    found: BTreeMap<Key, [String; 2]>,
    conditions: BTreeMap<Condition, ConditionValues>,
    probes: BTreeMap<Key, f64>,
    scrapes: BTreeMap<Key, f64>,
    /// The usual time between two scrapes of a job, in seconds.
    scrape_intervals: BTreeMap<Option<String>, f64>,
}

/// The values of the metric of a condition: the worst over the window, and the last.
struct ConditionValues {
    worst: BTreeMap<Key, f64>,
    last: BTreeMap<Key, f64>,
}

/// The time over which the scrapes of a job are looked at.
const LATELY: Duration = Duration::from_secs(600);

/// The most jobs whose time between two scrapes is looked at.
const MAX_JOBS: usize = 20;

/// The metric of each condition, and whether 1 or 0 meets it.
const CONDITIONS: [(Condition, &str, bool); 5] = [
    (Condition::Path, "redpath_path_private", true),
    (Condition::Address, "redpath_address_expected", true),
    (Condition::Usable, "redpath_usable", true),
    (Condition::Views, "redpath_resolver_agreement", true),
    (Condition::Application, "redpath_application_connections{path=\"public\"}", false),
];

impl Asked<'_> {
    /// One query; a failure becomes a fault, after which no further one is asked.
    async fn query(&mut self, query: String) -> Vec<Series> {
        if !self.faults.is_empty() {
            return Vec::new();
        }
        let answer = self.api.query(&query, self.window.to).await;
        self.sources.push(query);
        answer.unwrap_or_else(|sentence| {
            self.faults.push(Fault { condition: None, sentence });
            Vec::new()
        })
    }

    /// The last value of a metric, also of a vantage that went silent within the window.
    async fn last(&mut self, metric: &str) -> Vec<Series> {
        let query = match self.window.is_moment() {
            true => metric.to_owned(),
            false => format!("last_over_time({metric}[{}])", self.range()),
        };
        self.query(query).await
    }

    fn range(&self) -> String {
        range(self.window.length())
    }

    async fn metrics(&mut self) -> Metrics {
        let mut metrics = Metrics {
            info: self.last("redpath_vantage_info").await,
            interval: values(self.last("redpath_probe_interval_seconds").await, &[]),
            last: values(self.last("redpath_last_probe_timestamp_seconds").await, &[]),
            verdict: texts(self.query("redpath_verdict_info".to_owned()).await, &["status", "cause"]),
            found: texts(self.query("redpath_connection_info".to_owned()).await, &["address_class", "address"]),
            ..Metrics::default()
        };
        for (condition, metric, best) in CONDITIONS {
            let own: &[&str] = if best { &[] } else { &["path"] };
            let last = values(self.last(metric).await, own);
            let worst = if self.window.is_moment() {
                last.clone()
            } else {
                let function = if best { "min_over_time" } else { "max_over_time" };
                values(self.query(format!("{function}({metric}[{}])", self.range())).await, own)
            };
            metrics.conditions.insert(condition, ConditionValues { worst, last });
        }
        if !self.window.is_moment() {
            let range = self.range();
            metrics.probes = values(self.query(format!("increase(redpath_probes_total[{range}])")).await, &[]);
            metrics.scrapes = values(self.query(format!("count_over_time(redpath_probes_total[{range}])")).await, &[]);
        }
        metrics.scrape_intervals = self.scrape_intervals(&metrics).await;
        metrics
    }

    /// The usual time between two scrapes, by the last samples of the series of each job that was probed last.
    async fn scrape_intervals(&mut self, metrics: &Metrics) -> BTreeMap<Option<String>, f64> {
        let mut latest: BTreeMap<Option<String>, (&Key, f64)> = BTreeMap::new();
        for (key, at) in &metrics.last {
            let of_job = latest.entry(job(key)).or_insert((key, *at));
            if *at > of_job.1 {
                *of_job = (key, *at);
            }
        }
        let mut intervals = BTreeMap::new();
        for (job, (key, _)) in latest.into_iter().take(MAX_JOBS) {
            let samples = self.samples("redpath_probes_total", key, "", LATELY).await;
            if samples.len() > 2 {
                intervals.insert(job, median_step(&samples));
            }
        }
        self.note("redpath_probes_total", intervals.len(), LATELY);
        intervals
    }

    /// Where fewer probes or scrapes were counted than the window should have, all samples are read.
    async fn locate_gaps(&mut self, metrics: &Metrics, found: &mut [Found]) {
        let window = self.window;
        let mut queries = 0;
        for vantage in found {
            for (name, target) in &mut vantage.targets {
                let key = (vantage.common.clone(), name.clone());
                if metrics.is_complete(&key, window) {
                    target.covered = vec![(window.from, window.to)];
                } else if queries < MAX_LOCATED {
                    queries += 1;
                    let samples = self.samples("redpath_probes_total", &key, "", window.length()).await;
                    target.covered = covered(&samples, metrics.interval(&key), window);
                } else {
                    let why = format!("more than {MAX_LOCATED} have gaps, and not all of them were looked into");
                    target.coverage_unknown = Some(why);
                }
            }
        }
        self.note("redpath_probes_total", queries, window.length());
    }

    /// When a condition was last not met that is met now.
    async fn locate_changes(&mut self, found: &mut [Found]) {
        let length = self.window.length();
        for (condition, metric, best) in CONDITIONS {
            let (name, own) =
                metric.split_once('{').map_or((metric, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
            let mut queries = 0;
            for vantage in &mut *found {
                for (target_name, target) in &mut vantage.targets {
                    let Some(Held::Broken { met_now: true, last, .. }) = target.conditions.get_mut(&condition) else {
                        continue;
                    };
                    if queries == MAX_LOCATED {
                        break;
                    }
                    queries += 1;
                    let samples = self.samples(name, &(vantage.common.clone(), target_name.clone()), own, length).await;
                    let broken = samples.iter().rev().find(|sample| (sample.value == 1.0) != best);
                    *last = broken.and_then(|sample| Timestamp::from_unix_f64(sample.at));
                }
            }
            self.note(name, queries, length);
        }
    }

    /// All samples of one series in the last `length`.
    async fn samples(&mut self, metric: &str, key: &Key, own: &str, length: Duration) -> Vec<Sample> {
        let (common, target) = key;
        let labels = common.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels = labels.chain([("target", target.as_str())]);
        let own = Some(own.to_owned()).filter(|own| !own.is_empty());
        let matchers = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).chain(own);
        let query = format!("{metric}{{{}}}[{}]", matchers.collect::<Vec<_>>().join(","), range(length));
        if !self.faults.is_empty() {
            return Vec::new();
        }
        match self.api.query(&query, self.window.to).await {
            Ok(series) => series.into_iter().flat_map(|series| series.samples).collect(),
            Err(sentence) => {
                self.faults.push(Fault { condition: None, sentence });
                Vec::new()
            }
        }
    }

    fn note(&mut self, metric: &str, queries: usize, length: Duration) {
        if queries > 0 {
            self.sources.push(format!("{metric}{{...}}[{}] of {queries} series", range(length)));
        }
    }
}

fn range(length: Duration) -> String {
    format!("{}s", length.as_secs().max(1))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The last value of each series by its key.
fn values(series: Vec<Series>, own: &[&str]) -> BTreeMap<Key, f64> {
    let value = |series: &Series| series.samples.last().map(|sample| sample.value);
    series
        .into_iter()
        .filter_map(|series| Some((value(&series)?, key(series.labels, own)?)))
        .map(|(v, k)| (k, v))
        .collect()
}

/// The values of two labels: `fail (private_zone_not_seen)` would be of `status` and `cause`.
fn texts(series: Vec<Series>, own: &[&str; 2]) -> BTreeMap<Key, [String; 2]> {
    let texts = |series: &Series| own.map(|name| series.labels.get(name).cloned().unwrap_or_default());
    series
        .into_iter()
        .filter_map(|series| Some((texts(&series), key(series.labels, own)?)))
        .map(|(t, k)| (k, t))
        .collect()
}

fn key(mut labels: BTreeMap<String, String>, own: &[&str]) -> Option<Key> {
    let target = labels.remove("target")?;
    for name in own {
        labels.remove(*name);
    }
    Some((labels, target))
}

impl Metrics {
    fn vantages(&self) -> Vec<Found> {
        let mut found: BTreeMap<&BTreeMap<String, String>, BTreeMap<String, SeenTarget>> = BTreeMap::new();
        for key in self.last.keys() {
            found.entry(&key.0).or_default().insert(key.1.clone(), self.target(key));
        }
        let index = self.index(found.keys().copied());
        let of = |(common, targets): (&BTreeMap<String, String>, _)| {
            let info = index.get(common).map_or_else(|| common.clone(), |series| series.labels.clone());
            Found { common: common.clone(), labels: info, targets }
        };
        found.into_iter().map(of).collect()
    }

    /// `redpath_vantage_info` by the labels that the other series of a vantage have.
    fn index<'k>(
        &self,
        keys: impl Iterator<Item = &'k BTreeMap<String, String>>,
    ) -> BTreeMap<BTreeMap<String, String>, &Series> {
        let names: BTreeSet<Vec<&str>> = keys.map(|labels| labels.keys().map(String::as_str).collect()).collect();
        let mut index = BTreeMap::new();
        for (names, series) in names.iter().flat_map(|names| self.info.iter().map(move |series| (names, series))) {
            let pair = |name: &&str| Some(((*name).to_owned(), series.labels.get(*name)?.clone()));
            if let Some(common) = names.iter().map(pair).collect::<Option<BTreeMap<String, String>>>() {
                index.insert(common, series);
            }
        }
        index
    }

    fn target(&self, key: &Key) -> SeenTarget {
        let verdict = self.verdict.get(key).map(|[status, cause]| format!("{status} ({cause})"));
        let now = self
            .found
            .get(key)
            .map_or_else(|| "no address".to_owned(), |[class, address]| format!("{class} {address}"));
        let conditions = CONDITIONS.iter().filter_map(|(condition, _, best)| {
            let ConditionValues { worst, last } = self.conditions.get(condition)?;
            Some((*condition, held(*condition, *best, worst.get(key), last.get(key), &now)))
        });
        SeenTarget {
            last: self.last.get(key).and_then(|at| Timestamp::from_unix_f64(*at)),
            // A result is as old as the last scrape.
            interval: self.interval(key).max(self.scrape_interval(key)),
            delay: Duration::ZERO,
            covered: Vec::new(),
            coverage_unknown: None,
            conditions: conditions.collect(),
            now: now.clone(),
            verdict,
            before_after: None, // no query gives single durations
        }
    }

    fn interval(&self, key: &Key) -> Option<Duration> {
        Duration::try_from_secs_f64(*self.interval.get(key)?).ok().filter(|interval| !interval.is_zero())
    }

    fn scrape_interval(&self, key: &Key) -> Option<Duration> {
        Duration::try_from_secs_f64(*self.scrape_intervals.get(&job(key))?).ok()
    }

    /// Whether so few probes and scrapes are missing, if any, that no gap can be longer than three intervals.
    fn is_complete(&self, key: &Key, window: Window) -> bool {
        let length = window.length().as_secs_f64();
        let allowed = f64::from(MAX_GAP_INTERVALS);
        let enough =
            |counted: Option<&f64>, every: f64| counted.is_some_and(|count| *count >= length / every - allowed);
        let Some(interval) = self.interval(key) else { return false };
        let Some(scrape_interval) = self.scrape_interval(key) else { return false };
        enough(self.probes.get(key), interval.as_secs_f64())
            && enough(self.scrapes.get(key), scrape_interval.as_secs_f64())
    }
}

fn held(condition: Condition, best: bool, worst: Option<&f64>, last: Option<&f64>, now: &str) -> Held {
    let is_met = |value: f64| if best { value >= 1.0 } else { value <= 0.0 };
    match (worst, condition) {
        (None, Condition::Application) => Held::NotLookedAt,
        (None, _) => Held::Unknown,
        (Some(worst), _) if is_met(*worst) => Held::Throughout,
        (Some(_), _) => {
            let met_now = last.is_some_and(|value| is_met(*value));
            let seen = match condition {
                Condition::Views => "the views disagree".to_owned(),
                Condition::Application => "an application has a connection on the public path".to_owned(),
                Condition::Usable => "not usable".to_owned(),
                _ if met_now => "not met".to_owned(),
                _ => now.to_owned(),
            };
            Held::Broken { met_now, last: None, seen }
        }
    }
}

fn job(key: &Key) -> Option<String> {
    key.0.get("job").cloned()
}

/// The median of the times between two samples, in seconds; 0 where there are fewer than two.
fn median_step(samples: &[Sample]) -> f64 {
    let mut steps: Vec<f64> = samples.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or_default()
}

/// The parts of the window that are covered, by the samples of a counter of probes: a part between two samples is not
/// where more than three intervals' probes are missing in it, or scrapes.
fn covered(samples: &[Sample], interval: Option<Duration>, window: Window) -> Vec<(Timestamp, Timestamp)> {
    let scrape_interval = median_step(samples);
    let interval = interval.map_or(scrape_interval, |interval| interval.as_secs_f64());
    let limit = f64::from(MAX_GAP_INTERVALS) * interval.max(scrape_interval);
    let mut spans: Vec<(f64, f64)> = Vec::new();
    let mut before: Option<&Sample> = None;
    for sample in samples {
        let follows = before.is_some_and(|before| {
            let counted = if sample.value >= before.value { sample.value - before.value } else { sample.value };
            let passed = sample.at - before.at;
            passed <= limit && passed - counted * interval <= f64::from(MAX_GAP_INTERVALS) * interval
        });
        match spans.last_mut() {
            Some((_, end)) if follows => *end = sample.at,
            _ => spans.push((sample.at, sample.at)),
        }
        before = Some(sample);
    }
    let moment = |at: f64| Timestamp::from_unix_f64(at);
    let spans = spans.into_iter().filter_map(|(from, to)| Some((moment(from)?, moment(to)?)));
    spans.map(|(from, to)| (from.max(window.from), to.min(window.to))).filter(|(from, to)| from <= to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covered_ends_where_probes_are_missing() {
        let start = 1_780_000_000.0;
        let at = |seconds: f64| Timestamp::from_unix_f64(start + seconds).expect("a time");
        let window = Window { from: at(0.0), to: at(600.0) };
        let sample = |seconds: f64, value: f64| Sample { at: start + seconds, value };
        let samples = [
            sample(15.0, 10.0),
            sample(30.0, 11.0),
            sample(45.0, 12.0),
            sample(60.0, 12.0),
            sample(75.0, 12.0),
            sample(300.0, 27.0), // the server was away, the agent was not
            sample(315.0, 28.0),
            sample(330.0, 1.0), // the agent was restarted
        ];
        let spans = covered(&samples, Some(Duration::from_secs(15)), window);
        assert_eq!(spans, [(at(15.0), at(75.0)), (at(300.0), at(330.0))]);
    }
}
