//! Refuses cross-site requests that probe or reload, and requests by DNS rebinding.
//!
//! Only browsers send the headers that are checked: Prometheus, kubelet and curl are never refused.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, HeaderName, ORIGIN, REFERER, USER_AGENT};
use url::Url;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The routes that change something, for every method.
const STATE_CHANGING_PATHS: [&str; 2] = ["/probe", "/-/reload"];

/// Names under these are local: RFC 6761, 6762 and 8375, ICANN's reservation of 2024; and `svc`, which
/// the search lists of Kubernetes complete, is not a top-level domain.
const LOCAL_SUFFIXES: [&str; 5] = ["localhost", "local", "home.arpa", "internal", "svc"];

/// What is known about the agent and its clients.
pub(super) struct RequestOrigin<'a> {
    /// The host name of this machine.
    pub(super) hostname: &'a str,
    /// Further host names from the configuration; names below them are allowed as well.
    pub(super) allowed_hosts: &'a [String],
    /// Whether TLS or users are configured: a page that uses DNS rebinding has neither the certificate nor the password.
    pub(super) is_authenticated: bool,
}

/// Why the request is refused; `None` if it is allowed.
pub(super) fn refusal(site: &RequestOrigin<'_>, path: &str, headers: &HeaderMap) -> Option<&'static str> {
    if STATE_CHANGING_PATHS.contains(&path) && !is_same_origin(headers) {
        return Some("cross-site request: a page of another site may not probe or reload; open the address directly\n");
    }
    if !site.is_authenticated && is_from_browser(headers) && !has_own_host(site, headers) {
        return Some(
            "unknown host name, possibly of another site (DNS rebinding): use the IP address of this agent, or add \
             the name to web.allowed_hosts of its configuration\n",
        );
    }
    None
}

/// Whether the request comes from the agent's own page or the user; the rules of Go's `CrossOriginProtection`.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site == "same-origin" || site == "none");
    }
    // Over plain HTTP to another machine, browsers do not send Sec-Fetch-Site. Forms send Origin, images send
    // Referer unless the page suppresses it.
    let is_own = |origin: &[u8]| {
        let origin = std::str::from_utf8(origin).ok().and_then(|origin| Url::parse(origin).ok());
        origin.is_some_and(|origin| {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            let own = host.and_then(|host| Url::parse(&format!("{}://{host}", origin.scheme())).ok());
            own.is_some_and(|own| own.origin() == origin.origin())
        })
    };
    let mut origins = headers.get_all(ORIGIN).iter().peekable();
    if origins.peek().is_some() {
        return origins.all(|origin| is_own(origin.as_bytes()));
    }
    headers.get_all(REFERER).iter().all(|referer| is_own(referer.as_bytes()))
}

/// Whether it has headers that browsers always send and a script cannot remove.
fn is_from_browser(headers: &HeaderMap) -> bool {
    let is_mozilla = |agent: &[u8]| agent.to_ascii_lowercase().starts_with(b"mozilla/");
    headers.get_all(USER_AGENT).iter().any(|agent| is_mozilla(agent.as_bytes()))
        || [ACCEPT_LANGUAGE, COOKIE, ORIGIN, REFERER].iter().any(|name| headers.contains_key(name))
        || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

fn has_own_host(site: &RequestOrigin<'_>, headers: &HeaderMap) -> bool {
    headers.get_all(HOST).iter().all(|host| host.to_str().is_ok_and(|host| is_own_name(site, host)))
}

fn is_own_name(site: &RequestOrigin<'_>, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let is_at_or_below = |end: &str| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    // DNS rebinding needs a public name: not an address, nor a name that only this network resolves.
    name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || name == site.hostname.to_ascii_lowercase()
        || LOCAL_SUFFIXES.iter().any(|end| is_at_or_below(end))
        || site.allowed_hosts.iter().any(|host| is_at_or_below(host))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value")))
            .collect()
    }

    #[test]
    fn cross_site_state_change_is_refused() {
        let host = ("host", "10.0.0.7:9736");
        for (all, is_own) in [
            (&[host][..], true),
            (&[host, ("user-agent", "curl/8.5")], true),
            (&[host, ("sec-fetch-site", "same-origin"), ("origin", "http://10.0.0.7:9736")], true),
            (&[host, ("sec-fetch-site", "none")], true),
            (&[host, ("sec-fetch-site", "cross-site")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("sec-fetch-site", "")], false),
            (&[host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")], false),
            (&[host, ("sec-fetch-site", "cross-site"), ("origin", "http://10.0.0.7:9736")], false),
            (&[host, ("origin", "http://10.0.0.7:9736")], true),
            (&[host, ("origin", "http://10.0.0.7")], false),
            (&[host, ("origin", "http://evil.example:9736")], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("origin", "")], false),
            (&[("origin", "http://10.0.0.7:9736")], false),
            (&[("host", "redpath"), ("origin", "https://redpath")], true),
            (&[("host", "redpath:443"), ("origin", "https://redpath")], true),
            (&[host, ("referer", "http://10.0.0.7:9736/?target=a")], true),
            (&[host, ("referer", "http://evil.example/page")], false),
            (&[host, ("origin", "http://10.0.0.7:9736"), ("referer", "http://evil.example/")], true),
        ] {
            // HeaderMap::from_iter keeps the last of a name.
            let mut map = HeaderMap::new();
            for (name, value) in all {
                map.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
            }
            assert_eq!(is_same_origin(&map), is_own, "{all:?}");
            let site = RequestOrigin { hostname: "vm-1", allowed_hosts: &[], is_authenticated: true };
            for path in ["/probe", "/-/reload"] {
                assert_eq!(refusal(&site, path, &map).is_none(), is_own, "{path}: {all:?}");
            }
            assert_eq!(refusal(&site, "/metrics", &map), None, "nothing is done there");
        }
    }

    #[test]
    fn cross_site_local_names_are_allowed() {
        let allowed = ["redpath.example.org".to_owned()];
        let site =
            RequestOrigin { hostname: "VM-1.corp.example.net", allowed_hosts: &allowed, is_authenticated: false };
        for host in [
            "10.0.0.7",
            "10.0.0.7:9736",
            "[::1]:9736",
            "[fd00::7]",
            "localhost:9736",
            "LOCALHOST.",
            "redpath:9736",
            "a.localhost",
            "vm-1.corp.example.net:9736",
            "redpath.monitoring.svc:9736",
            "redpath.monitoring.svc.cluster.local",
            "vm-1.reddog.internal",
            "redpath.example.org",
            "a.Redpath.Example.org.:9736",
            "router.home.arpa",
        ] {
            assert!(is_own_name(&site, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9736",
            "vm-1.evil.example",
            "vm-1.corp.example.net.evil.example",
            "10.0.0.7.evil.example",
            "localhost.evil.example",
            "anredpath.example.org",
            "notlocal.arpa",
            "evil.xlocal",
            "1.2.3.4.5",
        ] {
            assert!(!is_own_name(&site, host), "{host}");
        }
    }

    #[test]
    fn cross_site_non_browser_any_host() {
        let site = |is_authenticated| RequestOrigin { hostname: "vm-1", allowed_hosts: &[], is_authenticated };
        let host = ("host", "evil.example:9736");
        for of_a_browser in [
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("accept-language", ""),
            ("sec-fetch-mode", "cors"),
            ("origin", "http://evil.example:9736"),
            ("referer", "http://evil.example:9736/"),
            ("cookie", "a=b"),
        ] {
            let map = headers(&[host, of_a_browser]);
            assert!(refusal(&site(false), "/metrics", &map).is_some(), "{of_a_browser:?}");
            assert_eq!(refusal(&site(true), "/metrics", &map), None, "{of_a_browser:?}");
        }
        for other in [("user-agent", "Prometheus/2.42.0"), ("user-agent", "kube-probe/1.31"), ("accept", "*/*")] {
            assert_eq!(refusal(&site(false), "/metrics", &headers(&[host, other])), None, "{other:?}");
        }
        assert_eq!(refusal(&site(false), "/metrics", &headers(&[])), None, "HTTP/1.0 needs no host");
    }
}
