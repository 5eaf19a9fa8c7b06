//! What is done once: the size on disk, the time to the first probe, and `redpath check` as a whole process.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::Process;
use super::programs::Programs;
use super::table::{Table, median_and_p95, mib, ms};
use super::world::{self, ENDPOINT, NAME_SERVERS, PASSWORD, PORT};

pub(crate) fn size(programs: &Programs<'_>, table: &mut Table) {
    let bytes = fs::metadata(&programs.redpath).expect("the program").len();
    let figure = format!("{bytes} bytes ({})", mib(bytes));
    table.row("binary, stripped", &figure, "", "at most 7 MiB", Some(bytes <= 7 * 1024 * 1024));
}

/// From the start of the process to the connection that its first probe makes.
pub(crate) fn start(programs: &Programs<'_>, table: &mut Table) {
    const BELL: u16 = 6399;
    let bell = world::doorbell(BELL);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        let begun = Instant::now();
        let redpath = Process::spawn(programs.redpath_at(9131, 1, "1s", 0, BELL), 9131);
        let _ = bell.accept().expect("a visitor");
        ours.push(begun.elapsed().as_secs_f64());
        drop(redpath);
        let begun = Instant::now();
        let blackbox = Process::start(programs.blackbox(9132), 9132);
        std::thread::scope(|scope| {
            scope.spawn(|| blackbox.get(&format!("/probe?module=redis&target={}:{BELL}", world::name(0))));
            let _ = bell.accept().expect("a visitor");
            theirs.push(begun.elapsed().as_secs_f64());
        });
    }
    let [ours, theirs] = [&mut ours, &mut theirs].map(|times| Duration::from_secs_f64(median_and_p95(times).0));
    table.row(
        "start to first probe",
        &ms(ours),
        &format!("blackbox, asked as soon as it listens: {}", ms(theirs)),
        "no later than blackbox",
        Some(ours <= theirs),
    );
}

/// The program's whole life, in turns.
pub(crate) fn check(programs: &Programs<'_>, table: &mut Table) {
    const ROUNDS: usize = 60;
    let world = programs.world;
    let (ca, password) = (world.file("ca.pem"), world.file("password"));
    let (name, port, server) = (world::name(0), PORT.to_string(), NAME_SERVERS[0]);
    let mut redpath = Command::new(&programs.redpath);
    redpath.args(["check", &format!("{name}:{PORT}"), "--require-auth", "off", "--cluster", "off", "--ca-file"]);
    redpath.arg(&ca).arg("--password-file").arg(&password);
    let mut redis_cli = Command::new("redis-cli");
    redis_cli.args(["--tls", "--cacert"]).arg(&ca).args(["-h", &name, "-p", &port, "--sni", &name, "PING"]);
    redis_cli.env("REDISCLI_AUTH", PASSWORD);
    let text = format!(
        "dig +short @{server} {name} A && dig +short @{server} {name} AAAA && \
         openssl s_client -connect {ENDPOINT}:{port} -servername {name} -CAfile {ca} -verify_return_error </dev/null && \
         redis-cli --tls --cacert {ca} -h {name} -p {port} --sni {name} PING",
        ca = ca.display()
    );
    let script = world.write("script.sh", &text);
    let mut script = {
        let mut command = Command::new("sh");
        command.arg(script);
        command
    };
    script.env("REDISCLI_AUTH", PASSWORD);
    let mut commands = [redpath, redis_cli, script];
    for command in &mut commands {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut walls: [Vec<f64>; 3] = Default::default();
    let mut cpus = [0.0; 3];
    for _ in 0..ROUNDS {
        for (at, command) in commands.iter_mut().enumerate() {
            let (cpu, begun) = (reaped_cpu(), Instant::now());
            let status = command.status().expect("it starts");
            walls[at].push(begun.elapsed().as_secs_f64());
            assert!(status.success(), "{command:?}: {status}");
            cpus[at] += reaped_cpu() - cpu;
        }
    }
    let [ours, cli, script] = walls.each_mut().map(|walls| Duration::from_secs_f64(median_and_p95(walls).0));
    let [our_cpu, cli_cpu, script_cpu] = cpus.map(|cpu| Duration::from_secs_f64(cpu / ROUNDS as f64));
    let others = format!("redis-cli {}, script {}", ms(cli), ms(script));
    table.row("one check, wall", &ms(ours), &others, "at most redis-cli's", Some(ours <= cli));
    let ratio = |of: Duration| our_cpu.as_secs_f64() / of.as_secs_f64();
    let others = format!("redis-cli {}, script {}", ms(cli_cpu), ms(script_cpu));
    let figure = format!("{} ({:.2} ×, {:.2} ×)", ms(our_cpu), ratio(cli_cpu), ratio(script_cpu));
    let met = ratio(cli_cpu) <= 0.7 && ratio(script_cpu) <= 0.2;
    table.row("one check, CPU", &figure, &others, "at most 0.7 × redis-cli, 0.2 × the script", Some(met));
}

/// The CPU time of all children that have ended, in seconds: proc_pid_stat(5), fields 16 and 17, in ticks of 10 ms
/// that are cut from a sum which the kernel keeps in nanoseconds.
fn reaped_cpu() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(13) + ticks(14)) / 100.0
}
