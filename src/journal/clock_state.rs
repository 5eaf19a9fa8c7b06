//! What is known of the synchronisation of the wall clock, without any privilege: the mark of systemd-timesyncd.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::Display;

/// Present since systemd-timesyncd has synchronised the clock (systemd-time-wait-sync.service(8), systemd 239).
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

/// What is known of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockState {
    /// Which service says that it has synchronised the clock since the start of the machine; absent where it is not
    /// known, as in a container, or with another service such as chrony. How large the error is, is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronised_by: Option<ClockService>,
}

/// A service that sets the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
pub enum ClockService {
    /// systemd-timesyncd
    #[strum(serialize = "systemd-timesyncd")]
    SystemdTimesyncd,
}

impl ClockState {
    /// The state of this machine's clock.
    pub fn now() -> Self {
        Self::of(Path::new(TIMESYNCD))
    }

    fn of(mark: &Path) -> Self {
        Self { synchronised_by: mark.exists().then_some(ClockService::SystemdTimesyncd) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_state_is_unknown_without_mark() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("synchronized");
        assert_eq!(ClockState::of(&mark), ClockState { synchronised_by: None });
        std::fs::write(&mark, "").expect("a file");
        let state = ClockState::of(&mark);
        assert_eq!(serde_json::to_string(&state).expect("JSON"), r#"{"synchronised_by":"systemd_timesyncd"}"#);
    }
}
