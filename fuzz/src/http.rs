//! The agent's server over a stream, and what it answered, read as HTTP/1.1 and nothing else (RFC 9112).

use std::sync::Arc;
use std::time::Duration;

use redpath::clock::Timestamp;
use redpath::history::History;
use redpath::metrics_settings::MetricsSettings;
use redpath::output::metrics::Metrics;
use redpath::plan::Plan;
use redpath::record::Record;
use redpath::server::{AgentState, Backend, Limits, ProbeRefused, WebConfigFile, serve_stream};
use redpath::vantage::Vantage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::assert_harmless;

/// An agent of one target.
#[derive(Default)]
pub struct Agent {
    /// The target's latest record.
    pub record: Option<Arc<Record>>,
    /// Users and headers.
    pub web_config: Option<WebConfigFile>,
    /// Whether it has not begun its work.
    pub starting: bool,
    /// How many bytes of a request come at a time; all at once where it is 0.
    pub piece: usize,
    /// Whether the client ends its half of the stream once it has asked, and does not wait to be left.
    pub ends: bool,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// 200, and so on.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; `None` where there is none, in answer to HEAD.
    pub body: Option<Vec<u8>>,
}

/// More than any page of one target has.
const MOST: usize = 64 * 1024 * 1024;

impl Agent {
    /// What it answers to these bytes, before it closes the connection.
    ///
    /// # Panics
    /// It is not HTTP/1.1.
    pub async fn answers(&self, requests: &[u8]) -> Vec<Answer> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (mut hears, mut says) = tokio::io::split(ours);
        let server = serve_stream(Limits::default(), theirs, self.backend(), self.web_config.clone());
        let piece = if self.piece == 0 { requests.len().max(1) } else { self.piece };
        let client = async {
            for piece in requests.chunks(piece) {
                if says.write_all(piece).await.is_err() {
                    break; // it may close early
                }
                tokio::task::yield_now().await;
            }
            if self.ends {
                let _ = says.shutdown().await;
            }
            says
        };
        let mut bytes = Vec::new();
        let reader = hears.read_to_end(&mut bytes);
        // Whoever waits is left in the end: time passes at once where nothing else is to be done.
        let (served, _says, read) = tokio::join!(server, client, reader);
        served.expect("a server");
        read.expect("a stream in memory");
        assert!(bytes.len() <= MOST, "{} bytes of answers", bytes.len());
        let head_is_asked = requests.windows(4).any(|part| part == b"HEAD");
        answers(&bytes, head_is_asked)
    }

    fn backend(&self) -> Arc<Backend> {
        let history = Arc::new(History::new());
        let vantage = Vantage { hostname: "vm-1".to_owned(), ..Vantage::default() };
        let metrics = Arc::new(Metrics::new(&MetricsSettings::default(), &vantage));
        let mut intervals = std::collections::BTreeMap::new();
        if let Some(record) = &self.record {
            history.set_targets(std::slice::from_ref(&record.target.name));
            metrics.set_targets(&[Plan::new(record.target.clone())]);
            metrics.observe(record);
            history.observe(record.clone());
            intervals.insert(record.target.name.clone(), Duration::from_secs(15));
        }
        let at = Timestamp::from_unix(crate::world::NOW).expect("a time");
        let state = AgentState { started: at, loaded: at, reload_error: None, intervals, allowed_hosts: Vec::new() };
        let known = self.record.clone();
        Arc::new(Backend {
            history,
            metrics,
            vantage,
            state: watch::channel(state).1,
            probe: Arc::new(move |name| {
                let known = known.clone();
                Box::pin(async move {
                    match known {
                        Some(record) if record.target.name == name => Ok((*record).clone()),
                        _ if name == "busy" => Err(ProbeRefused::Busy),
                        _ => match redpath::target::HostName::parse(&name) {
                            Ok(_) => Err(ProbeRefused::UnknownTarget),
                            Err(why) => Err(ProbeRefused::BadTarget(why)),
                        },
                    }
                })
            }),
            reload: Arc::new(|| Box::pin(async { Ok(()) })),
            ready: watch::channel(!self.starting).1,
        })
    }
}

/// Reads responses to the end of the bytes.
fn answers(mut bytes: &[u8], head_is_asked: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            other => panic!("no response, {other:?}: {:?}", String::from_utf8_lossy(bytes)),
        };
        assert!(matches!(response.version, Some(0 | 1)));
        let status = response.code.expect("a complete response");
        let headers: Vec<(String, String)> = response
            .headers
            .iter()
            .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8(header.value.to_vec()).expect("text")))
            .collect();
        bytes = &bytes[length..];
        let said = |name: &'static str| {
            headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        assert!(said("transfer-encoding").next().is_none(), "every body has a length: {headers:?}");
        if status == 100 {
            answers.push(Answer { status, headers, body: None });
            continue;
        }
        for once in ["content-length", "x-content-type-options", "content-security-policy", "cache-control"] {
            assert!(said(once).count() <= 1, "{once} stands twice: {headers:?}");
        }
        let length = said("content-length").next().map(|length| length.parse::<usize>().expect("a length"));
        let no_body = status == 204 || status == 304;
        let is_head = head_is_asked && (bytes.is_empty() || bytes.starts_with(b"HTTP/1."));
        let length = match length {
            _ if no_body => 0,
            Some(length) if length > 0 && is_head => {
                answers.push(Answer { status, headers, body: None });
                continue;
            }
            Some(length) => length,
            None => panic!("a response without a length: {status} {headers:?}"),
        };
        assert!(bytes.len() >= length, "the body of {status} breaks off: {} of {length} bytes", bytes.len());
        let (body, rest) = bytes.split_at(length);
        answers.push(Answer { status, headers, body: Some(body.to_vec()) });
        bytes = rest;
    }
    answers
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Fails where the body, but for one that is compressed, acts on a terminal or, as a page, on a browser.
    ///
    /// # Panics
    /// It does.
    pub fn assert_harmless(&self) {
        for (name, value) in &self.headers {
            assert_harmless(name, value);
        }
        if self.header("content-encoding").is_some() {
            return;
        }
        let Some(body) = &self.body else { return };
        let text = std::str::from_utf8(body).expect("every body is text");
        assert_harmless("a body", text);
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            assert_page(text);
        }
    }
}

/// Fails where the page has a tag or an attribute that redpath's own pages do not have.
fn assert_page(page: &str) {
    const TAGS: &[&str] = &[
        "!doctype", "html", "head", "meta", "title", "style", "link", "body", "header", "main", "section", "article",
        "footer", "nav", "h1", "h2", "h3", "p", "a", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody",
        "tr", "th", "td", "code", "pre", "span", "div", "em", "strong", "small", "time", "details", "summary", "b",
        "i", "br", "wbr", "hr", "caption", "figure", "svg", "rect", "path", "input", "label",
    ];
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, behind) = after.split_once('>').unwrap_or_else(|| panic!("a tag is left open: {after}"));
        let tag = tag.strip_suffix('/').unwrap_or(tag);
        let name =
            tag.trim_start_matches('/').split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        assert!(TAGS.contains(&name.to_ascii_lowercase().as_str()), "a tag that no page has: <{tag}>");
        let values: Vec<&str> = tag.split('"').skip(1).step_by(2).collect();
        let names: String = tag.split('"').step_by(2).collect::<Vec<_>>().join("\u{0}");
        assert_eq!(tag.matches('"').count(), 2 * values.len(), "an attribute is left open: <{tag}>");
        let attributes = names.split_whitespace().skip(1).filter(|attribute| attribute.contains('='));
        for (at, attribute) in attributes.enumerate() {
            let Some(name) = attribute.strip_suffix("=\u{0}") else { panic!("{attribute} without quotes: <{tag}>") };
            assert!(!name.starts_with("on") && !matches!(name, "src" | "style" | "action"), "{name} acts: <{tag}>");
            let leads_on = values[at].starts_with('/') && !values[at].starts_with("//");
            assert!(name != "href" || leads_on || values[at].starts_with('#'), "a link that leads elsewhere: <{tag}>");
        }
        rest = behind;
    }
}
