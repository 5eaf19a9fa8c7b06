//! Warns about ranges that are declared private and are reserved, once for each: at the start and after a reload.

use std::collections::BTreeSet;

use crate::address::ReservedUse;
use crate::config::Config;

/// The warnings that were logged.
#[derive(Default)]
pub(super) struct ReservedRanges(BTreeSet<String>);

impl ReservedRanges {
    /// Checks the private ranges, which every target shares.
    pub(super) fn check(&mut self, config: &Config) {
        for warning in ReservedUse::remarks("private_ranges", &config.defaults.expectation.private_ranges) {
            if !self.0.contains(&warning) {
                tracing::warn!("{warning}");
                self.0.insert(warning);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::output::log::tests::Captured;
    use crate::output::log::{LogFormat, LogLevel};

    #[test]
    fn reserved_private_range_warns_once() {
        let read = |ranges: &str| {
            config::parse(&format!("private_ranges: [{ranges}]\ntargets: [{{host: localhost}}]\n"))
                .unwrap_or_else(|error| panic!("{error}"))
        };
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let mut ranges = ReservedRanges::default();
        for text in ["0.0.0.0/8, 64:ff9b::/96", "64:ff9b::/96", "100.64.0.0/10"] {
            ranges.check(&read(text));
        }
        let lines = log.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.contains(" WARN ") && line.contains("private_ranges: ")), "{lines:?}");
        assert!(lines[0].contains("addresses of 0.0.0.0/8, which is reserved"), "{lines:?}");
        ranges.check(&read("224.0.0.0/4, 240.0.0.0/4"));
        assert_eq!(log.lines().len(), 4);
    }
}
