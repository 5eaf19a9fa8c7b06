//! The heads of journals that a Prometheus server has, asked at several moments of a period.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::evidence::files::JournalRead;
use crate::evidence::witness::{SeenHead, Witness, compare};
use crate::prometheus::{Api, Series};

/// How many moments are asked for.
const MOMENTS: u32 = 24;

/// Where Prometheus no longer gives a value for a moment, counted from its last scrape.
const LOOKBACK: Duration = Duration::from_secs(300);

/// A series' labels without those of the metric.
type Labels = BTreeMap<String, String>;

/// The heads by vantage, with the labels of the vantage.
pub(super) struct Heads {
    vantages: Vec<(Labels, Vec<SeenHead>)>,
}

/// Asks for the heads of all vantages.
///
/// # Errors
/// One sentence that names the server.
pub(super) async fn heads(api: &Api, from: Timestamp, to: Timestamp) -> Result<Heads, String> {
    let step = from.until(to).unwrap_or_default() / MOMENTS;
    let now = Timestamp::now();
    let last = to.after(LOOKBACK).unwrap_or(to).min(now); // the head after the last probe is scraped later
    let moments = (1..=MOMENTS).filter_map(|part| from.after(step * part)).filter(|at| *at <= now).chain([last]);
    let mut found: BTreeMap<Labels, (Labels, Vec<SeenHead>)> = BTreeMap::new();
    for at in moments {
        let info = api.query("redpath_vantage_info", at).await?;
        let totals = api.query("redpath_journal_records_total", at).await?;
        let parts = api.query("redpath_journal_head", at).await?;
        for series in totals {
            let Some(head) = head(&series, &parts, at) else { continue };
            let vantage =
                info.iter().find(|info| series.labels.iter().all(|(name, value)| info.labels.get(name) == Some(value)));
            let vantage = vantage.map(|info| info.labels.clone()).unwrap_or_default();
            found.entry(series.labels).or_insert((vantage, Vec::new())).1.push(head);
        }
    }
    Ok(Heads { vantages: found.into_values().collect() })
}

/// The head of one series of totals with its three parts.
fn head(total: &Series, parts: &[Series], at: Timestamp) -> Option<SeenHead> {
    let mut head = SeenHead { at, number: exact(total)?, parts: [0; 3] };
    for (index, name) in ["1", "2", "3"].into_iter().enumerate() {
        let is_of = |series: &&Series| {
            let mut labels = series.labels.clone();
            labels.remove("part").as_deref() == Some(name) && labels == total.labels
        };
        head.parts[index] = exact(parts.iter().find(is_of)?)?;
    }
    Some(head)
}

/// A value that is a whole number of at most 48 bits.
fn exact(series: &Series) -> Option<u64> {
    let value = series.samples.last()?.value;
    let text = format!("{value:.0}");
    text.parse().ok().filter(|number: &u64| *number < 1 << 48)
}

/// What the heads say of a journal: those of the vantage that has all of its labels.
pub(super) fn of(journal: &JournalRead, heads: &Heads) -> Witness {
    let Some(vantage) = &journal.vantage else { return Witness::Silent };
    let labels = vantage.metric_labels();
    let is_same = |seen: &Labels| labels.iter().all(|(name, value)| seen.get(name) == Some(value));
    let seen = heads.vantages.iter().filter(|(seen, _)| is_same(seen)).flat_map(|(_, heads)| heads).copied();
    compare(journal, &seen.collect::<Vec<_>>())
}
