//! The agent: start-up, the loop that owns the schedule, and the way down.
//!
//! It connects its neighbours and decides nothing about them. [`run`] reads as the list of what
//! happens, in order.

mod config_watcher;
mod executor;
mod on_demand;
mod reload;
mod secret_files;
mod signals;
mod systemd;
mod textfile;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::ConfigError;
use crate::history::History;
use crate::output::metrics::Metrics;
use crate::probe::Prober;
use crate::probe::budget::{Interrupt, InterruptHandle};
use crate::schedule::Executor;
use crate::server::{self, Backend, ReloadRequest, WebConfigFile};

pub use on_demand::plan_for;

use config_watcher::ConfigFile;
use executor::ProbeExecutor;
use on_demand::OnDemand;
use reload::{Agent, RunningConfig, Trigger};
use signals::{SignalAction, Signals};
use systemd::Systemd;
use textfile::Textfile;

/// What the agent is started with.
pub struct Options {
    /// The configuration file, which is read again when it changes.
    pub config: PathBuf,
    /// How it is heard.
    pub outlet: Exporter,
}

/// How the agent is heard.
pub enum Exporter {
    /// Over HTTP.
    Http {
        /// The web configuration (TLS, client certificates, users), where there is one.
        web_config: Option<WebConfigFile>,
        /// Where to listen, whatever the configuration says.
        listen: Option<SocketAddr>,
    },
    /// By a file for node_exporter's textfile collector; nothing listens.
    Textfile(PathBuf),
}

/// How the agent came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// It was asked to stop, and did so in good order.
    Stopped,
    /// It was asked a second time, and left at once.
    Forced,
    /// Its server, or what writes its file, ended by itself.
    ServerFailed,
}

/// Why the agent cannot start: one sentence that says what to change.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is refused.
    Config(ConfigError),
    /// It cannot listen.
    Listen(SocketAddr, io::Error),
    /// The text file cannot be written.
    Textfile(PathBuf, io::Error),
    /// Signals cannot be received.
    Signals(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; web.listen takes a free ADDRESS:PORT of this host")
            }
            Self::Textfile(path, error) => write!(
                f,
                "cannot write {}: {error}; --textfile takes a file in a directory that is there and may be written to",
                path.display()
            ),
            Self::Signals(error) => write!(f, "cannot receive signals: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// How long probes and requests under way may go on after SIGTERM: a probe's own limit by default.
const DRAIN: Duration = Duration::from_secs(5);

/// How long they may take to end once they have been interrupted.
const INTERRUPTED: Duration = Duration::from_secs(1);

/// How many requests for a reload wait at a time; more wait in front of the queue.
const RELOAD_QUEUE: usize = 4;

/// Runs the agent until it is told to stop by SIGTERM or SIGINT. It wants a runtime of one thread.
///
/// # Errors
/// [`StartError`] where it cannot start; once started it goes on.
pub async fn run(options: Options) -> Result<Shutdown, StartError> {
    let mut signals = Signals::install().map_err(StartError::Signals)?;
    let mut file = ConfigFile::new(options.config);
    let config = file.load().map_err(StartError::Config)?;
    // Before anything is probed: who cannot be heard need not begin.
    let voice = BoundExporter::of(options.outlet, config.web.listen).await?;

    let vantage = reload::vantage(&config);
    let has_no_subnet = vantage.subnet.is_none() && !config.subnet_by_node_pool.is_empty();
    let subnetless_node =
        has_no_subnet.then(|| vantage.node.clone().unwrap_or_else(|| "(NODE_NAME is not set)".to_owned()));
    let metrics = Arc::new(Metrics::new(&config.metrics, &vantage));
    let history = Arc::new(History::new());
    let (interrupt_handle, interrupt) = Interrupt::new();
    let current = watch::Sender::new(Arc::new(RunningConfig { vantage: vantage.clone(), config: config.clone() }));
    let prober = Arc::new(Prober::new());
    let news = Arc::new(Notify::new());
    let on_demand = OnDemand::new(Arc::clone(&prober), current.subscribe(), interrupt.clone());
    let world = ProbeExecutor {
        prober,
        current: current.subscribe(),
        interrupt,
        metrics: Arc::clone(&metrics),
        history: Arc::clone(&history),
        exhausted: AtomicBool::default(),
        news: Arc::clone(&news),
    };
    let mut agent = Agent::start(world, config, current, Arc::clone(&metrics), Arc::clone(&history));

    let (ready, readiness) = watch::channel(true);
    let (requests, reload_requests) = mpsc::channel(RELOAD_QUEUE);
    let (closing, closed) = oneshot::channel();
    let closed = async move {
        // An error: the sender is gone, and so is the agent.
        let _ = closed.await;
    };
    let (listen, textfile) = voice.place();
    let server = match voice {
        BoundExporter::Http { listener, web_config, .. } => {
            let backend = Backend {
                history,
                metrics,
                vantage,
                state: agent.state(),
                probe: on_demand.into_function(),
                reload: reload_function(requests),
                ready: readiness,
            };
            tokio::spawn(server::serve(listener, Arc::new(backend), web_config, closed))
        }
        BoundExporter::Textfile(path) => {
            let file = Textfile::start(path.clone(), metrics, Arc::clone(&news));
            tokio::spawn(file.map_err(|error| StartError::Textfile(path, error))?.keep(closed))
        }
    };

    let mut systemd = Systemd::from_environment();
    systemd.ready(&agent.status());
    let version = env!("CARGO_PKG_VERSION");
    if let Some(node) = &subnetless_node {
        tracing::warn!(node, "the node is in no pool of vantage.subnet_by_node_pool: the vantage has no subnet");
    }
    tracing::info!(version, listen, textfile, targets = agent.targets(), "agent started");

    let mut parts = Parts { server, reload_requests, file, news };
    let ending = event_loop(&mut agent, &mut parts, &mut signals, &mut systemd).await;
    ready.send_replace(false);
    systemd.stopping();
    let ending = match ending {
        Shutdown::ServerFailed => Shutdown::ServerFailed,
        Shutdown::Stopped | Shutdown::Forced => {
            let _ = closing.send(());
            tokio::select! {
                () = shutdown(&mut agent, &mut parts.server, &interrupt_handle) => Shutdown::Stopped,
                () = signals.stop() => Shutdown::Forced,
                never = systemd.keep_alive() => match never {},
            }
        }
    };
    tracing::info!(forced = ending == Shutdown::Forced, "agent stopped");
    Ok(ending)
}

/// What the loop waits for beside signals and systemd.
struct Parts {
    server: JoinHandle<io::Result<()>>,
    reload_requests: mpsc::Receiver<ReloadReply>,
    file: ConfigFile,
    news: Arc<Notify>,
}

/// Where the outcome of a requested reload goes.
type ReloadReply = oneshot::Sender<Result<(), String>>;

/// The loop that owns the schedule. Reloads take place here, and so one after another.
async fn event_loop(
    agent: &mut Agent<ProbeExecutor>,
    parts: &mut Parts,
    signals: &mut Signals,
    systemd: &mut Systemd,
) -> Shutdown {
    loop {
        let (trigger, reply) = tokio::select! {
            wish = signals.next() => match wish {
                SignalAction::Stop => return Shutdown::Stopped,
                SignalAction::Reload => (Trigger::Signal, None),
            },
            Some(reply) = parts.reload_requests.recv() => (Trigger::Request, Some(reply)),
            () = parts.file.changed() => (Trigger::FileChanged, None),
            () = systemd.watchdog_due() => {
                // A target's task that has ended by itself is a bug that only a new start mends.
                if agent.is_alive() {
                    systemd.alive();
                }
                continue;
            }
            ended = &mut parts.server => {
                let error = match ended {
                    Ok(Ok(())) => "it ended".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                tracing::error!(error, "the web server failed");
                return Shutdown::ServerFailed;
            }
        };
        systemd.reloading();
        let loaded = parts.file.load().map_err(|error| error.to_string());
        let outcome = agent.reload(trigger, loaded).await;
        parts.news.notify_one();
        systemd.ready(&agent.status());
        if let Some(reply) = reply {
            // An error: nobody waits for it any more.
            let _ = reply.send(outcome);
        }
    }
}

/// Lets probes and requests under way come to their end, interrupts them after [`DRAIN`], and
/// leaves behind what does not heed the interrupt. At most `DRAIN + INTERRUPTED`.
async fn shutdown<W: Executor>(
    agent: &mut Agent<W>,
    server: &mut JoinHandle<io::Result<()>>,
    interrupt: &InterruptHandle,
) {
    let mut all = Box::pin(async {
        agent.drain().await;
        // What became of it is of no interest any more.
        let _ = server.await;
    });
    if timeout(DRAIN, &mut all).await.is_err() {
        interrupt.raise();
        if timeout(INTERRUPTED, &mut all).await.is_err() {
            tracing::warn!("what is still under way is left behind");
        }
    }
}

/// A way to be heard that is ready to be used.
enum BoundExporter {
    Http { listener: TcpListener, listening: SocketAddr, web_config: Option<WebConfigFile> },
    Textfile(PathBuf),
}

impl BoundExporter {
    async fn of(outlet: Exporter, configured: SocketAddr) -> Result<Self, StartError> {
        match outlet {
            Exporter::Http { web_config, listen: given } => {
                let wanted = given.unwrap_or(configured);
                let listener = listen(wanted).await?;
                let listening = listener.local_addr().unwrap_or(wanted);
                Ok(Self::Http { listener, listening, web_config })
            }
            Exporter::Textfile(path) => Ok(Self::Textfile(path)),
        }
    }

    /// The address, or the file.
    fn place(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Http { listening, .. } => (Some(listening.to_string()), None),
            Self::Textfile(path) => (None, Some(path.display().to_string())),
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))
}

fn reload_function(requests: mpsc::Sender<ReloadReply>) -> ReloadRequest {
    Arc::new(move || {
        let requests = requests.clone();
        Box::pin(async move {
            let stopping = |()| "the agent is stopping".to_owned();
            let (reply, outcome) = oneshot::channel();
            requests.send(reply).await.map_err(|_| stopping(()))?;
            outcome.await.map_err(|_| stopping(()))?
        })
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::reload::tests::{config, started};
    use super::*;
    use crate::schedule::fake::{Does, FakeWorld};

    /// Winds down in the middle of a probe; how long that took, and whether the probe was interrupted.
    async fn wound_down(does: Does, request: Duration) -> (Duration, bool) {
        let world = FakeWorld::new(move |_, _| does);
        let mut agent = started(&world, config(&[("sessions", "1h")]));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.under_way("sessions"), 1);
        let mut server = tokio::spawn(async move {
            sleep(request).await;
            Ok(())
        });
        let (handle, interrupt) = Interrupt::new();
        let before = Instant::now();
        shutdown(&mut agent, &mut server, &handle).await;
        assert_eq!(world.all_begun(), 1);
        (before.elapsed(), interrupt.is_raised())
    }

    #[tokio::test(start_paused = true)]
    async fn probes_and_requests_under_way_come_to_their_end() {
        let (took, interrupted) = wound_down(Does::Take(Duration::from_secs(3)), Duration::from_secs(4)).await;
        assert!(took <= Duration::from_millis(4_010) && !interrupted, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_holds_the_end_up_beyond_its_limit() {
        let hour = Duration::from_secs(3600);
        let short = Duration::from_secs(2);
        for (does, request) in [(Does::Hang, short), (Does::Take(short), hour), (Does::Hang, hour)] {
            let (took, interrupted) = wound_down(does, request).await;
            assert!(took >= DRAIN && took <= DRAIN + INTERRUPTED + Duration::from_millis(10), "{took:?}");
            assert!(interrupted);
        }
    }
}
