//! Certificates made for one test: an authority, and servers' certificates good and bad.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The name that the good certificates cover.
pub(crate) const NAME: &str = "cache1.redis.cache.windows.net";

/// The address of the private endpoint in a namespace of the tests.
pub(crate) const ENDPOINT: &str = "10.60.4.5";

/// A directory under the system's temporary one, removed when dropped.
pub(crate) struct Directory(tempfile::TempDir);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let prefix = format!("redpath-{name}-");
        Self(tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Of the authority, for [`NAME`], valid.
    Good,
    /// As good, and it covers the address [`ENDPOINT`] too.
    WithEndpoint,
    /// As good, and for `localhost`.
    Localhost,
    /// As good, and for every cache of the service: what Azure gives to each of its customers.
    Wildcard,
    /// As good, and for every Managed Redis of a region.
    ManagedRedis,
    /// For `other.example.net`.
    WrongName,
    /// Valid until 2020.
    Expired,
    /// Valid from 2090.
    NotYetValid,
    /// Of another authority.
    Untrusted,
    /// Of another authority that has the same name.
    Impostor,
    /// Of another authority, for another name, valid until 2020.
    AllWrong,
    /// For another name, valid until 2020.
    WrongNameAndExpired,
    /// Signed by itself.
    SelfSigned,
}

/// The files of a certificate and its key, PEM.
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// What a scripted server speaks TLS with.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(&self.certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate that fits its key");
        Arc::new(config)
    }
}

/// An authority and what it has signed.
pub(crate) struct Certificates {
    directory: Directory,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let directory = Directory::new("certificates");
        let authority = authority("redpath test authority");
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("a temporary file");
        Self { directory, authority }
    }

    /// The authority's own certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Makes a certificate and writes it down.
    pub(crate) fn leaf(&self, leaf: Leaf) -> Files {
        let names = match leaf {
            Leaf::WrongName | Leaf::AllWrong | Leaf::WrongNameAndExpired => vec!["other.example.net".to_owned()],
            Leaf::Localhost => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            Leaf::Wildcard => vec!["*.redis.cache.windows.net".to_owned()],
            Leaf::ManagedRedis => vec!["*.westeurope.redis.azure.net".to_owned()],
            Leaf::WithEndpoint => vec![NAME.to_owned(), ENDPOINT.to_owned()],
            _ => vec![NAME.to_owned(), "127.0.0.1".to_owned()],
        };
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "redpath test server");
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        // The nodes of a cluster are each other's clients.
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        (params.not_before, params.not_after) = match leaf {
            Leaf::Expired | Leaf::AllWrong | Leaf::WrongNameAndExpired => {
                (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1))
            }
            Leaf::NotYetValid => (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1)),
            _ => (date_time_ymd(2020, 1, 1), date_time_ymd(2080, 1, 1)),
        };
        let key = KeyPair::generate().expect("a key");
        let certificate = match leaf {
            Leaf::SelfSigned => params.self_signed(&key),
            Leaf::Untrusted | Leaf::AllWrong => params.signed_by(&key, &authority("somebody else's authority")),
            Leaf::Impostor => params.signed_by(&key, &authority("redpath test authority")),
            Leaf::Good
            | Leaf::WithEndpoint
            | Leaf::Localhost
            | Leaf::Wildcard
            | Leaf::ManagedRedis
            | Leaf::WrongName
            | Leaf::Expired
            | Leaf::NotYetValid
            | Leaf::WrongNameAndExpired => params.signed_by(&key, &self.authority),
        };
        let at = |end: &str| self.directory.path().join(format!("{leaf:?}-{end}.pem"));
        let files = Files { certificate: at("certificate"), key: at("key") };
        std::fs::write(&files.certificate, certificate.expect("a certificate").pem()).expect("a temporary file");
        std::fs::write(&files.key, key.serialize_pem()).expect("a temporary file");
        files
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}
