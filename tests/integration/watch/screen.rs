//! Frames of the screen as text, by ratatui's test backend: `REWRITE_FIXTURES=1` writes them anew.

use std::sync::Arc;
use std::time::Duration;

use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::Color;
use ratatui_core::terminal::Terminal;
use redpath::clock::Timestamp;
use redpath::output::text::Style;
use redpath::watch::screen::{Action, Key, Screen, rows};
use redpath::watch::state::State;

use super::{at, cutover, fixture, folded};
use crate::output::{assert_fixture, records};

pub(super) const STYLE: Style = Style { color: true, width: 100, unicode: true, verbose: false };

fn now() -> Timestamp {
    cutover()[6].started_at.after(Duration::from_secs(1)).expect("a time")
}

pub(super) fn frame(screen: &Screen, state: &State, (columns, rows): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal");
    let frame = terminal.draw(|frame| screen.draw(frame.buffer_mut(), state, now())).expect("it draws");
    frame.buffer.clone()
}

/// A long cutover: public for 40 s, then as the short one.
fn state() -> State {
    let (mut state, start) = (State::default(), cutover());
    let begun = start[0].started_at;
    for second in 0..40 {
        let mut record = (*start[0]).clone();
        record.started_at = Timestamp::from_unix_f64(begun.unix_seconds() - 40.0 + second as f64).expect("a time");
        state.add(Arc::new(record));
    }
    start.into_iter().for_each(|record| drop(state.add(record)));
    state
}

#[test]
fn screen_frames_at_40_80_and_200_columns() {
    let (screen, state) = (Screen::new(STYLE), state());
    for size in [(40, 10), (80, 24), (200, 50)] {
        let text = rows(&frame(&screen, &state, size));
        assert!(text.lines().count() <= size.1.into() && text.lines().all(|row| row.chars().count() <= size.0.into()));
        assert_fixture(&fixture(&format!("screen-{}x{}.txt", size.0, size.1)), &text);
    }
    let before = frame(&screen, &folded(&cutover()[..2]).0, (80, 24));
    assert_fixture(&fixture("screen-no-go.txt"), &rows(&before));
}

#[test]
fn screen_below_40x10_is_one_line() {
    for size in [(39, 24), (80, 9), (1, 1), (0, 0)] {
        let text = rows(&frame(&Screen::new(STYLE), &state(), size));
        assert_eq!(text.trim_end().lines().count(), usize::from(size.0 > 0), "{size:?}: {text}");
    }
    assert!(rows(&frame(&Screen::new(STYLE), &state(), (39, 9))).starts_with("PASS 10.60.4.5 private, works"));
}

#[test]
fn screen_every_size_draws() {
    let (mut screen, state) = (Screen::new(STYLE), state());
    for _help in [false, true] {
        for columns in (0..=90).step_by(3).chain([250]) {
            for rows in (0..=30).chain([100]) {
                frame(&screen, &state, (columns, rows));
            }
        }
        screen.key(Key::Char('?'), &state, now());
    }
}

/// Letters say all: without colour the same text, and no colour.
#[test]
fn screen_without_colour_has_same_text() {
    let state = state();
    let colored = frame(&Screen::new(STYLE), &state, (80, 24));
    let plain = frame(&Screen::new(Style { color: false, ..STYLE }), &state, (80, 24));
    assert_eq!(rows(&colored), rows(&plain));
    assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset));
    assert!(colored.content.iter().any(|cell| cell.fg != Color::Reset));
}

#[test]
fn screen_has_held_connection() {
    let mut record = records::healthy();
    let facts = serde_json::json!({
        "state": "open", "address": "20.50.1.10:6380", "class": "public", "path": "public", "in_dns_answer": false,
        "opened_at": "2026-11-18T09:00:00Z", "age_seconds": 723.0, "losses": 0
    });
    record.observation.held_connection = Some(serde_json::from_value(facts).expect("a held connection"));
    let (state, events) = folded(&[at(record, 0)]);
    let text = rows(&frame(&Screen::new(STYLE), &state, (80, 24)));
    assert!(text.contains("held connection: 20.50.1.10:6380 public, open for 13 min"), "{text}");
    let said = events.iter().any(|event| event.text == "open to 20.50.1.10:6380, while DNS gives 10.60.4.5");
    assert!(said, "{events:?}");
}

#[test]
fn screen_hostile_text_is_harmless() {
    let mut record = records::hostile();
    record.target.name = "a\x1b[2J\u{202e}b\u{0301}".into();
    let (state, _) = folded(&[at(record, 0)]);
    let text = rows(&frame(&Screen::new(STYLE), &state, (200, 50)));
    assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
}

#[test]
fn keys_choose_freeze_mark_and_quit() {
    let mut other = records::unlinked_zone();
    other.target.name = "sessions".into();
    let (mut state, _) = folded(&[at(records::healthy(), 0), at(other, 1)]);
    let mut screen = Screen::new(STYLE);
    let first_row = |screen: &Screen, state: &State| {
        rows(&frame(screen, state, (80, 24))).lines().next().expect("a row").to_owned()
    };
    assert!(first_row(&screen, &state).starts_with("cache1.redis.cache.windows.net:6380  1 of 2"));
    assert_eq!(screen.key(Key::Char('\t'), &state, now()), Action::None);
    assert!(first_row(&screen, &state).starts_with("sessions (cache1.redis.cache.windows.net:6380)  2 of 2"));
    assert!(rows(&frame(&screen, &state, (80, 24))).contains("also: PASS cache1.redis.cache.windows.net:6380"));

    screen.key(Key::Char(' '), &state, now());
    let frozen = rows(&frame(&screen, &state, (80, 24)));
    assert!(frozen.contains("FROZEN"), "{frozen}");
    state.add(at(records::overridden(), 2));
    assert_eq!(rows(&frame(&screen, &state, (80, 24))), frozen);
    screen.key(Key::Char(' '), &state, now());
    assert!(!rows(&frame(&screen, &state, (80, 24))).contains("FROZEN"));

    screen.key(Key::Char('m'), &state, now());
    for key in "qa\u{202e}b".chars().map(Key::Char).chain([Key::Backspace]) {
        assert_eq!(screen.key(key, &state, now()), Action::None);
    }
    assert!(rows(&frame(&screen, &state, (80, 24))).contains("mark: qa_"));
    assert_eq!(screen.key(Key::Enter, &state, now()), Action::Mark("qa".into()));

    screen.key(Key::Char('?'), &state, now());
    assert!(rows(&frame(&screen, &state, (80, 24))).contains("P public"));
    screen.key(Key::Char('x'), &state, now());
    for (key, action) in [
        (Key::Char('q'), Action::Quit { keep: false }),
        (Key::Char('Q'), Action::Quit { keep: true }),
        (Key::Ctrl('c'), Action::Quit { keep: false }),
        (Key::Ctrl('z'), Action::Suspend),
        (Key::Char('r'), Action::ProbeNow),
        (Key::Char('c'), Action::Clear),
        (Key::Escape, Action::None),
    ] {
        assert_eq!(screen.key(key, &state, now()), action);
    }
}
