//! The container image, built as `make image` builds it, and containers of it under a real runtime, confined as a
//! restricted pod is: an id of its own, no capability, nothing to write to, the usual filter of system calls. Needs
//! root, buildah, umoci and runc.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::certificates::Directory;
use super::namespace::Namespace;
use super::release;

/// How long a container may take to start or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A built image.
pub(crate) struct Image {
    folder: PathBuf,
    /// What the build printed: digest, sizes, how to run it.
    pub(crate) printed: String,
}

impl Image {
    /// The image of the release binary; built once.
    pub(crate) fn shared() -> &'static Self {
        static IMAGE: OnceLock<Image> = OnceLock::new();
        IMAGE.get_or_init(|| {
            Self::build(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("image"), release::binary(), "022")
        })
    }

    /// Builds one in a folder, which stays, by a caller with this umask.
    pub(crate) fn build(folder: &Path, binary: &Path, umask: &str) -> Self {
        let output = Command::new("bash")
            .args(["-c", "umask $0; exec container/image.sh \"$@\"", umask])
            .args([binary, folder])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "no image: {}", String::from_utf8_lossy(&output.stderr));
        Self { folder: folder.to_owned(), printed: String::from_utf8(output.stdout).expect("UTF-8") }
    }

    pub(crate) fn digest(&self) -> String {
        std::fs::read_to_string(self.folder.join("digest")).expect("a digest")
    }

    /// Unpacks it as a runtime wants it.
    pub(crate) fn bundle(&self) -> Bundle {
        let directory = Directory::new("bundle");
        let layout = directory.path().join("layout");
        std::fs::create_dir(&layout).expect("a folder");
        let name = format!("redpath-{}.oci.tar", env!("CARGO_PKG_VERSION"));
        run(Command::new("tar").arg("-xf").arg(self.folder.join(name)).arg("-C").arg(&layout));
        let image = format!("{}:localhost/redpath:{}", layout.display(), env!("CARGO_PKG_VERSION"));
        run(Command::new("umoci").args(["unpack", "--image", &image]).arg(directory.path().join("bundle")));
        Bundle { directory }
    }
}

/// The filter of system calls that `RuntimeDefault` stands for, as a runtime specification: the profile of Debian's
/// containers-common, for a process without capabilities.
fn runtime_default() -> Value {
    const PROFILE: &str = "/usr/share/containers/seccomp.json";
    let text = std::fs::read_to_string(PROFILE)
        .unwrap_or_else(|error| panic!("{PROFILE}: {error}: apt-get install golang-github-containers-common"));
    let profile: Value = serde_json::from_str(&text).expect("JSON");
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let applies = |rule: &&Value| {
        let arches = rule["includes"]["arches"].as_array();
        rule["includes"]["caps"].is_null() && arches.is_none_or(|arches| arches.iter().any(|arch| arch == architecture))
    };
    let rule = |rule: &Value| {
        let kept = ["names", "action", "args", "errnoRet"].into_iter().filter(|key| !rule[key].is_null());
        kept.map(|key| (key.to_owned(), rule[key].clone())).collect::<serde_json::Map<_, _>>()
    };
    let rules = profile["syscalls"].as_array().expect("rules").iter();
    json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "syscalls": rules.filter(applies).map(rule).collect::<Vec<_>>(),
    })
}

/// An unpacked image.
pub(crate) struct Bundle {
    directory: Directory,
}

impl Bundle {
    /// What the image holds.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// How it wants to be run: the runtime specification that follows from the image's own configuration.
    pub(crate) fn configuration(&self) -> Value {
        let text = std::fs::read_to_string(self.path().join("config.json")).expect("config.json");
        serde_json::from_str(&text).expect("config.json is JSON")
    }

    /// Starts `command`, or what the image starts by itself, in the namespace, with its resolv.conf and hosts, and with
    /// `folder` as /etc/redpath.
    pub(crate) fn start(&self, namespace: &Namespace, folder: &Path, command: Option<&[&str]>) -> Container {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut configuration = self.configuration();
        let process = &mut configuration["process"];
        process["terminal"] = json!(false);
        process["noNewPrivileges"] = json!(true);
        process["capabilities"] = json!({"bounding": [], "effective": [], "inheritable": [], "permitted": []});
        if let Some(command) = command {
            process["args"] = json!(command);
        }
        configuration["root"]["readonly"] = json!(true);
        let bind = |source: PathBuf, to: &str| json!({"destination": to, "type": "bind", "source": source, "options": ["bind", "ro", "nosuid", "nodev"]});
        let mounts = configuration["mounts"].as_array_mut().expect("mounts");
        // Cgroups are the machine's affair; a build server may have none to give.
        mounts.retain(|mount| mount["type"] != "cgroup");
        mounts.push(bind(namespace.etc().join("resolv.conf"), "/etc/resolv.conf"));
        mounts.push(bind(namespace.etc().join("hosts"), "/etc/hosts"));
        mounts.push(bind(folder.to_owned(), "/etc/redpath"));
        let linux = configuration["linux"].as_object_mut().expect("linux");
        linux.remove("resources");
        linux.insert("seccomp".to_owned(), runtime_default());
        let namespaces = linux["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|namespace| namespace["type"] != "network" && namespace["type"] != "cgroup");
        namespaces.push(json!({"type": "network", "path": namespace.handle()}));

        let id = format!("redpath-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = |name: &str| self.directory.path().join(format!("{id}.{name}"));
        let own = path("bundle");
        std::fs::create_dir(&own).expect("a folder");
        configuration["root"]["path"] = json!(self.rootfs());
        std::fs::write(own.join("config.json"), configuration.to_string()).expect("config.json");
        let (state, pid_file) = (path("state"), path("pid"));
        let child = runc(&state)
            .args(["run", "--bundle"])
            .arg(&own)
            .arg("--pid-file")
            .arg(&pid_file)
            .arg(&id)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(path("log")).expect("a file"))
            .spawn()
            .expect("runc is missing: apt-get install runc");
        Container { child, id: id.clone(), state, pid_file, log: path("log") }
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, namespace: &Namespace, folder: &Path, command: Option<&[&str]>) -> Output {
        self.start(namespace, folder, command).ended()
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("bundle")
    }
}

/// A running container; it is ended when dropped.
pub(crate) struct Container {
    child: Child,
    id: String,
    state: PathBuf,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Container {
    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A file about its first process in the machine's /proc.
    pub(crate) fn proc(&self, name: &str) -> String {
        let pid = std::fs::read_to_string(&self.pid_file).expect("it has started");
        std::fs::read_to_string(format!("/proc/{pid}/{name}")).expect("it runs")
    }

    /// Waits for a condition; fails with its log where that never comes.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "never {what} ({ended:?}): {}", self.log());
            std::thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        run(runc(&self.state).args(["kill", &self.id, name]));
    }

    /// Its end, with all that it wrote.
    pub(crate) fn ended(mut self) -> Output {
        let mut stdout = Vec::new();
        self.child.stdout.take().expect("a pipe").read_to_end(&mut stdout).expect("the output can be read");
        let status = self.child.wait().expect("it can be waited for");
        Output { status, stdout, stderr: self.log().into_bytes() }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = runc(&self.state).args(["delete", "--force", &self.id]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// It goes on where it may not make cgroups, as in a container of a build server.
fn runc(state: &Path) -> Command {
    let mut runc = Command::new("runc");
    runc.arg("--root").arg(state).args(["--rootless", "true"]);
    runc
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{} is missing ({error}): apt-get install buildah umoci runc", command.get_program().display())
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
