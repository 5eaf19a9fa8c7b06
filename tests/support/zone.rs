//! A map from names to records, for the scripted DNS server: it follows CNAMEs as a resolver would.
#![allow(dead_code, reason = "each program that includes this file uses its own part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record};

use super::dns::{Action, Asked, Reply};

/// The TTLs that Azure gives: two minutes to the CNAME, ten seconds to the private address.
const CNAME_TTL: u32 = 120;
const PRIVATE_TTL: u32 = 10;
const PUBLIC_TTL: u32 = 60;

/// Names and their records.
#[derive(Clone, Default)]
pub(crate) struct Zone {
    records: BTreeMap<String, Vec<Record>>,
}

impl Zone {
    /// No names yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The private path: `host` CNAME its `privatelink` name, A `endpoint`.
    pub(crate) fn healthy(host: &str, endpoint: impl Into<IpAddr>) -> Self {
        let private = privatelink_name(host);
        Self::new().cname(host, CNAME_TTL, &private).address(&private, PRIVATE_TTL, endpoint)
    }

    /// The private zone is not linked: the chain leaves the `privatelink` name for the public one.
    pub(crate) fn unlinked(host: &str, public: impl Into<IpAddr>) -> Self {
        let (private, regional) = (privatelink_name(host), regional_name(host));
        Self::new()
            .cname(host, CNAME_TTL, &private)
            .cname(&private, PUBLIC_TTL, &regional)
            .address(&regional, PUBLIC_TTL, public)
    }

    /// The private zone is linked and does not hold the record: `host` CNAME a name that does not exist.
    pub(crate) fn record_missing(host: &str) -> Self {
        Self::new().cname(host, CNAME_TTL, &privatelink_name(host))
    }

    /// The resource has no private endpoint: no `privatelink` name in the chain.
    pub(crate) fn no_private_endpoint(host: &str, public: impl Into<IpAddr>) -> Self {
        let regional = regional_name(host);
        Self::new().cname(host, CNAME_TTL, &regional).address(&regional, PUBLIC_TTL, public)
    }

    /// Two names that are each other's alias.
    pub(crate) fn looping(host: &str) -> Self {
        let private = privatelink_name(host);
        Self::new().cname(host, CNAME_TTL, &private).cname(&private, CNAME_TTL, host)
    }

    /// Adds an alias.
    pub(crate) fn cname(self, name: &str, ttl: u32, target: &str) -> Self {
        self.record(cname(name, ttl, target))
    }

    /// Adds an address.
    pub(crate) fn address(self, name: &str, ttl: u32, ip: impl Into<IpAddr>) -> Self {
        self.record(address(name, ttl, ip))
    }

    /// Adds any record.
    pub(crate) fn record(mut self, record: Record) -> Self {
        self.records.entry(key(&record.name)).or_default().push(record);
        self
    }

    /// Answers from the records: the chain with its end, or NXDOMAIN or NODATA with the chain so far.
    pub(crate) fn answer(&self, asked: &Asked) -> Reply {
        let mut reply = Reply::empty();
        let (mut name, mut seen) = (asked.name.clone(), BTreeSet::new());
        loop {
            let Some(records) = self.records.get(&key(&name)) else {
                reply.rcode = ResponseCode::NXDomain;
                reply.authorities.push(soa(&name));
                return reply;
            };
            let wanted = records.iter().filter(|record| record.record_type() == asked.record_type);
            let before = reply.answers.len();
            reply.answers.extend(wanted.cloned());
            if reply.answers.len() > before {
                return reply;
            }
            let alias = records.iter().find_map(|record| match &record.data {
                RData::CNAME(target) => Some((record, target.0.clone())),
                _ => None,
            });
            let Some((record, target)) = alias else {
                reply.authorities.push(soa(&name));
                return reply;
            };
            reply.answers.push(record.clone());
            if !seen.insert(key(&name)) {
                return reply; // a loop: its records are the whole answer
            }
            name = target;
        }
    }

    /// The zone as a whole script: every question is answered from it.
    pub(crate) fn script(self) -> impl Fn(&Asked) -> Action + Send + Sync + 'static {
        move |asked| Action::Reply(self.answer(asked))
    }
}

/// An address record.
pub(crate) fn address(name: &str, ttl: u32, ip: impl Into<IpAddr>) -> Record {
    let data = match ip.into() {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    };
    Record::from_rdata(parsed(name), ttl, data)
}

/// An alias record.
pub(crate) fn cname(name: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(parsed(name), ttl, RData::CNAME(CNAME(parsed(target))))
}

/// `count` aliases, one after the other, from `host` to an address.
pub(crate) fn long_chain(host: &str, count: u32, end: Ipv4Addr) -> Zone {
    let link = |number: u32| if number == 0 { host.to_owned() } else { format!("link-{number}.example.net") };
    let zone = (0..count).fold(Zone::new(), |zone, number| zone.cname(&link(number), CNAME_TTL, &link(number + 1)));
    zone.address(&link(count), PUBLIC_TTL, end)
}

/// `count` addresses for one name, out of 10.0.0.0/8.
pub(crate) fn many_addresses(host: &str, count: u32) -> Zone {
    (1..=count).fold(Zone::new(), |zone, number| {
        zone.address(host, PUBLIC_TTL, Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number))
    })
}

/// The name in the private zone: `privatelink` before the service's suffix, `redis.…` or `redisenterprise.…`.
fn privatelink_name(host: &str) -> String {
    let at = host.find(".redis").expect("a host name of an Azure Redis service");
    format!("{}.privatelink{}", &host[..at], &host[at..])
}

/// The public name that the chain goes on to.
pub(crate) fn regional_name(host: &str) -> String {
    let label = host.split('.').next().unwrap_or(host);
    format!("{label}-we.westeurope.cloudapp.azure.com")
}

fn soa(name: &Name) -> Record {
    let zone = if name.num_labels() > 1 { name.base_name() } else { name.clone() };
    let data = SOA::new(parsed("ns.example.net"), parsed("hostmaster.example.net"), 1, 3600, 300, 86_400, 10);
    Record::from_rdata(zone, 10, RData::SOA(data))
}

fn parsed(name: &str) -> Name {
    let mut name = Name::from_str(name).expect("a name for a zone");
    name.set_fqdn(true);
    name
}

fn key(name: &Name) -> String {
    let mut name = name.to_ascii().to_ascii_lowercase();
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}
