//! `redpath clients`: which path every client of a cache takes, as its nodes list them.

mod from_az;
mod progress;

use std::time::Duration;

use self::progress::Progress;
use super::{check, print, terminal};
use crate::cli::{ClientsArgs, ExitCode, OutputFormat, print_error};
use crate::clock::Timestamp;
use crate::diagnosis::{Code, Status};
use crate::observation::Observation;
use crate::observation::clients::ClientsFacts;
use crate::output::check::junit_of_clients;
use crate::output::clients as output;
use crate::pipeline;
use crate::plan::{ClientNames, Plan};
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::record::clients::ClientsReport;
use crate::vantage::Vantage;

/// Lists the clients of the cache.
pub async fn run(args: ClientsArgs) -> ExitCode {
    let planned = match args.plan(&|name| std::env::var_os(name)) {
        Ok(planned) => planned,
        Err(sentence) => {
            print_error(&sentence);
            return ExitCode::Usage;
        }
    };
    for warning in &planned.warnings {
        print_error(&format!("warning: {warning}"));
    }
    let (handle, interrupt) = Interrupt::new();
    if let Err(error) = check::interrupt_on_signals(handle) {
        print_error(&format!("cannot listen for signals: {error}"));
        return ExitCode::Unknown;
    }
    if !args.from_az.is_empty() {
        return match from_az::facts(&args.from_az, &planned.plan.expectation) {
            Ok(clients) => {
                let vantage = Vantage::here(Default::default(), &Default::default());
                let Plan { target, expectation, .. } = planned.plan;
                let now = Timestamp::now();
                let record = Record::new(now, Duration::ZERO, target, vantage, expectation, Observation::default());
                write(&report_of(record, clients), &args)
            }
            Err(sentence) => {
                print_error(&sentence);
                ExitCode::Usage
            }
        };
    }
    let prober = Prober::new();
    let asker = Asker { prober: &prober, plan: &planned.plan, names: planned.names, interrupt: &interrupt };
    let report = if args.watch { asker.watch(args.interval).await } else { asker.report().await };
    write(&report, &args)
}

/// What each list needs.
struct Asker<'a> {
    prober: &'a Prober,
    plan: &'a Plan,
    names: ClientNames,
    interrupt: &'a Interrupt,
}

impl Asker<'_> {
    /// Probes the cache, and asks each node that was reached.
    async fn report(&self) -> ClientsReport {
        let vantage = Vantage::here(Default::default(), &Default::default());
        let record = pipeline::run(self.prober, self.plan, &vantage, self.interrupt).await;
        let clients = self.prober.list_clients(self.plan, &record.observation, (self.names, self.interrupt)).await;
        report_of(record, clients)
    }

    /// Repeats until every client comes by a private link; the last report where it is interrupted before.
    async fn watch(&self, interval: Duration) -> ClientsReport {
        let mut progress = Progress::default();
        let mut report = self.report().await;
        loop {
            progress.show(&report);
            if report.status == Status::Pass {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.interrupt.raised() => break,
            }
            let next = self.report().await;
            if self.interrupt.is_raised() {
                break; // an interrupted list says less than the one before
            }
            report = next;
        }
        progress.end();
        report
    }
}

/// The report of these clients, diagnosed with the record of the probe.
fn report_of(record: Record, clients: ClientsFacts) -> ClientsReport {
    let Record { started_at, took_seconds, target, vantage, expectation, mut observation, .. } = record;
    observation.clients = Some(clients.clone());
    let record = Record::new(started_at, took_seconds, target, vantage, expectation, observation);
    let findings = record.findings.into_iter().filter(|finding| finding.code == Code::PublicClientsPresent).collect();
    ClientsReport::new(record.target, record.vantage, &record.expectation, clients, findings)
}

fn write(report: &ClientsReport, args: &ClientsArgs) -> ExitCode {
    let text = match args.output {
        OutputFormat::Text => Ok(output::text(report, &terminal::style(args.color))),
        OutputFormat::Json => output::json(report),
        OutputFormat::Ndjson => output::line(report),
        OutputFormat::Prometheus => Ok(output::prometheus(report)),
        OutputFormat::Markdown => Ok(output::markdown(report)),
        OutputFormat::Junit => Ok(junit_of_clients(report)),
    };
    match text.map(|text| print(text.as_bytes())) {
        Ok(ExitCode::Pass) => ExitCode::of([report.status], false),
        Ok(other) => other,
        Err(error) => {
            print_error(&format!("cannot write the output: {error}"));
            ExitCode::Unknown
        }
    }
}
