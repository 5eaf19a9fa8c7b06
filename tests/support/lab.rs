//! Two subnets on loopback, one cache: in the first the private zone is linked, in the second it is not.
//! The private endpoint and the public one are two addresses of 127.0.0.0/8, the same Redis stand-in behind both.
#![allow(dead_code, reason = "each program that includes this file uses its own part of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::dns::DnsServer;
use super::fake_redis::{FakeRedis, requiring};
use super::zone::Zone;

/// The cache's host name.
pub(crate) const HOST: &str = "cache1.redis.cache.windows.net";
/// Stands for the private endpoint.
pub(crate) const PRIVATE_ENDPOINT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
/// Stands for the public endpoint.
pub(crate) const PUBLIC_ENDPOINT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 20);

/// Everything that runs; it stops when it is dropped.
pub(crate) struct Lab {
    /// The name server of the subnet whose private zone is linked.
    pub(crate) linked: DnsServer,
    /// The name server of the subnet whose private zone is not.
    pub(crate) unlinked: DnsServer,
    /// Redis at the private endpoint.
    pub(crate) private: FakeRedis,
    /// Redis at the public endpoint, on the same port.
    pub(crate) public: FakeRedis,
    /// The certificate authority to trust, PEM.
    pub(crate) ca_file: PathBuf,
}

impl Lab {
    /// Starts it, and writes the certificate authority into `folder`. `password` is what Redis asks for.
    pub(crate) fn start(folder: &Path, password: &str) -> std::io::Result<Self> {
        let (tls, ca) = server_certificate(&["*.redis.cache.windows.net"]);
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, ca)?;
        let (private, public) = both_endpoints(&tls, password)?;
        Ok(Self {
            linked: DnsServer::start(Zone::healthy(HOST, PRIVATE_ENDPOINT).script()),
            unlinked: DnsServer::start(Zone::unlinked(HOST, PUBLIC_ENDPOINT).script()),
            private,
            public,
            ca_file,
        })
    }

    /// The port of Redis.
    pub(crate) fn port(&self) -> u16 {
        self.private.address().port()
    }
}

/// One port that is free at both addresses.
fn both_endpoints(tls: &Arc<ServerConfig>, password: &str) -> std::io::Result<(FakeRedis, FakeRedis)> {
    const TRIES: usize = 100;
    let at = |ip: Ipv4Addr, port| {
        FakeRedis::start(SocketAddr::new(IpAddr::V4(ip), port), Some(tls.clone()), requiring(password))
    };
    let mut tried = 0;
    loop {
        tried += 1;
        let private = at(PRIVATE_ENDPOINT, 0)?;
        match at(PUBLIC_ENDPOINT, private.address().port()) {
            Ok(public) => return Ok((private, public)),
            Err(error) if tried == TRIES => return Err(error),
            Err(_) => {}
        }
    }
}

/// A server's certificate for `names`, and its authority's in PEM; both valid from now, as long as Azure's are.
fn server_certificate(names: &[&str]) -> (Arc<ServerConfig>, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "redpath demo authority");
    let ca_pem = ca.self_signed(&ca_key).expect("a certificate authority").pem();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut leaf = CertificateParams::new(names.clone()).expect("names for a certificate");
    leaf.not_after = time::OffsetDateTime::now_utc() + Duration::from_secs(180 * 24 * 3600);
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, names.first().map_or("", String::as_str));
    let certificate = leaf.signed_by(&key, &issuer).expect("a certificate");

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate that fits its key");
    (Arc::new(config), ca_pem)
}
