//! The lines of the hosts file, hosts(5), that name the host: they explain an answer of the C library.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::bounded_read::{self, FileKind};
use crate::observation::dns::HostsEntry;
use crate::probe::blocking_fs;
use crate::target::HostName;

const FILE: &str = "/etc/hosts";

/// The most bytes that are read.
const MAX_BYTES: usize = 1024 * 1024;

const MAX_ENTRIES: usize = 16;

/// Reads the lines that name `host`, without blocking the runtime. There are none in a file that cannot be read
/// within `limit`.
pub(super) async fn read(host: &HostName, limit: Duration) -> Vec<HostsEntry> {
    let name = host.as_str().trim_end_matches('.').to_owned();
    let read = move || {
        let bytes = bounded_read::read_prefix(Path::new(FILE), FileKind::Regular, MAX_BYTES);
        let bytes = bytes.map_err(|error| error.to_string())?;
        Ok(parse(&String::from_utf8_lossy(&bytes), &name))
    };
    let entries = timeout(limit, blocking_fs::read_with_limit(Path::new(FILE), "hosts file", read)).await;
    entries.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default()
}

/// The lines that name `name`.
pub(super) fn parse(text: &str, name: &str) -> Vec<HostsEntry> {
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let ip = words.next()?.parse().ok()?;
            words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name)).then(|| HostsEntry {
                file: FILE.to_owned(),
                line: index + 1,
                ip,
            })
        })
        .take(MAX_ENTRIES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file_line_is_found() {
        let text = "127.0.0.1 localhost\n# 10.0.0.1 cache1.example\n\n20.50.1.10\tother Cache1.example. # pinned\n";
        let found = parse(text, "cache1.example");
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().map(|entry| (entry.line, entry.ip.to_string())), Some((4, "20.50.1.10".into())));
    }
}
