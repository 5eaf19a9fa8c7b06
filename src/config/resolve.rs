//! The mirror of the file into a [`Config`]: what the values mean, and what they mean together.
//! Shapes and ranges have been checked before; here it notes every problem it finds and goes on.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::error::Problems;
use super::path::Path;
use super::raw::{
    Off, RawConfig, RawDuration, RawExpect, RawJournal, RawMetrics, RawPlaintextPort, RawPosture, RawRange,
    RawRequireAuth, RawResolver, RawSettings, RawTarget, RawTls, RawViews, RawWeb,
};
use super::values;
use super::{Config, ConfigError, JournalSettings, Settings, TargetConfig, WebSettings, auth, default_concurrency};
use crate::az::AzFiles;
use crate::bounded_read::FileKind;
use crate::clock::Seconds;
use crate::expectation::{Expectation, PublicAccess};
use crate::metrics_settings::MetricsSettings;
use crate::parse;
use crate::phase::PhaseName;
use crate::plan::{Auth, ClusterMode, Plan, Resolver, ViewSelection};

/// Gives the values their meaning.
pub(super) fn resolve(raw: &RawConfig, mut problems: Problems<'_>) -> Result<Config, ConfigError> {
    let top = Path::top();
    let labels = labels(raw, &mut problems);
    let subnet_by_node_pool = subnet_by_node_pool(raw, &mut problems);
    let resolvers = resolvers(raw.resolvers.as_deref().unwrap_or_default(), &top.key("resolvers"), &mut problems);
    let ranges = raw.private_ranges.as_deref().unwrap_or_default();
    let built_in = Settings {
        expectation: Expectation {
            private_ranges: self::ranges(ranges, &top.key("private_ranges"), &mut problems),
            ..Expectation::default()
        },
        ..Settings::default()
    };
    let defaults = match &raw.defaults {
        Some(defaults) => defaults.over(&built_in, &resolvers, &top.key("defaults"), &mut problems),
        None => built_in,
    };
    let targets = targets(&raw.targets, &defaults, &resolvers, &top.key("targets"), &mut problems);
    needs_public_address(raw, &targets, &top, &mut problems);
    let web = web(raw.web.as_ref(), &top.key("web"), &mut problems);
    let metrics = metrics(raw.metrics.as_ref(), &top.key("metrics"), &mut problems);
    let journal = raw.journal.as_ref().map(|raw| journal(raw, &top.key("journal"), &mut problems));
    let max_concurrent_probes = raw.max_concurrent_probes.map_or(default_concurrency(), usize::from);
    if !problems.is_empty() {
        return Err(problems.into_error());
    }
    Ok(Config {
        labels,
        subnet_by_node_pool,
        resolvers,
        defaults,
        targets,
        web,
        journal,
        metrics,
        max_concurrent_probes,
    })
}

impl RawSettings {
    /// The settings of `base`, with whatever is given here in their place.
    fn over(&self, base: &Settings, resolvers: &[Resolver], path: &Path, problems: &mut Problems<'_>) -> Settings {
        let mut settings = base.clone();
        self.times(&mut settings, path, problems);
        settings.tries = self.tries.or(base.tries);
        settings.samples = self.samples.unwrap_or(base.samples);
        if let Some(views) = &self.views {
            settings.views = self::views(views, resolvers, &path.key("views"), problems);
        }
        settings.azure_dns = self.azure_dns.unwrap_or(base.azure_dns);
        settings.addresses = self.addresses.unwrap_or(base.addresses);
        settings.cluster = self.cluster.unwrap_or(base.cluster);
        settings.expectation.cluster_nodes = settings.cluster == ClusterMode::On;
        settings.application = self.application.unwrap_or(base.application);
        settings.max_opened_per_minute = self.max_opened_per_minute.or(base.max_opened_per_minute);
        settings.held_connection = self.held_connection.unwrap_or(base.held_connection);
        if let Some(expect) = &self.expect {
            expectation(expect, &mut settings.expectation, &path.key("expect"), problems);
        }
        if let Some(posture) = &self.posture {
            self::posture(posture, &mut settings, &path.key("posture"), problems);
        }
        if let Some(auth) = &self.auth {
            settings.auth = auth::resolve(auth, &path.key("auth"), problems).unwrap_or(Auth::None);
        }
        if let Some(tls) = &self.tls {
            self::tls(tls, &mut settings, &path.key("tls"), problems);
        }
        settings
    }

    /// A probe never overlaps the next one of its target. A timeout that was not given here gives
    /// way to a shorter interval; one that was is held to it.
    fn times(&self, settings: &mut Settings, path: &Path, problems: &mut Problems<'_>) {
        let mut read = |raw: &Option<RawDuration>, key: &str, bounds: fn(&str) -> Result<Duration, String>| {
            raw.as_ref().and_then(|raw| problems.read(&path.key(key), &raw.0, bounds))
        };
        let interval = read(&self.interval, "interval", parse::interval);
        let timeout = read(&self.timeout, "timeout", parse::timeout);
        settings.interval = interval.unwrap_or(settings.interval);
        match timeout {
            Some(timeout) if timeout > settings.interval => {
                let [timeout, interval] = [timeout, settings.interval].map(humantime::format_duration);
                let message = format!(
                    "{timeout} is longer than the interval of {interval}: at most the interval is expected, so that a probe never overlaps the next"
                );
                problems.add(&path.key("timeout"), message);
            }
            Some(timeout) => settings.timeout = timeout,
            None => settings.timeout = settings.timeout.min(settings.interval),
        }
    }
}

fn labels(raw: &RawConfig, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let labels = raw.vantage.as_ref().and_then(|vantage| vantage.labels.clone()).unwrap_or_default();
    let path = Path::top().key("vantage").key("labels");
    for (name, value) in &labels {
        let path = path.key(name);
        problems.read(&path, name, parse::label_name);
        problems.read(&path, value, parse::label_value);
    }
    labels
}

fn subnet_by_node_pool(raw: &RawConfig, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let pools = raw.vantage.as_ref().and_then(|vantage| vantage.subnet_by_node_pool.clone()).unwrap_or_default();
    let path = Path::top().key("vantage").key("subnet_by_node_pool");
    for (pool, subnet) in &pools {
        let path = path.key(pool);
        problems.read(&path, pool, values::node_pool);
        problems.read(&path, subnet, parse::label_value);
    }
    pools
}

fn resolvers(raw: &[RawResolver], path: &Path, problems: &mut Problems<'_>) -> Vec<Resolver> {
    let mut resolvers: Vec<Resolver> = Vec::new();
    for (index, raw) in raw.iter().enumerate() {
        let path = path.index(index);
        let (name, address) = match raw {
            RawResolver::Text(text) => match problems.read(&path, text, parse::resolver) {
                Some(Resolver { name, address }) => (Some(name), Some(address)),
                None => (None, None),
            },
            RawResolver::Full(raw) => (
                problems.read(&path.key("name"), &raw.name, parse::resolver_name),
                problems.read(&path.key("address"), &raw.address, parse::resolver_address),
            ),
        };
        let (Some(name), Some(address)) = (name, address) else { continue };
        if resolvers.iter().any(|other| other.name == name) {
            problems.add(&path, format!("a second resolver is called {name:?}: names of their own are expected"));
        } else {
            resolvers.push(Resolver { name, address });
        }
    }
    resolvers
}

fn ranges(raw: &[RawRange], path: &Path, problems: &mut Problems<'_>) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    for (index, raw) in raw.iter().enumerate() {
        ranges.extend(problems.read(&path.index(index), &raw.0, parse::range));
    }
    ranges
}

fn views(raw: &RawViews, resolvers: &[Resolver], path: &Path, problems: &mut Problems<'_>) -> ViewSelection {
    let names = match raw {
        RawViews::All(_) => return ViewSelection::All,
        RawViews::Only(names) => names,
    };
    match parse::views(names, &mut resolvers.to_vec()) {
        Ok(views) => views,
        Err((index, why)) => {
            problems.add(&path.index(index), format!("{} is {why}", path.shown(&names[index])));
            ViewSelection::All
        }
    }
}

fn expectation(raw: &RawExpect, expectation: &mut Expectation, path: &Path, problems: &mut Problems<'_>) {
    expectation.path = raw.path.unwrap_or(expectation.path);
    if let Some(endpoints) = &raw.endpoints {
        expectation.endpoints = ranges(endpoints, &path.key("endpoints"), problems);
    }
    if let Some(warning) = &raw.certificate_warning
        && let Some(warning) = problems.read(&path.key("certificate_warning"), &warning.0, parse::certificate_warning)
    {
        expectation.certificate_warning_seconds = Seconds(warning);
    }
    let Some(latency) = &raw.latency else { return };
    for phase in PhaseName::ALWAYS {
        let limit = match phase {
            PhaseName::Resolve => &latency.resolve,
            PhaseName::Connect => &latency.connect,
            PhaseName::Tls => &latency.tls,
            PhaseName::Auth => &latency.auth,
            PhaseName::Ping => &latency.ping,
            PhaseName::Token | PhaseName::Cluster | PhaseName::Posture | PhaseName::Application => continue,
        };
        let Some(limit) = limit else { continue };
        let path = path.key("latency").key(phase.as_str());
        if let Some(limit) = problems.read(&path, &limit.0, parse::latency) {
            expectation.latency.insert(phase, Seconds(limit));
        }
    }
}

fn posture(raw: &RawPosture, settings: &mut Settings, path: &Path, problems: &mut Problems<'_>) {
    if let Some(text) = &raw.interval
        && let Some(interval) = problems.read(&path.key("interval"), &text.0, parse::interval)
    {
        settings.posture.interval = interval;
    }
    let expectation = &mut settings.expectation;
    match raw.require_auth {
        Some(RawRequireAuth::Is(error)) => {
            (expectation.require_auth, settings.posture.skip_auth_check) = (error, false)
        }
        Some(RawRequireAuth::Off(Off::Off)) => {
            (expectation.require_auth, settings.posture.skip_auth_check) = (false, true)
        }
        None => {}
    }
    match raw.plaintext_port {
        Some(RawPlaintextPort::Port(port)) => settings.posture.plaintext_port = Some(port),
        Some(RawPlaintextPort::Off(Off::Off)) => settings.posture.plaintext_port = None,
        None => {}
    }
    if let Some(text) = &raw.public_address
        && let Some(address) = problems.read(&path.key("public_address"), text, parse::public_address)
    {
        settings.posture.public_address = address;
        // Who names the address wants it looked at.
        if expectation.public_access == PublicAccess::Ignore {
            expectation.public_access = PublicAccess::Closed;
        }
    }
    expectation.public_access = raw.public_access.unwrap_or(expectation.public_access);
}

fn tls(raw: &RawTls, settings: &mut Settings, path: &Path, problems: &mut Problems<'_>) {
    settings.plaintext = raw.plaintext.unwrap_or(settings.plaintext);
    if raw.plaintext == Some(true) {
        for (key, given) in [("ca_file", raw.ca_file.is_some()), ("server_name", raw.server_name.is_some())] {
            if given {
                problems.add(&path.key(key), "it has no meaning with `plaintext: true`: one of the two is expected");
            }
        }
    }
    if let Some(file) = &raw.ca_file {
        settings.ca_file = problems.read(&path.key("ca_file"), file, parse::path);
    }
    if let Some(name) = &raw.server_name {
        settings.server_name = problems.read(&path.key("server_name"), name, parse::server_name);
    }
}

/// Refuses an explicit `public_access: closed` where nothing says what the public address is.
fn needs_public_address(raw: &RawConfig, targets: &[TargetConfig], top: &Path, problems: &mut Problems<'_>) {
    const WHY: &str =
        "`closed` needs the public address: give it as `public_address`, or configure a resolver in the internet";
    let says_closed = |posture: &Option<RawPosture>| {
        posture.as_ref().is_some_and(|posture| posture.public_access == Some(PublicAccess::Closed))
    };
    let lacks = |host: &str| {
        let mut plans = targets.iter().map(|target| &target.plan);
        plans.any(|plan| plan.target.host.as_str() == host && plan.lacks_public_address())
    };
    let key = |path: Path| path.key("posture").key("public_access");
    for (index, target) in raw.targets.iter().enumerate() {
        if says_closed(&target.settings.posture) && lacks(&target.host) {
            problems.add(&key(top.key("targets").index(index)), WHY);
        }
    }
    let defaults = raw.defaults.as_ref().is_some_and(|defaults| says_closed(&defaults.posture));
    if defaults && raw.targets.iter().any(|target| !says_closed(&target.settings.posture) && lacks(&target.host)) {
        problems.add(&key(top.key("defaults")), WHY);
    }
}

fn targets(
    raw: &[RawTarget],
    defaults: &Settings,
    resolvers: &[Resolver],
    path: &Path,
    problems: &mut Problems<'_>,
) -> Vec<TargetConfig> {
    let mut targets = Vec::with_capacity(raw.len());
    let mut names: HashMap<String, usize> = HashMap::with_capacity(raw.len());
    let mut az = AzReader::default();
    for (index, raw) in raw.iter().enumerate() {
        let path = path.index(index);
        let settings = raw.settings.over(defaults, resolvers, &path, problems);
        let connect = raw.connect.as_ref().and_then(|text| problems.read(&path.key("connect"), text, parse::server_ip));
        let name = raw.name.as_ref().map(|name| problems.read(&path.key("name"), name, values::display_name));
        let Some(host) = problems.read(&path.key("host"), &raw.host, values::host) else { continue };
        let mut plan = settings.plan(host, raw.port, resolvers);
        plan.connect = connect;
        let expect_from = az.expect(raw, &mut plan, &path, problems);
        if let Some(Some(name)) = name {
            plan.target.name = name;
        }
        if let Some(other) = names.insert(plan.target.name.clone(), index) {
            let key = if raw.name.is_some() { "name" } else { "host" };
            let message =
                format!("{:?} is the name of targets[{other}] too: a `name` of its own is expected", plan.target.name);
            problems.add(&path.key(key), message);
        }
        plan = with_old_name(plan, raw, &az.facts(&expect_from), (&path, problems));
        targets.push(TargetConfig { plan, interval: settings.interval, expect_from });
    }
    targets
}

/// The plan for both names of a migration; what files of `az` say of the old one is expected of it.
fn with_old_name(plan: Plan, raw: &RawTarget, az: &AzFiles, (path, problems): (&Path, &mut Problems<'_>)) -> Plan {
    let Some(migration) = &raw.migration else { return plan };
    let path = path.key("migration").key("old");
    let Some((host, port)) = problems.read(&path, &migration.old, parse::old_name) else { return plan };
    let mut plan = plan.with_old_name(host, port);
    let new = (plan.target.host.clone(), plan.target.port);
    if let Some(old) = &mut plan.old {
        az.expect(&mut old.target, port.is_some(), &mut old.expectation);
        if (&old.target.host, old.target.port) == (&new.0, new.1) {
            problems.add(&path, "it is the target itself: the name that the migration leaves is expected".to_owned());
        }
    }
    plan
}

/// The files of `az`, each read once however many targets name it.
#[derive(Default)]
struct AzReader(HashMap<PathBuf, Result<AzFiles, String>>);

impl AzReader {
    /// What these files say, which have been read.
    fn facts(&self, files: &[PathBuf]) -> AzFiles {
        let mut facts = AzFiles::default();
        for read in files.iter().filter_map(|file| self.0.get(file)?.as_ref().ok()) {
            facts.extend(read.clone());
        }
        facts
    }

    /// Sets what `raw` does not give; answers with the files it was taken from.
    fn expect(&mut self, raw: &RawTarget, plan: &mut Plan, path: &Path, problems: &mut Problems<'_>) -> Vec<PathBuf> {
        let given = raw.expect_from.as_deref().unwrap_or_default();
        let (mut files, mut facts) = (Vec::new(), AzFiles::default());
        for (index, text) in given.iter().enumerate() {
            let path = path.key("expect_from").index(index);
            let Some(file) = problems.read(&path, text, parse::path) else { continue };
            let read = self.0.entry(file.clone()).or_insert_with(|| AzFiles::read(&file, FileKind::Regular));
            facts.extend(problems.take(&path, read.clone()).unwrap_or_default());
            files.push(file);
        }
        if !files.is_empty() {
            facts.expect(&mut plan.target, raw.port.is_some(), &mut plan.expectation);
        }
        files
    }
}

fn web(raw: Option<&RawWeb>, path: &Path, problems: &mut Problems<'_>) -> WebSettings {
    let mut web = WebSettings::default();
    let Some(raw) = raw else { return web };
    if let Some(listen) = &raw.listen {
        web.listen = problems.read(&path.key("listen"), listen, parse::listen_address).unwrap_or(web.listen);
    }
    let hosts = raw.allowed_hosts.as_deref().unwrap_or_default();
    for (index, host) in hosts.iter().enumerate() {
        web.allowed_hosts.extend(problems.read(&path.key("allowed_hosts").index(index), host, values::web_host));
    }
    let suffixes = raw.probe.as_ref().and_then(|probe| probe.allowed_suffixes.as_deref()).unwrap_or_default();
    let path = path.key("probe").key("allowed_suffixes");
    for (index, suffix) in suffixes.iter().enumerate() {
        web.probe_allowed_suffixes.extend(problems.read(&path.index(index), suffix, values::suffix));
    }
    web
}

fn journal(raw: &RawJournal, path: &Path, problems: &mut Problems<'_>) -> JournalSettings {
    let mut settings = JournalSettings {
        directory: problems.read(&path.key("directory"), &raw.directory, parse::path).unwrap_or_default(),
        ..JournalSettings::default()
    };
    if let Some(text) = &raw.max_bytes {
        let read = problems.read(&path.key("max_bytes"), text, parse::journal_bytes);
        settings.max_bytes = read.unwrap_or(settings.max_bytes);
    }
    if let Some(raw) = &raw.max_age {
        let read = problems.read(&path.key("max_age"), &raw.0, parse::journal_age);
        settings.max_age = read.unwrap_or(settings.max_age);
    }
    settings
}

fn metrics(raw: Option<&RawMetrics>, path: &Path, problems: &mut Problems<'_>) -> MetricsSettings {
    let mut metrics = MetricsSettings::default();
    let Some(raw) = raw else { return metrics };
    metrics.resolution_info = raw.resolution_info.unwrap_or(metrics.resolution_info);
    metrics.classic_histograms = raw.classic_histograms.unwrap_or(metrics.classic_histograms);
    metrics.native_histograms = raw.native_histograms.unwrap_or(metrics.native_histograms);
    if metrics.native_histograms && !cfg!(feature = "native-histograms") {
        problems.add(
            &path.key("native_histograms"),
            "this redpath was built without native histograms: the feature native-histograms has them".to_owned(),
        );
    }
    if let Some(buckets) = &raw.phase_buckets {
        let path = path.key("phase_buckets");
        let mut before = 0.0;
        for (index, bucket) in buckets.iter().enumerate() {
            if *bucket <= before || !bucket.is_finite() {
                problems
                    .add(&path.index(index), format!("{bucket} is not above {before}: seconds that rise are expected"));
                break;
            }
            before = *bucket;
        }
        metrics.phase_buckets.clone_from(buckets);
    }
    metrics
}
