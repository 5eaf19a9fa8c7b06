//! Every command in every format, with secrets at hand: in use, rejected, repeated by the server, and misplaced.

use std::process::Output;

use clap::{CommandFactory, ValueEnum};
use redpath::cli::{Cli, OutputFormat, WatchOutput};
use redpath::output::log::{LogFormat, LogLevel};
use tokio::process::Command;

use super::{ECHOED, ENV, MISPLACED, URL, VARIABLE, World};
use crate::support::agent::PATIENCE;
use crate::support::certificates::NAME;
use crate::support::entra::az;

/// A command line, by what it is called in a failure.
type Run = (String, Command);

fn names<V: ValueEnum>() -> Vec<String> {
    V::value_variants().iter().filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned())).collect()
}

/// The commands without further ones, each by its words.
fn leaves(command: &clap::Command, words: &[String], found: &mut Vec<Vec<String>>) {
    for sub in command.get_subcommands() {
        let words = [words, &[sub.get_name().to_owned()]].concat();
        match sub.has_subcommands() {
            true => leaves(sub, &words, found),
            false => found.push(words),
        }
    }
}

impl World {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.redpath();
        command.args(words);
        command
    }

    /// The flags that lead a check to the servers of this world.
    fn check(&self, target: &str, flags: &[&str]) -> Command {
        let mut command = self.command(&["check", target, "--views", "lab", "--endpoint", "127.0.0.1", "--tries", "2"]);
        command.arg("--resolver").arg(format!("lab={}", self.dns.address()));
        command.arg("--ca-file").arg(self.certificates.ca_file()).args(flags);
        command
    }

    /// Every way to run this command that could show a secret. A command that is not here has to be put here.
    fn runs(&self, words: &[String]) -> Vec<Run> {
        let file = |name: &str| self.directory.0.join(name).display().to_string();
        let at = |port: u16| format!("{NAME}:{port}");
        let (redis, echo) = (at(self.redis.port), at(self.echo.address().port()));
        let encoded: String = url::form_urlencoded::byte_serialize(URL.as_bytes()).collect();
        let url = format!("rediss://url:{encoded}@{redis}");
        let mut runs: Vec<Run> = Vec::new();
        let mut run = |name: String, command: Command| runs.push((name, command));
        match words.join(" ").as_str() {
            "check" => {
                for format in names::<OutputFormat>() {
                    let color = ["--color", "always", "--output", &format];
                    for (name, target, flags) in [
                        ("file", &redis, vec!["--username", "default", "--password-file", &file("file")]),
                        ("environment", &redis, vec![]),
                        ("url", &url, vec![]),
                        ("wrong", &redis, vec!["--password-file", &file("wrong")]),
                        ("echoed", &echo, vec!["--password-file", &file("echoed")]),
                        ("withheld", &redis, vec!["--endpoint", "10.60.4.5", "--endpoint", "10.60.4.6"]),
                        ("elsewhere", &redis, vec!["--connect", "127.0.0.9", "--plaintext-port", "1"]),
                        ("unverified", &redis, vec!["--server-name", "other.example.net"]),
                        ("interrupted", &redis, vec!["--timeout", "1ms"]),
                    ] {
                        // The endpoint that is given last does not take the first one's place.
                        let mut command = match name {
                            "withheld" => self.command(&["check", target, "--views", "lab"]),
                            _ => self.check(target, &[]),
                        };
                        if name == "withheld" {
                            command.arg("--resolver").arg(format!("lab={}", self.dns.address()));
                            command.arg("--ca-file").arg(self.certificates.ca_file());
                        }
                        command.args(flags).args(color);
                        run(format!("check, {name}, as {format}"), command);
                    }
                }
                for misuse in [
                    vec![format!("rediss://u:{MISPLACED}@bad host")],
                    vec![format!("rediss://:{MISPLACED}@{NAME}")], // a '/' that is not encoded
                    vec![format!("u:{MISPLACED}@{NAME}")],
                    vec![format!("redis://{MISPLACED}@{NAME}:x")],
                    vec![redis.clone(), format!("--password={MISPLACED}")],
                    vec![redis.clone(), "--password".into(), MISPLACED.into()],
                    vec![redis.clone(), format!("-a={MISPLACED}")],
                ] {
                    let name = format!("check, misused: {}", misuse.join(" ").replace(MISPLACED, "…"));
                    let mut command = self.command(&["check"]);
                    command.args(misuse);
                    run(name, command);
                }
            }
            "watch" => {
                for format in names::<WatchOutput>() {
                    let arguments = ["watch", &url, "--views", "libc", "--until", "1s", "--output", &format];
                    run(format!("watch as {format}"), self.command(&arguments));
                }
                let recording = file("recording.ndjson");
                run(
                    "watch, recorded".into(),
                    self.command(&["watch", &url, "--views", "libc", "--until", "1s", "--record", &recording]),
                );
                run("watch, replayed".into(), self.command(&["watch", "--replay", &recording]));
                for url in
                    [format!("http://u:{MISPLACED}@{NAME}"), format!("http://{NAME}/?{MISPLACED}"), MISPLACED.into()]
                {
                    run("watch --agent, misused".into(), self.command(&["watch", "--agent", &url]));
                }
                for name in ["report.json", "records.ndjson", "misplaced.json", "agent.yaml"] {
                    run(format!("watch --replay {name}"), self.command(&["watch", "--replay", &file(name)]));
                }
                for misuse in
                    [format!("rediss://u:{MISPLACED}@bad host"), format!("{NAME}:1,password={MISPLACED},ssl=x")]
                {
                    run("watch, misused".into(), self.command(&["watch", &misuse]));
                }
            }
            "clients" => {
                for format in names::<OutputFormat>() {
                    for (name, target, flags) in [
                        ("url", &url, vec!["--names"]),
                        ("echoed", &echo, vec!["--password-file", &file("echoed"), "--names"]),
                        ("wrong", &redis, vec!["--password-file", &file("wrong")]),
                    ] {
                        let mut command =
                            self.command(&["clients", target, "--views", "lab", "--endpoint", "127.0.0.1"]);
                        command.arg("--resolver").arg(format!("lab={}", self.dns.address()));
                        command
                            .arg("--ca-file")
                            .arg(self.certificates.ca_file())
                            .args(flags)
                            .args(["--output", &format]);
                        run(format!("clients, {name}, as {format}"), command);
                    }
                }
                for misuse in
                    [format!("rediss://u:{MISPLACED}@bad host"), format!("{NAME}:1,password={MISPLACED},ssl=x")]
                {
                    run("clients, misused".into(), self.command(&["clients", &misuse]));
                }
            }
            "connections" => {
                for format in names::<OutputFormat>() {
                    let arguments = ["connections", &url, "--views", "libc", "--timeout", "1s", "--output", &format];
                    run(format!("connections as {format}"), self.command(&arguments));
                }
                for misuse in
                    [format!("rediss://u:{MISPLACED}@bad host"), format!("{NAME}:1,password={MISPLACED},ssl=x")]
                {
                    run("connections, misused".into(), self.command(&["connections", &misuse]));
                }
            }
            "explain" => {
                for format in names::<OutputFormat>() {
                    for saved in ["report.json", "records.ndjson", "misplaced.json"] {
                        run(
                            format!("explain {saved} as {format}"),
                            self.command(&["explain", &file(saved), "--output", &format]),
                        );
                    }
                    run(
                        format!("explain a code as {format}"),
                        self.command(&["explain", "auth_rejected", "--output", &format]),
                    );
                }
                run("explain all".into(), self.command(&["explain"]));
            }
            "config check" | "config print" => {
                let verb = &words[1];
                for name in std::fs::read_dir(&self.directory.0)
                    .expect("the folder")
                    .map(|entry| entry.expect("an entry").file_name())
                {
                    let name = name.to_string_lossy().into_owned();
                    if name.ends_with(".yaml") {
                        run(format!("config {verb} {name}"), self.command(&["config", verb, &file(&name)]));
                    }
                }
            }
            "config schema" => run("config schema".into(), self.command(&["config", "schema"])),
            "config from-az" => {
                run("config from-az".into(), self.command(&["config", "from-az", &file("keys.json")]));
                run(
                    "config from-az".into(),
                    self.command(&["config", "from-az", &file("show.json"), &file("keys.json")]),
                );
            }
            "journal verify" => {
                for name in ["report.json", "records.ndjson", "misplaced.json", "agent.yaml"] {
                    run(format!("journal verify {name}"), self.command(&["journal", "verify", &file(name)]));
                }
                run(
                    "journal verify, misused".into(),
                    self.command(&["journal", "verify", &format!("password={MISPLACED}")]),
                );
            }
            "gate expect" => {
                for name in ["show.json", "keys.json", "misplaced.json", "agent.yaml"] {
                    for flag in ["--from-nodes", "--from-subnets"] {
                        run(format!("gate expect {name}"), self.command(&["gate", "expect", flag, &file(name)]));
                    }
                    run(
                        format!("gate {name}"),
                        self.command(&["gate", "--expected", &file(name), &file("records.ndjson")]),
                    );
                }
                let url = format!("https://probe:{MISPLACED}@127.0.0.1:9/");
                run(
                    "gate, misused".into(),
                    self.command(&["gate", "--expected", &file("agent.yaml"), "--prometheus", &url]),
                );
            }
            "report" => {
                for name in ["report.json", "records.ndjson", "misplaced.json", "agent.yaml"] {
                    run(format!("report {name}"), self.command(&["report", &file(name)]));
                    run(
                        format!("report --az {name}"),
                        self.command(&["report", &file("records.ndjson"), "--az", &file(name)]),
                    );
                }
            }
            "healthcheck" => {
                let user = format!("http://probe:{MISPLACED}@127.0.0.1:9/-/ready");
                let query = format!("http://127.0.0.1:9/-/ready?password={MISPLACED}");
                for url in ["http://127.0.0.1:9/-/ready", MISPLACED, &user, &query] {
                    run("healthcheck".into(), self.command(&["healthcheck", url]));
                }
            }
            "completions" => {
                for shell in names::<clap_complete::Shell>() {
                    run(format!("completions {shell}"), self.command(&["completions", &shell]));
                }
            }
            "man" => {
                let mut all = Vec::new();
                leaves(&Cli::command(), &[], &mut all);
                for words in all.iter().chain([&Vec::new()]) {
                    let mut command = self.command(&["man"]);
                    command.args(words);
                    run(format!("man {}", words.join(" ")), command);
                }
            }
            // By agents of their own, below and in `pages`.
            "agent" => {}
            new => panic!("{new} is a new command: put it here, with every way in which it could show a secret"),
        }
        runs
    }

    /// Configurations with a secret where none belongs, and other files that hold one.
    fn misplace(&self) {
        let one = |rest: &str| format!("targets:\n  - host: {NAME}\n    {rest}\n");
        for (name, text) in [
            ("agent.yaml", self.configuration("")),
            ("password-key.yaml", one(&format!("auth: {{method: password, password: \"{MISPLACED}\"}}"))),
            ("password-of-target.yaml", one(&format!("password: \"{MISPLACED}\""))),
            ("auth-is-it.yaml", one(&format!("auth: \"{MISPLACED}\""))),
            ("method-is-it.yaml", one(&format!("auth: {{method: \"{MISPLACED}\"}}"))),
            ("variable-is-it.yaml", one(&format!("auth: {{method: password, password_env: \"{MISPLACED}\"}}"))),
            ("url.yaml", format!("targets:\n  - host: \"rediss://u:{MISPLACED}@{NAME}\"\n")),
            ("user-info.yaml", format!("targets:\n  - host: \"{MISPLACED}@{NAME}\"\n")),
            ("unclosed.yaml", one(&format!("auth: {{method: password, password: \"{MISPLACED}"))),
            ("alias.yaml", one(&format!("auth: *{MISPLACED}"))),
            ("a-word.yaml", MISPLACED.to_owned()),
            (
                "twice.yaml",
                one(&format!("auth: {{method: password, password: \"{MISPLACED}\", password: \"{MISPLACED}\"}}")),
            ),
            ("tab.yaml", format!("\tpassword: {MISPLACED}\n")),
            ("keys.json", format!(r#"{{"primaryKey": "{MISPLACED}", "secondaryKey": "{MISPLACED}"}}"#)),
            ("show.json", format!(r#"{{"hostName": "{NAME}", "accessKeys": {{"primaryKey": "{MISPLACED}"}}}}"#)),
            (
                "misplaced.json",
                format!(r#"{{"schema": "redpath.record/v1", "password": "{MISPLACED}", "target": "{MISPLACED}"}}"#),
            ),
        ] {
            self.directory.file(name, &text);
        }
    }
}

async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("redpath runs")
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn commands_print_no_secret() {
    let world = World::new("canary-commands");
    let search = world.search();
    world.misplace();
    for (name, format) in [("report.json", "json"), ("records.ndjson", "ndjson")] {
        let targets = [world.redis.port, world.echo.address().port()].map(|port| format!("{NAME}:{port}"));
        let file = world.directory.0.join("file");
        let flags = [&targets[1], "--output", format, "--password-file", file.to_str().expect("UTF-8")];
        let saved = output(&mut world.check(&targets[0], &flags)).await.stdout;
        assert!(!saved.is_empty());
        std::fs::write(world.directory.0.join(name), saved).expect("saved");
    }

    let mut commands = Vec::new();
    leaves(&Cli::command(), &[], &mut commands);
    let (mut seen, mut bytes, mut logged_in) = (0, 0, 0);
    for words in commands {
        for (name, mut command) in world.runs(&words) {
            let output = output(&mut command).await;
            let said = [output.stdout, output.stderr].concat();
            assert!(!said.is_empty(), "{name} says nothing");
            assert!(!String::from_utf8_lossy(&said).contains("panicked"), "{name} panics");
            search.clears(&name, &said);
            (seen, bytes) = (seen + 1, bytes + said.len());
            logged_in += usize::from(String::from_utf8_lossy(&said).contains("\"reply\":\"pong\""));
        }
    }
    // The secrets were in use: a file's, the environment's and a URL's, told in the format of one line.
    assert!(logged_in >= 3, "{logged_in} of {seen} runs were let in");
    let given = String::from_utf8(world.echo.received()).expect("UTF-8");
    assert!(given.contains(ECHOED), "the server that repeats it was not given it");
    assert!(seen > 100 && bytes > 500_000, "{seen} runs, {bytes} bytes");
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn log_and_textfile_have_no_secret() {
    let world = World::new("canary-logs");
    let search = world.search();
    let config = world.directory.file("agent.yaml", &world.configuration(""));
    let mut agents = Vec::new();
    for format in names::<LogFormat>() {
        for level in names::<LogLevel>() {
            let file = world.directory.0.join(format!("{format}-{level}.prom"));
            let mut command = world.redpath();
            command.arg("agent").arg("--config").arg(&config).arg("--textfile").arg(&file);
            command.args(["--log-format", &format, "--log-level", &level]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            agents.push((format!("{format} at {level}"), file, command.spawn().expect("it starts")));
        }
    }
    assert_eq!(agents.len(), names::<LogFormat>().len() * names::<LogLevel>().len());
    for (name, file, agent) in agents {
        let probed = |page: &str| {
            ["sessions", "of-env", "wrong", "echoed", "withheld"].iter().all(|target| {
                let probed = format!("redpath_probes_total{{target=\"{target}\"}} ");
                page.lines().any(|line| line.strip_prefix(&probed).is_some_and(|count| count != "0"))
            })
        };
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(50));
        let page = tokio::time::timeout(PATIENCE, async {
            loop {
                let page = std::fs::read_to_string(&file).unwrap_or_default();
                if probed(&page) {
                    return page;
                }
                looks.tick().await;
            }
        });
        let page = page.await.unwrap_or_else(|_| panic!("{name}: the targets are not probed"));
        assert!(page.contains("redpath_verdict{target=\"of-env\",status=\"pass\"} 1"), "{name}: {page}");
        search.clears(&format!("the text file, {name}"), page.as_bytes());
        let pid = agent.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill").success());
        let output =
            tokio::time::timeout(PATIENCE, agent.wait_with_output()).await.expect("it ends").expect("its output");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let told = name.contains("error") || String::from_utf8_lossy(&output.stderr).contains("verdict changed");
        assert!(told, "{name}: {}", String::from_utf8_lossy(&output.stderr));
        search.clears(&format!("the log, {name}"), &[output.stdout, output.stderr].concat());
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn child_process_inherits_no_password() {
    let world = World::new("canary-az");
    let seen = world.directory.0.join("environment");
    let folder = az(&world.directory.0, &format!("env > {}.new; mv {0}.new {0}; exit 1", seen.display()));
    let entra = format!("  - {{name: of-az, host: {NAME}, auth: {{method: entra, source: azure_cli}}}}\n");
    let config = world.directory.file("agent.yaml", &(world.configuration("") + &entra));
    let mut command = world.redpath();
    command.arg("agent").arg("--config").arg(&config).env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    command.env("KEPT_FOR_AZ", "yes").stderr(std::process::Stdio::null());
    let _agent = command.spawn().expect("it starts");
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(50));
    let environment = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(environment) = std::fs::read_to_string(&seen) {
                return environment;
            }
            looks.tick().await;
        }
    });
    let environment = environment.await.expect("az is asked");
    assert!(environment.contains("KEPT_FOR_AZ=yes"), "{environment}");
    for variable in [VARIABLE, "REDPATH_PASSWORD", "REDISCLI_AUTH"] {
        assert!(!environment.contains(&format!("{variable}=")), "{environment}");
    }
    assert!(!environment.contains(ENV));
}
