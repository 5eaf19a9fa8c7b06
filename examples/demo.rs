//! The demo: a cache behind a private endpoint and two subnets, all of it on loopback, looked at by the
//! real program. `make demo` builds both and runs it:
//!
//! ```text
//! demo target/release/redpath
//! ```
//!
//! The name servers and Redis are stand-ins inside this process; the verdicts are redpath's own. It ends
//! with 0 if they are the right ones, and with 1 if not.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

#[path = "../tests/support/background.rs"]
mod background;
#[path = "../tests/support/dns.rs"]
mod dns;
#[path = "../tests/support/fake_redis.rs"]
mod fake_redis;
#[path = "../tests/support/lab.rs"]
mod lab;
#[path = "../tests/support/zone.rs"]
mod zone;

use dns::DnsServer;
use lab::Lab;

/// The longest that one run of the program may take: twice its own time limit, and some.
const LIMIT: Duration = Duration::from_secs(15);

/// One subnet of the demo, and what redpath must say about it.
struct Scene<'a> {
    title: &'static str,
    story: &'static str,
    resolver: &'a DnsServer,
    exit_status: i32,
    status: &'static str,
    cause: &'static str,
    meaning: &'static str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(program) = std::env::args_os().nth(1).map(PathBuf::from) else {
        let _ = writeln!(io::stderr(), "demo: the path of the redpath program is expected; `make demo` gives it");
        return ExitCode::from(2);
    };
    let folder = std::env::temp_dir().join(format!("redpath-demo-{}", std::process::id()));
    let outcome = match std::fs::create_dir(&folder) {
        Ok(()) => play(&program, &folder).await,
        Err(error) => Err(io::Error::other(format!("{}: {error}", folder.display()))),
    };
    let _ = std::fs::remove_dir_all(&folder);
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays both scenes; whether both ended as they must.
async fn play(program: &Path, folder: &Path) -> io::Result<bool> {
    let lab = Lab::start(folder, "the demo gives no password")?;
    let scenes = [
        Scene {
            title: "1. A subnet whose private DNS zone is linked",
            story: "The name leads to the private endpoint, 127.0.0.10.",
            resolver: &lab.linked,
            exit_status: 0,
            status: "pass",
            cause: "healthy",
            meaning: "Redis is reached through the private endpoint, its certificate is the right one,\n\
                      and it asks for a password: the private path works.",
        },
        Scene {
            title: "2. A subnet whose private DNS zone is not linked",
            story: "The same cache, the same command; only the name server is that of another subnet.\n\
                    Here the name leads on to the public endpoint, 127.0.0.20, and Redis answers there too:\n\
                    an application would notice nothing.",
            resolver: &lab.unlinked,
            exit_status: 1,
            status: "fail",
            cause: "private_zone_not_seen",
            meaning: "Redis answers, but over the public endpoint: this subnet's name server does not see the\n\
                      private DNS zone. Link the zone to the subnet's virtual network (the hint above says how).",
        },
    ];
    say(&format!(
        "The lab: {} with a private and a public endpoint, and the name servers of two subnets.\n\
         All of it runs inside this process, on loopback; no packet leaves this machine.",
        lab::HOST
    ))?;
    let mut verdicts = Vec::new();
    for scene in &scenes {
        say(&format!("\n== {}\n{}\n", scene.title, scene.story))?;
        verdicts.push(run(program, &lab, scene).await?);
    }
    say("\n== What redpath found")?;
    let mut right = true;
    for (scene, verdict) in scenes.iter().zip(&verdicts) {
        say(&format!("\n{}\n  {}", scene.title, verdict.in_words()))?;
        if verdict.is(scene) {
            say(&scene.meaning.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))?;
        } else {
            right = false;
            let Scene { status, cause, exit_status, .. } = scene;
            say(&format!("  This is wrong: {status} {cause} (exit status {exit_status}) was to be found."))?;
        }
    }
    say(if right { "\nBoth verdicts are right: the demo has passed." } else { "\nThe demo has failed." })?;
    Ok(right)
}

/// What redpath said about a scene.
struct Verdict {
    status: String,
    cause: String,
    exit_status: i32,
}

impl Verdict {
    fn in_words(&self) -> String {
        format!("{} {} (exit status {})", self.status.to_uppercase(), self.cause, self.exit_status)
    }

    fn is(&self, scene: &Scene<'_>) -> bool {
        (self.status.as_str(), self.cause.as_str(), self.exit_status) == (scene.status, scene.cause, scene.exit_status)
    }
}

/// Runs the program twice: for the reader, straight to the terminal, and for its verdict, as JSON.
async fn run(program: &Path, lab: &Lab, scene: &Scene<'_>) -> io::Result<Verdict> {
    let words = arguments(lab, scene.resolver);
    say(&format!("$ {} {}\n", program.display(), words.join(" ")))?;
    let shown = finish(Command::new(program).args(&words).stdout(Stdio::inherit())).await?;
    let judged = finish(Command::new(program).args(&words).args(["--output", "json"]).stdout(Stdio::piped())).await?;
    let exit_status = shown.status.code().unwrap_or(-1);
    if judged.status.code() != Some(exit_status) {
        return Err(io::Error::other(format!(
            "two runs of one check ended with {} and {}",
            shown.status, judged.status
        )));
    }
    let report: serde_json::Value = serde_json::from_slice(&judged.stdout)
        .map_err(|error| io::Error::other(format!("`redpath check --output json` gave no JSON: {error}")))?;
    let text = |key: &str| report["verdict"][key].as_str().unwrap_or("(nothing)").to_owned();
    Ok(Verdict { status: text("status"), cause: text("cause"), exit_status })
}

/// The one command line of the demo. `--views lab`: this machine's own resolvers are not asked.
fn arguments(lab: &Lab, resolver: &DnsServer) -> Vec<String> {
    vec![
        "check".into(),
        format!("{}:{}", lab::HOST, lab.port()),
        "--views".into(),
        "lab".into(),
        "--resolver".into(),
        format!("lab={}", resolver.address()),
        "--endpoint".into(),
        lab::PRIVATE_ENDPOINT.to_string(),
        "--ca-file".into(),
        lab.ca_file.display().to_string(),
    ]
}

/// Waits for a run, and ends it when its time is over.
async fn finish(command: &mut Command) -> io::Result<Output> {
    // The demo is about the private path, whatever the environment says about passwords.
    for variable in ["REDPATH_USERNAME", "REDPATH_PASSWORD", "REDISCLI_AUTH"] {
        command.env_remove(variable);
    }
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
    let child = child.map_err(|error| io::Error::other(format!("{program} cannot be run: {error}")))?;
    match tokio::time::timeout(LIMIT, child.wait_with_output()).await {
        Ok(output) => output,
        Err(_) => Err(io::Error::other(format!("{program} took longer than {LIMIT:?} and was ended"))),
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
