//! The YAML text as a tree that knows its lines. It knows nothing of redpath's keys.
//!
//! Source snippets are off: they repeat neighbouring lines, whatever secret stands there.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{DefaultMessageFormatter, DuplicateKeyPolicy, Error, MessageFormatter, Spanned};

use super::path::{Path, Step};

/// The largest file that is read, in bytes; a Kubernetes ConfigMap cannot hold more either.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// A value and the line that it begins on, from 1.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// Why a text is no YAML document that redpath reads, and the line.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl SyntaxError {
    fn new(line: Option<u64>, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// A YAML value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and the line that it stands on.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) line: u64,
    pub(super) name: String,
}

/// Reads one YAML document.
///
/// # Errors
/// The first thing that is not YAML, or goes beyond the limits of size, depth and repetition.
pub(super) fn read(text: &str) -> Result<Node, SyntaxError> {
    if text.len() > MAX_BYTES {
        return Err(too_long());
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        // YAML 1.2, 10.3.2: `off` is a word, and only `true` and `false` are truths.
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000, max_replay_stack_depth: 8 },
        budget: serde_saphyr::budget! { max_depth: 32, max_nodes: 250_000, max_documents: 2 },
    };
    let node: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| refusal(&error))?;
    match &node.value {
        Value::Null => Err(SyntaxError::new(None, "it is empty: `targets` with at least one target is expected")),
        Value::Map(_) => Ok(node),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => Err(SyntaxError::new(
            Some(node.line),
            "it is not a mapping of keys to values: `targets:` with a list of targets is expected",
        )),
    }
}

/// The refusal of a text longer than [`MAX_BYTES`].
fn too_long() -> SyntaxError {
    SyntaxError::new(None, format!("it is longer than {} MiB", MAX_BYTES / 1024 / 1024))
}

const TOO_MUCH: &str = "it is nested too deeply, or repeats too much by aliases";

fn refusal(error: &Error) -> SyntaxError {
    let error = match error.without_snippet() {
        Error::AliasError { error, .. } => error,
        other => other,
    };
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    let message = match error {
        Error::Eof { .. } => "it is empty: `targets` with at least one target is expected".to_owned(),
        Error::MultipleDocuments { .. } => "a second document begins here (`---`): one is expected".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{}` is given twice in one mapping", Path::top().key(key))
        }
        Error::DuplicateMappingKey { key: None, .. } => "a key is given twice in one mapping".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands inside of what it repeats".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => TOO_MUCH.to_owned(),
        Error::NonFiniteFloat { .. } => "infinity and NaN are not numbers that redpath can use".to_owned(),
        other => {
            let message = DefaultMessageFormatter.format_message(other);
            match message.lines().next().unwrap_or_default() {
                "recursion limit exceeded" => TOO_MUCH.to_owned(), // the scanner's own words, before any budget
                message => format!("it is not valid YAML: {message}"),
            }
        }
    };
    SyntaxError::new(line, message)
}

impl Node {
    /// The line of the value at `path`, or of the nearest one on the way to it.
    pub(super) fn line_of(&self, path: &Path) -> u64 {
        let (mut node, mut line) = (self, self.line);
        for step in path.steps() {
            let next = match (step, &node.value) {
                (Step::Key(name), Value::Map(entries)) => {
                    entries.iter().find(|(key, _)| key.name == *name).map(|(key, value)| (value, key.line))
                }
                (Step::Index(index), Value::List(items)) => items.get(*index).map(|item| (item, item.line)),
                (Step::Key(_) | Step::Index(_), _) => None,
            };
            match next {
                Some(found) => (node, line) = found,
                None => break,
            }
        }
        line
    }

    /// The same tree without the lines.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Value, E> {
        Err(E::custom("a whole number is longer than 64 bits"))
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Value, E> {
        Err(E::custom("a whole number is longer than 64 bits"))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("infinity and NaN are no numbers"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.push((Key { line: key.referenced.line(), name: key.value }, value));
        }
        Ok(Value::Map(map))
    }
}
