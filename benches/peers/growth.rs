//! How cost grows with the number of targets: a table and a picture.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::programs::Programs;
use super::steady::{Steady, redpath};
use super::table::{Table, mib, ms};

const TARGETS: [usize; 6] = [1, 10, 50, 200, 500, 1000];
const TIME: Duration = Duration::from_secs(12);
const PICTURE: &str = "docs/images/growth.svg";

/// What one number of targets cost.
struct Point {
    targets: f64,
    /// Of one core, in per cent.
    cpu: f64,
    /// Resident, in MiB.
    memory: f64,
}

pub(crate) fn measure(programs: &Programs<'_>, table: &mut Table) {
    let mut points = Vec::new();
    println!(
        "| targets at 1/s | probes a second | CPU a probe | CPU of one core | resident | own | threads | descriptors | \
         latest start |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (at, targets) in (0_u16..).zip(TARGETS) {
        let steady = redpath(programs, 9141 + at, targets, 0, TIME);
        let Steady { cpu, memory, rate, threads, descriptors, lag } = steady;
        let share = cpu.as_secs_f64() * rate * 100.0;
        println!(
            "| {targets} | {rate:.1} | {} | {share:.1} % | {} | {} | {threads} | {descriptors} | {} |",
            ms(cpu),
            mib(memory.resident),
            mib(memory.anonymous),
            ms(lag)
        );
        points.push(Point { targets: targets as f64, cpu: share, memory: memory.resident as f64 / 1_048_576.0 });
    }
    println!();
    judge(&points, table);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    if let Err(error) = std::fs::write(&path, picture(&points)) {
        eprintln!("{}: {error}", path.display());
    }
}

/// Linear or better: what one more target costs does not become more than a tenth dearer with many of them.
fn judge(points: &[Point], table: &mut Table) {
    type Value = fn(&Point) -> f64;
    const MORE: f64 = 1.1;
    let [first, middle, last] = [0, 3, 5].map(|at| &points[at]);
    let cpu: (_, _, Value) = ("CPU", "% of a core", |point| point.cpu);
    let memory: (_, _, Value) = ("memory", "KiB", |point| point.memory * 1024.0);
    for (what, unit, value) in [cpu, memory] {
        let slope = |from: &Point, to: &Point| (value(to) - value(from)) / (to.targets - from.targets);
        let (few, many) = (slope(first, middle), slope(middle, last));
        let figure = format!("{few:.2} {unit} up to 200, {many:.2} {unit} from there to 1,000");
        table.row(&format!("{what} for one target more"), &figure, "", "linear or better", Some(many <= few * MORE));
    }
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const BOTTOM: f64 = 262.0;

/// Two curves over the number of targets, both axes linear: what is linear is a straight line. The colours follow
/// the reader's light or dark scheme.
fn picture(points: &[Point]) -> String {
    let Some(last) = points.last() else { return String::new() };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 320\" width=\"1000\" height=\"320\" role=\"img\" \
         aria-labelledby=\"title text\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title id=\"title\">Cost of redpath over the number of targets</title>\n\
         <desc id=\"text\">With 1 to {:.0} targets, each probed once a second, CPU time grows to {:.1} % of one core and \
         resident memory to {:.1} MiB.</desc>\n\
         <style>\n  .page {{ fill: #fff }} text {{ fill: #1f2328 }} .quiet {{ fill: #59636e }} .axis {{ stroke: #818b98 }}\n  \
         .grid {{ stroke: #d1d9e0 }} .curve {{ stroke: #0969da }} .point {{ fill: #0969da }}\n  \
         @media (prefers-color-scheme: dark) {{\n    .page {{ fill: #0d1117 }} text {{ fill: #f0f6fc }} .quiet {{ fill: #9198a1 }}\n    \
         .grid {{ stroke: #3d444d }} .curve {{ stroke: #4493f8 }} .point {{ fill: #4493f8 }}\n  }}\n</style>\n\
         <rect class=\"page\" width=\"1000\" height=\"320\" rx=\"6\"/>\n",
        last.targets, last.cpu, last.memory
    );
    panel(&mut svg, 64.0, "CPU, % of one core", points, |point| point.cpu);
    panel(&mut svg, 560.0, "resident memory, MiB", points, |point| point.memory);
    svg += "</svg>\n";
    svg
}

fn panel(svg: &mut String, left: f64, title: &str, points: &[Point], value: fn(&Point) -> f64) {
    let most_targets = points.iter().map(|point| point.targets).fold(1.0, f64::max);
    let (step, top) = scale(points.iter().map(value).fold(1.0, f64::max));
    let x = |targets: f64| left + targets / most_targets * WIDTH;
    let y = |value: f64| BOTTOM - value / top * HEIGHT;
    let right = left + WIDTH;
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"28\" font-weight=\"600\">{title}</text>");
    let mut tick = 0.0;
    while tick <= top {
        let (y, class) = (y(tick), if tick == 0.0 { "axis" } else { "grid" });
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{left} {y:.1}H{right}\"/>");
        let (x, y) = (left - 8.0, y + 4.0);
        let _ = writeln!(svg, "<text class=\"quiet\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{tick}</text>");
        tick += step;
    }
    let line: Vec<String> =
        points.iter().map(|point| format!("{:.1},{:.1}", x(point.targets), y(value(point)))).collect();
    let line = line.join(" ");
    let _ = writeln!(svg, "<polyline class=\"curve\" points=\"{line}\" fill=\"none\" stroke-width=\"2\"/>");
    for (place, point) in points.iter().enumerate() {
        let (x, y, value) = (x(point.targets), y(value(point)), value(point));
        let _ = writeln!(svg, "<circle class=\"point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>");
        if point.targets < 100.0 && place > 0 {
            continue; // there is no room for the text between the first and 100
        }
        // The first one stands higher, clear of the points after it.
        let (above, anchor) = if place == 0 { (y - 24.0, "start") } else { (y - 11.0, "middle") };
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{above:.1}\" text-anchor=\"{anchor}\">{value:.1}</text>");
        let targets = point.targets;
        let _ = writeln!(svg, "<text class=\"quiet\" x=\"{x:.1}\" y=\"282\" text-anchor=\"middle\">{targets}</text>");
    }
    let middle = left + WIDTH / 2.0;
    let _ = writeln!(
        svg,
        "<text class=\"quiet\" x=\"{middle}\" y=\"304\" text-anchor=\"middle\">targets, each probed once a second</text>"
    );
}

/// The distance of round tick marks, and the highest of them, for values up to `most`.
fn scale(most: f64) -> (f64, f64) {
    let magnitude = 10_f64.powf((most / 4.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude);
    let step = step.into_iter().find(|step| most / step <= 5.0).unwrap_or(magnitude * 10.0);
    (step, (most * 1.08 / step).ceil() * step)
}
