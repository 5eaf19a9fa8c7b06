//! The server's side of TLS, from the web configuration's `tls_server_config`.
//!
//! A setting that rustls does not support is an error that names the supported ones; none is ignored.

pub(crate) mod client;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};
use zeroize::Zeroizing;

use client::ClientCertificates;

use crate::bounded_read::{self, FileKind};
use crate::secret::quote;

/// `tls_server_config`, parsed; its files are not read yet.
pub(crate) struct TlsSettings {
    /// The certificate chain, PEM, leaf first.
    pub(crate) cert_file: PathBuf,
    /// Its key, PEM.
    pub(crate) key_file: PathBuf,
    /// The client certificates.
    pub(crate) client: ClientCertificates,
    /// The lowest version.
    pub(crate) min_version: Version,
    /// The highest version.
    pub(crate) max_version: Version,
}

/// A TLS version, as the web configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// `TLS12`.
    Tls12,
    /// `TLS13`.
    Tls13,
}

/// The maximum size of a file.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// Reads the files and builds the configuration.
///
/// # Errors
/// A sentence that names the key and the file.
pub(crate) fn server_config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates("cert_file", &settings.cert_file)?;
    let key = Zeroizing::new(read("key_file", &settings.key_file)?);
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| format!("key_file {} holds no private key in PEM", settings.key_file.display()))?;

    let provider = Arc::new(ring::default_provider());
    let versions: Vec<&'static SupportedProtocolVersion> = [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)]
        .into_iter()
        .filter(|(version, _)| (settings.min_version..=settings.max_version).contains(version))
        .map(|(_, version)| version)
        .collect();
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| format!("min_version and max_version leave no version to offer: {error}"))?
        .with_client_cert_verifier(client::verifier(&settings.client, &provider)?)
        .with_single_cert(chain, key)
        .map_err(|error| {
            let (cert, key) = (settings.cert_file.display(), settings.key_file.display());
            format!("cert_file {cert} and key_file {key} cannot be used together: {error}")
        })?;
    config.ignore_client_order = true; // the server's preference, as in the toolkit
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// A sentence that names the key and the file.
pub(crate) fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(key, path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(format!("{key} {} holds no certificate in PEM", path.display())),
    }
}

/// Reads a file of bounded length.
///
/// # Errors
/// A sentence that names the key and the file.
pub(crate) fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    bounded_read::read(path, FileKind::FileOrPipe, MAX_FILE_BYTES)
        .map_err(|error| format!("{key} {}: {error}", quote::path(path)))
}

/// The version of a name of the web configuration.
///
/// # Errors
/// A sentence with the names that are accepted.
pub(crate) fn version(name: &str) -> Result<Version, String> {
    match name {
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        _ => Err(format!("{name:?} is not a version of this server: TLS12 and TLS13 are")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_mismatched_files_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let one = rcgen::generate_simple_self_signed(vec!["a.example".into()]).expect("a certificate");
        let two = rcgen::generate_simple_self_signed(vec!["a.example".into()]).expect("a certificate");
        let cert = write("one.crt", &one.cert.pem());
        let (key, other_key) =
            (write("one.key", &one.signing_key.serialize_pem()), write("two.key", &two.signing_key.serialize_pem()));
        let tried = |cert_file: &Path, key_file: &Path| {
            server_config(&TlsSettings {
                cert_file: cert_file.into(),
                key_file: key_file.into(),
                client: ClientCertificates { policy: client::Policy::None, ca_file: None, allowed_sans: Vec::new() },
                min_version: Version::Tls12,
                max_version: Version::Tls13,
            })
            .map(|_| ())
        };
        assert_eq!(tried(&cert, &key), Ok(()));
        for (cert, key, expected) in [
            (&cert, &other_key, "cannot be used together"),
            (&key, &key, "holds no certificate in PEM"),
            (&cert, &cert, "holds no private key in PEM"),
            (&write("empty", ""), &key, "holds no certificate"),
            (&directory.path().join("none.crt"), &key, "none.crt: there is no such file"),
            (&directory.path().to_owned(), &key, "it is a directory"),
        ] {
            let error = tried(cert, key).expect_err("refused");
            assert!(error.contains(expected) && !error.contains("PRIVATE KEY"), "{error}");
        }
    }
}
