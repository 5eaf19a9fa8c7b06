//! The arguments that repeat a probe on a command line, without credentials and without what is the default.

use std::net::IpAddr;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Addresses, ApplicationMode, AzureDns, ClusterMode, DEFAULT_TIMEOUT, Plan, PublicAddress, Resolver, ViewSelection,
};
use crate::address::display_range;
use crate::expectation::{ExpectedPath, PublicAccess};
use crate::printable::is_printable;
use crate::secret::quote::may_hold_secret;

/// The most words of a saved record that are printed, and the longest of them.
const MAX_WORDS: usize = 200;
const MAX_WORD: usize = 512;

/// The flags that [`CheckArguments::of`] writes.
const FLAGS: [&str; 22] = [
    "--expect",
    "--endpoint",
    "--private-range",
    "--latency",
    "--require-auth",
    "--public-access",
    "--public-address",
    "--plaintext-port",
    "--resolver",
    "--views",
    "--no-azure-dns",
    "--connect",
    "--addresses",
    "--ca-file",
    "--plaintext",
    "--server-name",
    "--old",
    "--cluster",
    "--application",
    "--timeout",
    "--tries",
    "--samples",
];

/// The words behind `redpath check`: the target, then its flags with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CheckArguments(Vec<String>);

impl CheckArguments {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> Self {
        let Plan { target, expectation, posture, .. } = plan;
        let mut words = Self(vec![format!("{}:{}", target.host, target.port)]);
        if expectation.path != ExpectedPath::Private {
            words.add("--expect", expectation.path);
        }
        expectation.endpoints.iter().for_each(|range| words.add("--endpoint", display_range(range)));
        expectation.private_ranges.iter().for_each(|range| words.add("--private-range", display_range(range)));
        for (phase, budget) in &expectation.latency {
            words.add("--latency", format!("{phase}={}", compact(budget.0)));
        }
        match (posture.skip_auth_check, expectation.require_auth) {
            (true, _) => words.add("--require-auth", "off"),
            (false, false) => words.add("--require-auth", "false"),
            (false, true) => {}
        }
        if expectation.public_access != PublicAccess::Ignore {
            words.add("--public-access", expectation.public_access);
        }
        if let PublicAddress::Given(ip) = posture.public_address {
            words.add("--public-address", ip);
        }
        if let Some(port) = posture.plaintext_port {
            words.add("--plaintext-port", port);
        }
        plan.resolvers.iter().for_each(|resolver| words.add("--resolver", resolver_text(resolver)));
        if let ViewSelection::Only(names) = &plan.views {
            words.add("--views", names.join(","));
        }
        if plan.azure_dns == AzureDns::Off {
            words.0.push("--no-azure-dns".to_owned());
        }
        if let Some(ip) = plan.connect {
            words.add("--connect", ip);
        }
        if plan.addresses == Addresses::All {
            words.add("--addresses", "all");
        }
        // The path of a file may be a secret that was given in the wrong place.
        let ca_file = plan.ca_file.as_deref().and_then(|path| path.to_str()).filter(|path| !may_hold_secret(path));
        if let Some(path) = ca_file {
            words.add("--ca-file", path);
        }
        if !target.tls {
            words.0.push("--plaintext".to_owned());
        } else if target.server_name != target.host {
            words.add("--server-name", &target.server_name);
        }
        if let Some(old) = &plan.old {
            words.add("--old", format!("{}:{}", old.target.host, old.target.port));
        }
        words.add_value("--cluster", plan.cluster, ClusterMode::default());
        words.add_value("--application", plan.application, ApplicationMode::default());
        if plan.timeout != DEFAULT_TIMEOUT {
            words.add("--timeout", compact(plan.timeout));
        }
        if let Some(tries) = plan.tries {
            words.add("--tries", tries);
        }
        if plan.samples != 1 {
            words.add("--samples", plan.samples);
        }
        words
    }

    /// Those of a record without any: the target alone.
    pub fn of_target(host: &str, port: u16, tls: bool) -> Self {
        let plaintext = if tls { None } else { Some("--plaintext".to_owned()) };
        Self(std::iter::once(format!("{host}:{port}")).chain(plaintext).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a saved record's may be printed for somebody to paste: the record's own target, and no flag but those of
    /// [`CheckArguments::of`]. One that reads a password could send it to a server of the record's author.
    pub fn are_of(&self, host: &str, port: u16) -> bool {
        self.0.first().is_some_and(|target| *target == format!("{host}:{port}"))
            && self.0.len() <= MAX_WORDS
            && self.0.iter().all(|word| word.len() <= MAX_WORD && is_printable(word))
            && self.0.iter().filter(|word| word.starts_with('-')).all(|word| FLAGS.contains(&word.as_str()))
    }

    /// With `flag value` in place of whatever the flag had.
    #[must_use]
    pub fn with(&self, flag: &str, value: &str) -> Self {
        let mut words = self.without(flag);
        words.add(flag, value);
        words
    }

    /// Without a flag and its values.
    #[must_use]
    pub fn without(&self, flag: &str) -> Self {
        self.keeping(|other| other != flag)
    }

    /// With one more resolver, queried beside whatever views are. One of that address is there already.
    #[must_use]
    pub fn with_resolver(&self, resolver: &Resolver) -> Self {
        let text = resolver_text(resolver);
        let is_there = self.values("--resolver").any(|other| *other == text);
        let mut words = self.clone();
        if !is_there {
            words.add("--resolver", &text);
        }
        let views = self.values("--views").next().filter(|views| !views.split(',').any(|view| view == resolver.name));
        match views {
            Some(views) => words.with("--views", &format!("{views},{}", resolver.name)),
            None => words,
        }
    }

    /// The command line of a command that knows these flags and no others; every flag where there is none.
    pub fn command(&self, command: &str, flags: Option<&[&str]>) -> String {
        let kept = flags.map_or_else(|| self.clone(), |flags| self.keeping(|flag| flags.contains(&flag)));
        let words: Vec<String> = kept.0.iter().map(|word| shell_word(word)).collect();
        format!("redpath {command} {}", words.join(" "))
    }

    fn add(&mut self, flag: &str, value: impl ToString) {
        self.0.extend([flag.to_owned(), value.to_string()]);
    }

    fn add_value<V: ValueEnum + PartialEq>(&mut self, flag: &str, value: V, default: V) {
        if let Some(name) = value.to_possible_value().filter(|_| value != default) {
            self.add(flag, name.get_name());
        }
    }

    fn keeping(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let mut kept = true;
        let words = self.0.iter().filter(|word| {
            if word.starts_with("--") {
                kept = is_kept(word);
            }
            kept
        });
        Self(words.cloned().collect())
    }

    fn values(&self, flag: &str) -> impl Iterator<Item = &String> {
        self.0.iter().zip(self.0.iter().skip(1)).filter(move |(word, _)| *word == flag).map(|(_, value)| value)
    }
}

/// `hub=10.10.0.53`, or the address of one without a name.
fn resolver_text(resolver: &Resolver) -> String {
    let address = match (resolver.address.port(), resolver.address.ip()) {
        (53, ip) => ip.to_string(),
        _ => resolver.address.to_string(),
    };
    let is_unnamed = resolver.name.parse::<IpAddr>().is_ok() || resolver.name == resolver.address.to_string();
    if is_unnamed { address } else { format!("{}={address}", resolver.name) }
}

/// `1m30s`.
fn compact(duration: std::time::Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// A word as a shell takes it: in quotes where it would act on a character.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::target::{HostName, Target};

    fn plan() -> Plan {
        let mut plan =
            Plan::new(Target::new(HostName::parse("cache1.redis.cache.windows.net").expect("a name"), None, true));
        plan.expectation.endpoints = vec![crate::address::parse_range("10.60.4.5").expect("an address")];
        plan
    }

    #[test]
    fn arguments_leave_out_defaults() {
        assert_eq!(
            CheckArguments::of(&plan()).command("check", None),
            "redpath check cache1.redis.cache.windows.net:6380 --endpoint 10.60.4.5"
        );
    }

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        let mut plan = plan();
        plan.ca_file = Some("/etc/my ca's/$root.pem".into());
        plan.resolvers = vec![Resolver { name: "hub".to_owned(), address: "[fd00::1]:54".parse().expect("one") }];
        let command = CheckArguments::of(&plan).command("check", None);
        assert!(command.contains(r"--ca-file '/etc/my ca'\''s/$root.pem'"), "{command}");
        assert!(command.contains("--resolver 'hub=[fd00::1]:54'"), "{command}");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn arguments_take_the_place_of_others() {
        let mut plan = plan();
        (plan.tries, plan.timeout) = (Some(3), Duration::from_secs(90));
        plan.views = ViewSelection::Only(vec!["libc".to_owned()]);
        plan.azure_dns = AzureDns::Off;
        let words = CheckArguments::of(&plan);
        assert_eq!(
            words
                .with("--tries", "20")
                .without("--no-azure-dns")
                .with_resolver(&Resolver::azure())
                .command("check", None),
            "redpath check cache1.redis.cache.windows.net:6380 --endpoint 10.60.4.5 --timeout 1m30s --tries 20 --resolver azure=168.63.129.16 --views libc,azure"
        );
        assert_eq!(
            words.with_resolver(&Resolver::azure()).with_resolver(&Resolver::azure()),
            words.with_resolver(&Resolver::azure())
        );
        assert_eq!(
            words.command("connections", Some(&["--endpoint"])),
            "redpath connections cache1.redis.cache.windows.net:6380 --endpoint 10.60.4.5"
        );
    }

    #[test]
    fn arguments_hide_what_may_be_a_secret() {
        let mut plan = plan();
        plan.ca_file = Some("iAITMl7lD127cVZEl0Ol8qviaXHIoKekaJjP1J1HI".into());
        assert!(!CheckArguments::of(&plan).command("check", None).contains("iAITM"));
    }

    #[test]
    fn arguments_of_a_hostile_record_are_not_printed() {
        let words = |all: &[&str]| CheckArguments(all.iter().map(|word| (*word).to_owned()).collect());
        let of_target = |all: &[&str]| words(&[&["a:6380"], all].concat()).are_of("a", 6380);
        assert!(of_target(&[]) && of_target(&["--endpoint", "10.60.4.5", "--no-azure-dns"]));
        for hostile in [
            &["a\u{1b}[2J"][..],
            &["--password-file", "/etc/key"],
            &["--endpoint=10.60.4.5", "--auth=password"],
            &["-v"],
            &[&*"x".repeat(MAX_WORD + 1)],
            &["x"; MAX_WORDS],
        ] {
            assert!(!of_target(hostile), "{hostile:?}");
        }
        for other in [&[][..], &["b:6380"], &["--endpoint", "a:6380"], &["rediss://evil@a:6380"]] {
            assert!(!words(other).are_of("a", 6380), "{other:?}");
        }
        let mut all = plan();
        (all.samples, all.tries, all.connect) = (3, Some(2), "10.60.4.5".parse().ok());
        assert!(CheckArguments::of(&all).are_of(all.target.host.as_str(), all.target.port));
        assert_eq!(CheckArguments(vec!["; rm -rf /".to_owned()]).command("check", None), "redpath check '; rm -rf /'");
    }
}
