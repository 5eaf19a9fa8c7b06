//! The canaries: every secret that redpath is ever given, looked for in every byte that leaves it. The commands come
//! from the command line's own list, the formats from theirs and the routes from the router, so that a new way out
//! is either looked at here or fails these tests.

mod commands;
mod flags;
mod pages;
pub(crate) mod search;

use std::net::{Ipv4Addr, SocketAddr};

use tokio::process::Command;

use self::search::Search;
use crate::support::agent::Directory;
use crate::support::certificates::{Certificates, Files, Leaf, NAME};
use crate::support::dns::DnsServer;
use crate::support::fake_redis::{Answer, Event, FakeRedis};
use crate::support::redis::Redis;
use crate::support::zone::Zone;

/// The password in the file, which is right.
const FILE: &str = "Qx7vJ9zKw4+TmPq3/Zb8Rh=";
/// That of the environment, right for the user `env`.
const ENV: &str = "Vw2Kq9ZxT4/Jm7Pz+Bq5Hy=";
/// That in a URL, right for the user `url`.
const URL: &str = "Jq5Zx+Wk8/Vy2Qp7Xz3Mf=";
/// One that Redis rejects.
const WRONG: &str = "Zk8Pw3/Qv6+Xj9Tb4Yq7N=";
/// One that is given to a server which repeats it.
const ECHOED: &str = "Xb4Jz8+Kq7/Wp3Vm9Ty6C=";
/// One that stands where no secret belongs.
const MISPLACED: &str = "Kz6Vq3+Yx8/Pj5Wb9Tm2D=";
/// That of a user of the agent's pages.
const USER: &str = "Wq9Xk5/Zt2+Vj7Pm4Bz8G=";

/// The variable that the configuration names.
const VARIABLE: &str = "CANARY_OF_THE_CONFIGURATION";

/// Servers that are given the secrets, and files that hold them.
struct World {
    certificates: Certificates,
    directory: Directory,
    redis: Redis,
    echo: FakeRedis,
    dns: DnsServer,
    key: Files,
    hash: String,
}

impl World {
    fn new(name: &str) -> Self {
        let certificates = Certificates::new();
        let rights = ["~*", "&*", "+@all"];
        let [file, env, url] = [FILE, ENV, URL].map(|password| format!(">{password}"));
        let users = [
            &["--user", "default", "on", &file][..],
            &rights,
            &["--user", "env", "on", &env],
            &rights,
            &["--user", "url", "on", &url],
            &rights,
        ];
        let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &users.concat());
        // It answers each command with all that it was told, as servers and proxies do that do not know it.
        let tls = certificates.leaf(Leaf::Good).server_config();
        let echo = FakeRedis::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Some(tls), |event| match event {
            Event::Connected => Answer::Send(Vec::new()),
            Event::Command { words, .. } => {
                Answer::line(&format!("-ERR unknown command, with args: '{}'", words.join("' '")))
            }
        });
        let dns = DnsServer::start(Zone::healthy(NAME, Ipv4Addr::LOCALHOST).script());
        let directory = Directory::new(name);
        for (file, secret) in [("file", FILE), ("wrong", WRONG), ("echoed", ECHOED)] {
            directory.file(file, &format!("{secret}\n"));
        }
        let key = certificates.leaf(Leaf::Localhost);
        let hash = bcrypt::hash(USER, 4).expect("a hash");
        Self { certificates, directory, redis, echo: echo.expect("a free port"), dns, key, hash }
    }

    /// All of them: what stands in no output.
    fn search(&self) -> Search {
        let key = std::fs::read_to_string(&self.key.key).expect("the key");
        let body: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
        // What every key of its kind begins with is no secret.
        let body = body[body.len() / 2..].to_owned();
        let salted = self.hash[7..].to_owned();
        let secrets = [
            ("the password of the file", FILE),
            ("the password of the environment", ENV),
            ("the password of the URL", URL),
            ("the wrong password", WRONG),
            ("the password that is repeated", ECHOED),
            ("the misplaced password", MISPLACED),
            ("the user's password", USER),
            ("the user's hash", &salted),
            ("the private key", &body),
        ];
        Search::for_all(secrets)
    }

    /// The agent's configuration, with a target for each secret.
    fn configuration(&self, more: &str) -> String {
        let target = |name: &str, port: u16, auth: &str| {
            format!("  - {{name: {name}, host: {NAME}, port: {port}, auth: {{method: password, {auth}}}}}\n")
        };
        let file = |name: &str| format!("password_file: {}", self.directory.0.join(name).display());
        let (redis, echo) = (self.redis.port, self.echo.address().port());
        format!(
            "resolvers: [{{name: lab, address: '{}'}}]\n\
             defaults: {{interval: 1s, timeout: 900ms, views: [lab], tls: {{ca_file: {}}}, expect: {{endpoints: [127.0.0.1]}}}}\n\
             web: {{listen: '127.0.0.1:0'}}\n{more}targets:\n{}{}{}{}{}",
            self.dns.address(),
            self.certificates.ca_file().display(),
            target("sessions", redis, &file("file")),
            target("of-env", redis, &format!("username: env, password_env: {VARIABLE}")),
            target("wrong", redis, &file("wrong")),
            target("echoed", echo, &file("echoed")),
            target("withheld", redis, &format!("{}}}, expect: {{endpoints: [10.60.4.5]", file("file"))),
        )
    }

    /// redpath with every secret within reach, as talkative as it gets.
    fn redpath(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
        command
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .env(VARIABLE, ENV)
            .env("REDPATH_USERNAME", "env")
            .env("REDPATH_PASSWORD", ENV)
            .env("REDISCLI_AUTH", ENV)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }
}
