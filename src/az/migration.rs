//! `az redisenterprise migration`: what became of a migration, and what its validation refuses.

use super::object::{Object, before};
use crate::azure::facts::{AzDisparity, AzMigration, AzMigrationValidation};

/// The most disparities of a validation that are kept.
const MAX_DISPARITIES: usize = 64;

/// The longest message that is kept, in characters.
const MAX_MESSAGE: usize = 300;

/// Whether the object is one migration.
pub(super) fn is_migration(object: &Object<'_>, id: Option<&str>) -> bool {
    let in_id = id.is_some_and(|id| id.to_ascii_lowercase().contains("/migrations/"));
    object.has("sourceResourceId") || object.has("sourceType") || in_id
}

/// The answer of `show`, and an entry of `list`.
pub(super) fn migration(object: &Object<'_>, id: Option<String>, file: &str) -> Result<AzMigration, String> {
    let of_id = id.as_deref().and_then(|id| before(id, "/migrations/"));
    Ok(AzMigration {
        file: file.to_owned(),
        source_id: object.text("sourceResourceId")?,
        target_id: object.text("targetResourceId")?.or(of_id),
        state: object.text("provisioningState")?,
        switch_dns: object.bool("switchDns")?,
    })
}

/// The answer of `validate`. It names neither of the two caches.
pub(super) fn validation(object: &Object<'_>, file: &str) -> Result<AzMigrationValidation, String> {
    Ok(AzMigrationValidation {
        file: file.to_owned(),
        is_valid: object.bool("isValid")?,
        errors: disparities(object, "errors")?,
        warnings: disparities(object, "warnings")?,
    })
}

fn disparities(object: &Object<'_>, key: &str) -> Result<Vec<AzDisparity>, String> {
    let mut disparities = Vec::new();
    for group in object.one_or_more(key)? {
        for disparity in group.objects("disparities")? {
            let message: String = disparity.text("message")?.unwrap_or_default().chars().take(MAX_MESSAGE).collect();
            disparities.push(AzDisparity { category: disparity.text("category")?, message });
        }
    }
    disparities.truncate(MAX_DISPARITIES);
    Ok(disparities)
}
