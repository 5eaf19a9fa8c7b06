//! `redpath healthcheck` against a server: its status is what an exec probe decides by.

use tokio::process::Command;

use super::harness::Setup;

/// Exit status, standard output and standard error.
async fn healthcheck(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_redpath")).arg("healthcheck").args(arguments).output().await;
    let output = output.expect("the binary starts");
    let [out, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), out, said)
}

#[tokio::test]
async fn healthcheck_status_follows_readiness() {
    let server = Setup::default().start().await;
    let ready = format!("http://{}/-/ready", server.address);
    assert_eq!(healthcheck(&[&ready]).await, (Some(0), "ready\n".to_owned(), String::new()));

    server.ready.send_replace(false);
    let (status, out, said) = healthcheck(&[&ready]).await;
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(said.contains("status 503: not ready yet"), "{said}");
    let healthy = format!("http://{}/-/healthy", server.address);
    assert_eq!(healthcheck(&[&healthy]).await.0, Some(0));
}

#[tokio::test]
async fn healthcheck_without_an_agent_fails() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let silent = format!("http://{address}/-/ready");
    let (status, _, said) = healthcheck(&[&silent, "--timeout", "200ms"]).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no answer within 200ms"), "{said}");
    drop(listener);
    let (status, _, said) = healthcheck(&[&silent]).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the agent does not answer"), "{said}");
}

#[tokio::test]
async fn healthcheck_other_urls_are_refused() {
    for url in
        ["127.0.0.1:9736", "http://127.0.0.1:9736/metrics", "http://a:canary@127.0.0.1/-/ready", "ftp://a/-/ready"]
    {
        let (status, _, said) = healthcheck(&[url]).await;
        assert_eq!(status, Some(2), "{url}: {said}");
        assert!(said.contains("/-/ready or /-/healthy is expected") && !said.contains("canary"), "{url}: {said}");
    }
}
