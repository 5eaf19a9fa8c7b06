//! A running server, the records behind it, and certificates for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use redpath::address::AddressClass;
use redpath::clock::Timestamp;
use redpath::diagnosis::{Cause, Code, Finding, Severity, Status, Verdict};
use redpath::expectation::Expectation;
use redpath::history::History;
use redpath::metrics_settings::MetricsSettings;
use redpath::observation::dns::{ChainRecord, ResolvedAddress, ViewKind};
use redpath::observation::tls::CertificateFacts;
use redpath::observation::{
    Connection, ConnectionPhases, Observation, Phase, PhaseName, Phases, Resolution, TlsFacts, View, ViewOutcome,
};
use redpath::output::metrics::Metrics;
use redpath::record::Record;
use redpath::server::{AgentState, Backend, Limits, ProbeOnDemand, ProbeRefused, ReloadRequest, WebConfigFile, serve};
use redpath::target::{HostName, Target};
use redpath::vantage::Vantage;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What a hostile peer would like a page to run.
pub(super) const HOSTILE: &str = "<script>alert(\"x\")</script>&'\u{202e}\u{1b}";

/// A record of a target on the public path, with all that a page shows.
pub(super) fn record(name: &str, note: &str) -> Record {
    let mut target = Target::new(HostName::parse("cache1.redis.cache.windows.net").expect("a name"), None, true);
    target.name = name.into();
    let address: SocketAddr = "20.50.1.10:6380".parse().expect("an address");
    let mut view = View::new("libc", ViewKind::Libc, None);
    view.outcome = ViewOutcome::Answered;
    view.chain =
        vec![ChainRecord { name: target.host.to_string(), record_type: "CNAME".into(), ttl: 60, data: note.into() }];
    view.addresses = vec![ResolvedAddress { ip: address.ip(), class: AddressClass::Public, ttl: Some(60) }];
    view.took_seconds = Some(Duration::from_micros(1_230).into());
    let mut connection = Connection::new(address, AddressClass::Public);
    connection.tls = Some(TlsFacts {
        certificate: Some(CertificateFacts {
            subject: format!("CN={note}"),
            sans: vec![note.into()],
            issuer: format!("CN={note}"),
            not_before: None,
            not_after: Timestamp::from_unix(1_900_000_000),
            sha256: "00".into(),
            unreadable: None,
        }),
        ..TlsFacts::default()
    });
    let observation = Observation {
        clients: None,
        old: None,
        check_arguments: Default::default(),
        local_limit: None,
        token: None,
        resolution: Resolution { views: vec![view], view_in_use: Some("libc".into()), ..Resolution::default() },
        phases: Phases {
            resolve: Phase::done(Duration::from_micros(1_230)),
            connection: ConnectionPhases {
                connect: Phase::done(Duration::from_millis(2)),
                ..ConnectionPhases::default()
            },
            ..Phases::default()
        },
        connection: Some(connection),
        other_connections: Vec::new(),
        cluster: None,
        application: None,
        held_connection: None,
    };
    let mut record = Record::new(
        Timestamp::now(),
        Duration::from_millis(12),
        target,
        Vantage { hostname: "vm-1".into(), ..Vantage::default() },
        Expectation::default(),
        observation,
    );
    record.verdict = Verdict { status: Status::Fail, cause: Cause::Code(Code::PrivateZoneNotSeen) };
    record.findings = vec![Finding {
        code: Code::PrivateZoneNotSeen,
        severity: Severity::Error,
        phase: PhaseName::Resolve,
        summary: format!("the zone is not seen: {note}"),
        detail: format!("detail {note}"),
        hint: format!("link the zone {note}"),
        commands: vec![format!("dig {note}").into()],
    }];
    record
}

/// A server under test.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) history: Arc<History>,
    pub(super) ready: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

/// What a server is made of; the defaults know the target `sessions`, not probed yet.
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) web_config: Option<WebConfigFile>,
    pub(super) probe: ProbeOnDemand,
    pub(super) reload: ReloadRequest,
    pub(super) hostname: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) state: AgentState,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            // No page is shared: a test sees what it has just changed.
            limits: Limits { page_age: Duration::ZERO, ..Limits::default() },
            web_config: None,
            probe: Arc::new(|name| {
                Box::pin(async move {
                    match name.as_str() {
                        "sessions" => Ok(record("sessions", "x")),
                        "busy" => Err(ProbeRefused::Busy),
                        "bad" => Err(ProbeRefused::BadTarget("\"\u{1b}<b>\" is not a host name".into())),
                        _ => Err(ProbeRefused::UnknownTarget),
                    }
                })
            }),
            reload: Arc::new(|| Box::pin(async { Ok(()) })),
            hostname: "vm-1".into(),
            labels: BTreeMap::new(),
            state: AgentState {
                started: Timestamp::now(),
                loaded: Timestamp::now(),
                reload_error: None,
                intervals: [("sessions".to_owned(), Duration::from_secs(30))].into(),
                allowed_hosts: vec!["redpath.example.org".into()],
            },
        }
    }
}

impl Setup {
    /// With this web configuration, in the directory of its files.
    pub(super) fn with_web_config(directory: &Directory, text: &str) -> Self {
        let file = directory.write("web.yaml", text);
        Self { web_config: Some(WebConfigFile::load(&file).expect("a good file")), ..Self::default() }
    }

    /// Starts the server.
    pub(super) async fn start(self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let history = Arc::new(History::new());
        history.set_targets(&["sessions".into()]);
        let (ready, readiness) = watch::channel(true);
        let vantage = Vantage { hostname: self.hostname, labels: self.labels, ..Vantage::default() };
        let settings = MetricsSettings::default();
        let backend = Arc::new(Backend {
            history: history.clone(),
            metrics: Arc::new(Metrics::new(&settings, &vantage)),
            vantage,
            state: watch::channel(self.state).1,
            probe: self.probe,
            reload: self.reload,
            ready: readiness,
        });
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(self.limits, listener, backend, self.web_config, async {
            let _ = stopped.await;
        }));
        Server { address, history, ready, stop: Some(stop), served }
    }
}

impl Server {
    /// Asks it to end.
    pub(super) fn stop(&mut self) {
        let _ = self.stop.take().expect("not stopped yet").send(());
    }

    /// Waits for its end.
    pub(super) async fn ended(self) {
        self.served.await.expect("no panic").expect("served");
    }
}

/// A directory that goes when it is dropped.
pub(super) struct Directory(tempfile::TempDir);

impl Directory {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a written file");
        path
    }
}

/// A certificate authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

/// A certificate and its key, PEM.
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for `names`, for servers and clients.
    pub(super) fn issue(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

/// Waits until `holds` does, ten seconds at most.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !holds().await {
            ticks.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "in ten seconds, not: {what}");
}
