//! The container image: what is in it, that it is the same each time, and that it works as it is meant to be run,
//! under a real runtime without any privilege, in a network with real name servers and a real Redis with TLS.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::certificates::{Certificates, Directory, Leaf, NAME};
use crate::support::container::Image;
use crate::support::namespace::{Namespace, write_bind};
use crate::support::release;

const PRIVATE: &str = "10.60.4.5";
const PUBLIC: &str = "20.50.1.10";
const LINKED: &str = "10.10.0.52";
const UNLINKED: &str = "10.10.0.53";

/// Unpacked, without the CA certificates: 10 MiB for the binary, and Debian's C library.
const MOST_BYTES: u64 = 13_800_000;

#[test]
fn image_digest_is_reproducible() {
    let first = Image::shared();
    let directory = Directory::new("image");
    let binary = directory.path().join("the same bytes under another name, of another time");
    std::fs::write(&binary, std::fs::read(release::binary()).unwrap()).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o700)).unwrap();
    let second = Image::build(&directory.path().join("elsewhere"), &binary, "077");
    assert_eq!(first.digest(), second.digest());
    assert!(first.digest().starts_with("sha256:"));
    for line in ["image     /", "digest    sha256:", "unpacked  ", "binary    ", "run       podman load --input /"] {
        assert!(first.printed.contains(line), "{line:?} is not in what it prints:\n{}", first.printed);
    }
}

#[test]
fn image_contents_are_reviewed() {
    let bundle = Image::shared().bundle();
    let mut found = Vec::new();
    list(&bundle.rootfs(), Path::new(""), &mut found);
    let bytes: u64 = found.iter().filter(|entry| !entry.path.contains("/ssl/")).map(|entry| entry.bytes).sum();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes unpacked without the CA certificates; at most {MOST_BYTES}");
    for entry in &found {
        assert_eq!(entry.mode & 0o7022, 0, "{}: set-id, sticky, or others may write", entry.path);
        assert!(!entry.path.ends_with("/sh") && !entry.path.ends_with("bash"), "a shell");
        assert_eq!(entry.time, found[0].time, "{} has a time of its own", entry.path);
    }
    // The architecture's own names are left out of the fixture.
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let page: String = found
        .iter()
        .map(|entry| format!("{:04o} {} /{}{}\n", entry.mode, entry.owner, entry.path, entry.target))
        .collect::<String>()
        .replace(&triplet, "TRIPLET");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/container/files.txt");
    if std::env::var_os("REWRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(fixture.parent().unwrap()).unwrap();
        std::fs::write(&fixture, &page).unwrap();
    }
    let reviewed = std::fs::read_to_string(&fixture).unwrap();
    assert!(page == reviewed, "the files of the image are not those of {}:\n{page}", fixture.display());
}

#[test]
fn image_configuration_is_reviewed() {
    let configuration = Image::shared().bundle().configuration();
    assert_eq!(configuration["process"]["user"]["uid"], 65532);
    assert_eq!(configuration["process"]["user"]["gid"], 65532);
    let arguments: Vec<&str> = configuration["process"]["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        .collect();
    assert_eq!(arguments, ["/usr/bin/redpath", "agent", "--config", "/etc/redpath/redpath.yaml"]);
    let annotation = |name: &str| &configuration["annotations"][format!("org.opencontainers.image.{name}")];
    assert_eq!(annotation("title"), "redpath");
    assert_eq!(annotation("description"), env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!(annotation("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(annotation("licenses"), "Apache-2.0");
    let manifest = manifest();
    for (label, key) in [("url", "homepage"), ("source", "repository"), ("documentation", "documentation")] {
        assert_eq!(annotation(label), manifest["package"][key].as_str().unwrap(), "{label}");
    }
    assert_eq!(annotation("exposedPorts"), "9736/tcp");
    assert!(annotation("created").as_str().unwrap().ends_with('Z'));
}

fn manifest() -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// A program of another architecture, as the Containerfile makes the root file system for it: with the C library that
/// apt downloads, under an emulator.
#[test]
fn rootfs_of_other_architecture_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = Directory::new("arm64");
    let binary = directory.path().join("program");
    let source = directory.path().join("program.c");
    std::fs::write(&source, "#include <stdio.h>\nint main(void) { puts(\"on arm64\"); return 0; }\n").unwrap();
    let compiler = "aarch64-linux-gnu-gcc";
    let compiled = Command::new(compiler).arg("-o").args([&binary, &source]).status();
    assert!(compiled.unwrap_or_else(|error| panic!("{compiler}: {error}: make test installs it")).success());
    let rootfs = directory.path().join("rootfs");
    let assemble = |binary: &Path| {
        Command::new(root.join("container/rootfs.sh")).args([binary, &rootfs]).arg("arm64").output().unwrap()
    };
    let output = assemble(&binary);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut emulated = Command::new("qemu-aarch64-static");
    let output = emulated.arg("-L").arg(&rootfs).arg(rootfs.join("usr/bin/redpath")).output();
    let output = output.unwrap_or_else(|error| panic!("{error}: apt-get install qemu-user-static"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "on arm64\n", "{output:?}");
    let libc = std::fs::read_to_string(rootfs.join("var/lib/dpkg/status.d/libc6")).unwrap();
    assert!(libc.contains("Architecture: arm64\n") && libc.contains("Status: install ok installed\n"), "{libc}");

    // A library that is not packed is named, as the loader of this architecture names it.
    let library = directory.path().join("libother.so");
    let shared = ["-shared", "-o", library.to_str().unwrap(), "-Wl,-soname,libother.so.1", "-x", "c", "/dev/null"];
    assert!(Command::new(compiler).args(shared).status().unwrap().success());
    let mut linked = Command::new(compiler);
    linked.arg("-o").args([&binary, &source]).arg("-Wl,--no-as-needed").arg(&library);
    assert!(linked.status().unwrap().success());
    let output = assemble(&binary);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("libother.so.1"), "{said}");
}

/// The section of `cargo auditable`: JSON, compressed by zlib, in the binary that image and packages have.
#[test]
fn release_binary_lists_its_crates() {
    let directory = Directory::new("auditable");
    let section = directory.path().join("section");
    let dump = format!(".dep-v0={}", section.display());
    let copied = directory.path().join("copy");
    let dumped = Command::new("objcopy").args(["--dump-section", &dump]).args([release::binary(), &copied]).status();
    assert!(dumped.unwrap_or_else(|error| panic!("objcopy: {error}: apt-get install binutils")).success());
    let compressed = std::fs::read(&section).unwrap();
    let list: Value = serde_json::from_reader(flate2::read::ZlibDecoder::new(compressed.as_slice())).unwrap();
    let packages = list["packages"].as_array().unwrap();
    let find = |name: &str| packages.iter().find(|package| package["name"] == name);
    assert_eq!(find("redpath").unwrap()["root"], true);
    let lock: toml::Table =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap().parse().unwrap();
    for name in ["hickory-proto", "ring", "rustls", "tokio"] {
        let version = find(name).unwrap_or_else(|| panic!("{name} is not listed"))["version"].as_str().unwrap();
        let is_same = |package: &toml::Value| {
            package["name"].as_str() == Some(name) && package["version"].as_str() == Some(version)
        };
        assert!(lock["package"].as_array().unwrap().iter().any(is_same), "{name} {version}");
    }
    assert!(find("proptest").is_none(), "a crate of the tests is listed");
}

#[test]
fn containerfile_matches_project() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("container/Containerfile")).unwrap();
    let manifest = manifest();
    let rust = manifest["package"]["rust-version"].as_str().unwrap();
    let bases: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let build = format!("--platform=$BUILDPLATFORM docker.io/library/rust:{rust}.0-bookworm@sha256:");
    let digest = bases[0].strip_prefix(&build).and_then(|rest| rest.strip_suffix(" AS build")).expect("a digest");
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert_eq!(bases[1..], ["build AS rootfs", "scratch"]);
    // What the stages take from the project is there; the last one takes from the stage that `make image` replaces.
    let (earlier, last) = text.split_once("FROM scratch").unwrap();
    for copy in earlier.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|copy| !copy.starts_with("--")) {
        let source = copy.split(' ').next().unwrap();
        assert!(root.join(source).exists(), "COPY {copy}");
    }
    let copies: Vec<&str> = last.lines().filter(|line| line.starts_with("COPY ")).collect();
    assert_eq!(copies, ["COPY --from=rootfs --chown=0:0 /rootfs/ /"]);
    for run in ["scripts/release-binary.sh \"$TARGETARCH\"", "container/rootfs.sh /redpath /rootfs \"$TARGETARCH\""] {
        assert!(earlier.contains(run), "{run}");
    }
}

#[test]
fn container_agent_runs_unprivileged() {
    let world = World::new();
    let bundle = Image::shared().bundle();
    let folder = world.configuration();
    let mut agent = bundle.start(&world.namespace, folder.path(), None);
    let series = "redpath_path_private{target=\"sessions\"} 1\n";
    agent.until("scraped with a private path", |_| world.page("/metrics").contains(series));
    let page = world.page("/metrics");
    assert!(page.starts_with("HTTP/1.0 200"), "{page}");
    assert!(page.contains("redpath_verdict{target=\"sessions\",status=\"pass\"} 1\n"), "{page}");
    for view in ["libc".to_owned(), format!("system:{LINKED}")] {
        let answer = format!(
            "redpath_resolution_info{{target=\"sessions\",view=\"{view}\",path=\"private\",address=\"{PRIVATE}\""
        );
        assert!(page.contains(&answer), "{view}: {page}");
    }
    assert!(world.page("/-/healthy").starts_with("HTTP/1.0 200"));

    // The kernel's own word for how it is confined.
    let status = agent.proc("status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(field("Uid:").split_whitespace().collect::<Vec<_>>(), ["65532"; 4]);
    assert_eq!(field("Gid:").split_whitespace().collect::<Vec<_>>(), ["65532"; 4]);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("NSpid:").split_whitespace().last(), Some("1"), "it is the first process of its own");
    let mounts = agent.proc("mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");

    // As process 1 it has no default action for TERM; it must heed it by itself.
    let asked = Instant::now();
    agent.signal("TERM");
    let output = agent.ended();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn container_check_sees_pod_network() {
    let world = World::new();
    let bundle = Image::shared().bundle();
    let folder = world.configuration();
    let seen = |flags: &[&str]| {
        // As `kubectl debug` gives it: without a path, in place of the entry point.
        let command =
            [&["redpath", "check", NAME, "--ca-file", "/etc/redpath/ca.pem", "--output", "json"], flags].concat();
        let output = bundle.run(&world.namespace, folder.path(), Some(&command));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), report["records"][0].clone())
    };
    let record = |flags: &[&str]| seen(flags).1;
    let check = |flags: &[&str]| {
        let (code, record) = seen(flags);
        let views = record["resolution"]["views"].as_array().unwrap().clone();
        assert_eq!(views[0]["view"], "libc");
        (code, record["verdict"]["cause"].as_str().unwrap().to_owned(), views[0].clone())
    };
    let address = |view: &Value, address: &str| view.to_string().contains(&format!("\"{address}\""));

    // The C library asks DNS by the pod's resolv.conf, and reads the pod's hosts file before that.
    let (code, cause, libc) = check(&["--endpoint", PRIVATE]);
    assert_eq!((code, cause.as_str()), (Some(0), "healthy"));
    assert!(address(&libc, PRIVATE), "{libc:#}");
    // What the sidecar asks for is allowed by the filter of system calls: the list of sockets, by netlink.
    let application = record(&["--endpoint", PRIVATE, "--application", "on"])["application"].clone();
    assert_eq!(application["source"], "netlink", "{application:#}");
    world.namespace.resolv_conf(&format!("nameserver {UNLINKED}\n"));
    let (code, cause, libc) = check(&["--resolver", &format!("hub={LINKED}")]);
    assert_eq!((code, cause.as_str()), (Some(1), "resolver_disagreement"));
    assert!(address(&libc, PUBLIC), "{libc:#}");
    world.namespace.resolv_conf(&format!("nameserver {LINKED}\n"));
    world.namespace.hosts(&format!("{PUBLIC} {NAME}\n"));
    let (code, cause, libc) = check(&[]);
    assert_eq!((code, cause.as_str()), (Some(1), "overridden_locally"));
    assert!(address(&libc, PUBLIC), "{libc:#}");

    // Without a configuration the agent says what it lacks.
    let empty = Directory::new("empty");
    let output = bundle.run(&world.namespace, empty.path(), None);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("/etc/redpath/redpath.yaml: there is no such file"), "{said}");
}

/// A network with a name server that sees the private zone, one that does not, and a Redis with TLS.
struct World {
    namespace: Namespace,
    certificates: Certificates,
}

impl World {
    fn new() -> Self {
        let addresses = [PRIVATE, PUBLIC, LINKED, UNLINKED].map(|ip| format!("{ip}/32"));
        let mut namespace = Namespace::new(&addresses.each_ref().map(String::as_str));
        let folder = namespace.folder().to_owned();
        write_bind(&folder, &[LINKED], &[UNLINKED], PRIVATE.parse().unwrap(), PUBLIC.parse().unwrap());
        // Debian's AppArmor profile keeps /usr/sbin/named out of every folder but its own; it goes by the path.
        let named = folder.join("named");
        std::fs::copy("/usr/sbin/named", &named).expect("named is missing: apt-get install bind9");
        let configuration = folder.join("named.conf");
        let arguments = ["-g", "-n", "1", "-c", configuration.to_str().unwrap()];
        namespace.start(named.to_str().unwrap(), &arguments, format!("{LINKED}:53").parse().unwrap());
        let certificates = Certificates::new();
        let server = certificates.leaf(Leaf::Good);
        let (certificate, key, ca) = (server.certificate, server.key, certificates.ca_file());
        let redis = format!(
            "--port 0 --tls-port 6380 --bind {PRIVATE} {PUBLIC} --requirepass secret --tls-auth-clients no \
             --tls-cert-file {} --tls-key-file {} --tls-ca-cert-file {}",
            certificate.display(),
            key.display(),
            ca.display()
        );
        let arguments: Vec<&str> = redis.split(' ').collect();
        namespace.start("redis-server", &arguments, format!("{PRIVATE}:6380").parse().unwrap());
        namespace.resolv_conf(&format!("nameserver {LINKED}\n"));
        Self { namespace, certificates }
    }

    /// What stands in /etc/redpath.
    fn configuration(&self) -> Directory {
        let directory = Directory::new("etc-redpath");
        std::fs::copy(self.certificates.ca_file(), directory.path().join("ca.pem")).unwrap();
        let text = format!(
            "defaults: {{interval: 1s, timeout: 900ms, tls: {{ca_file: /etc/redpath/ca.pem}}}}\n\
             targets: [{{name: sessions, host: {NAME}, expect: {{endpoints: [{PRIVATE}]}}}}]\n"
        );
        std::fs::write(directory.path().join("redpath.yaml"), text).unwrap();
        directory
    }

    /// A page of the agent, from within the network; empty while it does not listen.
    fn page(&self, path: &str) -> String {
        let request =
            format!("exec 3<>/dev/tcp/127.0.0.1/9736 && printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3");
        let output = self.namespace.command("bash").args(["-c", &request]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// What a folder holds, below it and in order.
fn list(root: &Path, below: &Path, found: &mut Vec<Entry>) {
    let entries: BTreeMap<_, _> = std::fs::read_dir(root.join(below))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), entry.metadata().unwrap()))
        .collect();
    for (name, metadata) in entries {
        let path = below.join(name);
        let link = metadata.is_symlink();
        found.push(Entry {
            path: path.to_str().unwrap().to_owned(),
            mode: if link { 0 } else { metadata.mode() & 0o7777 },
            owner: format!("{}:{}", metadata.uid(), metadata.gid()),
            bytes: if metadata.is_file() { metadata.len() } else { 0 },
            time: metadata.mtime(),
            target: if link {
                format!(" -> {}", std::fs::read_link(root.join(&path)).unwrap().display())
            } else if metadata.is_dir() {
                "/".to_owned()
            } else {
                String::new()
            },
        });
        if metadata.is_dir() {
            list(root, &path, found);
        }
    }
}

struct Entry {
    path: String,
    /// 0 for a symbolic link, which has none of its own.
    mode: u32,
    owner: String,
    bytes: u64,
    /// Seconds since 1970.
    time: i64,
    /// Where a link leads to; `/` for a folder.
    target: String,
}
