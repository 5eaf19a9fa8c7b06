//! `redpath check`: probes each target once, all at the same time, and writes the result.

mod journal;
mod progress;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::journal::CheckJournal;
use self::progress::Progress;
use super::{terminal, write_out};
use crate::address::ReservedUse;
use crate::cli::plans::Plans;
use crate::cli::{CheckArgs, ExitCode, OutputFormat, ProbeArgs, plans, print_error};
use crate::clock::Timestamp;
use crate::config;
use crate::observation::Observation;
use crate::output;
use crate::output::text::{self, Style};
use crate::output::{json, markdown, prometheus};
use crate::pipeline;
use crate::plan::{MAX_CONCURRENT_PROBES, Plan};
use crate::probe::Prober;
use crate::probe::budget::{Interrupt, InterruptHandle};
use crate::record::{Record, Report};
use crate::secret::quote::{self, quoted};
use crate::vantage::Vantage;

/// Probes the targets of the command line.
pub async fn run(args: CheckArgs) -> ExitCode {
    let (plans, vantage) = match planned(&args.targets, &args.probe) {
        Ok(planned) => planned,
        Err(sentence) => {
            print_error(&sentence);
            return ExitCode::Usage;
        }
    };
    for warning in &plans.warnings {
        print_error(&format!("warning: {warning}"));
    }
    let open = |directory: &PathBuf| CheckJournal::open(directory, args.probe.config.as_deref(), &vantage);
    let journal = match args.journal.as_ref().map(open).transpose() {
        Ok(journal) => journal,
        Err(sentence) => {
            print_error(&sentence);
            return ExitCode::Usage;
        }
    };
    let (handle, interrupt) = Interrupt::new();
    if let Err(error) = interrupt_on_signals(handle) {
        print_error(&format!("cannot listen for signals: {error}"));
        return ExitCode::Unknown;
    }
    let probed = probe_all(plans.plans, &vantage, &interrupt, args.output).await;
    let kept = journal.map_or(Ok(()), |journal| journal.finish(&probed.records));
    if let Err(error) = &kept {
        print_error(&format!("the journal cannot be written: {error}"));
    }
    let statuses: Vec<_> = probed.records.iter().map(|record| record.verdict.status).collect();
    let written = match probed.written {
        Ok(()) if args.output == OutputFormat::Ndjson => Ok(()), // line by line already
        Ok(()) => {
            let report = Report::new(vantage, Timestamp::now(), probed.records);
            rendered(
                &report,
                (args.output, args.probe.strict),
                Style { verbose: args.verbose, ..terminal::style(args.color) },
            )
            .and_then(|text| write_out(text.as_bytes()))
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &written {
        print_error(&format!("cannot write the output: {error}"));
    }
    match ExitCode::of(statuses, args.probe.strict) {
        ExitCode::Fail => ExitCode::Fail,
        _ if written.is_err() || kept.is_err() => ExitCode::Unknown,
        exit_code => exit_code,
    }
}

/// The plans of the command line or of the configuration that it names, and the vantage.
pub(super) fn planned(targets: &[String], args: &ProbeArgs) -> Result<(Plans, Vantage), String> {
    match &args.config {
        Some(file) => configured(file, targets, args),
        None => plans::plans(targets, args, &|name| std::env::var_os(name)).map(|plans| {
            let vantage = Vantage::here(args.labels.iter().cloned().collect(), &Default::default());
            (plans, vantage)
        }),
    }
}

/// The plans of a configuration's targets, or of those named, and its vantage; its labels and those of the flags.
fn configured(file: &Path, targets: &[String], args: &ProbeArgs) -> Result<(Plans, Vantage), String> {
    let config = config::load(file).map_err(|error| error.to_string())?;
    let names: Vec<&str> = config.targets.iter().map(|target| target.plan.target.name.as_str()).collect();
    if let Some(unknown) = targets.iter().find(|wanted| !names.contains(&wanted.as_str())) {
        return Err(format!(
            "{} is no target of {}: with --config, a TARGET is the name of one ({})",
            quoted(unknown),
            quote::path(file),
            names.join(", ")
        ));
    }
    let warnings = ReservedUse::remarks("private_ranges", &config.defaults.expectation.private_ranges);
    let mut labels = config.labels;
    labels.extend(args.labels.iter().cloned());
    let vantage = Vantage::here(labels, &config.subnet_by_node_pool);
    let wanted = |plan: &Plan| targets.is_empty() || targets.contains(&plan.target.name);
    let plans = config.targets.into_iter().map(|target| target.plan).filter(wanted).collect();
    Ok((Plans { plans, warnings }, vantage))
}

/// A report in one of the formats, in which a warning may be a failure.
pub(super) fn rendered(report: &Report, (format, is_strict): (OutputFormat, bool), style: Style) -> io::Result<String> {
    match format {
        OutputFormat::Text => Ok(text::render(report, &style)),
        OutputFormat::Json => json::report(report).map_err(io::Error::from),
        OutputFormat::Ndjson => {
            report.records.iter().map(|record| json::line(record).map_err(io::Error::from)).collect()
        }
        OutputFormat::Prometheus => Ok(prometheus::exposition_of(&report.records)),
        OutputFormat::Markdown => Ok(markdown::render(report)),
        OutputFormat::Junit => Ok(output::check::junit(report, is_strict)),
    }
}

/// How long the report of interrupted probes may take to be written.
const EXIT_AFTER: Duration = Duration::from_secs(2);

/// The first SIGINT or SIGTERM interrupts the probes; a second one, or [`EXIT_AFTER`], ends the program. The
/// handlers have a thread of their own: writing to a pipe that nobody reads blocks the others.
pub(super) fn interrupt_on_signals(handle: InterruptHandle) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    drop(entered);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut next = async || {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
        };
        runtime.block_on(async {
            next().await;
            handle.raise();
            let _ = tokio::time::timeout(EXIT_AFTER, next()).await;
        });
        std::process::exit(ExitCode::Unknown as i32);
    })?;
    Ok(())
}

struct Probed {
    /// One record per plan, in the order of the plans.
    records: Vec<Record>,
    /// Whether the lines that were due in between could be written.
    written: io::Result<()>,
}

async fn probe_all(plans: Vec<Plan>, vantage: &Vantage, interrupt: &Interrupt, format: OutputFormat) -> Probed {
    let prober = Arc::new(Prober::new());
    let mut progress = Progress::new(plans.iter().map(|plan| plan.target.name.clone()).collect());
    let mut records: Vec<Option<Record>> = plans.iter().map(|_| None).collect();
    let mut written = Ok(());
    let mut waiting: VecDeque<_> = plans.iter().cloned().enumerate().collect();
    let mut running = JoinSet::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await; // the first is at once
    loop {
        while running.len() < MAX_CONCURRENT_PROBES
            && let Some((at, plan)) = waiting.pop_front()
        {
            let (prober, vantage, interrupt) = (prober.clone(), vantage.clone(), interrupt.clone());
            running.spawn(async move { (at, pipeline::run(&prober, &plan, &vantage, &interrupt).await) });
        }
        tokio::select! {
            finished = running.join_next() => match finished {
                None => break,
                Some(Ok((at, record))) => {
                    progress.finished(at);
                    if format == OutputFormat::Ndjson && written.is_ok() {
                        progress.erase();
                        written = json::line(&record).map_err(io::Error::from)
                            .and_then(|line| write_out(line.as_bytes()));
                    }
                    records[at] = Some(record);
                }
                Some(Err(_)) => {} // a panic, which has said so itself; its target is filled in below
            },
            _ = tick.tick() => progress.draw(),
        }
    }
    progress.erase();
    let records = plans.into_iter().zip(records).map(|(plan, record)| {
        record.unwrap_or_else(|| {
            let Plan { target, expectation, .. } = plan;
            let (now, nothing) = (Timestamp::now(), Observation::default());
            Record::new(now, Duration::ZERO, target, vantage.clone(), expectation, nothing)
        })
    });
    Probed { records: records.collect(), written }
}
