//! Pages of metrics: one `Collector` over the state of the targets and the agent, encoded by `prometheus-client`.

use std::fmt;
use std::io;
use std::sync::Arc;

use prometheus_client::collector::Collector;
#[cfg(feature = "native-histograms")]
use prometheus_client::encoding::prometheus_protobuf;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use super::agent::Agent;
use super::family::{Family, Kind, Source};
use super::format::ExpositionFormat;
use super::sample::{Sample, without_duplicates};
use super::series::TargetSeries;

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
                samples.try_for_each(|sample| sample.encode(family.kind == Kind::Counter, &mut series))?;
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
    use crate::metrics_settings::MetricsSettings;
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
}
