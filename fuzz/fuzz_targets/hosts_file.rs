//! The hosts file: which of its lines are about a name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::probe::fuzzing;
use redpath_fuzz::world;

/// The most lines that are kept.
const MOST: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let name = world::host(world::HOST);
    let found = fuzzing::hosts(bytes, &name);
    assert!(found.len() <= MOST, "{} lines", found.len());
    assert!(found.is_sorted_by_key(|entry| entry.line), "{found:?}");
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for entry in &found {
        // Numbered from 1 as editors do, and of the line as it stands: an address, and the name behind it.
        let line = String::from_utf8_lossy(lines[entry.line - 1]).to_ascii_lowercase();
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        assert_eq!(words.next().and_then(|word| word.parse().ok()), Some(entry.ip), "{line:?}");
        assert!(words.any(|word| word.trim_end_matches('.') == world::HOST), "{line:?}");
    }
    if found.len() < MOST {
        let mut more = bytes.to_vec();
        more.extend_from_slice(format!("\n10.60.4.5\tother {}. # pinned", world::HOST).as_bytes());
        assert_eq!(fuzzing::hosts(&more, &name).len(), found.len() + 1, "a line more");
    }
});
