//! What differs between the old name and the new one, and what each difference means for clients.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{Display, IntoStaticStr};

use super::MigrationSide;
use crate::azure::Service;
use crate::azure::facts::Switch;
use crate::diagnosis::Context;
use crate::diagnosis::command::Command;
use crate::diagnosis::remediation;
use crate::diagnosis::service::{self, Certainty};
use crate::observation::redis::PingReply;
use crate::observation::{Observation, SkipReason, TlsFacts};
use crate::phase::PhaseOutcome;

/// The most names of a certificate that are named.
const MAX_NAMES: usize = 4;

/// One thing that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// What is compared.
    pub aspect: Aspect,
    /// Whether the values differ.
    pub state: Comparison,
    /// The old name's value; absent where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The new name's value; absent where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// What that means for clients; absent where the values are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// The commands that decide what is unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Aspect {
    /// The port.
    Port,
    /// The private DNS zone of the chain.
    Zone,
    /// The group ID of the private endpoint.
    GroupId,
    /// Whether clients have to speak the cluster protocol.
    ClusterPolicy,
    /// The certificate: its names and issuer.
    Certificate,
    /// How clients authenticate.
    Authentication,
    /// Whether and how TLS is spoken.
    Tls,
    /// The version of Redis.
    RedisVersion,
}

/// Whether two values are known to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Comparison {
    /// They are equal.
    Same,
    /// They differ.
    Differs,
    /// One of them is unknown.
    Unknown,
}

impl Difference {
    fn of(aspect: Aspect, old: Option<String>, new: Option<String>, meaning: &str) -> Self {
        let state = match (&old, &new) {
            (Some(old), Some(new)) if old == new => Comparison::Same,
            (Some(_), Some(_)) => Comparison::Differs,
            (None, _) | (_, None) => Comparison::Unknown,
        };
        let meaning = (state != Comparison::Same).then(|| meaning.to_owned());
        Self { aspect, state, old, new, meaning, commands: Vec::new() }
    }

    /// With the commands that decide, where something is unknown.
    fn decided_by(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        if self.state == Comparison::Unknown {
            self.commands = commands.into_iter().map(Command::from).collect();
        }
        self
    }
}

/// Everything that is compared.
pub(super) fn all(
    new: &Context<'_>,
    old: &Context<'_>,
    (new_side, old_side): (&MigrationSide, &MigrationSide),
) -> Vec<Difference> {
    vec![
        Difference::of(
            Aspect::Port,
            Some(old.target.port.to_string()),
            Some(new.target.port.to_string()),
            "clients need the new port; so do firewall rules, network security groups and network policies",
        ),
        Difference::of(
            Aspect::Zone,
            zone(old.observation),
            zone(new.observation),
            "the new zone has to be linked to the network of every client, and every forwarder needs a rule for it",
        )
        .decided_by(
            [old, new].map(|case| format!("dig {}", remediation::shell_safe_or(case.target.host.as_str(), "<name>"))),
        ),
        Difference::of(
            Aspect::GroupId,
            group_id(old_side),
            group_id(new_side),
            "templates and policies that create private endpoints name the group ID",
        )
        .decided_by([old, new].into_iter().flat_map(|case| service::decide(case.target))),
        cluster_policy(new, old),
        Difference::of(
            Aspect::Certificate,
            certificate(old.observation),
            certificate(new.observation),
            "clients that pin a certificate or an issuer, or that verify another name than the one they connect to, need a change",
        ),
        authentication(new, old, new_side),
        Difference::of(
            Aspect::Tls,
            Some(tls(old)),
            Some(tls(new)),
            "clients that are set to a version of TLS, or to none, need a change",
        ),
        Difference::of(
            Aspect::RedisVersion,
            version(old.observation),
            version(new.observation),
            "commands and defaults differ between versions of Redis",
        )
        .decided_by(
            [old, new]
                .map(|case| format!("redis-cli -h {} -p {} --tls INFO server", case.target.host, case.target.port)),
        ),
    ]
}

/// The zone of the privatelink name in a chain; that there is none is a value, too.
fn zone(observation: &Observation) -> Option<String> {
    let views = &observation.resolution.views;
    let zone = views.iter().find_map(|view| view.privatelink_zone.clone());
    let has_chain = views.iter().any(|view| view.chain.iter().any(|record| record.record_type == "CNAME"));
    zone.or_else(|| has_chain.then(|| "none in the chain".to_owned()))
}

fn group_id(side: &MigrationSide) -> Option<String> {
    let group_id = side.behind.service?.group_id()?;
    match side.behind.certainty {
        Certainty::Shown => Some(group_id.to_owned()),
        Certainty::Likely => Some(format!("{group_id} (likely)")),
        Certainty::Unknown => None,
    }
}

/// The policy by the files of `az`, else by the nodes that the server announces.
fn cluster_policy(new: &Context<'_>, old: &Context<'_>) -> Difference {
    let (before, after) = (policy(old), policy(new));
    let meaning = match (before.as_deref(), after.as_deref()) {
        (Some(before), Some(after)) if after.starts_with(OSS) && !before.starts_with(OSS) => {
            "clients have to speak the cluster protocol, and reach the ports of the nodes at the private endpoint"
        }
        (Some(before), Some(after)) if before.starts_with(OSS) && !after.starts_with(OSS) => {
            "clients of the cluster protocol get an error for CLUSTER commands, and need a change"
        }
        _ => "with the OSS policy clients have to speak the cluster protocol, and reach the ports of the nodes",
    };
    let decide = [old, new]
        .into_iter()
        .filter(|case| policy(case).is_none())
        .flat_map(|case| decide_policy(case.target.service, case.target.host.as_str()));
    Difference::of(Aspect::ClusterPolicy, before.clone(), after.clone(), meaning).decided_by(decide)
}

const OSS: &str = "OSS";

fn policy(case: &Context<'_>) -> Option<String> {
    let of_az = case.expectation.az.as_ref().and_then(|az| az.databases.first()?.clustering_policy.clone());
    let by_az = of_az.map(|policy| if policy == "OSSCluster" { OSS.to_owned() } else { policy });
    by_az.or_else(|| {
        let facts = case.observation.cluster.as_ref()?;
        if !facts.nodes.is_empty() {
            return Some(format!("{OSS}: nodes are announced"));
        }
        // The server answered, and not with nodes. A user without the permission proves nothing.
        let skipped_by_permission = case
            .observation
            .phases
            .cluster
            .as_ref()
            .is_some_and(|phase| phase.summary().reason == Some(SkipReason::NoPermission.as_str()));
        (facts.refusal.is_some() && !skipped_by_permission).then(|| "no nodes are announced".to_owned())
    })
}

/// The commands that show the policy and whether access keys are taken.
fn decide_policy(service: Service, host: &str) -> Vec<String> {
    let name = crate::azure::endpoint(host)
        .and_then(|endpoint| endpoint.record.split('.').next().map(str::to_owned))
        .filter(|name| crate::diagnosis::text::is_plain_word(name))
        .unwrap_or_else(|| "<cache-name>".to_owned());
    match service {
        Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => vec![format!(
            "az redisenterprise database list --cluster-name {name} --resource-group <resource-group> --query '[].[clusteringPolicy,accessKeysAuthentication]' --output tsv"
        )],
        Service::AzureCacheForRedis => {
            vec![format!(
                "az redis show --name {name} --resource-group <resource-group> --query '[shardCount,disableAccessKeyAuthentication]' --output tsv"
            )]
        }
        Service::Other => Vec::new(),
    }
}

fn certificate(observation: &Observation) -> Option<String> {
    let TlsFacts { certificate: Some(certificate), .. } = observation.connection.as_ref()?.tls.as_ref()? else {
        return None;
    };
    let shown = certificate.sans.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let more = certificate.sans.len().saturating_sub(MAX_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{shown}{more}, by {}", certificate.issuer))
}

/// Keys are the resource's own, so the old ones are of no use. Whether the new one takes keys at all is Azure's to say.
fn authentication(new: &Context<'_>, old: &Context<'_>, new_side: &MigrationSide) -> Difference {
    let keys = |case: &Context<'_>| case.expectation.az.as_ref().and_then(|az| az.databases.first()?.access_keys);
    let value = |case: &Context<'_>| {
        let asked = asked(case.observation)?;
        Some(match keys(case) {
            Some(Switch::Enabled) => format!("{asked}; access keys are taken"),
            Some(Switch::Disabled) => format!("{asked}; access keys are disabled"),
            _ => asked,
        })
    };
    let (before, after) = (value(old), value(new));
    let meaning = "each cache has keys of its own, so clients need the new key. Azure Managed Redis disables access keys by default: then clients need Entra ID, and an access policy for their identity";
    let mut difference = Difference::of(Aspect::Authentication, before, after, meaning);
    let may_be_managed = new_side.behind.service.is_none_or(|service| service == Service::AzureManagedRedis);
    if difference.state == Comparison::Same
        && new.target.host != old.target.host
        && keys(new).is_none()
        && may_be_managed
    {
        // Both ask for authentication; which kind the new one takes is not known from here.
        difference.state = Comparison::Unknown;
        difference.meaning = Some(meaning.to_owned());
    }
    difference.decided_by(decide_policy(new.target.service, new.target.host.as_str()))
}

/// What the server did without, or with, credentials.
fn asked(observation: &Observation) -> Option<String> {
    let connection = observation.connection.as_ref()?;
    let with_credentials = observation.phases.connection.auth.summary().outcome == PhaseOutcome::Done;
    match (connection.ping.as_ref()?.reply, with_credentials) {
        (PingReply::Noauth, _) => Some("required".to_owned()),
        (PingReply::Pong | PingReply::Noperm, true) => Some("required, and the probe's are accepted".to_owned()),
        (PingReply::Pong | PingReply::Noperm, false) => Some("not required".to_owned()),
    }
}

fn tls(case: &Context<'_>) -> String {
    if !case.target.tls {
        return "off".to_owned();
    }
    let facts = case.observation.connection.as_ref().and_then(|connection| connection.tls.as_ref());
    match facts.and_then(|facts| facts.version.clone().map(|version| (version, facts.cipher.clone()))) {
        Some((version, Some(cipher))) => format!("{version} {cipher}"),
        Some((version, None)) => version,
        None => "no handshake".to_owned(),
    }
}

fn version(observation: &Observation) -> Option<String> {
    observation.connection.as_ref()?.server_info.as_ref()?.redis_version.clone()
}
