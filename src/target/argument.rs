//! A TARGET of the command line: a host name, a URL, or a connection string as clients and the Azure portal have it.

use super::HostName;
use crate::secret::Secret;

/// A TARGET: `HOST[:PORT]`, a `redis://` or `rediss://` URL, or `HOST:PORT,password=…,ssl=True`.
pub struct TargetArgument {
    /// The host name.
    pub host: HostName,
    /// The port, where it was given.
    pub port: Option<u16>,
    /// Whether a scheme or an option says TLS or not; `None` where neither does.
    pub tls: Option<bool>,
    /// The user name.
    pub username: Option<String>,
    /// The password, which others on the machine can see.
    pub password: Option<Secret>,
    /// What is to be known about the form, a sentence.
    pub remark: Option<String>,
}

impl TargetArgument {
    /// Reads a TARGET.
    ///
    /// # Errors
    /// What it is instead, to complete "TEXT is …". It never repeats the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let tls = match scheme.as_deref() {
            None => None,
            Some("redis") => Some(false),
            Some("rediss") => Some(true),
            Some(_) => return Err("not a URL with a scheme of Redis: redis:// (plain) and rediss:// (TLS) are".into()),
        };
        let is_connection_string =
            rest.split(['/', '?', '#', '@']).next().is_some_and(|start| start.contains([',', ';']));
        if is_connection_string {
            return Self::parse_connection_string(rest, tls);
        }
        if scheme.is_some() {
            return Self::parse_url(rest, tls == Some(true));
        }
        if text.contains('@') {
            return Err(
                "not a host name: a user name and a password are read from a redis:// or rediss:// URL alone; \
                        --password-file and REDPATH_PASSWORD keep a password to yourself"
                    .into(),
            );
        }
        let (host, port) = split_port(text)?;
        Ok(Self { port, ..Self::new(HostName::parse(host)?, None) })
    }

    fn new(host: HostName, tls: Option<bool>) -> Self {
        Self { host, port: None, tls, username: None, password: None, remark: None }
    }

    fn parse_url(rest: &str, tls: bool) -> Result<Self, String> {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let after = &rest[authority.len()..];
        if after.contains('@') {
            // Azure's access keys are base64, so this is a key cut at its first '/'.
            return Err(
                "a URL whose user name or password holds a '/', '?' or '#', which must be written %2F, %3F or \
                        %23"
                .into(),
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
        let mut target = Self { port, ..Self::new(HostName::parse(host)?, Some(tls)) };
        target.username = (!username.is_empty()).then_some(username);
        target.password = (!password.is_empty()).then(|| Secret::new(password));
        let query = after.split('#').next().and_then(|after| after.split_once('?')).map_or("", |(_, query)| query);
        for option in query.split('&') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            target.set(name, decoded(value)?)?;
        }
        Ok(target)
    }

    /// That of `StackExchange.Redis`, which the portal shows.
    fn parse_connection_string(text: &str, tls: Option<bool>) -> Result<Self, String> {
        let mut parts = text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty());
        let (host, port) = split_port(parts.next().unwrap_or_default())
            .map_err(|why| format!("a connection string with a port that is {why}"))?;
        let host = HostName::parse(host).map_err(|why| format!("a connection string with a host that is {why}"))?;
        let mut target = Self { port, ..Self::new(host, tls) };
        for part in parts {
            let (name, value) = part.split_once('=').ok_or(
                "a connection string with several hosts or a comma in its password: give each host as a TARGET",
            )?;
            target.set(name.trim(), value.trim().to_owned())?;
        }
        Ok(target)
    }

    /// An option of a connection string or of a URL's query; those of clients that redpath has no use for are skipped.
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name.to_ascii_lowercase().as_str() {
            "ssl" | "tls" => {
                let wanted = match value.to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(format!("a target whose {name} is neither true nor false")),
                };
                match self.tls {
                    Some(true) if !wanted => {
                        return Err(format!("a contradiction: rediss:// asks for TLS, and {name}=false for none"));
                    }
                    Some(false) if wanted => {
                        self.remark = Some(format!(
                            "redis:// is without TLS and {name}=true asks for it: taken with TLS, as rediss:// says it"
                        ));
                    }
                    _ => {}
                }
                self.tls = Some(wanted);
            }
            "password" if !value.is_empty() => self.password = Some(Secret::new(value)),
            "user" | "username" if !value.is_empty() => self.username = Some(value),
            _ => {}
        }
        Ok(())
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    match text.rsplit_once(':') {
        // Two colons: an IPv6 address, which HostName::parse refuses with the reason.
        Some((host, _)) if host.contains(':') && !text.starts_with('[') => Ok((text, None)),
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port: &u16| *port > 0);
            let port = port.ok_or("not HOST:PORT: a port from 1 to 65535 is expected")?;
            Ok((host, Some(port)))
        }
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
            return Err("a URL with a '%' in its user name or password that is not followed by two hex digits".into());
        };
        bytes.push(value);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| "a URL whose user name or password is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "iAITMl7lD127c/VZEl0O+l8qviaXHIoKekaJjP1J1HI=";

    fn parse(text: &str) -> TargetArgument {
        TargetArgument::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refused(text: &str) -> String {
        TargetArgument::parse(text).err().unwrap_or_else(|| panic!("{text} was taken"))
    }

    fn password(target: &TargetArgument) -> Option<&str> {
        target.password.as_ref().map(Secret::expose)
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
        assert_eq!(password(&url), Some("p:ss"));
        assert_eq!(password(&parse("redis://:secret@h")), Some("secret"));
    }

    #[test]
    fn target_connection_string_has_host_port_tls_and_password() {
        for text in [
            format!("cache1.example.org:6380,password={KEY},ssl=True,abortConnect=False"),
            format!("cache1.example.org:6380, Password={KEY}, SSL=true, connectTimeout=5000"),
            format!("rediss://cache1.example.org:6380,password={KEY}"),
        ] {
            let target = parse(&text);
            let place = (target.host.as_str(), target.port, target.tls);
            assert_eq!(place, ("cache1.example.org", Some(6380), Some(true)), "{text}");
            assert_eq!((password(&target), target.remark.as_deref()), (Some(KEY), None), "{text}");
        }
        let entra = parse("cache1.example.org:6380,ssl=True,user=me,abortConnect=False");
        assert_eq!((entra.username.as_deref(), entra.tls, password(&entra)), (Some("me"), Some(true), None));
        assert_eq!(parse("cache1:6379,ssl=False").tls, Some(false));
        for (text, expected) in [
            (format!("cache1:6380,cache2:6380,password={KEY}"), "several hosts"),
            (format!("cache1:6380,password={KEY},ssl=yes"), "neither true nor false"),
            (format!("cache1:port,password={KEY}"), "1 to 65535"),
            (format!("10.60.4.5:6380,password={KEY}"), "it is an address"),
            (format!("rediss://cache1:6380,password={KEY},ssl=False"), "contradiction"),
        ] {
            let error = refused(&text);
            assert!(error.contains(expected) && !error.contains("iAIT"), "{error}");
        }
    }

    #[test]
    fn target_query_of_url_sets_tls() {
        let target = parse("redis://:x@cache1:6380/0?ssl=true");
        assert_eq!(target.tls, Some(true));
        assert!(target.remark.is_some_and(|remark| remark.contains("rediss://")));
        assert!(refused("rediss://cache1?tls=false").contains("contradiction"));
        assert_eq!(password(&parse("redis://cache1?password=a%2Fb")), Some("a/b"));
    }

    #[test]
    fn target_invalid_is_refused_without_repeating_it() {
        for (text, expected) in [
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
            assert!(error.contains(expected), "{text}: {error}");
        }
        for text in [
            "rediss://user:hunter2@bad host",
            "user:hunter2@cache1",
            "rediss://:hunter2/x=@cache1",
            "redis://hunter2?@h",
            "redis-cli -h cache1 -a hunter2",
        ] {
            assert!(!refused(text).contains("hunter2"), "{text}");
        }
        assert!(refused(&format!("rediss://:{KEY}@cache1:6380")).contains("%2F"));
        assert!(refused(&"a".repeat(300)).len() < 250);
    }
}
