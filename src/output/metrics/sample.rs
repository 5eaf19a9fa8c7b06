//! One series of a family: labels and value, and how `prometheus-client` encodes them.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::encoding::{
    CounterValueEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric as _, GaugeValueEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::histogram::Histogram;

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

    pub(super) fn of_target(mut self, name: &'a str) -> Self {
        self.labels.insert(0, ("target", escaped(name)));
        self
    }

    pub(super) fn encode(&self, is_counter: bool, family: &mut MetricEncoder<'_>) -> fmt::Result {
        let mut series = family.encode_family(&self.labels)?;
        match self.value {
            Value::Histogram(histogram) => histogram.encode(series),
            Value::Number(number) if is_counter => series.encode_counter::<NoLabelSet, _, f64>(&Number(number), None),
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
pub(super) fn without_duplicates(samples: Vec<Sample<'_>>) -> Vec<Sample<'_>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_as_integers() {
        for (number, expected) in [(1.0, Some(1)), (-3.0, Some(-3)), (0.5, None), (1e300, None), (f64::NAN, None)] {
            assert_eq!(Number(number).as_integer(), expected, "{number}");
        }
    }
}
