//! What is wrong with the command line, as one sentence. The parser's own text quotes every value; this one asks
//! `secret::quote` first.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::secret::quote::{may_hold_secret, quoted};
use crate::suggest::suggest;
use crate::target::TargetArgument;

/// Flags of other programs that take a secret.
const SECRET_FLAGS: [&str; 6] = ["--password", "--pass", "--token", "--key", "--access-key", "-a"];

/// The sentence.
pub(super) fn sentence(error: &clap::Error) -> String {
    let what = match error.kind() {
        ErrorKind::InvalidSubcommand => unknown_command(error),
        ErrorKind::UnknownArgument => unknown_argument(error),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => invalid_value(error),
        ErrorKind::MissingRequiredArgument => {
            format!("{} is missing", texts(error, ContextKind::InvalidArg).join(" "))
        }
        ErrorKind::ArgumentConflict => {
            let argument = text(error, ContextKind::InvalidArg);
            match texts(error, ContextKind::PriorArg).join(" and ") {
                other if other == argument => format!("{argument} is given twice"),
                other => format!("{argument} and {other} exclude each other"),
            }
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        // The parser's name for the kind, without what was typed.
        kind => match text(error, ContextKind::InvalidArg) {
            "" => kind.to_string(),
            argument => format!("{}: {kind}", argument_name(argument)),
        },
    };
    format!("{what} (see --help)")
}

fn unknown_command(error: &clap::Error) -> String {
    let typed = text(error, ContextKind::InvalidSubcommand);
    let known = texts(error, ContextKind::ValidSubcommand);
    let near = suggest(typed, known.iter().copied()).map(str::to_owned);
    let near = near.or_else(|| texts(error, ContextKind::SuggestedSubcommand).first().map(|near| (*near).to_owned()));
    match near {
        Some(near) => format!("{} is not a command; did you mean {near}?", quoted(typed)),
        None if may_hold_secret(typed) => {
            "the first argument is not a command (not shown, since it may hold a secret); redpath check TARGET probes \
             a target"
                .to_owned()
        }
        None if TargetArgument::parse(typed).is_ok() => {
            format!("{} is not a command; redpath check {typed} probes it", quoted(typed))
        }
        None => format!("{} is not a command", quoted(typed)),
    }
}

fn unknown_argument(error: &clap::Error) -> String {
    let argument = text(error, ContextKind::InvalidArg);
    if SECRET_FLAGS.contains(&argument) {
        return format!(
            "{argument} is not a flag: others can see the command line; --password-file and REDPATH_PASSWORD keep a \
             password to yourself"
        );
    }
    let shown = argument_name(argument);
    match text(error, ContextKind::SuggestedArg) {
        "" if argument.starts_with('-') => format!("{shown} is not a flag"),
        "" => format!("{shown} is one argument too many"),
        near => format!("{shown} is not a flag; did you mean {near}?"),
    }
}

fn invalid_value(error: &clap::Error) -> String {
    let argument = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    let accepted = texts(error, ContextKind::ValidValue);
    if value.is_empty() && error.kind() == ErrorKind::InvalidValue {
        return format!("{argument} has no value");
    }
    if let Some(source) = error.source() {
        return format!("{argument}: {} is {source}", quoted(value));
    }
    let near = suggest(value, accepted.iter().copied()).map(|near| format!("; did you mean {near}?"));
    let (near, list) = (near.unwrap_or_default(), accepted.join(", "));
    format!("{argument}: {} is not known{near}: one of {list} is expected", quoted(value))
}

/// The argument as the user typed it, which may be a target.
fn argument_name(argument: &str) -> String {
    if argument.starts_with('-') && !may_hold_secret(argument) { argument.to_owned() } else { quoted(argument) }
}

fn text(error: &clap::Error, kind: ContextKind) -> &str {
    texts(error, kind).first().copied().unwrap_or_default()
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}
