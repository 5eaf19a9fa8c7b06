//! An error reply of Redis: about the credential, about the server's state, or any other.

use super::command;
use crate::diagnosis::remediation::Resource;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::phase::PhaseName;

/// An error reply to a command.
pub(super) struct ErrorReply<'a> {
    pub(super) case: &'a Context<'a>,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    pub(super) phase: PhaseName,
}

impl ErrorReply<'_> {
    /// The first rule that knows the reply decides.
    pub(super) fn diagnose(&self) -> Finding {
        self.about_credential()
            .or_else(|| self.about_server())
            .or_else(|| self.about_client())
            .unwrap_or_else(|| self.unknown())
    }

    fn about_credential(&self) -> Option<Finding> {
        let (reply, proven) = (self.text(), self.case.proven());
        let keys = || Resource::of(self.case).map(|resource| resource.list_keys());
        Some(match self.code {
            "WRONGPASS" => self
                .finding(
                    Code::AuthRejected,
                    format!("Redis rejects the credential: {reply}"),
                    proven.to_owned(),
                    "give the probe the present key, or check the user name",
                )
                .commands(keys()),
            "NOAUTH" => self
                .finding(
                    Code::AuthRequired,
                    format!("Redis demands authentication: {reply}"),
                    proven.to_owned(),
                    "configure a credential",
                )
                .commands(keys()),
            "NOPERM" => Finding {
                severity: Severity::Warning,
                ..self.finding(
                    Code::PermissionDenied,
                    format!("Redis does not allow {} to this user: {reply}", command(self.phase)),
                    format!("{proven} The user's access policy is narrower than a probe needs."),
                    "allow the probe's user the commands that a probe sends (+auth, +ping)",
                )
            },
            _ => return None,
        })
    }

    /// The server cannot serve anybody now.
    fn about_server(&self) -> Option<Finding> {
        let (reply, proven) = (self.text(), self.case.proven());
        Some(match self.code {
            "LOADING" => self.finding(
                Code::RedisLoading,
                "Redis is loading its data and serves nobody yet (LOADING)".to_owned(),
                format!("{proven} It happens after a restart or failover, and lasts as long as the data takes to load."),
                "wait and probe again; if it stays, look at the server's memory and restarts",
            ),
            "MASTERDOWN" => self.finding(
                Code::RedisMasterDown,
                "the replica that answers has lost its master (MASTERDOWN)".to_owned(),
                proven.to_owned(),
                "look at the server's replication and failover events",
            ),
            "CLUSTERDOWN" => self.finding(
                Code::RedisClusterDown,
                format!("the Redis cluster is down: {reply}"),
                format!("{proven} Some slots are served by no node."),
                "look at the cluster's nodes and failover events",
            ),
            "BUSY" => self.finding(
                Code::RedisError,
                "a script blocks Redis, which answers nothing else until it ends (BUSY)".to_owned(),
                format!("{proven} A Lua script or function has run longer than the server's limit. It says \"{reply}\"."),
                "have the owner of the script end it: SCRIPT KILL, or FUNCTION KILL for a function; a script that has written already ends by itself or with the server",
            )
            .commands(["redis-cli SCRIPT KILL".to_owned()]),
            "MISCONF" => self.finding(
                Code::RedisError,
                "Redis cannot save its data to disk and refuses commands (MISCONF)".to_owned(),
                format!("{proven} Its last snapshot (RDB) or append to the log (AOF) failed. By likelihood: the disk is full or not writable; there is too little memory for the fork that saves. It says \"{reply}\"."),
                "look at the server's persistence: disk space, permissions and memory",
            )
            .commands(["redis-cli INFO persistence".to_owned()]),
            "DENIED" => self.finding(
                Code::RedisError,
                "Redis is in protected mode and answers local clients only (DENIED)".to_owned(),
                format!("{proven} Protected mode is on while no password is set and no address is bound. Azure's services are never in it: a server of your own answers there."),
                "set a password or bind the server to an address; or find out why this name leads to that server",
            ),
            _ => return None,
        })
    }

    /// The server serves others, or sends this client elsewhere.
    fn about_client(&self) -> Option<Finding> {
        let (reply, proven) = (self.text(), self.case.proven());
        Some(match self.code {
            "MOVED" | "ASK" => self.finding(
                Code::RedisMoved,
                format!("Redis redirects: {reply}"),
                format!(
                    "{proven} A redirection in reply to {} is unusual: a proxy or another cluster answers.",
                    command(self.phase)
                ),
                "compare the node it names with the cluster that is meant",
            ),
            "ERR" if self.message.contains("max number of clients") => self.finding(
                Code::RedisMaxClients,
                "Redis has no room for another client".to_owned(),
                format!("{proven} It says \"{reply}\"."),
                "find who holds the connections (CLIENT LIST), or take a tier with a higher limit",
            ),
            _ => return None,
        })
    }

    fn unknown(&self) -> Finding {
        let (reply, proven) = (self.text(), self.case.proven());
        self.finding(
            Code::RedisError,
            format!("Redis replies to {} with an error: {reply}", command(self.phase)),
            proven.to_owned(),
            "look the error up in the server's log",
        )
    }

    /// The reply as Redis wrote it.
    fn text(&self) -> String {
        let Self { code, message, .. } = self;
        if message.is_empty() { (*code).to_owned() } else { format!("{code} {message}") }
    }

    fn finding(&self, code: Code, summary: String, detail: String, hint: &str) -> Finding {
        Finding::new(code, Severity::Error, summary, detail).hint(hint).phase(self.phase)
    }
}
