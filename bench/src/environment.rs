//! The test environment: a network namespace with only loopback in it, a DNS server and Redis with TLS.
//! The programs find them as usual: through `/etc/resolv.conf`, at port 53.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// The private endpoint, where Redis listens.
const ENDPOINT: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 5);
/// A second one, where [`Environment::second_redis`] listens.
const SECOND_ENDPOINT: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 6);
/// The DNS server of resolv.conf.
const DNS_SERVER: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 53);
/// The port of Redis.
pub(crate) const PORT: u16 = 6380;
/// The password of Redis.
pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";

/// The host name of a target, counted from 0.
pub(crate) fn host(number: usize) -> String {
    format!("cache{number}.redis.bench.test")
}

/// The host name of a target at the second endpoint, counted from 0.
pub(crate) fn second_host(number: usize) -> String {
    format!("second{number}.redis.bench.test")
}

/// Runs this program again in new network and mount namespaces, and exits with its status; returns if inside already.
pub(crate) fn enter_namespace() {
    const INSIDE: &str = "REDPATH_BENCH_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let script = "set -e; ip link set lo up; ip address add 10.60.4.5/32 dev lo; ip address add 10.60.4.6/32 dev lo; ip address add 10.10.0.53/32 dev lo; \
                  d=$(mktemp -d); printf 'nameserver 10.10.0.53\\n' > $d/resolv.conf; \
                  printf '127.0.0.1 localhost\\n' > $d/hosts; mount --bind $d/resolv.conf /etc/resolv.conf; \
                  mount --bind $d/hosts /etc/hosts; exec \"$@\"";
    let mut command = Command::new("unshare");
    let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !is_root {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "sh", "-c", script, "sh"]).args(std::env::args_os()).env(INSIDE, "1");
    let status = command.status().expect("unshare of util-linux");
    std::process::exit(status.code().unwrap_or(1));
}

/// DNS and Redis; dropping it stops Redis.
pub(crate) struct Environment {
    folder: TempDir,
    redis: Child,
}

impl Environment {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = UdpSocket::bind((DNS_SERVER, 53)).expect("port 53 in this namespace");
        thread::spawn(move || answer_queries(&socket));
        write_certificates(folder.path());
        let redis = start_redis(folder.path(), ENDPOINT);
        let environment = Self { folder, redis };
        environment.write("password", PASSWORD);
        environment
    }

    /// Starts Redis at the second endpoint. The caller ends it.
    pub(crate) fn second_redis(&self) -> Child {
        start_redis(self.folder.path(), SECOND_ENDPOINT)
    }

    /// The path of a file in the temporary folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the temporary folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = self.redis.kill();
        let _ = self.redis.wait();
    }
}

fn start_redis(folder: &Path, endpoint: Ipv4Addr) -> Child {
    let file = |name: &str| folder.join(name).display().to_string();
    let redis = Command::new("redis-server")
        .args(["--port", "0", "--tls-port", &PORT.to_string(), "--bind", &endpoint.to_string(), "--save", ""])
        .args(["--tls-cert-file", &file("redis.pem"), "--tls-key-file", &file("redis.key")])
        .args(["--tls-ca-cert-file", &file("ca.pem"), "--tls-auth-clients", "no", "--requirepass", PASSWORD])
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server");
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((endpoint, PORT)).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not listen");
        thread::sleep(Duration::from_millis(5));
    }
    redis
}

fn write_certificates(folder: &Path) {
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "redpath bench CA");
    let ca = CertifiedIssuer::self_signed(params, key()).expect("a CA");
    let leaf_key = key();
    let names = vec!["*.redis.bench.test".to_owned()];
    let leaf = CertificateParams::new(names).expect("a name").signed_by(&leaf_key, &ca).expect("a certificate");
    for (name, text) in [("ca.pem", ca.pem()), ("redis.pem", leaf.pem()), ("redis.key", leaf_key.serialize_pem())] {
        fs::write(folder.join(name), text).expect("a file");
    }
}

/// A DNS server: every name is an alias of its `privatelink` name, which has the address [`ENDPOINT`], or
/// [`SECOND_ENDPOINT`] if it starts with `second`, and no IPv6 address.
fn answer_queries(socket: &UdpSocket) {
    let mut query = [0; 512];
    loop {
        let Ok((length, source)) = socket.recv_from(&mut query) else { continue };
        let Some(reply) = reply_to(&query[..length]) else { continue };
        let _ = socket.send_to(&reply, source);
    }
}

/// RFC 1035, section 4.1: the question, a CNAME to `LABEL.privatelink.REST`, and an A record if one is asked for.
fn reply_to(question: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let mut end = HEADER;
    while *question.get(end)? != 0 {
        end += usize::from(question[end]) + 1;
    }
    let record_type = u16::from_be_bytes([*question.get(end + 1)?, *question.get(end + 2)?]);
    let name = &question[HEADER..=end];
    let first = usize::from(name[0]) + 1;
    let alias = [&name[..first], b"\x0bprivatelink", &name[first..]].concat();
    let has_address = record_type == 1;
    let mut reply = question[..end + 5].to_vec();
    reply[2..4].copy_from_slice(&[0x81, 0x80]); // a response, recursion available, no error
    reply[4..12].copy_from_slice(&[0, 1, 0, 1 + u8::from(has_address), 0, 0, 0, 0]);
    let alias_at = u16::try_from(reply.len() + 12).ok()? | 0xC000;
    reply.write_all(&[0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60]).ok()?;
    reply.write_all(&u16::try_from(alias.len()).ok()?.to_be_bytes()).ok()?;
    reply.write_all(&alias).ok()?;
    if has_address {
        reply.write_all(&alias_at.to_be_bytes()).ok()?;
        reply.write_all(&[0, 1, 0, 1, 0, 0, 0, 60, 0, 4]).ok()?;
        let endpoint = if name[1..].starts_with(b"second") { SECOND_ENDPOINT } else { ENDPOINT };
        reply.write_all(&endpoint.octets()).ok()?;
    }
    Some(reply)
}
