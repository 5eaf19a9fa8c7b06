//! `redpath gate`: from journals and records, and from a query API.

pub(crate) mod api;
pub(crate) mod files;

use std::process::{Command, Output};

use serde_json::Value;

use crate::schema::assert_valid;

fn gate(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_redpath"))
        .arg("gate")
        .args(arguments)
        .env_remove("GITHUB_STEP_SUMMARY")
        .output();
    command.expect("the binary starts")
}

/// The answer of a gate as JSON, and its exit status.
fn judgement(arguments: &[&str]) -> (Value, i32) {
    let output = gate(&[arguments, &["--output", "json"]].concat());
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_valid("gate.v1.json", &document);
    (document, output.status.code().expect("it exits"))
}

/// The reasons: `condition subnet target: sentence`.
fn reasons(document: &Value) -> Vec<String> {
    let reasons = document["reasons"].as_array().expect("a list").iter();
    reasons
        .map(|reason| {
            format!(
                "{} {} {}: {}",
                reason["condition"].as_str().unwrap_or("-"),
                reason["vantage"]["subnet"].as_str().unwrap_or("-"),
                reason["target"].as_str().unwrap_or("-"),
                reason["sentence"].as_str().expect("a sentence")
            )
        })
        .collect()
}
