//! Words of findings. What comes from outside (names, errors, certificates) may be hostile: in a
//! sentence it is escaped, in a command it must be a plain word or it does not appear at all.

/// Whether a shell takes `text` as one plain word that no command takes for an option.
pub(super) fn is_plain_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// With a capital at the beginning of a sentence.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

/// `a, b and c`, at most eight of them.
pub(super) fn listed(items: &[String]) -> String {
    const MAX_SHOWN: usize = 8;
    if items.len() > MAX_SHOWN {
        let shown = items.iter().take(MAX_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        return format!("{shown} and {} more", items.len() - MAX_SHOWN);
    }
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_word_accepts_plain_words_only() {
        for good in ["cache1.redis.cache.windows.net", "_x", "10.60.4.5"] {
            assert!(is_plain_word(good), "{good}");
        }
        for bad in ["", "-rf", "$(reboot)", "a;b", "a b", "a`b`", "a\nb", "a'b", "é", "--name", "a|b", "a\\b"] {
            assert!(!is_plain_word(bad), "{bad}");
        }
    }

    #[test]
    fn list_is_joined_with_commas_and_and() {
        let items = |count: usize| (0..count).map(|item| item.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&items(0)), "");
        assert_eq!(listed(&items(1)), "0");
        assert_eq!(listed(&items(3)), "0, 1 and 2");
        assert_eq!(listed(&items(100)), "0, 1, 2, 3, 4, 5, 6, 7 and 92 more");
    }
}
