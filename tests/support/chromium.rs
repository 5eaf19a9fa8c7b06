//! Chromium without a window, spoken to over its DevTools protocol on two pipes. It is told to
//! reach loopback alone, and notes every request, complaint and dialog of the pages it shows.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// Nothing here takes a tenth as long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A browser with one page.
pub(crate) struct Browser {
    /// What the browser told unasked, in order.
    pub(crate) events: Vec<Value>,
    child: Child,
    commands: pipe::Sender,
    answers: pipe::Receiver,
    read: Vec<u8>,
    session: Option<String>,
    number: u64,
    directory: PathBuf,
}

impl Browser {
    /// Starts it.
    pub(crate) async fn start() -> Self {
        Self::knowing("").await
    }

    /// Starts it with host names that lead to loopback: `MAP HOST 127.0.0.1`, each followed by a comma.
    pub(crate) async fn knowing(names: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("redpath-chromium-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let [commands, answers] = ["commands", "answers"].map(|name| directory.join(name));
        let made = Command::new("mkfifo").args([&commands, &answers]).status().await.expect("mkfifo runs");
        assert!(made.success());
        // Open at both ends, so that neither side waits for the other.
        let sender = pipe::OpenOptions::new().read_write(true).open_sender(&commands).expect("a pipe");
        let receiver = pipe::OpenOptions::new().read_write(true).open_receiver(&answers).expect("a pipe");
        let script = format!(
            "exec chromium --headless --no-sandbox --disable-gpu --disable-background-networking \
            --disable-component-update --disable-sync --disable-quic --no-first-run --disable-dev-shm-usage \
            --host-resolver-rules='{names} MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --remote-debugging-pipe \
            --user-data-dir=profile about:blank 3<commands 4>answers"
        );
        let child = Command::new("sh")
            .args(["-c", &format!("command -v chromium >/dev/null || exit 127; {script}")])
            .current_dir(&directory)
            .env("HOME", &directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a shell runs");
        let mut browser = Self {
            events: Vec::new(),
            child,
            commands: sender,
            answers: receiver,
            read: Vec::new(),
            session: None,
            number: 0,
            directory,
        };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page.enable", "Network.enable", "Log.enable"] {
            browser.ask(domain, json!({})).await;
        }
        browser
    }

    /// Makes the window so wide.
    pub(crate) async fn widen(&mut self, width: u32) {
        let phone = width < 600;
        let metrics = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": phone});
        self.ask("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Shows this page.
    pub(crate) async fn open(&mut self, url: &str) {
        let begun = self.events.len();
        self.ask("Page.navigate", json!({"url": url})).await;
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events[begun..].iter().any(loaded) {
            let event = self.next().await;
            self.events.push(event);
        }
    }

    /// The value of an expression of JavaScript in the page, which needs none itself.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", asked).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until the expression is true.
    pub(crate) async fn until(&mut self, expression: &str) {
        let mut looks = interval(Duration::from_millis(200));
        let held = timeout(PATIENCE, async {
            loop {
                looks.tick().await;
                // Between two pages there is none to ask.
                let asked = json!({"expression": expression, "returnByValue": true});
                if self.ask("Runtime.evaluate", asked).await["result"]["value"] == true {
                    return;
                }
            }
        });
        held.await.unwrap_or_else(|_| panic!("never true: {expression}"));
    }

    /// The addresses of all that the pages asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let of_event = |event: &Value| event["params"]["request"]["url"].as_str().map(ToOwned::to_owned);
        self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent").filter_map(of_event).collect()
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let number = self.number;
        let mut command = json!({"id": number, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).await.expect("the command is sent");
        loop {
            let message = self.next().await;
            if message["id"] == number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.read.drain(..=end).collect();
                return serde_json::from_slice(&message[..end]).expect("JSON");
            }
            let Self { answers, child, read, .. } = self;
            let more = async {
                tokio::select! {
                    more = answers.read_buf(read) => drop(more.expect("the answer can be read")),
                    ended = child.wait() => {
                        panic!("chromium ended ({ended:?}); scripts/test-packages.sh installs it")
                    }
                }
            };
            timeout(PATIENCE, more).await.expect("chromium answers");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
