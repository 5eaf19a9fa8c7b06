//! The system's resolver configuration as glibc reads it: resolv.conf(5), `LOCALDOMAIN`, `RES_OPTIONS`.
//!
//! It is read for every probe, since DHCP clients and node upgrades change it under an agent.

use std::io::Read;
use std::net::{SocketAddr, SocketAddrV6};
use std::path::Path;

use resolv_conf::{Config, ScopedIp};

/// The most of the file that is read; glibc's own files are far smaller.
const MAX_BYTES: u64 = 64 * 1024;

/// As much as is read of nearly every such file.
const USUAL_BYTES: usize = 4 * 1024;

/// The most suffixes that are walked: more would only multiply the questions.
const MAX_SEARCH: usize = 32;

/// What the system's resolver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The name servers, at most three, as glibc takes them.
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    pub(super) ndots: u32,
    pub(super) use_tcp: bool,
    pub(super) no_aaaa: bool,
    /// What is wrong with it, in words.
    pub(super) error: Option<String>,
}

impl ResolvConf {
    pub(super) fn read(path: &Path) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        let read = std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        let mut conf = Self::parse(&bytes, hostname().as_deref(), |name| std::env::var(name).ok());
        if let Err(error) = read {
            conf.error = Some(format!("{} cannot be read: {error}", path.display()));
        } else if conf.servers.is_empty() {
            conf.error = Some(format!("{} names no name server", path.display()));
        }
        conf
    }

    pub(super) fn parse(bytes: &[u8], hostname: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        // A line that glibc does not understand is passed over, as glibc does.
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
        search.truncate(MAX_SEARCH);
        Self {
            servers: config.nameservers.iter().take(3).map(server).collect(),
            search,
            ndots: config.ndots.min(15), // RES_MAXNDOTS
            use_tcp: config.use_vc,
            no_aaaa: config.no_aaaa,
            error: None,
        }
    }
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

    #[test]
    fn resolv_conf_empty_or_missing_is_named() {
        let path = std::env::temp_dir().join(format!("redpath-no-such-{}", std::process::id()));
        let conf = ResolvConf::read(&path);
        assert!(conf.error.is_some_and(|error| error.contains("cannot be read")));
        assert!(ResolvConf::read(Path::new("/dev/null")).error.is_some_and(|error| error.contains("no name server")));
    }
}
