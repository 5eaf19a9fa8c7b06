//! The applications' own connections, one line for each path.

use crate::observation::application::{ApplicationPath, ApplicationPeer};
use crate::record::Record;

/// One line for each path that a connection takes, the worst first.
pub(super) fn application(record: &Record) -> Vec<String> {
    let Some(facts) = &record.observation.application else { return Vec::new() };
    let mut lines: Vec<String> = ApplicationPath::ALL
        .into_iter()
        .filter_map(|path| line(path, &facts.by_path(path).collect::<Vec<_>>()))
        .collect();
    if let Some(opened) = facts.opened_last_minute {
        lines.push(format!("{} opened in {}", opened.count, opened.over_seconds));
    }
    if facts.truncated {
        lines.push("more sockets are open than are read: the counts are lower bounds".to_owned());
    }
    lines
}

fn line(path: ApplicationPath, peers: &[&ApplicationPeer]) -> Option<String> {
    let sum = |of: fn(&ApplicationPeer) -> u32| peers.iter().fold(0_u32, |sum, peer| sum.saturating_add(of(peer)));
    let (established, connecting) = (sum(|peer| peer.established), sum(|peer| peer.connecting));
    if established == 0 && connecting == 0 {
        return None;
    }
    let first = peers.iter().find(|peer| peer.established > 0 || peer.connecting > 0)?;
    let path = match path {
        ApplicationPath::Public => "on the public path",
        ApplicationPath::Old => "to an old address",
        ApplicationPath::Unknown => "to an address that no view gave",
        ApplicationPath::LocalProxy => "to a local proxy, which hides the path",
        ApplicationPath::Expected => "on the expected path",
    };
    let more = if peers.len() > 1 { format!(" and {} more", peers.len() - 1) } else { String::new() };
    let connecting = if connecting > 0 { format!(", {connecting} not answered yet") } else { String::new() };
    Some(format!("{established} established {path} ({}{more}){connecting}", first.address))
}
