//! What is probed: a network namespace with nothing but loopback in it, a name server and Redis with TLS.
//!
//! The programs find it as they find any network: by `/etc/resolv.conf`, at port 53.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The address of the private endpoint, where Redis listens.
pub(crate) const ENDPOINT: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 5);
/// Redis' port.
pub(crate) const PORT: u16 = 6380;
/// Redis' password.
pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";
/// The name server of resolv.conf, and two more.
pub(crate) const NAME_SERVERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 10, 0, 53), Ipv4Addr::new(10, 10, 0, 54), Ipv4Addr::new(10, 10, 0, 55)];

/// The name of a target, from 0.
pub(crate) fn name(number: usize) -> String {
    format!("cache{number}.redis.bench.test")
}

/// Runs this program again in namespaces of its own, or returns where it runs in them already.
pub(crate) fn enter() {
    if std::env::var_os("BENCH_INSIDE").is_some() {
        return;
    }
    let inside = "set -e; ip link set lo up; for a in 10.60.4.5 10.10.0.53 10.10.0.54 10.10.0.55; do \
                  ip address add $a/32 dev lo; done; d=$(mktemp -d); printf 'nameserver 10.10.0.53\\n' > $d/resolv.conf; \
                  printf '127.0.0.1 localhost\\n' > $d/hosts; mount --bind $d/resolv.conf /etc/resolv.conf; \
                  mount --bind $d/hosts /etc/hosts; exec \"$@\"";
    let mut command = Command::new("unshare");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "sh", "-c", inside, "sh"]);
    command.args(std::env::args_os()).env("BENCH_INSIDE", "1");
    let status = command.status().expect("unshare of util-linux");
    std::process::exit(status.code().unwrap_or(1));
}

/// Whether this is root, and not merely called so in a namespace.
pub(crate) fn is_root() -> bool {
    let all = |map: String| map.split_whitespace().nth(2) == Some("4294967295");
    rustix::process::geteuid().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(all)
}

/// Name server and Redis; they end when dropped.
pub(crate) struct World {
    folder: PathBuf,
    redis: Child,
}

impl World {
    pub(crate) fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("redpath-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for server in NAME_SERVERS {
            let socket = UdpSocket::bind((server, 53)).expect("port 53 in a namespace of our own");
            thread::spawn(move || answer(&socket));
        }
        write_certificates(&folder);
        fs::write(folder.join("password"), PASSWORD).expect("a file");
        let file = |name: &str| folder.join(name).display().to_string();
        let redis = Command::new("redis-server")
            .args(["--port", "0", "--tls-port", &PORT.to_string(), "--bind", &ENDPOINT.to_string(), "--save", ""])
            .args(["--tls-cert-file", &file("redis.pem"), "--tls-key-file", &file("redis.key")])
            .args(["--tls-ca-cert-file", &file("ca.pem"), "--tls-auth-clients", "no", "--requirepass", PASSWORD])
            .args(["--dir", &folder.display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server: apt-get install redis-server");
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((ENDPOINT, PORT)).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        Self { folder, redis }
    }

    /// A file of this world.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file of this world.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.redis.kill();
        let _ = self.redis.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write_certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "bench authority");
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let leaf_key = key();
    let names = vec!["*.redis.bench.test".to_owned()];
    let leaf = CertificateParams::new(names).expect("a name").signed_by(&leaf_key, &authority).expect("a certificate");
    for (name, text) in
        [("ca.pem", authority.pem()), ("redis.pem", leaf.pem()), ("redis.key", leaf_key.serialize_pem())]
    {
        fs::write(folder.join(name), text).expect("a file");
    }
}

/// A name server of one thread: every name is an alias of its `privatelink` name, which is at [`ENDPOINT`] and
/// has no IPv6 address. What it costs is nobody's CPU time but this program's.
fn answer(socket: &UdpSocket) {
    let mut question = [0; 512];
    loop {
        let Ok((length, source)) = socket.recv_from(&mut question) else { continue };
        let Some(reply) = reply_to(&question[..length]) else { continue };
        let _ = socket.send_to(&reply, source);
    }
}

/// RFC 1035, 4.1: the question again, a CNAME to `LABEL.privatelink.REST`, and an A where one is asked for.
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
        reply.write_all(&ENDPOINT.octets()).ok()?;
    }
    Some(reply)
}

/// A listener that only says when somebody comes: for the time from the start to the first probe.
pub(crate) fn doorbell(port: u16) -> std::net::TcpListener {
    std::net::TcpListener::bind(SocketAddr::from((ENDPOINT, port))).expect("a port in a namespace of our own")
}
