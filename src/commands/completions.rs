//! `redpath completions SHELL`: a completion script.

use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use super::print;
use crate::cli::{Cli, ExitCode};
use crate::diagnosis::Code;

/// Prints the completion script for `shell`.
pub fn run(shell: Shell) -> ExitCode {
    print(&script(shell))
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new(); // the generator panics where it cannot write, and it always can here
    clap_complete::generate(shell, &mut command(), "redpath", &mut script);
    script
}

/// The command line with the words that a shell can offer, beside which it takes others.
fn command() -> clap::Command {
    let codes = PossibleValuesParser::new(Code::ALL.iter().map(|code| code.as_str()));
    Cli::command()
        .mut_subcommand("explain", |explain| explain.mut_arg("subject", |subject| subject.value_parser(codes)))
        .mut_subcommand("check", |check| {
            check
                .mut_arg("resolvers", |resolvers| resolvers.value_parser(["azure"]))
                .mut_arg("views", |views| views.value_parser(["all", "libc", "system", "azure"]))
        })
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
            let offers_values = matches!(shell, Shell::Bash | Shell::Zsh);
            assert!(!offers_values || script.contains("private_zone_not_seen"), "{shell}");
        }
    }
}
