//! The commands of a finding: those that only read, and those that change something.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command, ready to paste.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// Whether it only reads.
    pub kind: CommandKind,
    /// The command on one line; `<…>` marks what only the operator knows.
    pub command: String,
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// It only reads.
    Look,
    /// It changes something.
    Fix,
}

impl From<String> for Command {
    fn from(command: String) -> Self {
        Self { kind: CommandKind::of(&command), command }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command)
    }
}

impl Command {
    /// Whether it closes the public address for every network.
    pub(super) fn closes_public_access(&self) -> bool {
        ["publicNetworkAccess=Disabled", "--public-network-access Disabled"]
            .iter()
            .any(|part| self.command.contains(part))
    }
}

impl CommandKind {
    /// By the verb of the command.
    fn of(command: &str) -> Self {
        let verbs: &[&str] = match command.split(' ').next().unwrap_or_default() {
            "az" => &["create", "update", "delete", "approve", "add", "remove", "set", "login"],
            "kubectl" => &["restart", "apply", "delete", "edit", "patch", "scale", "create"],
            "resolvectl" => &["flush-caches"],
            "redis-cli" => &["KILL", "SET", "BGSAVE"],
            "systemctl" => &["restart", "start", "stop"],
            _ => &[],
        };
        let is_change = command.split(' ').any(|word| verbs.contains(&word));
        if is_change { Self::Fix } else { Self::Look }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_kind_follows_the_verb() {
        for look in [
            "dig @10.10.0.53 cache1.redis.cache.windows.net",
            "az redis show --name cache1 --resource-group <resource-group>",
            "az network private-dns link vnet list --resource-group <rg> --zone-name z",
            "kubectl --namespace kube-system get configmap coredns-custom --output yaml",
            "resolvectl status",
            "redpath check cache1.redis.cache.windows.net:6380 --tries 20",
        ] {
            assert_eq!(Command::from(look.to_owned()).kind, CommandKind::Look, "{look}");
        }
        for fix in [
            "az network private-dns link vnet create --resource-group <rg> --zone-name z",
            "az network private-endpoint-connection approve --id <connection-id>",
            "az redis update --name cache1 --resource-group <rg> --set publicNetworkAccess=Disabled",
            "kubectl --namespace kube-system rollout restart daemonset node-local-dns",
            "resolvectl flush-caches",
        ] {
            assert_eq!(Command::from(fix.to_owned()).kind, CommandKind::Fix, "{fix}");
        }
    }
}
