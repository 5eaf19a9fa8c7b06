//! What the terminal can show: its width, colour, characters beyond ASCII.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use crate::cli::ColorChoice;
use crate::output::text::Style;

/// Where there is no terminal to ask: text that is piped, or pasted into a ticket.
const WIDTH: usize = 100;
const NARROWEST: usize = 60;

/// The style of standard output.
pub(super) fn style(color: ColorChoice) -> Style {
    let is_terminal = io::stdout().is_terminal();
    let columns = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    decided(color, is_terminal, columns, &|name| std::env::var_os(name))
}

fn decided(
    color: ColorChoice,
    is_terminal: bool,
    columns: Option<usize>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Style {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let color = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        // https://no-color.org and https://bixense.com/clicolors
        ColorChoice::Auto if is_set("NO_COLOR") => false,
        ColorChoice::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") => true,
        ColorChoice::Auto => is_terminal && variable("TERM").is_none_or(|term| term != "dumb"),
    };
    // The order of POSIX: the first that is set and not empty decides, and none means ASCII.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(|name| is_set(name)).and_then(variable);
    let locale = locale.map(|locale| locale.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    Style {
        color,
        width: columns.unwrap_or(WIDTH).clamp(NARROWEST, WIDTH),
        verbose: false,
        unicode: locale.contains("utf-8") || locale.contains("utf8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(color: ColorChoice, is_terminal: bool, variables: &[(&str, &str)]) -> Style {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        decided(color, is_terminal, None, &variable)
    }

    #[test]
    fn terminal_colour_only_on_terminals() {
        for (choice, is_terminal, variables, colored) in [
            (ColorChoice::Auto, true, &[][..], true),
            (ColorChoice::Auto, false, &[], false),
            (ColorChoice::Auto, true, &[("NO_COLOR", "1")], false),
            (ColorChoice::Auto, true, &[("NO_COLOR", "")], true),
            (ColorChoice::Auto, true, &[("TERM", "dumb")], false),
            (ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (ColorChoice::Always, false, &[("NO_COLOR", "1")], true),
            (ColorChoice::Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ] {
            assert_eq!(with(choice, is_terminal, variables).color, colored, "{choice:?} {variables:?}");
        }
    }

    #[test]
    fn terminal_box_characters_need_utf8() {
        for (variables, unicode) in [
            (&[("LANG", "en_GB.UTF-8")][..], true),
            (&[("LC_ALL", "C.utf8"), ("LANG", "C")], true),
            (&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "POSIX"), ("LANG", "en_GB.UTF-8")], false),
            (&[], false),
        ] {
            assert_eq!(with(ColorChoice::Auto, true, variables).unicode, unicode, "{variables:?}");
        }
    }

    #[test]
    fn terminal_width_has_bounds() {
        for (columns, width) in [(None, 100), (Some(80), 80), (Some(20), 60), (Some(300), 100)] {
            assert_eq!(decided(ColorChoice::Never, true, columns, &|_| None).width, width);
        }
    }
}
