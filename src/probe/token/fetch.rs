//! FetchGuard a token with the Azure SDK's credentials, which know the requests; the HTTP client, the process and
//! every word of an error are our own. A new credential each time: what is kept, and for how long, is decided above.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions, HttpClient, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId,
};

use super::az::Az;
use super::cached::Token;
use super::http::Client;
use super::{FetchStage, Identity, locked};
use crate::clock::Timestamp;
use crate::observation::TokenFailure;
use crate::observation::token::TokenStep;
use crate::plan::TokenSource;
use crate::probe::tls::Tls;
use crate::probe::{credential, escape};
use crate::secret::Secret;

/// What every token of Azure's Redis services is for.
pub(super) const SCOPE: &str = "https://redis.azure.com/.default";

/// The metadata service of a virtual machine: plain HTTP, to this one address.
pub(super) const METADATA_SERVICE: &str = "169.254.169.254";

/// The most characters of a message that are kept.
const MAX_MESSAGE: usize = 300;

/// The most bytes of a token: Redis takes 64 KiB in place of a password.
const MAX_TOKEN: usize = 64 * 1024;

/// Where the cause of a failure is left on its way through the SDK, whose own texts quote what came.
pub(super) type Cause = Arc<Mutex<Option<TokenFailure>>>;

/// Fetches a token.
///
/// # Errors
/// The failure, in words that hold no secret.
pub(super) async fn fetch(identity: &Identity, tls: &Tls, progress: &Arc<FetchStage>) -> Result<Token, TokenFailure> {
    let cause = Cause::default();
    let client_id = identity.client_id.clone();
    let (endpoint, fetched) = match identity.source {
        TokenSource::WorkloadIdentity => {
            let (credential, endpoint) = workload_identity(client_id, tls, progress, &cause).await?;
            (endpoint, credential.get_token(&[SCOPE], None).await)
        }
        TokenSource::ManagedIdentity => {
            let credential = managed_identity(client_id, Client::new(tls, progress, &cause, None))?;
            (METADATA_SERVICE.to_owned(), credential.get_token(&[SCOPE], None).await)
        }
        TokenSource::AzureCli => {
            progress.is_at("az", TokenStep::Answer);
            let credential = azure_cli(Az { cause: Arc::clone(&cause) })?;
            ("az".to_owned(), credential.get_token(&[SCOPE], None).await)
        }
    };
    token_of(fetched, &cause, &endpoint)
}

/// What the SDK has made of an answer, as a token; or why it is none.
pub(super) fn token_of(
    fetched: azure_core::Result<AccessToken>,
    cause: &Cause,
    endpoint: &str,
) -> Result<Token, TokenFailure> {
    let token = match fetched {
        Ok(token) => token,
        Err(_) => return Err(locked(cause).take().unwrap_or_else(|| unexpected(endpoint))),
    };
    let text = token.token.secret();
    if text.is_empty() || text.len() > MAX_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let error = "what it calls one is empty, longer than 64 KiB, or no word of ASCII".to_owned();
        return Err(TokenFailure::BadAnswer { endpoint: endpoint.to_owned(), error });
    }
    let secret = Secret::new(text.to_owned());
    Ok(Token::new(secret, Some(token.expires_on.unix_timestamp()), Timestamp::now(), jitter()))
}

/// The SDK refuses what came without a word of ours: it is no answer of the form that was to come.
fn unexpected(endpoint: &str) -> TokenFailure {
    let error = "it has not the form that is expected".to_owned();
    TokenFailure::BadAnswer { endpoint: endpoint.to_owned(), error }
}

async fn workload_identity(
    client_id: Option<String>,
    tls: &Tls,
    progress: &Arc<FetchStage>,
    cause: &Cause,
) -> Result<(Arc<impl TokenCredential + use<>>, String), TokenFailure> {
    let not_configured = |error: String| TokenFailure::NotConfigured { error };
    let tenant = variable("AZURE_TENANT_ID")?;
    let client_id = client_id.map_or_else(|| variable("AZURE_CLIENT_ID"), Ok)?;
    let file = PathBuf::from(variable("AZURE_FEDERATED_TOKEN_FILE")?);
    let authority =
        std::env::var("AZURE_AUTHORITY_HOST").unwrap_or_else(|_| "https://login.microsoftonline.com".into());
    let authority = url::Url::parse(&authority)
        .ok()
        .filter(|url| url.scheme() == "https" && url.host_str().is_some())
        .ok_or_else(|| not_configured("AZURE_AUTHORITY_HOST is not an https:// URL".into()))?;
    let endpoint = Client::endpoint(&authority);
    let assertion = credential::in_file(file, "service account token file")
        .await
        .map_err(|error| TokenFailure::FileUnreadable { error })?;
    let assertion = Arc::new(assertion);
    let client = Client::new(tls, progress, cause, Some(Arc::clone(&assertion)));
    let options = ClientAssertionCredentialOptions { client_options: through(client) };
    let credential = ClientAssertionCredential::new(tenant, client_id, Assertion(assertion), Some(options))
        .map_err(|_| not_configured("AZURE_TENANT_ID or AZURE_CLIENT_ID is not an ID".into()))?;
    Ok((credential, endpoint))
}

pub(super) fn managed_identity(
    client_id: Option<String>,
    client: impl HttpClient + 'static,
) -> Result<Arc<ManagedIdentityCredential>, TokenFailure> {
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(UserAssignedId::ClientId),
        client_options: through(client),
    };
    ManagedIdentityCredential::new(Some(options)).map_err(|_| TokenFailure::NotConfigured {
        error: "the environment names another source of managed identity (IDENTITY_ENDPOINT, MSI_ENDPOINT) than the metadata service of a virtual machine".into(),
    })
}

pub(super) fn azure_cli(executor: impl Executor + 'static) -> Result<Arc<AzureCliCredential>, TokenFailure> {
    let options = AzureCliCredentialOptions { executor: Some(Arc::new(executor)), ..Default::default() };
    AzureCliCredential::new(Some(options)).map_err(|_| unexpected("az"))
}

fn through(client: impl HttpClient + 'static) -> ClientOptions {
    ClientOptions { transport: Some(Transport::new(Arc::new(client))), ..ClientOptions::default() }
}

fn variable(name: &str) -> Result<String, TokenFailure> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| TokenFailure::NotConfigured { error: format!("the environment variable {name} is not set") })
}

/// The service account token, as the SDK wants to be given it.
struct Assertion(Arc<Secret>);

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion")
    }
}

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose().to_owned())
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    let mut byte = [0];
    if getrandom::fill(&mut byte).is_err() {
        return 0.5;
    }
    f64::from(byte[0]) / 255.0
}

/// A text from outside: bounded, escaped, without what may be a token or a piece of one.
pub(super) fn scrubbed(text: &str, secret: Option<&Secret>) -> String {
    /// A GUID has 36 characters, and nothing longer is worth reading.
    const LONGEST_WORD: usize = 36;
    let text: String = text.chars().take(4 * MAX_MESSAGE).collect();
    if secret.is_some_and(|secret| secret.is_repeated_in(&text)) {
        return "(withheld: it repeats the credential)".to_owned();
    }
    let is_of_a_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=');
    let mut words = String::new();
    for word in text.split_inclusive(|c: char| !is_of_a_token(c)) {
        let length = word.trim_end_matches(|c: char| !is_of_a_token(c)).len();
        // A JSON object in base64url, as the parts of a token are, begins so.
        if length > LONGEST_WORD || word.starts_with("eyJ") {
            words.push_str("(withheld)");
            words.push_str(&word[length..]);
        } else {
            words.push_str(word);
        }
    }
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    escape::of_text(words.trim_end_matches('.'), MAX_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_left_in_a_text_from_outside() {
        let token = format!("{}.{}.{}", "eyJ0eXAi".repeat(6), "Q2FuYXJ5".repeat(90), "c2lnbmF0".repeat(40));
        let kept = scrubbed(&format!("bad assertion '{token}'\r\nfor 11111111-2222-3333-4444-555555555555."), None);
        assert_eq!(kept, "bad assertion '(withheld).(withheld).(withheld)' for 11111111-2222-3333-4444-555555555555");
        let secret = Secret::new("short-canary".into());
        assert!(scrubbed("you sent canary, did you", Some(&secret)).starts_with("(withheld"));
        assert_eq!(scrubbed("a\u{1b}[2Jb", None), "a\\u{1b}[2Jb");
        assert!(scrubbed(&"word ".repeat(500), None).chars().count() <= MAX_MESSAGE + 1);
    }
}
