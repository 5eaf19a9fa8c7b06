//! The events of the live view: recorded once, and shown as lines, as JSON and on the screen.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::Verdict;
use crate::observation::Usability;
use crate::observation::application::{ApplicationFacts, ApplicationPath};
use crate::observation::held::HeldEnd;
use crate::output::json;

/// The schema of an event, as it stands in its field `schema`.
pub const EVENT_SCHEMA: &str = "redpath.event/v1";

/// Something that changed between two records, or a mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// `redpath.event/v1`.
    #[schemars(extend("const" = EVENT_SCHEMA))]
    pub schema: String,
    /// When the probe began that shows it, or when the mark was set.
    pub at: Timestamp,
    /// `HOST:PORT`, with the configured name in front where there is one; absent for a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub change: Change,
    /// The same in words.
    pub text: String,
}

/// What an event is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(tag = "event", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Change {
    /// The first record of a target.
    Start {
        /// Its verdict.
        verdict: Verdict,
        /// Where it connected.
        connection: Destination,
    },
    /// The verdict changed, in status or cause.
    Verdict {
        /// The one before.
        from: Verdict,
        /// The one since.
        to: Verdict,
        /// Where the target connected.
        connection: Destination,
    },
    /// The address in use changed, and the verdict did not.
    Address {
        /// Where it connected before.
        from: Destination,
        /// Where it connects since.
        to: Destination,
    },
    /// The cache became usable, or ceased to be.
    Usability {
        /// Before.
        from: Usability,
        /// Since.
        to: Usability,
    },
    /// The answer of a view changed, or a view answered for the first time.
    View {
        /// Its name.
        view: String,
        /// The answer before; absent for the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Answer>,
        /// The answer since.
        to: Answer,
    },
    /// The number of the applications' connections changed that are not on the expected path.
    Application {
        /// Before; absent where none were listed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Counts>,
        /// Since; absent where none are listed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Counts>,
    },
    /// The held connection was opened or lost, or DNS gives another path than it has.
    Held {
        /// The address of the open connection; absent where it is closed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<SocketAddr>,
        /// How the last one was lost, where it was since the record before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<HeldEnd>,
        /// The address that DNS gives now, where it is on another path than the open connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dns_address: Option<IpAddr>,
    },
    /// A word that the operator set.
    Mark {
        /// The word.
        word: String,
    },
    /// An agent does not answer.
    Silent {
        /// Why, in words.
        reason: String,
    },
    /// An agent answers again.
    Heard {},
    /// Nothing changed in the last minute.
    Heartbeat {
        /// The verdict.
        verdict: Verdict,
        /// Since when.
        since: Timestamp,
        /// Where the target connects.
        connection: Destination,
        /// How many probes have finished.
        probes: u64,
        /// How long the cache could not be used.
        without_service_seconds: Seconds,
    },
}

/// Where the connection of a probe went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destination {
    /// The address; absent where there was none to connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The address, its class and whether the cache works, in words.
    pub text: String,
}

/// What a view gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The kind of it.
    pub kind: AnswerKind,
    /// The addresses, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// In words.
    pub text: String,
}

impl Answer {
    /// Whether both are the same apart from their words, which may count tries.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.addresses == other.addresses
    }
}

/// The kind of an answer, or of where a connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AnswerKind {
    /// Private addresses alone.
    Private,
    /// A public address is among them.
    Public,
    /// Neither: loopback, link-local, shared or special addresses.
    Other,
    /// The answer has no address, or the connection failed.
    Failed,
    /// No usable answer came.
    NoAnswer,
    /// It was not asked.
    NotReached,
}

impl AnswerKind {
    /// Every kind, in the order of the legend.
    pub const ALL: [Self; 6] =
        [Self::Private, Self::Public, Self::Other, Self::Failed, Self::NoAnswer, Self::NotReached];

    /// Its letter in a lane.
    pub fn letter(self) -> char {
        match self {
            Self::Private => 'p',
            Self::Public => 'P',
            Self::Other => 'o',
            Self::Failed => 'x',
            Self::NoAnswer => '?',
            Self::NotReached => '.',
        }
    }
}

/// The applications' established connections by path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// On the public path.
    pub public: u32,
    /// To an address that the name no longer leads to.
    pub old: u32,
    /// To an address that no view gave.
    pub unknown: u32,
    /// To a local proxy.
    pub local_proxy: u32,
    /// On the expected path.
    pub expected: u32,
}

impl Counts {
    /// Of the connections of a record.
    pub fn of(facts: &ApplicationFacts) -> Self {
        Self {
            public: facts.established(ApplicationPath::Public),
            old: facts.established(ApplicationPath::Old),
            unknown: facts.established(ApplicationPath::Unknown),
            local_proxy: facts.established(ApplicationPath::LocalProxy),
            expected: facts.established(ApplicationPath::Expected),
        }
    }

    /// Those that a restart of their clients would move: on the public path and to an old address.
    pub fn left(self) -> u32 {
        self.public.saturating_add(self.old)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { public, old, unknown, local_proxy, expected } = self;
        write!(f, "{expected} expected, {public} public, {old} old, {unknown} unknown")?;
        if *local_proxy > 0 { write!(f, ", {local_proxy} to a local proxy") } else { Ok(()) }
    }
}

/// The JSON Schema of an event, as it is committed in `docs/schema/`.
pub fn schema() -> Schema {
    json::schema::<Event>(EVENT_SCHEMA)
}

impl Event {
    /// An event of a target.
    pub fn new(at: Timestamp, target: Option<String>, change: Change) -> Self {
        let text = change.text();
        Self { schema: EVENT_SCHEMA.to_owned(), at, target, change, text }
    }
}

impl Change {
    /// The name used in JSON.
    pub fn name(&self) -> String {
        self.to_string()
    }

    fn text(&self) -> String {
        let verdict = |verdict: &Verdict| format!("{} ({})", verdict.status, verdict.cause);
        match self {
            Self::Start { verdict: first, connection } => format!("{}: {}", verdict(first), connection.text),
            Self::Verdict { from, to, connection } => {
                format!("{} -> {}: {}", verdict(from), verdict(to), connection.text)
            }
            Self::Address { from, to } => format!("{} -> {}", from.text, to.text),
            Self::Usability { from, to } => format!("{} -> {}", works(*from), works(*to)),
            Self::View { view, from: Some(from), to } => format!("{view}: {} -> {}", from.text, to.text),
            Self::View { view, from: None, to } => format!("{view}: {}", to.text),
            Self::Application { from, to } => format!("{} -> {}", counts(*from), counts(*to)),
            Self::Held { address, lost, dns_address } => held(*address, lost.as_ref(), *dns_address),
            Self::Mark { word } => word.clone(),
            Self::Silent { reason } => reason.clone(),
            Self::Heard {} => "answers again".to_owned(),
            Self::Heartbeat { verdict: now, since, connection, probes, without_service_seconds } => format!(
                "{} since {}: {}; {probes} probes, {without_service_seconds} without service",
                verdict(now),
                since.time_of_day(),
                connection.text
            ),
        }
    }
}

fn works(usability: Usability) -> &'static str {
    match usability {
        Usability::Yes => "works",
        Usability::No => "does not work",
        Usability::Unknown => "unknown whether it works",
    }
}

fn held(address: Option<SocketAddr>, lost: Option<&HeldEnd>, dns_address: Option<IpAddr>) -> String {
    let now = match (address, dns_address) {
        (Some(address), Some(given)) => Some(format!("open to {address}, while DNS gives {given}")),
        (Some(address), None) => Some(format!("open to {address}")),
        (None, _) => lost.is_none().then(|| "closed".to_owned()),
    };
    lost.map(ToString::to_string).into_iter().chain(now).collect::<Vec<_>>().join("; ")
}

fn counts(counts: Option<Counts>) -> String {
    counts.map_or_else(|| "no connection listed".to_owned(), |counts| counts.to_string())
}
