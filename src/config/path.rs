//! Where in the file a value stands: `targets[0].expect.endpoints[1]`.

use std::fmt;

use crate::secret::quote::quoted;

/// One step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// The steps from the top of the file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// The top of the file.
    pub(super) fn top() -> Self {
        Self::default()
    }

    /// The value of `key` in here.
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// The entry `index` of the list that is here.
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// The steps, from the top.
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether the last keys are these, list positions aside.
    pub(super) fn ends_with(&self, keys: &[&str]) -> bool {
        let own: Vec<&str> = self.keys().collect();
        own.ends_with(keys)
    }

    /// The text that stands here, for a message: in quotes and cut, or not at all where it may hold a secret.
    pub(super) fn shown(&self, text: &str) -> String {
        if self.is_about_secrets() { "the text given".to_owned() } else { quoted(text) }
    }

    /// Whether the value is inside `auth`, where nothing is ever repeated: a password may have been put in the wrong place.
    pub(super) fn is_about_secrets(&self) -> bool {
        self.keys().any(|key| key == "auth")
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    let dot = if position == 0 { "" } else { "." };
                    write!(f, "{dot}{}", if is_plain(key) { key } else { "(a key that is no plain word)" })?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can be repeated in a message: `password hunter2`, written without its colon, is a key too.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 63
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_path_display_is_dotted() {
        let path = Path::top().key("targets").index(3).key("expect").key("endpoints").index(1);
        assert_eq!(path.to_string(), "targets[3].expect.endpoints[1]");
        assert!(path.ends_with(&["expect", "endpoints"]) && !path.ends_with(&["endpoints", "expect"]));
        let odd = Path::top().key("auth").key("password hunter2");
        assert!(odd.is_about_secrets() && !odd.to_string().contains("hunter2"));
    }
}
