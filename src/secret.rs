//! A secret that cannot be printed, serialized, compared or copied by accident.
//!
//! It has no `Debug`, `Display`, `Serialize` or `Clone`, and is wiped from memory when dropped.

pub mod file;
pub mod permissions;
pub mod quote;

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;

use crate::lock::lock;
use zeroize::Zeroizing;

/// The environment variables that may hold a password on every command line; the first that is set wins.
pub const PASSWORD_VARIABLES: [&str; 2] = ["REDPATH_PASSWORD", "REDISCLI_AUTH"];

/// Further variables, named by a configuration.
static NAMED_VARIABLES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Adds a variable to [`variables`]: no child process inherits it from here on.
pub fn is_in_variable(name: &str) {
    lock(&NAMED_VARIABLES).insert(name.to_owned());
}

/// Every environment variable that may hold a password; no child process may inherit one.
pub fn variables() -> Vec<String> {
    let named = lock(&NAMED_VARIABLES);
    PASSWORD_VARIABLES.iter().map(ToString::to_string).chain(named.iter().cloned()).collect()
}

/// A password or token. Its text is accessible only by [`Secret::expose`], which is easy to search for.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `text` repeats the secret, whole or in a piece of six characters or more: servers
    /// and proxies quote the arguments of a command that they do not know.
    pub fn is_repeated_in(&self, text: &str) -> bool {
        const PIECE: usize = 6;
        let secret = self.0.as_bytes();
        if secret.is_empty() {
            return false;
        }
        let piece = PIECE.min(secret.len());
        // The shorter one's pieces as a set: a long token against a long reply is not to be a matter of seconds.
        let (one, other) = (secret.windows(piece), text.as_bytes().windows(piece));
        let (few, mut many) = if one.len() < other.len() { (one, other) } else { (other, one) };
        let few: HashSet<&[u8]> = few.collect();
        many.any(|part| few.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_fragment_is_found() {
        let secret = Secret::new("hunter2-canary".into());
        assert!(secret.is_repeated_in("ERR unknown command 'AUTH', with args beginning with: 'hunter2-'"));
        assert!(!secret.is_repeated_in("WRONGPASS invalid username-password pair"));
        assert!(!Secret::new(String::new()).is_repeated_in("anything"));
    }
}
