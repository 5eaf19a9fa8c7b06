//! The list of expected vantages, a YAML file.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The most bytes of the file.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The most vantages of the list.
const MAX_VANTAGES: usize = 100_000;

/// Which vantages must be heard, and for which targets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Each a set of labels; one vantage at least must have all of them.
    pub vantages: Vec<BTreeMap<String, String>>,
    /// The names of the targets; all that are seen where none is named.
    #[serde(default)]
    pub targets: Vec<String>,
    /// What a vantage means that is not on the list.
    #[serde(default)]
    pub unexpected: Unexpected,
}

/// What a vantage means that is not on the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unexpected {
    /// It is named.
    #[default]
    Tell,
    /// It is a failure.
    Fail,
}

impl Expected {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// One sentence about "it", the file.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("it is longer than {} MiB", MAX_BYTES / 1024 / 1024));
        }
        let options = serde_saphyr::options! {
            with_snippet: false,
            strict_booleans: true,
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 1_000_000, max_replay_stack_depth: 8 },
            budget: serde_saphyr::budget! { max_depth: 8, max_nodes: 2_000_000, max_documents: 2 },
        };
        let expected: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let error = error.without_snippet().to_string();
            let first = error.lines().next().unwrap_or_default();
            format!("it is no list of expected vantages (keys: vantages, targets, unexpected): {first}")
        })?;
        expected.check()?;
        Ok(expected)
    }

    fn check(&self) -> Result<(), String> {
        if self.vantages.is_empty() {
            return Err("`vantages` is empty: at least one set of labels is expected, such as `- subnet: app-a`".into());
        }
        if self.vantages.len() > MAX_VANTAGES {
            return Err(format!("`vantages` has more than {MAX_VANTAGES} entries"));
        }
        if let Some(position) = self.vantages.iter().position(BTreeMap::is_empty) {
            return Err(format!("`vantages[{position}]` has no label, and every vantage would meet it"));
        }
        Ok(())
    }
}

/// Whether a vantage has all labels of an entry.
pub fn matches(entry: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    entry.iter().all(|(name, value)| labels.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_list_is_read_and_checked() {
        let list = "vantages: [{subnet: app-a}, {subnet: app-b, vnet: spoke-1}]\ntargets: [sessions]\n";
        let expected = Expected::read(list).expect("a list");
        assert_eq!((expected.vantages.len(), expected.unexpected), (2, Unexpected::Tell));
        for (wrong, why) in [
            ("vantages: []", "`vantages` is empty"),
            ("vantages: [{}]", "`vantages[0]` has no label"),
            ("vantage: [{subnet: a}]", "unknown field"),
            ("vantages: [{subnet: a}]\nunexpected: maybe", "unknown variant"),
            ("", "no list of expected vantages"),
            ("vantages: &a [*a]", "no list of expected vantages"),
        ] {
            let error = Expected::read(wrong).expect_err(wrong);
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
