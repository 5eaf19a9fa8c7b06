//! `redpath explain`: the page of a code, the list of all codes, or a saved record diagnosed re_diagnose.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::check::rendered;
use super::{print, terminal, write_out};
use crate::bounded_read::{self, FileKind, ReadError};
use crate::cli::{ExitCode, ExplainArgs, OutputFormat, print_error};
use crate::codes::{page, terminal as code_page};
use crate::diagnosis::{Cause, Code};
use crate::output::text::Style;
use crate::record::saved::{self, MAX_BYTES, Saved, SavedVerdict};
use crate::secret::quote::{self, quoted};
use crate::suggest::suggest;

/// Explains what the command line names.
pub fn run(args: &ExplainArgs) -> ExitCode {
    let style = terminal::style(args.color);
    let Some(subject) = args.subject.as_deref() else {
        return document(args.output, || code_page::list(&style), page::index);
    };
    let name = subject.to_str().unwrap_or_default();
    if let Some(code) = Code::named(name) {
        return document(args.output, || code_page::page(code, &style), || page::markdown(code));
    }
    for (cause, meaning) in [
        (Cause::Healthy, "everything is as expected; there is nothing to do.\n"),
        (Cause::Unknown, "it is inconclusive: the probe was interrupted, or no view could be queried.\n"),
    ] {
        if cause.as_str() == name {
            let text = || format!("{name} is a cause without a finding: {meaning}");
            return document(args.output, text, text);
        }
    }
    if is_name(name) && !Path::new(subject).exists() {
        print_error(&format!("{} is neither a code nor a file; {}", quoted(name), did_you_mean(name)));
        return ExitCode::Usage;
    }
    match bytes(Path::new(subject)).map_err(|error| error.to_string()) {
        Ok(bytes) => match saved::read(&bytes) {
            Ok(saved) => re_diagnose(saved, args),
            Err(why) => refuse(Path::new(subject), &why.to_string()),
        },
        Err(why) => refuse(Path::new(subject), &why),
    }
}

/// A text of our own, in the formats that it has.
fn document(format: OutputFormat, text: impl Fn() -> String, markdown: impl Fn() -> String) -> ExitCode {
    match format {
        OutputFormat::Text => print(text().as_bytes()),
        OutputFormat::Markdown => print(markdown().as_bytes()),
        OutputFormat::Json | OutputFormat::Ndjson | OutputFormat::Prometheus | OutputFormat::Junit => {
            print_error("a code's page is written as text or markdown; the other formats are for a saved record");
            ExitCode::Usage
        }
    }
}

fn refuse(file: &Path, why: &str) -> ExitCode {
    let file = if file == Path::new("-") { "standard input".to_owned() } else { quote::path(file) };
    print_error(&format!("{file}: {why}"));
    ExitCode::Usage
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn did_you_mean(name: &str) -> String {
    match suggest(name, Code::ALL.iter().map(|code| code.as_str())) {
        Some(code) => format!("did you mean {code}? redpath explain lists all codes"),
        None => "redpath explain lists all codes".to_owned(),
    }
}

/// What the file, or standard input for `-`, holds.
fn bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    if path != Path::new("-") {
        return bounded_read::read(path, FileKind::FileOrPipe, MAX_BYTES);
    }
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        print_error("reading a record from the terminal; Ctrl-D ends it");
    }
    bounded_read::read_stream(stdin, MAX_BYTES)
}

/// Prints the new diagnosis as `check` prints one, and says where the verdict has changed.
fn re_diagnose(saved: Saved, args: &ExplainArgs) -> ExitCode {
    let written = rendered(
        &saved.report,
        (args.output, args.strict),
        Style { verbose: args.verbose, ..terminal::style(args.color) },
    )
    .and_then(|text| write_out(text.as_bytes()));
    for (record, then) in saved.report.records.iter().zip(&saved.verdicts) {
        if let Some(then) = then.as_ref().filter(|then| **then != record.verdict) {
            let now = SavedVerdict::of(&record.verdict);
            print_error(&format!("{}: the saved verdict is {then}; current rules give {now}", record.target.name));
        }
    }
    let statuses = saved.report.records.iter().map(|record| record.verdict.status);
    match (written, ExitCode::of(statuses, args.strict)) {
        (Ok(()), exit_code) => exit_code,
        (Err(error), exit_code) => {
            print_error(&format!("cannot write the output: {error}"));
            if exit_code == ExitCode::Fail { ExitCode::Fail } else { ExitCode::Unknown }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explain_unknown_code_suggests_nearest() {
        for (typed, code) in
            [("conect_timeout", "connect_timeout"), ("private_record_mising", "private_record_missing")]
        {
            assert!(did_you_mean(typed).contains(code), "{}", did_you_mean(typed));
        }
        assert!(did_you_mean("zzz").contains("lists all codes"));
    }

    #[test]
    fn explain_code_is_not_taken_for_a_path() {
        assert!(is_name("connect_timeout") && is_name("x1"));
        assert!(!is_name("") && !is_name("a.json") && !is_name("./a") && !is_name("-") && !is_name("A"));
    }
}
