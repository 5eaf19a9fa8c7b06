//! The client of the query API, from the arguments.

use std::path::Path;
use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderName};

use crate::bounded_read::FileKind;
use crate::cli::ApiArgs;
use crate::plan::{HAS_ENTRA, TokenSource};
use crate::probe::http::HttpClient;
use crate::prometheus::{Api, Credential, api};
use crate::secret::{Secret, file, quote};

/// The client; `None` where files are read.
///
/// # Errors
/// One sentence on what is wrong, which quotes no secret.
pub(in crate::commands) fn of(url: Option<&str>, given: &ApiArgs) -> Result<Option<Api>, String> {
    let Some(url) = url else { return Ok(None) };
    let mut client = HttpClient::new(given.ca_file.clone(), api::MAX_BODY);
    if let (Some(certificate), Some(key)) = (&given.client_certificate, &given.client_key) {
        client = client.with_certificate(certificate, key)?;
    }
    let credential = match (&given.bearer_token_file, &given.username, &given.password_file, given.auth) {
        (Some(path), ..) => Credential::Bearer(Arc::new(secret("--bearer-token-file", path)?)),
        (None, Some(user), Some(path), _) => {
            Credential::Basic { user: user.clone(), password: secret("--password-file", path)? }
        }
        (None, _, _, Some(_)) if !HAS_ENTRA => return Err("this build of redpath is without Entra ID".to_owned()),
        (None, _, _, Some(_)) => Credential::Entra(given.token_source.unwrap_or_else(default_source)),
        _ => Credential::None,
    };
    let headers = given.headers.iter().map(|text| header(text)).collect::<Result<_, _>>()?;
    Api::new(url, client, credential, headers).map(Some).map_err(|why| format!("--prometheus: {why}"))
}

fn secret(flag: &str, path: &Path) -> Result<Secret, String> {
    file::read(path, FileKind::FileOrPipe).map_err(|why| format!("{flag} {}: {why}", quote::path(path)))
}

fn default_source() -> TokenSource {
    match std::env::var_os("AZURE_FEDERATED_TOKEN_FILE") {
        Some(_) => TokenSource::WorkloadIdentity,
        None => TokenSource::AzureCli,
    }
}

/// The value may be secret, and is not quoted.
fn header(text: &str) -> Result<(HeaderName, Arc<Secret>), String> {
    let wrong = || "--header: NAME=VALUE is expected, such as X-Scope-OrgID=team-a".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let name = HeaderName::try_from(name).map_err(|_| wrong())?;
    if name == AUTHORIZATION {
        return Err("--header: give a credential as --bearer-token-file, or as --username and --password-file".into());
    }
    if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(wrong());
    }
    Ok((name, Arc::new(Secret::new(value.to_owned()))))
}
