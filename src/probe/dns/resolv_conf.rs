//! The system's resolver configuration as glibc reads it: resolv.conf(5), `LOCALDOMAIN`, `RES_OPTIONS`.
//!
//! It is read for every probe, since DHCP clients and node upgrades change it while an agent runs.

use std::net::{SocketAddr, SocketAddrV6};
use std::path::Path;

use resolv_conf::{Config, ScopedIp};

use crate::bounded_read::{self, FileKind, ReadError};
use crate::observation::LocalLimit;
use crate::probe::blocking_fs;
use crate::probe::budget::{Budget, StopReason};

/// The most bytes that are read; usual files have less than 1 KiB.
const MAX_BYTES: usize = 64 * 1024;

/// The most suffixes that are used: more would only multiply the questions.
const MAX_SEARCH: usize = 32;

/// The configuration of the system's resolver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The name servers, at most three, as glibc takes them.
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    pub(super) ndots: u32,
    pub(super) use_tcp: bool,
    pub(super) no_aaaa: bool,
    /// What is wrong with it, in words.
    pub(super) error: Option<String>,
    /// Whether glibc aborts the process in place of resolving a name.
    pub(super) aborts_glibc: bool,
    /// The limit of this machine that kept it from being read.
    pub(super) local_limit: Option<LocalLimit>,
}

impl ResolvConf {
    /// Reads the file without blocking the runtime: it may be on a mount that hangs. The other views need most of
    /// the phase's time, so it may take a quarter.
    ///
    /// # Errors
    /// The probe was interrupted.
    pub(super) async fn read(path: &Path, budget: &Budget) -> Result<Self, StopReason> {
        let limit = budget.phase_limit() / 4;
        let file = path.to_owned();
        let read = blocking_fs::read_with_limit(path, "file resolv.conf", move || Ok(Self::read_blocking(&file)));
        match budget.within(limit, read).await {
            Ok(conf) => Ok(conf.unwrap_or_else(Self::unreadable)),
            Err(StopReason::Timeout) => Ok(Self::unreadable(format!("{} was not read in time", path.display()))),
            Err(StopReason::Interrupt) => Err(StopReason::Interrupt),
        }
    }

    fn read_blocking(path: &Path) -> Self {
        let file = path.display();
        let bytes = match bounded_read::read_prefix(path, FileKind::Regular, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                let local_limit = match &error {
                    ReadError::Io(error) => LocalLimit::of(error),
                    _ => None,
                };
                let error = format!("{file} cannot be read: {error}");
                return Self { local_limit, ..Self::unreadable(error) };
            }
        };
        let mut conf = Self::parse(&bytes, hostname().as_deref(), |name| std::env::var(name).ok());
        if conf.servers.is_empty() {
            conf.error = Some(format!("{file} names no name server"));
        }
        conf
    }

    /// The defaults of glibc, but without a name server.
    fn unreadable(error: String) -> Self {
        Self { ndots: 1, error: Some(error), ..Self::default() }
    }

    pub(super) fn parse(bytes: &[u8], hostname: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        // A line that glibc does not understand is skipped, as glibc does.
        let (mut config, _) = Config::parse_with_errors(bytes);
        if let Some(options) = variable("RES_OPTIONS") {
            let (extra, _) = Config::parse_with_errors(format!("options {options}\n").as_bytes());
            let default = Config::new();
            if extra.ndots != default.ndots {
                config.ndots = extra.ndots;
            }
            config.use_vc |= extra.use_vc;
            config.no_aaaa |= extra.no_aaaa;
        }
        let mut search: Vec<String> = match variable("LOCALDOMAIN") {
            Some(domains) => domains.split_whitespace().map(str::to_owned).collect(),
            None => config.get_last_search_or_domain().cloned().collect(),
        };
        if search.is_empty() && config.get_search().is_none() && config.get_domain().is_none() {
            // resolv.conf(5): without either, the domain is what follows the host name's first dot.
            search.extend(hostname.and_then(|name| name.split_once('.')).map(|(_, domain)| domain.to_owned()));
        }
        let error = glibc_abort(&search);
        search.truncate(MAX_SEARCH);
        Self {
            servers: config.nameservers.iter().take(3).map(server).collect(),
            search,
            ndots: config.ndots.min(15), // RES_MAXNDOTS
            use_tcp: config.use_vc,
            no_aaaa: config.no_aaaa,
            aborts_glibc: error.is_some(),
            error,
            local_limit: None,
        }
    }
}

/// The suffix on which glibc aborts, in words. glibc (2.26 to 2.38 at least) copies at most six suffixes into 256
/// bytes. Where one does not fit and those before it have at most 56 bytes, an assertion fails (sourceware bug 31026).
fn glibc_abort(search: &[String]) -> Option<String> {
    const SUFFIXES: usize = 6; // MAXDNSRCH
    const BYTES: usize = 256; // sizeof (res_state.defdname)
    const COMPARED: usize = 56; // sizeof (res_state.dnsrch)
    if !cfg!(target_env = "gnu") {
        return None;
    }
    let mut copied = 0;
    for suffix in search.iter().take(SUFFIXES) {
        let length = suffix.len() + 1;
        if copied + length > BYTES {
            return (copied <= COMPARED).then(|| {
                format!(
                    "the search list of resolv.conf (or LOCALDOMAIN) has a suffix of {} characters, on which glibc \
                     aborts every program that resolves a name",
                    suffix.len()
                )
            });
        }
        copied += length;
    }
    None
}

fn server(ip: &ScopedIp) -> SocketAddr {
    match ip {
        ScopedIp::V4(ip) => SocketAddr::from((*ip, 53)),
        ScopedIp::V6(ip, scope) => {
            let scope = scope.as_deref().map_or(0, interface_index);
            SocketAddr::V6(SocketAddrV6::new(*ip, 53, 0, scope))
        }
    }
}

fn interface_index(name: &str) -> u32 {
    if let Ok(index) = name.parse() {
        return index;
    }
    if name.contains('/') || name.starts_with('.') {
        return 0;
    }
    std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"))
        .ok()
        .and_then(|index| index.trim().parse().ok())
        .unwrap_or_default()
}

fn hostname() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::probe::budget::Interrupt;

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("redpath-resolv-conf-{}-{name}", std::process::id()))
    }

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(text.as_bytes(), Some("node1.corp.example"), |_| None)
    }

    #[test]
    fn resolv_conf_parses_like_glibc() {
        let conf = parse(
            "nameserver 10.10.0.53\nnonsense here\nnameserver fe80::1%1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n\
             search a.example b.example\noptions ndots:5 use-vc\n",
        );
        assert_eq!(conf.servers.len(), 3, "glibc takes three");
        assert_eq!(conf.servers.first().map(ToString::to_string).as_deref(), Some("10.10.0.53:53"));
        assert_eq!(conf.search, ["a.example", "b.example"]);
        assert_eq!(conf.ndots, 5);
        assert!(conf.use_tcp);
    }

    #[test]
    fn resolv_conf_defaults_and_environment() {
        let conf = parse("nameserver 10.0.0.1\n");
        assert_eq!((conf.search.as_slice(), conf.ndots), (["corp.example".to_owned()].as_slice(), 1));
        let conf = ResolvConf::parse(b"search x\noptions ndots:2", None, |name| match name {
            "LOCALDOMAIN" => Some("y z".into()),
            "RES_OPTIONS" => Some("ndots:4".into()),
            _ => None,
        });
        assert_eq!((conf.search.as_slice(), conf.ndots), (["y".to_owned(), "z".to_owned()].as_slice(), 4));
    }

    #[tokio::test]
    async fn resolv_conf_empty_or_missing_is_named() {
        let budget = Budget::new(Duration::from_secs(10), Interrupt::new().1);
        let path = path("empty");
        let error = async || ResolvConf::read(&path, &budget).await.expect("no interrupt").error.expect("an error");
        assert!(error().await.contains("there is no such file"));
        std::fs::write(&path, "search a.example\n").expect("a file");
        assert!(error().await.contains("names no name server"));
        std::fs::remove_file(&path).expect("the file");
    }

    #[tokio::test]
    async fn resolv_conf_fifo_is_refused() {
        let budget = Budget::new(Duration::from_secs(10), Interrupt::new().1);
        let path = path("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo of coreutils");
        assert!(made.success());
        let conf = ResolvConf::read(&path, &budget).await.expect("no interrupt");
        std::fs::remove_file(&path).expect("the FIFO");
        assert!(conf.error.is_some_and(|error| error.contains("not a regular file")));
    }

    /// Tried with glibc 2.36 and `getent ahosts`.
    #[test]
    fn resolv_conf_names_suffix_on_which_glibc_aborts() {
        let aborts = |lengths: &[usize]| {
            let suffixes: Vec<String> = lengths.iter().map(|length| "d".repeat(*length)).collect();
            let conf = parse(&format!("nameserver 10.0.0.1\nsearch {}\n", suffixes.join(" ")));
            assert_eq!(conf.aborts_glibc, conf.error.is_some());
            conf.aborts_glibc
        };
        for lengths in [&[256][..], &[300, 10], &[5, 255], &[10, 10, 240], &[1, 1, 1, 1, 1, 300]] {
            assert!(aborts(lengths), "{lengths:?}");
        }
        for lengths in [&[255][..], &[200, 200], &[128, 128], &[250, 5], &[60; 8], &[1, 1, 1, 1, 1, 1, 300]] {
            assert!(!aborts(lengths), "{lengths:?}");
        }
    }
}
