//! How cost grows with the number of targets: a table and a picture.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::programs::Programs;
use super::steady::{Steady, redpath};
use super::table::{mib, ms};

const TARGETS: [usize; 6] = [1, 10, 100, 200, 500, 1000];
const TIME: Duration = Duration::from_secs(12);
const PICTURE: &str = "docs/images/growth.svg";

pub(crate) fn measure(programs: &Programs<'_>) {
    let mut points = Vec::new();
    println!("| targets at 1/s | probes a second | CPU a probe | CPU, share of one core | resident | own |");
    println!("|---|---|---|---|---|---|");
    for (at, targets) in (0_u16..).zip(TARGETS) {
        let steady = redpath(programs, 9141 + at, targets, 0, TIME);
        let share = steady.cpu.as_secs_f64() * steady.rate;
        let Steady { cpu, memory, rate } = steady;
        let (resident, own) = (mib(memory.resident), mib(memory.anonymous));
        println!("| {targets} | {rate:.1} | {} | {:.1} % | {resident} | {own} |", ms(cpu), share * 100.0);
        points.push((targets as f64, share * 100.0, memory.resident as f64 / 1_048_576.0));
    }
    println!();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    if let Err(error) = std::fs::write(&path, picture(&points)) {
        eprintln!("{}: {error}", path.display());
    }
}

/// Two curves over the number of targets, both axes linear: what is linear is a straight line.
fn picture(points: &[(f64, f64, f64)]) -> String {
    const WIDTH: f64 = 420.0;
    const HEIGHT: f64 = 220.0;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1040 320\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"1040\" height=\"320\" fill=\"white\"/>\n",
    );
    let most_targets = points.iter().map(|point| point.0).fold(1.0, f64::max);
    type Value = fn(&(f64, f64, f64)) -> f64;
    let curves: [(&str, f64, Value); 2] =
        [("CPU, % of one core", 70.0, |point| point.1), ("resident memory, MiB", 580.0, |point| point.2)];
    for (title, left, value) in curves {
        let most = points.iter().map(value).fold(1.0, f64::max) * 1.1;
        let x = |targets: f64| left + targets / most_targets * WIDTH;
        let y = |value: f64| 270.0 - value / most * HEIGHT;
        let line: Vec<String> = points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(value(p)))).collect();
        let _ = writeln!(svg, "<text x=\"{left}\" y=\"30\" font-weight=\"bold\">{title}</text>");
        let _ = writeln!(svg, "<path d=\"M{left} 50V270H{}\" fill=\"none\" stroke=\"#888\"/>", left + WIDTH);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#0b62c4\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for point in points {
            let (x, y, value) = (x(point.0), y(value(point)), value(point));
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#0b62c4\"/>");
            if point.0 >= 100.0 {
                let _ =
                    writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.1}</text>", y - 10.0);
                let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"288\" text-anchor=\"middle\">{}</text>", point.0);
            }
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"308\" text-anchor=\"middle\">targets, each probed once a second</text>",
            left + WIDTH / 2.0
        );
    }
    svg += "</svg>\n";
    svg
}
