//! One story: what was expected, what was seen, and how it is to end.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redpath::address::parse_range;
use redpath::az::AzFiles;
use redpath::clock::{Seconds, Timestamp};
use redpath::diagnosis::{Code, Diagnosis, Status};
use redpath::expectation::{Expectation, ExpectedPath, PublicAccess};
use redpath::observation::client_info::ServerSees;
use redpath::observation::dns::{HostsEntry, RepeatGroup, Resolution, ResolveFailure, SameAnswer};
use redpath::observation::redis::{AuthFacts, AuthMethod, PingFacts, PingReply, SecretForm, Surroundings};
use redpath::observation::tcp::FailedAttempt;
use redpath::observation::tls::{
    CertificateChecks, CertificateFacts, IntermediateFacts, TcpCounters, TlsFacts, TrustSource,
};
use redpath::observation::{
    ApplicationFacts, ClientsFacts, ClusterFacts, Connection, ConnectionPhases, HeldConnectionFacts, LocalLimit,
    Observation, OldName, OtherConnection, Phase, Phases, Posture, PosturePhase, SkipReason, StoppedBy, TokenFacts,
    TokenFailure, View, ViewOutcome,
};
use redpath::phase::PhaseName;
use redpath::plan::arguments::CheckArguments;
use redpath::target::{HostName, Target};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer;

/// A story, ready to be told.
pub(crate) struct Story {
    pub(crate) target: Target,
    pub(crate) expectation: Expectation,
    pub(crate) observation: Observation,
    pub(crate) now: Timestamp,
    then: Then,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    story: String,
    host: Option<String>,
    port: Option<u16>,
    server_name: Option<String>,
    #[serde(default)]
    plaintext: bool,
    now: Option<String>,
    #[serde(default)]
    expect: Expect,
    #[serde(default)]
    views: BTreeMap<String, String>,
    #[serde(default)]
    servers: BTreeMap<String, String>,
    #[serde(default)]
    hosts_file: BTreeMap<String, String>,
    /// For how long a view has given the same addresses, in the shape of a record.
    #[serde(default)]
    same_answer: BTreeMap<String, SameAnswer>,
    /// What each of several tries gave, the first one (in `views`) included: `"3 private"`.
    #[serde(default)]
    tries: BTreeMap<String, Vec<String>>,
    /// The questions of a view and what came of each: `"AAAA SERVFAIL"`, with another name after it where it is not the host.
    #[serde(default)]
    questions: BTreeMap<String, Vec<String>>,
    /// The owner and the primary of the SOA in a view's answer; `"none"` where a negative answer has none.
    #[serde(default)]
    soa: BTreeMap<String, String>,
    /// The extended DNS error of a view's answer: the code, and the text where there is one.
    #[serde(default)]
    ede: BTreeMap<String, String>,
    /// The search list, walked before the name where `ndots` says so.
    #[serde(default)]
    search: Vec<String>,
    ndots: Option<u32>,
    /// Whether it is a pod of Kubernetes.
    #[serde(default)]
    kubernetes: bool,
    resolv_conf_error: Option<String>,
    #[serde(default)]
    phases: RawPhases,
    #[serde(default)]
    connection: RawConnection,
    #[serde(default)]
    others: Vec<RawOther>,
    /// What the server announced of its cluster, in the shape of a record.
    cluster: Option<ClusterFacts>,
    /// The applications' own connections, in the shape of a record.
    application: Option<ApplicationFacts>,
    /// The connection that is held open, in the shape of a record.
    held_connection: Option<HeldConnectionFacts>,
    /// The clients of the cache, in the shape of a record.
    clients: Option<ClientsFacts>,
    /// What repeats the probe behind `redpath check`, word by word.
    #[serde(default)]
    arguments: CheckArguments,
    /// The limit of this machine that stopped a part of the probe, in the shape of a record.
    local_limit: Option<LocalLimit>,
    /// What is known of the token of Entra ID, in the shape of a record.
    token: Option<TokenFacts>,
    /// How fetching it failed, in the shape of a record.
    token_failure: Option<toml::Value>,
    /// What the checks of posture saw, in the shape of a record.
    posture: Option<Posture>,
    /// The old name of a migration: a story of its own, without `story` and `then`.
    old: Option<toml::Table>,
    then: Then,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    path: ExpectedPath,
    endpoints: Vec<String>,
    private_ranges: Vec<String>,
    require_auth: Option<bool>,
    latency: BTreeMap<PhaseName, Seconds>,
    /// Files of `tests/fixtures/az/`, without `.json`.
    az: Vec<String>,
    public_access: PublicAccess,
    cluster_nodes: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawPhases {
    resolve: Option<RawPhase>,
    connect: Option<RawPhase>,
    tls: Option<RawPhase>,
    auth: Option<RawPhase>,
    ping: Option<RawPhase>,
    cluster: Option<RawPhase>,
}

/// A phase that differs from a healthy run without credentials.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPhase {
    outcome: Option<String>,
    took_seconds: Option<Seconds>,
    reason: Option<SkipReason>,
    stopped_by: Option<StoppedBy>,
    failure: Option<toml::Value>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawConnection {
    address: Option<String>,
    given: bool,
    user: Option<String>,
    credential_error: Option<String>,
    surrounded_by: Option<Surroundings>,
    looks_like: Option<SecretForm>,
    token_renewed: bool,
    ping: Option<PingReply>,
    certificate: Option<RawCertificate>,
    /// The further certificates that the server sent.
    intermediates: Vec<IntermediateFacts>,
    trust: Option<TrustSource>,
    trust_anchors: Option<usize>,
    tcp: Option<TcpCounters>,
    earlier: Vec<RawEarlier>,
    source: Option<IpAddr>,
    server_sees: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    /// The names it covers; the host alone where none are given.
    #[serde(default)]
    sans: Vec<String>,
    subject: Option<String>,
    issuer: Option<String>,
    not_after: Option<Timestamp>,
    checks: Option<CertificateChecks>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEarlier {
    address: String,
    failure: toml::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOther {
    address: String,
    #[serde(default)]
    phases: RawPhases,
}

/// How the story is to end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    status: Status,
    cause: String,
    /// Codes that are to be among the findings, each with its severity where that matters.
    #[serde(default)]
    findings: Vec<String>,
    /// Codes that are not to be.
    #[serde(default)]
    absent: Vec<String>,
    /// Whether the cause and `findings` are all that is found (`auth_enforced` aside).
    #[serde(default)]
    nothing_else: bool,
    /// What the cause says somewhere; of a healthy story, what some finding says.
    #[serde(default)]
    says: Vec<String>,
    /// What the judgement of a migration says, as JSON.
    #[serde(default)]
    migration_says: Vec<String>,
    /// What it does not say anywhere.
    #[serde(default)]
    never_says: Vec<String>,
}

const HOST: &str = "cache1.redis.cache.windows.net";
const NOW: &str = "2026-11-22T12:00:00Z";

impl Story {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::of(toml::from_str(text).map_err(|error| error.to_string())?)
    }

    fn of(mut file: File) -> Result<Self, String> {
        let old = file.old.take().map(old_name).transpose()?;
        if !file.story.ends_with('.') {
            return Err("a story is told in whole sentences".into());
        }
        let mut target =
            Target::new(HostName::parse(file.host.as_deref().unwrap_or(HOST))?, file.port, !file.plaintext);
        if let Some(name) = &file.server_name {
            target.server_name = HostName::parse(name)?;
        }
        let mut expectation = expectation(&file.expect)?;
        if !file.expect.az.is_empty() {
            az_files(&file.expect.az)?.expect(&mut target, file.port.is_some(), &mut expectation);
        }
        let resolution = resolution(&file, &target, &expectation)?;
        let observation = Observation { old, ..observation(&file, resolution, &target, &expectation)? };
        let now =
            serde_json::from_value(file.now.as_deref().unwrap_or(NOW).into()).map_err(|error| error.to_string())?;
        for name in file.then.findings.iter().chain(&file.then.absent) {
            let code = name.split(' ').next().unwrap_or_default();
            if !Code::ALL.iter().any(|known| known.as_str() == code) {
                return Err(format!("{name:?} is no code"));
            }
        }
        Ok(Self { target, expectation, observation, now, then: file.then })
    }

    /// What the diagnosis says otherwise than the story.
    pub(crate) fn faults(&self, diagnosis: &Diagnosis) -> Vec<String> {
        let mut faults = Vec::new();
        let (status, cause) = (diagnosis.verdict.status, diagnosis.verdict.cause.as_str());
        if (status, cause) != (self.then.status, self.then.cause.as_str()) {
            faults.push(format!("expected {} {}, got {status} {cause}", self.then.status, self.then.cause));
        }
        let has = |wanted: &str| {
            let (code, severity) = wanted.split_once(' ').unwrap_or((wanted, ""));
            diagnosis.findings.iter().any(|finding| {
                finding.code.as_str() == code && (severity.is_empty() || finding.severity.as_str() == severity)
            })
        };
        faults.extend(self.then.findings.iter().filter(|code| !has(code)).map(|code| format!("{code} is not found")));
        faults.extend(self.then.absent.iter().filter(|code| has(code)).map(|code| format!("{code} is found")));
        if self.then.nothing_else {
            let told = |code: &str| {
                code == cause
                    || code == "auth_enforced"
                    || self.then.findings.iter().any(|wanted| wanted.split(' ').next() == Some(code))
            };
            let more = diagnosis.findings.iter().map(|finding| finding.code.as_str()).filter(|code| !told(code));
            faults.extend(more.map(|code| format!("{code} is found besides")));
        }
        let deciding = |finding: &&redpath::diagnosis::Finding| {
            finding.code.as_str() == cause || matches!(cause, "healthy" | "unknown")
        };
        let text: String = diagnosis
            .findings
            .iter()
            .filter(deciding)
            .map(|finding| {
                format!("{}\n{}\n{}\n{}\n", finding.summary, finding.detail, finding.hint, commands(finding).join("\n"))
            })
            .collect();
        faults.extend(
            self.then.says.iter().filter(|part| !text.contains(*part)).map(|part| format!("does not say {part:?}")),
        );
        let migration = serde_json::to_string(&diagnosis.migration).unwrap_or_default();
        let unsaid = self.then.migration_says.iter().filter(|part| !migration.contains(*part));
        faults.extend(unsaid.map(|part| format!("the migration does not say {part:?}: {migration}")));
        faults.extend(
            self.then.never_says.iter().filter(|part| text.contains(*part)).map(|part| format!("says {part:?}")),
        );
        faults
    }
}

/// The old name, told like a story that passes.
fn old_name(mut table: toml::Table) -> Result<Box<OldName>, String> {
    table.insert("story".to_owned(), "The old name.".into());
    let then: toml::Table =
        toml::from_str("status = \"pass\"\ncause = \"healthy\"").map_err(|error| error.to_string())?;
    table.insert("then".to_owned(), then.into());
    let file: File = table.try_into().map_err(|error| error.to_string())?;
    let Story { target, expectation, observation, .. } = Story::of(file)?;
    Ok(Box::new(OldName { target, expectation, observation }))
}

/// One line that a shell takes as it is read: the one redirection and the filter for the hosts
/// line that the diagnosis itself writes are all that is not a plain word.
pub(crate) fn is_safe_command(command: &str) -> bool {
    let mut rest = command.strip_suffix(" </dev/null").unwrap_or(command).to_owned();
    while let Some((before, after)) = rest.clone().split_once('<') {
        // `<vnet-id>`: what only the operator knows.
        match after.split_once('>') {
            Some((inner, tail)) if !inner.is_empty() && inner.chars().all(is_plain) => rest = format!("{before}{tail}"),
            _ => return false,
        }
    }
    let unquoted: String = rest.split('\'').step_by(2).collect();
    rest.matches('\'').count().is_multiple_of(2)
        && !rest.chars().any(char::is_control)
        && unquoted.chars().all(|c| c == ' ' || is_plain(c) || "@:/%+=,^".contains(c))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

fn expectation(raw: &Expect) -> Result<Expectation, String> {
    let ranges = |texts: &[String]| texts.iter().map(|text| parse_range(text)).collect::<Result<_, _>>();
    let usual = Expectation::default();
    Ok(Expectation {
        path: raw.path,
        endpoints: ranges(&raw.endpoints)?,
        private_ranges: ranges(&raw.private_ranges)?,
        require_auth: raw.require_auth.unwrap_or(usual.require_auth),
        latency: raw.latency.clone(),
        public_access: raw.public_access,
        cluster_nodes: raw.cluster_nodes,
        ..usual
    })
}

/// What the files say, under their names alone.
fn az_files(names: &[String]) -> Result<AzFiles, String> {
    let mut files = AzFiles::default();
    for name in names {
        let text = std::fs::read_to_string(crate::az::fixture(name)).map_err(|error| format!("{name}: {error}"))?;
        files.extend(AzFiles::parse(&text, &format!("{name}.json"))?);
    }
    Ok(files)
}

fn resolution(file: &File, target: &Target, expectation: &Expectation) -> Result<Resolution, String> {
    let mut views = Vec::new();
    for (name, text) in &file.views {
        let server = match (name.as_str(), file.servers.get(name)) {
            ("libc", _) => None,
            (_, Some(server)) => Some(server.as_str()),
            ("azure", None) => Some("168.63.129.16"),
            (name, None) => Some(name.strip_prefix("system:").ok_or_else(|| format!("[servers] lacks {name}"))?),
        };
        let server = server.map(|server| socket(server, 53)).transpose()?;
        let mut view = answer::view(name, server, text, target, expectation)?;
        if name == "libc" {
            for (line, ip) in &file.hosts_file {
                view.hosts_file.push(HostsEntry {
                    file: "/etc/hosts".into(),
                    line: line.parse().map_err(|_| format!("{line:?} is no line number"))?,
                    ip: ip.parse().map_err(|_| format!("{ip:?} is no address"))?,
                });
            }
        }
        view.same_answer = file.same_answer.get(name).copied();
        answer::origin(&mut view, file.soa.get(name), file.ede.get(name))?;
        for tries in file.tries.get(name).into_iter().flatten() {
            let (count, text) = tries.split_once(' ').ok_or_else(|| format!("{tries:?} has no count"))?;
            let one = answer::view(name, server, text, target, expectation)?;
            for _ in 0..count.parse().map_err(|_| format!("{count:?} is no count"))? {
                RepeatGroup::count_in(&mut view.tries, &one);
            }
        }
        for text in file.questions.get(name).into_iter().flatten() {
            view.questions.push(answer::asked(text, target)?);
        }
        answer::walk(&mut view, target, &file.search, file.ndots);
        views.push(view);
    }
    // The order of a record: the C library, resolv.conf, the configured resolvers.
    views.sort_by_key(|view: &View| match view.view.as_str() {
        "libc" => 0,
        name if name.starts_with("system:") => 1,
        _ => 2,
    });
    Ok(Resolution {
        view_in_use: views
            .iter()
            .find(|view| view.outcome != ViewOutcome::NotReached)
            .or(views.first())
            .map(|view| view.view.clone()),
        views,
        search: file.search.clone(),
        ndots: file.ndots,
        in_kubernetes: file.kubernetes,
        resolv_conf_error: file.resolv_conf_error.clone(),
    })
}

fn observation(
    file: &File,
    resolution: Resolution,
    target: &Target,
    expectation: &Expectation,
) -> Result<Observation, String> {
    let in_use = resolution.in_use();
    let resolve = match (&file.phases.resolve, in_use) {
        (Some(raw), _) => phase(raw)?,
        (None, None) => Phase::failed(TOOK, ResolveFailure::NoView),
        (None, Some(view)) => match view.outcome {
            ViewOutcome::Answered => Phase::done(TOOK),
            ViewOutcome::Interrupted => Phase::NotReached { stopped_by: StoppedBy::Interrupt },
            ViewOutcome::NotReached => Phase::NotReached { stopped_by: StoppedBy::LocalLimit },
            outcome => Phase::failed(
                TOOK,
                ResolveFailure::NoAddress {
                    view: view.view.clone(),
                    view_outcome: outcome,
                    detail: view.reason.clone(),
                },
            ),
        },
    };
    let address = match &file.connection.address {
        Some(address) => Some(socket(address, target.port)?),
        None => in_use.and_then(|view| view.ips().next()).map(|ip| SocketAddr::new(ip, target.port)),
    };
    let Some(address) = address else {
        let stopped_by = if resolve.failure().is_some() { StoppedBy::Resolve } else { StoppedBy::Interrupt };
        let connection = ConnectionPhases::not_reached(stopped_by);
        let phases = Phases { resolve, connection, token: token(file)?, ..Phases::default() };
        return Ok(Observation {
            resolution,
            phases,
            token: file.token.clone(),
            local_limit: file.local_limit,
            check_arguments: file.arguments.clone(),
            ..Observation::default()
        });
    };
    let (mut phases, mut connection) = connect(&file.phases, &file.connection, address, target, expectation)?;
    if file.token_failure.is_some() {
        phases.auth = Phase::Skipped { reason: SkipReason::CredentialUnavailable };
    }
    if let Some(auth) = connection.auth.as_mut().filter(|_| file.token.is_some()) {
        auth.method = AuthMethod::Entra;
    }
    connection.address_given = file.connection.given;
    let connection = connection.with_client_info_compared(expectation);
    let mut other_connections = Vec::new();
    for other in &file.others {
        let address = socket(&other.address, target.port)?;
        let (phases, connection) = connect(&other.phases, &RawConnection::default(), address, target, expectation)?;
        other_connections.push(OtherConnection { phases, connection });
    }
    Ok(Observation {
        local_limit: file.local_limit,
        resolution,
        phases: Phases {
            resolve,
            connection: phases,
            token: token(file)?,
            cluster: match &file.phases.cluster {
                Some(raw) => Some(phase(raw)?),
                None => file.cluster.is_some().then(|| Phase::done(TOOK)),
            },
            posture: file.posture.clone().map(|facts| PosturePhase {
                phase: Phase::done(TOOK),
                age_seconds: None,
                facts,
            }),
            application: file.application.is_some().then(|| Phase::done(TOOK)),
        },
        token: file.token.clone(),
        connection: Some(connection),
        other_connections,
        cluster: file.cluster.clone(),
        application: file.application.clone(),
        held_connection: file.held_connection.clone(),
        clients: file.clients.clone(),
        old: None,
        check_arguments: file.arguments.clone(),
    })
}

fn token(file: &File) -> Result<Option<Phase<TokenFailure>>, String> {
    match (&file.token, &file.token_failure) {
        (None, _) => Ok(None),
        (Some(_), None) => Ok(Some(Phase::done(TOOK))),
        (Some(_), Some(raw)) => Ok(Some(Phase::failed(TOOK, read(raw)?))),
    }
}

const TOOK: Duration = Duration::from_millis(1);

/// A healthy run without credentials, and what differs from it.
fn connect(
    raw: &RawPhases,
    facts: &RawConnection,
    address: SocketAddr,
    target: &Target,
    expectation: &Expectation,
) -> Result<(ConnectionPhases, Connection), String> {
    let connect = raw.connect.as_ref().map_or_else(|| Ok(Phase::done(TOOK)), phase)?;
    let tls = match &raw.tls {
        Some(raw) => phase(raw)?,
        None if !target.tls => Phase::Skipped { reason: SkipReason::Plaintext },
        None => Phase::done(TOOK),
    };
    let auth = match &raw.auth {
        Some(raw) => phase(raw)?,
        None if facts.credential_error.is_some() => Phase::Skipped { reason: SkipReason::CredentialUnavailable },
        None if facts.user.is_some() => Phase::done(TOOK),
        None => Phase::Skipped { reason: SkipReason::NoCredentials },
    };
    let ping = raw.ping.as_ref().map_or_else(|| Ok(Phase::done(TOOK)), phase)?;
    let mut phases = ConnectionPhases { connect, tls, auth, ping };
    let stopped = |earlier: &ConnectionPhases| {
        [(PhaseName::Connect, StoppedBy::Connect), (PhaseName::Tls, StoppedBy::Tls), (PhaseName::Auth, StoppedBy::Auth)]
            .into_iter()
            .find(|(phase, _)| earlier.get(*phase).outcome == redpath::phase::PhaseOutcome::Failed)
    };
    if let Some((phase, stopped_by)) = stopped(&phases) {
        if phase < PhaseName::Tls {
            phases.tls = Phase::NotReached { stopped_by };
        }
        if phase < PhaseName::Auth {
            phases.auth = Phase::NotReached { stopped_by };
        }
        phases.ping = Phase::NotReached { stopped_by };
    }
    let mut connection = Connection::new(address, expectation.class(address.ip()));
    for earlier in &facts.earlier {
        let address = socket(&earlier.address, target.port)?;
        connection.earlier_attempts.push(FailedAttempt {
            address,
            class: expectation.class(address.ip()),
            failure: read(&earlier.failure)?,
            took_seconds: TOOK.into(),
        });
    }
    if target.tls && phases.connect.is_done() {
        connection.tls = Some(TlsFacts {
            intermediates: facts.intermediates.clone(),
            trust: facts.trust,
            trust_anchors: facts.trust_anchors,
            tcp: facts.tcp,
            ..tls_facts(facts.certificate.as_ref(), target, phases.tls.is_done())
        });
    }
    if phases.tls.summary().outcome != redpath::phase::PhaseOutcome::NotReached && phases.tls.failure().is_none() {
        connection.auth = Some(AuthFacts {
            method: if facts.user.is_some() { AuthMethod::Password } else { AuthMethod::None },
            username: facts.user.clone(),
            credential_error: facts.credential_error.clone(),
            surrounded_by: facts.surrounded_by,
            looks_like: facts.looks_like,
            token_renewed: facts.token_renewed,
        });
    }
    if phases.ping.is_done() {
        let usual = if phases.auth.is_done() { PingReply::Pong } else { PingReply::Noauth };
        let (reply, took) = (facts.ping.unwrap_or(usual), Seconds(TOOK));
        connection.ping =
            Some(PingFacts { reply, samples: 1, min_seconds: took, median_seconds: took, max_seconds: took });
    }
    connection.source = facts.source;
    connection.server_sees = facts.server_sees.map(ServerSees::at);
    Ok((phases, connection))
}

fn tls_facts(raw: Option<&RawCertificate>, target: &Target, verified: bool) -> TlsFacts {
    let certificate = raw.map(|raw| CertificateFacts {
        subject: raw.subject.clone().unwrap_or_else(|| format!("CN={}", target.host)),
        sans: if raw.sans.is_empty() { vec![target.host.to_string()] } else { raw.sans.clone() },
        issuer: raw.issuer.clone().unwrap_or_else(|| "CN=Test CA".into()),
        not_before: None,
        not_after: raw.not_after,
        sha256: "00".repeat(32),
        unreadable: None,
    });
    TlsFacts {
        server_name: target.server_name.to_string(),
        version: Some("TLSv1.3".into()),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        certificate,
        verified,
        checks: raw.and_then(|raw| raw.checks),
        ..TlsFacts::default()
    }
}

fn phase<F: DeserializeOwned + std::fmt::Display>(raw: &RawPhase) -> Result<Phase<F>, String> {
    let took = raw.took_seconds.unwrap_or(Seconds(TOOK));
    match (raw.outcome.as_deref(), &raw.failure, raw.reason, raw.stopped_by) {
        (None | Some("failed"), Some(failure), None, None) => Ok(Phase::failed(took, read::<F>(failure)?)),
        (None | Some("skipped"), None, Some(reason), None) => Ok(Phase::Skipped { reason }),
        (None | Some("not_reached"), None, None, Some(stopped_by)) => Ok(Phase::NotReached { stopped_by }),
        (None | Some("done"), None, None, None) => Ok(Phase::done(took)),
        _ => Err("a phase has a failure, a reason, stopped_by, or took_seconds alone".into()),
    }
}

fn read<T: DeserializeOwned>(value: &toml::Value) -> Result<T, String> {
    // A failure without facts may be written as its kind alone.
    let value = match value {
        toml::Value::String(kind) => serde_json::json!({ "kind": kind }),
        other => serde_json::to_value(other).map_err(|error| error.to_string())?,
    };
    serde_json::from_value(value.clone()).map_err(|error| format!("{value}: {error}"))
}

fn socket(text: &str, port: u16) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)))
        .map_err(|_| format!("{text:?} is no address"))
}

/// The finding's commands as they are pasted.
pub(crate) fn commands(finding: &redpath::diagnosis::Finding) -> Vec<&str> {
    finding.commands.iter().map(|command| command.command.as_str()).collect()
}
