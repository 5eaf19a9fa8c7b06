//! Pictures for the report, as SVG: what each vantage saw over time, and latency before and after.
//!
//! Each kind of path has a pattern beside its colour, so that print in grey and colour blindness lose nothing.

use maud::{Markup, html};

use super::{path_name, vantage};
use crate::clock::Timestamp;
use crate::evidence::document::{EvidenceCell, EvidenceReport};
use crate::output::compared::time;
use crate::printable::printable;
use crate::record::standing::PathKind;
use crate::statistics::Summary;

const LEFT: f64 = 230.0;
const WIDTH: f64 = 700.0;
const ROW: f64 = 22.0;
const TOP: f64 = 38.0;

/// The most rows of a picture.
const MAX_ROWS: usize = 400;

/// A band for each vantage and target, from the beginning of the period to its end.
pub(super) fn bands(report: &EvidenceReport) -> Markup {
    let cells: Vec<&EvidenceCell> = report.cells.iter().take(MAX_ROWS).collect();
    let height = TOP + ROW * cells.len() as f64 + 8.0;
    let x = |at: Timestamp| {
        let (from, to) = (report.from.unix_seconds(), report.to.unix_seconds());
        LEFT + WIDTH * ((at.unix_seconds() - from) / (to - from).max(1.0)).clamp(0.0, 1.0)
    };
    html! {
        svg role="img" viewBox=(format!("0 0 960 {height}")) aria-label="The path of each vantage and target over time" {
            (patterns())
            text x=(LEFT) y="12" { (report.from) }
            text x=(LEFT + WIDTH) y="12" text-anchor="end" { (report.to) }
            @for (row, cell) in cells.iter().enumerate() {
                @let y = TOP + ROW * row as f64;
                text x=(LEFT - 8.0) y=(y + 13.0) text-anchor="end" { (label(cell)) }
                rect x=(LEFT) y=(y) width=(WIDTH) height=(ROW - 6.0) class="silent" { title { "silent" } }
                @for band in &cell.bands {
                    @let (from, to) = (x(band.from), x(band.to));
                    rect x=(from) y=(y) width=((to - from).max(1.0)) height=(ROW - 6.0) class=(class(band.path)) {
                        title { (path_name(band.path)) " from " (band.from) " to " (band.to) }
                    }
                    @if band.unusable {
                        rect x=(from) y=(y + ROW - 10.0) width=((to - from).max(1.0)) height="4" class="unusable" {
                            title { "unusable from " (band.from) " to " (band.to) }
                        }
                    }
                }
            }
            @if let Some(cutover) = report.cutover {
                line x1=(x(cutover)) x2=(x(cutover)) y1=(TOP - 6.0) y2=(height - 4.0) class="cutover" {}
                text x=(x(cutover)) y=(TOP - 9.0) text-anchor="middle" { "cutover" }
            }
        }
    }
}

/// The meaning of the patterns.
pub(super) fn legend() -> Markup {
    let kinds = [PathKind::Private, PathKind::Public, PathKind::Other, PathKind::NoAddress, PathKind::Unknown];
    html! {
        p.legend {
            @for kind in kinds {
                span { svg viewBox="0 0 24 12" { rect width="24" height="12" class=(class(kind)) {} } " " (path_name(kind)) }
            }
            span { svg viewBox="0 0 24 12" { rect width="24" height="12" class="silent" {} } " silent" }
            span { svg viewBox="0 0 24 12" { rect y="4" width="24" height="4" class="unusable" {} } " unusable" }
        }
    }
}

/// The median and its interval before and after, and the 95th percentile, for each vantage and target.
pub(super) fn latency(report: &EvidenceReport) -> Markup {
    let compared: Vec<(&EvidenceCell, &Summary, &Summary)> = report
        .cells
        .iter()
        .filter_map(|cell| {
            let compared = cell.before_after.as_ref()?;
            let compared = compared.ping.as_ref().or(compared.connect.as_ref())?;
            Some((cell, &compared.before, &compared.after))
        })
        .take(MAX_ROWS)
        .collect();
    let longest = compared.iter().flat_map(|(_, before, after)| [before.p95, after.p95]).fold(0.0, f64::max);
    let height = TOP + ROW * compared.len() as f64 + 8.0;
    let x = |seconds: f64| LEFT + WIDTH * (seconds / longest.max(1e-9)).clamp(0.0, 1.0);
    html! {
        svg role="img" viewBox=(format!("0 0 960 {height}")) aria-label="Latency before and after the cutover" {
            text x=(LEFT) y="12" { "0" }
            text x=(LEFT + WIDTH) y="12" text-anchor="end" { (time(longest)) }
            @for (row, (cell, before, after)) in compared.iter().enumerate() {
                @let y = TOP + ROW * row as f64;
                text x=(LEFT - 8.0) y=(y + 13.0) text-anchor="end" { (label(cell)) }
                line x1=(LEFT) x2=(LEFT + WIDTH) y1=(y + 8.0) y2=(y + 8.0) class="axis" {}
                @for (side, dy, name) in [(before, 4.0, "before"), (after, 12.0, "after")] {
                    line x1=(x(side.median.low)) x2=(x(side.p95)) y1=(y + dy) y2=(y + dy) class=(name) {}
                    circle cx=(x(side.median.value)) cy=(y + dy) r="3" class=(name) {
                        title { (name) ": median " (time(side.median.value)) ", 95 % at most " (time(side.p95)) }
                    }
                }
            }
        }
    }
}

fn label(cell: &EvidenceCell) -> String {
    let text = format!("{}, {}", vantage(cell), cell.target);
    let short: String = text.chars().take(36).collect();
    printable(&short).into_owned()
}

fn class(path: PathKind) -> &'static str {
    match path {
        PathKind::Private => "private",
        PathKind::Public => "public",
        PathKind::Other => "other",
        PathKind::NoAddress => "none",
        PathKind::Unknown => "unknown",
    }
}

fn patterns() -> Markup {
    html! {
        defs {
            pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect width="6" height="6" fill="#e69f00" {}
                rect width="2" height="6" fill="#7a4b00" {}
            }
            pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse" {
                rect width="6" height="6" fill="#ffffff" {}
                circle cx="3" cy="3" r="1.5" fill="#555555" {}
            }
        }
    }
}
