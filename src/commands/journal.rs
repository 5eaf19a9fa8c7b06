//! `redpath journal verify`: reads the chain of a journal, and names each line that is not as it was written.

use std::fmt::Write;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::print;
use crate::cli::{ExitCode, JournalCommand, print_error};
use crate::journal::verify::Verified;
use crate::journal::write;
use crate::secret::quote;

/// Runs a command of `redpath journal`.
pub fn run(command: &JournalCommand) -> ExitCode {
    let JournalCommand::Verify { files } = command;
    let mut paths = Vec::new();
    for path in files {
        match files_of(path) {
            Ok(found) => paths.extend(found),
            Err(why) => {
                print_error(&format!("{}: {why}", quote::path(path)));
                return ExitCode::Usage;
            }
        }
    }
    let mut verified = Verified::default();
    for (index, path) in paths.iter().enumerate() {
        match File::open(path) {
            Ok(file) => verified.file(index, BufReader::new(file)),
            Err(error) => {
                print_error(&format!("{}: it cannot be read: {error}", quote::path(path)));
                return ExitCode::Usage;
            }
        }
    }
    let status = if verified.is_whole() { ExitCode::Pass } else { ExitCode::Fail };
    match print(text(&verified, &paths).as_bytes()) {
        ExitCode::Pass => status,
        other => other,
    }
}

/// The file, or the files of a directory.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, String> {
    let found = std::fs::metadata(path).map_err(|error| format!("it cannot be read: {error}"))?;
    if found.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !found.is_dir() {
        return Err("it is neither a file nor a directory".to_owned());
    }
    let files = write::files(path).map_err(|error| format!("it cannot be read: {error}"))?;
    if files.is_empty() {
        return Err("no journal is in this directory: journal-NUMBER.ndjson is expected".to_owned());
    }
    Ok(files)
}

fn text(verified: &Verified, paths: &[PathBuf]) -> String {
    let mut out = String::new();
    for fault in &verified.faults {
        let path = paths.get(fault.file).map(|path| quote::path(path)).unwrap_or_default();
        let _ = writeln!(out, "{path}:{}: {}", fault.at, fault.kind);
    }
    if verified.more_faults > 0 {
        let _ = writeln!(out, "and {} faults more", verified.more_faults);
    }
    let Some(head) = verified.head else {
        out.push_str("no line of a journal was found\n");
        return out;
    };
    let result = if verified.is_whole() { "whole" } else { "damaged" };
    let first = verified.first.unwrap_or_default();
    let _ = writeln!(out, "{result}: {} lines, entries {first} to {}", verified.lines, head.number);
    if first > 1 {
        let _ = writeln!(out, "entries 1 to {} are not in these files; rotation removes the oldest", first - 1);
    }
    let _ = writeln!(out, "head: entry {} {}", head.number, head.digest);
    let _ = writeln!(out, "redpath_journal_records_total {}", head.number);
    for (part, bits) in (1..).zip(head.digest.parts()) {
        let _ = writeln!(out, "redpath_journal_head{{part=\"{part}\"}} {bits}");
    }
    out.push_str(
        "that entries after the head were cut, or all were written anew, this cannot exclude: compare the head\n",
    );
    out
}
