//! What to say about a key or a word that this version does not take: it is a known mistake, or something near it
//! was meant. These lists live here alone.

use serde_json::Value as Json;

use super::path::Path;
use crate::suggest::suggest;

/// Keys that would put a secret into the file.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "secret",
    "token",
    "access_key",
    "primary_key",
    "secondary_key",
    "connection_string",
];

/// Mistakes that are worth their own advice, by the last keys of their path.
const COMMON_MISTAKES: &[(&[&str], &str)] = &[
    (&["url"], "give the host name as `host` and the port as `port`"),
    (&["tls", "enabled"], "TLS is spoken unless `plaintext: true` is given"),
    (
        &["tls", "insecure"],
        "certificates are always verified: give the issuer as `ca_file`, or the certificate's name as `server_name`",
    ),
    (
        &["tls", "insecure_skip_verify"],
        "certificates are always verified: give the issuer as `ca_file`, or the certificate's name as `server_name`",
    ),
];

/// What to say about the key at the end of `path`, which `schema` does not have.
pub(super) fn message(path: &Path, key: &str, schema: &Json) -> String {
    if SECRETS.contains(&key.to_ascii_lowercase().as_str()) {
        return "a secret cannot stand in the configuration: give `auth.password_file` or `auth.password_env`"
            .to_owned();
    }
    if let Some((_, advice)) = COMMON_MISTAKES.iter().find(|(keys, _)| path.ends_with(keys)) {
        return format!("unknown key; {advice}");
    }
    let empty = serde_json::Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
    let inside = || properties.iter().find(|(_, inner)| inner["properties"].get(key).is_some());
    let meant = match suggest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? "),
        None => inside().map(|(outer, _)| format!("did you mean `{outer}.{key}`? ")).unwrap_or_default(),
    };
    format!("unknown key; {meant}known here: {}", known.join(", "))
}
