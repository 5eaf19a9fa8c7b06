//! The flags of `redpath watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::check_args::OF_THE_FILE;
use super::{ColorChoice, ProbeArgs};
use crate::parse;

const WATCH: &str = "Watch";

/// What agents have from their configuration.
const NOT_FOR_AGENTS: [&str; 28] = [
    "targets",
    "config",
    "record",
    "replay",
    "expect",
    "endpoints",
    "private_ranges",
    "from_az",
    "latency",
    "require_auth",
    "public_access",
    "public_address",
    "plaintext_port",
    "resolvers",
    "views",
    "connect",
    "old",
    "addresses",
    "server_name",
    "cluster",
    "plaintext",
    "timeout",
    "tries",
    "samples",
    "auth",
    "token_source",
    "client_id",
    "labels",
];

/// `redpath watch`.
#[derive(Args)]
pub struct WatchArgs {
    // Text, since the parser quotes what it refuses and a URL may hold a password.
    /// HOST, HOST:PORT, a redis:// (plain) or rediss:// (TLS) URL, or a connection string; the port of an Azure name is implied
    #[arg(value_name = "TARGET", required_unless_present_any = ["from_az", "config", "replay", "agents"])]
    pub targets: Vec<String>,
    /// What is probed, and how.
    #[command(flatten)]
    pub probe: ProbeArgs,

    /// Time between two probes of a target, 200ms to 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval, help_heading = WATCH)]
    pub interval: Duration,
    /// End when every target passes, when every answer and connection is as expected, or after a time (repeatable)
    #[arg(long, value_name = "pass|private|TIME", value_parser = until, help_heading = WATCH)]
    pub until: Vec<Until>,
    /// Record every result in this new file, as lines of a journal (redpath.journal/v1)
    #[arg(long, value_name = "FILE", value_parser = parse::path, help_heading = WATCH)]
    pub record: Option<PathBuf>,
    /// Show a file of --record, and probe nothing
    #[arg(long, value_name = "FILE", value_parser = parse::path, conflicts_with_all = OF_THE_FILE,
        conflicts_with_all = ["targets", "config", "password_file", "record", "until", "interval"], help_heading = WATCH)]
    pub replay: Option<PathBuf>,
    /// How many times as fast as it was recorded [default: 1 on the screen, else without pauses]
    #[arg(long, value_name = "N", value_parser = speed, help_heading = WATCH)]
    pub speed: Option<u32>,
    /// Watch the records of running agents, and probe nothing (repeatable); --username, --password-file and --ca-file are for them
    #[arg(long = "agent", value_name = "URL", num_args = 1.., conflicts_with_all = NOT_FOR_AGENTS, help_heading = WATCH)]
    pub agents: Vec<String>,
    /// The vantages that must answer, a YAML file (see docs/gate.md); those that are missing have a row
    #[arg(long, value_name = "FILE", requires = "agents", value_parser = parse::path, help_heading = WATCH)]
    pub expected: Option<PathBuf>,
    /// Output format
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t, help_heading = WATCH)]
    pub output: WatchOutput,
    /// Colour the screen
    #[arg(long, value_enum, value_name = "auto|always|never", default_value_t, help_heading = WATCH)]
    pub color: ColorChoice,
}

/// What ends a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The last verdict of every target is pass, or a warning without `--strict`.
    Pass,
    /// Every view's answer and every connection is as expected.
    Private,
    /// This time has passed.
    After(Duration),
}

/// `--output` of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WatchOutput {
    /// The screen on a terminal of at least 40 columns and 10 rows, else text
    #[default]
    Auto,
    /// A line for each change and a heartbeat a minute, then the summary
    Text,
    /// The lines as one JSON document each (redpath.event/v1); the summary goes to standard error
    Ndjson,
}

/// The longest watch with an end: 31 days.
const MAX_WATCH: Duration = Duration::from_secs(31 * 24 * 3600);

fn speed(text: &str) -> Result<u32, String> {
    let speed = text.parse().ok().filter(|speed| (1..=100_000).contains(speed));
    speed.ok_or_else(|| "a whole number from 1 to 100000 is expected".to_owned())
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_millis(200)..=Duration::from_secs(60)).contains(&time) => Ok(time),
        _ => Err("a time of 200ms to 1m is expected, such as 1s".to_owned()),
    }
}

fn until(text: &str) -> Result<Until, String> {
    match (text, humantime::parse_duration(text)) {
        ("pass", _) => Ok(Until::Pass),
        ("private", _) => Ok(Until::Private),
        (_, Ok(time)) if (Duration::from_secs(1)..=MAX_WATCH).contains(&time) => Ok(Until::After(time)),
        _ => Err("pass, private, or a time of 1s to 31days is expected, such as 30m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watch_values_are_checked() {
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!((until("pass"), until("private")), (Ok(Until::Pass), Ok(Until::Private)));
        assert_eq!(until("30m"), Ok(Until::After(Duration::from_secs(1800))));
        for wrong in ["199ms", "61s", "", "1"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0s", "32days", "public", "", "12:30"] {
            assert!(until(wrong).is_err(), "{wrong}");
        }
    }
}
