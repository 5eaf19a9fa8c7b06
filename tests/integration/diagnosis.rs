//! What holds of every diagnosis, whatever was seen: arbitrary answers, phases and expectations,
//! also such as no probe would make.

mod arbitrary;

use proptest::prelude::*;
use redpath::clock::Timestamp;
use redpath::diagnosis::{Cause, Code, Diagnosis, Severity, Status, diagnose};
use redpath::observation::{Phase, SkipReason, StoppedBy};
use redpath::phase::PhaseName;
use redpath::record::Record;
use redpath::record::saved::{self, SavedVerdict};
use redpath::vantage::Vantage;

use self::arbitrary::{Seen, healthy, seen};
use crate::stories::is_safe_command;

fn now() -> Timestamp {
    Timestamp::from_unix(1_795_348_800).unwrap_or_else(Timestamp::now)
}

fn diagnosed(seen: &Seen) -> Diagnosis {
    diagnose(&seen.target, &seen.expectation, &seen.observation, now())
}

fn errors(diagnosis: &Diagnosis) -> impl Iterator<Item = &redpath::diagnosis::Finding> {
    diagnosis.findings.iter().filter(|finding| finding.severity == Severity::Error)
}

/// The causes that only files of `az` know.
const OF_AZ: &[Code] =
    &[Code::WrongGroupId, Code::EndpointNotApproved, Code::WrongZone, Code::ZoneNotLinked, Code::FallbackToInternet];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn diagnosis_has_one_cause(seen in seen()) {
        let diagnosis = diagnosed(&seen);
        prop_assert_eq!(&diagnosis, &diagnosed(&seen), "the same twice");
        let resolve: Vec<Code> = errors(&diagnosis)
            .filter(|finding| finding.phase == PhaseName::Resolve && finding.code != Code::PrivatelinkNameConfigured)
            .map(|finding| finding.code)
            .collect();
        // What a view fails of and what `az` says of the endpoint may both be to mend.
        let (of_az, of_views): (Vec<Code>, Vec<Code>) = resolve.into_iter().partition(|code| OF_AZ.contains(code));
        prop_assert!(of_views.len() <= 1 && of_az.len() <= 1, "{:?} {:?}", of_views, of_az);
        prop_assert!(diagnosis.findings.is_sorted_by_key(|finding| (finding.severity, finding.phase)));
        let first = |severity| diagnosis.findings.iter().filter(|finding| finding.severity == severity).min_by_key(|finding| finding.phase);
        match diagnosis.verdict.status {
            Status::Fail => prop_assert_eq!(Some(diagnosis.verdict.cause), first(Severity::Error).map(|finding| Cause::Code(finding.code))),
            Status::Warn => {
                prop_assert!(errors(&diagnosis).next().is_none());
                prop_assert_eq!(Some(diagnosis.verdict.cause), first(Severity::Warning).map(|finding| Cause::Code(finding.code)));
            }
            Status::Pass => {
                prop_assert!(diagnosis.findings.iter().all(|finding| finding.severity == Severity::Info));
                prop_assert_eq!(diagnosis.verdict.cause, Cause::Healthy);
            }
            Status::Unknown => {}
        }
    }

    #[test]
    fn wrong_address_never_passes(seen in seen()) {
        let diagnosis = diagnosed(&seen);
        let met = seen.observation.connection.as_ref().map(|connection| seen.expectation.allows(connection.address.ip()));
        if met != Some(true) {
            prop_assert!(!matches!(diagnosis.verdict.status, Status::Pass | Status::Warn), "{:?}", diagnosis.verdict);
        }
        if met == Some(false) {
            let later: Vec<Code> = errors(&diagnosis).filter(|finding| finding.phase > PhaseName::Resolve).map(|finding| finding.code).collect();
            prop_assert!(later.is_empty(), "{:?}", later);
            prop_assert_eq!(diagnosis.verdict.status, Status::Fail);
        }
    }

    #[test]
    fn findings_are_readable_and_pasteable(seen in seen()) {
        for finding in diagnosed(&seen).findings {
            prop_assert!(finding.severity == Severity::Info || !finding.hint.is_empty(), "{}: no hint", finding.code);
            for text in [&finding.summary, &finding.detail, &finding.hint] {
                prop_assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
            }
            prop_assert!(!finding.summary.is_empty() && !finding.detail.is_empty());
            for command in crate::stories::commands(&finding) {
                prop_assert!(is_safe_command(command), "{command}");
            }
        }
    }

    #[test]
    fn saved_record_gives_same_diagnosis(seen in seen()) {
        let record = Record::new(now(), std::time::Duration::from_millis(3), seen.target, Vantage::default(), seen.expectation, seen.observation);
        let text = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &record);
        let again = diagnose(&read.target, &read.expectation, &read.observation, read.started_at);
        prop_assert_eq!((again.findings, again.verdict), (record.findings.clone(), record.verdict.clone()));
        let saved = saved::read(text.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(saved.verdicts == [Some(SavedVerdict::of(&record.verdict))]);
        prop_assert_eq!(saved.report.records, [record]);
    }

    #[test]
    fn healthy_record_has_no_finding(seen in healthy()) {
        let diagnosis = diagnosed(&seen);
        prop_assert_eq!(diagnosis.verdict.cause, Cause::Healthy, "{:?}", diagnosis.findings);
        prop_assert!(diagnosis.findings.iter().all(|finding| finding.code == Code::AuthEnforced), "{:?}", diagnosis.findings);
    }

    /// The less was seen, the less is claimed: a healthy probe that is cut short is no pass.
    #[test]
    fn healthy_interrupted_probe_is_unknown(seen in healthy(), cut in 0usize..4) {
        let mut seen = seen;
        let phases = &mut seen.observation.phases.connection;
        let stopped_by = StoppedBy::Interrupt;
        if cut == 0 {
            phases.connect = Phase::NotReached { stopped_by };
        }
        if cut <= 1 {
            phases.tls = Phase::NotReached { stopped_by };
        }
        if cut <= 2 {
            phases.auth = Phase::NotReached { stopped_by };
        }
        phases.ping = Phase::NotReached { stopped_by };
        if let Some(connection) = &mut seen.observation.connection {
            connection.ping = None;
        }
        prop_assert_eq!(diagnosed(&seen).verdict.status, Status::Unknown);
    }

    /// Credentials change nothing about the path: withheld or never given, the cause is the same.
    #[test]
    fn withheld_credentials_change_no_cause(seen in seen()) {
        let mut without = seen.clone();
        let mut withheld = seen;
        without.observation.phases.connection.auth = Phase::Skipped { reason: SkipReason::NoCredentials };
        withheld.observation.phases.connection.auth =
            Phase::Skipped { reason: SkipReason::WithheldUnexpectedAddress };
        prop_assert_eq!(diagnosed(&without).verdict, diagnosed(&withheld).verdict);
    }
}
