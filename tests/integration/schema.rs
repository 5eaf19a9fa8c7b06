//! The committed JSON Schemas against the types, and real output against the schemas.

use std::path::{Path, PathBuf};

use redpath::output::json;
use serde_json::Value;

use crate::output::{assert_fixture, records};

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(name)
}

/// Holds a document to a committed schema.
pub(crate) fn assert_valid(schema: &str, document: &Value) {
    let schema = std::fs::read_to_string(committed(schema)).expect("the schema is committed");
    let schema: Value = serde_json::from_str(&schema).expect("the schema is JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let errors: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

#[test]
fn schemas_match_types() {
    for (name, schema) in [
        ("record.v1.json", serde_json::to_value(json::record_schema()).expect("JSON")),
        ("report.v1.json", serde_json::to_value(json::report_schema()).expect("JSON")),
        ("connections.v1.json", serde_json::to_value(json::connections_schema()).expect("JSON")),
        ("event.v1.json", serde_json::to_value(redpath::watch::event::schema()).expect("JSON")),
        ("evidence.v1.json", serde_json::to_value(json::evidence_schema()).expect("JSON")),
        ("gate.v1.json", serde_json::to_value(json::gate_schema()).expect("JSON")),
        ("clients.v1.json", serde_json::to_value(json::clients_schema()).expect("JSON")),
        ("journal.v1.json", serde_json::to_value(json::journal_schema()).expect("JSON")),
        ("config.json", redpath::config::schema_of_types()),
    ] {
        let generated = format!("{schema:#}\n");
        assert_fixture(&committed(name), &generated);
    }
}

#[test]
fn schema_accepts_all_records() {
    let all = vec![
        records::healthy(),
        records::unlinked_zone(),
        records::silent_endpoint(),
        records::overridden(),
        records::slow(),
        records::interrupted(),
        records::no_view(),
        records::hostile(),
    ];
    for record in &all {
        let line = json::line(record).expect("a record serializes");
        assert_eq!(line.matches('\n').count(), 1, "one line each");
        assert_valid("record.v1.json", &serde_json::from_str(&line).expect("a line is JSON"));
        assert_eq!(&serde_json::from_str::<redpath::record::Record>(&line).expect("it reads back"), record);
    }
    let document = json::report(&records::report(all)).expect("a report serializes");
    assert_valid("report.v1.json", &serde_json::from_str(&document).expect("it is JSON"));
}

#[test]
fn schema_refuses_invalid_records() {
    let schema: Value = serde_json::to_value(json::record_schema()).expect("a schema serializes");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let good = serde_json::to_value(records::healthy()).expect("a record serializes");
    for (pointer, wrong) in [
        ("/verdict/cause", Value::from("sunspots")),
        ("/took_seconds", Value::from("1 s")),
        ("/phases/connect/outcome", Value::from("great")),
        ("/target/port", Value::from(70_000)),
    ] {
        let mut record = good.clone();
        *record.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(!validator.is_valid(&record), "{pointer}");
    }
}
