//! JSON: the report as one document, a record as one line, and the schema of both.

use std::io;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::evidence::document::{EVIDENCE_SCHEMA, EvidenceReport};
use crate::gate::{GATE_SCHEMA, Judgement};
use crate::journal::{self, line::Line};
use crate::printable::is_unprintable;
use crate::record::clients::ClientsReport;
use crate::record::connections::ConnectionsReport;
use crate::record::{Record, Report};

/// The report, indented, with a line break at its end.
///
/// # Errors
/// Where a value has no JSON form; no value of a report is such.
pub fn report(report: &Report) -> serde_json::Result<String> {
    written(report, PrettyFormatter::new())
}

/// The record on a line of its own.
///
/// # Errors
/// As for [`report`].
pub fn line(record: &Record) -> serde_json::Result<String> {
    written(record, CompactFormatter)
}

/// Another document, indented.
pub(super) fn document(document: &impl Serialize) -> serde_json::Result<String> {
    written(document, PrettyFormatter::new())
}

/// A part of a document on a line of its own.
pub(crate) fn compact(part: &impl Serialize) -> serde_json::Result<String> {
    written(part, CompactFormatter)
}

/// The JSON Schema of the applications' connections.
pub fn connections_schema() -> Schema {
    schema::<ConnectionsReport>("redpath.connections/v1")
}

/// The JSON Schema of the clients of a cache.
pub fn clients_schema() -> Schema {
    schema::<ClientsReport>("redpath.clients/v1")
}

/// The records in one object, `{"records": [...]}`, on a line: what the agent's API answers with.
///
/// # Errors
/// As for [`report`].
pub fn records(records: &[&Record]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Records<'a> {
        records: &'a [&'a Record],
    }
    written(&Records { records }, CompactFormatter)
}

/// The JSON Schema of a line of a journal, as it is committed in `docs/schema/`.
pub fn journal_schema() -> Schema {
    schema::<Line>(journal::SCHEMA)
}

/// The JSON Schema of the evidence of many vantages.
pub fn evidence_schema() -> Schema {
    schema::<EvidenceReport>(EVIDENCE_SCHEMA)
}

/// The JSON Schema of the answer of a gate.
pub fn gate_schema() -> Schema {
    schema::<Judgement>(GATE_SCHEMA)
}

/// The JSON Schema of a record, as it is committed in `docs/schema/`.
pub fn record_schema() -> Schema {
    schema::<Record>("redpath.record/v1")
}

/// The JSON Schema of a report.
pub fn report_schema() -> Schema {
    schema::<Report>("redpath.report/v1")
}

/// The JSON Schema of a document.
pub(crate) fn schema<T: schemars::JsonSchema>(title: &str) -> Schema {
    // What is always written is required, though older records may be read without it.
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    schema
}

fn written(value: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Printable(formatter)))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(|error| serde::ser::Error::custom(error.to_string()))
}

/// A formatter that writes as `\uXXXX` what JSON allows in a string and a terminal would act on:
/// C1 control characters, bidirectional overrides. The value stays the same.
struct Printable<F>(F);

impl<F: Formatter> Formatter for Printable<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for piece in fragment.split_inclusive(is_unprintable) {
            match piece.char_indices().next_back().filter(|(_, c)| is_unprintable(*c)) {
                None => self.0.write_string_fragment(writer, piece)?,
                Some((at, c)) => {
                    self.0.write_string_fragment(writer, &piece[..at])?;
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_terminal_controls() {
        let hostile = "a\u{9b}31m \u{202e}b \x1b[2J \u{e0041} ü \"q\"";
        let text = written(&[hostile], CompactFormatter).expect("text serializes");
        assert!(!text.trim_end().contains(is_unprintable), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).expect("it is JSON"), [hostile]);
    }
}
