//! One `redpath check` as a whole process, in turn with `redis-cli --tls PING`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::environment::Environment;
use super::programs;
use super::table::{Summary, Table, milliseconds};

const ROUNDS: usize = 60;

pub(crate) fn measure(environment: &Environment, builds: &[PathBuf], table: &mut Table) {
    let mut commands: Vec<Command> = builds.iter().map(|build| programs::check(environment, build)).collect();
    commands.push(programs::redis_cli(environment));
    let mut seconds = vec![Vec::new(); commands.len()];
    for _ in 0..ROUNDS {
        for (command, seconds) in commands.iter_mut().zip(&mut seconds) {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let started = Instant::now();
            let status = command.status().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
            seconds.push(started.elapsed().as_secs_f64());
            assert!(status.success(), "{command:?}: {status}");
        }
    }
    let redis_cli = Summary::of(seconds.pop().unwrap_or_default());
    let builds: Vec<Summary> = seconds.into_iter().map(Summary::of).collect();
    table.add(
        "one check, wall time",
        &builds.iter().map(|summary| milliseconds(*summary)).collect::<Vec<_>>(),
        &format!("redis-cli --tls PING {}", milliseconds(redis_cli)),
        "at most redis-cli's",
        builds.first().is_some_and(|first| first.median <= redis_cli.median),
    );
}
