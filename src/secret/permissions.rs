//! Whether other users can read the file of a secret: a warning, not an error, since a pod has one user.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// The right of every other user: to read a file, to go through a directory.
const OTHERS_READ: u32 = 0o004;
const OTHERS_ENTER: u32 = 0o001;

/// A file that every user of the machine can read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadableByOthers {
    /// The file, as it is named.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// What keeps the others out.
    pub fix_command: String,
}

impl ReadableByOthers {
    /// Whether every user can read the file at `path`. A file that its own group can read is as Kubernetes
    /// mounts it for `fsGroup`, and no matter; nor is one behind a directory that others cannot enter.
    pub fn at(path: &Path) -> Option<Self> {
        let real = path.canonicalize().ok()?;
        let mode = |path: &Path| path.metadata().ok().map(|found| found.permissions().mode() & 0o7777);
        let own = mode(&real).filter(|mode| mode & OTHERS_READ != 0 && real.is_file())?;
        let is_open = |directory: &Path| mode(directory).is_some_and(|mode| mode & OTHERS_ENTER != 0);
        real.ancestors().skip(1).all(is_open).then(|| Self {
            path: path.to_owned(),
            mode: own,
            fix_command: fix_command(path, &real),
        })
    }
}

/// kubelet swaps the folder `..TIME` behind the links of a volume, and its files are read-only.
fn fix_command(path: &Path, real: &Path) -> String {
    let of_kubelet =
        |part: Component<'_>| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".."));
    if real.components().any(of_kubelet) {
        return "defaultMode: 0440 in the volume of the Secret, and fsGroup in the pod".to_owned();
    }
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    match path.chars().all(is_plain) {
        true => format!("chmod o-r {path}"),
        false => format!("chmod o-r '{}'", path.replace('\'', r"'\''")),
    }
}

impl fmt::Display for ReadableByOthers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode, fix_command } = self;
        write!(f, "every user of this machine can read {} (mode {mode:04o}): {fix_command}", path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    /// The sentence on a file of this mode in a directory of that one.
    fn warning(name: &str, mode: u32, directory: u32) -> Option<String> {
        let folder =
            std::env::temp_dir().join(format!("redpath-permissions-{}-{mode:o}-{directory:o}", std::process::id()));
        let file = folder.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, "x").expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("its mode");
        fs::set_permissions(&folder, Permissions::from_mode(directory)).expect("the folder's mode");
        let warning =
            ReadableByOthers::at(&file).map(|exposed| exposed.to_string().replace(&folder.display().to_string(), "D"));
        fs::remove_dir_all(&folder).expect("it goes");
        warning
    }

    #[test]
    fn permissions_world_readable_has_fix() {
        let expected = Some("every user of this machine can read D/key (mode 0644): chmod o-r D/key".to_owned());
        assert_eq!(warning("key", 0o644, 0o755), expected);
        assert_eq!(warning("key", 0o604, 0o711).map(|text| text.contains("(mode 0604)")), Some(true));
        for (mode, directory) in
            [(0o600, 0o755), (0o640, 0o755), (0o440, 0o755), (0o400, 0o777), (0o644, 0o700), (0o644, 0o750)]
        {
            assert_eq!(warning("key", mode, directory), None, "{mode:o} in {directory:o}");
        }
        let quoted = warning("it's a key", 0o644, 0o755).expect("a warning");
        assert!(quoted.ends_with(r"chmod o-r 'D/it'\''s a key'"), "{quoted}");
        let pod = warning("..2026_11_25/key", 0o644, 0o755).expect("a warning");
        assert!(
            pod.ends_with("(mode 0644): defaultMode: 0440 in the volume of the Secret, and fsGroup in the pod"),
            "{pod}"
        );
    }

    #[test]
    fn permissions_non_file_gives_nothing() {
        assert_eq!(ReadableByOthers::at(Path::new("/nonexistent")), None);
        assert_eq!(ReadableByOthers::at(Path::new("/dev/null")), None);
        assert_eq!(ReadableByOthers::at(Path::new("/tmp")), None);
    }
}
