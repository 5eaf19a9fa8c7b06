//! The flags that say who the probe is, of every command that authenticates.

use std::path::PathBuf;

use clap::Args;

use super::check_args::path;
use crate::parse;
use crate::plan::{AuthMethod, TokenSource};

const HEADING: &str = "Authentication";

/// The credentials of a command line; no secret is among them.
#[derive(Args)]
pub struct CredentialArgs {
    /// How to authenticate [default: password if one is given, else none]
    #[arg(long, value_enum, value_name = "none|password|entra", help_heading = HEADING)]
    pub auth: Option<AuthMethod>,
    /// Token source for --auth entra [default: workload_identity if AZURE_FEDERATED_TOKEN_FILE is set, else azure_cli]
    #[arg(long, value_enum, value_name = "SOURCE", help_heading = HEADING)]
    pub token_source: Option<TokenSource>,
    /// Client ID of the identity that the token is for
    #[arg(long, value_name = "ID", value_parser = parse::client_id, help_heading = HEADING)]
    pub client_id: Option<String>,
    /// User name [env: REDPATH_USERNAME] [default: `default`, or the object ID of the token]
    #[arg(long, value_name = "NAME", value_parser = parse::username, help_heading = HEADING)]
    pub username: Option<String>,
    /// Read the password from this file [or env: REDPATH_PASSWORD, REDISCLI_AUTH]
    #[arg(long, value_name = "FILE", value_parser = path(), help_heading = HEADING)]
    pub password_file: Option<PathBuf>,
}
