//! Single values of the file: durations, names, addresses. Each is read whole or refused with what
//! would be accepted. Unless it says otherwise, a refusal begins with its verb, to stand behind the
//! text that it is about.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::path::Path;
use crate::plan::{PublicAddress, Resolver};
use crate::printable::is_printable;
use crate::target::HostName;

/// A range of durations, with both ends.
pub(super) struct Bounds {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

/// Reads a number with a unit, within `bounds`.
pub(super) fn duration(text: &str, bounds: &Bounds) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| "is not a duration: a number with a unit, such as 5ms, 15s or 1m30s, is expected".to_owned())?;
    if duration < bounds.least || duration > bounds.most {
        let [least, most] = [bounds.least, bounds.most].map(humantime::format_duration);
        return Err(format!("is out of range: {least} to {most} is expected"));
    }
    Ok(duration)
}

/// Reads a target's host name; its port and scheme are keys of their own. A refusal is a whole sentence.
pub(super) fn host(text: &str) -> Result<HostName, String> {
    if text.contains("://") || text.contains('@') {
        return Err("a URL does not fit: give the host name as `host` and the port as `port`".to_owned());
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Err(format!(
            "{text:?} is an address, and redpath proves where a name leads: give the host name here, and `connect` to go to an address of your choice"
        ));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && HostName::parse(host).is_ok()
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(format!("{text:?} has a port: give {host:?} here and the port as `port`"));
    }
    HostName::parse(text)
}

/// Reads the name to verify a certificate by. A refusal is a whole sentence.
pub(super) fn server_name(text: &str) -> Result<HostName, String> {
    if text.contains('@') || text.contains("://") {
        return Err("it is not a host name: the name in the certificate is expected".to_owned());
    }
    HostName::parse(text)
}

/// Reads a name that people and dashboards see.
pub(super) fn display_name(text: &str) -> Result<String, String> {
    if text.trim() != text {
        return Err("begins or ends with a space: printable characters are expected".to_owned());
    }
    if !is_printable(text) {
        return Err("has characters that cannot be seen: printable ones are expected".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads a resolver: its view's name and `IP`, `IP:PORT` or `[IPV6]:PORT`.
///
/// # Errors
/// A sentence that names the text and what would be accepted.
pub fn resolver(name: &str, address: &str) -> Result<Resolver, String> {
    let sentence = |text: &str, message: String| format!("{} {message}", Path::top().shown(text));
    Ok(Resolver {
        name: resolver_name(name).map_err(|message| sentence(name, message))?,
        address: resolver_address(address).map_err(|message| sentence(address, message))?,
    })
}

pub(super) fn resolver_name(name: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > 63 || !name.bytes().all(plain) {
        return Err("is not the name of a resolver: 1 to 63 letters, digits, '_', '.' and '-' are expected".to_owned());
    }
    if name == "libc" || name == "all" || name.starts_with("system") {
        return Err("is taken: `libc`, `all` and whatever begins with `system` are redpath's own".to_owned());
    }
    Ok(name.to_owned())
}

pub(super) fn resolver_address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, 53),
        Err(_) => text
            .parse::<SocketAddr>()
            .map_err(|_| "is not an address: IP, IP:PORT or [IPV6]:PORT is expected".to_owned())?,
    };
    if address.port() == 0 {
        return Err("has no port that can be sent to: a number from 1 to 65535 is expected".to_owned());
    }
    let ip = address.ip().to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]) {
        return Err("is not the address of one server".to_owned());
    }
    Ok(SocketAddr::new(ip, address.port()))
}

/// Reads an address to connect to.
pub(super) fn connect(text: &str) -> Result<IpAddr, String> {
    let ip = text
        .parse::<IpAddr>()
        .map_err(|_| "is not an IP address: one without a port, such as 10.60.4.5, is expected".to_owned())?
        .to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]) {
        return Err("is not the address of one server".to_owned());
    }
    Ok(ip)
}

/// Reads the public address, or `auto`.
pub(super) fn public_address(text: &str) -> Result<PublicAddress, String> {
    if text == "auto" {
        return Ok(PublicAddress::Auto);
    }
    let wanted = "is no public address: `auto`, or an IP address without a port, such as 20.50.1.10, is expected";
    connect(text).map(PublicAddress::Given).map_err(|_| wanted.to_owned())
}

/// Reads the name of an operator's label.
pub(super) fn label_name(name: &str) -> Result<(), String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let fits = name.len() <= 128
        && name.bytes().next().is_some_and(first)
        && name.bytes().all(|b| first(b) || b.is_ascii_digit());
    if !fits {
        return Err("is not a label name: letters, digits and '_' are, beginning with no digit".to_owned());
    }
    if name.starts_with("__") {
        return Err("begins with `__`, as the labels of Prometheus itself do: another name is expected".to_owned());
    }
    if ["hostname", "pod", "namespace", "node"].contains(&name) {
        return Err("is set by redpath itself: another name is expected".to_owned());
    }
    Ok(())
}

/// Reads the value of an operator's label.
pub(super) fn label_value(value: &str) -> Result<(), String> {
    if value.chars().count() > 256 || !is_printable(value) {
        return Err("is not the value of a label: at most 256 printable characters are expected".to_owned());
    }
    Ok(())
}

/// Reads the name of a node pool: those of AKS have no dash, those of node auto-provisioning may.
pub(super) fn node_pool(name: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(fits) || name.starts_with('-') || name.ends_with('-') {
        return Err("is not the name of a node pool: small letters, digits and '-' are expected".to_owned());
    }
    Ok(())
}

/// Reads a suffix of host names, with or without a dot in front; of two labels at least, since one
/// (`net`) would let the agent be pointed at half the world.
pub(super) fn suffix(text: &str) -> Result<String, String> {
    let wanted = "a suffix of at least two labels, such as redis.cache.windows.net, is expected";
    let bare = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    let name = HostName::parse(bare).map_err(|_| format!("is not a suffix of host names: {wanted}"))?;
    if !name.as_str().contains('.') {
        return Err(format!("covers too much: {wanted}"));
    }
    Ok(name.as_str().to_owned())
}

/// Reads a host name by which the agent is asked.
pub(super) fn web_host(text: &str) -> Result<String, String> {
    let name = HostName::parse(text)
        .map_err(|_| "is not a host name: one without port and scheme, such as redpath.example.org, is expected")?;
    Ok(name.as_str().to_owned())
}

/// Reads the address to listen on.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "is not an address and port: IP:PORT or [IPV6]:PORT, such as 0.0.0.0:9736 or [::]:9736, is expected".to_owned()
    })
}

/// Reads the name of an environment variable. The text is never repeated: it may be the password itself.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    if !text.bytes().next().is_some_and(first) || !text.bytes().all(|b| first(b) || b.is_ascii_digit()) {
        return Err("is not the name of an environment variable: letters, digits and '_' are expected".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads a path; the shell's and Kubernetes' forms of a variable are not expanded.
pub(super) fn file(text: &str) -> Result<std::path::PathBuf, String> {
    if text.chars().any(char::is_control) {
        return Err("is not the path of a file: it has a line break or other control character".to_owned());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_address_parses() {
        for (text, expected) in [
            ("168.63.129.16", "168.63.129.16:53"),
            ("10.0.0.1:5353", "10.0.0.1:5353"),
            ("fd00::53", "[fd00::53]:53"),
            ("[fd00::53]", "[fd00::53]:53"),
            ("[fd00::53]:5353", "[fd00::53]:5353"),
            ("::ffff:10.0.0.1", "10.0.0.1:53"),
        ] {
            assert_eq!(resolver_address(text).expect(text).to_string(), expected);
        }
        for text in ["", "dns.example.org", "10.0.0.1:0", "10.0.0.1:99999", "0.0.0.0", "224.0.0.1", "[10.0.0.1"] {
            assert!(resolver_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn url_error_does_not_repeat_url() {
        let error = host("rediss://:hunter2@cache1.example.org:6380").expect_err("a URL");
        assert!(!error.contains("hunter2"));
        let error = host("user:hunter2@cache1.example.org").expect_err("userinfo");
        assert!(!error.contains("hunter2"));
        assert!(!variable("hunter2!").expect_err("no variable").contains("hunter2"));
    }

    #[test]
    fn duration_value_has_bounds() {
        let bounds = Bounds { least: Duration::from_millis(100), most: Duration::from_secs(300) };
        assert_eq!(duration("1m30s", &bounds), Ok(Duration::from_secs(90)));
        for text in ["", "15", "-1s", "1 fortnight", "99ms", "301s", "99999999999999999999s", "1s1"] {
            assert!(duration(text, &bounds).is_err(), "{text}");
        }
    }
}
