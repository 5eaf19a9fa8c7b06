//! `redpath gate`: reads the evidence, judges it, and answers by the exit status.

pub(super) mod api;
mod expect;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use super::{check, print, terminal};
use crate::bounded_read::{self, FileKind};
use crate::cli::{ExitCode, GateArgs, GateFormat, print_error};
use crate::clock::Timestamp;
use crate::evidence;
use crate::evidence::Digests;
use crate::evidence::expected::{self, Expected};
use crate::gate::seen::{Seen, Window};
use crate::gate::{Answer, Judgement, Rules, from_files, from_prometheus, judge};
use crate::output::{gate as output, junit};
use crate::probe::budget::Interrupt;
use crate::prometheus::Api;
use crate::secret::quote;

/// Judges, once or until the answer is READY.
pub async fn run(args: GateArgs) -> ExitCode {
    if let Some(command) = &args.command {
        return expect::run(command);
    }
    let (handle, interrupt) = Interrupt::new();
    if let Err(error) = check::interrupt_on_signals(handle) {
        print_error(&format!("cannot listen for signals: {error}"));
        return ExitCode::Unknown;
    }
    let judged = tokio::select! {
        judged = judge_until_ready(&args) => judged,
        () = interrupt.raised() => return ExitCode::Unknown,
    };
    match judged {
        Ok(judgement) => show(&judgement, &args),
        Err(sentence) => {
            print_error(&sentence);
            ExitCode::Usage
        }
    }
}

async fn judge_until_ready(args: &GateArgs) -> Result<Judgement, String> {
    if args.files.is_empty() && args.prometheus.is_none() {
        return Err("nothing to judge: name files of journals and records, or give --prometheus URL".to_owned());
    }
    let expected = read_expected(args.expected.as_deref())?;
    let api = api::of(args.prometheus.as_deref(), &args.api)?;
    let begun = Instant::now();
    loop {
        let window = Window::ending(args.at.unwrap_or_else(Timestamp::now), args.hold);
        let rules = Rules {
            window,
            expected: expected.clone(),
            waived: args.waive.iter().copied().collect(),
            max_age: args.max_age,
        };
        let judgement = judge(&seen(args, api.as_ref(), window).await?, &rules);
        if !args.wait || judgement.answer == Answer::Ready || begun.elapsed() >= args.timeout {
            return Ok(judgement);
        }
        progress(&judgement);
        tokio::time::sleep(args.interval.min(args.timeout.saturating_sub(begun.elapsed()))).await;
    }
}

async fn seen(args: &GateArgs, api: Option<&Api>, window: Window) -> Result<Seen, String> {
    match api {
        Some(api) => Ok(from_prometheus::seen(api, window).await),
        None => Ok(from_files::seen(&evidence::read_files(&args.files, Digests::Drop)?, window)),
    }
}

/// The list of expected vantages.
///
/// # Errors
/// One sentence that names the file.
pub(super) fn read_expected(path: Option<&Path>) -> Result<Option<Expected>, String> {
    let Some(path) = path else { return Ok(None) };
    let refuse = |why: String| format!("--expected {}: {why}", quote::path(path));
    let bytes = bounded_read::read(path, FileKind::FileOrPipe, expected::MAX_BYTES)
        .map_err(|error| refuse(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".to_owned()))?;
    Expected::read(&text).map(Some).map_err(refuse)
}

/// A line on a terminal, while it waits.
fn progress(judgement: &Judgement) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let first = judgement.reasons.first().map(|reason| reason.sentence.as_str()).unwrap_or_default();
        let line = format!("{} {}: {} reasons, {first}\n", judgement.at, judgement.answer, judgement.reasons.len());
        let _ = stderr.write_all(crate::printable::printable(line.trim_end()).as_bytes());
        let _ = stderr.write_all(b"\n"); // a closed terminal is no reason to end
    }
}

fn show(judgement: &Judgement, args: &GateArgs) -> ExitCode {
    write_step_summary(judgement);
    let text = match args.output {
        GateFormat::Text => Ok(output::text(judgement, &terminal::style(args.color))),
        GateFormat::Json => output::json(judgement),
        GateFormat::Junit => Ok(junit::document(&output::suite(judgement))),
        GateFormat::Markdown => Ok(output::markdown(judgement)),
        GateFormat::InToto => output::in_toto(judgement),
    };
    let status = match judgement.answer {
        Answer::Ready => ExitCode::Pass,
        Answer::NotReady => ExitCode::Fail,
        Answer::CannotTell => ExitCode::Unknown,
    };
    match text.map(|text| print(text.as_bytes())) {
        Ok(ExitCode::Pass) => status,
        Ok(other) => other,
        Err(error) => {
            print_error(&format!("cannot write the output: {error}"));
            ExitCode::Unknown
        }
    }
}

/// The file that GitHub Actions shows as the summary of a job.
fn write_step_summary(judgement: &Judgement) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(output::markdown(judgement).as_bytes())) {
        print_error(&format!("the summary was not written to $GITHUB_STEP_SUMMARY: {error}"));
    }
}
