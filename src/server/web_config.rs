//! `--web-config-file`: TLS, client certificates, users and headers, in the format of the Prometheus
//! exporter-toolkit, reloaded when its files change.
//!
//! An invalid change is logged, and the previous configuration stays in force.

mod parse;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue};
use tokio_rustls::rustls::ServerConfig;

use super::tls;
use super::users::Users;
use crate::bounded_read::FileStamp;
use crate::secret::permissions::ReadableByOthers;
use crate::secret::quote;

/// The minimum time between two checks of the files.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The web configuration file, and its last valid content.
#[derive(Clone)]
pub struct WebConfigFile {
    path: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
}

/// The content of the web configuration.
#[derive(Default)]
pub(crate) struct WebConfig {
    /// TLS, if configured.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// The headers of every response.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The users.
    pub(crate) users: Users,
    /// The file of the private key, if every user of the machine can read it.
    readable_key: Option<ReadableByOthers>,
}

impl WebConfig {
    /// Logs a warning about a private key that other users can read.
    fn warn_about_readable_key(&self) {
        if let Some(ReadableByOthers { path, mode, fix_command }) = &self.readable_key {
            let (file, mode) = (path.display().to_string(), format!("{mode:04o}"));
            tracing::warn!(file, mode, fix_command, "a private key can be read by every user of this machine");
        }
    }
}

struct State {
    current: Arc<WebConfig>,
    files: Vec<FileState>,
    checked: Instant,
    reported: Option<String>,
}

/// A file, and the stamp that shows its changes.
#[derive(PartialEq, Eq)]
struct FileState {
    path: PathBuf,
    stamp: Option<FileStamp>,
}

impl FileState {
    fn of(path: PathBuf) -> Self {
        Self { stamp: FileStamp::of(&path), path }
    }
}

impl WebConfigFile {
    /// Reads the file and every file that it names.
    ///
    /// # Errors
    /// One sentence that names the file, the key and what is accepted, and quotes no user's hash.
    pub fn load(path: &Path) -> Result<Self, String> {
        let (current, files) = read(path)?;
        current.warn_about_readable_key();
        let state = State { current: Arc::new(current), files, checked: Instant::now(), reported: None };
        Ok(Self { path: Arc::new(path.to_owned()), state: Arc::new(Mutex::new(state)) })
    }

    /// Checks the text of a web configuration, without the files that it names; relative paths start at
    /// `directory`.
    ///
    /// # Errors
    /// One sentence that names the key and what is accepted, and quotes no value of a user.
    pub fn check(text: &str, directory: &Path) -> Result<(), String> {
        parse::parse(text, directory).map(drop)
    }

    /// The configuration in force; checks the files first if the last check is older than [`CHECK_INTERVAL`].
    pub(crate) async fn current(&self) -> Arc<WebConfig> {
        {
            let mut state = self.state();
            if state.checked.elapsed() < CHECK_INTERVAL {
                return state.current.clone();
            }
            state.checked = Instant::now();
        }
        let file = self.clone();
        // The check completes even if the request is cancelled.
        let checked = tokio::task::spawn_blocking(move || file.reload_if_changed()).await;
        if let Err(error) = checked {
            tracing::error!(%error, "checking the web configuration file failed");
        }
        self.state().current.clone()
    }

    fn reload_if_changed(&self) {
        let unchanged = {
            let state = self.state();
            state.reported.is_none() && state.files.iter().all(|file| *file == FileState::of(file.path.clone()))
        };
        if unchanged {
            return;
        }
        let outcome = read(&self.path);
        let mut state = self.state();
        match outcome {
            Ok((current, files)) => {
                if current.readable_key != state.current.readable_key {
                    current.warn_about_readable_key();
                }
                (state.current, state.files, state.reported) = (Arc::new(current), files, None);
                tracing::info!(file = %self.path.display(), "reloaded web configuration");
            }
            Err(error) => {
                if state.reported.as_ref() != Some(&error) {
                    tracing::error!(%error, "invalid web configuration; the previous one stays in force");
                }
                state.reported = Some(error);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<(WebConfig, Vec<FileState>), String> {
    let explain = |why: String| format!("web configuration file {}: {why}", quote::path(path));
    // Marked before they are read: a change in between is noticed at the next look.
    let mut files = vec![FileState::of(path.to_owned())];
    let bytes = tls::read("the file", path).map_err(|why| format!("web configuration: {why}"))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| explain("it is not UTF-8 text".into()))?;
    let settings = parse::parse(text, path.parent().unwrap_or(Path::new("."))).map_err(explain)?;
    let tls = match &settings.tls {
        Some(tls) => {
            let named = [Some(&tls.cert_file), Some(&tls.key_file), tls.client.ca_file.as_ref()];
            files.extend(named.into_iter().flatten().cloned().map(FileState::of));
            Some(tls::server_config(tls).map_err(|why| explain(format!("tls_server_config: {why}")))?)
        }
        None => None,
    };
    let readable_key = settings.tls.as_ref().and_then(|tls| ReadableByOthers::at(&tls.key_file));
    Ok((WebConfig { tls, headers: settings.headers, users: settings.users, readable_key }, files))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn web_config_broken_change_keeps_old() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("web-config.yaml");
        let users = |name: &str| format!("basic_auth_users:\n  {name}: {}\n", bcrypt::hash("x", 4).expect("a hash"));
        std::fs::write(&path, users("anna")).expect("written");
        let file = WebConfigFile::load(&path).expect("a good file");
        let first = file.state().current.clone();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            file.reload_if_changed();
            assert!(Arc::ptr_eq(&file.state().current, &first), "nothing has changed");
            for broken in [
                "",
                "basic_auth_users: {anna: plain}",
                "basic_auth_users: {anna: plain}",
                "tls_server_config: {cert_file: /nonexistent, key_file: b}",
            ] {
                std::fs::write(&path, broken).expect("written");
                file.reload_if_changed();
                file.reload_if_changed();
                assert!(Arc::ptr_eq(&file.state().current, &first), "{broken}");
            }
            std::fs::remove_file(&path).expect("removed");
            file.reload_if_changed();
            assert!(Arc::ptr_eq(&file.state().current, &first), "no file");
            std::fs::write(&path, users("ben")).expect("written");
            file.reload_if_changed();
            assert!(!Arc::ptr_eq(&file.state().current, &first), "reloaded once it is valid again");
        });
        std::fs::remove_file(&path).expect("removed");
        let log = String::from_utf8(log.0.lock().expect("unpoisoned").clone()).expect("UTF-8");
        assert_eq!(log.matches("invalid web configuration").count(), 4, "once for each kind of failure:\n{log}");
        assert_eq!(log.matches("reloaded web configuration").count(), 1, "{log}");
        assert!(log.contains("/nonexistent") && !log.contains("plain"), "{log}");
    }
}
