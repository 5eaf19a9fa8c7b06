//! `redpath config from-az`: the targets of a configuration, from what az prints. It reads back as one.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::az::AzFiles;
use crate::azure::facts::{AzFacts, Switch, name_in_id};
use crate::bounded_read::FileKind;
use crate::cli::ExitCode;
use crate::printable::printable;
use crate::target::{HostName, Target};

/// Writes `targets:` with one section per cache of `files` to `out`, what az says beyond it as
/// comments; or what is wrong with a file to `err`, in one sentence.
///
/// # Errors
/// Those of `out` and `err`.
pub fn from_az(files: &[PathBuf], out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    match written(files) {
        Ok(yaml) => {
            out.write_all(yaml.as_bytes())?;
            Ok(ExitCode::Pass)
        }
        Err(error) => {
            writeln!(err, "redpath: {}", printable(&error))?;
            Ok(ExitCode::Usage)
        }
    }
}

fn written(files: &[PathBuf]) -> Result<String, String> {
    let mut all = AzFiles::default();
    for file in files {
        all.extend(AzFiles::read(file, FileKind::FileOrPipe)?);
    }
    yaml_of(&all)
}

/// What is written of these files.
///
/// # Errors
/// One sentence: they name no host.
pub fn yaml_of(all: &AzFiles) -> Result<String, String> {
    let hosts = all.hosts();
    if hosts.is_empty() {
        return Err("the files name no host: the JSON of az redis show or az redisenterprise show, or that of az network private-endpoint show with customDnsConfigs, is expected".to_owned());
    }
    let mut yaml = String::from("# From what az printed; the files are a snapshot, and so is this.\n");
    let (mut targets, mut names) = (Vec::new(), BTreeSet::new());
    for host in &hosts {
        let facts = all.about(host);
        let first_label = host.as_str().split('.').next().unwrap_or_default();
        let name = if names.insert(first_label) { first_label } else { host.as_str() };
        for comment in comments(host, &facts) {
            yaml.push_str(&format!("# {host}: {}\n", printable(&comment)));
        }
        targets.push(section(name, host, &facts));
    }
    let tree = serde_saphyr::to_string(&json!({ "targets": targets }));
    yaml.push_str(&tree.map_err(|error| format!("the targets cannot be written as YAML: {error}"))?);
    Ok(yaml)
}

fn section(name: &str, host: &HostName, facts: &AzFacts) -> Json {
    // A database that has no TLS is spoken to without.
    let is_plain = facts.port(true).is_none() && facts.databases.iter().any(|database| database.tls == Some(false));
    let port = Target::new(host.clone(), facts.port(!is_plain), !is_plain).port;
    let mut target = json!({ "name": name, "host": host.as_str(), "port": port });
    let addresses: Vec<IpAddr> = facts.addresses(host.as_str()).into_iter().map(|(ip, _)| ip).collect();
    target["expect"] = json!({ "path": "private", "endpoints": addresses });
    target["auth"] = json!({ "method": "none" });
    if is_plain {
        target["tls"] = json!({ "plaintext": true });
    }
    target
}

/// What has no key, or asks for a decision.
fn comments(host: &HostName, facts: &AzFacts) -> Vec<String> {
    let mut comments = Vec::new();
    let cache = facts.cache.as_ref();
    if let Some(version) = cache.and_then(|cache| cache.minimum_tls_version.as_deref()) {
        comments.push(format!("the oldest version of TLS that it takes is {version}"));
    }
    match cache.and_then(|cache| cache.public_network_access) {
        Some(Switch::Enabled) => comments.push("public network access is enabled".to_owned()),
        Some(Switch::Disabled) => comments.push("public network access is disabled".to_owned()),
        None => {}
    }
    let keys = facts.databases.iter().filter_map(|database| database.access_keys);
    if keys.chain(cache.and_then(|cache| cache.access_keys)).any(|keys| keys == Switch::Disabled) {
        comments.push("access keys are disabled, so a password would have to be that of an Entra identity".to_owned());
    }
    for policy in facts.databases.iter().filter_map(|database| database.clustering_policy.as_deref()) {
        comments.push(format!("its clustering policy is {policy}"));
    }
    for endpoint in &facts.endpoints {
        if let (Some(id), Some(status)) = (&endpoint.id, endpoint.status) {
            comments.push(format!("the connection of the private endpoint {} is {status}", name_in_id(id)));
        }
    }
    if facts.addresses(host.as_str()).is_empty() {
        comments.push("no file gives the private endpoint's address, so that any private address is taken".to_owned());
    }
    comments.extend(facts.ignored.iter().cloned());
    comments
}
