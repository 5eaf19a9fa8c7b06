//! `redpath gate expect`: the list of expected vantages, from JSON of `kubectl` and `az`.

use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use super::print;
use crate::bounded_read::{self, FileKind};
use crate::cli::{ExitCode, GateCommand, print_error};
use crate::secret::quote;

/// The most bytes of a file.
const MAX_BYTES: usize = 64 << 20;

/// Subnets that Azure keeps for its own services, where no client of a cache can run.
const OF_AZURE: [&str; 5] = [
    "AzureBastionSubnet",
    "AzureFirewallManagementSubnet",
    "AzureFirewallSubnet",
    "GatewaySubnet",
    "RouteServerSubnet",
];

#[derive(Deserialize)]
struct Nodes {
    items: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    metadata: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Writes the list.
pub(super) fn run(command: &GateCommand) -> ExitCode {
    let GateCommand::Expect { from_nodes, from_subnets, targets } = command;
    match list(from_nodes.as_deref(), from_subnets, targets) {
        Ok(text) => print(text.as_bytes()),
        Err(sentence) => {
            print_error(&sentence);
            ExitCode::Usage
        }
    }
}

fn list(nodes: Option<&Path>, subnets: &[std::path::PathBuf], targets: &[String]) -> Result<String, String> {
    let mut entries = Vec::new();
    let mut left_out = Vec::new();
    if let Some(path) = nodes {
        let nodes: Nodes = read(path, "JSON of `kubectl get nodes -o json`")?;
        entries.extend(nodes.items.into_iter().map(|node| ("node", node.metadata.name)));
    }
    for path in subnets {
        let found: Vec<Named> = read(path, "JSON of `az network vnet subnet list`")?;
        let (of_azure, others): (Vec<Named>, Vec<Named>) =
            found.into_iter().partition(|subnet| OF_AZURE.contains(&subnet.name.as_str()));
        entries.extend(others.into_iter().map(|subnet| ("subnet", subnet.name)));
        left_out.extend(of_azure.into_iter().map(|subnet| subnet.name));
    }
    entries.sort();
    entries.dedup();
    if entries.is_empty() {
        return Err("the files name no node and no subnet".to_owned());
    }
    let mut out = String::from("# Which vantages must be heard, for `redpath gate --expected`.\n");
    for name in &left_out {
        let _ = writeln!(out, "# left out, no client can run there: {}", quoted(name));
    }
    out.push_str("vantages:\n");
    for (label, value) in &entries {
        let _ = writeln!(out, "  - {{{label}: {}}}", quoted(value));
    }
    if !targets.is_empty() {
        let targets: Vec<String> = targets.iter().map(|target| quoted(target)).collect();
        let _ = writeln!(out, "targets: [{}]", targets.join(", "));
    }
    out.push_str("unexpected: tell\n");
    Ok(out)
}

/// A string of JSON is one of YAML; what is not printable is escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .chars()
        .flat_map(|c| {
            let escape = !c.is_ascii() && crate::printable::printable(&c.to_string()) != c.to_string();
            if escape { format!("\\U{:08x}", u32::from(c)).chars().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path, what: &str) -> Result<T, String> {
    let refuse = |why: String| format!("{}: {why}", quote::path(path));
    let bytes = bounded_read::read(path, FileKind::FileOrPipe, MAX_BYTES).map_err(|error| refuse(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        refuse(format!("{what} is expected; line {}, column {} is none", error.line(), error.column()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::expected::Expected;

    #[test]
    fn expect_list_is_read_by_gate() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let nodes =
            write("nodes.json", r#"{"items":[{"metadata":{"name":"aks-app-1"}},{"metadata":{"name":"aks-app-0"}}]}"#);
        let subnets = write("subnets.json", r#"[{"name":"app-a"},{"name":"GatewaySubnet"},{"name":"o\u202e\"x"}]"#);
        let text = list(Some(&nodes), std::slice::from_ref(&subnets), &["carts".to_owned()]).expect("a list");
        assert!(text.contains("# left out, no client can run there: \"GatewaySubnet\""), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
        let expected = Expected::read(&text).expect("a list of the gate");
        let names: Vec<&str> = expected.vantages.iter().flat_map(|entry| entry.values()).map(String::as_str).collect();
        assert_eq!(names, ["aks-app-0", "aks-app-1", "app-a", "o\u{202e}\"x"]);
        assert_eq!(expected.targets, ["carts"]);
        let error = list(Some(&subnets), &[], &[]).expect_err("no nodes");
        assert!(error.contains("JSON of `kubectl get nodes -o json` is expected"), "{error}");
    }
}
