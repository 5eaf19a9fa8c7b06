//! Every story of `tests/stories/` is told to the diagnosis. Adding a case is adding a file;
//! `tests/stories/README.md` says what may stand in one.

mod answer;
mod story;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use redpath::diagnosis::{Cause, Code, Diagnosis, Severity, diagnose};
use redpath::record::Record;
use story::Story;

pub(crate) use story::{commands, is_safe_command};

/// A case by its file name, what the diagnosis says of it, and what is wrong with that.
pub(crate) struct StoryResult {
    pub(crate) file: String,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) faults: Vec<String>,
}

fn files(ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Every story and every saved record, told.
pub(crate) fn told() -> Result<Vec<StoryResult>, String> {
    let mut told = Vec::new();
    for path in files(".toml") {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let story = Story::parse(&read(&path)?).map_err(|error| format!("{file}: {error}"))?;
        let diagnosis = diagnose(&story.target, &story.expectation, &story.observation, story.now);
        let faults = story.faults(&diagnosis);
        told.push(StoryResult { file, diagnosis, faults });
    }
    for path in files(".record.json") {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let record: Record = serde_json::from_str(&read(&path)?).map_err(|error| format!("{file}: {error}"))?;
        let diagnosis = diagnose(&record.target, &record.expectation, &record.observation, record.started_at);
        let faults = faults_of_record(&record, &diagnosis);
        told.push(StoryResult { file, diagnosis, faults });
    }
    Ok(told)
}

/// A saved record keeps its verdict and its findings; their wording may become better.
fn faults_of_record(record: &Record, diagnosis: &Diagnosis) -> Vec<String> {
    let mut faults = Vec::new();
    if record.verdict != diagnosis.verdict {
        faults.push(format!("the verdict was {:?} and is {:?}", record.verdict, diagnosis.verdict));
    }
    let names = |findings: &[redpath::diagnosis::Finding]| -> Vec<_> {
        findings.iter().map(|finding| (finding.code, finding.severity, finding.phase)).collect()
    };
    let (then, now) = (names(&record.findings), names(&diagnosis.findings));
    if then != now {
        faults.push(format!("the findings were {then:?} and are {now:?}"));
    }
    faults
}

#[test]
fn stories_end_as_stated() {
    let told = told().unwrap();
    assert!(told.len() >= 80, "{} stories: is the folder there?", told.len());
    let wrong: Vec<String> = told
        .iter()
        .filter(|told| !told.faults.is_empty())
        .map(|told| {
            let findings: Vec<String> = told
                .diagnosis
                .findings
                .iter()
                .map(|finding| {
                    format!(
                        "    {} {}: {}\n      {}\n      -> {}\n      $ {}",
                        finding.severity.as_str(),
                        finding.code,
                        finding.summary,
                        finding.detail,
                        finding.hint,
                        commands(finding).join("\n      $ ")
                    )
                })
                .collect();
            format!("{}:\n  {}\n  found:\n{}", told.file, told.faults.join("\n  "), findings.join("\n"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} stories end otherwise\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn stories_cover_every_code() {
    let told = told().unwrap();
    let found: BTreeSet<&str> =
        told.iter().flat_map(|told| told.diagnosis.findings.iter().map(|finding| finding.code.as_str())).collect();
    let without: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).filter(|code| !found.contains(code)).collect();
    assert!(without.is_empty(), "no story finds {}", without.join(", "));
    for cause in [Cause::Healthy, Cause::Unknown] {
        assert!(told.iter().any(|told| told.diagnosis.verdict.cause == cause), "no story ends as {cause}");
    }
}

/// One voice: what a finding says is read by a person at night and pasted into a shell.
#[test]
fn stories_findings_have_one_style() {
    let mut faults = Vec::new();
    for told in told().unwrap() {
        for finding in &told.diagnosis.findings {
            let mut fault =
                |what: &str, text: &str| faults.push(format!("{} {}: {what}: {text}", told.file, finding.code));
            let lower = |text: &str| {
                let word = text.split(' ').next().unwrap_or_default();
                let name = NAMES.contains(&word.trim_end_matches(['\'', ',']));
                name || !word.starts_with(|first: char| first.is_uppercase())
            };
            if finding.summary.is_empty() || finding.summary.ends_with('.') || !lower(&finding.summary) {
                fault("a summary starts in lower case and has no full stop", &finding.summary);
            }
            let begins = finding.detail.starts_with(|first: char| first.is_uppercase() || first.is_ascii_digit());
            if !begins || !finding.detail.ends_with('.') {
                fault("a detail is of whole sentences", &finding.detail);
            }
            if finding.hint.ends_with('.') || !lower(&finding.hint) {
                fault("a hint starts in lower case and has no full stop", &finding.hint);
            }
            if finding.hint.is_empty() && finding.severity != Severity::Info {
                fault("whoever reads it is told what to do next", &finding.summary);
            }
            for text in [&finding.summary, &finding.detail, &finding.hint] {
                if text.contains("  ")
                    || text.contains("..")
                    || text.contains(" .")
                    || text.chars().any(char::is_control)
                {
                    fault("loose ends", text);
                }
            }
            for command in commands(finding) {
                if !is_safe_command(command) {
                    fault("a command is one line and safe to paste", command);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Names that keep their capital at the beginning of a line.
const NAMES: &[&str] = &["Redis", "TLS", "TCP", "AUTH", "PING", "DNS", "Azure"];
