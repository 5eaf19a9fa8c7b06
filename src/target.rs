//! What is probed: a host name, a port, and how it is spoken to.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::azure::{self, Service};
use crate::secret::Secret;

/// A host name that DNS can hold, in lower case and without the trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HostName {
    name: String,
    absolute: bool,
}

impl HostName {
    /// Reads a host name: labels of letters, digits, `-` and `_`, at most 63 characters each and
    /// 253 in all (RFC 1035, 2.3.4), with or without the trailing dot.
    ///
    /// # Errors
    /// A sentence that names the text and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{} is not a host name: {why}", quoted(text)));
        let (name, absolute) = match text.strip_suffix('.') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return refuse(
                "it is an address, and redpath proves where a name leads; give the host name, and --connect ADDRESS to go to an address of your choice",
            );
        }
        if name.is_empty() {
            return refuse("it is empty; a name such as cache1.redis.cache.windows.net is expected");
        }
        if name.len() > 253 {
            return refuse("it is longer than the 253 characters that DNS allows");
        }
        for label in name.split('.') {
            if label.is_empty() {
                return refuse("it has an empty label (two dots in a row, or one in front)");
            }
            if label.len() > 63 {
                return refuse("one label is longer than the 63 characters that DNS allows");
            }
            if !label.is_ascii() {
                return refuse("it has characters beyond ASCII; give the xn-- form");
            }
            if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
                return refuse(&format!("{bad:?} cannot stand in one; letters, digits, '-' and '.' can"));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return refuse("a label begins or ends with '-'");
            }
        }
        Ok(Self { name: name.to_ascii_lowercase(), absolute })
    }

    /// The name without the trailing dot, in lower case.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether it was written with a trailing dot, so that no search list applies.
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> Self {
        if host.absolute { host.name + "." } else { host.name }
    }
}

impl TryFrom<String> for HostName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

/// What is probed, as it stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// The name it goes by in metrics and reports; the host name unless configured.
    pub name: String,
    /// The host name that is resolved.
    pub host: HostName,
    /// The port that is connected to.
    pub port: u16,
    /// The service, known from the host name's suffix.
    pub service: Service,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// The name for SNI and for the verification of the certificate; the host name unless configured.
    pub server_name: HostName,
}

impl Target {
    /// A target with all that the host name says by itself.
    pub fn new(host: HostName, port: Option<u16>, tls: bool) -> Self {
        let service = azure::endpoint(host.as_str()).map_or(Service::Other, |endpoint| endpoint.service);
        let usual = if tls { service.tls_port() } else { service.plaintext_port() };
        Self {
            name: host.as_str().to_owned(),
            port: port.unwrap_or(usual),
            service,
            tls,
            server_name: host.clone(),
            host,
        }
    }
}

/// A TARGET of the command line: `HOST`, `HOST:PORT`, or a `redis://` or `rediss://` URL.
pub struct TargetArgument {
    /// The host name.
    pub host: HostName,
    /// The port, where it was given.
    pub port: Option<u16>,
    /// Whether the URL's scheme says TLS or not; `None` where there is no scheme.
    pub tls: Option<bool>,
    /// The user name of a URL.
    pub username: Option<String>,
    /// The password of a URL, which others on the machine can see.
    pub password: Option<Secret>,
}

impl TargetArgument {
    /// Reads a TARGET.
    ///
    /// # Errors
    /// A sentence that names the text (never the password in it) and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let tls = match scheme.to_ascii_lowercase().as_str() {
                "redis" => false,
                "rediss" => true,
                other => {
                    return Err(format!(
                        "{}:// is not a scheme redpath knows: redis:// (plain) and rediss:// (TLS) are",
                        quoted(other).trim_matches('"')
                    ));
                }
            };
            return Self::parse_url(rest, tls);
        }
        if text.contains('@') {
            // Not quoted: what stands before the '@' is likely a password.
            return Err("a user or password is read from a redis:// or rediss:// URL alone".into());
        }
        let (host, port) = split_port(text)?;
        Ok(Self { host: HostName::parse(host)?, port, tls: None, username: None, password: None })
    }

    fn parse_url(rest: &str, tls: bool) -> Result<Self, String> {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest[authority.len()..].contains('@') {
            // Azure's access keys are base64, so this is a key cut at its first '/'.
            return Err(
                "the URL's user or password holds a '/', '?' or '#', which must be written %2F, %3F or %23".into()
            );
        }
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)?;
        let (username, password) = match userinfo.map(|info| info.split_once(':').unwrap_or((info, ""))) {
            Some((username, password)) => (decoded(username)?, decoded(password)?),
            None => (String::new(), String::new()),
        };
        Ok(Self {
            host: HostName::parse(host)?,
            port,
            tls: Some(tls),
            username: (!username.is_empty()).then_some(username),
            password: (!password.is_empty()).then(|| Secret::new(password)),
        })
    }
}

/// Reads a port number.
///
/// # Errors
/// A sentence that names the text and what would be accepted.
pub fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse::<u32>() {
        Ok(port @ 1..=65_535) => u16::try_from(port).map_err(|error| error.to_string()),
        _ => Err(format!("port {} is out of range: a number from 1 to 65535 is expected", quoted(text))),
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    match text.rsplit_once(':') {
        // Two colons: an IPv6 address, which HostName::parse refuses with the reason.
        Some((host, _)) if host.contains(':') && !text.starts_with('[') => Ok((text, None)),
        Some((host, port)) if !port.ends_with(']') => Ok((host, Some(parse_port(port)?))),
        _ => Ok((text, None)),
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let Some(value) = value else {
            return Err("the user or password of the URL has a '%' that is not followed by two hex digits".into());
        };
        bytes.push(value);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| "the user or password of the URL is not UTF-8".into())
}

/// The text in quotes, control characters escaped, cut where an error message would drown in it.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() > SHOWN {
        let cut: String = text.chars().take(SHOWN).collect();
        format!("{cut:?}…")
    } else {
        format!("{text:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> TargetArgument {
        TargetArgument::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refused(text: &str) -> String {
        TargetArgument::parse(text).err().unwrap_or_else(|| panic!("{text} was taken"))
    }

    #[test]
    fn target_forms_parse() {
        let plain = parse("Cache1.redis.cache.windows.net");
        assert_eq!((plain.host.as_str(), plain.port, plain.tls), ("cache1.redis.cache.windows.net", None, None));
        let port = parse("cache1.example.org.:7000");
        assert!(port.host.is_absolute());
        assert_eq!(port.port, Some(7000));
        let url = parse("rediss://us%40er:p%3Ass@cache1.example.org:6380/0?x=1");
        assert_eq!((url.port, url.tls, url.username.as_deref()), (Some(6380), Some(true), Some("us@er")));
        assert_eq!(url.password.as_ref().map(Secret::expose), Some("p:ss"));
        assert_eq!(parse("redis://:secret@h").password.as_ref().map(Secret::expose), Some("secret"));
    }

    #[test]
    fn target_invalid_is_named() {
        for (text, says) in [
            ("10.60.4.5", "--connect"),
            ("[fd00::1]:6380", "address"),
            ("fd00::1", "address"),
            ("cache1:99999", "1 to 65535"),
            ("cache1:0", "1 to 65535"),
            ("cache1:", "1 to 65535"),
            ("http://cache1", "rediss://"),
            ("ca che", "cannot stand"),
            ("a..b", "empty label"),
            ("-a.b", "'-'"),
            ("", "empty"),
            ("bücher.example", "xn--"),
            ("rediss://u:%zz@h", "hex digits"),
        ] {
            let error = refused(text);
            assert!(error.contains(says), "{text}: {error}");
        }
        for text in [
            "rediss://user:hunter2@bad host",
            "user:hunter2@cache1",
            "rediss://:hunter2/x=@cache1",
            "redis://hunter2?@h",
        ] {
            assert!(!refused(text).contains("hunter2"), "{text}");
        }
        assert!(refused(&"a".repeat(300)).len() < 250);
    }

    #[test]
    fn target_service_sets_port() {
        let host = HostName::parse("cache1.redis.cache.windows.net").expect("a host name");
        assert_eq!(Target::new(host.clone(), None, true).port, 6380);
        assert_eq!(Target::new(host.clone(), None, false).port, 6379);
        assert_eq!(Target::new(host, Some(7), true).port, 7);
    }
}
