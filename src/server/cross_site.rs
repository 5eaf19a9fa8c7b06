//! What another site's page may not do by the browser of somebody who reaches the agent: have it probe or reload,
//! and, under a name of its own that it points here (DNS rebinding), read what it answers.
//!
//! Whoever is no browser sends none of the headers looked at: Prometheus, kubelet and curl are never refused.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, HeaderName, ORIGIN, REFERER, USER_AGENT};
use url::Url;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The routes that do something, whatever the method.
const STATE_CHANGING_PATHS: [&str; 2] = ["/probe", "/-/reload"];

/// Names under these lead to nobody outside: RFC 6761 and 6762, RFC 8375, ICANN's reservation of 2024; and `svc`,
/// which Kubernetes' search lists complete, is no top-level domain.
const LOCAL_SUFFIXES: [&str; 5] = ["localhost", "local", "home.arpa", "internal", "svc"];

/// What of the agent the answer depends on.
pub(super) struct RequestOrigin<'a> {
    /// The machine's name.
    pub(super) hostname: &'a str,
    /// The names that the operator allows, and those below them.
    pub(super) allowed_hosts: &'a [String],
    /// Whether a page cannot get at the answers anyway: its own name has neither the certificate nor the password.
    pub(super) proves_itself: bool,
}

/// Why the request is refused, where it is.
pub(super) fn refusal(site: &RequestOrigin<'_>, path: &str, headers: &HeaderMap) -> Option<&'static str> {
    if STATE_CHANGING_PATHS.contains(&path) && !is_own_doing(headers) {
        return Some("another site's page may not have this agent probe or reload: open the address by itself\n");
    }
    if !site.proves_itself && is_of_a_browser(headers) && !is_asked_by_its_own_name(site, headers) {
        return Some(
            "this agent does not know itself by that host name, which may be another site's (DNS rebinding): \
             ask by its IP address, or put the name into web.allowed_hosts of its configuration\n",
        );
    }
    None
}

/// Whether no other site has a part in it, as far as the browser says; the rules of Go's `CrossOriginProtection`.
fn is_own_doing(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site == "same-origin" || site == "none");
    }
    // Over plain HTTP to another machine a browser sends no such header; with a form it names its origin, and with an
    // image, unless the page hides it, the page.
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

/// Whether it has what every browser sends and a script cannot take away.
fn is_of_a_browser(headers: &HeaderMap) -> bool {
    let is_mozilla = |agent: &[u8]| agent.to_ascii_lowercase().starts_with(b"mozilla/");
    headers.get_all(USER_AGENT).iter().any(|agent| is_mozilla(agent.as_bytes()))
        || [ACCEPT_LANGUAGE, COOKIE, ORIGIN, REFERER].iter().any(|name| headers.contains_key(name))
        || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

fn is_asked_by_its_own_name(site: &RequestOrigin<'_>, headers: &HeaderMap) -> bool {
    headers.get_all(HOST).iter().all(|host| host.to_str().is_ok_and(|host| is_own_name(site, host)))
}

fn is_own_name(site: &RequestOrigin<'_>, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let is_at_or_below = |end: &str| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    // A page of an address, or of a name that only this network resolves, is not from outside.
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
            assert_eq!(is_own_doing(&map), is_own, "{all:?}");
            let site = RequestOrigin { hostname: "vm-1", allowed_hosts: &[], proves_itself: true };
            for path in ["/probe", "/-/reload"] {
                assert_eq!(refusal(&site, path, &map).is_none(), is_own, "{path}: {all:?}");
            }
            assert_eq!(refusal(&site, "/metrics", &map), None, "nothing is done there");
        }
    }

    #[test]
    fn cross_site_local_names_are_allowed() {
        let allowed = ["redpath.example.org".to_owned()];
        let site = RequestOrigin { hostname: "VM-1.corp.example.net", allowed_hosts: &allowed, proves_itself: false };
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
        let site = |proves_itself| RequestOrigin { hostname: "vm-1", allowed_hosts: &[], proves_itself };
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
