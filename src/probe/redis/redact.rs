//! Turns replies and errors of a peer into failures: escaped, bounded, and never with the secret in them.

use std::sync::Arc;

use redis::{ServerError, Value};

use crate::observation::RedisFailure;
use crate::printable::{excerpt, excerpt_of_bytes};
use crate::secret::Secret;

/// The most characters of an error reply that are recorded.
const MAX_MESSAGE: usize = 256;

/// The most characters or bytes that are recorded of a reply that the command does not have.
const MAX_EXCERPT: usize = 64;

/// What stands in place of a text that repeats the secret.
const WITHHELD: &str = "(withheld: it repeats the credential)";

/// Codes that a server may send whatever the secret: that a password is `PASS` must not hide `WRONGPASS`.
const KNOWN_CODES: [&str; 15] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "DENIED",
    "ERR",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOPROTO",
    "READONLY",
    "TRYAGAIN",
    "WRONGPASS",
];

/// Knows the secret that was sent, so that no reply that repeats it is recorded.
#[derive(Default)]
pub(super) struct Redactor(Option<Arc<Secret>>);

impl Redactor {
    /// Redacts this secret from here on.
    pub(super) fn new(secret: Arc<Secret>) -> Self {
        Self(Some(secret))
    }

    /// Whether `text` repeats the secret.
    pub(super) fn repeats_secret(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|secret| secret.is_repeated_in(text))
    }

    /// An error reply, as its code and its message.
    pub(super) fn error_reply(&self, error: &ServerError) -> RedisFailure {
        let (code, details) = sharpest_code(error.code(), error.details().unwrap_or_default());
        // Both are shown on one line, and the secret may contain a space.
        let line = format!("{code} {details}");
        let is_known = KNOWN_CODES.contains(&code);
        let is_a_code = code.len() <= 32
            && code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            && (is_known || !self.repeats_secret(&line));
        if is_a_code {
            let searched = if is_known && self.repeats_secret(code) { details } else { &line };
            let message =
                if self.repeats_secret(searched) { WITHHELD.to_owned() } else { self.redact(details, MAX_MESSAGE) };
            return RedisFailure::ErrorReply { code: code.to_owned(), message };
        }
        RedisFailure::ErrorReply { code: "ERR".to_owned(), message: self.redact(&line, MAX_MESSAGE) }
    }

    /// A reply that the command does not have.
    pub(super) fn unexpected_reply(&self, value: &Value) -> RedisFailure {
        RedisFailure::UnexpectedReply { reply: self.redact(&display(value), MAX_EXCERPT) }
    }

    /// A reply that came before any command.
    pub(super) fn unsolicited_reply(&self, value: &Value) -> RedisFailure {
        let reply = format!("{}, before any command was sent", self.redact(&display(value), MAX_EXCERPT));
        RedisFailure::UnexpectedReply { reply }
    }

    /// Bytes that are not Redis' protocol, by their first ones.
    pub(super) fn not_redis(&self, head: &[u8]) -> RedisFailure {
        RedisFailure::NotRedis { error: self.describe_head(head) }
    }

    fn describe_head(&self, head: &[u8]) -> String {
        if head.starts_with(&[0x15, 3]) {
            return "it begins with a TLS alert: the port speaks TLS".to_owned();
        }
        let escaped = excerpt_of_bytes(head, MAX_EXCERPT);
        if self.repeats_secret(&String::from_utf8_lossy(head)) || self.repeats_secret(&escaped) {
            return WITHHELD.to_owned();
        }
        format!("it begins with \"{escaped}\"")
    }

    /// The text, escaped and bounded, or [`WITHHELD`].
    fn redact(&self, text: &str, max: usize) -> String {
        let escaped = excerpt(text, max);
        // Raw and escaped: the end of an escape may be the beginning of the secret.
        if self.repeats_secret(text) || self.repeats_secret(&escaped) { WITHHELD.to_owned() } else { escaped }
    }
}

/// The code of an error reply and the rest: some servers write `ERR` before a code that has a meaning of its own.
fn sharpest_code<'a>(code: &'a str, details: &'a str) -> (&'a str, &'a str) {
    let (first, rest) = details.split_once(' ').unwrap_or((details, ""));
    if code.eq_ignore_ascii_case("ERR") && KNOWN_CODES.contains(&first) { (first, rest) } else { (code, details) }
}

/// The text of a simple reply, or the kind of another.
fn display(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::BulkString(bytes) | Value::BigNumber(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Set(items) => format!("a set of {}", items.len()),
        Value::Map(pairs) => format!("a map of {}", pairs.len()),
        _ => "a reply of another type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secret: &str) -> Redactor {
        Redactor::new(Arc::new(Secret::new(secret.to_owned())))
    }

    fn error(line: &str) -> ServerError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn redis_error_splits_code_and_message() {
        for (line, code, message) in [
            ("NOAUTH Authentication required.", "NOAUTH", "Authentication required."),
            ("ERR max number of clients reached", "ERR", "max number of clients reached"),
            ("LOADING Redis is loading", "LOADING", "Redis is loading"),
            ("MOVED 3999 10.0.0.5:15001", "MOVED", "3999 10.0.0.5:15001"),
            ("DENIED Redis is running in protected mode", "DENIED", "Redis is running in protected mode"),
            ("something odd\u{1b}[2J", "ERR", "something odd\\u{1b}[2J"),
            ("ERR", "ERR", ""),
        ] {
            let expected = RedisFailure::ErrorReply { code: code.into(), message: message.into() };
            assert_eq!(Redactor::default().error_reply(&error(line)), expected, "{line}");
        }
        let long = Redactor::default().error_reply(&error(&format!("ERR {}", "x".repeat(999))));
        let RedisFailure::ErrorReply { message, .. } = long else { panic!("an error reply") };
        assert_eq!(message.chars().count(), MAX_MESSAGE + 1);
    }

    #[test]
    fn redis_reply_with_secret_is_redacted() {
        let session = redactor("hunter2-canary");
        for line in
            ["ERR unknown command 'AUTH' with args 'hunter2-c'", "hunter2-canary is wrong", "HUNTER hunter2-canary"]
        {
            let RedisFailure::ErrorReply { code, message } = session.error_reply(&error(line)) else {
                panic!("{line}")
            };
            assert!(!format!("{code} {message}").contains("hunter2"), "{line}: {code} {message}");
        }
        assert_eq!(session.describe_head(b"<p>AUTH hunter2-canary"), WITHHELD);
        assert_eq!(session.redact("hunter2-canary", 64), WITHHELD);
        // Five characters of it, and an escape that ends with the sixth.
        assert_eq!(session.describe_head(b"-ERR \x9canary"), WITHHELD);
        assert_eq!(redactor("b}hunter2").redact("\u{8b}hunt", 64), WITHHELD);
        // A secret with a space in it, and a server that takes its first word for a code.
        let space = redactor("OPEN SESAME").error_reply(&error("OPEN SESAM"));
        assert_eq!(space, RedisFailure::ErrorReply { code: "ERR".into(), message: WITHHELD.into() });
        let known = redactor("my ERR OPENS").error_reply(&error("ERR OPENS"));
        assert_eq!(known, RedisFailure::ErrorReply { code: "ERR".into(), message: WITHHELD.into() });
        let short = redactor("PASS").error_reply(&error("WRONGPASS no"));
        assert!(matches!(short, RedisFailure::ErrorReply { code, .. } if code == "WRONGPASS"));
    }

    #[test]
    fn redis_detects_tls_port() {
        let redactor = Redactor::default();
        assert!(redactor.describe_head(&[0x15, 3, 3, 0, 2, 2, 22]).contains("the port speaks TLS"));
        assert_eq!(redactor.describe_head(b"HTTP/1.1 400\r\n"), "it begins with \"HTTP/1.1 400\\r\\n\"");
    }

    #[test]
    fn error_reply_code_after_err_is_the_code() {
        for (code, details, expected) in [
            ("ERR", "WRONGPASS invalid username-password pair", ("WRONGPASS", "invalid username-password pair")),
            ("Err", "NOAUTH", ("NOAUTH", "")),
            ("ERR", "invalid password", ("ERR", "invalid password")),
            ("WRONGPASS", "ERR is no code here", ("WRONGPASS", "ERR is no code here")),
        ] {
            assert_eq!(sharpest_code(code, details), expected, "{code} {details}");
        }
    }
}
