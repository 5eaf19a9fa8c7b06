//! Replies of clusters, valid and hostile.

use proptest::prelude::*;

use super::*;

fn resp(text: &str) -> Value {
    redis::parse_redis_value(text.replace('\n', "\r\n").as_bytes()).expect("a reply")
}

fn hosts(announcement: &Announcement) -> Vec<(Host, u16)> {
    announcement.nodes.iter().map(|node| (node.host.clone(), node.port)).collect()
}

fn ip(text: &str) -> Host {
    Host::Ip(text.parse().expect("an address"))
}

const SHARD: &str = "*4\n+slots\n*4\n:0\n:99\n:200\n:200\n+nodes\n*2\n\
    *14\n+id\n+a\n+port\n:7000\n+tls-port\n:15000\n+ip\n+10.60.4.5\n+endpoint\n+10.60.4.5\n+role\n+master\n+health\n+online\n\
    *14\n+id\n+b\n+port\n:7001\n+tls-port\n:15001\n+ip\n+10.60.4.5\n+endpoint\n$-1\n+role\n+replica\n+health\n+fail\n";

#[test]
fn topology_reads_shards() {
    let announcement = of_shards(&resp(&format!("*1\n{SHARD}")), true).expect("an announcement");
    assert_eq!(hosts(&announcement), [(ip("10.60.4.5"), 15_000), (Host::Same, 15_001)]);
    let [master, replica] = announcement.nodes.as_slice() else { panic!("two nodes") };
    assert_eq!((master.role, replica.role), (NodeRole::Master, NodeRole::Replica));
    assert_eq!((master.health, replica.health), (Some(NodeHealth::Online), Some(NodeHealth::Failed)));
    let ranges: Vec<String> = replica.slots.ranges(9).iter().map(ToString::to_string).collect();
    assert_eq!((ranges, replica.slots.count()), (vec!["0-99".to_owned(), "200".to_owned()], 101));
    let plain = of_shards(&resp(&format!("*1\n{SHARD}")), false).expect("an announcement");
    assert_eq!(hosts(&plain), [(ip("10.60.4.5"), 7_000), (Host::Same, 7_001)]);
}

#[test]
fn topology_reads_shards_of_resp3() {
    let map = SHARD.replacen("*4\n+slots", "%2\n+slots", 1).replace("*14\n", "%7\n");
    let resp3 = of_shards(&resp(&format!("*1\n{map}")), true);
    assert_eq!(resp3, of_shards(&resp(&format!("*1\n{SHARD}")), true));
}

#[test]
fn topology_reads_slots_with_unique_nodes() {
    let reply = "*3\n*4\n:0\n:10\n*4\n+10.60.4.5\n:15000\n+a\n*0\n*3\n$0\n\n:15001\n+b\n\
        *3\n:11\n:20\n*3\n+10.60.4.5\n:15000\n+a\n\
        *4\n:21\n:22\n*3\n+cache1.example.org\n:15002\n+c\n*3\n+?\n:15003\n+d\n";
    let announcement = of_slots(&resp(reply)).expect("an announcement");
    let name = Host::Name("cache1.example.org".to_owned());
    let expected = [(ip("10.60.4.5"), 15_000), (Host::Same, 15_001), (name, 15_002), (Host::Unknown, 15_003)];
    assert_eq!(hosts(&announcement), expected);
    assert_eq!(announcement.nodes[0].slots.ranges(9), [SlotRange { first: 0, last: 20 }]);
    assert_eq!(announcement.omitted, 0);
}

#[test]
fn topology_skips_only_unreadable_entries() {
    let reply =
        "*3\n+nonsense\n*3\n:0\n:10\n*2\n+10.60.4.5\n:0\n*4\n:99999\n:-1\n*2\n+10.60.4.5\n:15000\n*2\n:1\n:99999\n";
    let announcement = of_slots(&resp(reply)).expect("an announcement");
    assert_eq!((hosts(&announcement), announcement.omitted), (vec![(ip("10.60.4.5"), 15_000)], 3));
    assert_eq!(announcement.nodes[0].slots.count(), 0);
    assert_eq!(of_slots(&resp("+PONG\n")), None);
    assert_eq!(of_shards(&Value::Nil, true), None);
    let nothing = of_shards(&resp("*0\n"), true).expect("an announcement");
    assert!(nothing == Announcement::default() && !nothing.is_unreadable());
    assert!(of_slots(&resp("*2\n*0\n*0\n")).is_some_and(|announcement| announcement.is_unreadable()));
}

#[test]
fn topology_nodes_and_names_are_bounded() {
    let node = |number: usize| {
        Value::Array(vec![
            Value::BulkString(format!("n{number}\u{1b}[2J{}", "x".repeat(9_000)).into_bytes()),
            Value::Int(1),
        ])
    };
    let entry = [vec![Value::Int(0), Value::Int(1)], (0..3_000).map(node).collect()].concat();
    let announcement = of_slots(&Value::Array(vec![Value::Array(entry)])).expect("an announcement");
    assert_eq!((announcement.nodes.len(), announcement.omitted), (MAX_NODES, 2_000));
    for node in &announcement.nodes {
        let Host::Name(name) = &node.host else { panic!("a name") };
        assert!(!name.contains('\u{1b}') && name.len() < 300, "{name}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("slots"),
        Just("nodes"),
        Just("endpoint"),
        Just("ip"),
        Just("port"),
        Just("tls-port"),
        Just("role"),
        Just("health"),
        Just("10.60.4.5"),
        Just(""),
        Just("?"),
        Just("fd00::1"),
        Just("\u{202e}evil"),
        Just("16383"),
    ];
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<i64>().prop_map(Value::Int),
        (-2_i64..17_000).prop_map(Value::Int),
        word.prop_map(|word| Value::BulkString(word.as_bytes().to_vec())),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::BulkString),
    ];
    leaf.prop_recursive(5, 200, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            proptest::collection::vec((inner.clone(), inner), 0..5).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn topology_any_reply_is_bounded(value in any_value(), tls in any::<bool>()) {
        for announcement in [of_shards(&value, tls), of_slots(&value)].into_iter().flatten() {
            prop_assert!(announcement.nodes.len() <= MAX_NODES);
            for node in announcement.nodes {
                prop_assert!(node.port > 0 && node.slots.count() <= SLOTS);
                prop_assert!(node.slots.ranges(4).iter().all(|range| range.first <= range.last && range.last < SLOTS));
                if let Host::Name(name) = node.host {
                    prop_assert!(!name.contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", name);
                }
            }
        }
    }

    #[test]
    fn topology_slots_are_a_set(ranges in proptest::collection::vec((0_u16..SLOTS, 0_u16..300), 0..12)) {
        let mut slots = Slots::default();
        let mut expected = std::collections::BTreeSet::new();
        for (first, length) in ranges {
            let last = first.saturating_add(length).min(SLOTS - 1);
            slots.insert(first, last);
            expected.extend(first..=last);
        }
        prop_assert_eq!(usize::from(slots.count()), expected.len());
        let listed: Vec<u16> = slots.ranges(usize::MAX).iter().flat_map(|range| range.first..=range.last).collect();
        prop_assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
    }
}
