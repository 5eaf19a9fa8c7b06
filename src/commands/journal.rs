//! `redpath journal verify`: reads the chain of a journal, and names each line that is not as it was written.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{gate, print, witness};
use crate::cli::{ExitCode, JournalCommand, JournalVerifyArgs, print_error};
use crate::evidence::files::JournalRead;
use crate::evidence::witness::Witness;
use crate::journal::verify::Verified;
use crate::journal::write;
use crate::prometheus::Api;
use crate::secret::quote;

/// Runs a command of `redpath journal`.
pub async fn run(command: JournalCommand) -> ExitCode {
    let JournalCommand::Verify(args) = command;
    verify(&args).await.unwrap_or_else(|sentence| {
        print_error(&sentence);
        ExitCode::Usage
    })
}

async fn verify(args: &JournalVerifyArgs) -> Result<ExitCode, String> {
    let api = gate::api::of(args.prometheus.as_deref(), &args.api)?;
    let mut paths = Vec::new();
    for path in &args.files {
        paths.extend(files_of(path).map_err(|why| format!("{}: {why}", quote::path(path)))?);
    }
    let journal = JournalRead::of_files(paths)?;
    let mut out = text(&journal.verified, &journal.paths);
    let mut status = if journal.verified.is_whole() { ExitCode::Pass } else { ExitCode::Fail };
    if let Some(api) = &api {
        let (sentence, said) = match witnessed(&journal, api).await {
            Ok(witness) => (witness.to_string(), status_of(&witness)),
            Err(why) => (why, ExitCode::Unknown),
        };
        let _ = writeln!(out, "{}", crate::printable::printable(&sentence));
        if journal.digests_left_out > 0 {
            let _ = writeln!(out, "the {} oldest lines were not compared", journal.digests_left_out);
        }
        if status == ExitCode::Pass {
            status = said;
        }
    }
    Ok(match print(out.as_bytes()) {
        ExitCode::Pass => status,
        other => other,
    })
}

/// What Prometheus says of the journal, asked about the time in which it was written.
async fn witnessed(journal: &JournalRead, api: &Api) -> Result<Witness, String> {
    let Some((from, to)) = journal.written else { return Ok(Witness::Silent) };
    Ok(witness::of(journal, &witness::heads(api, from, to).await?))
}

fn status_of(witness: &Witness) -> ExitCode {
    match witness {
        Witness::Confirms { .. } => ExitCode::Pass,
        Witness::Differs(_) | Witness::Missing { .. } => ExitCode::Fail,
        Witness::Silent => ExitCode::Unknown,
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
