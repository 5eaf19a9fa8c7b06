//! The line of progress on a terminal, while the probes take longer than a second.

use std::io::{self, IsTerminal, Write};

use crate::printable::printable;

/// One line on standard error, rewritten; nothing where that is no terminal.
pub(super) struct Progress {
    names: Vec<String>,
    finished: Vec<bool>,
    is_terminal: bool,
    is_drawn: bool,
}

impl Progress {
    pub(super) fn new(names: Vec<String>) -> Self {
        let finished = vec![false; names.len()];
        Self { names, finished, is_terminal: io::stderr().is_terminal(), is_drawn: false }
    }

    /// The target at this place is done.
    pub(super) fn finished(&mut self, at: usize) {
        self.finished[at] = true;
        if self.is_drawn {
            self.draw();
        }
    }

    pub(super) fn draw(&mut self) {
        let Some(line) = self.line().filter(|_| self.is_terminal) else { return };
        // Back to the first column, and the rest of the line erased (ECMA-48, EL).
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
        self.is_drawn = true;
    }

    pub(super) fn erase(&mut self) {
        if self.is_drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.is_drawn = false;
        }
    }

    /// `probing 3 of 8: cache1 ...`, short enough not to wrap; `None` once all are done.
    fn line(&self) -> Option<String> {
        const WIDEST_NAME: usize = 45;
        let first = self.finished.iter().position(|finished| !finished)?;
        let done = self.finished.iter().filter(|finished| **finished).count();
        let name: String = printable(&self.names[first]).chars().take(WIDEST_NAME).collect();
        Some(format!("probing {} of {}: {name} ...", done + 1, self.names.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_line_names_pending_target() {
        let names = ["cache1", "cache2", "cache3"].map(str::to_owned).to_vec();
        let mut progress = Progress { names, finished: vec![false; 3], is_terminal: false, is_drawn: false };
        assert_eq!(progress.line().as_deref(), Some("probing 1 of 3: cache1 ..."));
        progress.finished(0);
        progress.finished(2);
        assert_eq!(progress.line().as_deref(), Some("probing 3 of 3: cache2 ..."));
        progress.finished(1);
        assert_eq!(progress.line(), None);
        progress.draw();
        assert!(!progress.is_drawn, "never where there is no terminal");
    }
}
