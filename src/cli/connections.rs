//! `redpath connections`: its arguments, and the plans that name the addresses.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use super::plans::VISIBLE_PASSWORD;
use super::{ColorChoice, OutputFormat, PathArgs};
use crate::parse;
use crate::plan::Plan;
use crate::secret::quote::quoted;
use crate::target::{Target, TargetArgument};

/// `redpath connections`.
#[derive(Args)]
pub struct ConnectionsArgs {
    /// HOST, HOST:PORT, or a redis:// (plain) or rediss:// (TLS) URL
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
    /// The path that is expected, and the views whose answers name addresses.
    #[command(flatten)]
    pub path: PathArgs,
    /// Call an address by a label (repeatable)
    #[arg(long = "address", value_name = "IP=LABEL", value_parser = address_label)]
    pub labels: Vec<(IpAddr, String)>,
    /// Watch for this long, and count the connections that are opened
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub watch: Option<Duration>,
    /// Timeout of the resolution, per target
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse::timeout)]
    pub timeout: Duration,
    /// Output format
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: OutputFormat,
    /// Colour the text
    #[arg(long, value_enum, value_name = "auto|always|never", default_value_t)]
    pub color: ColorChoice,
}

impl ConnectionsArgs {
    /// What the operator should know beforehand.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.path.warnings().collect();
        let arguments = self.targets.iter().filter_map(|text| TargetArgument::parse(text).ok());
        if arguments.into_iter().any(|argument| argument.password.is_some()) {
            warnings.push(VISIBLE_PASSWORD.to_owned());
        }
        warnings
    }

    /// A plan for each target; only its resolution is carried out.
    ///
    /// # Errors
    /// One sentence on what is wrong, which quotes no secret.
    pub fn plans(&self) -> Result<Vec<Plan>, String> {
        let (resolvers, views) = self.path.resolvers_and_views()?;
        self.targets
            .iter()
            .map(|text| {
                let argument = TargetArgument::parse(text).map_err(|why| format!("{} is {why}", quoted(text)))?;
                let target = Target::new(argument.host, argument.port, argument.tls.unwrap_or(true));
                Ok(Plan {
                    expectation: self.path.expectation(),
                    resolvers: resolvers.clone(),
                    views: views.clone(),
                    timeout: self.timeout,
                    ..Plan::new(target)
                })
            })
            .collect()
    }
}

/// The longest watch.
const MAX_WATCH: Duration = Duration::from_secs(24 * 3600);

/// The longest label.
const MAX_LABEL: usize = 64;

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if (Duration::from_secs(1)..=MAX_WATCH).contains(&duration) => Ok(duration),
        _ => Err("a time of 1s to 24h is expected, such as 1m".to_owned()),
    }
}

fn address_label(text: &str) -> Result<(IpAddr, String), String> {
    let wrong = || {
        format!("an address, = and a label of 1 to {MAX_LABEL} characters are expected, such as 10.60.4.5=endpoint-a")
    };
    let (ip, label) = text.split_once('=').ok_or_else(wrong)?;
    let ip = ip.parse().map_err(|_| wrong())?;
    if (1..=MAX_LABEL).contains(&label.chars().count()) { Ok((ip, label.to_owned())) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_values_are_checked() {
        assert_eq!(address_label("10.60.4.5=a"), Ok(("10.60.4.5".parse().expect("an address"), "a".to_owned())));
        for wrong in ["10.60.4.5", "10.60.4.5=", "host=a", &format!("10.60.4.5={}", "x".repeat(65))] {
            assert!(address_label(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        for wrong in ["0s", "25h", "soonish", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
