//! `--agent`: the records of running agents, asked for at an interval; nothing is probed twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::AUTHORIZATION;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use url::Url;

use crate::bounded_read::FileKind;
use crate::cli::WatchArgs;
use crate::probe::http::{Header, HttpClient};
use crate::record::{Record, saved};
use crate::secret::{Secret, file, quote};

/// The most bytes of an answer.
const MAX_BODY: usize = 16 << 20;

/// The limit of one request.
const LIMIT: Duration = Duration::from_secs(5);

/// How many agents are asked at a time.
const AT_A_TIME: usize = 16;

/// The most agents.
const MAX_AGENTS: usize = 256;

/// What an agent answered.
pub(super) struct Answer {
    /// Its host and port.
    pub(super) agent: String,
    /// Its records, or why there are none.
    pub(super) records: Result<Vec<Record>, String>,
}

/// Who is asked, and as whom.
pub(super) struct AgentPlan {
    urls: Vec<(String, Url)>,
    client: HttpClient,
    authorization: Option<Arc<Secret>>,
    interval: Duration,
}

/// The answers of all agents.
pub(super) struct Agents {
    answers: Receiver<Answer>,
    running: JoinSet<()>,
}

impl AgentPlan {
    /// From the arguments.
    ///
    /// # Errors
    /// One sentence, which quotes no secret.
    pub(super) fn new(args: &WatchArgs) -> Result<Self, String> {
        if args.agents.len() > MAX_AGENTS {
            return Err(format!("--agent: at most {MAX_AGENTS} agents are expected"));
        }
        let mut urls = Vec::with_capacity(args.agents.len());
        for text in &args.agents {
            let url = url(text).map_err(|why| format!("--agent: {why}"))?;
            let name = name(&url);
            if urls.iter().any(|(known, _)| *known == name) {
                return Err(format!("--agent: {name} is given twice"));
            }
            urls.push((name, url));
        }
        let authorization = match (&args.probe.credentials.username, &args.probe.credentials.password_file) {
            (None, None) => None,
            (Some(user), Some(path)) => Some(Arc::new(basic(user, path)?)),
            _ => return Err("--agent: a user needs both --username and --password-file".to_owned()),
        };
        if authorization.is_some() {
            let is_local = |url: &Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            if let Some((name, _)) = urls.iter().find(|(_, url)| url.scheme() == "http" && !is_local(url)) {
                return Err(format!("--agent: {name}: a password is sent over https alone"));
            }
        }
        let client = HttpClient::new(args.probe.connection.ca_file.clone(), MAX_BODY);
        Ok(Self { urls, client, authorization, interval: args.interval })
    }

    /// The agents' names.
    pub(super) fn names(&self) -> Vec<String> {
        self.urls.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Agents {
    /// Asks each agent now and then at the interval.
    pub(super) fn start(plan: AgentPlan) -> Self {
        let (sender, answers) = channel(AT_A_TIME);
        let (shared, mut running) = (Arc::new((plan, Semaphore::new(AT_A_TIME))), JoinSet::new());
        for place in 0..shared.0.urls.len() {
            running.spawn(repeat(Arc::clone(&shared), place, sender.clone()));
        }
        Self { answers, running }
    }

    /// The next answer; `None` once a request panicked.
    pub(super) async fn next(&mut self) -> Option<Answer> {
        tokio::select! {
            answer = self.answers.recv() => answer,
            _ = self.running.join_next() => None,
        }
    }
}

async fn repeat(shared: Arc<(AgentPlan, Semaphore)>, place: usize, answers: Sender<Answer>) {
    let (plan, at_a_time) = &*shared;
    let Some((name, url)) = plan.urls.get(place) else { return };
    let mut due = tokio::time::interval(plan.interval);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let records = {
            let Ok(_permit) = at_a_time.acquire().await else { return };
            ask(plan, url).await
        };
        if answers.send(Answer { agent: name.clone(), records }).await.is_err() {
            return;
        }
    }
}

async fn ask(plan: &AgentPlan, url: &Url) -> Result<Vec<Record>, String> {
    let header = |value: &Arc<Secret>| Header { name: AUTHORIZATION, value: Arc::clone(value) };
    let headers: Vec<Header> = plan.authorization.iter().map(header).collect();
    let response = plan.client.get(url, &headers, LIMIT).await?;
    match response.status {
        200 => records(&response.body),
        401 => Err("HTTP 401: it wants --username and --password-file".to_owned()),
        404 => Err("HTTP 404: it is no redpath agent".to_owned()),
        status => Err(format!("HTTP {status}")),
    }
}

/// The records of an answer: none where the agent has just started.
fn records(body: &[u8]) -> Result<Vec<Record>, String> {
    if body.trim_ascii() == br#"{"records":[]}"# {
        return Ok(Vec::new());
    }
    // Findings and verdicts are made anew of what was measured, so that an answer cannot bring commands of its own.
    saved::read(body).map(|saved| saved.report.records).map_err(|why| why.to_string())
}

/// The records' address of the agent at `text`, which may hold a secret and is not quoted.
fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut url = url.ok_or("an http:// or https:// URL is expected, such as http://10.1.2.3:9736")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a credential in the URL is seen by others: give --username and --password-file".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL has more than a host and a path: the API's path is added to it".to_owned());
    }
    let path = format!("{}/api/v1/records", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
    let path = url.path().trim_end_matches("/api/v1/records");
    format!("{host}{port}{path}")
}

fn basic(user: &str, path: &Path) -> Result<Secret, String> {
    let password = file::read(path, FileKind::FileOrPipe)
        .map_err(|why| format!("--password-file {}: {why}", quote::path_of_secret(path)))?;
    let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose()));
    Ok(Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_without_a_record_is_not_silent() {
        let answer = crate::output::json::records(&[]).expect("JSON");
        assert_eq!(records(answer.as_bytes()), Ok(Vec::new()));
        assert!(records(b"<html>").is_err());
    }
}
