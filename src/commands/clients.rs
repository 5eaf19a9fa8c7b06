//! `redpath clients`: which path every client of a cache takes, as its nodes list them.

use super::{check, print, terminal};
use crate::cli::{ClientsArgs, ExitCode, OutputFormat, print_error};
use crate::diagnosis::Code;
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
    let prober = Prober::new();
    let report = report(&prober, &planned.plan, planned.names, &interrupt).await;
    write(&report, &args)
}

/// Probes the cache, and asks each node that was reached.
async fn report(prober: &Prober, plan: &Plan, names: ClientNames, interrupt: &Interrupt) -> ClientsReport {
    let vantage = Vantage::here(Default::default(), &Default::default());
    let record = pipeline::run(prober, plan, &vantage, interrupt).await;
    let clients = prober.list_clients(plan, &record.observation, (names, interrupt)).await;
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
