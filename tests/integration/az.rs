//! What az prints: files that are read and files that are refused, what they set, and the causes they name.

mod causes;
mod commands;
mod files;
mod mutations;

use std::path::{Path, PathBuf};

use redpath::az::AzFiles;
use redpath::bounded_read::FileKind;

/// A file of `tests/fixtures/az/`; `.cli` is the command line's flattened shape, `.arm` is ARM's.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/az").join(format!("{name}.json"))
}

/// The facts of some of them together.
pub(crate) fn read(names: &[&str]) -> AzFiles {
    let mut files = AzFiles::default();
    for name in names {
        files.extend(AzFiles::read(&fixture(name), FileKind::Regular).unwrap_or_else(|error| panic!("{error}")));
    }
    files
}
