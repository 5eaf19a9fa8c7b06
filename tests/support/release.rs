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
        let mut build = Command::new(env!("CARGO"));
        // What cargo tells a test of itself would have ring's build script, which looks at it, and with it all that
        // uses ring built again: here, and once more by whoever builds without a test.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                build.env_remove(name);
            }
        }
        let built = build
            .args(["build", "--release", "--locked", "--quiet", "--bin", "redpath"])
            .current_dir(root)
            .status()
            .unwrap();
        assert!(built.success(), "the release binary does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        root.join(target).join("release/redpath")
    })
}
