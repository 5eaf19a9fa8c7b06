//! How each view resolved the name.

mod question;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use super::LocalLimit;
use crate::address::{AddressClass, classify};
use crate::azure::AZURE_DNS;
use crate::clock::Seconds;
use crate::expectation::{Expectation, ExpectedPath};

pub use question::Question;

/// Every view's answer to the same question.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resolution {
    /// The views, in the order `libc`, the name servers of resolv.conf, the configured resolvers.
    pub views: Vec<View>,
    /// The name of the view whose addresses the connection goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_in_use: Option<String>,
    /// The search list of resolv.conf, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// `ndots` of resolv.conf: a name with fewer dots walks the search list first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ndots: Option<u32>,
    /// Whether the environment has `KUBERNETES_SERVICE_HOST`, as that of every pod.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_kubernetes: bool,
    /// What is wrong with resolv.conf, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolv_conf_error: Option<String>,
}

impl Resolution {
    /// The view whose addresses the connection goes to.
    pub fn in_use(&self) -> Option<&View> {
        let name = self.view_in_use.as_deref()?;
        self.views.iter().find(|view| view.view == name)
    }

    /// Whether Azure's own resolver was asked and is silent: outside an Azure virtual network nobody answers there.
    pub fn is_azure_dns_silent(&self) -> bool {
        let silent = |view: &View| matches!(view.outcome, ViewOutcome::Timeout | ViewOutcome::Unreachable);
        self.views.iter().any(|view| view.kind == ViewKind::Resolver && view.is_azure_dns() && silent(view))
    }

    /// The configured resolver that gives another private address than the view in use, where no
    /// endpoint is named: the one that Azure runs first. Which of the two is the endpoint's is unknown then.
    pub fn contradicting(&self, expectation: &Expectation) -> Option<&View> {
        if expectation.path != ExpectedPath::Private || !expectation.endpoints.is_empty() {
            return None;
        }
        let in_use = self.in_use()?;
        let is_private = |view: &View| !view.addresses.is_empty() && view.ips().all(|ip| expectation.allows(ip));
        let differs = |view: &View| {
            let family = |v4: bool| {
                let of = |view: &View| -> BTreeSet<IpAddr> {
                    ips(&view.addresses).filter(|ip| ip.is_ipv4() == v4).collect()
                };
                (of(in_use), of(view))
            };
            let families = [family(true), family(false)];
            let mut common = families.iter().filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty()).peekable();
            common.peek().is_some() && common.all(|(ours, theirs)| ours.is_disjoint(theirs))
        };
        let mut contradicting = self.views.iter().filter(|view| {
            view.kind == ViewKind::Resolver
                && view.view != in_use.view
                && !view.is_public_resolver(&expectation.private_ranges)
                && is_private(in_use)
                && is_private(view)
                && differs(view)
        });
        let first = contradicting.next()?;
        Some(if first.is_azure_dns() { first } else { contradicting.find(|view| view.is_azure_dns()).unwrap_or(first) })
    }
}

/// One way of asking, and what it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// `libc`, `system:ADDRESS`, or the configured resolver's name.
    pub view: String,
    /// Which kind of view it is.
    pub kind: ViewKind,
    /// The server that was asked; absent for `libc`, which keeps it to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<SocketAddr>,
    /// Whether it was asked without being configured: Azure's own resolver, where the answer in use is not expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// The transport of the answer that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// What came of it.
    pub outcome: ViewOutcome,
    /// The response code of the answer that decided, as RFC 1035 and its successors name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The failure in words: the C library's error, or what was wrong with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The limit of this machine that kept the view from being asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_limit: Option<LocalLimit>,
    /// The name of the search list that was answered, where it is not the host name itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_name: Option<String>,
    /// The records from the name to its addresses, in the order in which they lead there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<ChainRecord>,
    /// The addresses, in the order of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<ResolvedAddress>,
    /// The zone of the `privatelink` name that the chain goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privatelink_zone: Option<String>,
    /// The canonical name, which is all of the chain that the C library tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical_name: Option<String>,
    /// The lines of the hosts file that name the host (`libc` only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts_file: Vec<HostsEntry>,
    /// Whether the server was silent over UDP, so that the answer came over TCP alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub udp_silent: bool,
    /// Whether the server was silent to queries with EDNS (RFC 6891), and answered the same without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edns_dropped: bool,
    /// The response code that the server gave to queries with EDNS (`FORMERR`), where it answered the same without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edns_refused: Option<String>,
    /// For how long it has given these addresses, where this process has asked it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_answer: Option<SameAnswer>,
    /// The SOA in the authority section of the answer that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soa: Option<AuthoritySoa>,
    /// Whether the answer that decided is negative and has no SOA, as RFC 2308 wants one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_soa: bool,
    /// The extended DNS error of the answer that decided (RFC 8914).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_error: Option<ExtendedError>,
    /// Every question asked, in order; those of the first try where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// What several tries gave, the first one among them: one entry per distinct answer, in the
    /// order in which they came. Empty where the view was asked once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<RepeatGroup>,
    /// How long the view took, from the first question to the last answer; absent where it never began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_seconds: Option<Seconds>,
}

impl View {
    /// A view that has not been asked yet.
    pub fn new(view: impl Into<String>, kind: ViewKind, server: Option<SocketAddr>) -> Self {
        Self {
            view: view.into(),
            kind,
            server,
            transport: None,
            outcome: ViewOutcome::Interrupted,
            rcode: None,
            reason: None,
            local_limit: None,
            answered_name: None,
            chain: Vec::new(),
            addresses: Vec::new(),
            privatelink_zone: None,
            canonical_name: None,
            hosts_file: Vec::new(),
            automatic: false,
            udp_silent: false,
            edns_dropped: false,
            edns_refused: None,
            same_answer: None,
            soa: None,
            without_soa: false,
            extended_error: None,
            questions: Vec::new(),
            tries: Vec::new(),
            took_seconds: None,
        }
    }

    /// The view, not asked because of a limit of this machine.
    pub fn not_reached(self, limit: LocalLimit) -> Self {
        let (reason, local_limit) = (Some(limit.reason()), Some(limit));
        Self { outcome: ViewOutcome::NotReached, reason, local_limit, ..self }
    }

    /// Whether it is Azure's virtual resolver, by whatever name.
    pub fn is_azure_dns(&self) -> bool {
        self.server.is_some_and(|server| server.ip() == AZURE_DNS)
    }

    /// Whether it is a configured resolver out in the internet, where no private zone is seen: it
    /// rightly answers with the public address. Azure's own has a public-looking address.
    pub fn is_public_resolver(&self, private_ranges: &[IpNet]) -> bool {
        self.kind == ViewKind::Resolver
            && !self.is_azure_dns()
            && self.server.is_some_and(|server| classify(server.ip(), private_ranges) == AddressClass::Public)
    }

    /// The addresses alone.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(|address| address.ip)
    }

    /// Whether the server answers queries without EDNS only.
    pub fn is_without_edns(&self) -> bool {
        self.edns_dropped || self.edns_refused.is_some()
    }

    /// Whether both gave the same final word. Addresses of a family that one of them lacks do not
    /// count: the C library asks for the families that this machine has (RFC 3493, AI_ADDRCONFIG).
    pub fn agrees_with(&self, other: &Self) -> bool {
        same_answer((self.outcome, &self.addresses), (other.outcome, &other.addresses))
    }

    /// The name at the end of the chain's CNAMEs, or the canonical name of the C library.
    pub fn end_of_chain(&self) -> Option<&str> {
        self.chain
            .iter()
            .rev()
            .find(|record| record.record_type == "CNAME")
            .map(|record| record.data.as_str())
            .or(self.canonical_name.as_deref())
    }

    /// The name in the `privatelink` zone that the chain goes through.
    pub fn privatelink_name(&self) -> Option<&str> {
        let zone = self.privatelink_zone.as_deref()?;
        self.chain
            .iter()
            .flat_map(|record| [record.name.as_str(), record.data.as_str()])
            .find(|name| name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')))
    }
}

/// The SOA record of an authority section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuthoritySoa {
    /// Its owner, which is the zone that answered (RFC 2308, 3).
    pub owner: String,
    /// The primary server that it names (MNAME).
    pub primary: String,
}

/// An extended DNS error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExtendedError {
    /// The code, as the IANA registry numbers it.
    pub code: u16,
    /// The text beside it, cut and with unprintable characters escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl ExtendedError {
    /// Whether the server says that it kept the answer back: Blocked, Censored or Filtered.
    pub fn is_filter(&self) -> bool {
        matches!(self.code, 15..=17)
    }
}

impl fmt::Display for ExtendedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.code {
            3 => " (Stale Answer)",
            4 => " (Forged Answer)",
            15 => " (Blocked)",
            16 => " (Censored)",
            17 => " (Filtered)",
            18 => " (Prohibited)",
            19 => " (Stale NXDOMAIN Answer)",
            _ => "",
        };
        write!(f, "{}{name}", self.code)?;
        self.text.as_ref().map_or(Ok(()), |text| write!(f, ": {text}"))
    }
}

/// The tries of one view that gave the same answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepeatGroup {
    /// How many tries gave it.
    pub count: u32,
    /// What came of each.
    pub outcome: ViewOutcome,
    /// The response code, where there was a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The addresses, as the first of these tries gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<ResolvedAddress>,
    /// The time of the slowest of them.
    pub took_seconds: Seconds,
}

impl RepeatGroup {
    /// Whether both gave the same final word, as [`View::agrees_with`].
    pub fn agrees_with(&self, other: &Self) -> bool {
        same_answer((self.outcome, &self.addresses), (other.outcome, &other.addresses))
    }

    /// Counts one more try: in the group of the same answer, or in a group of its own.
    pub fn count_in(groups: &mut Vec<Self>, view: &View) {
        let took_seconds = view.took_seconds.unwrap_or_default();
        let addresses = |list: &[ResolvedAddress]| -> BTreeSet<IpAddr> { ips(list).collect() };
        let same = groups
            .iter_mut()
            .find(|known| known.outcome == view.outcome && addresses(&known.addresses) == addresses(&view.addresses));
        match same {
            Some(known) => {
                known.count = known.count.saturating_add(1);
                known.took_seconds = known.took_seconds.max(took_seconds);
            }
            None => groups.push(Self::of(view)),
        }
    }

    /// The one try that `view` holds.
    pub fn of(view: &View) -> Self {
        Self {
            count: 1,
            outcome: view.outcome,
            rcode: view.rcode.clone(),
            addresses: view.addresses.clone(),
            took_seconds: view.took_seconds.unwrap_or_default(),
        }
    }
}

fn ips(addresses: &[ResolvedAddress]) -> impl Iterator<Item = IpAddr> + '_ {
    addresses.iter().map(|address| address.ip.to_canonical())
}

fn same_answer(
    (outcome, addresses): (ViewOutcome, &[ResolvedAddress]),
    (other_outcome, others): (ViewOutcome, &[ResolvedAddress]),
) -> bool {
    if !outcome.is_final() || !other_outcome.is_final() {
        return false;
    }
    let family = |addresses: &[ResolvedAddress], v4: bool| -> BTreeSet<IpAddr> {
        ips(addresses).filter(|ip| ip.is_ipv4() == v4).collect()
    };
    let mut common = addresses.is_empty() && others.is_empty();
    for v4 in [true, false] {
        let (ours, theirs) = (family(addresses, v4), family(others, v4));
        if ours.is_empty() || theirs.is_empty() {
            continue;
        }
        if ours != theirs {
            return false;
        }
        common = true;
    }
    common
}

/// Addresses that a view gives again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SameAnswer {
    /// Since this process first saw them, without another answer in between.
    pub for_seconds: Seconds,
    /// The longest time to live that their records had in all that time, in seconds.
    pub longest_ttl: u32,
}

/// The kinds of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViewKind {
    /// `getaddrinfo` in this process: what an application gets.
    Libc,
    /// A name server of resolv.conf, asked directly.
    System,
    /// A configured resolver, asked directly.
    Resolver,
}

/// How a DNS message travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP: after a truncated answer or silence over UDP, or because resolv.conf says so (`use-vc`).
    Tcp,
}

impl Transport {
    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What came of a question or of a view. Response codes and transport errors are different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ViewOutcome {
    /// At least one address.
    Answered,
    /// The name exists and has no address (NOERROR without one; RFC 2308, 2.2).
    NoData,
    /// The name does not exist (NXDOMAIN).
    NameNotFound,
    /// The C library says that there is no address; it does not tell NXDOMAIN from NODATA.
    NoAddress,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// Another response code, which `rcode` names.
    OtherRcode,
    /// The C library says "try again": no server gave it a usable answer.
    TryAgain,
    /// No answer in time.
    Timeout,
    /// The server cannot be reached, or nothing listens there.
    Unreachable,
    /// An answer that is none: undecodable, for another question, or a chain that loops.
    BadAnswer,
    /// It could not be asked at all.
    Failed,
    /// A limit of this process or machine kept it from being asked; `reason` begins with `local_limit`.
    NotReached,
    /// The probe was interrupted before it answered.
    Interrupted,
}

impl ViewOutcome {
    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the server gave a final word on the name: addresses, or that there are none.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Answered | Self::NoData | Self::NameNotFound | Self::NoAddress)
    }
}

/// One record of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainRecord {
    /// The owner name, without the trailing dot.
    pub name: String,
    /// `CNAME`, `A` or `AAAA`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// What is left of its time to live, in seconds, as the server gave it.
    pub ttl: u32,
    /// The name or address it leads to.
    pub data: String,
}

/// One address of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedAddress {
    /// The address.
    pub ip: IpAddr,
    /// Its class, the operator's ranges considered.
    pub class: AddressClass,
    /// What is left of its record's time to live, in seconds; the C library does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
}

/// A line of the hosts file that names the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostsEntry {
    /// The file.
    pub file: String,
    /// The line's number, from 1.
    pub line: usize,
    /// The address on it.
    pub ip: IpAddr,
}

/// Why the resolution gave no address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ResolveFailure {
    /// The view in use gave no address.
    NoAddress {
        /// The view in use.
        view: String,
        /// What came of it.
        view_outcome: ViewOutcome,
        /// The failure in words, where there are some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// There is no view to ask: resolv.conf names no server, or the selection leaves none.
    NoView,
}

impl fmt::Display for ResolveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress { view, view_outcome, detail } => {
                write!(f, "{view} gave no address: {view_outcome}")?;
                detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
            }
            Self::NoView => f.write_str("there is no resolver to ask"),
        }
    }
}
