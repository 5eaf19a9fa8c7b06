//! `redpath man [COMMAND]`: the manual pages.

use std::io;

use clap::CommandFactory;

use super::print;
use crate::cli::{Cli, ExitCode, print_error};
use crate::secret::quote::quoted;

/// Prints the manual page of the program, or of the command that `path` leads to.
pub fn run(path: &[String]) -> ExitCode {
    match page(path) {
        Ok(page) => print(&page),
        Err(error) => {
            print_error(&error);
            ExitCode::Usage
        }
    }
}

fn page(path: &[String]) -> Result<Vec<u8>, String> {
    let mut command = Cli::command();
    command.build();
    for name in path {
        let known: Vec<_> = command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
        command = match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None if known.is_empty() => return Err(format!("{} has no command {}", command.get_name(), quoted(name))),
            None => return Err(format!("{} is not a command: {} are", quoted(name), known.join(", "))),
        };
    }
    let mut page = Vec::new();
    let rendered: io::Result<()> = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|error| format!("cannot render the manual page: {error}"))?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &[&str]) -> Result<String, String> {
        let path: Vec<_> = path.iter().map(|&name| name.to_owned()).collect();
        page(&path).map(|page| String::from_utf8(page).expect("a page is text"))
    }

    #[test]
    fn man_has_a_page_per_command() {
        assert!(text(&[]).expect("a page").contains(".TH redpath 1"));
        let check = text(&["check"]).expect("a page");
        assert!(check.contains(".TH redpath-check 1") && check.contains("password\\-file"), "{check}");
        assert!(text(&["config", "schema"]).expect("a page").contains("redpath-config-schema"));
    }

    #[test]
    fn man_unknown_command_lists_known() {
        let error = text(&["chek"]).expect_err("no such command");
        assert!(error.contains("\"chek\"") && error.contains("check, watch, connections, clients, agent"), "{error}");
    }
}
