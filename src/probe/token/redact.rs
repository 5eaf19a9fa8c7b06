//! Error texts without a token: what comes from outside is bounded, escaped, and withheld where it may hold a secret.

use std::sync::{Arc, Mutex};

use crate::observation::TokenFailure;
use crate::printable::excerpt;
use crate::secret::Secret;

/// The most characters of a message.
const MAX_MESSAGE: usize = 300;

/// Carries a failure past the SDK, whose own error texts quote the response.
pub(super) type FailureSlot = Arc<Mutex<Option<TokenFailure>>>;

/// Removes from a text what may be a token or a piece of one, escapes the rest, and limits its length.
pub(super) fn redact(text: &str, secret: Option<&Secret>) -> String {
    /// The length of a GUID; no longer word is needed.
    const LONGEST_WORD: usize = 36;
    let text: String = text.chars().take(4 * MAX_MESSAGE).collect();
    if secret.is_some_and(|secret| secret.is_repeated_in(&text)) {
        return "(withheld: it repeats the credential)".to_owned();
    }
    let is_token_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=');
    let mut words = String::new();
    for word in text.split_inclusive(|c: char| !is_token_character(c)) {
        let length = word.trim_end_matches(|c: char| !is_token_character(c)).len();
        // The parts of a token are JSON objects in base64url, which begin like this.
        if length > LONGEST_WORD || word.starts_with("eyJ") {
            words.push_str("(withheld)");
            words.push_str(&word[length..]);
        } else {
            words.push_str(word);
        }
    }
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    excerpt(words.trim_end_matches('.'), MAX_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redact_removes_tokens() {
        let token = format!("{}.{}.{}", "eyJ0eXAi".repeat(6), "Q2FuYXJ5".repeat(90), "c2lnbmF0".repeat(40));
        let text = redact(&format!("bad assertion '{token}'\r\nfor 11111111-2222-3333-4444-555555555555."), None);
        assert_eq!(text, "bad assertion '(withheld).(withheld).(withheld)' for 11111111-2222-3333-4444-555555555555");
        let secret = Secret::new("short-canary".into());
        assert!(redact("you sent canary, did you", Some(&secret)).starts_with("(withheld"));
        assert_eq!(redact("a\u{1b}[2Jb", None), "a\\u{1b}[2Jb");
        assert!(redact(&"word ".repeat(500), None).chars().count() <= MAX_MESSAGE + 1);
    }
}
