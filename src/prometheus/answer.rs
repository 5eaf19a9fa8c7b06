//! The answer to an instant query, bounded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::printable::excerpt;

/// The most series of one answer.
pub const MAX_SERIES: usize = 200_000;

/// The most samples of one answer.
pub const MAX_SAMPLES: usize = 4_000_000;

/// A series: its labels without the metric's name, and its samples, the oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The samples; one of an instant vector, all of a range.
    pub samples: Vec<Sample>,
}

/// A value and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Seconds since 1970.
    pub at: f64,
    /// The value.
    pub value: f64,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default, borrow, rename = "errorType")]
    error_type: Cow<'a, str>,
    #[serde(default, borrow)]
    error: Cow<'a, str>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<ResultSeries>,
}

#[derive(Deserialize)]
struct ResultSeries {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// Reads the body of an answer.
///
/// # Errors
/// One sentence about "it", the answer.
pub fn read(body: &[u8]) -> Result<Vec<Series>, String> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| {
        let is_html = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
        let kind = if is_html { "an HTML page, such as a login form" } else { "no JSON of the query API" };
        format!("it is {kind}")
    })?;
    if answer.status != "success" {
        return Err(format!("it is an error: {} {}", excerpt(&answer.error_type, 32), excerpt(&answer.error, 200)));
    }
    let data = answer.data.ok_or("it has no data")?;
    if data.kind != "vector" && data.kind != "matrix" {
        return Err(format!("its result is of the type {}: vector or matrix is expected", excerpt(&data.kind, 32)));
    }
    if data.result.len() > MAX_SERIES {
        return Err(format!("it has more than {MAX_SERIES} series"));
    }
    let mut samples = 0;
    let mut all = Vec::with_capacity(data.result.len());
    for found in data.result {
        let mut labels = found.metric;
        labels.remove("__name__");
        let values = found.value.into_iter().chain(found.values).map(|(at, value)| sample(at, &value));
        let values: Vec<Sample> = values.collect::<Option<_>>().ok_or("a value in it is no number")?;
        samples += values.len();
        if samples > MAX_SAMPLES {
            return Err(format!("it has more than {MAX_SAMPLES} samples"));
        }
        all.push(Series { labels, samples: values });
    }
    Ok(all)
}

/// A value is written as Prometheus does, `NaN` and `+Inf` included; those say nothing here, and are refused.
fn sample(at: f64, value: &str) -> Option<Sample> {
    let value: f64 = value.parse().ok()?;
    (at.is_finite() && value.is_finite()).then_some(Sample { at, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_vector_and_matrix_is_read() {
        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1.5,"1"]}]}}"#;
        let series = read(vector).expect("a vector");
        assert_eq!(series[0].labels, BTreeMap::from([("job".to_owned(), "a".to_owned())]));
        assert_eq!(series[0].samples, [Sample { at: 1.5, value: 1.0 }]);
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"3e2"]]}]}}"#;
        assert_eq!(read(matrix).expect("a matrix")[0].samples[1], Sample { at: 2.0, value: 300.0 });
        assert_eq!(read(br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#), Ok(Vec::new()));
    }

    #[test]
    fn answer_that_is_none_is_refused() {
        for (body, why) in [
            (&b"<!DOCTYPE html><html>"[..], "it is an HTML page, such as a login form"),
            (b"", "it is no JSON of the query API"),
            (
                br#"{"status":"error","errorType":"bad_data","error":"parse \u001b error"}"#,
                "it is an error: bad_data parse \\u{1b} error",
            ),
            (br#"{"status":"success"}"#, "it has no data"),
            (
                br#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#,
                "its result is of the type scalar: vector or matrix is expected",
            ),
            (
                br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}"#,
                "a value in it is no number",
            ),
        ] {
            assert_eq!(read(body), Err(why.to_owned()));
        }
    }
}
