//! Parses the text of a web configuration.
//!
//! By hand from a plain tree, so that no error quotes a value: it may be a password in place of a hash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::server::tls::client::{ClientCertificates, Policy};
use crate::server::tls::{self, TlsSettings, Version};
use crate::server::users::Users;

/// The content of the file.
pub(super) struct Settings {
    pub(super) tls: Option<TlsSettings>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) users: Users,
}

/// Parses the text; relative paths start at `directory`.
///
/// # Errors
/// A sentence that names the key and what is accepted.
pub(super) fn parse(text: &str, directory: &Path) -> Result<Settings, String> {
    // An editor may leave the file empty for a moment: that must not switch TLS and users off.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err("it is empty; write {} for neither TLS nor users".into());
    }
    // Without limits, a few lines of aliases expand to millions of values.
    let options = serde_saphyr::options! {
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000, max_replay_stack_depth: 8 },
        budget: serde_saphyr::budget! { max_depth: 32, max_nodes: 100_000 },
    };
    let tree: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place =
            error.location().map_or(String::new(), |at| format!("line {}, column {}: ", at.line(), at.column()));
        format!("{place}it is not valid YAML, or a key is repeated")
    })?;
    let root = Section::of("", &tree, &["tls_server_config", "http_server_config", "basic_auth_users"])?;
    Ok(Settings {
        tls: root.get("tls_server_config").map(|value| tls_settings(value, directory)).transpose()?.flatten(),
        headers: root.get("http_server_config").map(headers).transpose()?.unwrap_or_default(),
        users: root.get("basic_auth_users").map(users).transpose()?.unwrap_or_default(),
    })
}

fn tls_settings(value: &Value, directory: &Path) -> Result<Option<TlsSettings>, String> {
    const KEYS: &[&str] = &[
        "cert_file",
        "key_file",
        "client_auth_type",
        "client_ca_file",
        "client_allowed_sans",
        "min_version",
        "max_version",
    ];
    // rustls has secure suites and curves alone, and its own order of them.
    const REFUSED: [&str; 3] = ["cipher_suites", "prefer_server_cipher_suites", "curve_preferences"];
    let section = Section::of_any("tls_server_config", value)?;
    if let Some(key) = REFUSED.into_iter().find(|key| section.map.contains_key(key)) {
        return Err(section.at(key, "it cannot be chosen here: remove the key, and rustls uses its secure defaults"));
    }
    let section = section.with_known_keys(KEYS)?;
    if section.map.is_empty() {
        return Ok(None);
    }
    let path = |key: &str| {
        Ok::<_, String>(section.text(key)?.filter(|text| !text.is_empty()).map(|text| directory.join(text)))
    };
    let needed = |key: &str| path(key)?.ok_or_else(|| format!("tls_server_config.{key} is missing"));
    let version =
        |key: &str, usual| section.text(key)?.map_or(Ok(usual), tls::version).map_err(|why| section.at(key, &why));

    let min_version = version("min_version", Version::Tls12)?;
    let max_version = version("max_version", Version::Tls13)?;
    if min_version > max_version {
        return Err("tls_server_config.min_version is above max_version".into());
    }
    Ok(Some(TlsSettings {
        cert_file: needed("cert_file")?,
        key_file: needed("key_file")?,
        client: client_certificates(&section, path("client_ca_file")?)?,
        min_version,
        max_version,
    }))
}

fn client_certificates(section: &Section<'_>, ca_file: Option<PathBuf>) -> Result<ClientCertificates, String> {
    let policy = match section.text("client_auth_type")?.filter(|text| !text.is_empty()) {
        Some(name) => Policy::parse(name).map_err(|why| section.at("client_auth_type", &why))?,
        None => Policy::None,
    };
    let allowed_sans = section.texts("client_allowed_sans")?;
    if policy.verifies() && ca_file.is_none() {
        return Err(section.at("client_auth_type", "verifying client certificates needs client_ca_file"));
    }
    if ca_file.is_some() && !policy.verifies() {
        let why = "it takes effect only with client_auth_type VerifyClientCertIfGiven or RequireAndVerifyClientCert";
        return Err(section.at("client_ca_file", why));
    }
    if section.get("client_allowed_sans").is_some() && (allowed_sans.is_empty() || !policy.is_mandatory()) {
        let why = "it needs at least one name, and client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert";
        return Err(section.at("client_allowed_sans", why));
    }
    Ok(ClientCertificates { policy, ca_file, allowed_sans })
}

fn headers(value: &Value) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let section = Section::of("http_server_config", value, &["http2", "headers"])?;
    section.switch("http2")?; // accepted without effect: HTTP/1.1 only
    let Some(headers) = section.get("headers") else {
        return Ok(Vec::new());
    };
    const NAMES: &[&str] = &[
        "Content-Security-Policy",
        "Strict-Transport-Security",
        "X-Content-Type-Options",
        "X-Frame-Options",
        "X-XSS-Protection",
    ];
    let headers = Section::of("http_server_config.headers", headers, NAMES)?;
    let mut read = Vec::new();
    for name in NAMES {
        let Some(text) = headers.text(name)? else { continue };
        let accepted: &[&str] = match *name {
            "X-Content-Type-Options" => &["nosniff"],
            "X-Frame-Options" => &["deny", "sameorigin"],
            _ => &[],
        };
        if !accepted.is_empty() && !accepted.contains(&text) {
            return Err(headers.at(name, &format!("{} is accepted", accepted.join(" or "))));
        }
        let refused = || headers.at(name, "a header's value is of visible ASCII characters");
        let value = HeaderValue::from_str(text).map_err(|_| refused())?;
        read.push((HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, value));
    }
    Ok(read)
}

fn users(value: &Value) -> Result<Users, String> {
    let section = Section::of_any("basic_auth_users", value)?;
    let mut hashes = BTreeMap::new();
    for user in section.map.keys() {
        hashes.insert((*user).to_owned(), section.text(user)?.unwrap_or_default().to_owned());
    }
    Users::new(hashes).map_err(|why| format!("basic_auth_users: {why}"))
}

/// A mapping, and its path. A key without a value counts as absent, as in the toolkit.
struct Section<'a> {
    path: &'static str,
    map: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Section<'a> {
    fn of(path: &'static str, value: &'a Value, known: &[&str]) -> Result<Self, String> {
        Self::of_any(path, value)?.with_known_keys(known)
    }

    fn with_known_keys(self, known: &[&str]) -> Result<Self, String> {
        match self.map.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(self.at(key, &format!("unknown key; {} are known here", known.join(", ")))),
            None => Ok(self),
        }
    }

    fn of_any(path: &'static str, value: &'a Value) -> Result<Self, String> {
        let map = match value {
            Value::Object(map) => map.iter().map(|(key, value)| (key.as_str(), value)).collect(),
            Value::Null => BTreeMap::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let what = if path.is_empty() { "the file" } else { path };
                return Err(format!("{what} must be a mapping of keys to values"));
            }
        };
        Ok(Self { path, map })
    }

    fn at(&self, key: &str, why: &str) -> String {
        // A key may be anything, of any length.
        let key: String = key.chars().take(64).flat_map(char::escape_debug).collect();
        if self.path.is_empty() { format!("{key}: {why}") } else { format!("{}.{key}: {why}", self.path) }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).copied().filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.at(key, "a text is expected; quote it if it looks like something else")),
        }
    }

    fn switch(&self, key: &str) -> Result<Option<bool>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(_) => Err(self.at(key, "true or false is expected")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let refused = || self.at(key, "a list of texts is expected");
        let list = value.as_array().ok_or_else(refused)?;
        list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(refused)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Six lines that are nine to the sixth values.
    const BOMB: &str = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
        c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
        e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nbasic_auth_users: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";

    fn refusal(text: &str) -> String {
        parse(text, Path::new("/etc/redpath")).err().unwrap_or_else(|| panic!("accepted: {text}"))
    }

    #[test]
    fn web_config_complete_file_parses() {
        let hash = bcrypt::hash("x", 4).expect("a hash");
        let text = format!(
            "tls_server_config:
  cert_file: tls.crt
  key_file: /run/tls.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example, 10.1.2.3]
  min_version: TLS12
  max_version: TLS13
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
basic_auth_users:
  anna: {hash}
"
        );
        let settings = parse(&text, Path::new("/etc/redpath")).expect("a good file");
        let tls = settings.tls.expect("TLS");
        assert_eq!(tls.cert_file, Path::new("/etc/redpath/tls.crt"), "relative to the file");
        assert_eq!(tls.key_file, Path::new("/run/tls.key"));
        assert_eq!(tls.client.policy, Policy::RequireAndVerify);
        assert_eq!(tls.client.allowed_sans.len(), 2);
        assert_eq!(settings.headers.len(), 2);
        assert!(!settings.users.is_empty());

        let nothing = parse("{}", Path::new(".")).expect("nothing is wanted");
        assert!(nothing.tls.is_none() && nothing.users.is_empty() && nothing.headers.is_empty());
    }

    #[test]
    fn web_config_error_names_accepted_values() {
        let tls = |rest: &str| format!("tls_server_config: {{cert_file: a, key_file: b, {rest}}}");
        for (text, expected) in [
            ("".to_owned(), "it is empty"),
            ("# nothing\n\n".to_owned(), "it is empty"),
            ("[a]".to_owned(), "the file must be a mapping"),
            ("basic_auth_user: {}".to_owned(), "basic_auth_user: unknown key; tls_server_config"),
            ("rate_limit: {burst: 1}".to_owned(), "rate_limit: unknown key"),
            ("a: [".to_owned(), "line 1"),
            (BOMB.to_owned(), "not valid YAML"),
            ("basic_auth_users: {a: x}\nbasic_auth_users: {}".to_owned(), "is repeated"),
            ("tls_server_config: {cert_file: a}".to_owned(), "tls_server_config.key_file is missing"),
            ("tls_server_config: {client_auth_type: NoClientCert}".to_owned(), "cert_file is missing"),
            (tls("cert: x"), "tls_server_config.cert: unknown key"),
            (tls("min_version: TLS10"), "TLS12 and TLS13"),
            (tls("min_version: 1.2"), "min_version: a text"),
            (tls("min_version: TLS13, max_version: TLS12"), "above max_version"),
            (tls("cipher_suites: [TLS_AES_128_GCM_SHA256]"), "cipher_suites: it cannot be chosen here"),
            (tls("curve_preferences: [X25519]"), "curve_preferences: it cannot be chosen here"),
            (tls("prefer_server_cipher_suites: true"), "prefer_server_cipher_suites: it cannot be chosen here"),
            (tls("client_auth_type: RequireAnyClientCert, client_allowed_sans: a"), "a list"),
            (tls("client_auth_type: Always"), "RequireAndVerifyClientCert"),
            (tls("client_auth_type: RequireAndVerifyClientCert"), "needs client_ca_file"),
            (tls("client_ca_file: c"), "VerifyClientCertIfGiven"),
            (tls("client_auth_type: RequestClientCert, client_allowed_sans: [a]"), "client_allowed_sans: it needs"),
            ("http_server_config: {http2: maybe}".to_owned(), "true or false"),
            ("http_server_config: {headers: {X-Powered-By: x}}".to_owned(), "headers.X-Powered-By: unknown key"),
            ("http_server_config: {headers: {X-Frame-Options: no}}".to_owned(), "X-Frame-Options: "),
            ("http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}".to_owned(), "visible ASCII"),
            ("basic_auth_users: {anna: canary}".to_owned(), "\"anna\" has no bcrypt hash"),
            ("basic_auth_users: {anna: 12345}".to_owned(), "basic_auth_users.anna: a text"),
            ("basic_auth_users: {anna: }".to_owned(), "no bcrypt hash"),
            ("basic_auth_users: canary".to_owned(), "basic_auth_users must be a mapping"),
            ("basic_auth_users: [canary]".to_owned(), "basic_auth_users must be a mapping"),
        ] {
            let error = refusal(&text);
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("canary") && !error.contains("12345"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn web_config_any_text_does_not_panic(text in ".{0,200}") {
            let _ = parse(&text, Path::new("."));
        }

        #[test]
        fn web_config_any_tree_does_not_panic(
            key in "tls_server_config|http_server_config|basic_auth_users",
            inner in "cert_file|key_file|headers|http2|cipher_suites|client_allowed_sans|min_version|[a-z]{0,4}",
            value in r#"\[\]|\{\}|"[^"\\]{0,20}"|-?[0-9]{1,20}|true|~|\[[a-z]{0,5}\]|\*a|&a x"#,
        ) {
            let _ = parse(&format!("{key}: {{{inner}: {value}}}"), Path::new("."));
            let _ = parse(&format!("{key}: {value}"), Path::new("."));
        }
    }
}
