//! Asks a server of the query API.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName};
use url::Url;

use super::answer::{self, Series};
use crate::clock::Timestamp;
use crate::plan::TokenSource;
use crate::probe::http::{Header, HttpClient, Response};
use crate::secret::Secret;

/// The most bytes of an answer.
pub const MAX_BODY: usize = 64 << 20;

/// The limit of one query.
pub const QUERY_LIMIT: Duration = Duration::from_secs(30);

/// Who asks.
pub enum Credential {
    /// Nobody in particular.
    None,
    /// The bearer of a token.
    Bearer(Arc<Secret>),
    /// A user with a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An identity of Entra ID, for an Azure Monitor workspace.
    Entra(TokenSource),
}

/// A server of the query API.
pub struct Api {
    base: Url,
    client: HttpClient,
    credential: Credential,
    headers: Vec<(HeaderName, Arc<Secret>)>,
}

impl Api {
    /// The server at `base`, to which `/api/v1/query` is added.
    ///
    /// # Errors
    /// The URL is none that can be asked, or would send a credential in plain text. It is not quoted.
    pub fn new(
        base: &str,
        client: HttpClient,
        credential: Credential,
        headers: Vec<(HeaderName, Arc<Secret>)>,
    ) -> Result<Self, String> {
        let base = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or("an http:// or https:// URL is expected, such as https://prometheus.example:9090")?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err("a credential in the URL is seen by others: give --username and --password-file".to_owned());
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err("the URL has more than a host and a path: the query is added to it".to_owned());
        }
        let is_local = base.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        let is_secret = !matches!(credential, Credential::None);
        if is_secret && base.scheme() == "http" && !is_local {
            return Err("a credential is sent over https alone".to_owned());
        }
        Ok(Self { base, client, credential, headers })
    }

    /// The URL, which has no credential.
    pub fn name(&self) -> String {
        crate::printable::printable(self.base.as_str()).into_owned()
    }

    /// The instant query at that moment.
    ///
    /// # Errors
    /// One sentence that names the server.
    pub async fn query(&self, query: &str, at: Timestamp) -> Result<Vec<Series>, String> {
        let mut url = self.base.clone();
        let path = format!("{}/api/v1/query", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        let time = format!("{:.3}", at.unix_seconds());
        url.query_pairs_mut().append_pair("query", query).append_pair("time", &time);
        let headers = self.headers().await?;
        let response = self.client.get(&url, &headers, QUERY_LIMIT).await?;
        read(&response).map_err(|why| format!("{}: the answer to {query}: {why}", host(&self.base)))
    }

    async fn headers(&self) -> Result<Vec<Header>, String> {
        let authorization = match &self.credential {
            Credential::None => None,
            Credential::Bearer(token) => Some(Secret::new(format!("Bearer {}", token.expose()))),
            Credential::Basic { user, password } => {
                let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose()));
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
            }
            Credential::Entra(source) => {
                let token = self.client.monitor_token(*source).await?;
                Some(Secret::new(format!("Bearer {}", token.expose())))
            }
        };
        let own = self.headers.iter().map(|(name, value)| Header { name: name.clone(), value: Arc::clone(value) });
        let authorization = authorization.map(|value| Header { name: AUTHORIZATION, value: Arc::new(value) });
        Ok(own.chain(authorization).collect())
    }
}

fn host(url: &Url) -> String {
    crate::printable::printable(url.host_str().unwrap_or_default()).into_owned()
}

fn read(response: &Response) -> Result<Vec<Series>, String> {
    match response.status {
        200 => answer::read(&response.body),
        401 => Err("HTTP 401: the credential is missing or wrong".to_owned()),
        403 => Err("HTTP 403: this identity may not query; Azure wants the role Monitoring Data Reader".to_owned()),
        status @ 300..=399 => Err(format!("HTTP {status}, a redirect, which is not followed: give the final URL")),
        status => match answer::read(&response.body) {
            Err(why) if why.starts_with("it is an error") => Err(format!("HTTP {status}: {why}")),
            _ => Err(format!("HTTP {status}")),
        },
    }
}
