//! An object of a file of `az`: its values by key, each of the type that az gives it, or refused with its path.

use std::fmt::Write as _;

use super::tree::Node;
use crate::azure::facts::Switch;

/// An object and where it stands. A key is looked for in it and, as ARM nests them, under `properties`.
pub(super) struct Object<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
}

impl<'a> Object<'a> {
    /// The value of `key` with its path; null is no value.
    pub(super) fn get(&self, key: &str) -> Option<(&'a Node, String)> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let own = value(self.node, key).map(|node| (node, format!("{}{dot}{key}", self.path)));
        own.or_else(|| {
            let node = value(value(self.node, "properties")?, key)?;
            Some((node, format!("{}{dot}properties.{key}", self.path)))
        })
    }

    /// Whether it has a value for `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The objects of a list, or the object that stands in place of one.
    pub(super) fn one_or_more(&self, key: &str) -> Result<Vec<Object<'a>>, String> {
        match self.get(key) {
            Some((Node::Map(_), _)) => Ok(self.object(key)?.into_iter().collect()),
            _ => self.objects(key),
        }
    }

    /// `[0].properties.sslPort: `, to stand in front of what is wrong there.
    pub(super) fn place(&self, key: &str) -> String {
        let mut place = match self.get(key) {
            Some((_, path)) => path,
            None => {
                let dot = if self.path.is_empty() || key.is_empty() { "" } else { "." };
                format!("{}{dot}{key}", self.path)
            }
        };
        if !place.is_empty() {
            place.push_str(": ");
        }
        place
    }

    pub(super) fn read<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl Fn(&'a Node) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some((node, path)) = self.get(key) else { return Ok(None) };
        match read(node) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("{path}: it is {}: {wanted} is expected", node.kind())),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, String> {
        self.read(key, "text", |node| match node {
            Node::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(super) fn needed_text(&self, key: &str) -> Result<String, String> {
        self.text(key)?.ok_or_else(|| format!("{}it is missing: text is expected", self.place(key)))
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>, String> {
        self.read(key, "true or false", |node| match node {
            Node::Bool(truth) => Some(*truth),
            _ => None,
        })
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, String> {
        self.read(key, "a whole number", |node| match node {
            Node::Number(number) => *number,
            _ => None,
        })
    }

    pub(super) fn port(&self, key: &str) -> Result<Option<u16>, String> {
        match self.number(key)?.map(|number| u16::try_from(number).ok().filter(|port| *port > 0)) {
            Some(None) => Err(format!("{}it is no port: a number from 1 to 65535 is expected", self.place(key))),
            port => Ok(port.flatten()),
        }
    }

    /// Azure adds words to such lists (`SecuredByPerimeter`): another one is no fact.
    pub(super) fn switch(&self, key: &str) -> Result<Option<Switch>, String> {
        let word = self.text(key)?.unwrap_or_default().to_ascii_lowercase();
        Ok(match word.as_str() {
            "enabled" => Some(Switch::Enabled),
            "disabled" => Some(Switch::Disabled),
            _ => None,
        })
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Object<'a>>, String> {
        let Some((_, path)) = self.get(key) else { return Ok(None) };
        self.read(key, "an object", |node| matches!(node, Node::Map(_)).then(|| Object { node, path: path.clone() }))
    }

    pub(super) fn list(&self, key: &str) -> Result<(&'a [Node], String), String> {
        let Some((_, path)) = self.get(key) else { return Ok((&[], String::new())) };
        let items = self.read(key, "a list", |node| match node {
            Node::List(items) => Some(items.as_slice()),
            _ => None,
        })?;
        Ok((items.unwrap_or_default(), path))
    }

    pub(super) fn objects(&self, key: &str) -> Result<Vec<Object<'a>>, String> {
        let (items, path) = self.list(key)?;
        let mut objects = Vec::with_capacity(items.len());
        for (index, node) in items.iter().enumerate() {
            let mut path = path.clone();
            let _ = write!(path, "[{index}]"); // writing to a string cannot fail
            if !matches!(node, Node::Map(_)) {
                return Err(format!("{path}: it is {}: an object is expected", node.kind()));
            }
            objects.push(Object { node, path });
        }
        Ok(objects)
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let (items, path) = self.list(key)?;
        let mut texts = Vec::with_capacity(items.len());
        for (index, node) in items.iter().enumerate() {
            let Node::Text(text) = node else {
                return Err(format!("{path}[{index}]: it is {}: text is expected", node.kind()));
            };
            texts.push(text.clone());
        }
        Ok(texts)
    }
}

fn value<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Node::Map(entries) = node else { return None };
    entries.iter().find(|(known, _)| *known == key).map(|(_, value)| value).filter(|value| **value != Node::Null)
}

/// The part of an ID before `mark`, in whatever case it is written.
pub(super) fn before(id: &str, mark: &str) -> Option<String> {
    let at = id.to_ascii_lowercase().find(&mark.to_ascii_lowercase())?;
    id.get(..at).map(str::to_owned)
}
