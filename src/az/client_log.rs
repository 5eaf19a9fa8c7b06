//! Rows of Azure's connection logs as `az monitor log-analytics query --output json` prints them: `REDConnectionEvents`
//! (Managed Redis, Enterprise) and `ConnectedClientList` (Azure Cache for Redis).

use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::read;
use crate::bounded_read::FileKind;
use crate::clock::Timestamp;
use crate::secret::quote;

/// The most rows of one file.
const MAX_ROWS: usize = 500_000;

/// A row that shows a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// The client's address; absent where the row has none that can be read.
    pub address: Option<IpAddr>,
    /// Its address of the private link, where the row has one.
    pub private_link: Option<IpAddr>,
    /// How many connections it stands for; 0 for an event of a connection that another row opens.
    pub connections: u64,
    /// When it was written.
    pub at: Option<Timestamp>,
}

/// The columns that are read. `az` prints every value as text or null; a number is accepted, too.
#[derive(Deserialize)]
struct RawRow {
    #[serde(alias = "ClientIP", alias = "ClientIp", alias = "clientIp", alias = "ip", default)]
    address: Option<Value>,
    #[serde(alias = "PrivateLinkIPv6", alias = "PrivateLinkIpv6", alias = "privateLinkIpv6", default)]
    private_link: Option<Value>,
    #[serde(alias = "ClientCount", alias = "clientCount", alias = "count", default)]
    clients: Option<Value>,
    #[serde(alias = "EventType", alias = "eventType", default)]
    event: Option<Value>,
    #[serde(alias = "TimeGenerated", alias = "timeGenerated", alias = "time", default)]
    at: Option<Value>,
}

/// Reads the rows of a file, at most 16 MiB of it.
///
/// # Errors
/// One sentence: which file, where in it, and what is expected.
pub fn read(path: &Path, kind: FileKind) -> Result<Vec<ClientRow>, String> {
    read::bytes(path, kind).and_then(decode).map_err(|error| format!("{}: {error}", quote::path(path)))
}

/// Reads the bytes of a file, UTF-8 or, with its mark, UTF-16.
///
/// # Errors
/// One sentence that quotes nothing of the file.
pub fn decode(bytes: Vec<u8>) -> Result<Vec<ClientRow>, String> {
    let expected = "the rows of az monitor log-analytics query --output json are expected, a list of objects";
    let text = read::decoded(bytes)?;
    let rows: Vec<RawRow> = serde_json::from_str(&text)
        .map_err(|error| format!("line {} column {}: {expected}", error.line(), error.column()))?;
    if rows.len() > MAX_ROWS {
        return Err(format!("it has more than {MAX_ROWS} rows: a shorter period is expected"));
    }
    let has_columns = |row: &RawRow| row.address.is_some() || row.private_link.is_some();
    if let Some(position) = rows.iter().position(|row| !has_columns(row)) {
        return Err(format!(
            "row {}: it has neither ClientIP (or ip) nor PrivateLinkIPv6: rows of REDConnectionEvents or ConnectedClientList are expected",
            position + 1
        ));
    }
    Ok(rows.iter().map(row).collect())
}

fn row(raw: &RawRow) -> ClientRow {
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    let count = raw.clients.as_ref().and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    let connections = match text(&raw.event).as_deref() {
        None | Some("new_conn" | "") => count.unwrap_or(1),
        Some(_) => 0,
    };
    ClientRow {
        address: text(&raw.address).as_deref().and_then(address),
        private_link: text(&raw.private_link).as_deref().and_then(address),
        connections,
        at: text(&raw.at).as_deref().and_then(Timestamp::parse),
    }
}

/// An address, and where it has them without its port, brackets and zone.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some((inner, _)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return address(inner);
    }
    let plain = text.split_once('%').map_or(text, |(address, _zone)| address);
    let with_port = || plain.split_once(':').and_then(|(address, _port)| address.parse().ok());
    plain.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_log_rows_of_both_tables_are_read() {
        let rows = decode(
            br#"[{"ClientIp": "10.3.26.6", "PrivateLinkIPv6": "fd40:1481:21:dbe0:7021:300:a03:1a06", "EventType": "new_conn",
                  "TableName": "PrimaryResult", "TimeGenerated": "2026-11-18T09:00:00.1234567Z"},
                 {"ClientIp": "20.50.7.7:4000", "PrivateLinkIPv6": "", "EventType": "auth", "TimeGenerated": "x"},
                 {"ip": "20.50.7.8", "privateLinkIpv6": null, "count": "12"}, {"ip": "?", "count": 2}]"#
                .to_vec(),
        );
        let rows = rows.expect("rows");
        assert_eq!((rows[0].connections, rows[0].private_link.is_some(), rows[0].at.is_some()), (1, true, true));
        assert_eq!((rows[1].connections, rows[1].address, rows[1].at), (0, "20.50.7.7".parse().ok(), None));
        assert_eq!((rows[2].connections, rows[2].private_link), (12, None));
        assert_eq!((rows[3].connections, rows[3].address), (2, None));
    }

    #[test]
    fn client_log_of_something_else_is_refused() {
        for (text, says) in [
            ("", "line 1"),
            ("{}", "a list of objects"),
            ("[{\"secret\": \"hunter2\"}]", "row 1"),
            ("[1, \"hunter2\"]", "line 1"),
        ] {
            let error = decode(text.as_bytes().to_vec()).expect_err("it is refused");
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(decode(b"[]".to_vec()), Ok(Vec::new()));
    }
}
