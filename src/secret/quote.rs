//! What of a text from outside a message may repeat: never what may hold a secret.

use std::path::Path;

/// What stands in place of a text that is not shown.
const NOT_SHOWN: &str = "the text given (not shown, since it may hold a secret)";

/// The most characters that are shown.
const MAX_SHOWN: usize = 80;

/// The text in quotes, control characters escaped, and cut; or that it is not shown.
pub fn quoted(text: &str) -> String {
    if may_hold_secret(text) {
        return NOT_SHOWN.to_owned();
    }
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The path of a file as it was given; or that it is not shown.
pub fn path(path: &Path) -> String {
    let text = path.display().to_string();
    if may_hold_secret(&text) { NOT_SHOWN.to_owned() } else { text }
}

/// The path of a file that is to hold a secret. A plain word may be the secret itself, given in the wrong place.
pub fn path_of_secret(path: &Path) -> String {
    let is_path = path.components().count() > 1 || path.extension().is_some();
    if is_path { self::path(path) } else { NOT_SHOWN.to_owned() }
}

/// Whether a text may hold a password, an access key or a token: a URL with user information, a connection string,
/// a command line of `redis-cli`, or a run of characters that looks like a key.
pub fn may_hold_secret(text: &str) -> bool {
    text.contains('@') || names_secret(text) || text.split(is_separator).any(looks_like_key) || has_url_password(text)
}

/// `password=…`, `accessKey: …`, `-a …`.
fn names_secret(text: &str) -> bool {
    const NAMES: [&str; 7] = ["password", "passwd", "pwd", "key", "secret", "token", "pass"];
    let lower = text.to_ascii_lowercase();
    NAMES.iter().any(|name| {
        lower.match_indices(name).any(|(at, _)| {
            let after = lower[at + name.len()..].trim_start_matches(['"', '\'', ' ']);
            after.starts_with(['=', ':'])
        })
    }) || lower.split_whitespace().any(|word| matches!(word, "-a" | "--pass" | "auth"))
}

/// Access keys are base64 of 32 bytes and more; tokens are longer.
fn looks_like_key(run: &str) -> bool {
    const MIN_LENGTH: usize = 20;
    let has = |kind: fn(&u8) -> bool| run.as_bytes().iter().any(&kind);
    run.len() >= MIN_LENGTH && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

fn is_separator(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != '+'
}

/// `redis://:PASSWORD`, whose `@` is missing.
fn has_url_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once(':').is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_hides_what_may_hold_a_secret() {
        for text in [
            "cache1.redis.cache.windows.net:6380,password=hunter2,ssl=True,abortConnect=False",
            "cache1:6380, Password = hunter2",
            "rediss://:hunter2@cache1",
            "rediss://:hunter2",
            "user:hunter2@cache1",
            "redis-cli -h cache1 -a hunter2",
            "AUTH hunter2",
            "{\"primaryKey\": \"hunter2\"}",
            "iAITMl7lD127c/VZEl0O+l8qviaXHIoKekaJjP1J1HI=",
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9",
        ] {
            assert_eq!(quoted(text), NOT_SHOWN, "{text}");
            assert_eq!(path(Path::new(text)), NOT_SHOWN, "{text}");
        }
        assert_eq!(path_of_secret(Path::new("hunter2")), NOT_SHOWN);
    }

    #[test]
    fn quoted_shows_ordinary_values_escaped_and_cut() {
        for text in [
            "cache1.redis.cache.windows.net:6380",
            "http://cache1:80/x",
            "hub=10.10.0.53",
            "/run/secrets/redis/password",
            "aks-nodepool1-12345678-vmss00000A",
            "/subscriptions/4F0C7C9E-0A1B-4c2d-8e3f-001122334455",
            "10.60.4.0/24",
            "",
        ] {
            assert_eq!(quoted(text), format!("{text:?}"));
        }
        assert_eq!(quoted("a\u{1b}[2J"), "\"a\\u{1b}[2J\"");
        assert_eq!(quoted(&"é ".repeat(100)).chars().count(), MAX_SHOWN + 3);
        assert_eq!(path_of_secret(Path::new("./key")), "./key");
        assert_eq!(path_of_secret(Path::new("/run/secrets/key")), "/run/secrets/key");
    }
}
