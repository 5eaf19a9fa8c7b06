//! `redpath report`: one document of what many vantages saw.

mod az;
mod time_stamp;

use std::path::Path;

use super::{gate, print, witness};
use crate::cli::{ExitCode, ReportArgs, ReportFormat, print_error};
use crate::clock::Timestamp;
use crate::evidence::document::EvidenceReport;
use crate::evidence::report::{self, Scope};
use crate::evidence::witness::Witness;
use crate::evidence::{self, Digests, Evidence};
use crate::output::evidence as output;
use crate::secret::quote;

/// Writes the report.
pub async fn run(args: ReportArgs) -> ExitCode {
    match written(&args).await {
        Ok(status) => status,
        Err(sentence) => {
            print_error(&sentence);
            ExitCode::Usage
        }
    }
}

async fn written(args: &ReportArgs) -> Result<ExitCode, String> {
    let api = gate::api::of(args.prometheus.as_deref(), &args.api)?;
    let scope = Scope {
        from: args.from,
        to: args.to,
        cutover: args.cutover,
        expected: gate::read_expected(args.expected.as_deref())?,
    };
    let digests = if api.is_some() { Digests::Keep } else { Digests::Drop };
    let evidence = evidence::read_files(&args.files, digests)?;
    let az = args.az.iter().map(|path| az::read(path)).collect::<Result<_, _>>()?;
    let report = report::report(&evidence, &scope, az, Timestamp::now());
    let mut report = report.ok_or("no probe of these files lies in the period")?;
    let mut said = Vec::new();
    if let Some(api) = &api {
        let heads = witness::heads(api, report.from, report.to).await?;
        said = add_witness(&mut report, &evidence, &heads);
    }
    let status = if args.verify { verified(&report, &said) } else { ExitCode::Pass };
    let text = match args.output {
        ReportFormat::Markdown => output::markdown(&report),
        ReportFormat::Html => output::html(&report),
        ReportFormat::Json => output::json(&report).map_err(|error| format!("cannot write the output: {error}"))?,
    };
    let Some(path) = &args.write else {
        return Ok(if print(text.as_bytes()) == ExitCode::Pass { status } else { ExitCode::Unknown });
    };
    std::fs::write(path, &text).map_err(|error| format!("{}: it cannot be written: {error}", quote::path(path)))?;
    let stamped = match &args.timestamp {
        Some(url) => Some(time_stamp::stamp(url, path, text.as_bytes()).await?),
        None => None,
    };
    Ok(if print(next_lines(path, stamped.as_deref()).as_bytes()) == ExitCode::Pass {
        status
    } else {
        ExitCode::Unknown
    })
}

/// Whether the journals are whole, and what the witness was asked confirms each of them.
fn verified(report: &EvidenceReport, said: &[Witness]) -> ExitCode {
    let is_damaged = report.journals.iter().any(|journal| !journal.is_whole);
    if is_damaged || said.iter().any(Witness::contradicts) {
        ExitCode::Fail
    } else if said.contains(&Witness::Silent) {
        ExitCode::Unknown
    } else {
        ExitCode::Pass
    }
}

/// What the witness says of each journal.
fn add_witness(report: &mut EvidenceReport, evidence: &Evidence, heads: &witness::Heads) -> Vec<Witness> {
    let said: Vec<Witness> = evidence.journals.iter().map(|read| witness::of(read, heads)).collect();
    for (journal, found) in report.journals.iter_mut().zip(&said) {
        journal.witness = Some(found.to_string());
    }
    said
}

/// The lines to type next, with the names of the files.
fn next_lines(path: &Path, stamped: Option<&Path>) -> String {
    let report = quote::path(path);
    let mut out = format!(
        "{report} is written\n\nsign it:\n  ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n redpath.report {report}\n\nverify the signature:\n  ssh-keygen -Y verify -f allowed_signers -I NAME -n redpath.report -s {report}.sig < {report}\n"
    );
    if let Some(stamp) = stamped {
        let stamp = quote::path(stamp);
        out.push_str(&format!(
            "\nverify the time stamp, with the authority's certificate:\n  openssl ts -verify -in {stamp} -data {report} -CAfile AUTHORITY.pem\n"
        ));
    }
    out
}
