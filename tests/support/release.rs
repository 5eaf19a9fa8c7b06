//! The binary as it is shipped (profile `release`), for tests of what is packed around it. Built once per run
//! of the tests, and not at all where it is up to date.

use std::path::{Path, PathBuf};
use std::process::Command;
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
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--quiet", "--bin", "redpath"])
            .current_dir(root)
            .status()
            .unwrap();
        assert!(built.success(), "the release binary does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        root.join(target).join("release/redpath")
    })
}
