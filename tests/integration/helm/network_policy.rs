//! The NetworkPolicy: egress to exactly what the configuration leads to.

use std::collections::BTreeSet;

use redpath::config;
use redpath::plan::ClusterMode;
use serde_json::Value as Json;

use super::{CHART, LINES, configuration, only, template, variant};
use crate::support::agent::Directory;

/// Every opened way: `TO PROTOCOL FROM-TO`, `*` where it is not said whereto.
fn ways(policy: &Json) -> BTreeSet<String> {
    let mut ways = BTreeSet::new();
    for rule in policy["spec"]["egress"].as_array().expect("rules") {
        let peers = match rule["to"].as_array() {
            Some(peers) => peers
                .iter()
                .map(|peer| match peer["ipBlock"]["cidr"].as_str() {
                    Some(cidr) => cidr.to_owned(),
                    None => {
                        peer["podSelector"]["matchLabels"]["k8s-app"].as_str().expect("the cluster's DNS").to_owned()
                    }
                })
                .collect(),
            None => vec!["*".to_owned()],
        };
        for port in rule["ports"].as_array().expect("a rule without ports opens everything") {
            let last = port["endPort"].as_u64().or(port["port"].as_u64()).expect("a port");
            for peer in &peers {
                ways.insert(format!(
                    "{peer} {} {}-{last}",
                    port["protocol"].as_str().expect("a protocol"),
                    port["port"]
                ));
            }
        }
    }
    ways
}

fn set<const N: usize>(ways: [&str; N]) -> BTreeSet<String> {
    ways.map(str::to_owned).into()
}

/// DNS of every policy.
fn dns() -> BTreeSet<String> {
    let servers = ["kube-dns", "168.63.129.16/32", "169.254.20.10/32", "169.254.10.10/32", "169.254.10.11/32"];
    servers.iter().flat_map(|server| ["UDP", "TCP"].map(|protocol| format!("{server} {protocol} 53-53"))).collect()
}

#[test]
fn egress_allows_dns_redis_and_tokens() {
    let mut expected: BTreeSet<String> = dns().iter().map(|way| way.replace("kube-dns", "coredns")).collect();
    expected.extend(set([
        // Resolvers of the configuration, name servers of the values.
        "10.10.0.53/32 UDP 53-53",
        "10.10.0.53/32 TCP 53-53",
        "10.10.0.52/32 UDP 53-53",
        "10.10.0.52/32 TCP 53-53",
        "10.10.0.54/32 UDP 5353-5353",
        "10.10.0.54/32 TCP 5353-5353",
        "10.10.0.55/32 UDP 5353-5353",
        "10.10.0.55/32 TCP 5353-5353",
        "fd00::53/128 UDP 5353-5353",
        "fd00::53/128 TCP 5353-5353",
        // Redis: the services' own, those of nodes, the one given, the plain-text port, the values'.
        "10.60.0.0/16 TCP 6380-6380",
        "10.60.0.0/16 TCP 15000-15999",
        "10.60.0.0/16 TCP 6390-6390",
        "10.60.0.0/16 TCP 10000-10000",
        "10.60.0.0/16 TCP 8500-8599",
        "10.60.0.0/16 TCP 6400-6400",
        "10.60.0.0/16 TCP 6379-6379",
        "10.60.0.0/16 TCP 7000-7005",
        // The token endpoint, and what the values add.
        "169.254.169.254/32 TCP 80-80",
        "10.99.0.0/24 TCP 9000-9000",
    ]));
    assert_eq!(ways(only(variant("redpath/networkpolicy"), "NetworkPolicy")), expected);

    let mut expected = dns();
    expected.extend(set(["* TCP 10000-10000", "* TCP 8500-8599", "* TCP 443-443"]));
    assert_eq!(ways(only(variant("redpath/workload-identity"), "NetworkPolicy")), expected);

    let mut expected = dns();
    expected.extend(set(["* TCP 6380-6380", "* TCP 15000-15999"]));
    assert_eq!(ways(only(variant("redpath/existing-configmap"), "NetworkPolicy")), expected);
}

#[test]
fn ingress_allows_agent_port_only() {
    let policy = only(variant("redpath/networkpolicy"), "NetworkPolicy");
    assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    let rules = policy["spec"]["ingress"].as_array().expect("rules");
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0]["ports"], serde_json::json!([{"port": "http", "protocol": "TCP"}]));
    assert_eq!(rules[0]["from"].as_array().map(Vec::len), Some(1));
}

#[test]
fn egress_has_ports_of_old_name() {
    let directory = Directory::new("helm-old-name");
    for (old, port, shards) in [
        ("cache1.redis.cache.windows.net", "* TCP 6380-6380", true),
        ("cache1.redis.cache.windows.net:7380", "* TCP 7380-7380", true),
        ("redis.example.org", "* TCP 6380-6380", false),
    ] {
        let values = format!(
            "networkPolicy: {{enabled: true, token: none}}\nconfig: {{targets: [{{host: amr1.westeurope.redis.azure.net, migration: {{old: \"{old}\"}}}}]}}\n"
        );
        let file = directory.file("values.yaml", &values).display().to_string();
        let objects = template("4", CHART, &["-f", &file]).unwrap_or_else(|said| panic!("{values}: {said}"));
        let ways = ways(only(&objects, "NetworkPolicy"));
        let has = |way: &str| ways.iter().any(|known| known == way);
        assert!(has(port) && has("* TCP 10000-10000"), "{old}: {ways:?}");
        assert_eq!(has("* TCP 15000-15999"), shards, "{old}: {ways:?}");
    }
}

/// The chart knows each service's ports by itself; this holds it to what the program makes of the same configuration.
#[test]
fn egress_ports_match_program() {
    let hosts = [
        "a.redis.cache.windows.net",
        "a.redis.cache.usgovcloudapi.net",
        "a.redis.cache.chinacloudapi.cn",
        "a.redis.cache.sovcloud-api.de",
        "a.redis.cache.sovcloud-api.fr",
        "a.westeurope.redisenterprise.cache.azure.net",
        "A.WestEurope.Redis.Azure.net.",
        "a.x.redis.chinacloudapi.cn",
        "a.x.redis.usgovcloudapi.net",
        "a.x.redis.sovcloud-api.de",
        "a.x.redis.sovcloud-api.fr",
        "redis.example.org",
        "redis.azure.net.example.org",
    ];
    let directory = Directory::new("helm-ports");
    for host in hosts {
        let one_of_each = ["a.redis.cache.windows.net", "A.WestEurope.Redis.Azure.net.", "redis.example.org"];
        let others = [", tls: {plaintext: true}", ", port: 7777", ", cluster: \"off\""];
        for more in [""].into_iter().chain(others.into_iter().filter(|_| one_of_each.contains(&host))) {
            let values = format!(
                "networkPolicy: {{enabled: true, token: none}}\nconfig: {{targets: [{{host: {host}{more}}}]}}\n"
            );
            let file = directory.file("values.yaml", &values).display().to_string();
            let objects = template("4", CHART, &["-f", &file]).unwrap_or_else(|said| panic!("{values}: {said}"));
            let config = config::parse(configuration(&objects).expect("a configuration")).map_err(|e| e.to_string());
            let plan = config.expect("a configuration that is taken").targets.swap_remove(0).plan;
            let ways = ways(only(&objects, "NetworkPolicy"));
            let redis: Vec<(u16, u16)> = ways
                .iter()
                .filter_map(|way| way.strip_prefix("* TCP ")?.split_once('-'))
                .map(|(from, to)| (from.parse().expect("a port"), to.parse().expect("a port")))
                .collect();
            let (service, tls) = (plan.target.service, plan.target.tls);
            let opened = |port: u16| redis.iter().any(|(from, to)| (*from..=*to).contains(&port));
            assert!(opened(plan.target.port), "{values}{redis:?}");
            // What the service's nodes listen on is opened where they are walked, and nothing of it where not.
            for node in [8500_u16, 8599, 13_000, 13_099, 15_000, 15_099] {
                let known = redpath::azure::endpoint(host).is_some() && service.listens_on(node, tls);
                let walked = plan.cluster == ClusterMode::Auto && known;
                assert_eq!(opened(node), walked, "{node}: {values}{redis:?}");
            }
            assert!(redis.len() <= 2, "{values}{redis:?}");
        }
    }
}

#[test]
fn egress_tokens_follow_configuration() {
    let directory = Directory::new("helm-tokens");
    for (auth, expected) in [
        ("{method: none}", &[][..]),
        ("{method: entra, source: workload_identity}", &["* TCP 443-443"]),
        ("{method: entra, source: managed_identity}", &["169.254.169.254/32 TCP 80-80"]),
        ("{method: entra}", &["* TCP 443-443", "169.254.169.254/32 TCP 80-80"]),
    ] {
        for place in [
            "defaults: {auth: AUTH}, targets: [{host: redis.example.org}]",
            "targets: [{host: redis.example.org, auth: AUTH}]",
        ] {
            let place = place.replace("AUTH", auth);
            let file =
                directory.file("values.yaml", &format!("networkPolicy: {{enabled: true}}\nconfig: {{{place}}}\n"));
            let file = file.display().to_string();
            for line in LINES {
                let objects = template(line, CHART, &["--skip-schema-validation", "-f", &file]);
                let objects = objects.unwrap_or_else(|said| panic!("{place}: {said}"));
                let mut wanted = dns();
                wanted.insert("* TCP 6380-6380".to_owned());
                wanted.extend(expected.iter().map(|way| (*way).to_owned()));
                assert_eq!(ways(only(&objects, "NetworkPolicy")), wanted, "Helm {line}, {place}");
            }
        }
    }
}
