//! The file with the certificates to trust, looked at before a probe needs it.

use std::path::Path;

use crate::bounded_read::{self, FileKind};

/// The most bytes of the file: every platform's bundle is below 1 MiB.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Whether the file can be read and holds a certificate in PEM. A pipe, which is read once, is not opened here.
///
/// # Errors
/// What is wrong with the file, a sentence about "it".
pub fn check(path: &Path, kind: FileKind) -> Result<(), String> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if kind == FileKind::FileOrPipe && path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(());
    }
    let pem = bounded_read::read(path, kind, MAX_BYTES).map_err(|error| error.to_string())?;
    if pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        Ok(())
    } else {
        Err("it holds no PEM certificate (-----BEGIN CERTIFICATE-----)".to_owned())
    }
}
