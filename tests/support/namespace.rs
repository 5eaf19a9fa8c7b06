//! A network namespace with real addresses on its loopback: a private endpoint, a public one, and name servers on
//! port 53, so that the C library's view and resolv.conf can be tried without touching the machine's own.
#![allow(clippy::panic, reason = "a test's helper fails by it")]

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take to start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network of the namespace where nobody is: whatever is sent there is lost without a word.
pub(crate) const SILENT_NETWORK: &str = "10.99.0.0/24";

/// A namespace; it is removed when dropped, with everything that was started in it.
pub(crate) struct Namespace {
    name: String,
    folder: PathBuf,
    children: Vec<Child>,
}

impl Namespace {
    /// A namespace whose loopback has `addresses`, beside 127.0.0.1. Needs root.
    pub(crate) fn new(addresses: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("redpath-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let namespace = Self { name, folder, children: Vec::new() };
        run("ip", &["netns", "add", &namespace.name]);
        run("ip", &["-n", &namespace.name, "link", "set", "lo", "up"]);
        for address in addresses {
            run("ip", &["-n", &namespace.name, "addr", "add", address, "dev", "lo"]);
        }
        run("ip", &["-n", &namespace.name, "route", "add", "local", SILENT_NETWORK, "dev", "lo"]);
        let drop = format!(
            "add table ip lost; add chain ip lost input {{ type filter hook input priority 0; }}; add rule ip lost input ip daddr {SILENT_NETWORK} drop"
        );
        let output = namespace.command("nft").arg(&drop).output().expect("ip netns exec runs");
        assert!(output.status.success(), "nft: {} (apt-get install nftables)", String::from_utf8_lossy(&output.stderr));
        std::fs::create_dir_all(namespace.etc()).expect("a folder under /etc/netns: the tests run as root");
        namespace.hosts("");
        namespace.resolv_conf("");
        namespace
    }

    /// The folder for the files of what runs in it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file by which another program may enter it.
    pub(crate) fn handle(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Sets its resolv.conf.
    pub(crate) fn resolv_conf(&self, text: &str) {
        std::fs::write(self.etc().join("resolv.conf"), text).expect("resolv.conf of the namespace");
    }

    /// Sets what its hosts file has beside localhost.
    pub(crate) fn hosts(&self, text: &str) {
        std::fs::write(self.etc().join("hosts"), format!("127.0.0.1 localhost\n{text}"))
            .expect("hosts of the namespace");
    }

    /// A command that runs in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).stdin(Stdio::null());
        command
    }

    /// Starts a server in it, and waits until it accepts on `address`.
    pub(crate) fn start(&mut self, program: &str, arguments: &[&str], address: SocketAddr) {
        let log = std::fs::File::create(self.folder.join(format!("{}.log", self.children.len()))).expect("a log file");
        let child = self
            .command(program)
            .args(arguments)
            .current_dir(&self.folder)
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        self.children.push(child);
        let began = Instant::now();
        while !self.accepts(address) {
            assert!(began.elapsed() < PATIENCE, "{program} does not listen on {address}: {}", self.last_log());
            std::thread::yield_now();
        }
    }

    /// Ends the server that was started as the `place`th, from 0.
    pub(crate) fn stop(&mut self, place: usize) {
        let child = &mut self.children[place];
        child.kill().expect("it was running");
        child.wait().expect("it has ended");
    }

    /// Sends a signal to what was started as the `place`th, from 0.
    pub(crate) fn signal(&self, place: usize, name: &str) {
        run("sh", &["-c", &format!("kill -{name} {}", self.children[place].id())]);
    }

    fn accepts(&self, address: SocketAddr) -> bool {
        let connect = format!("exec 3<>/dev/tcp/{}/{}", address.ip(), address.port());
        self.command("bash").args(["-c", &connect]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn last_log(&self) -> String {
        let log = self.folder.join(format!("{}.log", self.children.len() - 1));
        std::fs::read_to_string(log).unwrap_or_default()
    }

    /// The folder of its resolv.conf and hosts.
    pub(crate) fn etc(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
        let _ = std::fs::remove_dir_all(self.etc());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} is missing ({error}): apt-get install iproute2"));
    assert!(
        output.status.success(),
        "{program} {}: {} (namespaces need root)",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// BIND's configuration for the tests' own world: it asks nobody else. `linked` answers the privatelink zone with
/// `private`, `unlinked` leads on to `public`.
pub(crate) fn write_bind(folder: &Path, linked: &[&str], unlinked: &[&str], private: IpAddr, public: IpAddr) {
    let soa = "$TTL 60\n@ IN SOA ns. host. 1 60 60 60 60\n@ IN NS ns.\n";
    let zone =
        |name: &str, records: &str| std::fs::write(folder.join(name), format!("{soa}{records}")).expect("a zone");
    zone("root", "ns. IN A 127.0.0.1\n");
    zone(
        "parent",
        "cache1 60 IN CNAME cache1.privatelink\nmissing 60 IN CNAME missing.privatelink\npublic 60 IN CNAME we.cloudapp.azure.com.\n\
         silent 60 IN CNAME silent.privatelink\n",
    );
    zone("private", &format!("cache1 10 IN A {private}\nsilent 10 IN A 10.99.0.5\n"));
    zone("outside", "cache1 60 IN CNAME we.cloudapp.azure.com.\nmissing 60 IN CNAME we.cloudapp.azure.com.\n");
    zone("cloudapp", &format!("we 60 IN A {public}\n"));
    let suffix = "redis.cache.windows.net";
    let view = |name: &str, servers: &[&str], privatelink: &str| {
        let to: String = servers.iter().map(|server| format!("{server}; ")).collect();
        format!(
            "view {name} {{ match-destinations {{ {to}}}; recursion yes; \
             zone \".\" {{ type primary; file \"root\"; }}; \
             zone \"{suffix}\" {{ type primary; file \"parent\"; }}; \
             zone \"privatelink.{suffix}\" {{ type primary; file \"{privatelink}\"; }}; \
             zone \"cloudapp.azure.com\" {{ type primary; file \"cloudapp\"; }}; }};\n"
        )
    };
    let configuration = format!(
        "options {{ directory \"{}\"; listen-on {{ any; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; \
         dnssec-validation no; minimal-responses yes; }};\ncontrols {{ }};\n{}{}",
        folder.display(),
        view("linked", linked, "private"),
        view("unlinked", unlinked, "outside"),
    );
    std::fs::write(folder.join("named.conf"), configuration).expect("named.conf");
}
