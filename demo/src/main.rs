//! The demo: redpath checks one cache from two subnets, all of it on loopback. `make demo` builds and runs it:
//!
//! ```text
//! redpath-demo target/release/redpath
//! ```
//!
//! The name servers and Redis are fakes inside this process; the verdicts are redpath's own. The exit status is
//! 0 if they are the expected ones, else 1.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

#[path = "../../tests/support/background.rs"]
mod background;
#[path = "../../tests/support/dns.rs"]
mod dns;
#[path = "../../tests/support/fake_redis.rs"]
mod fake_redis;
#[path = "../../tests/support/lab.rs"]
mod lab;
#[path = "../../tests/support/zone.rs"]
mod zone;

use dns::DnsServer;
use lab::Lab;

/// Time limit of one run: more than twice the default of `--timeout`.
const RUN_TIMEOUT: Duration = Duration::from_secs(15);

/// A subnet, and the verdict expected there.
struct Subnet<'a> {
    title: &'static str,
    description: &'static str,
    resolver: &'a DnsServer,
    exit_status: i32,
    status: &'static str,
    cause: &'static str,
    meaning: &'static str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(program) = std::env::args_os().nth(1).map(PathBuf::from) else {
        let _ = writeln!(io::stderr(), "usage: redpath-demo PATH-OF-REDPATH; `make demo` runs it");
        return ExitCode::from(2);
    };
    let folder = std::env::temp_dir().join(format!("redpath-demo-{}", std::process::id()));
    let outcome = match std::fs::create_dir(&folder) {
        Ok(()) => run_demo(&program, &folder).await,
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

/// Checks from both subnets; true if both verdicts are the expected ones.
async fn run_demo(program: &Path, folder: &Path) -> io::Result<bool> {
    let lab = Lab::start(folder, "the demo gives no password")?;
    let subnets = [
        Subnet {
            title: "1. A subnet whose private DNS zone is linked",
            description: "The name resolves to the private endpoint, 127.0.0.10.",
            resolver: &lab.linked,
            exit_status: 0,
            status: "pass",
            cause: "healthy",
            meaning: "Redis answers at the private endpoint with the right certificate,\n\
                      and requires a password: the private path works.",
        },
        Subnet {
            title: "2. A subnet whose private DNS zone is not linked",
            description: "The same cache and the same command; only the name server is another subnet's.\n\
                    Here the name resolves to the public endpoint, 127.0.0.20. Redis answers there, too:\n\
                    an application would not notice.",
            resolver: &lab.unlinked,
            exit_status: 1,
            status: "fail",
            cause: "private_zone_not_seen",
            meaning: "Redis answers, but at the public endpoint: this subnet's name server does not see the\n\
                      private DNS zone. Link the zone to the subnet's virtual network (see the hint above).",
        },
    ];
    print(&format!(
        "The lab: {} with a private and a public endpoint, and the name servers of two subnets.\n\
         All of it runs in this process, on loopback; no packet leaves this machine.",
        lab::HOST
    ))?;
    let mut verdicts = Vec::new();
    for subnet in &subnets {
        print(&format!("\n== {}\n{}\n", subnet.title, subnet.description))?;
        verdicts.push(run(program, &lab, subnet).await?);
    }
    print("\n== What redpath found")?;
    let mut right = true;
    for (subnet, verdict) in subnets.iter().zip(&verdicts) {
        print(&format!("\n{}\n  {}", subnet.title, verdict.to_text()))?;
        if verdict.matches(subnet) {
            print(&subnet.meaning.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))?;
        } else {
            right = false;
            let Subnet { status, cause, exit_status, .. } = subnet;
            print(&format!("  Wrong: {status} {cause} (exit status {exit_status}) was expected."))?;
        }
    }
    print(if right { "\nBoth verdicts are right: the demo passed." } else { "\nThe demo failed." })?;
    Ok(right)
}

/// What redpath found in a subnet.
struct Verdict {
    status: String,
    cause: String,
    exit_status: i32,
}

impl Verdict {
    fn to_text(&self) -> String {
        format!("{} {} (exit status {})", self.status.to_uppercase(), self.cause, self.exit_status)
    }

    fn matches(&self, subnet: &Subnet<'_>) -> bool {
        (self.status.as_str(), self.cause.as_str(), self.exit_status)
            == (subnet.status, subnet.cause, subnet.exit_status)
    }
}

/// Runs the program twice: once printing to the terminal, once for its verdict as JSON.
async fn run(program: &Path, lab: &Lab, subnet: &Subnet<'_>) -> io::Result<Verdict> {
    let arguments = arguments(lab, subnet.resolver);
    print(&format!("$ {} {}\n", program.display(), arguments.join(" ")))?;
    let shown = finish(Command::new(program).args(&arguments).stdout(Stdio::inherit())).await?;
    let json = finish(Command::new(program).args(&arguments).args(["--output", "json"]).stdout(Stdio::piped())).await?;
    let exit_status = shown.status.code().unwrap_or(-1);
    if json.status.code() != Some(exit_status) {
        return Err(io::Error::other(format!(
            "two runs of the same check ended with {} and {}",
            shown.status, json.status
        )));
    }
    let report: serde_json::Value = serde_json::from_slice(&json.stdout)
        .map_err(|error| io::Error::other(format!("`redpath check --output json` gave no JSON: {error}")))?;
    let text = |key: &str| report["verdict"][key].as_str().unwrap_or("(nothing)").to_owned();
    Ok(Verdict { status: text("status"), cause: text("cause"), exit_status })
}

/// The arguments of `redpath`. `--views lab` keeps this machine's own resolvers out.
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

/// Waits for the process, and kills it after `RUN_TIMEOUT`.
async fn finish(command: &mut Command) -> io::Result<Output> {
    // Without credentials, whatever the environment sets.
    for variable in ["REDPATH_USERNAME", "REDPATH_PASSWORD", "REDISCLI_AUTH"] {
        command.env_remove(variable);
    }
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
    let child = child.map_err(|error| io::Error::other(format!("{program} does not start: {error}")))?;
    match tokio::time::timeout(RUN_TIMEOUT, child.wait_with_output()).await {
        Ok(output) => output,
        Err(_) => Err(io::Error::other(format!("{program} took longer than {RUN_TIMEOUT:?} and was killed"))),
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
