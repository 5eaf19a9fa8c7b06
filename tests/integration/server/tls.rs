//! TLS and client certificates of the web configuration file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redpath::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::client::{Answer, answer, ask_on};
use super::harness::{Authority, Directory, Identity, Server, Setup, eventually};

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
const ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

struct Client<'a> {
    trusts: &'a Authority,
    shows: Option<&'a Identity>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl Client<'_> {
    async fn connect(&self, server: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_by(server, &[]).await
    }

    /// The same, by one of these protocols (ALPN).
    async fn connect_by(&self, server: SocketAddr, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.pem.as_bytes()).expect("PEM")).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("PEM")];
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
                builder.with_client_auth_cert(chain, key).expect("a key for its certificate")
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = TcpStream::connect(server).await?;
        let name = ServerName::try_from("redpath.example").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// The answer, where client and server agree on the connection.
    async fn get(&self, server: SocketAddr, path: &str) -> Option<Answer> {
        ask_on(self.connect(server).await.ok()?, "GET", path, "").await
    }
}

fn write(directory: &Directory, identity: &Identity) {
    directory.write("tls.crt", &identity.certificate);
    directory.write("tls.key", &identity.key);
}

async fn start(directory: &Directory, authority: &Authority, rest: &str) -> Server {
    write(directory, &authority.issue(&["redpath.example"]));
    let text = format!("tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n{rest}");
    Setup::with_web_config(directory, &text).start().await
}

#[tokio::test]
async fn web_tls_refuses_plaintext() {
    let (directory, authority) = (Directory::new(), Authority::new());
    let server = start(&directory, &authority, "").await;
    let client = Client { trusts: &authority, shows: None, versions: BOTH };
    assert_eq!(client.get(server.address, "/metrics").await.expect("an answer").status, 200);
    let stream = TcpStream::connect(server.address).await.expect("accepted");
    assert!(ask_on(stream, "GET", "/metrics", "").await.is_none(), "plain HTTP");
    let other = Authority::new();
    assert!(Client { trusts: &other, ..client }.get(server.address, "/metrics").await.is_none());
}

#[tokio::test]
async fn web_tls_versions_as_configured() {
    let (directory, authority) = (Directory::new(), Authority::new());
    let server = start(&directory, &authority, "  min_version: TLS12\n  max_version: TLS12\n").await;
    let client = Client { trusts: &authority, shows: None, versions: ONLY_13 };
    assert!(client.get(server.address, "/metrics").await.is_none(), "TLS 1.3 is not offered");
    assert!(Client { versions: BOTH, ..client }.connect(server.address).await.is_ok(), "TLS 1.2");
}

#[tokio::test]
async fn web_tls_client_certificates_as_configured() {
    let authority = Authority::new();
    let (clients, strangers) = (Authority::new(), Authority::new());
    let known = clients.issue(&["prometheus.example"]);
    let stranger = strangers.issue(&["prometheus.example"]);
    let no = (false, false, false);
    // Let in without a certificate, with one of the authority, with a stranger's.
    for (policy, verifies, expected) in [
        ("NoClientCert", false, (true, true, true)),
        ("RequestClientCert", false, (true, true, true)),
        ("RequireAnyClientCert", false, (false, true, true)),
        ("VerifyClientCertIfGiven", true, (true, true, false)),
        ("RequireAndVerifyClientCert", true, (false, true, false)),
    ] {
        for versions in [ONLY_12, ONLY_13] {
            let directory = Directory::new();
            directory.write("ca.crt", &clients.pem);
            let ca = if verifies { "  client_ca_file: ca.crt\n" } else { "" };
            let server = start(&directory, &authority, &format!("  client_auth_type: {policy}\n{ca}")).await;
            let mut seen = no;
            let client = |shows| Client { trusts: &authority, shows, versions };
            seen.0 = client(None).get(server.address, "/metrics").await.is_some();
            seen.1 = client(Some(&known)).get(server.address, "/metrics").await.is_some();
            seen.2 = client(Some(&stranger)).get(server.address, "/metrics").await.is_some();
            assert_eq!(seen, expected, "{policy} over {versions:?}");
        }
    }
}

#[tokio::test]
async fn web_tls_only_allowed_names() {
    let (directory, authority, clients) = (Directory::new(), Authority::new(), Authority::new());
    directory.write("ca.crt", &clients.pem);
    let rest = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [prometheus.example, 10.1.2.3]\n";
    let server = start(&directory, &authority, rest).await;
    for (names, let_in) in [
        (&["prometheus.example"][..], true),
        (&["other.example", "prometheus.example"], true),
        (&["10.1.2.3"], true),
        (&["10.1.2.4"], false),
        (&["sub.prometheus.example"], false),
        (&[], false),
    ] {
        let identity = clients.issue(names);
        let client = Client { trusts: &authority, shows: Some(&identity), versions: BOTH };
        assert_eq!(client.get(server.address, "/metrics").await.is_some(), let_in, "{names:?}");
    }
}

#[tokio::test]
async fn web_tls_rotated_certificate_is_reloaded() {
    let (directory, authority) = (Directory::new(), Authority::new());
    let server = start(&directory, &authority, "").await;
    let client = Client { trusts: &authority, shows: None, versions: BOTH };
    let mut open = client.connect(server.address).await.expect("a connection");
    let next = Authority::new();
    write(&directory, &next.issue(&["redpath.example"]));
    let client = Client { trusts: &next, ..client };
    eventually("the new certificate is shown", || async { client.connect(server.address).await.is_ok() }).await;
    // A connection that was open before gets one more response.
    open.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: redpath\r\n\r\n").await.expect("sent");
    let mut received = Vec::new();
    open.read_to_end(&mut received).await.expect("a response and the end");
    let response = answer(&received).expect("a response");
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
}

#[tokio::test]
async fn web_tls_missing_handshake_times_out() {
    let (directory, authority) = (Directory::new(), Authority::new());
    write(&directory, &authority.issue(&["redpath.example"]));
    let setup = Setup::with_web_config(&directory, "tls_server_config: {cert_file: tls.crt, key_file: tls.key}");
    let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
    let server = Setup { limits, ..setup }.start().await;
    let mut silent = TcpStream::connect(server.address).await.expect("accepted");
    assert_eq!(silent.read(&mut [0; 1]).await.expect("a clean end"), 0);
}

#[tokio::test]
async fn web_tls_does_not_negotiate_http_2() {
    let (directory, authority) = (Directory::new(), Authority::new());
    let server = start(&directory, &authority, "http_server_config: {http2: true}\n").await;
    let connected = |protocols: &'static [&'static [u8]]| {
        let client = Client { trusts: &authority, shows: None, versions: BOTH };
        async move { client.connect_by(server.address, protocols).await }
    };
    let agreed = |stream: &TlsStream<TcpStream>| stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let stream = connected(&[b"h2", b"http/1.1"]).await.expect("both");
    assert_eq!(agreed(&stream).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(ask_on(stream, "GET", "/metrics", "").await.expect("an answer").status, 200);
    assert!(connected(&[b"h2"]).await.is_err(), "HTTP/2 alone");
    let stream = connected(&[]).await.expect("no word on it");
    assert_eq!(agreed(&stream), None);
}
