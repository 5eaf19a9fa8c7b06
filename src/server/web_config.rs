//! `--web-config-file`: TLS, client certificates, users and headers, in the format of the Prometheus
//! exporter-toolkit, taken up anew when its files change.
//!
//! A file that has become unusable changes nothing: what was read before stays in force.

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

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The web configuration file, and what it said when it was last usable.
#[derive(Clone)]
pub struct WebConfigFile {
    path: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
}

/// What the server does differently because of the file.
#[derive(Default)]
pub(crate) struct WebConfig {
    /// TLS, where it is spoken.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// The headers of every answer.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may ask.
    pub(crate) users: Users,
    /// The file of the private key, where every user of the machine can read it.
    exposed_key: Option<ReadableByOthers>,
}

impl WebConfig {
    /// Warns of a private key that others can read.
    fn warn(&self) {
        if let Some(ReadableByOthers { path, mode, fix_command }) = &self.exposed_key {
            let (file, mode) = (path.display().to_string(), format!("{mode:04o}"));
            tracing::warn!(file, mode, fix_command, "a private key can be read by every user of this machine");
        }
    }
}

struct State {
    current: Arc<WebConfig>,
    files: Vec<FileState>,
    looked: Instant,
    reported: Option<String>,
}

/// A file, and by what its change is noticed.
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
        current.warn();
        let state = State { current: Arc::new(current), files, looked: Instant::now(), reported: None };
        Ok(Self { path: Arc::new(path.to_owned()), state: Arc::new(Mutex::new(state)) })
    }

    /// Whether the text of such a file would be taken, but for the files that it names; relative paths
    /// start at `directory`.
    ///
    /// # Errors
    /// One sentence that names the key and what is accepted, and quotes no value of a user.
    pub fn check(text: &str, directory: &Path) -> Result<(), String> {
        parse::parse(text, directory).map(drop)
    }

    /// What is in force, after a look at the files where the last one is a second old.
    pub(crate) async fn current(&self) -> Arc<WebConfig> {
        {
            let mut state = self.state();
            if state.looked.elapsed() < LOOK_EVERY {
                return state.current.clone();
            }
            state.looked = Instant::now();
        }
        let file = self.clone();
        // Awaited or not, the look is finished: nothing is lost with a request that is given up.
        let looked = tokio::task::spawn_blocking(move || file.look()).await;
        if let Err(error) = looked {
            tracing::error!(%error, "looking at the web configuration file failed");
        }
        self.state().current.clone()
    }

    fn look(&self) {
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
                if current.exposed_key != state.current.exposed_key {
                    current.warn();
                }
                (state.current, state.files, state.reported) = (Arc::new(current), files, None);
                tracing::info!(file = %self.path.display(), "took the changed web configuration up");
            }
            Err(error) => {
                if state.reported.as_ref() != Some(&error) {
                    tracing::error!(%error, "kept the web configuration that was read before");
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
    let explain = |why: String| format!("web configuration file {}: {why}", path.display());
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
    let exposed_key = settings.tls.as_ref().and_then(|tls| ReadableByOthers::at(&tls.key_file));
    Ok((WebConfig { tls, headers: settings.headers, users: settings.users, exposed_key }, files))
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
        let path = std::env::temp_dir().join(format!("redpath-web-config-{}.yaml", std::process::id()));
        let users = |name: &str| format!("basic_auth_users:\n  {name}: {}\n", bcrypt::hash("x", 4).expect("a hash"));
        std::fs::write(&path, users("anna")).expect("written");
        let file = WebConfigFile::load(&path).expect("a good file");
        let first = file.state().current.clone();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            file.look();
            assert!(Arc::ptr_eq(&file.state().current, &first), "nothing has changed");
            for broken in [
                "",
                "basic_auth_users: {anna: plain}",
                "basic_auth_users: {anna: plain}",
                "tls_server_config: {cert_file: /nonexistent, key_file: b}",
            ] {
                std::fs::write(&path, broken).expect("written");
                file.look();
                file.look();
                assert!(Arc::ptr_eq(&file.state().current, &first), "{broken}");
            }
            std::fs::remove_file(&path).expect("removed");
            file.look();
            assert!(Arc::ptr_eq(&file.state().current, &first), "no file");
            std::fs::write(&path, users("ben")).expect("written");
            file.look();
            assert!(!Arc::ptr_eq(&file.state().current, &first), "taken up once it is whole again");
        });
        std::fs::remove_file(&path).expect("removed");
        let log = String::from_utf8(log.0.lock().expect("unpoisoned").clone()).expect("UTF-8");
        assert_eq!(log.matches("kept the web configuration").count(), 4, "once for each kind of failure:\n{log}");
        assert_eq!(log.matches("took the changed").count(), 1, "{log}");
        assert!(log.contains("/nonexistent") && !log.contains("plain"), "{log}");
    }
}
