//! Real name servers, BIND, with a split view on loopback: one answers as the resolver of a network whose private
//! zone is linked, one as that of a network where it is not. They ask nobody else: the root is a zone of their own.
//! Two processes, because named listens on an interface's own addresses only, and loopback has but 127.0.0.1.
#![allow(clippy::panic, reason = "a test's helper fails by it")]
#![allow(dead_code, reason = "each program that includes this file uses its own part of it")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};

/// The private path is there in the linked view; in the other the chain goes on to the public address.
pub(crate) const CACHE: &str = "cache1.redis.cache.windows.net";
/// The private zone is linked and lacks the record: NXDOMAIN in the linked view.
pub(crate) const RECORD_MISSING: &str = "missing.redis.cache.windows.net";
/// The private zone has the name without an address: NODATA in the linked view.
pub(crate) const RECORD_EMPTY: &str = "empty.redis.cache.windows.net";
/// No `privatelink` name in the chain, public in both views.
pub(crate) const NO_ENDPOINT: &str = "public.redis.cache.windows.net";
/// So many addresses that the answer is cut over UDP, in both views.
pub(crate) const MANY_ADDRESSES: &str = "many.redis.cache.windows.net";
/// Its zone does not load: SERVFAIL in both views.
pub(crate) const BROKEN: &str = "cache1.broken.example.net";
/// Nobody may ask for it: REFUSED in both views.
pub(crate) const REFUSED: &str = "cache1.refused.example.net";
/// Two aliases of each other, in both views.
pub(crate) const LOOP: &str = "loop.redis.cache.windows.net";
/// An AAAA beside the A, private in the linked view alone.
pub(crate) const DUAL_STACK: &str = "dual.redis.cache.windows.net";

/// How many addresses [`MANY_ADDRESSES`] has: more than 1232 bytes of them, and no more than BIND takes (100).
pub(crate) const MANY: usize = 95;

/// The running servers; they are killed when dropped, and their folder removed.
pub(crate) struct Bind {
    linked: Running,
    unlinked: Running,
    _folder: Folder,
}

impl Bind {
    /// Starts them. [`CACHE`] is at `private` for the linked one and at `public` for the other.
    pub(crate) fn start(private: IpAddr, public: IpAddr) -> Self {
        let program = find_named();
        let folder = Folder::new();
        // Debian's AppArmor profile keeps /usr/sbin/named out of every folder but its own; it goes by the path.
        let copy = folder.0.join("named");
        std::fs::copy(&program, &copy).expect("a copy of named");
        write_zones(&folder.0, private, public);
        Self {
            linked: Running::start(&copy, &folder.0, "linked"),
            unlinked: Running::start(&copy, &folder.0, "unlinked"),
            _folder: folder,
        }
    }

    /// The resolver of a network whose private zone is linked.
    pub(crate) fn linked(&self) -> SocketAddr {
        self.linked.address
    }

    /// The resolver of a network whose private zone is not linked.
    pub(crate) fn unlinked(&self) -> SocketAddr {
        self.unlinked.address
    }
}

/// One process.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    /// Starts it, with the file of that name for the private zone, and waits until it answers.
    fn start(program: &Path, folder: &Path, private_zone: &str) -> Self {
        const TRIES: usize = 5;
        let mut log = String::new();
        for _ in 0..TRIES {
            // The port may be taken between finding it and using it; then the next one is tried.
            match Self::start_at(free_port(), program, folder, private_zone) {
                Ok(running) => return running,
                Err(says) => log = says,
            }
        }
        panic!("named does not answer; its log:\n{log}");
    }

    fn start_at(address: SocketAddr, program: &Path, folder: &Path, private_zone: &str) -> Result<Self, String> {
        let own = folder.join(format!("{private_zone}.d"));
        std::fs::create_dir_all(&own).expect("a folder for what named writes");
        let file = own.join("named.conf");
        std::fs::write(&file, configuration(&own, address, private_zone)).expect("named.conf");
        let mut command = Command::new(program);
        command.args(["-g", "-n", "1", "-4", "-c"]).arg(file);
        command.current_dir(&own).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Self { child: command.spawn().expect("named starts"), address };
        let lines = lines_of(running.child.stderr.take().expect("its standard error"));
        let mut log = Vec::new();
        let until = Instant::now() + Duration::from_secs(20);
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            let ready = line.ends_with(" running");
            log.push(line);
            if ready && (0..10).any(|_| answers(address)) {
                return Ok(running);
            }
            if ready {
                break;
            }
        }
        Err(log.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines as they come, read on a thread of their own so that the writer never waits.
fn lines_of(stderr: ChildStderr) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line); // nobody listens any more once it runs
        }
    });
    receiver
}

/// Whether it answers, and from the zones of this very process.
fn answers(server: SocketAddr) -> bool {
    let has_text = |reply: Message| reply.answers.iter().any(|record| matches!(record.data, RData::TXT(_)));
    ask(server, &ready_name(), RecordType::TXT).is_some_and(has_text)
}

/// Where it works; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bind-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder for named");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn find_named() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    let found = folders.map(|folder| folder.join("named")).find(|program| program.is_file());
    found.expect("BIND's named is not installed: `make test` installs it, or run `apt-get install bind9`")
}

fn free_port() -> SocketAddr {
    for _ in 0..100 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
        let address = tcp.local_addr().expect("the address of a bound socket");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of 127.0.0.1 is free for both UDP and TCP");
}

fn configuration(folder: &Path, address: SocketAddr, private_zone: &str) -> String {
    let (folder, ip, port) = (folder.display(), address.ip(), address.port());
    let zone = |name: &str, file: &str| format!("zone \"{name}\" {{ type primary; file \"../{file}\"; }};\n");
    let zones = [
        zone(".", "root"),
        zone("redis.cache.windows.net", "parent"),
        zone("privatelink.redis.cache.windows.net", private_zone),
        zone("westeurope.cloudapp.azure.com", "regional"),
        zone("broken.example.net", "no-such-file"),
    ];
    let zones = zones.concat();
    // `recursion yes`, so that a chain is followed from zone to zone, as a resolver does.
    format!(
        r#"options {{
  directory "{folder}";
  listen-on port {port} {{ {ip}; }};
  listen-on-v6 {{ none; }};
  recursion yes;
  allow-recursion {{ any; }};
  dnssec-validation no;
  empty-zones-enable no;
  notify no;
  max-udp-size 1232;
  pid-file none;
  session-keyfile none;
  lock-file none;
}};
controls {{ }};
{zones}zone "refused.example.net" {{ type primary; file "../refused"; allow-query {{ none; }}; }};
"#
    )
}

fn write_zones(folder: &Path, private: IpAddr, public: IpAddr) {
    let header = "$TTL 60\n@ SOA ns.example.net. hostmaster.example.net. 1 3600 300 86400 10\n@ NS ns.example.net.\n";
    let link = |name: &str| format!("{name} 120 CNAME {name}.privatelink.redis.cache.windows.net.\n");
    let mut parent: String = ["cache1", "missing", "empty", "dual"].map(link).concat();
    parent += "public 120 CNAME public-we.westeurope.cloudapp.azure.com.\n";
    parent += "loop 120 CNAME loop2\nloop2 120 CNAME loop\n";
    for number in 1..=MANY {
        let _ = writeln!(parent, "many 60 A 10.1.1.{number}");
    }
    let private_zone = format!(
        "cache1 10 {}\nempty 10 TXT \"no address\"\ndual 10 {}\ndual 10 AAAA fd10::5\n",
        record(private),
        record(private),
    );
    let regional = |name: &str| format!("{name} 60 CNAME {name}-we.westeurope.cloudapp.azure.com.\n");
    let public_zone: String = ["cache1", "missing", "empty", "dual"].map(regional).concat();
    let at = |name: &str| format!("{name}-we 60 {}\n", record(public));
    let regional_zone: String = ["cache1", "missing", "empty", "dual", "public"].map(at).concat();
    let ready = format!("ready-{} 0 TXT \"ready\"\nns.example.net. A 127.0.0.1\n", std::process::id());
    for (file, records) in [
        ("root", ready),
        ("parent", parent),
        ("linked", private_zone),
        ("unlinked", public_zone),
        ("regional", regional_zone),
        ("refused", String::new()),
    ] {
        std::fs::write(folder.join(file), format!("{header}{records}")).expect("a zone file");
    }
}

fn record(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("A {ip}"),
        IpAddr::V6(ip) => format!("AAAA {ip}"),
    }
}

fn ready_name() -> String {
    format!("ready-{}.", std::process::id())
}

/// Asks once, and waits at most a tenth of a second.
fn ask(server: SocketAddr, name: &str, record_type: RecordType) -> Option<Message> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).ok()?, record_type));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
    socket.connect(server).ok()?;
    socket.send(&message.to_vec().ok()?).ok()?;
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer).ok()?;
    Message::from_vec(&buffer[..length]).ok()
}
