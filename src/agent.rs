//! The agent: start-up, the event loop that owns the schedule, and shutdown.
//!
//! It connects the other modules; [`run`] lists the steps in order.

mod config_watcher;
mod descriptors;
mod executor;
mod on_demand;
mod reload;
mod reserved_ranges;
mod secret_files;
mod signals;
mod systemd;
mod textfile;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{ConfigError, JournalSettings};
use crate::history::History;
use crate::journal::digest::Digest;
use crate::journal::line::ConfigurationRead;
use crate::journal::recorder::Recorder;
use crate::journal::restore::records;
use crate::journal::write::{Appender, Limits, OpenError};
use crate::output::metrics::Metrics;
use crate::probe::Prober;
use crate::probe::budget::{Interrupt, InterruptHandle};
use crate::schedule::Executor;
use crate::server::{self, Backend, ReloadRequest, WebConfigFile};
use crate::vantage::Vantage;

pub use on_demand::plan_for;

use config_watcher::ConfigFile;
use executor::ProbeExecutor;
use on_demand::OnDemand;
use reload::{Agent, RunningConfig, Trigger};
use signals::{SignalAction, Signals};
use systemd::Systemd;
use textfile::Textfile;

/// The options of the command line.
pub struct Options {
    /// The configuration file; it is loaded again when it changes.
    pub config: PathBuf,
    /// How the results are published.
    pub exporter: Exporter,
    /// The directory of the journal, if one is kept.
    pub journal: Option<PathBuf>,
}

/// How the results are published.
pub enum Exporter {
    /// Over HTTP.
    Http {
        /// The web configuration (TLS, client certificates, users), if any.
        web_config: Option<WebConfigFile>,
        /// The address to listen on; overrides the configuration.
        listen: Option<SocketAddr>,
    },
    /// As a file for node_exporter's textfile collector, without listening.
    Textfile(PathBuf),
}

/// How the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// On a signal, after the running probes and requests.
    Graceful,
    /// On a second signal, at once.
    Forced,
    /// Because the exporter failed.
    ExporterFailed,
}

/// Why the agent cannot start: one sentence that says what to change.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is invalid.
    Config(ConfigError),
    /// The configuration needs more open files than allowed.
    Descriptors(String),
    /// It cannot listen.
    Listen(SocketAddr, io::Error),
    /// The text file cannot be written.
    Textfile(PathBuf, io::Error),
    /// The journal cannot be written.
    Journal(PathBuf, OpenError),
    /// The signal handlers cannot be installed.
    Signals(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Descriptors(error) => f.write_str(error),
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; web.listen takes a free ADDRESS:PORT of this host")
            }
            Self::Textfile(path, error) => write!(
                f,
                "cannot write {}: {error}; --textfile takes a file in an existing directory with write permission",
                path.display()
            ),
            Self::Journal(path, error) => write!(f, "--journal {}: {error}", path.display()),
            Self::Signals(error) => write!(f, "cannot receive signals: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// How long probes and requests may continue after SIGTERM: the default timeout of a probe.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long interrupted probes may take to end.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(1);

/// The length of the queue of reload requests; further ones wait until there is room.
const RELOAD_QUEUE: usize = 4;

/// Runs the agent until SIGTERM or SIGINT. Needs a current-thread runtime.
///
/// # Errors
/// [`StartError`] if it cannot start; once started, it continues.
pub async fn run(options: Options) -> Result<Shutdown, StartError> {
    let mut signals = Signals::install().map_err(StartError::Signals)?;
    let mut file = ConfigFile::new(options.config);
    let config = file.load().map_err(StartError::Config)?;
    let max_files = descriptors::raise_limit();
    let config = descriptors::fit(config, max_files).map_err(StartError::Descriptors)?;
    // Before the first probe: without an exporter there is no use in probing.
    let exporter = BoundExporter::bind(options.exporter, config.web.listen).await?;
    let (listen, textfile) = exporter.location();

    let vantage = reload::vantage(&config);
    let missing_subnet = vantage.subnet.is_none() && !config.subnet_by_node_pool.is_empty();
    let journal_settings = match options.journal {
        Some(directory) => Some(JournalSettings { directory, ..config.journal.clone().unwrap_or_default() }),
        None => config.journal.clone(),
    };
    let journal =
        journal_settings.as_ref().map(|settings| open_journal(settings, &vantage, file.digest())).transpose()?;
    let metrics = Arc::new(Metrics::new(&config.metrics, &vantage));
    if let Some(journal) = journal.clone() {
        metrics.journal(move || journal.status());
    }
    let history = Arc::new(History::new());
    let (interrupt_handle, interrupt) = Interrupt::new();
    let current = watch::Sender::new(Arc::new(RunningConfig { vantage: vantage.clone(), config: config.clone() }));
    let prober = Arc::new(Prober::for_schedule());
    let new_record = Arc::new(Notify::new());
    let on_demand = OnDemand::new(Arc::clone(&prober), current.subscribe(), interrupt.clone());
    let executor = ProbeExecutor {
        prober: Arc::clone(&prober),
        current: current.subscribe(),
        interrupt,
        metrics: Arc::clone(&metrics),
        history: Arc::clone(&history),
        journal: journal.clone(),
        out_of_descriptors: AtomicBool::default(),
        new_record: Arc::clone(&new_record),
    };
    let names: Vec<String> = config.targets.iter().map(|target| target.plan.target.name.clone()).collect();
    history.set_targets(&names);
    if let Some(settings) = &journal_settings {
        restore(settings, &history, &prober);
    }
    let in_force = current.subscribe();
    let restored = history.restored();
    let mut agent = Agent::start(executor, config, current, Arc::clone(&metrics), Arc::clone(&history));
    for (name, verdict, since) in restored {
        metrics.restore_verdict(&name, verdict, since);
    }

    let (ready, readiness) = watch::channel(true);
    let (reload_sender, reload_requests) = mpsc::channel(RELOAD_QUEUE);
    let (stop_exporter, stopped) = oneshot::channel();
    let stopped = async move {
        // An error means that the sender was dropped: the agent has ended.
        let _ = stopped.await;
    };
    let exporter = match exporter {
        BoundExporter::Http { listener, web_config } => {
            let backend = Backend {
                history,
                metrics,
                vantage: vantage.clone(),
                state: agent.state(),
                probe: on_demand.into_function(),
                reload: reload_function(reload_sender),
                ready: readiness,
            };
            server::spawn(listener, backend, web_config, stopped)
        }
        BoundExporter::Textfile(path) => {
            let file = Textfile::start(path.clone(), metrics, Arc::clone(&new_record));
            tokio::spawn(file.map_err(|error| StartError::Textfile(path, error))?.run(stopped))
        }
    };

    let mut systemd = Systemd::from_environment();
    systemd.ready(&agent.status());
    if missing_subnet {
        let node = vantage.node.as_deref().unwrap_or("(NODE_NAME is not set)");
        tracing::warn!(node, "the node is in no pool of vantage.subnet_by_node_pool: the vantage has no subnet");
    }
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, listen, textfile, targets = agent.target_count(), "agent started");

    let journal_of_events = journal.clone();
    let mut events =
        Events { exporter, reload_requests, file, max_files, new_record, journal: journal_of_events, prober, in_force };
    let first_signal = event_loop(&mut agent, &mut events, &mut signals, &mut systemd).await;
    ready.send_replace(false);
    systemd.stopping();
    let shutdown = match first_signal {
        Err(ExporterFailed) => Shutdown::ExporterFailed,
        Ok(()) => {
            let _ = stop_exporter.send(());
            tokio::select! {
                () = drain(&mut agent, &mut events.exporter, &interrupt_handle) => Shutdown::Graceful,
                () = signals.stop() => Shutdown::Forced,
                never = systemd.keep_alive() => match never {},
            }
        }
    };
    if shutdown == Shutdown::Graceful {
        events.prober.close_held().await;
    }
    if let Some(journal) = journal
        && !journal.finish()
    {
        tracing::warn!("the last entries of the journal were not written in time");
    }
    tracing::info!(forced = shutdown == Shutdown::Forced, "agent stopped");
    Ok(shutdown)
}

/// Opens the journal, and starts its thread.
fn open_journal(
    settings: &JournalSettings,
    vantage: &Vantage,
    configuration: Option<Digest>,
) -> Result<Arc<Recorder>, StartError> {
    let limits = Limits { max_bytes: settings.max_bytes, max_age: settings.max_age };
    let opened = Appender::open(&settings.directory, limits, vantage.clone());
    let started = opened.and_then(|appender| Recorder::start(appender, configuration).map_err(OpenError::from));
    started.map(Arc::new).map_err(|error| StartError::Journal(settings.directory.clone(), error))
}

/// Takes up what earlier runs wrote to the journal: the history of each target, and the addresses that views gave.
fn restore(settings: &JournalSettings, history: &History, prober: &Prober) {
    let restored = records(&settings.directory, |record| {
        prober.restore_addresses(record.target.host.as_str(), &record.observation.resolution, record.started_at);
        if let Some(old) = &record.observation.old {
            prober.restore_addresses(old.target.host.as_str(), &old.observation.resolution, record.started_at);
        }
        history.restore(Arc::new(record));
    });
    if let Err(error) = restored {
        tracing::warn!(error = error.to_string(), "the history of earlier runs cannot be read from the journal");
    }
}

/// What the event loop waits for, in addition to signals and the watchdog.
struct Events {
    exporter: JoinHandle<io::Result<()>>,
    reload_requests: mpsc::Receiver<ReloadReply>,
    file: ConfigFile,
    max_files: u64,
    new_record: Arc<Notify>,
    journal: Option<Arc<Recorder>>,
    prober: Arc<Prober>,
    in_force: watch::Receiver<Arc<RunningConfig>>,
}

impl Events {
    /// Closes the held connections of targets that a reload removed or changed.
    fn close_held_connections(&self) {
        let running = Arc::clone(&self.in_force.borrow());
        self.prober.hold_only(|plan| running.config.targets.iter().any(|target| target.plan == *plan));
    }
}

/// Where the result of a requested reload is sent.
type ReloadReply = oneshot::Sender<Result<(), String>>;

/// The exporter has ended by itself.
struct ExporterFailed;

/// Handles events until a signal to stop. Reloads run here, and so one after another.
async fn event_loop(
    agent: &mut Agent<ProbeExecutor>,
    events: &mut Events,
    signals: &mut Signals,
    systemd: &mut Systemd,
) -> Result<(), ExporterFailed> {
    loop {
        let (trigger, reply) = tokio::select! {
            action = signals.next() => match action {
                SignalAction::Stop => return Ok(()),
                SignalAction::Reload => (Trigger::Signal, None),
            },
            Some(reply) = events.reload_requests.recv() => (Trigger::Request, Some(reply)),
            () = events.file.changed() => (Trigger::FileChanged, None),
            () = systemd.watchdog_due() => {
                // A target's task that has ended is a bug: systemd restarts the agent.
                if agent.is_alive() {
                    systemd.reset_watchdog();
                }
                continue;
            }
            ended = &mut events.exporter => {
                let error = match ended {
                    Ok(Ok(())) => "it ended".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                tracing::error!(error, "the exporter failed");
                return Err(ExporterFailed);
            }
        };
        systemd.reloading();
        let loaded = events.file.load().map_err(|error| error.to_string());
        let loaded = loaded.and_then(|config| descriptors::fit(config, events.max_files));
        let result = agent.reload(trigger, loaded).await;
        events.close_held_connections();
        if let (Some(journal), Some(sha256)) = (&events.journal, events.file.digest()) {
            journal.configuration(ConfigurationRead { sha256, in_force: result.is_ok() });
        }
        events.new_record.notify_one();
        systemd.ready(&agent.status());
        if let Some(reply) = reply {
            // An error means that the client has gone.
            let _ = reply.send(result);
        }
    }
}

/// Waits for running probes and requests, interrupts them after [`DRAIN_TIMEOUT`], and returns
/// [`INTERRUPT_TIMEOUT`] later at the latest.
async fn drain<E: Executor>(
    agent: &mut Agent<E>,
    exporter: &mut JoinHandle<io::Result<()>>,
    interrupt: &InterruptHandle,
) {
    let mut all = Box::pin(async {
        agent.drain().await;
        // Result ignored: shutting down.
        let _ = exporter.await;
    });
    if timeout(DRAIN_TIMEOUT, &mut all).await.is_err() {
        interrupt.raise();
        if timeout(INTERRUPT_TIMEOUT, &mut all).await.is_err() {
            tracing::warn!("aborting tasks still running after the drain timeout");
        }
    }
}

/// A bound listener, or the path of the text file.
enum BoundExporter {
    Http { listener: TcpListener, web_config: Option<WebConfigFile> },
    Textfile(PathBuf),
}

impl BoundExporter {
    async fn bind(exporter: Exporter, configured: SocketAddr) -> Result<Self, StartError> {
        match exporter {
            Exporter::Http { web_config, listen } => {
                let address = listen.unwrap_or(configured);
                let listener = tokio::net::TcpListener::bind(address).await.and_then(|listener| listener.into_std());
                let listener = listener.map_err(|error| StartError::Listen(address, error))?;
                Ok(Self::Http { listener, web_config })
            }
            Exporter::Textfile(path) => Ok(Self::Textfile(path)),
        }
    }

    /// The address, or the file, for the log.
    fn location(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Http { listener, .. } => (listener.local_addr().ok().map(|address| address.to_string()), None),
            Self::Textfile(path) => (None, Some(path.display().to_string())),
        }
    }
}

fn reload_function(requests: mpsc::Sender<ReloadReply>) -> ReloadRequest {
    Arc::new(move || {
        let requests = requests.clone();
        Box::pin(async move {
            let stopping = || "the agent is stopping".to_owned();
            let (reply, result) = oneshot::channel();
            requests.send(reply).await.map_err(|_| stopping())?;
            result.await.map_err(|_| stopping())?
        })
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::reload::tests::{config, started};
    use super::*;
    use crate::schedule::fake::{Behavior, FakeExecutor};

    /// Drains during a probe; returns how long that took, and whether the probe was interrupted.
    async fn drained(probe: Behavior, request: Duration) -> (Duration, bool) {
        let executor = FakeExecutor::new(move |_, _| probe);
        let mut agent = started(&executor, config(&[("sessions", "1h")]));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(executor.running("sessions"), 1);
        let mut exporter = tokio::spawn(async move {
            sleep(request).await;
            Ok(())
        });
        let (handle, interrupt) = Interrupt::new();
        let before = Instant::now();
        drain(&mut agent, &mut exporter, &handle).await;
        assert_eq!(executor.all_starts(), 1);
        (before.elapsed(), interrupt.is_raised())
    }

    #[tokio::test(start_paused = true)]
    async fn drain_waits_for_probes_and_requests() {
        let (took, interrupted) = drained(Behavior::Finish(Duration::from_secs(3)), Duration::from_secs(4)).await;
        assert!(took <= Duration::from_millis(4_010) && !interrupted, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn drain_ends_at_its_limit() {
        let hour = Duration::from_secs(3600);
        let short = Duration::from_secs(2);
        for (probe, request) in [(Behavior::Hang, short), (Behavior::Finish(short), hour), (Behavior::Hang, hour)] {
            let (took, interrupted) = drained(probe, request).await;
            let limit = DRAIN_TIMEOUT + INTERRUPT_TIMEOUT + Duration::from_millis(10);
            assert!(took >= DRAIN_TIMEOUT && took <= limit, "{took:?}");
            assert!(interrupted);
        }
    }
}
