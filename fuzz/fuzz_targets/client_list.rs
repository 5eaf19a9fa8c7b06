//! The text of a reply to `CLIENT LIST`, which names every client of a cache.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::observation::clients::ClientPath;
use redpath::probe::fuzzing;

/// The most characters of a name that are kept, each of which may be escaped.
const MAX_NAME: usize = 129 * 10;

fuzz_target!(|bytes: &[u8]| {
    let (piece, text) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let list = fuzzing::client_list(text, piece);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace)).count();
    let counted: usize = ClientPath::all().map(|path| list.count(path)).sum::<usize>() + list.replication;
    assert!(counted <= lines, "{counted} clients of {lines} lines");
    assert!(list.networks.len() <= 256 && list.names.len() <= 1000);
    for named in &list.names {
        for text in [&named.name, &named.user, &named.library] {
            assert!(text.len() <= MAX_NAME && !text.chars().any(char::is_control), "{text:?}");
        }
    }
    assert_eq!(list, fuzzing::client_list(text, text.len()), "how the list arrives changes nothing");
});
