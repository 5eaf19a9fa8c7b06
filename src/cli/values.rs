//! Values of flags: each parser takes the text or says what would be accepted.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{PlaintextPort, RequireAuth};
use crate::address;
use crate::azure::AZURE_DNS;
use crate::phase::PhaseName;
use crate::plan::{MAX_TRIES, PublicAddress, Resolver};
use crate::target::parse_port;

/// The longest limit of a probe: it is added to the clock, and nobody waits longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

const DNS_PORT: u16 = 53;

/// Reads `NAME=ADDRESS[:PORT]`, or `azure` alone.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn resolver(text: &str) -> Result<Resolver, String> {
    let Some((name, server)) = text.split_once('=') else {
        return match text {
            "azure" => Ok(azure_resolver()),
            _ => Err("NAME=ADDRESS[:PORT] is expected, such as hub=10.10.0.53, or azure alone".into()),
        };
    };
    if name == "libc" || name == "all" || name == "system" || name.starts_with("system:") {
        return Err(format!("the name {name} is taken: libc, system and all are always there"));
    }
    let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(ordinary) {
        return Err("a resolver's name is 1 to 63 letters, digits, '-', '_' or '.'".into());
    }
    Ok(Resolver { name: name.to_owned(), address: server_address(server)? })
}

/// The resolver that `azure` is short for.
pub fn azure_resolver() -> Resolver {
    Resolver { name: "azure".into(), address: SocketAddr::new(AZURE_DNS, DNS_PORT) }
}

/// Reads `PHASE=TIME`.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn latency(text: &str) -> Result<(PhaseName, Duration), String> {
    let (phase, budget) = text.split_once('=').ok_or("PHASE=TIME is expected, such as ping=5ms")?;
    let known = PhaseName::ALWAYS.into_iter().find(|known| known.as_str() == phase);
    let known =
        known.ok_or_else(|| format!("not a phase: {} are", PhaseName::ALWAYS.map(PhaseName::as_str).join(", ")))?;
    Ok((known, time(budget)?))
}

/// Reads the name of a file that node_exporter's textfile collector takes.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn textfile(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "prom" => Ok(path),
        _ => Err("the collector reads files called NAME.prom alone".into()),
    }
}

/// Reads the limit of a probe.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = time(text)?;
    if timeout > LONGEST_TIMEOUT { Err("an hour is the longest".into()) } else { Ok(timeout) }
}

/// Reads how often to ask each view.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn tries(text: &str) -> Result<u8, String> {
    let tries = text.parse().ok().filter(|tries| (1..=MAX_TRIES).contains(tries));
    tries.ok_or_else(|| format!("a number from 1 to {MAX_TRIES} is expected"))
}

/// Reads how many `PING`s to send.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn samples(text: &str) -> Result<u16, String> {
    let samples = text.parse().ok().filter(|samples| (1..=1000).contains(samples));
    samples.ok_or_else(|| "a number from 1 to 1000 is expected".into())
}

/// Reads an address, or a range of them.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn range(text: &str) -> Result<IpNet, String> {
    address::parse_range(text)
}

/// Reads an address without a port.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn address(text: &str) -> Result<IpAddr, String> {
    text.parse::<IpAddr>()
        .map(|ip| ip.to_canonical())
        .map_err(|_| "an IP address without a port is expected, such as 10.60.4.5".into())
}

/// Reads the public address, or `auto`.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn public_address(text: &str) -> Result<PublicAddress, String> {
    match text {
        "auto" => Ok(PublicAddress::Auto),
        _ => address(text)
            .ok()
            .filter(|ip| !ip.is_unspecified() && !ip.is_multicast())
            .map(PublicAddress::Given)
            .ok_or_else(|| {
                "auto, or the IP address of one server without a port, is expected, such as 20.50.1.10".into()
            }),
    }
}

/// Reads a port, or `off`.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn plaintext_port(text: &str) -> Result<PlaintextPort, String> {
    match text {
        "off" => Ok(PlaintextPort::Off),
        _ => {
            parse_port(text).map(PlaintextPort::Port).map_err(|_| "off, or a port from 1 to 65535, is expected".into())
        }
    }
}

/// Reads `true`, `false` or `off`.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn require_auth(text: &str) -> Result<RequireAuth, String> {
    match text {
        "true" => Ok(RequireAuth::Error),
        "false" => Ok(RequireAuth::Remark),
        "off" => Ok(RequireAuth::Off),
        _ => Err("true, false or off is expected".into()),
    }
}

/// Reads `ADDRESS:PORT`.
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "ADDRESS:PORT is expected, such as 0.0.0.0:9736 or [::]:9736".into())
}

fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("a time longer than none is expected, such as 5s or 250ms".into()),
        Err(_) => Err("a time with its unit is expected, such as 5s or 250ms".into()),
    }
}

fn server_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DNS_PORT));
    }
    let expected =
        || format!("{text:?} is not an address: ADDRESS[:PORT] is expected, such as 10.10.0.53 or [fd00::1]:53");
    let (ip, port) = text.rsplit_once(':').ok_or_else(expected)?;
    let ip = ip.trim_matches(['[', ']']).parse::<IpAddr>().map_err(|_| expected())?;
    Ok(SocketAddr::new(ip, parse_port(port)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_argument_parses() {
        for (text, name, address) in [
            ("azure", "azure", "168.63.129.16:53"),
            ("azure=127.0.0.1:5353", "azure", "127.0.0.1:5353"),
            ("hub=10.10.0.53", "hub", "10.10.0.53:53"),
            ("v6=fd00::1", "v6", "[fd00::1]:53"),
            ("v6=[fd00::1]", "v6", "[fd00::1]:53"),
            ("v6=[fd00::1]:54", "v6", "[fd00::1]:54"),
        ] {
            let read = resolver(text).expect(text);
            assert_eq!((read.name.as_str(), read.address.to_string().as_str()), (name, address), "{text}");
        }
        for (text, says) in [
            ("hub", "NAME=ADDRESS"),
            ("libc=10.0.0.1", "taken"),
            ("system=10.0.0.1", "taken"),
            ("system:10.0.0.1=10.0.0.1", "taken"),
            ("=10.0.0.1", "name"),
            ("a b=10.0.0.1", "name"),
            ("hub=dns.example.org", "such as 10.10.0.53"),
            ("hub=dns.example.org:53", "such as 10.10.0.53"),
            ("hub=10.0.0.1:0", "1 to 65535"),
            ("hub=", "such as 10.10.0.53"),
        ] {
            let error = resolver(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn duration_argument_parses() {
        assert_eq!(latency("ping=5ms"), Ok((PhaseName::Ping, Duration::from_millis(5))));
        assert_eq!(timeout("1m 30s"), Ok(Duration::from_secs(90)));
        for (read, says) in [
            (latency("pong=5ms").map(drop), "phase"),
            (latency("ping").map(drop), "PHASE=TIME"),
            (latency("ping=5").map(drop), "unit"),
            (timeout("0s").map(drop), "longer than none"),
            (timeout("2h").map(drop), "an hour"),
            (timeout("-1s").map(drop), "unit"),
            (timeout("99999999999999999999y").map(drop), "unit"),
        ] {
            let error = read.expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }
}
