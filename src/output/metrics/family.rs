//! Every metric, declared once: name, type, labels and help.
//!
//! The pages, `docs/metrics.md` and the fixture of the page are held to this table by a test.

/// A metric, as it is declared.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name; a counter's ends in `_total`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// The types of metric in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Cumulative buckets, a sum and a count.
    Histogram,
}

impl Kind {
    /// The name in a `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! families {
    ($(#[$doc:meta])* $all:ident: $($constant:ident $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        $(pub(crate) static $constant: Family = Family {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        $(#[$doc])*
        pub static $all: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    /// The metrics of the agent's page and of `check --output prometheus`.
    ALL:

    PROBE_SUCCESS Gauge "redpath_probe_success" ["target"]
        "Whether the last probe passed, with or without warnings.";
    PROBES Counter "redpath_probes_total" ["target"]
        "Probes that ended.";
    PROBE_FAILURES Counter "redpath_probe_failures_total" ["target"]
        "Probes that did not pass.";
    PROBE_FAILURES_BY_CAUSE Counter "redpath_probe_failures_by_cause_total" ["target" "cause"]
        "Probes that did not pass, by the cause of the verdict.";
    PROBE_DURATION Histogram "redpath_probe_duration_seconds" ["target"]
        "How long whole probes took.";
    PHASE_DURATION Histogram "redpath_phase_duration_seconds" ["target" "phase"]
        "How long the phases took that ran, whether they succeeded or failed.";
    PHASE_FAILURES Counter "redpath_phase_failures_total" ["target" "phase"]
        "Phases that ran and failed.";
    PHASE_OUTCOME Gauge "redpath_phase_outcome" ["target" "phase" "outcome"]
        "What became of each phase in the last probe: 1 for the outcome it had.";
    PATH_PRIVATE Gauge "redpath_path_private" ["target"]
        "Whether the address that the last probe connected to is private.";
    ADDRESS_EXPECTED Gauge "redpath_address_expected" ["target"]
        "Whether the address that the last probe connected to meets the expectation.";
    USABLE Gauge "redpath_usable" ["target"]
        "Whether TCP, TLS and a reply of Redis succeeded in the last probe, by whatever path; absent where unknown.";
    ADDRESS_CLASS Gauge "redpath_address_class" ["target" "view" "class"]
        "The classes of the addresses that each view gave to the last probe, 1 for each.";
    RESOLUTION_INFO Gauge "redpath_resolution_info" ["target" "view" "path" "address" "address_class"]
        "The addresses that each view gave to the last probe, 1 for each.";
    RESOLUTION_CHANGES Counter "redpath_resolution_changes_total" ["target" "view"]
        "How often a view's answer differed from the one before, in addresses or in chain.";
    RESOLUTION_TTL Gauge "redpath_resolution_ttl_seconds" ["target" "view"]
        "The lowest time to live in each view's answer to the last probe.";
    RESOLVER_AGREEMENT Gauge "redpath_resolver_agreement" ["target"]
        "Whether every view that answered the last probe gave the addresses of the view in use.";
    FINDING_ACTIVE Gauge "redpath_finding_active" ["target" "code" "severity"]
        "The findings of the last probe, 1 for each.";
    VERDICT Gauge "redpath_verdict" ["target" "status"]
        "The verdict of the last probe: 1 for its status.";
    VERDICT_SINCE Gauge "redpath_verdict_since_timestamp_seconds" ["target"]
        "When the first probe began that had the present verdict, status and cause.";
    CERTIFICATE_NOT_AFTER Gauge "redpath_tls_certificate_not_after_timestamp_seconds" ["target"]
        "When the certificate expires that the server showed to the last probe.";
    TLS_INFO Gauge "redpath_tls_info" ["target" "version" "cipher"]
        "The TLS version and cipher suite of the last probe, as labels.";
    CLUSTER_NODES Gauge "redpath_cluster_nodes" ["target" "state"]
        "The nodes that the cluster announced to the last probe, by what came of connecting to them.";
    PUBLIC_ACCESS_OPEN Gauge "redpath_public_access_open" ["target"]
        "Whether TLS and Redis answered the last probe at the public address.";
    LAST_PROBE Gauge "redpath_last_probe_timestamp_seconds" ["target"]
        "When the last probe began.";
    SCHEDULE_LAG Gauge "redpath_schedule_lag_seconds" []
        "The longest that a probe began after it was due, in the last one to two minutes.";
    RELOAD_SUCCESSFUL Gauge "redpath_config_last_reload_successful" []
        "Whether the configuration was good when it was last read.";
    RELOAD_TIME Gauge "redpath_config_last_reload_success_timestamp_seconds" []
        "When the configuration in force was read.";
    BUILD_INFO Gauge "redpath_build_info" ["version" "os" "arch"]
        "The version of redpath and what it was built for, as labels.";
    VANTAGE_INFO Gauge "redpath_vantage_info" ["hostname" "namespace" "node" "pod" "subnet"]
        "The place the probes look from, as labels.";
    PROCESS_CPU Counter "process_cpu_seconds_total" []
        "User and system CPU time spent.";
    PROCESS_RESIDENT Gauge "process_resident_memory_bytes" []
        "Resident memory.";
    PROCESS_VIRTUAL Gauge "process_virtual_memory_bytes" []
        "Virtual memory.";
    PROCESS_OPEN_FDS Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_MAX_FDS Gauge "process_max_fds" []
        "The limit of open file descriptors.";
    PROCESS_START Gauge "process_start_time_seconds" []
        "When the process started.";
    PROCESS_THREADS Gauge "process_threads" []
        "Threads of the process.";
}

families! {
    /// The metrics of the page `/probe` beside those of the last probe above, under the names of
    /// the blackbox exporter, so that its dashboards and alerts work.
    ON_DEMAND:

    BLACKBOX_SUCCESS Gauge "probe_success" []
        "Whether the probe passed, with or without warnings.";
    BLACKBOX_DURATION Gauge "probe_duration_seconds" []
        "How long the whole probe took.";
    BLACKBOX_DNS Gauge "probe_dns_lookup_time_seconds" []
        "How long the resolution took.";
    BLACKBOX_IP_PROTOCOL Gauge "probe_ip_protocol" []
        "The version of IP that was connected with, 4 or 6.";
    BLACKBOX_PHASES Gauge "probe_phase_duration_seconds" ["phase"]
        "How long each phase took that ran.";
    BLACKBOX_CERTIFICATE Gauge "probe_ssl_earliest_cert_expiry" []
        "When the server's certificate expires, in seconds since 1970.";
    BLACKBOX_TLS_VERSION Gauge "probe_tls_version_info" ["version"]
        "The TLS version, as a label.";
    BLACKBOX_TLS_CIPHER Gauge "probe_tls_cipher_info" ["cipher"]
        "The TLS cipher suite, as a label.";
}
