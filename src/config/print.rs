//! The way back: a [`Config`] as the YAML that reads to the same one, with every default filled in.

use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value as Json;

use super::raw::{
    AllViews, Off, RawAuth, RawConfig, RawDuration, RawExpect, RawFullResolver, RawJournal, RawLatency, RawMetrics,
    RawMigration, RawPlaintextPort, RawPosture, RawProbe, RawRange, RawRequireAuth, RawResolver, RawSettings,
    RawTarget, RawTls, RawVantage, RawViews, RawWeb,
};
use super::{Config, TargetConfig};
use crate::address::display_range;
use crate::expectation::{Expectation, PublicAccess};
use crate::phase::PhaseName;
use crate::plan::{
    Auth, AuthMethod, EntraAuth, PasswordSource, Plan, PosturePlan, PublicAddress, Resolver, ViewSelection,
};
use crate::target::HostName;

pub(super) fn to_yaml(config: &Config) -> Result<String, String> {
    let unable = |error: &dyn std::fmt::Display| format!("the configuration cannot be written as YAML: {error}");
    let mut tree = serde_json::to_value(raw(config)?).map_err(|error| unable(&error))?;
    drop_absent(&mut tree);
    serde_saphyr::to_string(&tree).map_err(|error| unable(&error))
}

fn raw(config: &Config) -> Result<RawConfig, String> {
    let defaults = &config.defaults;
    // A plan has a host; `defaults` has none, and nothing of it is written.
    let any_host = HostName::parse("defaults.invalid")?;
    Ok(RawConfig {
        vantage: Some(RawVantage {
            labels: Some(config.labels.clone()),
            subnet_by_node_pool: Some(config.subnet_by_node_pool.clone()),
        }),
        resolvers: Some(
            config
                .resolvers
                .iter()
                .map(|resolver| {
                    let (name, address) = (resolver.name.clone(), resolver.address.to_string());
                    RawResolver::Full(RawFullResolver { name, address })
                })
                .collect(),
        ),
        private_ranges: Some(ranges(&defaults.expectation.private_ranges)),
        defaults: Some(RawSettings {
            tls: Some(RawTls {
                plaintext: Some(defaults.plaintext),
                ca_file: defaults.ca_file.as_deref().map(file),
                server_name: defaults.server_name.clone().map(String::from),
            }),
            ..settings(&defaults.plan(any_host, None, &config.resolvers), defaults.interval)
        }),
        targets: config.targets.iter().map(target).collect(),
        web: Some(RawWeb {
            listen: Some(config.web.listen.to_string()),
            allowed_hosts: Some(config.web.allowed_hosts.clone()),
            probe: Some(RawProbe { allowed_suffixes: Some(config.web.probe_allowed_suffixes.clone()) }),
        }),
        journal: config.journal.as_ref().map(|journal| RawJournal {
            directory: file(&journal.directory),
            max_bytes: Some(format!("{}MiB", journal.max_bytes >> 20)),
            max_age: Some(duration(journal.max_age)),
        }),
        metrics: Some(RawMetrics {
            phase_buckets: Some(config.metrics.phase_buckets.clone()),
            resolution_info: Some(config.metrics.resolution_info),
            classic_histograms: Some(config.metrics.classic_histograms),
            native_histograms: Some(config.metrics.native_histograms),
        }),
        max_concurrent_probes: u16::try_from(config.max_concurrent_probes).ok(),
    })
}

fn target(config: &TargetConfig) -> RawTarget {
    let plan = &config.plan;
    RawTarget {
        name: Some(plan.target.name.clone()),
        host: plan.target.host.clone().into(),
        port: Some(plan.target.port),
        connect: plan.connect.map(|ip| ip.to_string()),
        expect_from: Some(config.expect_from.iter().map(|path| file(path)).collect()),
        migration: plan
            .old
            .as_ref()
            .map(|old| RawMigration { old: format!("{}:{}", String::from(old.target.host.clone()), old.target.port) }),
        settings: settings(plan, config.interval),
    }
}

fn settings(plan: &Plan, interval: Duration) -> RawSettings {
    RawSettings {
        interval: Some(duration(interval)),
        timeout: Some(duration(plan.timeout)),
        tries: plan.tries,
        samples: Some(plan.samples),
        views: Some(views(&plan.views)),
        addresses: Some(plan.addresses),
        azure_dns: Some(plan.azure_dns),
        expect: Some(expect(&plan.expectation)),
        auth: auth(&plan.auth),
        tls: Some(if plan.target.tls {
            RawTls {
                plaintext: Some(false),
                ca_file: plan.ca_file.as_deref().map(file),
                server_name: Some(plan.target.server_name.clone().into()),
            }
        } else {
            RawTls { plaintext: Some(true), ..RawTls::default() }
        }),
        posture: Some(posture(&plan.expectation, plan.posture, &plan.resolvers)),
        cluster: Some(plan.cluster),
        application: Some(plan.application),
        max_opened_per_minute: plan.max_opened_per_minute,
        held_connection: Some(plan.held_connection),
    }
}

fn expect(expectation: &Expectation) -> RawExpect {
    let limit = |phase| expectation.latency.get(&phase).map(|limit| duration(limit.0));
    RawExpect {
        path: Some(expectation.path),
        endpoints: Some(ranges(&expectation.endpoints)),
        latency: Some(RawLatency {
            resolve: limit(PhaseName::Resolve),
            connect: limit(PhaseName::Connect),
            tls: limit(PhaseName::Tls),
            auth: limit(PhaseName::Auth),
            ping: limit(PhaseName::Ping),
        }),
        certificate_warning: Some(duration(expectation.certificate_warning_seconds.0)),
    }
}

fn posture(expectation: &Expectation, plan: PosturePlan, resolvers: &[Resolver]) -> RawPosture {
    // `public_address: auto` implies `closed`; nobody may ask for it in words where no address can be known.
    let is_implied = expectation.public_access == PublicAccess::Closed
        && plan.public_address == PublicAddress::Auto
        && !resolvers.iter().any(|resolver| resolver.is_public(&expectation.private_ranges));
    RawPosture {
        require_auth: Some(match plan.skip_auth_check {
            true => RawRequireAuth::Off(Off::Off),
            false => RawRequireAuth::Is(expectation.require_auth),
        }),
        plaintext_port: Some(plan.plaintext_port.map_or(RawPlaintextPort::Off(Off::Off), RawPlaintextPort::Port)),
        public_access: (!is_implied).then_some(expectation.public_access),
        public_address: Some(match plan.public_address {
            PublicAddress::Auto => "auto".to_owned(),
            PublicAddress::Given(ip) => ip.to_string(),
        }),
        interval: Some(duration(plan.interval)),
    }
}

/// Where the password comes from, never the password. One that was given in a URL, which no file
/// can do, is left out.
fn auth(auth: &Auth) -> Option<RawAuth> {
    let none = RawAuth {
        method: AuthMethod::None,
        username: None,
        password_file: None,
        password_env: None,
        source: None,
        client_id: None,
    };
    let (username, source) = match auth {
        Auth::None => return Some(none),
        Auth::Entra(EntraAuth { source, client_id, username }) => {
            return Some(RawAuth {
                method: AuthMethod::Entra,
                username: username.clone(),
                source: Some(*source),
                client_id: client_id.clone(),
                ..none
            });
        }
        Auth::Password { username, source } => (username, source),
    };
    let password = RawAuth { method: AuthMethod::Password, username: username.clone(), ..none };
    match source {
        PasswordSource::File(path) => Some(RawAuth { password_file: Some(file(path)), ..password }),
        PasswordSource::Environment(name) => Some(RawAuth { password_env: Some(name.clone()), ..password }),
        PasswordSource::Given(_) => None,
    }
}

fn views(views: &ViewSelection) -> RawViews {
    match views {
        ViewSelection::All => RawViews::All(AllViews::All),
        ViewSelection::Only(names) => RawViews::Only(names.clone()),
    }
}

fn ranges(ranges: &[IpNet]) -> Vec<RawRange> {
    ranges.iter().map(|range| RawRange(display_range(range))).collect()
}

fn duration(duration: Duration) -> RawDuration {
    RawDuration(humantime::format_duration(duration).to_string())
}

fn file(path: &Path) -> String {
    path.display().to_string()
}

/// Absent keys are left out, not written as `null`.
fn drop_absent(tree: &mut Json) {
    match tree {
        Json::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_absent);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_absent),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
