//! `preflight/`: the script that pipelines run, and the files for the three services, by the commands in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::agent::Directory;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("preflight")
}

fn yaml(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).expect("it is there");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A name server that nobody listens at: the check fails within its timeout.
const ARGUMENTS: &str = "cache1.redis.cache.windows.net --resolver lab=127.0.0.1:1 --views lab --timeout 200ms";

fn bash(script: &str, directory: &Path, environment: &BTreeMap<&str, String>) -> Output {
    let mut command = Command::new("bash");
    command.args(["-ceu", script]).current_dir(directory).envs(environment);
    for name in ["GITHUB_STEP_SUMMARY", "TF_BUILD"] {
        if !environment.contains_key(name) {
            command.env_remove(name);
        }
    }
    command.output().expect("bash runs")
}

fn environment(directory: &Directory) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("REDPATH", env!("CARGO_BIN_EXE_redpath").to_owned()),
        ("REDPATH_REPORT", "redpath-report.json".to_owned()),
        ("ARGUMENTS", ARGUMENTS.to_owned()),
        ("FOLDER", folder().display().to_string()),
        ("GITHUB_ACTION_PATH", folder().display().to_string()),
        ("HOME", directory.0.display().to_string()),
    ])
}

fn fails_with_report(output: &Output, directory: &Directory) {
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let report = std::fs::read_to_string(directory.0.join("redpath-report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let cause = report["records"][0]["verdict"]["cause"].as_str().expect("a cause");
    assert!(said.contains(cause), "{cause} is not in {said}");
}

#[test]
fn preflight_github_action_fails_with_summary() {
    let action = yaml("action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let script = action["runs"]["steps"][0]["run"].as_str().expect("a script");
    assert!(!script.contains("${{"), "an input must not become a command");
    let directory = Directory::new("preflight-github");
    let summary = directory.0.join("summary.md");
    let mut environment = environment(&directory);
    environment.insert("GITHUB_STEP_SUMMARY", summary.display().to_string());
    fails_with_report(&bash(script, &directory.0, &environment), &directory);
    let summary = std::fs::read_to_string(summary).expect("a summary");
    assert!(summary.contains("cache1.redis.cache.windows.net") && summary.contains('|'), "{summary}");
}

#[test]
fn preflight_azure_template_uploads_summary() {
    let template = yaml("azure-pipelines.yml");
    let script = template["steps"][0]["bash"].as_str().expect("a script");
    let directory = Directory::new("preflight-azure");
    let mut environment = environment(&directory);
    environment.insert("TF_BUILD", "True".to_owned());
    let output = bash(script, &directory.0, &environment);
    fails_with_report(&output, &directory);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("##vso[task.uploadsummary]/"), "{said}");
    assert!(directory.0.join("redpath-report.md").exists());
}

#[test]
fn preflight_gitlab_job_fails_with_report() {
    let job = &yaml("gitlab-ci.yml")[".redpath-preflight"];
    let script = job["script"][0].as_str().expect("a script");
    let directory = Directory::new("preflight-gitlab");
    std::os::unix::fs::symlink(folder(), directory.0.join("preflight")).expect("a checkout");
    fails_with_report(&bash(script, &directory.0, &environment(&directory)), &directory);
    assert_eq!(job["artifacts"]["paths"][0], "redpath-report.json");
}

#[test]
fn preflight_wrong_call_has_no_report() {
    let directory = Directory::new("preflight-wrong");
    let mut environment = environment(&directory);
    environment.insert("ARGUMENTS", "10.60.4.5".to_owned());
    let script = yaml("action.yml")["runs"]["steps"][0]["run"].as_str().expect("a script").to_owned();
    let output = bash(&script, &directory.0, &environment);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
