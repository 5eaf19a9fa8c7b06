//! The certificates that are trusted: a configured file and nothing else, or the platform's store,
//! or Mozilla's roots where the platform has none.
//!
//! They are cached between probes. A file is read again when it has changed; the platform's store once an hour.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rustls_native_certs::ErrorKind;
use tokio_rustls::rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::lock::lock;
use crate::observation::LocalLimit;
use crate::observation::tls::TrustSource;
use crate::probe::blocking_fs;

/// The most bytes that a file of trust anchors may have; Mozilla's have about 220 KiB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// What is read, for an error.
const KIND: &str = "trust anchors";

/// Stands for the files of the platform's store.
const PLATFORM: &str = "the platform's store";

/// How long the platform's store is used before it is read again.
const PLATFORM_AGE: Duration = Duration::from_secs(3600);

/// Trust anchors, with the client configuration of a handshake.
pub(in crate::probe) struct TrustAnchors {
    /// Where they came from.
    pub(super) source: TrustSource,
    /// The anchors.
    pub(super) roots: Arc<RootCertStore>,
    /// Verifies chains with them.
    pub(super) verifier: Arc<WebPkiServerVerifier>,
    /// The configuration of a handshake, cheap to clone.
    pub(super) config: ClientConfig,
}

/// Trust anchors, or the limit of this machine that kept them from being read.
pub(super) type Loaded = Result<Arc<TrustAnchors>, LocalLimit>;

/// The trust anchors of all targets.
pub(super) struct TrustStores {
    provider: Arc<CryptoProvider>,
    files: Mutex<HashMap<PathBuf, CachedFile>>,
    /// How long a cached file is used before its stamp is compared again, which takes a thread.
    max_age: Duration,
    platform: tokio::sync::Mutex<Option<(Instant, Arc<TrustAnchors>)>>,
}

/// How long a cached file is used before its stamp is compared again: hundreds of targets share one.
const MAX_FILE_AGE: Duration = Duration::from_millis(500);

/// The anchors of a file, and when its stamp was last compared.
struct CachedFile {
    stamp: Stamp,
    checked: Instant,
    trust: Arc<TrustAnchors>,
}

/// What changes when a file does.
#[derive(PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl TrustAnchors {
    /// The configuration of a handshake that shows a client certificate.
    pub(in crate::probe) fn config_with_certificate(&self, certificate: Arc<dyn ResolvesClientCert>) -> ClientConfig {
        let mut config = self.config.clone();
        config.client_auth_cert_resolver = certificate;
        config
    }
}

impl TrustStores {
    /// No anchors are read yet.
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Self {
        let platform = tokio::sync::Mutex::default();
        Self { provider, files: Mutex::default(), max_age: MAX_FILE_AGE, platform }
    }

    /// The anchors of `file`, or the platform's, read without blocking the runtime.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub(super) async fn get(self: &Arc<Self>, file: Option<&Path>) -> Result<Loaded, String> {
        let this = Arc::clone(self);
        if let Some(path) = file {
            if let Some(cached) = lock(&self.files).get(path)
                && cached.checked.elapsed() < self.max_age
            {
                return Ok(Ok(Arc::clone(&cached.trust)));
            }
            let file = path.to_owned();
            return blocking_fs::read_with_limit(path, KIND, move || this.load_file(&file)).await;
        }
        let mut platform = self.platform.lock().await;
        match &*platform {
            Some((read, trust)) if read.elapsed() < PLATFORM_AGE => Ok(Ok(Arc::clone(trust))),
            Some(_) | None => {
                let trust =
                    blocking_fs::read_with_limit(Path::new(PLATFORM), KIND, move || this.load_platform()).await?;
                if let Ok(trust) = &trust {
                    *platform = Some((Instant::now(), Arc::clone(trust)));
                }
                Ok(trust)
            }
        }
    }

    fn load_file(&self, path: &Path) -> Result<Loaded, String> {
        let refuse = |why: &dyn std::fmt::Display| format!("CA file {}: {why}", path.display());
        let metadata = fs::metadata(path).map_err(|error| refuse(&error))?;
        if !metadata.is_file() {
            return Err(refuse(&"it is not a regular file")); // opening a pipe waits for its writer
        }
        let stamp = Stamp { modified: metadata.modified().ok(), length: metadata.len() };
        let checked = Instant::now();
        if let Some(cached) = lock(&self.files).get_mut(path)
            && cached.stamp == stamp
        {
            cached.checked = checked;
            return Ok(Ok(Arc::clone(&cached.trust)));
        }
        let roots = match read_anchors(path) {
            Ok(roots) => roots,
            Err(error) => return LocalLimit::of(&error).map_or_else(|| Err(refuse(&error)), |limit| Ok(Err(limit))),
        };
        let trust = self.with_roots(roots, TrustSource::CaFile)?;
        lock(&self.files).insert(path.to_owned(), CachedFile { stamp, checked, trust: Arc::clone(&trust) });
        Ok(Ok(trust))
    }

    fn load_platform(&self) -> Result<Loaded, String> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let limit = found.errors.iter().find_map(|error| match &error.kind {
            ErrorKind::Io { inner, .. } => LocalLimit::of(inner),
            ErrorKind::Os(_) | ErrorKind::Pem(_) | _ => None,
        });
        if let Some(limit) = limit {
            return Ok(Err(limit)); // other anchors would be used, and remembered
        }
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable > 0 {
            return self.with_roots(roots, TrustSource::Platform).map(Ok);
        }
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        self.with_roots(roots, TrustSource::CompiledIn).map(Ok)
    }

    fn with_roots(&self, roots: RootCertStore, source: TrustSource) -> Result<Arc<TrustAnchors>, String> {
        let roots = Arc::new(roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| error.to_string())?;
        // Always with the provider: the plain builder panics when a dependency brings a second one.
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_webpki_verifier(Arc::clone(&verifier))
            .with_no_client_auth();
        config.resumption = Resumption::disabled(); // or the handshake of the second probe differs from the first's
        Ok(Arc::new(TrustAnchors { source, roots, verifier, config }))
    }
}

fn read_anchors(path: &Path) -> io::Result<RootCertStore> {
    let mut pem = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is longer than the 4 MiB that trust anchors may have"));
    }
    let mut roots = RootCertStore::empty();
    let mut last_error = None;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        match certificate {
            Ok(certificate) => last_error = roots.add(certificate).err().map(|error| error.to_string()).or(last_error),
            Err(error) => {
                last_error = Some(error.to_string());
                break;
            }
        }
    }
    match (roots.is_empty(), last_error) {
        (false, _) => Ok(roots),
        (true, Some(error)) => Err(io::Error::other(format!("it holds no usable certificate: {error}"))),
        (true, None) => Err(io::Error::other("it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores() -> Arc<TrustStores> {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        Arc::new(TrustStores { max_age: Duration::ZERO, ..TrustStores::new(provider) })
    }

    #[tokio::test]
    async fn trust_store_reloads_changed_file() {
        let ca = || {
            let key = rcgen::KeyPair::generate().expect("a key");
            rcgen::CertificateParams::new(Vec::<String>::new())
                .and_then(|params| params.self_signed(&key))
                .expect("a certificate")
        };
        let path = std::env::temp_dir().join(format!("redpath-trust-{}.pem", std::process::id()));
        let stores = stores();
        fs::write(&path, ca().pem()).expect("a temporary file");
        let first = stores.get(Some(&path)).await.expect("one anchor").expect("a free descriptor");
        let again = stores.get(Some(&path)).await.expect("the same").expect("a free descriptor");
        assert!(Arc::ptr_eq(&first, &again));
        fs::write(&path, ca().pem() + &ca().pem()).expect("a temporary file");
        let rotated = stores.get(Some(&path)).await.expect("two anchors").expect("a free descriptor");
        assert_eq!((first.roots.len(), rotated.roots.len()), (1, 2));
        fs::write(&path, "nothing of use").expect("a temporary file");
        let error = stores.get(Some(&path)).await.err().expect("no anchor");
        assert!(error.contains("PEM") && error.contains("redpath-trust"), "{error}");
        fs::remove_file(&path).expect("the temporary file");
        assert!(stores.get(Some(&path)).await.err().expect("no file").contains("No such file"));
        // A folder, and nothing but a regular file: a pipe would be waited for.
        assert!(stores.get(Some(Path::new("/tmp"))).await.err().expect("a folder").contains("not a regular file"));
    }

    #[tokio::test]
    async fn trust_store_default_is_never_empty() {
        let stores = stores();
        let trust = stores.get(None).await.expect("those of the platform, or compiled in").expect("a free descriptor");
        assert!(!trust.roots.is_empty());
        assert!(Arc::ptr_eq(&trust, &stores.get(None).await.expect("the same").expect("a free descriptor")));
    }
}
