//! Pages of other sites, by made-up requests and by a real browser: they have nothing probed or reloaded, and read
//! nothing by a name of their own that leads here; and who is no browser notices nothing of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{ask, ask_for, get};
use super::harness::{Directory, Server, Setup, record};
use crate::support::chromium::Browser;

/// How often it has probed and reloaded.
#[derive(Clone, Default)]
struct Done(Arc<[AtomicUsize; 2]>);

impl Done {
    fn counts(&self) -> (usize, usize) {
        (self.0[0].load(Ordering::SeqCst), self.0[1].load(Ordering::SeqCst))
    }

    /// A server that counts.
    async fn counted(&self, setup: Setup) -> Server {
        let (probes, reloads) = (self.clone(), self.clone());
        let probe = Arc::new(move |_| {
            probes.0[0].fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(record("sessions", "x")) }) as std::pin::Pin<Box<_>>
        });
        let reload = Arc::new(move || {
            reloads.0[1].fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) }) as std::pin::Pin<Box<_>>
        });
        Setup { probe, reload, ..setup }.start().await
    }
}

const ACTS: [(&str, &str); 3] =
    [("GET", "/probe?target=sessions"), ("HEAD", "/probe?target=sessions"), ("POST", "/-/reload")];

#[tokio::test]
async fn cross_site_probe_and_reload_are_refused() {
    let directory = Directory::new();
    let users = format!("basic_auth_users: {{anna: {}}}", bcrypt::hash("right", 4).expect("a hash"));
    for setup in [Setup::default(), Setup::with_web_config(&directory, &users)] {
        let done = Done::default();
        let asks_for_users = setup.web_config.is_some();
        let server = done.counted(setup).await;
        // A browser adds the password of its user to what any page asks for.
        let user = if asks_for_users { "Authorization: Basic YW5uYTpyaWdodA==\r\n" } else { "" };
        for (method, path) in ACTS {
            for says in [
                "Sec-Fetch-Site: cross-site\r\n",
                "Sec-Fetch-Site: same-site\r\n",
                "Origin: http://evil.example\r\n",
                "Origin: http://redpath:81\r\n",
                "Origin: null\r\n",
                "Referer: http://evil.example/page\r\n",
            ] {
                let answer = ask(server.address, method, path, &format!("{user}{says}")).await;
                assert_eq!(answer.status, 403, "{method} {path} {says}");
                assert!(method == "HEAD" || answer.text().contains("cross-site request"), "{}", answer.text());
            }
        }
        assert_eq!(done.counts(), (0, 0));
        // Its own pages, a typed address, and whoever is no browser.
        for says in [
            "",
            "Sec-Fetch-Site: same-origin\r\n",
            "Sec-Fetch-Site: none\r\n",
            "Origin: http://redpath\r\n",
            "User-Agent: curl/8.5.0\r\n",
        ] {
            for (method, path) in ACTS {
                assert_eq!(
                    ask(server.address, method, path, &format!("{user}{says}")).await.status,
                    200,
                    "{method} {path} {says}"
                );
            }
        }
        assert_eq!(done.counts(), (10, 5));
    }
}

#[tokio::test]
async fn cross_site_dns_rebinding_is_refused() {
    const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0\r\nAccept-Language: en\r\n";
    let done = Done::default();
    let server = done.counted(Setup::default()).await;
    let paths =
        ["/", "/metrics", "/probe?target=sessions", "/api/v1/records", "/codes", "/codes/dns_timeout", "/nothing"];
    for path in paths {
        let refused = ask_for(server.address, "evil.example:9736", "GET", path, BROWSER).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text().contains("web.allowed_hosts"), "{path}: {}", refused.text());
        for host in ["127.0.0.1:9736", "[::1]:9736", "redpath", "localhost:9736", "redpath.example.org", "vm-1"] {
            assert_ne!(ask_for(server.address, host, "GET", path, BROWSER).await.status, 403, "{path} of {host}");
        }
    }
    assert_eq!(ask_for(server.address, "evil.example", "POST", "/-/reload", BROWSER).await.status, 403);
    assert_eq!(done.counts().1, 0);
    // Prometheus, curl and kubelet ask by whatever name they were given.
    for agent in ["Prometheus/2.42.0", "curl/8.5.0", "kube-probe/1.31"] {
        let agent = format!("User-Agent: {agent}\r\nAccept: */*\r\n");
        for path in ["/metrics", "/-/healthy", "/-/ready", "/probe?target=sessions"] {
            assert_eq!(
                ask_for(server.address, "vm-1.corp.example.net:9736", "GET", path, &agent).await.status,
                200,
                "{path}"
            );
        }
    }
    // Where there are users, a page of such a name has no password to send.
    let directory = Directory::new();
    let users = format!("basic_auth_users: {{anna: {}}}", bcrypt::hash("right", 4).expect("a hash"));
    let server = Setup::with_web_config(&directory, &users).start().await;
    assert_eq!(ask_for(server.address, "evil.example", "GET", "/metrics", BROWSER).await.status, 401);
}

/// A site of its own with one page, which asks for these addresses in every way that needs nobody's leave.
async fn site(addresses: &[String]) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let list = serde_json::to_string(addresses).expect("JSON");
    let script = format!(
        "const all = [];\nfor (const a of {list}) {{\n\
         for (const method of ['GET', 'POST']) all.push(fetch(a, {{method, mode: 'no-cors'}}));\n\
         all.push(new Promise(r => {{ const i = new Image(); i.onload = i.onerror = r; i.src = a; }}));\n\
         all.push(new Promise(r => {{ const f = document.createElement('iframe'); f.onload = r; f.src = a; document.body.append(f); }}));\n\
         const f = document.createElement('form'); f.method = 'POST'; f.action = a; f.target = 'hidden'; document.body.append(f);\n\
         all.push(new Promise(r => {{ const w = document.querySelector('[name=hidden]'); w.addEventListener('load', r, {{once: true}}); f.submit(); }}));\n\
         }}\nPromise.allSettled(all).then(() => {{ window.over = all.length; }});\n"
    );
    let page = format!("<!doctype html><body><iframe name=hidden></iframe><script>{script}</script>");
    let served = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let page = page.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    page.len()
                );
                let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
            });
        }
    });
    (address, served)
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn cross_site_real_browser_is_refused() {
    let done = Done::default();
    let server = done.counted(Setup::default()).await;
    let port = server.address.port();
    let mut browser = Browser::knowing("MAP evil.example 127.0.0.1, MAP redpath.example.org 127.0.0.1,").await;

    // By an address that browsers trust, to which they say where a request comes from, and by a name over plain HTTP.
    let hosts = ["127.0.0.1", "redpath.example.org"];
    let acts: Vec<String> = hosts
        .iter()
        .flat_map(|host| ["/-/reload", "/probe?target=sessions"].map(|path| format!("http://{host}:{port}{path}")))
        .collect();
    let (evil, _served) = site(&acts).await;
    browser.open(&format!("http://evil.example:{}/", evil.port())).await;
    browser.until("window.over > 0").await;
    assert_eq!(browser.value("window.over").await, acts.len() * 5);
    let asked = browser.requests().iter().filter(|url| url.contains(&format!(":{port}/"))).count();
    assert!(asked >= acts.len() * 4, "the browser did ask: {asked} of {}", acts.len() * 5);
    assert_eq!(done.counts(), (0, 0), "probed, reloaded");

    // The same page later, when its name leads here: it reads the refusal and nothing else.
    browser.open(&format!("http://evil.example:{port}/")).await;
    let text = browser.value("document.body.innerText").await;
    assert!(text.as_str().is_some_and(|text| text.contains("DNS rebinding")), "{text}");
    browser.open(&format!("http://evil.example:{port}/api/v1/records")).await;
    let read = browser.value("document.body.innerText").await;
    assert!(read.as_str().is_some_and(|read| read.contains("DNS rebinding")), "{read}");

    // And a person is served, by an address and by an allowed name, and may probe by typing the address.
    for host in hosts {
        browser.open(&format!("http://{host}:{port}/")).await;
        let text = browser.value("document.body.innerText").await;
        assert!(text.as_str().is_some_and(|text| text.contains("sessions")), "{host}: {text}");
        browser.open(&format!("http://{host}:{port}/probe?target=sessions")).await;
    }
    assert_eq!(done.counts(), (2, 0));
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
}
