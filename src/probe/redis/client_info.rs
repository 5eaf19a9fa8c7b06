//! The query for the probe's own line of the server's clients, `CLIENT INFO` (Redis 6.2): it has the address under
//! which the server sees the probe. Before 6.2 only the whole list has it, which no probe asks for.

use std::net::IpAddr;
use std::time::Duration;

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::Budget;
use super::RedisSession;
use crate::observation::client_info::ServerSees;

/// The longest that the query may take: it decides nothing that the probe needs.
const LIMIT: Duration = Duration::from_secs(1);

/// Queries it; `None` where the probe was interrupted.
pub(super) async fn query<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut RedisSession<S>,
    budget: &Budget,
) -> Option<ServerSees> {
    let reply = match session.call_within(LIMIT, &["CLIENT", "INFO"], budget).await? {
        Ok(reply) => reply,
        Err(failure) => return Some(ServerSees::unknown(failure)),
    };
    let address = match &reply {
        Value::BulkString(line) => std::str::from_utf8(line).ok().and_then(own_address),
        Value::SimpleString(line) | Value::VerbatimString { text: line, .. } => own_address(line),
        _ => None,
    };
    Some(match address {
        Some(address) => ServerSees::at(address),
        None => ServerSees::unknown(session.redactor.unexpected_reply(&reply)),
    })
}

/// The address of a line of `CLIENT INFO`, without its port.
fn own_address(line: &str) -> Option<IpAddr> {
    line.split_ascii_whitespace().find_map(|field| field.strip_prefix("addr=")).and_then(parse_address)
}

/// An address with its port: `10.3.26.6:44426`, `[fd40::1]:44426` or `fd40::1:44426`, and where it has one its zone.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let (address, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let address = address.strip_prefix('[').map_or(Some(address), |inner| inner.strip_suffix(']'))?;
    let address = address.split_once('%').map_or(address, |(address, _zone)| address);
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_info_address_in_every_spelling() {
        let address = |line: &str| own_address(line).map(|address| address.to_string());
        let both = [
            "id=3 addr=fd40:1481:21:dbe0:7021:300:a03:1a06:44426 laddr=10.0.0.4:6380 name= user=default\n",
            "id=3 addr=[fd40:1481:21:dbe0:7021:300:a03:1a06]:55949 fd=8",
            "id=3 addr=[fd40:1481:21:dbe0:7021:300:a03:1a06%eth0]:55949 fd=8",
        ];
        for line in both {
            assert_eq!(address(line).as_deref(), Some("fd40:1481:21:dbe0:7021:300:a03:1a06"), "{line}");
            let seen = ServerSees::at(own_address(line).expect("an address"));
            assert_eq!(seen.client_address, Some([10, 3, 26, 6].into()));
        }
        assert_eq!(address("id=1 addr=10.3.26.6:44426 x=y").as_deref(), Some("10.3.26.6"));
        for hostile in [
            "",
            "addr=",
            "addr=:",
            "addr=[::1:5",
            "addr=/run/redis.sock:0",
            "addr=1.2.3.4",
            "addr=?:0",
            "laddr=1.2.3.4:5",
        ] {
            assert_eq!(address(hostile), None, "{hostile}");
        }
    }
}
