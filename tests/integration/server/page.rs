//! The status page and the pages of the codes in a browser: what is seen, that it renews itself, that
//! it fits a phone, and that nothing a peer wrote becomes an element or runs.

use std::sync::Arc;
use std::time::Instant;

use redpath::clock::Timestamp;
use redpath::diagnosis::{Cause, Status, Verdict};
use redpath::observation::Phase;
use redpath::observation::redis::RedisFailure;
use redpath::record::Record;
use serde_json::{Value, json};

use super::client::{ask, get};
use super::harness::{Server, Setup, record};
use crate::support::chromium::Browser;

/// All that a peer would like to get past a page, in one string.
const HARM: &str = "<script>document.title='owned'</script>\"'><img src=x onerror=\"document.title='owned'\">\
    </style></title><svg onload=alert(1)><a href=javascript:alert(1)>&lt;b&gt;\u{202e}\u{2066}\u{1b}[31m\u{7}\u{0}";

fn passing(name: &str) -> Record {
    let mut record = record(name, "cache1.privatelink.redis.cache.windows.net");
    record.verdict = Verdict { status: Status::Pass, cause: Cause::Healthy };
    record.findings.clear();
    record
}

async fn served(setup: Setup, records: Vec<Record>) -> Server {
    let server = setup.start().await;
    let names: Vec<String> = records.iter().map(|record| record.target.name.clone()).collect();
    server.history.set_targets(&names);
    for record in records {
        server.history.observe(Arc::new(record));
    }
    server
}

#[tokio::test]
async fn status_page_compares_both_paths() {
    use crate::gate::files::{at, of_subnet, private, public};
    use crate::output::records::silent_endpoint;
    let silent = || of_subnet(silent_endpoint(), "app-a");
    let probes = (0..40).map(|number| (number, public()));
    let probes = probes.chain((40..44).map(|number| (number, silent())));
    let probes = probes.chain((44..80).map(|number| (number, private())));
    let records = probes.map(|(number, record)| Record { started_at: at(number * 15), ..record }).collect();
    let server = served(Setup::default(), records).await;
    let page = get(server.address, "/").await;
    let text = page.text();
    for part in [
        "Before and after the path changed from public to private",
        "39 ms shorter after (39 ms to 39 ms)",
        "Probes 40, 40; failures 0, 4; without service 0, 1m 0s",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Nothing was asked of anybody but the server, nothing was refused by the policy, no dialog opened.
fn held_to_its_server(browser: &Browser, server: &Server) {
    let own = format!("http://{}/", server.address);
    for url in browser.requests() {
        assert!(url.starts_with(&own), "a request to {url}");
    }
    for event in &browser.events {
        let text = event.to_string();
        assert!(event["method"] != "Page.javascriptDialogOpening", "{text}");
        let refused = event["method"] == "Log.entryAdded" && text.contains("Content Security Policy");
        assert!(!refused || text.contains("favicon"), "{text}");
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn status_page_failures_first_in_words() {
    let records = vec![passing("carts"), record("sessions", "cache1.privatelink.redis.cache.windows.net")];
    let server = served(Setup::default(), records).await;
    let mut browser = Browser::start().await;
    browser.widen(1200).await;
    browser.open(&format!("http://{}/", server.address)).await;

    assert_eq!(browser.value("document.title").await, "✗ 1 fail – redpath on vm-1");
    let headings = browser.value("[...document.querySelectorAll('h2')].map(h => h.innerText)").await;
    assert_eq!(headings, json!(["✗ FAIL sessions", "✓ PASS carts"]));
    let text = browser.value("document.body.innerText").await;
    let text = text.as_str().expect("text");
    for shown in [
        "✗ 1 fail",
        "✓ 1 pass",
        "of 2 targets",
        "private_zone_not_seen since 20",
        " s ago), every 30 s, next in ",
        "What to do: link the zone",
        "privatelink step",
        "✗ not expected, in use",
        "◂ in use",
        "✗ 20.50.1.10 public",
        "not reached: interrupted",
        "first verdict: fail (private_zone_not_seen): 20.50.1.10 public",
        "refreshed every 15 s, stop",
    ] {
        assert!(text.contains(shown), "{shown:?} is missing in:\n{text}");
    }
    // What a screen reader walks by.
    for (what, expression) in [
        (
            "one main, header and footer",
            "['main','body > header','footer'].every(s => document.querySelectorAll(s).length == 1)",
        ),
        ("one h1", "document.querySelectorAll('h1').length == 1"),
        (
            "articles are named",
            "[...document.querySelectorAll('article')].every(a => document.getElementById(a.getAttribute('aria-labelledby')))",
        ),
        (
            "ids are unique",
            "new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size == document.querySelectorAll('[id]').length",
        ),
        (
            "tables have captions and headers",
            "[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('thead th[scope=col]') && t.querySelector('tbody th[scope=row]'))",
        ),
        (
            "lists are lists",
            "[...document.querySelectorAll('ul, ol')].every(l => [...l.children].every(c => c.tagName == 'LI'))",
        ),
        (
            "bars have a length and are told in words too",
            "[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-hidden') && s.firstChild.getBoundingClientRect().width > 0 && s.closest('tr').innerText.match(/ms|µs/))",
        ),
        ("there are bars", "document.querySelectorAll('svg rect').length == 4"),
    ] {
        assert_eq!(browser.value(expression).await, true, "{what}");
    }

    browser.open(&format!("http://{}/?target=carts", server.address)).await;
    assert_eq!(browser.value("document.querySelectorAll('article').length").await, 1);
    assert_eq!(browser.value("document.querySelector('h2').innerText").await, "✓ PASS carts");
    held_to_its_server(&browser, &server);
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn status_page_refreshes_until_stopped() {
    let server = Setup::default().start().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{}/", server.address)).await;
    assert_eq!(browser.value("document.title").await, "… 1 not probed yet – redpath on vm-1");
    assert_eq!(browser.value("document.body.innerText.includes('It has not been probed yet')").await, true);
    server.history.observe(Arc::new(record("sessions", "x")));
    browser.until("document.title.startsWith('✗ 1 fail')").await;
    server.history.observe(Arc::new(passing("sessions")));
    browser.until("document.title.startsWith('✓ 1 pass')").await;
    let pages = browser.requests().iter().filter(|url| url.ends_with('/')).count();
    assert!(pages >= 3, "{pages} pages were fetched");

    let stop = browser.value("document.querySelector('a[href*=\"refresh=off\"]').href").await;
    browser.open(stop.as_str().expect("a link")).await;
    assert_eq!(browser.value("document.querySelector('meta[http-equiv=refresh]')").await, Value::Null);
    assert_eq!(browser.value("document.body.innerText.includes('not refreshed')").await, true);
    held_to_its_server(&browser, &server);
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn status_page_escapes_untrusted_text() {
    let mut hostile = record(HARM, HARM);
    hostile.observation.phases.connection.ping = Phase::failed(
        std::time::Duration::from_millis(1),
        RedisFailure::ErrorReply { code: "ERR".into(), message: HARM.into() },
    );
    hostile.observation.resolution.views[0].reason = Some(HARM.into());
    hostile.observation.resolution.views[0].canonical_name = Some(HARM.into());
    hostile.observation.resolution.views[0].answered_name = Some(HARM.into());
    hostile.observation.resolution.views[0].view = HARM.into();
    hostile.observation.resolution.view_in_use = Some(HARM.into());
    let mut setup = Setup { hostname: HARM.into(), ..Setup::default() };
    setup.labels = [(HARM.to_owned(), HARM.to_owned())].into();
    setup.state.reload_error = Some((Timestamp::now(), HARM.into()));
    let several = (0..8).map(|at| record(&format!("{at}{HARM}"), HARM));
    let server = served(setup, several.chain([hostile]).collect()).await;
    let mut browser = Browser::start().await;
    browser.widen(360).await;
    let alone: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("target", HARM)
        .append_pair("refresh", "off")
        .finish();
    for path in ["/?refresh=off".to_owned(), format!("/?{alone}")] {
        browser.open(&format!("http://{}{path}", server.address)).await;
        let elements = "[...document.querySelectorAll('*')]";
        for (what, expression, expected) in [
            ("the tags", format!("{elements}.filter(e => /^(script|img|iframe|object|embed|form|link|base|input|video)$/i.test(e.tagName)).length"), json!(0)),
            ("the handlers", format!("{elements}.flatMap(e => [...e.attributes]).filter(a => /^on|^style$|^src/i.test(a.name)).length"), json!(0)),
            ("the links", "[...document.querySelectorAll('a')].filter(a => !a.getAttribute('href').startsWith('/')).length".to_owned(), json!(0)),
            ("one style", "document.querySelectorAll('style').length".to_owned(), json!(1)),
            ("the title", "document.title.includes('redpath on <script>')".to_owned(), json!(true)),
            ("it is shown", "document.body.innerText.includes(\"<img src=x onerror=\")".to_owned(), json!(true)),
            ("nothing turns the line", "/[\\u0000-\\u0008\\u000b-\\u001f\\u202a-\\u202e\\u2066-\\u2069]/.test(document.documentElement.textContent)".to_owned(), json!(false)),
            ("it fits a phone", "document.documentElement.scrollWidth".to_owned(), json!(360)),
        ] {
            assert_eq!(browser.value(&expression).await, expected, "{what} at {path}");
        }
    }
    assert_eq!(browser.value("document.querySelectorAll('article').length").await, 1, "the link leads to its target");
    held_to_its_server(&browser, &server);
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn status_page_many_targets_stays_small() {
    let name = |at: usize| format!("cache-{at:03}-with-a-rather-long-name-for-a-narrow-screen");
    let targets = |count: usize| -> Vec<Record> {
        (0..count).map(|at| if at % 20 == 7 { record(&name(at), "x") } else { passing(&name(at)) }).collect()
    };
    let server = served(Setup::default(), targets(200)).await;
    let begun = Instant::now();
    let page = get(server.address, "/").await;
    let (took, size) = (begun.elapsed(), page.body.len());
    let packed = ask(server.address, "GET", "/", "Accept-Encoding: gzip\r\n").await.body.len();
    let figures = format!("200 targets: {size} bytes, {packed} compressed, in {took:?}");
    assert!(size < 150_000 && packed < 20_000, "{figures}");
    assert_eq!(get(server.address, "/?target=none").await.status, 404);
    assert_eq!(get(server.address, "/?target=").await.status, 400);

    let mut browser = Browser::start().await;
    for width in [320, 360, 1200] {
        browser.widen(width).await;
        for path in
            ["/".to_owned(), format!("/?target={}", name(7)), "/codes".into(), "/codes/private_zone_not_seen".into()]
        {
            browser.open(&format!("http://{}{path}", server.address)).await;
            let wide = browser.value("document.documentElement.scrollWidth").await;
            assert!(wide.as_u64().is_some_and(|wide| wide <= u64::from(width)), "{path} is {wide} wide at {width}");
        }
    }
    browser.open(&format!("http://{}/", server.address)).await;
    assert_eq!(browser.value("document.querySelectorAll('article.fail').length").await, 6);
    assert_eq!(browser.value("document.querySelectorAll('.rows tbody tr').length").await, 194);
    assert_eq!(browser.value("document.querySelector('.rows tbody td').innerText.startsWith('✗ fail')").await, true);
    held_to_its_server(&browser, &server);
}
