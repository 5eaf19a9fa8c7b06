//! The binary as it is shipped (profile `release`), for tests of what is packed around it. Built once per run
//! of the tests, and not at all where it is up to date.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The path of the release binary.
///
/// # Panics
///
/// Where it does not build; the compiler has said why.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut build = Command::new(root.join("scripts/release-binary.sh"));
        let output = build.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "the release binary does not build");
        root.join(String::from_utf8(output.stdout).unwrap().trim())
    })
}
