//! JSON as a tree of the keys that are known; every other value is skipped where it stands, so that a
//! secret or a huge list beside them is never held.
//!
//! Not derived: errors of serde quote the value that they refuse, which may be an access key, and versions of az
//! differ in the case of keys and in what stands under `properties`.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::printable::printable;

/// The most values that are kept: a list of thousands of resources is far below.
const MAX_VALUES: usize = 500_000;

/// The longest text that is kept, in characters; resource IDs are a few hundred.
const MAX_TEXT: usize = 1024;

/// The keys that are read. Nothing else is, access keys above all.
const KNOWN: &[&str] = &[
    "aRecords",
    "accessKeysAuthentication",
    "category",
    "clientProtocol",
    "clusteringPolicy",
    "creator",
    "customDnsConfigs",
    "databases",
    "disableAccessKeyAuthentication",
    "disparities",
    "enableNonSslPort",
    "error",
    "errors",
    "fqdn",
    "groupIds",
    "hostName",
    "id",
    "ipAddresses",
    "ipv4Address",
    "isValid",
    "manualPrivateLinkServiceConnections",
    "message",
    "metadata",
    "minimumTlsVersion",
    "name",
    "numberOfRecordSets",
    "numberOfVirtualNetworkLinks",
    "port",
    "privateDnsZoneConfigs",
    "privateDnsZoneId",
    "privateEndpoint",
    "privateEndpointConnections",
    "privateLinkServiceConnectionState",
    "privateLinkServiceConnections",
    "privateLinkServiceId",
    "properties",
    "provisioningState",
    "publicNetworkAccess",
    "recordSets",
    "resolutionPolicy",
    "shardCount",
    "sourceResourceId",
    "sourceType",
    "sslPort",
    "status",
    "switchDns",
    "targetResourceId",
    "type",
    "value",
    "virtualNetwork",
    "warnings",
];

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    /// A whole number that is not negative; `None` for any other.
    Number(Option<u64>),
    Text(String),
    List(Vec<Node>),
    /// Known keys alone.
    Map(Vec<(&'static str, Node)>),
}

impl Node {
    /// What it is, for a message; never what it holds.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// Reads JSON text.
///
/// # Errors
/// One sentence with line and column.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    if text.trim().is_empty() {
        return Err("it is empty: the JSON of a command of az is expected (its errors go to the terminal)".to_owned());
    }
    let left = Cell::new(MAX_VALUES);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Keep(&left).deserialize(&mut deserializer).and_then(|node| deserializer.end().map(|()| node));
    read.map_err(|error| {
        let said = error.to_string();
        let what = said.split(" at line ").next().unwrap_or_default();
        let what = match error.classify() {
            Category::Eof => "it ends in the middle of the JSON".to_owned(),
            Category::Data => what.to_owned(), // one of the sentences below
            Category::Syntax | Category::Io if what.starts_with("recursion") => "it is nested too deeply".to_owned(),
            Category::Syntax | Category::Io => format!("it is no JSON: {what}; az writes it with --output json"),
        };
        format!("line {}, column {}: {what}", error.line(), error.column())
    })
}

/// Reads a value and counts it.
struct Keep<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(Some(value)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number(None))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        if text.chars().nth(MAX_TEXT).is_some() {
            return Err(E::custom(format!("a text is too long: at most {MAX_TEXT} characters are expected")));
        }
        Ok(Node::Text(printable(text).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Keep(self.0))? {
            count(self.0)?;
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map: Vec<(&'static str, Node)> = Vec::new();
        while let Some(Key(key)) = entries.next_key()? {
            let Some(key) = key else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = entries.next_value_seed(Keep(self.0))?;
            count(self.0)?;
            match map.iter_mut().find(|(known, _)| *known == key) {
                Some((_, old)) => *old = value, // the last one counts, as for most readers of JSON
                None => map.push((key, value)),
            }
        }
        Ok(Node::Map(map))
    }
}

fn count<E: serde::de::Error>(left: &Cell<usize>) -> Result<(), E> {
    let rest = left.get().checked_sub(1);
    left.set(rest.ok_or_else(|| E::custom(format!("it is too long: at most {MAX_VALUES} values are expected")))?);
    Ok(())
}

/// A key, if it is known; in whatever case, since versions of az differ in it.
struct Key(Option<&'static str>);

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;
        impl Visitor<'_> for Known {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key(KNOWN.iter().copied().find(|known| known.eq_ignore_ascii_case(text))))
            }
        }
        deserializer.deserialize_str(Known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn az_tree_keeps_known_keys_only() {
        let node = parse(r#"{"hostName": "a", "accessKeys": {"primaryKey": "canary"}, "SSLPort": 6380, "tags": [1]}"#);
        assert_eq!(
            node,
            Ok(Node::Map(vec![("hostName", Node::Text("a".into())), ("sslPort", Node::Number(Some(6380)))]))
        );
    }

    #[test]
    fn az_tree_error_has_position_and_bounds() {
        let error = |text: &str| parse(text).expect_err("no JSON");
        assert!(error("[\n  {\"id\": }]").starts_with("line 2, column 10: it is no JSON: expected value"));
        assert!(error("[1, 2").contains("ends in the middle"));
        assert!(error("Name  Port\n").contains("--output json"));
        assert!(error("{} {}").contains("trailing"));
        assert!(error(&"[".repeat(100_000)).contains("nested too deeply"));
        assert!(error(&format!("{{\"value\": [{}0]}}", "0,".repeat(MAX_VALUES))).contains("values"));
        assert!(error(&format!("{{\"id\": \"{}\"}}", "x".repeat(MAX_TEXT + 1))).len() < 200);
        assert!(parse(&format!("{{\"other\": {}0{}}}", "[".repeat(5_000), "]".repeat(5_000))).is_ok());
    }

    #[test]
    fn az_tree_escapes_hostile_text() {
        let Ok(Node::List(items)) = parse(r#"["\u001b]0;x\u0007\u202e"]"#) else { panic!("a list") };
        assert_eq!(items, [Node::Text("\\u{1b}]0;x\\u{7}\\u{202e}".into())]);
    }
}
