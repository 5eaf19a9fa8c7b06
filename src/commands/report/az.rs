//! What files of `az` say, in sentences, with the digests of the files.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::az::AzFiles;
use crate::azure::facts::{AzFacts, Switch, name_in_id};
use crate::bounded_read::{self, FileKind};
use crate::evidence::document::AzEvidence;
use crate::secret::quote;

/// The most bytes of a file.
const MAX_BYTES: usize = 16 << 20;

/// Reads one file.
///
/// # Errors
/// One sentence that names it.
pub(super) fn read(path: &Path) -> Result<AzEvidence, String> {
    let refuse = |why: String| format!("--az {}: {why}", quote::path(path));
    let bytes = bounded_read::read(path, FileKind::Regular, MAX_BYTES).map_err(|error| refuse(error.to_string()))?;
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = quote::path(path);
    let files = AzFiles::decode(bytes, &file).map_err(refuse)?;
    let says = files.hosts().iter().flat_map(|host| sentences(host.as_str(), &files.about(host))).collect();
    Ok(AzEvidence { file, sha256, says })
}

fn sentences(host: &str, facts: &AzFacts) -> Vec<String> {
    let mut says = Vec::new();
    if let Some(access) = facts.cache.as_ref().and_then(|cache| cache.public_network_access) {
        let access = if access == Switch::Enabled { "enabled" } else { "disabled" };
        says.push(format!("{host}: public network access is {access}"));
    }
    for endpoint in &facts.endpoints {
        let name = endpoint.id.as_deref().map_or("a private endpoint", name_in_id);
        let state = endpoint.status.as_ref().map_or_else(|| "of unknown state".to_owned(), ToString::to_string);
        let addresses = endpoint.names.iter().flat_map(|name| &name.addresses).map(ToString::to_string);
        says.push(format!("{host}: {name} is {state}, {}", addresses.collect::<Vec<_>>().join(", ")));
    }
    if says.is_empty() {
        says.push(format!("{host}: named"));
    }
    says
}
