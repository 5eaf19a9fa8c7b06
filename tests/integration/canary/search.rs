//! Looks for a secret in bytes: whole or in a piece of six characters, in any case, and as base64, percent-encoding,
//! hexadecimal, JSON's escapes or a list of numbers would show it.

use std::collections::{BTreeMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The fewest characters of a secret that are no chance.
const PIECE: usize = 6;

/// What is searched for.
pub(crate) struct Search {
    /// By length: each piece, in lower case, with the name of its secret and how it is written.
    pieces: BTreeMap<usize, BTreeMap<Vec<u8>, String>>,
}

impl Search {
    /// For these secrets, each with its name.
    pub(crate) fn for_all<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut pieces: BTreeMap<usize, BTreeMap<Vec<u8>, String>> = BTreeMap::new();
        for (name, secret) in secrets {
            assert!(secret.len() >= 2 * PIECE, "{name} is too short to be told from chance");
            for (form, text, per_character) in forms(secret) {
                let text = text.to_ascii_lowercase();
                let length = PIECE * per_character;
                for piece in text.as_bytes().windows(length).step_by(per_character) {
                    let of_length = pieces.entry(length).or_default();
                    of_length.entry(piece.to_vec()).or_insert_with(|| format!("{name} {form}"));
                }
            }
        }
        Self { pieces }
    }

    /// What is found, with what stands around it.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<String> {
        let bytes = bytes.to_ascii_lowercase();
        for (length, pieces) in &self.pieces {
            let begins: HashSet<[u8; 2]> = pieces.keys().map(|piece| [piece[0], piece[1]]).collect();
            for (at, window) in bytes.windows(*length).enumerate() {
                if !begins.contains(&[window[0], window[1]]) {
                    continue;
                }
                if let Some(name) = pieces.get(window) {
                    let around = &bytes[at.saturating_sub(60)..(at + length + 60).min(bytes.len())];
                    return Some(format!("{name}: …{}…", String::from_utf8_lossy(around)));
                }
            }
        }
        None
    }

    /// Nothing is found in what is called so.
    #[track_caller]
    pub(crate) fn clears(&self, what: &str, bytes: &[u8]) {
        if let Some(found) = self.find(bytes) {
            panic!("{what} shows {found}");
        }
    }
}

/// The ways to write a secret: what it is called, the text, and how many characters stand for one of the secret's.
fn forms(secret: &str) -> Vec<(&'static str, String, usize)> {
    let each = |write: fn(u8) -> String| -> String { secret.bytes().map(write).collect() };
    let mut forms = vec![
        ("as it is", secret.to_owned(), 1),
        ("in hexadecimal", each(|byte| format!("{byte:02x}")), 2),
        ("percent-encoded", each(|byte| format!("%{byte:02x}")), 3),
        ("in JSON's escapes", each(|byte| format!("\\u{byte:04x}")), 6),
        ("in UTF-16", each(|byte| format!("{}\0", char::from(byte))), 2),
    ];
    // As a form or an URL has it: what must be encoded is, and the rest stands as it is.
    let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    forms.push(("in a URL", url, 1));
    // Behind zero, one or two other characters; the first and the last group may hold some of what is beside it.
    for before in ["", "x", "xx"] {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(format!("{before}{secret}"));
            forms.push(("in base64", text[if before.is_empty() { 0 } else { 4 }..text.len() - 4].to_owned(), 1));
        }
    }
    forms
}

#[test]
fn canary_search_finds_every_encoding() {
    let secret = "Qx7vJ9zKw4+TmPq3/Zb8Rh=";
    let search = Search::for_all([("the key", secret)]);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for text in [
        secret.to_owned(),
        secret.to_ascii_lowercase(),
        format!("ERR unknown command 'AUTH', with args beginning with: '{}", &secret[..6]),
        format!("…{}", &secret[9..15]),
        hex[6..20].to_owned(),
        percent,
        "Qx7vJ9zKw4%2BTmPq3%2FZb8Rh%3D".to_owned(),
        "\\u0051\\u0078\\u0037\\u0076\\u004a\\u0039".to_owned(),
        STANDARD_NO_PAD.encode(secret),
        STANDARD_NO_PAD.encode(format!("anna:{secret}")),
        URL_SAFE_NO_PAD.encode(format!("default:{secret}\n")),
    ] {
        assert!(search.find(format!("before {text} after").as_bytes()).is_some(), "{text}");
    }
    for text in ["", "nothing", "Qx7vJ", "redpath_verdict{target=\"sessions\"} 1"] {
        assert_eq!(search.find(text.as_bytes()), None, "{text}");
    }
}
