//! A page of metrics: the series by family, and how it is written.
//!
//! The data model and the text format are the `prometheus` crate's, which nothing outside this
//! folder names. It has no OpenMetrics, so that is written here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::distribution::Distribution;
use super::family::{Family, Kind};
use super::negotiation::ExpositionFormat;
use crate::output::printable;

/// The series of a page, in the order of their families' names.
#[derive(Default)]
pub(crate) struct Page(BTreeMap<&'static str, MetricFamily>);

/// The value of a series.
pub(crate) enum Value<'a> {
    Number(f64),
    Distribution(&'a Distribution),
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a Distribution> for Value<'a> {
    fn from(distribution: &'a Distribution) -> Self {
        Self::Distribution(distribution)
    }
}

impl Page {
    /// Adds a series: a number to a counter or a gauge, a distribution to a histogram.
    pub(crate) fn add<'a>(
        &mut self,
        family: &'static Family,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: impl Into<Value<'a>>,
    ) {
        let mut metric = labelled(labels);
        match value.into() {
            // The model has room for a value of each type; the family's says which one is written.
            Value::Number(number) => {
                let (mut counter, mut gauge) = (Counter::default(), Gauge::default());
                counter.set_value(number);
                gauge.set_value(number);
                metric.set_counter(counter);
                metric.set_gauge(gauge);
            }
            Value::Distribution(distribution) => metric.set_histogram(distribution.to_model()),
        }
        self.0.entry(family.name).or_insert_with(|| empty(family)).mut_metric().push(metric);
    }

    /// Writes the page.
    pub(crate) fn write(self, format: ExpositionFormat) -> String {
        let families: Vec<MetricFamily> = self.0.into_values().collect();
        match format {
            // It fails on a family without a name or a series only, and there is none.
            ExpositionFormat::Text => TextEncoder::new().encode_to_string(&families).unwrap_or_default(),
            ExpositionFormat::OpenMetrics => open_metrics(&families),
        }
    }
}

fn empty(family: &Family) -> MetricFamily {
    let mut model = MetricFamily::default();
    model.set_name(family.name.to_owned());
    model.set_help(family.help.to_owned());
    model.set_field_type(match family.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    model
}

/// Labels, with nothing in a value that a terminal would act on: people read the page with curl.
fn labelled<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Metric {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(match printable(value) {
            Cow::Borrowed(value) => value.to_owned(),
            // The formats escape a line break by themselves.
            Cow::Owned(_) => value.split('\n').map(printable).collect::<Vec<_>>().join("\n"),
        });
        pair
    };
    Metric::from_label(labels.into_iter().map(pair).collect())
}

/// OpenMetrics 1.0.0: a counter's family is called without the `_total` of its series, a help text
/// has its quotes escaped, a bucket's bound is a float (`1.0`), and the page says where it ends.
fn open_metrics(families: &[MetricFamily]) -> String {
    let mut page = String::new();
    for family in families {
        let name = family.name();
        let kind = family.get_field_type();
        let called = if kind == MetricType::COUNTER { name.strip_suffix("_total").unwrap_or(name) } else { name };
        let type_name = format!("{kind:?}").to_ascii_lowercase();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "# HELP {called} {}\n# TYPE {called} {type_name}", escaped(family.help()));
        for metric in family.get_metric() {
            let labels: Vec<String> = metric
                .get_label()
                .iter()
                .map(|pair| format!("{}=\"{}\"", pair.name(), escaped(pair.value())))
                .collect();
            let labels = labels.join(",");
            let mut line = |suffix: &str, bound: Option<&str>, value: &dyn Display| {
                let _ = match (labels.as_str(), bound) {
                    ("", None) => writeln!(page, "{name}{suffix} {value}"),
                    ("", Some(bound)) => writeln!(page, "{name}{suffix}{{le=\"{bound}\"}} {value}"),
                    (labels, None) => writeln!(page, "{name}{suffix}{{{labels}}} {value}"),
                    (labels, Some(bound)) => writeln!(page, "{name}{suffix}{{{labels},le=\"{bound}\"}} {value}"),
                };
            };
            match kind {
                MetricType::COUNTER => line("", None, &metric.get_counter().get_value()),
                MetricType::GAUGE | MetricType::UNTYPED | MetricType::SUMMARY => {
                    line("", None, &metric.get_gauge().get_value());
                }
                MetricType::HISTOGRAM => {
                    let histogram = metric.get_histogram();
                    for bucket in histogram.get_bucket() {
                        // `{:?}` keeps the point of a whole number.
                        let bound = format!("{:?}", bucket.upper_bound());
                        line("_bucket", Some(&bound), &bucket.cumulative_count());
                    }
                    line("_bucket", Some("+Inf"), &histogram.get_sample_count());
                    line("_sum", None, &histogram.get_sample_sum());
                    line("_count", None, &histogram.get_sample_count());
                }
            }
        }
    }
    page.push_str("# EOF\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::super::family;
    use super::*;

    fn page() -> Page {
        let mut page = Page::default();
        let mut durations = Distribution::new(&[0.5, 1.0]);
        durations.observe(0.75);
        page.add(&family::PROBE_DURATION, [("target", "a")], &durations);
        page.add(&family::PROBES, [("target", "a\"b\\c\nd")], 3.0);
        page.add(&family::SCHEDULE_LAG, [], 0.25);
        page
    }

    #[test]
    fn open_metrics_is_what_its_specification_says() {
        let expected = r#"# HELP redpath_probe_duration_seconds How long whole probes took.
# TYPE redpath_probe_duration_seconds histogram
redpath_probe_duration_seconds_bucket{target="a",le="0.5"} 0
redpath_probe_duration_seconds_bucket{target="a",le="1.0"} 1
redpath_probe_duration_seconds_bucket{target="a",le="+Inf"} 1
redpath_probe_duration_seconds_sum{target="a"} 0.75
redpath_probe_duration_seconds_count{target="a"} 1
# HELP redpath_probes Probes that ended.
# TYPE redpath_probes counter
redpath_probes_total{target="a\"b\\c\nd"} 3
# HELP redpath_schedule_lag_seconds The longest that a probe began after it was due, in the last one to two minutes.
# TYPE redpath_schedule_lag_seconds gauge
redpath_schedule_lag_seconds 0.25
# EOF
"#;
        assert_eq!(page().write(ExpositionFormat::OpenMetrics), expected);
    }

    #[test]
    fn the_text_format_keeps_the_names_and_has_no_end() {
        let text = page().write(ExpositionFormat::Text);
        assert!(
            text.contains("# TYPE redpath_probes_total counter\nredpath_probes_total{target=\"a\\\"b\\\\c\\nd\"} 3\n")
        );
        assert!(text.contains("redpath_probe_duration_seconds_bucket{target=\"a\",le=\"+Inf\"} 1\n"));
        assert!(!text.contains("# EOF"));
    }
    #[test]
    fn no_label_acts_on_a_terminal() {
        let mut page = Page::default();
        page.add(&family::PROBES, [("target", "a\u{1b}[2J\nb")], 1.0);
        assert!(page.write(ExpositionFormat::Text).contains("{target=\"a\\\\u{1b}[2J\\nb\"} 1\n"));
    }
}
