//! `redpath completions SHELL`: a completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use super::print;
use crate::cli::{Cli, ExitCode};

/// Prints the completion script for `shell`.
pub fn run(shell: Shell) -> ExitCode {
    print(&script(shell))
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new(); // the generator panics where it cannot write, and it always can here
    clap_complete::generate(shell, &mut Cli::command(), "redpath", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_have_all_commands_and_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = String::from_utf8(script(shell)).expect("a script is text");
            for word in ["check", "agent", "completions", "password-file", "private-range"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
