//! Asks a time-stamp authority, and keeps its reply.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::evidence::time_stamp;
use crate::probe::http::HttpClient;
use crate::secret::quote;

/// The most bytes of a reply, which has a few certificates.
const MAX_REPLY: usize = 1 << 20;

/// The limit of the request.
const LIMIT: Duration = Duration::from_secs(30);

/// Has `document`, the content of `path`, stamped. Returns the file of the reply.
///
/// # Errors
/// One sentence on what is wrong.
pub(super) async fn stamp(url: &str, path: &Path, document: &[u8]) -> Result<PathBuf, String> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    let url = url.ok_or("--timestamp: an http:// or https:// URL without a credential is expected")?;
    let client = HttpClient::new(None, MAX_REPLY);
    let response = client.post(&url, time_stamp::QUERY_TYPE, time_stamp::query(document), LIMIT).await;
    let response = response.map_err(|why| format!("--timestamp: {why}"))?;
    if response.status != 200 {
        return Err(format!("--timestamp: the authority answers HTTP {}", response.status));
    }
    time_stamp::check(&response.body).map_err(|why| format!("--timestamp: the reply of the authority: {why}"))?;
    let mut name = path.as_os_str().to_owned();
    name.push(".tsr");
    let reply = PathBuf::from(name);
    std::fs::write(&reply, &response.body)
        .map_err(|error| format!("{}: it cannot be written: {error}", quote::path(&reply)))?;
    Ok(reply)
}
