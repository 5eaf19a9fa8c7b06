//! Pages of metrics: one `Collector` over the state of the targets and the agent, encoded by `prometheus-client`.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use prometheus_client::collector::Collector;
#[cfg(feature = "native-histograms")]
use prometheus_client::encoding::prometheus_protobuf;
use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric as _, GaugeValueEncoder,
    MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::agent::Agent;
use super::family::{Family, Kind, Source};
use super::format::ExpositionFormat;
use super::series::TargetSeries;
use crate::printable::printable;

/// One series of a family: its labels, in their order, and its value.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    labels: Vec<(&'a str, Cow<'a, str>)>,
    value: Value<'a>,
}

#[derive(Debug)]
enum Value<'a> {
    Number(f64),
    Histogram(&'a Histogram),
}

impl<'a> Sample<'a> {
    /// A sample without labels.
    pub(crate) fn new(number: f64) -> Self {
        Self { labels: Vec::new(), value: Value::Number(number) }
    }

    /// 1 for true, 0 for false.
    pub(crate) fn flag(is_true: bool) -> Self {
        Self::new(f64::from(u8::from(is_true)))
    }

    /// A count.
    pub(crate) fn count(count: u64) -> Self {
        Self::new(count as f64) // exact up to 2^53
    }

    /// A histogram without labels.
    pub(crate) fn histogram(histogram: &'a Histogram) -> Self {
        Self { labels: Vec::new(), value: Value::Histogram(histogram) }
    }

    /// The sample with one more label.
    pub(crate) fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.labels.push((name, escaped(value)));
        self
    }

    /// The sample with one more label, whose value is written for it.
    pub(crate) fn with_display(mut self, name: &'a str, value: impl fmt::Display) -> Self {
        self.labels.push((name, Cow::Owned(escaped(&value.to_string()).into_owned())));
        self
    }

    fn of_target(mut self, name: &'a str) -> Self {
        self.labels.insert(0, ("target", escaped(name)));
        self
    }

    fn encode(&self, kind: Kind, family: &mut MetricEncoder<'_>) -> fmt::Result {
        let mut series = family.encode_family(&self.labels)?;
        match self.value {
            Value::Histogram(histogram) => histogram.encode(series),
            Value::Number(number) if kind == Kind::Counter => {
                series.encode_counter::<NoLabelSet, _, f64>(&Number(number), None)
            }
            Value::Number(number) => series.encode_gauge(&Number(number)),
        }
    }
}

/// A label's value without characters that a terminal would act on: people read the page with curl. Line
/// breaks stay: the encoder escapes them.
fn escaped(value: &str) -> Cow<'_, str> {
    match printable(value) {
        Cow::Borrowed(value) => Cow::Borrowed(value),
        Cow::Owned(_) => Cow::Owned(value.split('\n').map(printable).collect::<Vec<_>>().join("\n")),
    }
}

/// Only the first of samples with the same labels: an answer may repeat an address, and resolv.conf a name server.
fn without_duplicates(samples: Vec<Sample<'_>>) -> Vec<Sample<'_>> {
    let mut unique: Vec<Sample<'_>> = Vec::with_capacity(samples.len());
    for sample in samples {
        if !unique.iter().any(|known| known.labels == sample.labels) {
            unique.push(sample);
        }
    }
    unique
}

/// A value, written as an integer where it is one: `1` and not `1.0`.
struct Number(f64);

impl Number {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number that an i64 holds")]
    fn as_integer(&self) -> Option<i64> {
        (self.0.fract() == 0.0 && self.0.abs() < 9.0e15).then_some(self.0 as i64)
    }
}

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self.as_integer() {
            Some(integer) => EncodeGaugeValue::encode(&integer, encoder),
            None => EncodeGaugeValue::encode(&self.0, encoder),
        }
    }
}

impl EncodeCounterValue for Number {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self.as_integer().and_then(|integer| u64::try_from(integer).ok()) {
            Some(integer) => EncodeCounterValue::encode(&integer, encoder),
            None => EncodeCounterValue::encode(&self.0, encoder),
        }
    }
}

/// What a page shows, read at one moment.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) families: Vec<&'static Family>,
    pub(crate) targets: Vec<Arc<TargetSeries>>,
    pub(crate) agent: Arc<Agent>,
    /// Whether the series of a target have the label `target`.
    pub(crate) has_target_label: bool,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("targets", &self.targets.len()).finish_non_exhaustive()
    }
}

impl Page {
    /// Writes the page.
    ///
    /// # Errors
    /// Those of `to`.
    pub(crate) fn write_to(self, to: &mut dyn io::Write, format: ExpositionFormat) -> io::Result<()> {
        let mut to = Utf8Writer { to, error: None };
        let encoded = match format {
            ExpositionFormat::Text => prometheus_text::encode(&mut to, &self.into_registry()),
            ExpositionFormat::OpenMetrics => text::encode(&mut to, &self.into_registry()),
            #[cfg(feature = "native-histograms")]
            ExpositionFormat::Protobuf => return self.write_protobuf(to.to),
        };
        encoded.map_err(|error| to.error.unwrap_or_else(|| io::Error::other(error)))
    }

    /// The page in the text format.
    pub(crate) fn into_text(self) -> String {
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_text::encode(&mut page, &self.into_registry());
        page
    }

    /// One family at a time: the messages of a whole page take several times its size.
    #[cfg(feature = "native-histograms")]
    fn write_protobuf(self, to: &mut dyn io::Write) -> io::Result<()> {
        for family in &self.families {
            let page = Self { families: vec![family], ..self.clone() };
            let messages = prometheus_protobuf::encode_to_vec(&page.into_registry());
            to.write_all(&messages.map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    fn into_registry(self) -> Registry {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        registry
    }

    fn samples<'p>(&'p self, family: &Family) -> Box<dyn Iterator<Item = Sample<'p>> + 'p> {
        let targets = self.targets.iter().map(Arc::as_ref);
        let labelled = |series: &'p TargetSeries, samples: Vec<Sample<'p>>| {
            let name = self.has_target_label.then(|| series.name());
            samples.into_iter().map(move |sample| match name {
                Some(name) => sample.of_target(name),
                None => sample,
            })
        };
        match family.source {
            Source::Target(read) => Box::new(targets.flat_map(move |series| labelled(series, read(series)))),
            Source::Record(read) => Box::new(targets.flat_map(move |series| {
                let samples = series.latest().map(read).unwrap_or_default();
                labelled(series, without_duplicates(samples))
            })),
            Source::Agent(read) => Box::new(read(&self.agent).into_iter()),
            Source::Process(read) => Box::new(self.agent.process.as_ref().and_then(read).map(Sample::new).into_iter()),
        }
    }
}

impl Collector for Page {
    /// A family without series has no `# TYPE` line, either.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.families {
            let mut samples = self.samples(family).peekable();
            if samples.peek().is_some() {
                // The encoder appends `_total` where the format has it.
                let name = family.name.strip_suffix("_total").unwrap_or(family.name);
                let mut series = encoder.encode_descriptor(name, family.help, None, family.kind.into())?;
                samples.try_for_each(|sample| sample.encode(family.kind, &mut series))?;
            }
        }
        Ok(())
    }
}

/// Writes text to a stream, and keeps the stream's error, which `fmt::Error` cannot carry.
struct Utf8Writer<'w> {
    to: &'w mut dyn io::Write,
    error: Option<io::Error>,
}

impl fmt::Write for Utf8Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.to.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::family;
    use super::*;
    use crate::config::MetricsSettings;
    use crate::plan::Plan;
    use crate::target::{HostName, Target};

    fn page(name: &str) -> Page {
        let mut target = Target::new(HostName::parse("localhost").expect("a host name"), None, true);
        target.name = name.to_owned();
        let settings = MetricsSettings { phase_buckets: vec![0.5, 1.0], ..MetricsSettings::default() };
        let series = TargetSeries::new(&Plan::new(target), &Arc::new(settings));
        Page {
            families: vec![&family::PROBE_DURATION, &family::PROBES, &family::SCHEDULE_LAG, &family::TLS_INFO],
            targets: vec![Arc::new(series)],
            agent: Arc::new(Agent { schedule_lag: Some(std::time::Duration::from_millis(250)), ..Agent::default() }),
            has_target_label: true,
        }
    }

    fn written(page: Page, format: ExpositionFormat) -> String {
        let mut bytes = Vec::new();
        page.write_to(&mut bytes, format).expect("memory");
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn text_and_open_metrics_differ_as_specified() {
        let text = r#"# HELP redpath_probe_duration_seconds Durations of whole probes.
# TYPE redpath_probe_duration_seconds histogram
redpath_probe_duration_seconds_bucket{target="a\"b\\c\nd",le="0.01"} 0
redpath_probe_duration_seconds_bucket{target="a\"b\\c\nd",le="0.05"} 0
redpath_probe_duration_seconds_bucket{target="a\"b\\c\nd",le="0.25"} 0
redpath_probe_duration_seconds_bucket{target="a\"b\\c\nd",le="1"} 0
redpath_probe_duration_seconds_bucket{target="a\"b\\c\nd",le="5"} 0
redpath_probe_duration_seconds_bucket{target="a\"b\\c\nd",le="+Inf"} 0
redpath_probe_duration_seconds_sum{target="a\"b\\c\nd"} 0.0
redpath_probe_duration_seconds_count{target="a\"b\\c\nd"} 0
# HELP redpath_probes_total Probes that ended.
# TYPE redpath_probes_total counter
redpath_probes_total{target="a\"b\\c\nd"} 0
# HELP redpath_schedule_lag_seconds The longest that a probe began after it was due, in the last one to two minutes.
# TYPE redpath_schedule_lag_seconds gauge
redpath_schedule_lag_seconds 0.25
"#;
        assert_eq!(written(page("a\"b\\c\nd"), ExpositionFormat::Text), text, "a family without series has no head");
        let open_metrics = written(page("a"), ExpositionFormat::OpenMetrics);
        for lines in [
            "# TYPE redpath_probes counter\nredpath_probes_total{target=\"a\"} 0\n",
            "redpath_probe_duration_seconds_bucket{le=\"1.0\",target=\"a\"} 0\n",
            "redpath_schedule_lag_seconds 0.25\n# EOF\n",
        ] {
            assert!(open_metrics.contains(lines), "{lines} in {open_metrics}");
        }
    }

    #[test]
    fn label_values_have_no_terminal_escapes() {
        let text = written(page("a\u{1b}[2J\nb"), ExpositionFormat::Text);
        assert!(text.contains("{target=\"a\\\\u{1b}[2J\\nb\"} 0\n"), "{text}");
    }

    #[test]
    fn stream_error_is_returned() {
        let mut full = [0_u8; 8];
        let error = page("a").write_to(&mut full.as_mut_slice(), ExpositionFormat::Text).expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn whole_numbers_are_written_as_integers() {
        for (number, expected) in [(1.0, Some(1)), (-3.0, Some(-3)), (0.5, None), (1e300, None), (f64::NAN, None)] {
            assert_eq!(Number(number).as_integer(), expected, "{number}");
        }
    }
}
