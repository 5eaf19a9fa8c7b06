//! The packages: what is in them, and a life of the Debian one under a real systemd: installed, configured, started
//! as its unit says, reloaded, killed by the watchdog, upgraded and purged.
#![allow(clippy::panic, reason = "a test's helper fails by it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::dns::DnsServer;
use crate::support::redis::{Redis, free_port};
use crate::support::release;
use crate::support::systemd::Systemd;
use crate::support::zone::Zone;

const KEY: &str = "canary-0f-a-cr3dential";

/// The most exposure that `systemd-analyze security` may see, in tenths.
const EXPOSURE: &str = "15";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn printed(command: &mut Command, install: &str) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: apt-get install {install}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Packs it; `version` where it is not to be Cargo.toml's.
fn package(kind: &str, version: &[&str]) -> PathBuf {
    release::binary();
    let path = printed(Command::new(root().join("scripts/package.sh")).arg(kind).args(version), "dpkg");
    root().join(path.trim())
}

/// Compares with a reviewed file; `REWRITE_FIXTURES=1` writes it.
fn is_as_reviewed(name: &str, list: &str) {
    let path = root().join("tests/fixtures/package").join(name);
    if std::env::var_os("REWRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, list).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(list, reviewed, "{}: REWRITE_FIXTURES=1, and read the difference", path.display());
}

/// Mode, owner and path of each file of `tar -tv`'s or `rpm -qlv`'s list.
fn files(list: &str, owner: std::ops::Range<usize>) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let owner = words[owner.clone()].join("/");
        format!("{} {owner} {}\n", words[0], words.last().unwrap().trim_start_matches('.'))
    };
    let mut lines: Vec<String> = list.lines().filter(|line| !line.ends_with('/')).map(line).collect();
    lines.sort_by(|a, b| a.split(' ').next_back().cmp(&b.split(' ').next_back()));
    lines.concat()
}

#[test]
fn unit_hardening_is_reviewed() {
    let unit = root().join("systemd/redpath.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE]).arg(&unit);
    let table = printed(&mut analyze, "systemd");
    let figure = table.split("Overall exposure level for redpath.service: ").nth(1).unwrap().trim();
    let docs = include_str!("../../docs/systemd.md");
    let stated = figure.split_whitespace().next().unwrap();
    assert!(docs.contains(&format!("exposure level for redpath.service: {stated} OK`")), "docs/systemd.md: {figure}");
    // Every setting that restricts stands under a line that says why.
    let text = std::fs::read_to_string(&unit).unwrap();
    let service = text.split("[Service]").nth(1).unwrap().split("[Install]").next().unwrap();
    let settings: Vec<&str> = service.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(settings.len() > 30 && service.matches("\n# ").count() > 20, "{}", settings.len());
    let service = text.split("[Service]").nth(1).unwrap();
    assert!(service.trim_start().starts_with("# "), "a reason comes first");
}

#[test]
fn deb_contents_are_reviewed() {
    let deb = package("deb", &[]);
    assert_eq!(deb.file_name().unwrap().to_str().unwrap(), format!("redpath_{}_amd64.deb", env!("CARGO_PKG_VERSION")));
    let list = printed(Command::new("dpkg-deb").arg("-c").arg(&deb), "dpkg");
    is_as_reviewed("deb.txt", &files(&list, 1..2));
    let field = |name: &str| printed(Command::new("dpkg-deb").arg("-f").arg(&deb).arg(name), "dpkg").trim().to_owned();
    assert_eq!(field("Package"), "redpath");
    assert!(field("Depends").contains("libc6 (>= 2."), "{}", field("Depends"));
    assert_eq!(field("Recommends"), "ca-certificates");
    let conffiles = printed(Command::new("dpkg-deb").arg("-I").arg(&deb).arg("conffiles"), "dpkg");
    let mut conffiles: Vec<&str> = conffiles.split_whitespace().collect();
    conffiles.sort_unstable();
    assert_eq!(conffiles, ["/etc/default/redpath", "/etc/redpath/redpath.yaml.example"]);
    // Of the package itself: the folder that it was made of is another's by now.
    let unpack = "dpkg-deb --fsys-tarfile \"$0\" | tar -xO ./usr/share/doc/redpath/copyright";
    let copyright = printed(Command::new("sh").args(["-c", unpack]).arg(&deb), "dpkg");
    assert!(copyright.starts_with("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"));
    for crate_and_licence in [" ring v", " tokio v", " webpki-roots v"] {
        assert!(copyright.contains(crate_and_licence), "{crate_and_licence}");
    }
}

#[test]
fn rpm_contents_are_reviewed() {
    let rpm = package("rpm", &[]);
    // A data base of its own: the machine's need not be there.
    let ask = |query: &[&str]| {
        let mut command = Command::new("rpm");
        command.args(["--dbpath", "/nonexistent", "-qp", "--nosignature"]).args(query).arg(&rpm);
        printed(&mut command, "rpm")
    };
    is_as_reviewed("rpm.txt", &files(&ask(&["-lv"]), 2..4));
    let about = ask(&["--qf", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE}"]);
    assert_eq!(about, format!("redpath {} 1 x86_64 Apache-2.0", env!("CARGO_PKG_VERSION")));
    assert!(ask(&["-R"]).contains("libc.so.6"), "{}", ask(&["-R"]));
    assert!(ask(&["-c"]).contains("/etc/default/redpath"));
    let digest = printed(Command::new("rpm").args(["-K", "--nosignature"]).arg(&rpm), "rpm");
    assert!(digest.contains("digests OK"), "{digest}");
}

#[test]
fn package_example_config_is_valid() {
    let yaml = include_str!("../../systemd/redpath.yaml");
    redpath::config::parse(yaml).unwrap_or_else(|error| panic!("{error}"));
    // With the comments taken away too.
    let all: String = yaml
        .lines()
        .map(|line| line.replacen("#vantage", "vantage", 1))
        .map(|line| line.replacen("#expect", "expect", 1))
        .map(|line| line.replacen("#auth", "auth", 1) + "\n")
        .collect();
    redpath::config::parse(&all).unwrap_or_else(|error| panic!("{error}"));
}

/// A cache on loopback that wants a key, and the name server that knows it.
struct Cache {
    certificates: Certificates,
    redis: Redis,
    dns: DnsServer,
    listen: u16,
}

impl Cache {
    fn new() -> Self {
        let certificates = Certificates::new();
        let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", KEY]);
        let dns = DnsServer::start(Zone::healthy(NAME, std::net::Ipv4Addr::LOCALHOST).script());
        Self { certificates, redis, dns, listen: free_port() }
    }

    fn configuration(&self) -> String {
        format!(
            "resolvers: [{{name: lab, address: '{}'}}]\n\
             defaults: {{interval: 1s, timeout: 900ms, views: [lab], tls: {{ca_file: /etc/redpath/ca.pem}}}}\n\
             web: {{listen: '127.0.0.1:{}'}}\n\
             targets:\n- {{name: sessions, host: {NAME}, port: {}, expect: {{endpoints: [127.0.0.1]}}, \
             auth: {{method: password, password_file: sessions}}}}\n",
            self.dns.address(),
            self.listen,
            self.redis.port,
        )
    }

    /// Waits until the metrics have this line.
    fn metrics_with(&self, systemd: &Systemd, line: &str) {
        let began = Instant::now();
        let mut page = String::new();
        while began.elapsed() < Duration::from_secs(60) {
            page = self.metrics().unwrap_or_default();
            if page.lines().any(|found| found == line) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no {line}\n{page}\n{}", systemd.journal());
    }

    fn metrics(&self) -> std::io::Result<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.listen))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }
}

#[test]
fn package_has_manual_page_of_each_command() {
    fn all(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let name = format!("{name}-{}", inner.get_name());
            all(inner, &name, found);
            found.push(name);
        }
    }
    let mut names = Vec::new();
    all(&<redpath::cli::Cli as clap::CommandFactory>::command(), "redpath", &mut names);
    for kind in ["deb", "rpm"] {
        let list = std::fs::read_to_string(root().join(format!("tests/fixtures/package/{kind}.txt"))).unwrap();
        for name in &names {
            assert!(list.contains(&format!("/usr/share/man/man1/{name}.1")), "{kind}: no manual page {name}");
        }
    }
}

/// The newest version of glibc whose symbols the binary needs is the one that the documentation states.
#[test]
fn package_glibc_version_is_documented() {
    let binary = std::fs::read(release::binary()).unwrap();
    let versions = binary.windows(16).filter_map(|window| {
        let digits = window.strip_prefix(b"GLIBC_2.")?.split(|byte| !byte.is_ascii_digit()).next()?;
        std::str::from_utf8(digits).ok()?.parse::<u32>().ok()
    });
    let needed = versions.max().expect("symbols with versions");
    let docs = std::fs::read_to_string(root().join("docs/systemd.md")).unwrap();
    assert!(docs.contains(&format!("needs glibc 2.{needed} or later")), "the binary needs glibc 2.{needed}");
}

const DROP_IN: &str =
    "[Service]\nLoadCredential=sessions:/etc/redpath/sessions.key\nWatchdogSec=4s\nRestartSec=100ms\n";

#[test]
fn package_installs_upgrades_and_purges() {
    let (first, next) = (package("deb", &[]), package("deb", &["0.1.1"]));
    let cache = Cache::new();
    let systemd = Systemd::boot();
    for (name, deb) in [("first", &first), ("next", &next)] {
        systemd.write(&format!("/root/{name}.deb"), "644", &std::fs::read(deb).unwrap());
    }

    // Installed: it is enabled, and waits for its configuration without being a failed unit.
    let printed = systemd.ok("dpkg -i /root/first.deb");
    assert!(printed.contains("write /etc/redpath/redpath.yaml"), "{printed}");
    assert_eq!(systemd.ok("systemctl is-enabled redpath").trim(), "enabled");
    assert_eq!(
        (systemd.property("ActiveState"), systemd.property("ConditionResult")),
        ("inactive".into(), "no".into())
    );
    let verify = systemd.ok("systemd-analyze verify --man=no redpath.service");
    let unknown: Vec<&str> = verify.lines().filter(|line| line.contains("redpath")).collect();
    assert!(unknown.is_empty(), "{unknown:?}");

    // Configured wrongly: the sentence is in the journal, and nothing is probed.
    systemd.write("/etc/redpath/redpath.yaml", "644", b"targets: [{hots: cache1.redis.cache.windows.net}]\n");
    systemd.fails("systemctl start redpath");
    assert!(systemd.journal().contains("did you mean `host`"), "{}", systemd.journal());
    // Not again and again: the agent's own status is 2.
    assert_eq!((systemd.property("Result"), systemd.property("NRestarts")), ("exit-code".into(), "0".into()));
    assert_eq!(systemd.property("ExecMainStatus"), "2");
    systemd.ok("systemctl stop redpath; systemctl reset-failed redpath");

    // Configured rightly, with a key that the service's user cannot read where it is kept.
    systemd.write("/etc/redpath/redpath.yaml", "644", cache.configuration().as_bytes());
    systemd.write("/etc/redpath/ca.pem", "644", &std::fs::read(cache.certificates.ca_file()).unwrap());
    systemd.write("/etc/redpath/sessions.key", "600", KEY.as_bytes());
    systemd.write("/etc/systemd/system/redpath.service.d/override.conf", "644", DROP_IN.as_bytes());
    systemd.ok("systemctl daemon-reload; systemctl start redpath");
    assert_eq!(systemd.property("ActiveState"), "active");
    assert_eq!(systemd.property("StatusText"), "probing 1 target");
    cache.metrics_with(&systemd, "redpath_probe_success{target=\"sessions\"} 1");
    cache.metrics_with(&systemd, "redpath_phase_outcome{target=\"sessions\",phase=\"auth\",outcome=\"done\"} 1");

    // As the unit says: nobody, without a privilege, behind a filter of system calls.
    let pid = systemd.property("MainPID");
    let status = systemd.ok(&format!("cat /proc/{pid}/status"));
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_ne!(field("Uid:").split_whitespace().next(), Some("0"), "{status}");
    for (name, value) in
        [("CapBnd:", "0000000000000000"), ("CapEff:", "0000000000000000"), ("NoNewPrivs:", "1"), ("Seccomp:", "2")]
    {
        assert_eq!(field(name), value, "{name}");
    }
    // The journal is its own, and whole.
    assert_eq!(systemd.ok("stat -c %a /var/lib/private/redpath").trim(), "750");
    let files = systemd.ok("stat -c %a /var/lib/redpath/journal/journal-*.ndjson");
    assert!(!files.is_empty() && files.lines().all(|mode| mode == "640"), "{files}");
    systemd.ok("redpath journal verify /var/lib/redpath/journal");

    // Reloaded, and the same process.
    let two = cache.configuration()
        + &format!("- {{name: carts, host: {NAME}, port: {}, expect: {{endpoints: [127.0.0.1]}}}}\n", cache.redis.port);
    systemd.write("/etc/redpath/redpath.yaml", "644", two.as_bytes());
    systemd.ok("systemctl reload redpath");
    systemd.property_where("StatusText", |text| text == "probing 2 targets");
    cache.metrics_with(&systemd, "redpath_probe_success{target=\"carts\"} 1");
    assert_eq!((systemd.property("MainPID"), systemd.property("NRestarts")), (pid.clone(), "0".into()));

    // A broken file fails the reload, and nothing else happens.
    systemd.write("/etc/redpath/redpath.yaml", "644", b"targets: [{hots: cache1.redis.cache.windows.net}]\n");
    systemd.fails("systemctl reload redpath");
    assert_eq!((systemd.property("MainPID"), systemd.property("ActiveState")), (pid.clone(), "active".into()));
    systemd.write("/etc/redpath/redpath.yaml", "644", two.as_bytes());
    systemd.ok("systemctl reload redpath");
    systemd.property_where("StatusText", |text| text == "probing 2 targets");

    // Pings come; a process that stands still is ended and started again.
    let pinged = systemd.property("WatchdogTimestampMonotonic");
    systemd.property_where("WatchdogTimestampMonotonic", |last| last != pinged);
    systemd.ok(&format!("kill -STOP {pid}"));
    systemd.property_where("NRestarts", |restarts| restarts == "1");
    let pid = systemd.property_where("MainPID", |next| next != pid && next != "0");
    assert!(systemd.journal().contains("Watchdog timeout"), "{}", systemd.journal());
    systemd.property_where("ActiveState", |state| state == "active");

    // Upgraded: what the administrator changed stays, and the new program runs.
    systemd.ok("echo 'REDPATH_OPTIONS=\"--log-format json\"' > /etc/default/redpath");
    systemd.ok("dpkg -i /root/next.deb");
    assert_eq!(systemd.ok("dpkg-query -W -f '${Version}' redpath"), "0.1.1");
    assert!(systemd.ok("cat /etc/default/redpath").contains("json"));
    assert!(systemd.ok("cat /etc/redpath/redpath.yaml").contains("carts"));
    systemd.property_where("MainPID", |next| next != pid && next != "0");
    systemd.property_where("ActiveState", |state| state == "active");
    cache.metrics_with(&systemd, "redpath_probe_success{target=\"carts\"} 1");
    assert!(systemd.journal().contains("\"message\":\"agent started\""), "{}", systemd.journal());

    // The text file is for others to read, and with it nothing listens.
    systemd.ok("echo 'REDPATH_OPTIONS=\"--textfile /run/redpath/redpath.prom\"' > /etc/default/redpath; systemctl restart redpath");
    assert!(
        systemd
            .ok("setpriv --reuid 65534 --clear-groups cat /run/redpath/redpath.prom")
            .contains("redpath_probes_total{")
    );
    assert!(cache.metrics().is_err());

    // Stopped in good order, and no secret was told to anybody.
    systemd.ok("systemctl stop redpath");
    assert_eq!((systemd.property("Result"), systemd.property("ExecMainStatus")), ("success".into(), "0".into()));
    assert!(!systemd.journal().contains(KEY));

    // Purged: nothing is left but what is of the administrator's own making in /etc/systemd.
    systemd.ok("systemctl start redpath; dpkg -P redpath");
    let left = systemd.ok(
        "find /etc /usr/bin /usr/lib/systemd /usr/share/doc /usr/share/man /usr/share/bash-completion /usr/share/zsh \
         /usr/share/fish /var/lib/systemd /var/lib/private /var/lib/redpath /run -name '*redpath*' \
         -not -path '/etc/netns/*' -not -path '/etc/systemd/system/redpath.service.d' 2>/dev/null || true",
    );
    assert!(left.is_empty(), "{left:?}");
    assert!(systemd.run("pgrep -x redpath").stdout.is_empty());
}
