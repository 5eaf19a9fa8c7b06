//! `redpath connections`: which path the applications' own connections take, as the kernel lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{check, print, terminal};
use crate::cli::{ConnectionsArgs, ExitCode, OutputFormat, print_error};
use crate::clock::Timestamp;
use crate::observation::application::{ApplicationFacts, OpenedConnections};
use crate::output::check::junit_of_connections;
use crate::output::connections as output;
use crate::plan::Plan;
use crate::probe::Prober;
use crate::probe::application::history::AddressHistory;
use crate::probe::application::peers::{self, KnownAddresses};
use crate::probe::application::{Filter, PortRange, SocketList, list_sockets};
use crate::probe::budget::Interrupt;
use crate::record::connections::{CONNECTIONS_SCHEMA, ConnectionsReport, TargetConnections};
use crate::vantage::Vantage;

/// How long the kernel may take to list the sockets.
const LIST_LIMIT: Duration = Duration::from_secs(5);

/// The time between two lists of a watch.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The most connections that a watch remembers; those beyond are not counted.
const MAX_REMEMBERED: usize = 262_144;

/// Lists the connections to the targets of the command line.
pub async fn run(args: ConnectionsArgs) -> ExitCode {
    let plans = match args.plans() {
        Ok(plans) => plans,
        Err(sentence) => {
            print_error(&sentence);
            return ExitCode::Usage;
        }
    };
    for warning in args.warnings() {
        print_error(&format!("warning: {warning}"));
    }
    let (handle, interrupt) = Interrupt::new();
    if let Err(error) = check::interrupt_on_signals(handle) {
        print_error(&format!("cannot listen for signals: {error}"));
        return ExitCode::Unknown;
    }
    let (prober, labels) = (Prober::new(), args.labels.iter().cloned().collect());
    let mut targets = Vec::with_capacity(plans.len());
    for plan in &plans {
        let known = known_addresses(&prober, plan, &interrupt, &labels).await;
        targets.push(target_connections(plan, known, args.watch, &interrupt).await);
    }
    let report = ConnectionsReport {
        schema: CONNECTIONS_SCHEMA.to_owned(),
        vantage: Vantage::here(Default::default(), &Default::default()),
        generated_at: Timestamp::now(),
        targets,
    };
    let status = ExitCode::of(report.targets.iter().map(|target| target.status), false);
    let text = match args.output {
        OutputFormat::Text => Ok(output::text(&report, &terminal::style(args.color))),
        OutputFormat::Json => output::json(&report),
        OutputFormat::Ndjson => report.targets.iter().map(output::line).collect(),
        OutputFormat::Prometheus => Ok(output::prometheus(&report)),
        OutputFormat::Markdown => Ok(output::markdown(&report)),
        OutputFormat::Junit => Ok(junit_of_connections(&report)),
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

/// What each address is known as, by every view and by the operator.
async fn known_addresses(
    prober: &Prober,
    plan: &Plan,
    interrupt: &Interrupt,
    labels: &BTreeMap<std::net::IpAddr, String>,
) -> KnownAddresses {
    let resolution = prober.resolve(plan, interrupt).await;
    let given = AddressHistory::default().note(plan.target.host.as_str(), &resolution, Timestamp::now());
    KnownAddresses { given, labels: labels.clone(), ..KnownAddresses::default() }
}

async fn target_connections(
    plan: &Plan,
    known: KnownAddresses,
    watch: Option<Duration>,
    interrupt: &Interrupt,
) -> TargetConnections {
    let target = plan.target.clone();
    let filter = Filter { ports: PortRange::of_target(&target, &[]), with_closing: true };
    let list = match list_of(&filter).await {
        Ok(list) => list,
        Err(error) => return TargetConnections::unknown(target, error),
    };
    let (list, opened) = match watch {
        None => (list, None),
        Some(duration) => match watch_sockets(&filter, list, duration, interrupt).await {
            Ok((list, opened)) => (list, Some(opened)),
            Err(error) => return TargetConnections::unknown(target, error),
        },
    };
    if known.given.is_empty() && plan.expectation.endpoints.is_empty() && !list.sockets.is_empty() {
        let error = format!(
            "{} sockets lead to its ports, and no view gave an address of the name: which path they take is unknown",
            list.sockets.len()
        );
        return TargetConnections::unknown(target, error);
    }
    let facts = ApplicationFacts { opened, ..peers::facts(list, &known, &plan.expectation) };
    TargetConnections::new(target, &plan.expectation, facts)
}

async fn list_of(filter: &Filter) -> Result<SocketList, String> {
    let filter = filter.clone();
    let listed = tokio::task::spawn_blocking(move || list_sockets(&filter, Instant::now() + LIST_LIMIT)).await;
    match listed {
        Ok(Ok(list)) => Ok(list),
        Ok(Err(error)) => Err(format!("the sockets cannot be listed: {error}")),
        Err(_) => Err("the thread that lists the sockets was lost".to_owned()),
    }
}

/// Looks once a second, and counts the connections that were not there at first. Returns the last list.
async fn watch_sockets(
    filter: &Filter,
    first: SocketList,
    duration: Duration,
    interrupt: &Interrupt,
) -> Result<(SocketList, OpenedConnections), String> {
    let pairs = |list: &SocketList| -> BTreeSet<(SocketAddr, SocketAddr)> {
        list.sockets.iter().map(|socket| (socket.local, socket.peer)).collect()
    };
    let (begun, before) = (Instant::now(), pairs(&first));
    let (mut list, mut seen) = (first, before.clone());
    while begun.elapsed() < duration && !interrupt.is_raised() {
        tokio::select! {
            () = tokio::time::sleep(WATCH_INTERVAL.min(duration.saturating_sub(begun.elapsed()))) => {}
            () = interrupt.raised() => break,
        }
        list = list_of(filter).await?;
        seen.extend(pairs(&list).into_iter().take(MAX_REMEMBERED.saturating_sub(seen.len())));
    }
    let opened = OpenedConnections { count: peers::count_opened(&before, &seen), over_seconds: begun.elapsed().into() };
    Ok((list, opened))
}
