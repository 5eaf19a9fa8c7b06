//! One parser for each value that the command line and the configuration file share.
//!
//! A refusal completes "TEXT is …" and never repeats the text, which may hold a secret: who reports it decides by
//! `secret::quote` what is shown.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::address;
use crate::phase::PhaseName;
use crate::plan::{MAX_SAMPLES, MAX_TRIES, PlaintextPort, PublicAddress, RequireAuth, Resolver, ViewSelection};
use crate::suggest::suggest;
use crate::target::{HostName, TargetArgument};

const DNS_PORT: u16 = 53;

/// How long a file of a journal may be kept.
const JOURNAL_AGE: RangeInclusive<Duration> = Duration::from_secs(3600)..=Duration::from_secs(3652 * 24 * 3600);

const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
const LATENCY: RangeInclusive<Duration> = Duration::from_micros(1)..=Duration::from_secs(300);
const CERTIFICATE_WARNING: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3650 * 24 * 3600);

/// Reads the time from the beginning of one probe to the beginning of the next.
///
/// # Errors
/// What would be accepted.
pub fn interval(text: &str) -> Result<Duration, String> {
    duration(text, &INTERVAL)
}

/// Reads the limit of a whole probe.
///
/// # Errors
/// What would be accepted.
pub fn timeout(text: &str) -> Result<Duration, String> {
    duration(text, &TIMEOUT)
}

/// Reads the longest time that a phase may take.
///
/// # Errors
/// What would be accepted.
pub fn latency(text: &str) -> Result<Duration, String> {
    duration(text, &LATENCY)
}

/// Reads `PHASE=TIME`.
///
/// # Errors
/// What would be accepted.
pub fn phase_latency(text: &str) -> Result<(PhaseName, Duration), String> {
    let (phase, limit) = text.split_once('=').ok_or("not of the form PHASE=TIME, such as ping=5ms")?;
    let known = PhaseName::ALWAYS.into_iter().find(|known| known.as_str() == phase).ok_or_else(|| {
        format!("without a phase of a probe: {} have times", PhaseName::ALWAYS.map(PhaseName::as_str).join(", "))
    })?;
    Ok((known, latency(limit)?))
}

/// Reads how long before its end a certificate is worth a warning.
///
/// # Errors
/// What would be accepted.
pub fn certificate_warning(text: &str) -> Result<Duration, String> {
    duration(text, &CERTIFICATE_WARNING)
}

/// Reads how long a file of a journal is kept.
///
/// # Errors
/// What would be accepted.
pub fn journal_age(text: &str) -> Result<Duration, String> {
    duration(text, &JOURNAL_AGE)
}

/// Reads how many bytes a journal may have.
///
/// # Errors
/// What would be accepted.
pub fn journal_bytes(text: &str) -> Result<u64, String> {
    let wanted = || {
        "not a size of a journal: a whole number of MiB, GiB or TiB from 1MiB to 1TiB is expected, such as 256MiB"
            .to_owned()
    };
    let units = [("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let read = units.iter().find_map(|(unit, shift)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(1 << shift)
    });
    read.filter(|bytes| (1 << 20..=1 << 40).contains(bytes)).ok_or_else(wanted)
}

fn duration(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| "not a duration: a number with a unit, such as 5ms, 15s or 1m30s, is expected".to_owned())?;
    if bounds.contains(&duration) {
        return Ok(duration);
    }
    let [least, most] = [bounds.start(), bounds.end()].map(|bound| humantime::format_duration(*bound));
    Err(format!("out of range: {least} to {most} is expected"))
}

/// Reads how often each view is queried.
///
/// # Errors
/// What would be accepted.
pub fn tries(text: &str) -> Result<u8, String> {
    let tries = text.parse().ok().filter(|tries| (1..=MAX_TRIES).contains(tries));
    tries.ok_or_else(|| format!("out of range: a number from 1 to {MAX_TRIES} is expected"))
}

/// Reads how many `PING`s are sent.
///
/// # Errors
/// What would be accepted.
pub fn samples(text: &str) -> Result<u16, String> {
    let samples = text.parse().ok().filter(|samples| (1..=MAX_SAMPLES).contains(samples));
    samples.ok_or_else(|| format!("out of range: a number from 1 to {MAX_SAMPLES} is expected"))
}

/// Reads a port.
///
/// # Errors
/// What would be accepted.
pub fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "not a port: a number from 1 to 65535 is expected".to_owned())
}

/// Reads the port where Redis without TLS must not answer, or `off`.
///
/// # Errors
/// What would be accepted.
pub fn plaintext_port(text: &str) -> Result<PlaintextPort, String> {
    match text {
        "off" => Ok(PlaintextPort::Off),
        _ => port(text)
            .map(PlaintextPort::Port)
            .map_err(|_| "not a port: a number from 1 to 65535, or off, is expected".to_owned()),
    }
}

/// Reads what a server is that answers without credentials.
///
/// # Errors
/// What would be accepted.
pub fn require_auth(text: &str) -> Result<RequireAuth, String> {
    match text {
        "true" => Ok(RequireAuth::Error),
        "false" => Ok(RequireAuth::Remark),
        "off" => Ok(RequireAuth::Off),
        _ => Err("not known: true, false or off is expected".to_owned()),
    }
}

/// Reads `10.60.4.5` as a single address and `10.60.4.0/24` as a range.
///
/// # Errors
/// What would be accepted.
pub fn range(text: &str) -> Result<IpNet, String> {
    address::parse_range(text)
}

/// Reads the address of one server, without a port.
///
/// # Errors
/// What would be accepted.
pub fn server_ip(text: &str) -> Result<IpAddr, String> {
    let ip = text
        .parse::<IpAddr>()
        .map_err(|_| "not an IP address: one without a port, such as 10.60.4.5, is expected".to_owned())?;
    unicast(ip)
}

/// Reads the public address, or `auto`.
///
/// # Errors
/// What would be accepted.
pub fn public_address(text: &str) -> Result<PublicAddress, String> {
    if text == "auto" {
        return Ok(PublicAddress::Auto);
    }
    server_ip(text).map(PublicAddress::Given).map_err(|_| {
        "not the address of one server: auto, or an IP address without a port, such as 20.50.1.10, is expected"
            .to_owned()
    })
}

/// Reads a resolver: `azure`, `ADDRESS[:PORT]` or `NAME=ADDRESS[:PORT]`.
///
/// # Errors
/// What would be accepted.
pub fn resolver(text: &str) -> Result<Resolver, String> {
    if let Some((name, server)) = text.split_once('=') {
        let name = resolver_name(name).map_err(|why| format!("a resolver with a name that is {why}"))?;
        let address = resolver_address(server).map_err(|why| format!("a resolver with an address that is {why}"))?;
        return Ok(Resolver { name, address });
    }
    match resolver_address(text) {
        _ if text == "azure" => Ok(Resolver::azure()),
        Ok(address) => Ok(Resolver { name: text.to_owned(), address }),
        Err(_) => {
            Err("not a resolver: NAME=ADDRESS[:PORT], such as hub=10.10.0.53, ADDRESS[:PORT] or azure is expected"
                .to_owned())
        }
    }
}

/// Reads the name of a resolver, which is that of its view; an address is a name too.
///
/// # Errors
/// What would be accepted.
pub fn resolver_name(name: &str) -> Result<String, String> {
    let ordinary = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if ["libc", "all", "system"].contains(&name) {
        return Err("taken: libc, system and all are always there".to_owned());
    }
    let is_name = !name.is_empty() && name.len() <= 63 && name.bytes().all(ordinary);
    if is_name || resolver_address(name).is_ok() {
        Ok(name.to_owned())
    } else {
        Err("not the name of a resolver: 1 to 63 letters, digits, '_', '.' and '-' are expected".to_owned())
    }
}

/// Reads the address of a name server: `IP`, `IP:PORT` or `[IPV6]:PORT`.
///
/// # Errors
/// What would be accepted.
pub fn resolver_address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, DNS_PORT),
        Err(_) => text.parse::<SocketAddr>().map_err(|_| {
            "not an address: ADDRESS[:PORT], such as 10.10.0.53 or [fd00::1]:53, is expected".to_owned()
        })?,
    };
    if address.port() == 0 {
        return Err("without a port that can be sent to: a number from 1 to 65535 is expected".to_owned());
    }
    Ok(SocketAddr::new(unicast(address.ip())?, address.port()))
}

/// Reads the views to query, by name. `azure` needs no resolver of its own: it is added to `resolvers`.
///
/// # Errors
/// The position of a name that is no view, and what would be accepted.
pub fn views(names: &[String], resolvers: &mut Vec<Resolver>) -> Result<ViewSelection, (usize, String)> {
    if names.iter().any(|name| name == "all") {
        return Ok(ViewSelection::All);
    }
    for (position, name) in names.iter().enumerate() {
        let is_server = name.strip_prefix("system:").is_some_and(|address| resolver_address(address).is_ok());
        if is_server || name == "libc" || name == "system" || resolvers.iter().any(|known| known.name == *name) {
            continue;
        }
        if name == "azure" {
            resolvers.push(Resolver::azure());
            continue;
        }
        let known = || resolvers.iter().map(|known| known.name.as_str()).chain(["libc", "system", "azure", "all"]);
        let near = suggest(name, known()).map_or(":".to_owned(), |near| format!("; did you mean {near}?"));
        let known: Vec<&str> = known().collect();
        return Err((position, format!("not a view{near} {} or system:ADDRESS is expected", known.join(", "))));
    }
    Ok(ViewSelection::Only(names.to_vec()))
}

/// Checks that no two resolvers have one name.
///
/// # Errors
/// The position of the second and what would be accepted.
pub fn distinct_names(resolvers: &[Resolver]) -> Result<(), (usize, String)> {
    for (position, resolver) in resolvers.iter().enumerate() {
        if resolvers[..position].iter().any(|earlier| earlier.name == resolver.name) {
            let message = format!("the second resolver called {}: each needs a name of its own", resolver.name);
            return Err((position, message));
        }
    }
    Ok(())
}

/// Reads the address to listen on.
///
/// # Errors
/// What would be accepted.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "not an address and port: ADDRESS:PORT, such as 0.0.0.0:9736 or [::]:9736, is expected".to_owned())
}

/// Reads the name for SNI and the certificate.
///
/// # Errors
/// What would be accepted.
pub fn server_name(text: &str) -> Result<HostName, String> {
    HostName::parse(text)
}

/// Reads the old name of a migration: a host name, with its port where that is not the service's own.
///
/// # Errors
/// What would be accepted.
pub fn old_name(text: &str) -> Result<(HostName, Option<u16>), String> {
    let argument = TargetArgument::parse(text)?;
    let is_plain = argument.tls.is_none() && argument.username.is_none() && argument.password.is_none();
    if !is_plain || text.contains(['/', ',']) {
        return Err("not a host name with or without a port: HOST or HOST:PORT is expected".to_owned());
    }
    Ok((argument.host, argument.port))
}

/// Reads a user name of Redis.
///
/// # Errors
/// What would be accepted.
pub fn username(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().count() > 256 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("not a user name: 1 to 256 characters without spaces are expected".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads a client ID: letters, digits and `-`, as a GUID has them.
///
/// # Errors
/// What would be accepted.
pub fn client_id(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if good {
        Ok(text.to_owned())
    } else {
        Err("not a client ID: a GUID of letters, digits and '-' is expected".to_owned())
    }
}

/// Reads the path of a file. Variables of the shell and of Kubernetes are not expanded.
///
/// # Errors
/// What would be accepted.
pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.len() > 4096 || text.chars().any(char::is_control) {
        return Err("not the path of a file: 1 to 4096 characters without line breaks are expected".to_owned());
    }
    Ok(text.into())
}

/// Reads `KEY=VALUE`, a label of this vantage.
///
/// # Errors
/// What would be accepted.
pub fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not of the form KEY=VALUE, such as subnet=app-a")?;
    label_name(name).map_err(|why| format!("a label with a name that is {why}"))?;
    label_value(value).map_err(|why| format!("a label with a value that is {why}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Checks the name of a label.
///
/// # Errors
/// What would be accepted.
pub fn label_name(name: &str) -> Result<(), String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let fits = name.len() <= 128
        && name.bytes().next().is_some_and(first)
        && name.bytes().all(|b| first(b) || b.is_ascii_digit());
    if !fits {
        return Err("not a label name: letters, digits and '_' are, beginning with no digit".to_owned());
    }
    if name.starts_with("__") {
        return Err("reserved: names that begin with `__` are those of Prometheus itself".to_owned());
    }
    if ["hostname", "pod", "namespace", "node", "pod_name", "pod_namespace"].contains(&name) {
        return Err("set by redpath itself: another name is expected".to_owned());
    }
    Ok(())
}

/// Checks the value of a label.
///
/// # Errors
/// What would be accepted.
pub fn label_value(value: &str) -> Result<(), String> {
    if value.chars().count() > 256 || value.chars().any(char::is_control) {
        return Err("not the value of a label: at most 256 characters without line breaks are expected".to_owned());
    }
    Ok(())
}

fn unicast(ip: IpAddr) -> Result<IpAddr, String> {
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]) {
        return Err("not the address of one server".to_owned());
    }
    Ok(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_forms_have_name_and_address() {
        for (text, name, address) in [
            ("azure", "azure", "168.63.129.16:53"),
            ("azure=127.0.0.1:5353", "azure", "127.0.0.1:5353"),
            ("hub=10.10.0.53", "hub", "10.10.0.53:53"),
            ("systematic=10.10.0.53", "systematic", "10.10.0.53:53"),
            ("v6=fd00::1", "v6", "[fd00::1]:53"),
            ("v6=[fd00::1]", "v6", "[fd00::1]:53"),
            ("v6=[fd00::1]:54", "v6", "[fd00::1]:54"),
            ("mapped=::ffff:10.0.0.1", "mapped", "10.0.0.1:53"),
            ("10.10.0.53", "10.10.0.53", "10.10.0.53:53"),
            ("10.10.0.53:54", "10.10.0.53:54", "10.10.0.53:54"),
            ("[fd00::1]:54", "[fd00::1]:54", "[fd00::1]:54"),
        ] {
            let read = resolver(text).expect(text);
            assert_eq!((read.name.as_str(), read.address.to_string().as_str()), (name, address), "{text}");
            assert_eq!(resolver_name(name).as_deref(), Ok(name), "{text}");
        }
        for (text, expected) in [
            ("hub", "NAME=ADDRESS"),
            ("libc=10.0.0.1", "taken"),
            ("system=10.0.0.1", "taken"),
            ("system:10.0.0.1=10.0.0.1", "name"),
            ("=10.0.0.1", "name"),
            ("a b=10.0.0.1", "name"),
            ("hub=dns.example.org", "such as 10.10.0.53"),
            ("hub=10.0.0.1:99999", "such as 10.10.0.53"),
            ("hub=[10.0.0.1", "such as 10.10.0.53"),
            ("hub=10.0.0.1:0", "1 to 65535"),
            ("hub=0.0.0.0", "one server"),
            ("hub=224.0.0.1", "one server"),
        ] {
            let error = resolver(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn duration_has_unit_and_bounds() {
        assert_eq!(timeout("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(phase_latency("ping=5ms"), Ok((PhaseName::Ping, Duration::from_millis(5))));
        for (error, expected) in [
            (timeout("").map(drop), "unit"),
            (timeout("15").map(drop), "unit"),
            (timeout("-1s").map(drop), "unit"),
            (timeout("1 fortnight").map(drop), "unit"),
            (timeout("99999999999999999999s").map(drop), "unit"),
            (timeout("50ms").map(drop), "100ms to 5m"),
            (timeout("10m").map(drop), "100ms to 5m"),
            (phase_latency("pong=5ms").map(drop), "phase"),
            (phase_latency("posture=5ms").map(drop), "phase"),
            (phase_latency("ping").map(drop), "PHASE=TIME"),
            (phase_latency("ping=0s").map(drop), "1us to 5m"),
        ] {
            let error = error.expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn label_name_is_of_prometheus_and_not_reserved() {
        assert_eq!(label("subnet=app=a"), Ok(("subnet".to_owned(), "app=a".to_owned())));
        for (text, expected) in [
            ("subnet", "KEY=VALUE"),
            ("sub-net=a", "not a label name"),
            ("__a=b", "reserved"),
            ("pod=x", "set by redpath"),
            ("a=\n", "not the value"),
        ] {
            assert!(label(text).is_err_and(|error| error.contains(expected)), "{text}");
        }
    }
}
