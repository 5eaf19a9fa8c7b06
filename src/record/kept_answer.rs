//! Before a cutover: how long a resolver may keep its public answer once the record changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::AddressClass;
use crate::azure;
use crate::clock::{Seconds, Timestamp};
use crate::expectation::Expectation;
use crate::observation::Resolution;
use crate::observation::dns::{View, ViewKind};

/// The resolver that may give its public answer longest, by the TTL that it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptAnswer {
    /// The view.
    pub view: String,
    /// What is left of the time to live of the record that a cutover changes, in seconds.
    pub seconds: u32,
    /// When that is over, counted from the begin of the probe.
    pub until: Timestamp,
}

impl KeptAnswer {
    /// Of a resolution whose every answer is public. The name servers of resolv.conf come first: programs ask those.
    pub fn of(resolution: &Resolution, expectation: &Expectation, at: Timestamp) -> Option<Self> {
        let answered = || resolution.views.iter().filter(|view| !view.addresses.is_empty());
        if !answered().all(|view| view.addresses.iter().all(|address| address.class == AddressClass::Public)) {
            return None;
        }
        let longest = |kind: ViewKind| {
            let of_kind = answered().filter(|view| view.kind == kind);
            let relevant = of_kind.filter(|view| !view.is_public_resolver(&expectation.private_ranges));
            relevant.filter_map(|view| Some((view, left(view)?))).max_by_key(|(_, seconds)| *seconds)
        };
        let (view, seconds) = longest(ViewKind::System).or_else(|| longest(ViewKind::Resolver))?;
        let until = at.after(Seconds::from(std::time::Duration::from_secs(seconds.into())).0)?;
        Some(Self { view: view.view.clone(), seconds, until })
    }
}

/// What is left of the record that a private zone or a new private endpoint changes: that of the `privatelink` name,
/// else the first of the service's own name, else the longest of the chain.
fn left(view: &View) -> Option<u32> {
    let of_owner =
        |is_it: fn(&str) -> bool| view.chain.iter().find(|record| is_it(&record.name)).map(|record| record.ttl);
    of_owner(|name| azure::privatelink_zone(name).is_some())
        .or_else(|| of_owner(|name| azure::endpoint(name).is_some()))
        .or_else(|| view.chain.iter().map(|record| record.ttl).max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::dns::{ChainRecord, ResolvedAddress, ViewOutcome};

    fn view(kind: ViewKind, name: &str, chain: &[(&str, u32, &str)]) -> View {
        let mut view = View::new(name, kind, "10.10.0.53:53".parse().ok());
        view.outcome = ViewOutcome::Answered;
        for (owner, ttl, data) in chain {
            let record_type = if data.parse::<std::net::IpAddr>().is_ok() { "A" } else { "CNAME" };
            let (name, record_type, data) = ((*owner).to_owned(), record_type.to_owned(), (*data).to_owned());
            if let Ok(ip) = data.parse() {
                let class = Expectation::default().class(ip);
                view.addresses.push(ResolvedAddress { ip, class, ttl: Some(*ttl) });
            }
            view.chain.push(ChainRecord { name, record_type, ttl: *ttl, data });
        }
        view
    }

    fn kept(views: Vec<View>) -> Option<(String, u32)> {
        let resolution = Resolution { views, ..Resolution::default() };
        let at = Timestamp::from_unix(0).expect("a time");
        let kept = KeptAnswer::of(&resolution, &Expectation::default(), at)?;
        assert_eq!(Some(kept.until), Timestamp::from_unix(kept.seconds.into()));
        Some((kept.view, kept.seconds))
    }

    const HOST: &str = "cache1.redis.cache.windows.net";
    const LINK: &str = "cache1.privatelink.redis.cache.windows.net";
    const PLACE: &str = "cache1.westeurope.cloudapp.azure.com";

    #[test]
    fn kept_answer_is_of_the_record_that_changes() {
        let chain = [(HOST, 90, LINK), (LINK, 3_400, PLACE), (PLACE, 9_000, "20.50.1.10")];
        let short = [(HOST, 10, LINK), (LINK, 20, PLACE), (PLACE, 30, "20.50.1.10")];
        let (slow, quick) = (view(ViewKind::System, "system:a", &chain), view(ViewKind::System, "system:b", &short));
        assert_eq!(kept(vec![quick.clone(), slow.clone()]), Some(("system:a".to_owned(), 3_400)));
        let hub = View { kind: ViewKind::Resolver, view: "hub".to_owned(), ..slow };
        assert_eq!(kept(vec![quick, hub.clone()]), Some(("system:b".to_owned(), 20)));
        assert_eq!(kept(vec![hub]), Some(("hub".to_owned(), 3_400)));
        let without = view(ViewKind::System, "s", &[(HOST, 45, PLACE), (PLACE, 600, "20.50.1.10")]);
        assert_eq!(kept(vec![without]), Some(("s".to_owned(), 45)));
        let other = view(ViewKind::System, "s", &[("a.example", 45, PLACE), (PLACE, 600, "20.50.1.10")]);
        assert_eq!(kept(vec![other]), Some(("s".to_owned(), 600)));
    }

    #[test]
    fn kept_answer_is_absent_after_the_change() {
        let public = view(ViewKind::System, "system:a", &[(HOST, 90, "20.50.1.10")]);
        let private = view(ViewKind::Resolver, "azure", &[(HOST, 90, "10.60.4.5")]);
        assert_eq!(kept(vec![public, private]), None);
        assert_eq!(kept(Vec::new()), None);
        let libc = view(ViewKind::Libc, "libc", &[]);
        assert_eq!(kept(vec![libc]), None);
    }
}
