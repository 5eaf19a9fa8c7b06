//! The lines of a journal: each is read or refused with one sentence, and a chain that is whole is not whole
//! without one of its inner lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::journal::read::Lines;
use redpath::journal::verify::Verified;
use redpath_fuzz::assert_sentence;

fuzz_target!(|bytes: &[u8]| {
    for line in Lines::new(bytes) {
        match line.and_then(|line| line.parse()) {
            Ok(line) => assert!(serde_json::to_string(&line).is_ok(), "a line that is read has a JSON form"),
            Err(why) => assert_sentence(&why.to_string()),
        }
    }
    let mut verified = Verified::default();
    verified.file(0, bytes);
    for fault in &verified.faults {
        assert_sentence(&fault.kind.to_string());
    }
    if verified.is_whole() && verified.lines > 2 {
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let mut cut = Verified::default();
        cut.file(0, [&lines[..1], &lines[2..]].concat().concat().as_slice());
        assert!(!cut.is_whole(), "a line is missing");
    }
});
