//! Parses the replies of `CLUSTER SHARDS` and `CLUSTER SLOTS`, which are untrusted: bounded, escaped, and an entry that
//! cannot be read is omitted.

use std::collections::HashMap;
use std::net::IpAddr;

use redis::Value;

use crate::observation::cluster::{NodeHealth, NodeRole, SLOTS, SlotRange};
use crate::printable::excerpt;

/// The most nodes that are read; Redis itself advises against more (cluster specification, "main properties").
const MAX_NODES: usize = 1_000;

/// The most characters of a host name (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// What a cluster announced.
#[derive(Debug, Default, PartialEq)]
pub(in crate::probe) struct Announcement {
    /// Each host and port once, in the order of the reply.
    pub(in crate::probe) nodes: Vec<Announced>,
    /// Entries that could not be read, or were beyond [`MAX_NODES`].
    pub(in crate::probe) omitted: u32,
}

impl Announcement {
    /// Whether there are entries, and none of them could be read.
    pub(in crate::probe) fn is_unreadable(&self) -> bool {
        self.nodes.is_empty() && self.omitted > 0
    }

    /// Without the nodes whose names are excluded; they are counted.
    pub(in crate::probe) fn without_names(mut self, is_excluded: impl Fn(&str) -> bool) -> Self {
        let all = self.nodes.len();
        self.nodes.retain(|node| !matches!(&node.host, Host::Name(name) if is_excluded(name)));
        self.omitted = self.omitted.saturating_add(u32::try_from(all - self.nodes.len()).unwrap_or(u32::MAX));
        self
    }
}

/// A node as announced.
#[derive(Debug, PartialEq)]
pub(in crate::probe) struct Announced {
    pub(in crate::probe) host: Host,
    pub(in crate::probe) port: u16,
    pub(in crate::probe) role: NodeRole,
    pub(in crate::probe) health: Option<NodeHealth>,
    pub(in crate::probe) slots: Slots,
}

/// The host of a node as announced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::probe) enum Host {
    /// None: the host that sent the reply (CLUSTER SLOTS, "If an endpoint is given as NULL or empty").
    Same,
    /// An IP address.
    Ip(IpAddr),
    /// A name, escaped.
    Name(String),
    /// `?`: the cluster does not know the name.
    Unknown,
}

/// A set of slots.
#[derive(Clone, PartialEq)]
pub(in crate::probe) struct Slots(Box<[u64; SLOTS as usize / 64]>);

impl Default for Slots {
    fn default() -> Self {
        Self(Box::new([0; SLOTS as usize / 64]))
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ranges(usize::MAX).iter().map(ToString::to_string)).finish()
    }
}

impl Slots {
    /// Adds a range, a word at a time: a reply may have tens of thousands of ranges.
    fn insert(&mut self, first: u16, last: u16) {
        let last = last.min(SLOTS - 1);
        for word in first / 64..=last / 64 {
            let from = first.saturating_sub(word * 64).min(63);
            let to = (last - word * 64).min(63);
            if from <= to && first <= last {
                self.0[usize::from(word)] |= (u64::MAX >> (63 - to)) & (u64::MAX << from);
            }
        }
    }

    fn has(&self, slot: u16) -> bool {
        self.0[usize::from(slot / 64)] & (1 << (slot % 64)) != 0
    }

    /// Adds those of another set.
    pub(in crate::probe) fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0.iter()) {
            *word |= more;
        }
    }

    /// How many there are.
    pub(in crate::probe) fn count(&self) -> u16 {
        (0..SLOTS).map(|slot| u16::from(self.has(slot))).sum()
    }

    /// The first `max` ranges of them.
    pub(in crate::probe) fn ranges(&self, max: usize) -> Vec<SlotRange> {
        let mut ranges: Vec<SlotRange> = Vec::new();
        for slot in (0..SLOTS).filter(|slot| self.has(*slot)) {
            let listed = ranges.len();
            match ranges.last_mut() {
                Some(range) if range.last + 1 == slot => range.last = slot,
                Some(_) | None if listed == max => break,
                Some(_) | None => ranges.push(SlotRange { first: slot, last: slot }),
            }
        }
        ranges
    }
}

/// Reads a reply of `CLUSTER SHARDS`; `None` where it is none at all.
pub(in crate::probe) fn of_shards(reply: &Value, tls: bool) -> Option<Announcement> {
    let mut reader = Reader::default();
    for shard in items(reply)? {
        let Some(nodes) = field(shard, "nodes").and_then(items) else {
            reader.count_omitted(1);
            continue;
        };
        let mut slots = Slots::default();
        for range in field(shard, "slots").and_then(items).unwrap_or_default().chunks_exact(2) {
            if let (Some(first), Some(last)) = (slot(&range[0]), slot(&range[1])) {
                slots.insert(first, last);
            }
        }
        for node in nodes {
            reader.add(node_of_shard(node, tls), &slots);
        }
    }
    Some(reader.announcement)
}

/// Reads a reply of `CLUSTER SLOTS`; `None` where it is none at all.
pub(in crate::probe) fn of_slots(reply: &Value) -> Option<Announcement> {
    let mut reader = Reader::default();
    for entry in items(reply)? {
        let entry = items(entry).unwrap_or_default();
        let [first, last, nodes @ ..] = entry else {
            reader.count_omitted(1);
            continue;
        };
        let mut slots = Slots::default();
        if let (Some(first), Some(last)) = (slot(first), slot(last)) {
            slots.insert(first, last);
        }
        for (index, node) in nodes.iter().enumerate() {
            let role = if index == 0 { NodeRole::Master } else { NodeRole::Replica };
            let read = match items(node) {
                Some([host, port, ..]) => Some(host).and_then(read_host).zip(read_port(port)),
                _ => None,
            };
            reader.add(read.map(|(host, port)| (host, port, role, None)), &slots);
        }
    }
    Some(reader.announcement)
}

type ReadNode = (Host, u16, NodeRole, Option<NodeHealth>);

fn node_of_shard(node: &Value, tls: bool) -> Option<ReadNode> {
    // The preferred endpoint is what clients connect to; the IP stands in where a server knows no other.
    let host = read_host(field(node, "endpoint").or_else(|| field(node, "ip"))?)?;
    let port = if tls { field(node, "tls-port").or_else(|| field(node, "port")) } else { field(node, "port") };
    let role = match field(node, "role").and_then(text).as_deref() {
        Some("master") => NodeRole::Master,
        Some("replica" | "slave") => NodeRole::Replica,
        _ => NodeRole::Unknown,
    };
    let health = field(node, "health").and_then(text).map(|health| match health.as_str() {
        "online" => NodeHealth::Online,
        "fail" | "failed" => NodeHealth::Failed,
        "loading" => NodeHealth::Loading,
        _ => NodeHealth::Other,
    });
    Some((host, read_port(port?)?, role, health))
}

#[derive(Default)]
struct Reader {
    announcement: Announcement,
    indices: HashMap<(Host, u16), usize>,
}

impl Reader {
    fn add(&mut self, node: Option<ReadNode>, slots: &Slots) {
        let Some((host, port, role, health)) = node else { return self.count_omitted(1) };
        let key = (host, port);
        if let Some(&index) = self.indices.get(&key) {
            return self.announcement.nodes[index].slots.add(slots);
        }
        if self.announcement.nodes.len() == MAX_NODES {
            return self.count_omitted(1);
        }
        self.indices.insert(key.clone(), self.announcement.nodes.len());
        self.announcement.nodes.push(Announced { host: key.0, port, role, health, slots: slots.clone() });
    }

    fn count_omitted(&mut self, count: u32) {
        self.announcement.omitted = self.announcement.omitted.saturating_add(count);
    }
}

/// The elements of an array or a set.
fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// A field of a map: of RESP3's, or of the flat array that RESP2 has in its place.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| is_text(key, name)).map(|(_, value)| value),
        Value::Array(items) => items.chunks_exact(2).find(|pair| is_text(&pair[0], name)).map(|pair| &pair[1]),
        _ => None,
    }
}

fn is_text(value: &Value, expected: &str) -> bool {
    match value {
        Value::BulkString(bytes) => bytes == expected.as_bytes(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text == expected,
        _ => false,
    }
}

/// A text, cut to what a host can have.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MAX_HOST)]).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

fn read_host(value: &Value) -> Option<Host> {
    if *value == Value::Nil {
        return Some(Host::Same);
    }
    let text = text(value)?;
    Some(match (text.as_str(), text.parse::<IpAddr>()) {
        ("", _) => Host::Same,
        ("?", _) => Host::Unknown,
        (_, Ok(ip)) => Host::Ip(ip.to_canonical()),
        (name, Err(_)) => Host::Name(excerpt(name, MAX_HOST)),
    })
}

fn read_port(value: &Value) -> Option<u16> {
    number(value).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

fn slot(value: &Value) -> Option<u16> {
    number(value).and_then(|slot| u16::try_from(slot).ok()).filter(|slot| *slot < SLOTS)
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => text(value)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
