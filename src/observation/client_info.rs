//! What the server sees of the probe: the address of its connection, by the reply to `CLIENT INFO`.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoStaticStr};

use super::redis::RedisFailure;
use crate::address::AddressClass;

/// The first 16 bits of the address under which Azure shows a client that comes by a private link.
const PRIVATE_LINK_PREFIX: u16 = 0xfd40;

/// How the server sees the probe, by its reply to `CLIENT INFO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerSees {
    /// The address that the server sees; absent where it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What kind of address that is.
    pub via: Via,
    /// The client's own IPv4 address, the last four bytes of an address of a private link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<Ipv4Addr>,
    /// Whether this agrees with the address connected to; absent where it decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
    /// Why the address is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RedisFailure>,
}

/// The way by which a client comes, as its address at the server shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr, EnumIter)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Via {
    /// A private link: `fd40:…`.
    PrivateLink,
    /// Another address.
    Address,
    /// The server did not say.
    Unknown,
}

impl Via {
    /// The name used in records and metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl ServerSees {
    /// The server sees this address. Whether that agrees is for [`ServerSees::compare`] to say.
    pub fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let client_address = match address {
            IpAddr::V6(ip) if ip.segments()[0] == PRIVATE_LINK_PREFIX => {
                let [.., a, b, c, d] = ip.octets();
                Some(Ipv4Addr::new(a, b, c, d))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        };
        let via = if client_address.is_some() { Via::PrivateLink } else { Via::Address };
        Self { address: Some(address), via, client_address, agrees: None, failure: None }
    }

    /// The server did not say.
    pub fn unknown(failure: RedisFailure) -> Self {
        Self { address: None, via: Via::Unknown, client_address: None, agrees: None, failure: Some(failure) }
    }

    /// Compares with the path: the class of the address connected to, and that of the address seen. Only `fd40:`
    /// proves a private link. A plain private address decides nothing: another prefix, a proxy of the service, or a
    /// cache inside the network may be the reason.
    #[must_use]
    pub fn compare(self, path: AddressClass, classify: impl Fn(IpAddr) -> AddressClass) -> Self {
        let seen_class = self.address.map(classify);
        let agrees = match (self.via, path, seen_class) {
            (Via::PrivateLink, AddressClass::Private, _) => Some(true),
            (Via::PrivateLink, AddressClass::Public, _) => Some(false),
            (Via::Address, AddressClass::Public, Some(_)) => Some(true),
            (Via::Address, AddressClass::Private, Some(AddressClass::Public)) => Some(false),
            _ => None,
        };
        Self { agrees, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_decides_by_certainty() {
        let expectation = crate::expectation::Expectation::default();
        let agrees = |seen: &str, path| {
            let seen = ServerSees::at(seen.parse().expect("an address"));
            seen.compare(path, |address| expectation.class(address)).agrees
        };
        let (private, public) = (AddressClass::Private, AddressClass::Public);
        assert_eq!(agrees("fd40::a03:1a06", private), Some(true));
        assert_eq!(agrees("fd40::a03:1a06", public), Some(false));
        assert_eq!(agrees("20.1.2.3", public), Some(true));
        assert_eq!(agrees("20.1.2.3", private), Some(false));
        assert_eq!(agrees("10.3.26.6", private), None, "it proves nothing");
        assert_eq!(agrees("fd40::1", AddressClass::Loopback), None, "a local proxy");
    }
}
