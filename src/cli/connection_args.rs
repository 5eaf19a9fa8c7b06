//! The flags of every command that connects: to which address, and whom it trusts.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::PROBE;
use super::check_args::path;
use crate::bounded_read::FileKind;
use crate::parse;
use crate::plan::ca_file;
use crate::secret::quote::{self, quoted};
use crate::target::{HostName, Target, TargetArgument};

/// The connection of a command line.
#[derive(Args)]
pub struct ConnectionArgs {
    /// Connect to this address instead of the resolved one (the name stays for SNI)
    #[arg(long, value_name = "ADDRESS", value_parser = parse::server_ip, help_heading = PROBE)]
    pub connect: Option<IpAddr>,
    /// Trust only the CAs in this PEM file
    #[arg(long, value_name = "FILE", value_parser = path(), help_heading = PROBE)]
    pub ca_file: Option<PathBuf>,
    /// Name for SNI and the certificate [default: the host name]
    #[arg(long, value_name = "NAME", value_parser = parse::server_name, help_heading = PROBE)]
    pub server_name: Option<HostName>,
    /// Disable TLS
    #[arg(long, conflicts_with_all = ["ca_file", "server_name"], help_heading = PROBE)]
    pub plaintext: bool,
}

impl ConnectionArgs {
    /// Reads TARGET: what it says, and the target that it and the flags mean.
    ///
    /// # Errors
    /// One sentence, which quotes no secret: it is no target, or contradicts `--plaintext`.
    pub(super) fn target(&self, text: &str) -> Result<(TargetArgument, Target), String> {
        let argument = TargetArgument::parse(text).map_err(|why| format!("{} is {why}", quoted(text)))?;
        if argument.tls == Some(true) && self.plaintext {
            let host = argument.host;
            return Err(format!("rediss:// or ssl=True asks for TLS for {host}, and --plaintext for none"));
        }
        let tls = argument.tls.unwrap_or(!self.plaintext);
        let mut target = Target::new(argument.host.clone(), argument.port, tls);
        if let Some(name) = &self.server_name {
            target.server_name = name.clone();
        }
        Ok((argument, target))
    }

    /// Reads the certificates of `--ca-file` once, so that a wrong file is known before the first probe.
    ///
    /// # Errors
    /// One sentence: which file, and what is wrong with it.
    pub(super) fn check_ca_file(&self) -> Result<(), String> {
        let Some(file) = &self.ca_file else { return Ok(()) };
        ca_file::check(file, FileKind::FileOrPipe)
            .map_err(|why| format!("cannot read the certificates of --ca-file {}: {why}", quote::path(file)))
    }
}
