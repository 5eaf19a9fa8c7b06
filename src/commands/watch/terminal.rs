//! The terminal of a live view: raw mode and the alternate screen, and the way back, whatever ends the program.

use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crossterm::style::{Attribute, Color as AnsiColor, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{self, Clear, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{Command, cursor, queue};
use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};

/// Whether the terminal is in raw mode and shows the alternate screen.
static IS_ENTERED: AtomicBool = AtomicBool::new(false);

/// How long a terminal whose output is stopped may hold back the end of the program.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(300);

/// Whether standard output is a terminal that has a screen of at least these columns and rows.
pub(super) fn has_screen((columns, rows): (u16, u16)) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdout().is_terminal()
        && !is_dumb
        && terminal::size().is_ok_and(|(width, height)| width >= columns && height >= rows)
}

/// Enters raw mode and the alternate screen.
///
/// # Errors
/// The terminal does not do it; it is as before then.
pub(super) fn enter() -> io::Result<()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
    });
    if is_entered() {
        terminal::disable_raw_mode()?; // a shell may have set another mode while the program was stopped
    }
    terminal::enable_raw_mode()?;
    IS_ENTERED.store(true, Ordering::SeqCst);
    let mut stdout = io::stdout().lock();
    let written = queue!(stdout, EnterAlternateScreen, cursor::Hide).and_then(|()| stdout.flush());
    drop(stdout);
    if written.is_err() {
        leave();
    }
    written
}

/// Whether the terminal is still as [`enter`] left it; not after a panic.
pub(super) fn is_entered() -> bool {
    IS_ENTERED.load(Ordering::SeqCst)
}

/// Leaves the terminal as it was found. Takes no lock of standard output, which another thread, or this one, may hold.
pub(super) fn leave() {
    if !IS_ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut sequence = String::new();
    for written in [
        SetAttribute(Attribute::Reset).write_ansi(&mut sequence),
        cursor::Show.write_ansi(&mut sequence),
        LeaveAlternateScreen.write_ansi(&mut sequence),
    ] {
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    // A terminal that is gone has no mode.
    let _ = terminal::disable_raw_mode();
    // Output that Ctrl-S stopped blocks the writer.
    let (sender, written) = mpsc::channel();
    let writer = std::thread::Builder::new().name("terminal".to_owned());
    let spawned = writer.spawn(move || {
        let mut left = sequence.as_bytes();
        while let Ok(count @ 1..) = rustix::io::write(io::stdout(), left) {
            left = left.get(count..).unwrap_or_default();
        }
        let _ = sender.send(());
    });
    if spawned.is_ok() {
        let _ = written.recv_timeout(LEAVE_TIMEOUT);
    }
}

/// Draws cells on standard output.
pub(super) struct Stdout;

impl Backend for Stdout {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut out = Vec::new();
        let mut next = None;
        let mut style = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                queue!(out, cursor::MoveTo(x, y))?;
            }
            next = x.checked_add(1).map(|x| (x, y));
            if style != Some((cell.fg, cell.modifier)) {
                style = Some((cell.fg, cell.modifier));
                queue!(out, SetAttribute(Attribute::Reset))?;
                for (modifier, attribute) in [(Modifier::BOLD, Attribute::Bold), (Modifier::DIM, Attribute::Dim)] {
                    if cell.modifier.contains(modifier) {
                        queue!(out, SetAttribute(attribute))?;
                    }
                }
                // The page uses indexed colours alone.
                match cell.fg {
                    Color::Indexed(index) => queue!(out, SetForegroundColor(AnsiColor::AnsiValue(index)))?,
                    _ => queue!(out, ResetColor)?,
                }
            }
            queue!(out, Print(cell.symbol()))?;
        }
        queue!(out, SetAttribute(Attribute::Reset))?;
        io::stdout().write_all(&out)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        queue!(io::stdout(), cursor::Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        queue!(io::stdout(), cursor::Show)
    }

    /// Only an inline view asks for it, and this one has the whole screen.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        queue!(io::stdout(), cursor::MoveTo(x, y))
    }

    fn clear(&mut self) -> io::Result<()> {
        queue!(io::stdout(), Clear(terminal::ClearType::All))
    }

    fn clear_region(&mut self, _region: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        terminal::size().map(|(width, height)| Size { width, height })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
