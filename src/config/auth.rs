//! The key `auth`: who a probe says it is, and which keys go with which method.

use super::error::Problems;
use super::path::Path;
use super::raw::RawAuth;
use super::values;
use crate::parse;
use crate::plan::{Auth, AuthMethod, EntraAuth, HAS_ENTRA, PasswordSource, TokenSource};
use crate::secret;

/// Gives the key its meaning; `None` where a problem was noted.
pub(super) fn resolve(raw: &RawAuth, path: &Path, problems: &mut Problems<'_>) -> Option<Auth> {
    let of_password = [("password_file", raw.password_file.is_some()), ("password_env", raw.password_env.is_some())];
    let of_entra = [("source", raw.source.is_some()), ("client_id", raw.client_id.is_some())];
    let username = [("username", raw.username.is_some())];
    let mut refuse = |keys: &[(&str, bool)], method: &str, expected: &str| {
        for (key, _) in keys.iter().filter(|(_, given)| *given) {
            let message = format!("it has no meaning with `method: {method}`: `method: {expected}` is expected");
            problems.add(&path.key(key), message);
        }
    };
    match raw.method {
        AuthMethod::None => {
            refuse(&username, "none", "password");
            refuse(&of_password, "none", "password");
            refuse(&of_entra, "none", "entra");
            Some(Auth::None)
        }
        AuthMethod::Password => {
            refuse(&of_entra, "password", "entra");
            password(raw, path, problems)
        }
        AuthMethod::Entra => {
            refuse(&of_password, "entra", "password");
            entra(raw, path, problems)
        }
    }
}

fn username(raw: &RawAuth, path: &Path, problems: &mut Problems<'_>) -> Option<String> {
    problems.read(&path.key("username"), raw.username.as_ref()?, parse::username)
}

fn password(raw: &RawAuth, path: &Path, problems: &mut Problems<'_>) -> Option<Auth> {
    let username = username(raw, path, problems);
    let source = match (&raw.password_file, &raw.password_env) {
        (Some(file), None) => PasswordSource::File(problems.read(&path.key("password_file"), file, parse::path)?),
        (None, Some(name)) => {
            let name = problems.read(&path.key("password_env"), name, values::variable)?;
            secret::is_in_variable(&name);
            PasswordSource::Environment(name)
        }
        (None, None) => {
            problems.add(path, "the password's source is missing: `password_file` or `password_env` is expected");
            return None;
        }
        (Some(_), Some(_)) => {
            problems.add(path, "both `password_file` and `password_env` are given: one of them is expected");
            return None;
        }
    };
    Some(Auth::Password { username, source })
}

fn entra(raw: &RawAuth, path: &Path, problems: &mut Problems<'_>) -> Option<Auth> {
    if !HAS_ENTRA {
        problems.add(&path.key("method"), "this build of redpath is without Entra ID");
        return None;
    }
    let username = username(raw, path, problems);
    let client_id = match &raw.client_id {
        Some(text) => Some(problems.read(&path.key("client_id"), text, parse::client_id)?),
        None => None,
    };
    let Some(source) = raw.source else {
        problems.add(
            path,
            "the token's source is missing: `source: workload_identity`, `managed_identity` or `azure_cli` is expected",
        );
        return None;
    };
    if source == TokenSource::AzureCli && client_id.is_some() {
        problems.add(
            &path.key("client_id"),
            "it has no meaning with `source: azure_cli`, which uses the `az login` identity",
        );
        return None;
    }
    Some(Auth::Entra(EntraAuth { source, client_id, username }))
}
