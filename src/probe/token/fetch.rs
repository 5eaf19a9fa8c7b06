//! Fetches a token with the credentials of the Azure SDK. The HTTP client, the process and the error texts are our own.
//! Each fetch makes a new credential: `token` has the cache.

use std::path::PathBuf;
use std::sync::Arc;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions, HttpClient, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId,
};

use super::az::Az;
use super::cached::Token;
use super::http::{Client, METADATA_SERVICE};
use super::redact::FailureSlot;
use super::{FetchStage, Identity};
use crate::clock::Timestamp;
use crate::lock::lock;
use crate::observation::TokenFailure;
use crate::observation::token::TokenStep;
use crate::plan::TokenSource;
use crate::probe::credential;
use crate::probe::tls::Tls;
use crate::secret::Secret;

/// The most bytes of a token: the limit of Redis for a password.
const MAX_TOKEN: usize = 64 * 1024;

/// Fetches a token.
///
/// # Errors
/// The failure, in a text without secrets.
pub(super) async fn fetch(identity: &Identity, tls: &Tls, stage: &Arc<FetchStage>) -> Result<Token, TokenFailure> {
    let failure = FailureSlot::default();
    let client_id = identity.client_id.clone();
    let (endpoint, fetched) = match identity.source {
        TokenSource::WorkloadIdentity => {
            let (credential, endpoint) = workload_identity(client_id, tls, stage, &failure).await?;
            (endpoint, credential.get_token(&[identity.scope], None).await)
        }
        TokenSource::ManagedIdentity => {
            let credential = managed_identity(client_id, Client::new(tls, stage, &failure, None))?;
            (METADATA_SERVICE.to_owned(), credential.get_token(&[identity.scope], None).await)
        }
        TokenSource::AzureCli => {
            stage.set("az", TokenStep::Answer);
            let credential = azure_cli(Az { failure: Arc::clone(&failure) })?;
            ("az".to_owned(), credential.get_token(&[identity.scope], None).await)
        }
    };
    token_of(fetched, &failure, &endpoint)
}

/// The token that the SDK has read, or the failure.
pub(super) fn token_of(
    fetched: azure_core::Result<AccessToken>,
    failure: &FailureSlot,
    endpoint: &str,
) -> Result<Token, TokenFailure> {
    let token = match fetched {
        Ok(token) => token,
        Err(_) => return Err(lock(failure).take().unwrap_or_else(|| unexpected(endpoint))),
    };
    let text = token.token.secret();
    if text.is_empty() || text.len() > MAX_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let error = "its access_token is empty, longer than 64 KiB, or not printable ASCII".to_owned();
        return Err(TokenFailure::BadAnswer { endpoint: endpoint.to_owned(), error });
    }
    let secret = Secret::new(text.to_owned());
    Ok(Token::new(secret, Some(token.expires_on.unix_timestamp()), Timestamp::now(), jitter()))
}

/// The SDK refused a response that passed our own checks.
fn unexpected(endpoint: &str) -> TokenFailure {
    let error = "the response has an unexpected format".to_owned();
    TokenFailure::BadAnswer { endpoint: endpoint.to_owned(), error }
}

async fn workload_identity(
    client_id: Option<String>,
    tls: &Tls,
    stage: &Arc<FetchStage>,
    failure: &FailureSlot,
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
    let assertion = credential::read_file(file, "service account token file")
        .await
        .map_err(|error| TokenFailure::FileUnreadable { error })?;
    let assertion = Arc::new(assertion);
    let client = Client::new(tls, stage, failure, Some(Arc::clone(&assertion)));
    let options = ClientAssertionCredentialOptions { client_options: client_options(client) };
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
        client_options: client_options(client),
    };
    ManagedIdentityCredential::new(Some(options)).map_err(|_| TokenFailure::NotConfigured {
        error: "the environment names another source of managed identity (IDENTITY_ENDPOINT, MSI_ENDPOINT) than the metadata service of a virtual machine".into(),
    })
}

pub(super) fn azure_cli(executor: impl Executor + 'static) -> Result<Arc<AzureCliCredential>, TokenFailure> {
    let options = AzureCliCredentialOptions { executor: Some(Arc::new(executor)), ..Default::default() };
    AzureCliCredential::new(Some(options)).map_err(|_| unexpected("az"))
}

fn client_options(client: impl HttpClient + 'static) -> ClientOptions {
    ClientOptions { transport: Some(Transport::new(Arc::new(client))), ..ClientOptions::default() }
}

fn variable(name: &str) -> Result<String, TokenFailure> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| TokenFailure::NotConfigured { error: format!("the environment variable {name} is not set") })
}

/// Hands the service account token to the SDK.
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
