//! "Did you mean": the known word that another is most likely a slip of.

/// The one of `known` that `word` is most likely a slip of. Case does not count, and `-` is `_`.
pub fn suggest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    const MAX_LENGTH: usize = 64; // the comparison takes the square of the length
    if word.len() > MAX_LENGTH {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|known| (known, strsim::damerau_levenshtein(&word, &known.replace('-', "_"))))
        .filter(|(known, distance)| *distance <= known.len().max(word.len()) / 3)
        .min_by_key(|(_, distance)| *distance)
        .map(|(known, _)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggest_typo_is_found_stranger_is_not() {
        let known = ["path", "endpoints", "latency", "certificate_warning"];
        assert_eq!(suggest("endpoint", known), Some("endpoints"));
        assert_eq!(suggest("Latnecy", known), Some("latency"));
        assert_eq!(suggest("certificate-warning", known), Some("certificate_warning"));
        assert_eq!(suggest("journal", known), None);
        assert_eq!(suggest(&"a".repeat(100_000), known), None);
    }
}
