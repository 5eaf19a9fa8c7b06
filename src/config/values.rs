//! Values that the file alone has: names, host names and suffixes. The others are in `parse`. A refusal completes
//! "TEXT is …" and does not repeat the text.

use std::net::{IpAddr, SocketAddr};

use crate::printable::is_printable;
use crate::target::HostName;

/// Reads a target's host name; its port and its scheme are keys of their own.
pub(super) fn host(text: &str) -> Result<HostName, String> {
    if text.contains(['@', ',', ';']) && text.contains(['=', ':']) {
        return Err(
            "not a host name: give `host` and `port` alone, and the password of a URL or a connection string by \
                    `auth.password_file` or `auth.password_env`"
                .to_owned(),
        );
    }
    if text.contains("://") {
        return Err("not a host name: give the host name of the URL as `host` and its port as `port`".to_owned());
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Err(
            "an address, and redpath proves where a name leads: give the host name here, and `connect` to go to \
                    an address of your choice"
                .to_owned(),
        );
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && HostName::parse(host).is_ok()
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(format!("a host name with a port: give {host:?} here and the port as `port`"));
    }
    HostName::parse(text)
}

/// Reads a name that people and dashboards see.
pub(super) fn display_name(text: &str) -> Result<String, String> {
    if text.trim() != text {
        return Err("not trimmed: it begins or ends with a space".to_owned());
    }
    if !is_printable(text) {
        return Err("not printable: it has characters that cannot be seen".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads the name of a node pool: those of AKS have no dash, those of node auto-provisioning may.
pub(super) fn node_pool(name: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(fits) || name.starts_with('-') || name.ends_with('-') {
        return Err("not the name of a node pool: small letters, digits and '-' are expected".to_owned());
    }
    Ok(())
}

/// Reads a suffix of host names, with or without a dot in front; of two labels at least, since one
/// (`net`) would let the agent be pointed at half the world.
pub(super) fn suffix(text: &str) -> Result<String, String> {
    let wanted = "a suffix of at least two labels, such as redis.cache.windows.net, is expected";
    let bare = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    let name = HostName::parse(bare).map_err(|_| format!("not a suffix of host names: {wanted}"))?;
    if !name.as_str().contains('.') {
        return Err(format!("too short: {wanted}"));
    }
    Ok(name.as_str().to_owned())
}

/// Reads a host name by which the agent is asked.
pub(super) fn web_host(text: &str) -> Result<String, String> {
    let name = HostName::parse(text)
        .map_err(|_| "not a host name: one without port and scheme, such as redpath.example.org, is expected")?;
    Ok(name.as_str().to_owned())
}

/// Reads the name of an environment variable. The text is never repeated: it may be the password itself.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    if !text.bytes().next().is_some_and(first) || !text.bytes().all(|b| first(b) || b.is_ascii_digit()) {
        return Err("not the name of an environment variable: letters, digits and '_' are expected".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_error_does_not_repeat_url() {
        for text in [
            "rediss://:hunter2@cache1.example.org:6380",
            "user:hunter2@cache1.example.org",
            "cache1.example.org:6380,password=hunter2,ssl=True",
        ] {
            let error = host(text).expect_err("no host name");
            assert!(!error.contains("hunter2") && error.contains("password_file"), "{error}");
        }
        assert!(!variable("hunter2!").expect_err("no variable").contains("hunter2"));
    }
}
