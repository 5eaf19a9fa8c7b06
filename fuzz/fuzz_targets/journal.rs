//! The lines of a journal: each is read or refused with one sentence, and a chain that is whole is not whole
//! without one of its inner lines. Its records and marks are shown as `watch --replay` shows them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use redpath::clock::Timestamp;
use redpath::journal::read::Lines;
use redpath::journal::recording::{RecordedEntry, RecordingReader};
use redpath::journal::verify::Verified;
use redpath::output::text::Style;
use redpath::watch::lines::{LineFormat, Lines as EventLines};
use redpath::watch::screen::{Screen, rows};
use redpath::watch::state::State;
use redpath::watch::summary;
use redpath_fuzz::{assert_harmless, assert_sentence};

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
    replay(bytes);
});

/// The lines, the screen and the summary of a recording have no control character.
fn replay(bytes: &[u8]) {
    let style = Style { color: false, width: 80, unicode: true, verbose: false };
    let (mut state, mut lines) = (State::default(), EventLines::new(LineFormat::Text, style));
    for entry in RecordingReader::new(bytes) {
        match entry.map(|entry| entry.what) {
            Ok(RecordedEntry::Record(record)) => {
                let events = state.add(record);
                let name = events.first().and_then(|event| event.target.clone()).unwrap_or_default();
                assert_harmless("lines", &lines.of(&state, &name, &events).expect("an event has a JSON form"));
            }
            Ok(RecordedEntry::Mark(mark)) => {
                state.mark(mark.at, mark.word);
            }
            Err(sentence) => return assert_sentence(&sentence),
        }
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    Screen::new(style).draw(&mut buffer, &state, Timestamp::from_unix(1_800_000_000).expect("a time"));
    assert_harmless("screen", &rows(&buffer));
    assert_harmless("summary", &summary::text(&state, &style));
}
