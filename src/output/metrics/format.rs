//! The formats of a page, and which of them a request prefers.

/// The formats of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// The Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The Prometheus protobuf format, delimited: the only one with native histograms.
    #[cfg(feature = "native-histograms")]
    Protobuf,
}

impl ExpositionFormat {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            #[cfg(feature = "native-histograms")]
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The format that an `Accept` header prefers (RFC 9110, 12.5.1). OpenMetrics and protobuf must be named:
    /// `*/*` gets text, and so does a client that accepts none, since text is more use than a refusal.
    /// Protobuf is offered only if there are native histograms.
    pub(super) fn negotiate(accept: Option<&str>, native_histograms: bool) -> Self {
        let (mut protobuf, mut open_metrics, mut text, mut any) = (0.0_f64, 0.0_f64, None, 0.0_f64);
        for range in accept.unwrap_or_default().to_ascii_lowercase().split(',').map(MediaRange::parse) {
            match range.media_type {
                "application/vnd.google.protobuf" if range.is_metric_family => {
                    protobuf = protobuf.max(range.quality);
                }
                "application/openmetrics-text" if range.version.is_none_or(|version| version == "1.0.0") => {
                    open_metrics = open_metrics.max(range.quality);
                }
                "text/plain" => text = Some(range.quality.max(text.unwrap_or(0.0))),
                "text/*" | "*/*" => any = any.max(range.quality),
                _ => {}
            }
        }
        let text = text.unwrap_or(any);
        #[cfg(feature = "native-histograms")]
        if native_histograms && protobuf > 0.0 && protobuf >= open_metrics && protobuf >= text {
            return Self::Protobuf;
        }
        #[cfg(not(feature = "native-histograms"))]
        let _ = (native_histograms, protobuf);
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }
}

/// One element of an `Accept` header.
struct MediaRange<'a> {
    media_type: &'a str,
    version: Option<&'a str>,
    /// Whether it is protobuf of delimited `MetricFamily` messages, in which Prometheus asks for it.
    is_metric_family: bool,
    quality: f64,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range =
            Self { media_type: parts.next().unwrap_or_default(), version: None, is_metric_family: false, quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "proto" => range.is_metric_family = value.trim() == "io.prometheus.client.metricfamily",
                "version" => range.version = Some(value.trim().trim_matches('"')),
                "q" => range.quality = value.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation_prefers_clients_format() {
        for (accept, expected) in [
            // Prometheus 2.42, 3.5, and one configured to scrape text first.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ExpositionFormat::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ExpositionFormat::OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
                ExpositionFormat::Text,
            ),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ExpositionFormat::Text),
            ("*/*", ExpositionFormat::Text),
            ("application/*", ExpositionFormat::Text),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", ExpositionFormat::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", ExpositionFormat::Text),
            ("application/openmetrics-text;q=0, text/plain;q=0", ExpositionFormat::Text),
            ("application/openmetrics-text;q=0.5, */*;q=0.8", ExpositionFormat::Text),
            ("application/openmetrics-text;q=NaN", ExpositionFormat::Text),
            (";;q=,=,q", ExpositionFormat::Text),
        ] {
            for native_histograms in [false, true] {
                assert_eq!(ExpositionFormat::negotiate(Some(accept), native_histograms), expected, "{accept}");
            }
        }
        assert_eq!(ExpositionFormat::negotiate(None, true), ExpositionFormat::Text);
    }

    #[cfg(feature = "native-histograms")]
    #[test]
    fn protobuf_is_offered_with_native_histograms() {
        // Prometheus 2.42 with --enable-feature=native-histograms.
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(ExpositionFormat::negotiate(Some(prometheus), true), ExpositionFormat::Protobuf);
        assert_eq!(ExpositionFormat::negotiate(Some(prometheus), false), ExpositionFormat::OpenMetrics);
        let another_message = "application/vnd.google.protobuf;proto=io.example.Message, text/plain;q=0.1";
        assert_eq!(ExpositionFormat::negotiate(Some(another_message), true), ExpositionFormat::Text);
    }
}
