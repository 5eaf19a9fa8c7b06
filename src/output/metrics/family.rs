//! Every metric, declared once: name, type, labels, how its samples are read, and help.
//!
//! The pages, `docs/metrics.md` and the fixture of the page are held to this table by a test.

use prometheus_client::metrics::MetricType;
use strum::IntoStaticStr;

use super::agent::Agent;
use super::application;
use super::blackbox;
use super::gauges;
use super::process::Process;
use super::sample::Sample;
use super::series::TargetSeries;
use crate::record::Record;

/// A metric, as it is declared.
#[derive(Debug)]
pub struct Family {
    /// Its name; a counter's ends in `_total`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// Its help text, in one sentence.
    pub help: &'static str,
    pub(crate) source: Source,
}

/// What the samples of a family are read from. The label `target` is added to those of targets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The series of each target, from its first one on.
    Target(for<'s> fn(&'s TargetSeries) -> Vec<Sample<'s>>),
    /// The last record of each target that has been probed.
    Record(for<'r> fn(&'r Record) -> Vec<Sample<'r>>),
    /// The agent as a whole.
    Agent(for<'a> fn(&'a Agent) -> Vec<Sample<'a>>),
    /// The process, as the kernel sees it.
    Process(fn(&Process) -> Option<f64>),
}

/// The types of metric in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

impl Kind {
    /// The name in a `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram,
        }
    }
}

macro_rules! families {
    (
        $(#[$doc:meta])* $all:ident:
        $($constant:ident $kind:ident $name:literal [$($label:literal)*] $source:ident($read:expr) $help:literal;)*
    ) => {
        $(pub(crate) static $constant: Family = Family {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
            source: Source::$source($read),
        };)*

        $(#[$doc])*
        pub static $all: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    /// The metrics of the agent's page and of `check --output prometheus`.
    ALL:

    TARGET_INFO Gauge "redpath_target_info" ["target" "host" "port" "service" "expected"]
        Target(TargetSeries::info)
        "The target as it is configured, as labels.";
    PROBE_INTERVAL Gauge "redpath_probe_interval_seconds" ["target"]
        Target(TargetSeries::interval)
        "The time between the beginnings of two probes.";
    PROBE_SUCCESS Gauge "redpath_probe_success" ["target"]
        Record(gauges::probe_success)
        "Whether the last probe passed, with or without warnings.";
    PROBES Counter "redpath_probes_total" ["target"]
        Target(TargetSeries::probes)
        "Probes that ended.";
    PROBE_FAILURES Counter "redpath_probe_failures_total" ["target"]
        Target(TargetSeries::failures)
        "Probes that did not pass.";
    PROBE_FAILURES_BY_CAUSE Counter "redpath_probe_failures_by_cause_total" ["target" "cause"]
        Target(TargetSeries::failures_by_cause)
        "Probes that did not pass, by the cause of the verdict.";
    PROBE_DURATION Histogram "redpath_probe_duration_seconds" ["target"]
        Target(TargetSeries::probe_duration)
        "Durations of whole probes.";
    PHASE_DURATION Histogram "redpath_phase_duration_seconds" ["target" "phase"]
        Target(TargetSeries::phase_durations)
        "Durations of phases that ran, whether they succeeded or failed.";
    PHASE_FAILURES Counter "redpath_phase_failures_total" ["target" "phase"]
        Target(TargetSeries::phase_failures)
        "Phases that ran and failed.";
    PHASE_OUTCOME Gauge "redpath_phase_outcome" ["target" "phase" "outcome"]
        Target(TargetSeries::phase_outcomes)
        "The outcome of each phase in the last probe: 1 for that one, 0 for the others.";
    PATH_PRIVATE Gauge "redpath_path_private" ["target"]
        Record(gauges::path_private)
        "Whether the address that the last probe connected to is private.";
    ADDRESS_EXPECTED Gauge "redpath_address_expected" ["target"]
        Record(gauges::address_expected)
        "Whether the address that the last probe connected to meets the expectation.";
    USABLE Gauge "redpath_usable" ["target"]
        Record(gauges::usable)
        "Whether TCP, TLS and a reply of Redis succeeded in the last probe, by whatever path; absent where unknown.";
    CONNECTION_INFO Gauge "redpath_connection_info" ["target" "address" "address_class"]
        Record(gauges::connection_info)
        "The address that the last probe connected to, and its class, as labels.";
    ADDRESS_CLASS Gauge "redpath_address_class" ["target" "view" "class"]
        Record(gauges::address_classes)
        "The classes of the addresses that each view gave to the last probe, 1 for each.";
    RESOLUTION_INFO Gauge "redpath_resolution_info" ["target" "view" "path" "address" "address_class"]
        Record(gauges::resolution_info)
        "The addresses that each view gave to the last probe, 1 for each.";
    RESOLUTION_CHANGES Counter "redpath_resolution_changes_total" ["target" "view"]
        Target(TargetSeries::resolution_changes)
        "How often a view's answer differed from the one before, in addresses or in chain.";
    RESOLUTION_TTL Gauge "redpath_resolution_ttl_seconds" ["target" "view"]
        Record(gauges::resolution_ttl)
        "The lowest time to live in each view's answer to the last probe.";
    RESOLVER_AGREEMENT Gauge "redpath_resolver_agreement" ["target"]
        Record(gauges::resolver_agreement)
        "Whether every view that answered the last probe gave the addresses of the view in use.";
    FINDING_ACTIVE Gauge "redpath_finding_active" ["target" "code" "severity"]
        Record(gauges::findings)
        "The findings of the last probe, 1 for each.";
    VERDICT Gauge "redpath_verdict" ["target" "status"]
        Target(TargetSeries::verdict)
        "The verdict of the last probe: 1 for its status.";
    VERDICT_INFO Gauge "redpath_verdict_info" ["target" "status" "cause"]
        Record(gauges::verdict_info)
        "The status and the cause of the last verdict, as labels.";
    VERDICT_SINCE Gauge "redpath_verdict_since_timestamp_seconds" ["target"]
        Target(TargetSeries::verdict_since)
        "When the first probe began that had the present verdict, status and cause.";
    CERTIFICATE_NOT_AFTER Gauge "redpath_tls_certificate_not_after_timestamp_seconds" ["target"]
        Record(gauges::certificate_not_after)
        "When the certificate expires that the server showed to the last probe.";
    TLS_INFO Gauge "redpath_tls_info" ["target" "version" "cipher"]
        Record(gauges::tls_info)
        "The TLS version and cipher suite of the last probe, as labels.";
    CLUSTER_NODES Gauge "redpath_cluster_nodes" ["target" "state"]
        Record(gauges::cluster_nodes)
        "The nodes that the cluster announced to the last probe, by the result of connecting to them.";
    SERVER_SEES Gauge "redpath_server_sees" ["target" "via"]
        Record(gauges::server_sees)
        "The way by which the server sees the last probe come: 1 for that one, 0 for the others.";
    APPLICATION_CONNECTIONS Gauge "redpath_application_connections" ["target" "path"]
        Record(application::connections)
        "The established connections of applications in this network namespace, by path.";
    APPLICATION_CONNECTING Gauge "redpath_application_connecting" ["target"]
        Record(application::connecting)
        "The connections of applications whose SYN is not answered yet.";
    APPLICATION_OPENED Counter "redpath_application_connections_opened_total" ["target"]
        Target(TargetSeries::application_opened)
        "Connections that applications opened and that a probe found.";
    APPLICATION_RTT Gauge "redpath_application_rtt_seconds" ["target" "path"]
        Record(application::round_trip)
        "The longest smoothed round-trip time of the applications' connections, as the kernel measures it.";
    APPLICATION_IDLE Gauge "redpath_application_idle_seconds" ["target" "path"]
        Record(application::idle)
        "The longest time without a byte on a connection of an application.";
    HELD_AGE Gauge "redpath_held_connection_age_seconds" ["target"]
        Record(gauges::held_connection_age)
        "How long the held connection had been open at the end of the last probe; absent where it was closed.";
    HELD_LOSSES Counter "redpath_held_connection_losses_total" ["target"]
        Target(TargetSeries::held_connection_losses)
        "Held connections that were lost.";
    PUBLIC_ACCESS_OPEN Gauge "redpath_public_access_open" ["target"]
        Record(gauges::public_access_open)
        "Whether TLS and Redis answered the last probe at the public address.";
    LAST_PROBE Gauge "redpath_last_probe_timestamp_seconds" ["target"]
        Record(gauges::last_probe)
        "When the last probe began.";
    SCHEDULE_LAG Gauge "redpath_schedule_lag_seconds" []
        Agent(Agent::schedule_lag)
        "The longest that a probe began after it was due, in the last one to two minutes.";
    RELOAD_SUCCESSFUL Gauge "redpath_config_last_reload_successful" []
        Agent(Agent::reload_successful)
        "Whether the configuration was good when it was last read.";
    RELOAD_TIME Gauge "redpath_config_last_reload_success_timestamp_seconds" []
        Agent(Agent::reload_time)
        "When the configuration in force was read.";
    HTTP_CONNECTIONS Gauge "redpath_http_connections" []
        Agent(Agent::http_connections)
        "The open connections of the HTTP server.";
    HTTP_REFUSED Counter "redpath_http_refused_total" []
        Agent(Agent::http_refused)
        "The connections and responses that the HTTP server refused at one of its limits.";
    JOURNAL_RECORDS Counter "redpath_journal_records_total" []
        Agent(Agent::journal_records)
        "The number of the last line of the journal.";
    JOURNAL_HEAD Gauge "redpath_journal_head" ["part"]
        Agent(Agent::journal_head)
        "The first 144 bits of the SHA-256 of the last line of the journal, 48 in each part.";
    JOURNAL_WRITE_FAILURES Counter "redpath_journal_write_failures_total" []
        Agent(Agent::journal_write_failures)
        "Entries and records that could not be written to the journal.";
    BUILD_INFO Gauge "redpath_build_info" ["version" "os" "arch"]
        Agent(Agent::build_info)
        "The version of redpath and what it was built for, as labels.";
    VANTAGE_INFO Gauge "redpath_vantage_info" ["hostname" "node" "pod_name" "pod_namespace" "subnet"]
        Agent(Agent::vantage_info)
        "The vantage that the probes run on, as labels.";
    PROCESS_CPU Counter "process_cpu_seconds_total" []
        Process(|process| process.cpu_seconds)
        "User and system CPU time spent.";
    PROCESS_RESIDENT Gauge "process_resident_memory_bytes" []
        Process(|process| process.resident_bytes)
        "Resident memory.";
    PROCESS_VIRTUAL Gauge "process_virtual_memory_bytes" []
        Process(|process| process.virtual_bytes)
        "Virtual memory.";
    PROCESS_OPEN_FDS Gauge "process_open_fds" []
        Process(|process| process.open_fds)
        "Open file descriptors.";
    PROCESS_MAX_FDS Gauge "process_max_fds" []
        Process(|process| process.max_fds)
        "The limit of open file descriptors.";
    PROCESS_START Gauge "process_start_time_seconds" []
        Process(|process| process.start_time)
        "When the process started.";
    PROCESS_THREADS Gauge "process_threads" []
        Process(|process| process.threads)
        "Threads of the process.";
}

families! {
    /// The metrics of the page `/probe` beside those of the last probe above, under the names of
    /// the blackbox exporter, so that its dashboards and alerts work.
    ON_DEMAND:

    BLACKBOX_SUCCESS Gauge "probe_success" []
        Record(gauges::probe_success)
        "Whether the probe passed, with or without warnings.";
    BLACKBOX_DURATION Gauge "probe_duration_seconds" []
        Record(blackbox::duration)
        "Duration of the whole probe.";
    BLACKBOX_DNS Gauge "probe_dns_lookup_time_seconds" []
        Record(blackbox::dns_lookup_time)
        "Duration of the resolution.";
    BLACKBOX_IP_PROTOCOL Gauge "probe_ip_protocol" []
        Record(blackbox::ip_protocol)
        "The IP version of the connection, 4 or 6.";
    BLACKBOX_PHASES Gauge "probe_phase_duration_seconds" ["phase"]
        Record(blackbox::phase_durations)
        "Duration of each phase that ran.";
    BLACKBOX_CERTIFICATE Gauge "probe_ssl_earliest_cert_expiry" []
        Record(gauges::certificate_not_after)
        "When the server's certificate expires, in seconds since 1970.";
    BLACKBOX_TLS_VERSION Gauge "probe_tls_version_info" ["version"]
        Record(blackbox::tls_version)
        "The TLS version, as a label.";
    BLACKBOX_TLS_CIPHER Gauge "probe_tls_cipher_info" ["cipher"]
        Record(blackbox::tls_cipher)
        "The TLS cipher suite, as a label.";
}
