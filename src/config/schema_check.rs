//! Holds the document against the JSON Schema of `raw`: known keys, required keys, types, closed
//! lists, ranges of numbers, lengths. It finds every problem of that kind at once and knows no key
//! by name.

use serde_json::Value as Json;

use super::error::Problems;
use super::path::Path;
use super::unknown_key;
use super::yaml::{Node, Value};
use crate::secret::quote::may_hold_secret;
use crate::suggest::suggest;

/// Notes whatever of `node` does not fit `schema`.
pub(super) fn check(node: &Node, schema: &Json, path: &Path, problems: &mut Problems<'_>) {
    if problems.is_full() {
        return;
    }
    let Some(schema) = fitting(node, schema) else {
        let message = misfit(node, schema, path);
        problems.add(path, message);
        return;
    };
    match &node.value {
        Value::Map(_) => mapping(node, schema, path, problems),
        Value::List(items) => {
            if let Some(why) = wrong_count(items.len(), ["entry", "entries"], schema, ["minItems", "maxItems"]) {
                problems.add(path, why);
            }
            for (index, item) in items.iter().enumerate() {
                check(item, &schema["items"], &path.index(index), problems);
            }
        }
        Value::Text(text) => {
            let length = text.chars().count();
            if let Some(why) = wrong_count(length, ["character", "characters"], schema, ["minLength", "maxLength"]) {
                problems.add(path, why);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What is accepted where `schema` holds, to stand before "is expected".
fn expected(schema: &Json) -> String {
    let words = words(schema);
    if !words.is_empty() {
        return one_of(words.iter().map(|word| format!("`{word}`")).collect());
    }
    if let Some(alternatives) = alternatives(schema) {
        return one_of(alternatives.iter().map(expected).collect());
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" => match examples(schema) {
            Some(examples) => format!("text such as {}", one_of(examples)),
            None => "text".to_owned(),
        },
        "integer" => format!("a whole number{}", range(schema)),
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => match examples(&schema["items"]) {
            Some(examples) => format!("a list such as [{}]", examples.join(", ")),
            None => "a list".to_owned(),
        },
        "object" => match schema["properties"].as_object() {
            Some(known) => format!("a mapping with keys of {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
            None => "a mapping".to_owned(),
        },
        _ => "another value".to_owned(),
    }
}

fn examples(schema: &Json) -> Option<Vec<String>> {
    schema["examples"].as_array().map(|all| all.iter().filter_map(Json::as_str).map(str::to_owned).collect())
}

/// `a, b or c`.
fn one_of(mut words: Vec<String>) -> String {
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

fn mapping(node: &Node, schema: &Json, path: &Path, problems: &mut Problems<'_>) {
    let Value::Map(entries) = &node.value else { return };
    let known = schema["properties"].as_object();
    for (key, value) in entries {
        let path = path.key(&key.name);
        match known.and_then(|known| known.get(&key.name)) {
            Some(schema) => check(value, schema, &path, problems),
            None if schema["additionalProperties"].is_object() => {
                check(value, &schema["additionalProperties"], &path, problems);
            }
            None => problems.add(&path, unknown_key::message(&path, &key.name, schema)),
        }
    }
    if let Some(why) = wrong_count(entries.len(), ["key", "keys"], schema, ["minProperties", "maxProperties"]) {
        problems.add(path, why);
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        if !entries.iter().any(|(key, _)| key.name == required) {
            let wanted = expected(&schema["properties"][required]);
            problems.add(path, format!("the key `{required}` is missing: {wanted} is expected"));
        }
    }
}

/// The schema, or that alternative of it, that the value is of the type of.
fn fitting<'s>(node: &Node, schema: &'s Json) -> Option<&'s Json> {
    let words = words(schema);
    if !words.is_empty() {
        return matches!(&node.value, Value::Text(text) if words.contains(&text.as_str())).then_some(schema);
    }
    if let Some(alternatives) = alternatives(schema) {
        return alternatives.iter().find_map(|alternative| fitting(node, alternative));
    }
    let fits = match (schema["type"].as_str().unwrap_or_default(), &node.value) {
        ("string", Value::Text(_))
        | ("boolean", Value::Bool(_))
        | ("array", Value::List(_))
        | ("object", Value::Map(_))
        | ("number", Value::Number(_)) => true,
        ("integer", Value::Number(number)) => number.as_u64().is_some_and(|number| {
            schema["minimum"].as_u64().is_none_or(|least| number >= least)
                && schema["maximum"].as_u64().is_none_or(|most| number <= most)
        }),
        _ => false,
    };
    fits.then_some(schema)
}

fn misfit(node: &Node, schema: &Json, path: &Path) -> String {
    let wanted = expected(schema);
    let text_is_wanted = schema["type"] == "string" && words(schema).is_empty();
    match &node.value {
        Value::Null => format!("it has no value: {wanted} is expected, or the key left out"),
        Value::Bool(truth) if text_is_wanted => format!("{truth} is no text: quotes around it make it text"),
        Value::Number(_) if path.is_about_secrets() => format!("a number does not fit: {wanted} is expected"),
        Value::Number(number) if text_is_wanted && schema["examples"].is_null() => {
            format!("{number} is a number, not text: quotes around it make it text")
        }
        Value::Number(number) if schema["type"] == "integer" => {
            format!("{number} is out of range: {wanted} is expected")
        }
        Value::Number(number) => format!("{number} does not fit: {wanted} is expected"),
        Value::Bool(truth) => format!("{truth} does not fit: {wanted} is expected"),
        Value::Text(text)
            if text.parse::<f64>().is_ok() && (schema["type"] == "integer" || schema["type"] == "number") =>
        {
            format!("{} is text: {wanted}, without quotes, is expected", path.shown(text))
        }
        Value::Text(text) if may_hold_secret(text) && !path.is_about_secrets() => format!(
            "{} does not fit: {wanted} is expected, and a password by `auth.password_file` or `auth.password_env`",
            path.shown(text)
        ),
        Value::Text(text) => match suggest(text, words(schema)) {
            Some(word) => format!("{} is not known; did you mean `{word}`? {wanted} is expected", path.shown(text)),
            None => format!("{} does not fit: {wanted} is expected", path.shown(text)),
        },
        Value::List(_) => format!("a list does not fit: {wanted} is expected"),
        Value::Map(_) => format!("a mapping does not fit: {wanted} is expected"),
    }
}

/// What is wrong with a number of `of` (one, many) that the schema limits by the keys `limits` (least, most).
fn wrong_count(found: usize, of: [&str; 2], schema: &Json, limits: [&str; 2]) -> Option<String> {
    let [least, most] = limits.map(|key| schema[key].as_u64());
    let found = u64::try_from(found).unwrap_or(u64::MAX);
    let [one, many] = of;
    if least.is_some_and(|least| found < least) {
        return Some(format!("it is empty: at least one {one} is expected"));
    }
    let most = most.filter(|most| found > *most)?;
    Some(format!("it has {found} {many}: at most {most} are expected"))
}

fn range(schema: &Json) -> String {
    match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    }
}

/// The words of a closed list.
fn words(schema: &Json) -> Vec<&str> {
    if let Some(word) = schema["const"].as_str() {
        return vec![word];
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Json::as_str).collect();
    }
    match alternatives(schema) {
        Some(alternatives) if alternatives.iter().all(|one| one["const"].is_string() || one["enum"].is_array()) => {
            alternatives.iter().flat_map(words).collect()
        }
        _ => Vec::new(),
    }
}

fn alternatives(schema: &Json) -> Option<&Vec<Json>> {
    schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array())
}
