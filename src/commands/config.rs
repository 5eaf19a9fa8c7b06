//! `redpath config check|print|schema|from-az`: what is wrong with a configuration, what it comes to,
//! what one may look like, and one made of what az prints. Nothing is probed, and of secrets it is only
//! seen whether they are there.

pub mod from_az;

use std::io::{self, Write};
use std::path::Path;

use super::write_out;
use crate::address::ReservedUse;
use crate::bounded_read::{self, FileKind};
use crate::cli::{ConfigCommand, ExitCode, print_error};
use crate::config::{self, Config, TargetConfig};
use crate::plan::{Auth, PasswordSource, ca_file, password_file};
use crate::secret::permissions::ReadableByOthers;
use crate::secret::quote;

pub use from_az::from_az;

/// Runs the command on standard output and standard error.
pub fn run(command: &ConfigCommand) -> ExitCode {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = match command {
        ConfigCommand::Check { file } => check(file, &mut out, &mut err),
        ConfigCommand::Print { file } => print(file, &mut out, &mut err),
        ConfigCommand::Schema => schema(&mut out),
        ConfigCommand::FromAz { files } => from_az(files, &mut out, &mut err),
    };
    let _ = io::stderr().write_all(&err); // there is no one left to tell
    match ended.and_then(|exit_code| write_out(&out).map(|()| exit_code)) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            print_error(&format!("cannot write the output: {error}"));
            ExitCode::Unknown
        }
    }
}

/// Writes `FILE: ok, N targets, M resolvers` to `out`, with a line per warning on `err`; or every
/// problem on `err`.
///
/// # Errors
/// Those of `out` and `err`.
pub fn check(file: &Path, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    match config::load(file) {
        Ok(config) => {
            for warning in warnings(&config) {
                writeln!(err, "{}: warning: {warning}", file.display())?;
            }
            let (targets, resolvers) = (config.targets.len(), config.resolvers.len());
            writeln!(out, "{}: ok, {}, {}", file.display(), many(targets, "target"), many(resolvers, "resolver"))?;
            Ok(ExitCode::Pass)
        }
        Err(error) => {
            writeln!(err, "{error}")?;
            Ok(ExitCode::Usage)
        }
    }
}

/// Writes the configuration to `out` as YAML with every default filled in and no secret in it; or
/// every problem to `err`.
///
/// # Errors
/// Those of `out` and `err`.
pub fn print(file: &Path, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    match config::load(file).map_err(|error| error.to_string()).and_then(|config| config.to_yaml()) {
        Ok(yaml) => {
            out.write_all(yaml.as_bytes())?;
            Ok(ExitCode::Pass)
        }
        Err(error) => {
            writeln!(err, "{error}")?;
            Ok(ExitCode::Usage)
        }
    }
}

/// Writes the JSON Schema of the configuration to `out`, for editors and pipelines.
///
/// # Errors
/// Those of `out`.
pub fn schema(out: &mut dyn Write) -> io::Result<ExitCode> {
    writeln!(out, "{:#}", config::schema())?;
    Ok(ExitCode::Pass)
}

/// What is valid and still unlikely to be meant. Files and variables are those of here and now,
/// which need not be those of the agent.
fn warnings(config: &Config) -> Vec<String> {
    let mut warnings: Vec<String> = config.targets.iter().flat_map(warnings_of).collect();
    warnings.extend(ReservedUse::remarks("private_ranges", &config.defaults.expectation.private_ranges));
    if !config.web.probe_allowed_suffixes.is_empty() && !config.web.listen.ip().is_loopback() {
        warnings.push(format!(
            "web.probe.allowed_suffixes: every client that reaches {} can have any host under these suffixes probed",
            config.web.listen
        ));
    }
    warnings
}

fn warnings_of(target: &TargetConfig) -> Vec<String> {
    let plan = &target.plan;
    let name = &plan.target.name;
    let mut warnings = Vec::new();
    let mut warn = |about: &str, why: String| warnings.push(format!("target {name:?}: {about}: {why}"));
    if let Some(file) = &plan.ca_file
        && let Err(why) = ca_file::check(file, FileKind::Regular)
    {
        warn("tls.ca_file", format!("{}: {why} (on this machine)", quote::path(file)));
    }
    let source = match &plan.auth {
        Auth::None => return warnings,
        Auth::Entra(_) => None,
        Auth::Password { source, .. } => Some(source),
    };
    match source {
        None | Some(PasswordSource::Given(_)) => {}
        Some(PasswordSource::File(file)) => {
            let file = password_file(file);
            if let Err(why) = bounded_read::read_prefix(&file, FileKind::Regular, 0) {
                warn("auth.password_file", format!("{}: {why} (on this machine)", quote::path_of_secret(&file)));
            } else if let Some(exposed) = ReadableByOthers::at(&file) {
                warn("auth.password_file", exposed.to_string());
            }
        }
        Some(PasswordSource::Environment(variable)) => {
            if std::env::var_os(variable).is_none_or(|value| value.is_empty()) {
                warn("auth.password_env", format!("the variable {variable} is not set here"));
            }
        }
    }
    if !plan.target.tls {
        warn("auth", "credentials go over verified TLS only, so that this target is probed without them".to_owned());
    }
    warnings
}

fn many(count: usize, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}
