//! From the command line and the environment to plans, or to one sentence on what is wrong.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CredentialArgs, ProbeArgs};
use crate::az::AzFiles;
use crate::bounded_read::FileKind;
use crate::clock::Seconds;
use crate::expectation::{Expectation, PublicAccess};
use crate::parse;
use crate::plan::{
    Auth, AuthMethod, AzureDns, ClusterMode, EntraAuth, HAS_ENTRA, PasswordSource, PlaintextPort, Plan, PosturePlan,
    RequireAuth, TokenSource,
};
use crate::secret::permissions::ReadableByOthers;
use crate::secret::quote::{self, quoted};
use crate::secret::{self, PASSWORD_VARIABLES, Secret};
use crate::target::HostName;

/// What is said of a password in a URL or a connection string.
pub(super) const VISIBLE_PASSWORD: &str = "a password in a URL or a connection string can be seen by others on this machine (process list, shell history); --password-file and REDPATH_PASSWORD keep it to yourself";

/// What is to be probed, and what the operator should know beforehand.
pub(crate) struct Plans {
    pub(crate) plans: Vec<Plan>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// One plan per target, in the order given.
pub(crate) fn plans(given: &[String], args: &ProbeArgs, variable: Variable<'_>) -> Result<Plans, String> {
    let (resolvers, views) = args.path.resolvers_and_views()?;
    let expectation = expectation(args)?;
    args.connection.check_ca_file()?;
    let credentials = Credentials::new(&args.credentials, variable)?;
    let az = az_files(&args.from_az)?;
    let targets = targets(given, az.as_ref())?;
    let old = args.old.as_deref().map(old_name).transpose()?;
    if old.is_some() && targets.len() > 1 {
        return Err(format!("--old is the old name of one TARGET, and {} are given", targets.len()));
    }
    let mut plans = Vec::with_capacity(targets.len());
    let mut warnings: Vec<String> = args.path.warnings().collect();
    let mut is_password_visible = false;
    for text in &targets {
        let (argument, mut target) = args.connection.target(text)?;
        is_password_visible |= argument.password.is_some();
        warnings.extend(argument.remark);
        let mut expectation = expectation.clone();
        if let Some(az) = &az {
            az.expect(&mut target, argument.port.is_some(), &mut expectation);
        }
        let plan = Plan {
            expectation,
            resolvers: resolvers.clone(),
            views: views.clone(),
            azure_dns: if args.no_azure_dns { AzureDns::Off } else { AzureDns::Auto },
            connect: args.connection.connect,
            addresses: args.addresses,
            timeout: args.timeout,
            tries: args.tries,
            samples: args.samples,
            auth: credentials.auth(argument.username, argument.password)?,
            ca_file: args.connection.ca_file.clone(),
            cluster: args.cluster,
            application: args.application,
            posture: posture(args),
            ..Plan::new(target)
        };
        needs_public_address(&plan)?;
        plans.push(match &old {
            Some((host, port)) => with_old_name(plan, (host, *port), az.as_ref())?,
            None => plan,
        });
    }
    let is_withheld = plans.iter().any(|plan: &Plan| !plan.target.tls && plan.auth != Auth::None);
    warnings.extend(credentials.warnings(is_password_visible, is_withheld));
    Ok(Plans { plans, warnings })
}

fn old_name(text: &str) -> Result<(HostName, Option<u16>), String> {
    parse::old_name(text).map_err(|why| format!("--old: {} is {why}", quoted(text)))
}

/// The plan for both names; what files of `az` say of the old one is expected of it.
fn with_old_name(plan: Plan, (host, port): (&HostName, Option<u16>), az: Option<&AzFiles>) -> Result<Plan, String> {
    let mut plan = plan.with_old_name(host.clone(), port);
    let new = (plan.target.host.clone(), plan.target.port);
    if let (Some(old), Some(az)) = (&mut plan.old, az) {
        az.expect(&mut old.target, port.is_some(), &mut old.expectation);
    }
    match &plan.old {
        Some(old) if (&old.target.host, old.target.port) == (&new.0, new.1) => {
            Err(format!("--old is {}:{}, the TARGET itself", new.0, new.1))
        }
        _ => Ok(plan),
    }
}

/// The facts of every file of `--from-az`, where there are any.
fn az_files(paths: &[PathBuf]) -> Result<Option<AzFiles>, String> {
    let mut files = None;
    for path in paths {
        let read = AzFiles::read(path, FileKind::FileOrPipe).map_err(|error| {
            let hint = if path.exists() {
                ""
            } else {
                " (every word behind --from-az is one; a TARGET stands in front of it)"
            };
            format!("--from-az {error}{hint}")
        })?;
        files.get_or_insert_with(AzFiles::default).extend(read);
    }
    Ok(files)
}

/// The targets given, or the caches that the files are about.
fn targets(given: &[String], az: Option<&AzFiles>) -> Result<Vec<String>, String> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let hosts: Vec<String> =
        az.map(AzFiles::hosts).unwrap_or_default().iter().map(|host| host.as_str().to_owned()).collect();
    if hosts.is_empty() {
        return Err("the files of --from-az name no host: a TARGET in front of it is expected, \
                    or the JSON of az redis show or az redisenterprise show"
            .into());
    }
    Ok(hosts)
}

fn expectation(args: &ProbeArgs) -> Result<Expectation, String> {
    let mut latency = BTreeMap::new();
    for (phase, budget) in &args.latency {
        if latency.insert(*phase, Seconds(*budget)).is_some() {
            return Err(format!("--latency names {phase} twice; one time per phase is expected"));
        }
    }
    Ok(Expectation {
        require_auth: args.require_auth == RequireAuth::Error,
        cluster_nodes: args.cluster == ClusterMode::On,
        public_access: match (args.public_access, args.public_address) {
            (Some(expected), _) => expected,
            (None, Some(_)) => PublicAccess::Closed,
            (None, None) => PublicAccess::Ignore,
        },
        latency,
        ..args.path.expectation()
    })
}

/// Without a source of the public address, the question has no answer whatever the probe finds.
fn needs_public_address(plan: &Plan) -> Result<(), String> {
    if !plan.lacks_public_address() {
        return Ok(());
    }
    Err("--public-access closed needs the public address: give it with --public-address IP, \
         or name a resolver in the internet with --resolver NAME=ADDRESS"
        .into())
}

fn posture(args: &ProbeArgs) -> PosturePlan {
    PosturePlan {
        skip_auth_check: args.require_auth == RequireAuth::Off,
        plaintext_port: match args.plaintext_port {
            Some(PlaintextPort::Port(port)) => Some(port),
            Some(PlaintextPort::Off) | None => None,
        },
        public_address: args.public_address.unwrap_or_default(),
        ..PosturePlan::default()
    }
}

/// Who the probes say they are, the part that is the same for every target.
pub(super) struct Credentials<'a> {
    args: &'a CredentialArgs,
    file: Option<Arc<Secret>>,
    username: Option<String>,
    variable: Option<&'static str>,
    is_in_a_pod_with_identity: bool,
}

impl<'a> Credentials<'a> {
    pub(super) fn new(args: &'a CredentialArgs, variable: Variable<'_>) -> Result<Self, String> {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let of_entra = [("--token-source", args.token_source.is_some()), ("--client-id", args.client_id.is_some())];
        if args.auth != Some(AuthMethod::Entra)
            && let Some((flag, _)) = of_entra.into_iter().find(|(_, given)| *given)
        {
            return Err(format!("{flag} is for --auth entra"));
        }
        if args.auth == Some(AuthMethod::Entra) && args.password_file.is_some() {
            return Err("--auth entra takes a token for the password, and --password-file gives one".into());
        }
        if args.auth == Some(AuthMethod::None) {
            for (flag, given) in
                [("--password-file", args.password_file.is_some()), ("--username", args.username.is_some())]
            {
                if given {
                    return Err(format!("--auth none asks for no credentials, and {flag} gives some"));
                }
            }
        }
        let username = match variable("REDPATH_USERNAME").filter(|name| !name.is_empty()).map(OsString::into_string) {
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => return Err("the user name in REDPATH_USERNAME is not UTF-8".into()),
            None => None,
        };
        Ok(Self {
            args,
            file: args.password_file.as_deref().map(read_password).transpose()?.map(Arc::new),
            username,
            is_in_a_pod_with_identity: is_set("AZURE_FEDERATED_TOKEN_FILE"),
            variable: PASSWORD_VARIABLES.into_iter().find(|name| is_set(name)),
        })
    }

    /// What the operator should know: a password of a TARGET is visible, a file is readable by others, credentials
    /// are withheld where a target is without TLS.
    pub(super) fn warnings(&self, is_password_visible: bool, is_withheld: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if is_password_visible {
            warnings.push(VISIBLE_PASSWORD.to_owned());
        }
        let exposed = self.args.password_file.as_deref().and_then(ReadableByOthers::at);
        warnings.extend(exposed.map(|exposed| format!("--password-file: {exposed}")));
        if is_withheld {
            let why = "credentials go over verified TLS only: what is spoken to without TLS is probed without them";
            warnings.push(why.to_owned());
        }
        warnings
    }

    /// For one target, whose URL may name a user and a password.
    pub(super) fn auth(&self, url_username: Option<String>, url_password: Option<Secret>) -> Result<Auth, String> {
        let source = match (&self.file, url_password, self.variable) {
            (Some(secret), _, _) => Some(PasswordSource::Given(secret.clone())),
            (None, Some(secret), _) => Some(PasswordSource::Given(Arc::new(secret))),
            (None, None, Some(name)) => Some(PasswordSource::Environment(name.to_owned())),
            (None, None, None) => None,
        };
        let names = || format!("--password-file, a rediss:// URL, {}", PASSWORD_VARIABLES.join(" or "));
        match (self.args.auth, source) {
            (Some(AuthMethod::None), _) => Ok(Auth::None),
            // A password of the environment is for other probes; one in the URL is a contradiction.
            (Some(AuthMethod::Entra), Some(PasswordSource::Given(_))) => {
                Err("--auth entra takes a token for the password, and the TARGET gives one".into())
            }
            (Some(AuthMethod::Entra), _) => self.entra(url_username).map(Auth::Entra),
            (None | Some(AuthMethod::Password), Some(source)) => {
                let username = self.args.username.clone().or(url_username).or_else(|| self.username.clone());
                Ok(Auth::Password { username, source })
            }
            (Some(AuthMethod::Password), None) => Err(format!("--auth password needs a password, from {}", names())),
            (None, None) if self.args.username.is_some() => {
                Err(format!("--username needs a password, from {}", names()))
            }
            (None, None) => Ok(Auth::None),
        }
    }
}

impl Credentials<'_> {
    /// The user of the environment is the password's, and not the token's.
    fn entra(&self, url_username: Option<String>) -> Result<EntraAuth, String> {
        if !HAS_ENTRA {
            return Err("--auth entra: this build of redpath is without Entra ID".into());
        }
        let source = match self.args.token_source {
            Some(source) => source,
            None if self.is_in_a_pod_with_identity => TokenSource::WorkloadIdentity,
            None => TokenSource::AzureCli,
        };
        let client_id = self.args.client_id.clone();
        if source == TokenSource::AzureCli && client_id.is_some() {
            return Err("--client-id has no meaning for azure_cli, which uses the `az login` identity".into());
        }
        Ok(EntraAuth { source, client_id, username: self.args.username.clone().or(url_username) })
    }
}

/// Reads `--password-file` once, so that a pipe (`<(...)`) serves every target.
fn read_password(path: &Path) -> Result<Secret, String> {
    secret::file::read(path, FileKind::FileOrPipe)
        .map_err(|why| format!("cannot read the password of --password-file {}: {why}", quote::path_of_secret(path)))
}

#[cfg(test)]
mod tests;
