//! The server's side of TLS, from the web configuration's `tls_server_config`.
//!
//! What rustls cannot do is refused with what it can: nothing that was asked for is left out in silence.

pub(crate) mod client;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{NamedGroup, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use zeroize::Zeroizing;

use client::ClientCertificates;

use crate::bounded_read::{self, FileKind};

/// `tls_server_config`, read but not yet tried.
pub(crate) struct TlsSettings {
    /// The certificate chain, PEM, leaf first.
    pub(crate) cert_file: PathBuf,
    /// Its key, PEM.
    pub(crate) key_file: PathBuf,
    /// What is asked of clients.
    pub(crate) client: ClientCertificates,
    /// The lowest version.
    pub(crate) min_version: Version,
    /// The highest version.
    pub(crate) max_version: Version,
    /// The suites, in order of preference; every one of ring where empty.
    pub(crate) cipher_suites: Vec<SupportedCipherSuite>,
    /// Whether the server's order of suites decides.
    pub(crate) prefer_server_cipher_suites: bool,
    /// The key exchange groups, in order of preference; every one of ring where empty.
    pub(crate) curves: Vec<&'static dyn SupportedKxGroup>,
}

/// A TLS version, as the web configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// `TLS12`.
    Tls12,
    /// `TLS13`.
    Tls13,
}

/// The longest file that is read.
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

    let provider = Arc::new(provider(settings));
    let versions: Vec<&'static SupportedProtocolVersion> = [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)]
        .into_iter()
        .filter(|(version, _)| (settings.min_version..=settings.max_version).contains(version))
        .map(|(_, version)| version)
        .collect();
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| format!("min_version, max_version and cipher_suites leave nothing to offer: {error}"))?
        .with_client_cert_verifier(client::verifier(&settings.client, &provider)?)
        .with_single_cert(chain, key)
        .map_err(|error| {
            let (cert, key) = (settings.cert_file.display(), settings.key_file.display());
            format!("cert_file {cert} and key_file {key} cannot be used together: {error}")
        })?;
    config.ignore_client_order = settings.prefer_server_cipher_suites;
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
        .map_err(|error| format!("{key} {}: {error}", path.display()))
}

/// The suite of an IANA name.
///
/// # Errors
/// A sentence with the names that are accepted.
pub(crate) fn cipher_suite(name: &str) -> Result<SupportedCipherSuite, String> {
    let known = ring::ALL_CIPHER_SUITES;
    known.iter().find(|suite| iana_name(suite) == name).copied().ok_or_else(|| {
        let accepted: Vec<String> = known.iter().map(iana_name).collect();
        format!("{name:?} is not a cipher suite of this server: {} are", accepted.join(", "))
    })
}

/// The key exchange group of a name of the web configuration.
///
/// # Errors
/// A sentence with the names that are accepted.
pub(crate) fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, String> {
    let wanted = match name {
        "X25519" => NamedGroup::X25519,
        "CurveP256" => NamedGroup::secp256r1,
        "CurveP384" => NamedGroup::secp384r1,
        _ => NamedGroup::Unknown(0),
    };
    ring::ALL_KX_GROUPS
        .iter()
        .find(|group| group.name() == wanted)
        .copied()
        .ok_or_else(|| format!("{name:?} is not a curve of this server: X25519, CurveP256, CurveP384 are"))
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

fn provider(settings: &TlsSettings) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        let mut suites = settings.cipher_suites.clone();
        // As in Go, whose names these are: a list of TLS 1.2 suites says nothing of those of TLS 1.3.
        if !suites.iter().any(|suite| suite.tls13().is_some()) {
            suites.extend(provider.cipher_suites.iter().filter(|suite| suite.tls13().is_some()));
        }
        provider.cipher_suites = suites;
    }
    if !settings.curves.is_empty() {
        provider.kx_groups.clone_from(&settings.curves);
    }
    provider
}

/// rustls writes `TLS13_AES_…` where IANA (and Go) write `TLS_AES_…`.
fn iana_name(suite: &SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    name.strip_prefix("TLS13_").map_or(name.clone(), |rest| format!("TLS_{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_names_are_iana_and_missing_is_named() {
        for name in ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"] {
            assert!(cipher_suite(name).is_ok(), "{name}");
        }
        let error = cipher_suite("TLS_RSA_WITH_AES_128_CBC_SHA").expect_err("not in rustls");
        assert!(error.contains("TLS_RSA_WITH_AES_128_CBC_SHA") && error.contains("TLS_AES_256_GCM_SHA384"), "{error}");
        assert!(["X25519", "CurveP256", "CurveP384"].into_iter().all(|name| curve(name).is_ok()));
        let error = curve("CurveP521").map(|_| ()).expect_err("not in ring");
        assert!(error.contains("CurveP384"), "{error}");
        assert!(version("TLS10").expect_err("too old").contains("TLS12"));
    }

    #[test]
    fn tls_mismatched_files_are_named() {
        let directory = std::env::temp_dir().join(format!("redpath-tls-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
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
                cipher_suites: Vec::new(),
                prefer_server_cipher_suites: true,
                curves: Vec::new(),
            })
            .map(|_| ())
        };
        assert_eq!(tried(&cert, &key), Ok(()));
        for (cert, key, expected) in [
            (&cert, &other_key, "cannot be used together"),
            (&key, &key, "holds no certificate in PEM"),
            (&cert, &cert, "holds no private key in PEM"),
            (&write("empty", ""), &key, "holds no certificate"),
            (&directory.join("none.crt"), &key, "none.crt: there is no such file"),
            (&directory, &key, "it is a directory"),
        ] {
            let error = tried(cert, key).expect_err("refused");
            assert!(error.contains(expected) && !error.contains("PRIVATE KEY"), "{error}");
        }
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
