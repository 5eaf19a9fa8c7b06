//! Warns about password files that every user can read, once for each: at the start and after a reload.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::plan::{Auth, PasswordSource, password_file};
use crate::secret::permissions::ReadableByOthers;

/// The files that a warning was logged for.
#[derive(Default)]
pub(super) struct SecretFiles(BTreeSet<ReadableByOthers>);

impl SecretFiles {
    /// Checks the password files of every target.
    pub(super) fn check(&mut self, config: &Config) {
        let plans = config.targets.iter().map(|target| &target.plan);
        let files: BTreeSet<_> = plans
            .filter_map(|plan| match &plan.auth {
                Auth::Password { source: PasswordSource::File(file), .. } => Some(password_file(file)),
                Auth::Password { .. } | Auth::Entra(_) | Auth::None => None,
            })
            .collect();
        for readable in files.iter().filter_map(|file| ReadableByOthers::at(file)) {
            if !self.0.contains(&readable) {
                warn(&readable, "a password file can be read by every user of this machine");
                self.0.insert(readable);
            }
        }
    }
}

fn warn(ReadableByOthers { path, mode, fix_command }: &ReadableByOthers, message: &str) {
    tracing::warn!(file = path.display().to_string(), mode = format!("{mode:04o}"), fix_command, "{message}");
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config;
    use crate::output::log::tests::Captured;
    use crate::output::log::{LogFormat, LogLevel};

    #[test]
    fn readable_secret_file_warns_once() {
        let directory = tempfile::tempdir().expect("a folder");
        let folder = directory.path();
        let file = |name: &str, mode: u32| {
            fs::write(folder.join(name), "canary").expect("a file");
            fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).expect("its mode");
        };
        file("open", 0o644);
        file("own", 0o600);
        let target = |name: &str, key: &str| {
            let path = folder.join(key);
            format!(
                "  - {{name: {name}, host: localhost, auth: {{method: password, password_file: {}}}}}\n",
                path.display()
            )
        };
        let text = format!(
            "targets:\n{}{}{}{}",
            target("a", "open"),
            target("b", "open"),
            target("c", "own"),
            target("d", "none")
        );
        let config = config::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let mut files = SecretFiles::default();
        files.check(&config);
        files.check(&config);
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let fix_command = format!("fix_command=\"chmod o-r {}\"", folder.join("open").display());
        assert!(
            lines[0].contains(" WARN ") && lines[0].contains(&fix_command) && lines[0].contains("mode=\"0644\""),
            "{lines:?}"
        );
        file("own", 0o604);
        files.check(&config);
        assert_eq!(log.lines().len(), 2, "another file");
    }
}
