//! A page of metrics: the series by family, and how they are written.
//!
//! Each series is written as it comes, into the text of its family: a page of hundreds of targets is
//! built at every scrape, and a model of it would be several times its size. The formats are
//! Prometheus' text format 0.0.4 and OpenMetrics 1.0.0.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::io;

use super::family::{Family, Kind};
use super::histogram::Distribution;
use super::negotiation::ExpositionFormat;
use crate::printable::printable;

/// A label's name and value.
pub(crate) type Label<'a> = (&'a str, &'a str);

/// The series of a page, in the order of their families' names.
pub(crate) struct Page<'a> {
    format: ExpositionFormat,
    families: BTreeMap<&'static str, Series<'a>>,
    /// The labels of the series that is being written.
    labels: String,
}

/// The series of a family: as they are written, or still to be.
enum Series<'a> {
    Written(String),
    ToBeWritten(&'static Family, Box<dyn Iterator<Item = (Vec<Label<'a>>, Value<'a>)> + 'a>),
}

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

impl<'p> Page<'p> {
    /// An empty page.
    pub(crate) fn new(format: ExpositionFormat) -> Self {
        Self { format, families: BTreeMap::new(), labels: String::new() }
    }

    /// Adds a series: a number to a counter or a gauge, a distribution to a histogram.
    pub(crate) fn add<'a>(
        &mut self,
        family: &'static Family,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: impl Into<Value<'a>>,
    ) {
        let text = self.families.entry(family.name).or_insert_with(|| Series::Written(head(family, self.format)));
        match text {
            Series::Written(text) => push_series(text, &mut self.labels, self.format, family, labels, &value.into()),
            Series::ToBeWritten(..) => debug_assert!(false, "{} has its series from elsewhere", family.name),
        }
    }

    /// Has all series of a family written when their turn on the page comes, so that they are never held as text
    /// all together.
    pub(crate) fn add_later<const N: usize>(
        &mut self,
        family: &'static Family,
        series: impl Iterator<Item = ([Label<'p>; N], Value<'p>)> + 'p,
    ) {
        let series = series.map(|(labels, value)| (labels.to_vec(), value));
        self.families.insert(family.name, Series::ToBeWritten(family, Box::new(series)));
    }

    /// Writes the page.
    ///
    /// # Errors
    /// Those of `to`.
    pub(crate) fn write_to(mut self, to: &mut dyn io::Write) -> io::Result<()> {
        for series in std::mem::take(&mut self.families).into_values() {
            match series {
                Series::Written(text) => to.write_all(text.as_bytes())?,
                Series::ToBeWritten(family, series) => self.write_series(family, series, to)?,
            }
        }
        if self.format == ExpositionFormat::OpenMetrics {
            to.write_all(b"# EOF\n")?;
        }
        Ok(())
    }

    fn write_series(
        &mut self,
        family: &'static Family,
        series: impl Iterator<Item = (Vec<Label<'p>>, Value<'p>)>,
        to: &mut dyn io::Write,
    ) -> io::Result<()> {
        let mut series = series.peekable();
        let mut text = if series.peek().is_some() { head(family, self.format) } else { String::new() };
        for (labels, value) in series {
            push_series(&mut text, &mut self.labels, self.format, family, labels, &value);
            if text.len() > AT_A_TIME {
                to.write_all(text.as_bytes())?;
                text.clear();
            }
        }
        to.write_all(text.as_bytes())
    }

    /// The page as text.
    pub(crate) fn write(self) -> String {
        let mut page = Vec::new();
        // Writing to memory cannot fail, and only text is written.
        let _ = self.write_to(&mut page);
        String::from_utf8(page).unwrap_or_default()
    }
}

/// How much text is collected before it is handed on.
const AT_A_TIME: usize = 16 * 1024;

/// Appends the lines of a series; `shared` is for the text of its labels.
fn push_series<'a>(
    text: &mut String,
    shared: &mut String,
    format: ExpositionFormat,
    family: &Family,
    labels: impl IntoIterator<Item = Label<'a>>,
    value: &Value<'_>,
) {
    shared.clear();
    for (name, value) in labels {
        if !shared.is_empty() {
            shared.push(',');
        }
        shared.push_str(name);
        shared.push_str("=\"");
        push_escaped(shared, &shown(value), true);
        shared.push('"');
    }
    let mut line = |suffix: &str, bound: Option<&str>, value: &dyn Display| {
        text.push_str(family.name);
        text.push_str(suffix);
        if !shared.is_empty() || bound.is_some() {
            text.push('{');
            text.push_str(shared);
            if let Some(bound) = bound {
                text.push_str(if shared.is_empty() { "le=\"" } else { ",le=\"" });
                text.push_str(bound);
                text.push('"');
            }
            text.push('}');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, " {value}");
    };
    match value {
        Value::Number(number) => line("", None, number),
        Value::Distribution(distribution) => {
            for (bound, count) in distribution.cumulative() {
                // OpenMetrics wants a float, `1.0`, which `{:?}` writes.
                let bound = match format {
                    ExpositionFormat::Text => bound.to_string(),
                    ExpositionFormat::OpenMetrics => format!("{bound:?}"),
                };
                line("_bucket", Some(&bound), &count);
            }
            line("_bucket", Some("+Inf"), &distribution.count());
            line("_sum", None, &distribution.sum());
            line("_count", None, &distribution.count());
        }
    }
}

/// What stands above the series of a family. In OpenMetrics a counter's is called without the `_total`
/// of its series, and a help text has its quotes escaped.
fn head(family: &Family, format: ExpositionFormat) -> String {
    let called = match (format, family.kind) {
        (ExpositionFormat::OpenMetrics, Kind::Counter) => family.name.strip_suffix("_total").unwrap_or(family.name),
        _ => family.name,
    };
    let mut text = format!("# HELP {called} ");
    push_escaped(&mut text, family.help, format == ExpositionFormat::OpenMetrics);
    let _ = writeln!(text, "\n# TYPE {called} {}", family.kind.as_str());
    text
}

/// A label's value with nothing in it that a terminal would act on: people read the page with curl.
fn shown(value: &str) -> Cow<'_, str> {
    match printable(value) {
        Cow::Borrowed(value) => Cow::Borrowed(value),
        // The formats escape a line break by themselves.
        Cow::Owned(_) => Cow::Owned(value.split('\n').map(printable).collect::<Vec<_>>().join("\n")),
    }
}

fn push_escaped(to: &mut String, text: &str, with_quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.find(|c| c == '\\' || c == '\n' || (with_quotes && c == '"')) {
        let (before, after) = rest.split_at(at);
        to.push_str(before);
        to.push_str(match after.as_bytes() {
            [b'\n', ..] => "\\n",
            [b'"', ..] => "\\\"",
            _ => "\\\\",
        });
        rest = &after[1..];
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::super::family;
    use super::super::histogram::Bounds;
    use super::*;

    fn page<'p>(format: ExpositionFormat) -> Page<'p> {
        let mut page = Page::new(format);
        let mut durations = Distribution::new(&Bounds::new(&[0.5, 1.0]));
        durations.observe(0.75);
        page.add(&family::PROBE_DURATION, [("target", "a")], &durations);
        page.add(&family::PROBES, [("target", "a\"b\\c\nd")], 3.0);
        page.add(&family::SCHEDULE_LAG, [], 0.25);
        page
    }

    #[test]
    fn open_metrics_follows_specification() {
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
        assert_eq!(page(ExpositionFormat::OpenMetrics).write(), expected);
    }

    #[test]
    fn text_format_keeps_names_without_eof() {
        let text = page(ExpositionFormat::Text).write();
        assert!(
            text.contains("# TYPE redpath_probes_total counter\nredpath_probes_total{target=\"a\\\"b\\\\c\\nd\"} 3\n")
        );
        assert!(text.contains("redpath_probe_duration_seconds_bucket{target=\"a\",le=\"+Inf\"} 1\n"));
        assert!(!text.contains("# EOF"));
    }

    #[test]
    fn page_rendered_later_is_the_same() {
        let durations: Vec<Distribution> = (0..500_u32)
            .map(|number| {
                let mut durations = Distribution::new(&Bounds::new(&[0.5, 1.0]));
                durations.observe(f64::from(number));
                durations
            })
            .collect();
        let names: Vec<String> = (0..durations.len()).map(|number| format!("t{number}")).collect();
        for format in [ExpositionFormat::Text, ExpositionFormat::OpenMetrics] {
            let (mut now, mut later) = (page(format), page(format));
            let each = || names.iter().zip(&durations);
            for (name, durations) in each() {
                now.add(&family::PHASE_DURATION, [("target", name.as_str())], durations);
            }
            let series = each().map(|(name, durations)| ([("target", name.as_str())], durations.into()));
            later.add_later(&family::PHASE_DURATION, series);
            later.add_later(&family::TLS_INFO, std::iter::empty::<([Label<'_>; 1], Value<'_>)>());
            let text = now.write();
            assert!(text.len() > 2 * AT_A_TIME);
            assert_eq!(text, later.write(), "a family without series has no head, either");
        }
    }

    #[test]
    fn label_values_have_no_terminal_controls() {
        let mut page = Page::new(ExpositionFormat::Text);
        page.add(&family::PROBES, [("target", "a\u{1b}[2J\nb")], 1.0);
        assert!(page.write().contains("{target=\"a\\\\u{1b}[2J\\nb\"} 1\n"));
    }
}
