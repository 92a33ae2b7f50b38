//! The tail of each contender in a scenario: from p50 to p99.9 on a logarithmic axis.

use super::super::results::{Entrant, Measured};
use super::seen::{Quantile, Seen};
use super::standing::Standing;
use crate::render::{Canvas, Font, Ink, LogAxis, Side, figure};

const WIDTH: f64 = 1040.0;
/// Where names end, and where the axis begins; between them is the figure that is compared.
const NAMES: f64 = 212.0;
const LEFT: f64 = 350.0;
/// Where the axis ends; right of it is what is wrong.
const RIGHT: f64 = WIDTH - 120.0;
const ROW: f64 = 25.0;
const HEAD: f64 = 22.0;
const FOOT: f64 = 46.0;

/// The colour of a contender: our own, and the others.
pub(super) fn ink(name: &str) -> Ink {
    if name.starts_with("tidegate") { Ink::Series(0) } else { Ink::Series(1) }
}

/// The picture; `None` if no contender has a figure.
pub(super) fn picture(
    contenders: &[Entrant],
    measured: &Measured,
    standing: &Standing,
) -> Option<String> {
    let quantiles = |entry| {
        let seen = Seen::all(entry);
        Quantile::ALL.map(|quantile| seen.quantile_ms(quantile))
    };
    let all: Vec<[Option<f64>; 4]> = measured.entries.iter().map(quantiles).collect();
    let axis = LogAxis::of(all.iter().flatten().flatten().copied(), (LEFT, RIGHT))?;
    let bottom = HEAD + ROW * all.len() as f64;
    let mut canvas = Canvas::new(WIDTH, bottom + FOOT);
    scale(&mut canvas, &axis, bottom);
    let head = (NAMES + 14.0, HEAD - 8.0);
    canvas.text(head, Font::new(14.0, Side::Right), Ink::Quiet, standing.quantile.name());
    let rows = measured.entries.iter().zip(all).zip(&standing.places).enumerate();
    for (row, ((entry, quantiles), place)) in rows {
        let y = HEAD + ROW * (row as f64 + 0.5);
        let name = contenders.get(entry.contender).map_or("", |it| it.name.as_str());
        let font = Font::new(14.0, Side::Left);
        let font = if place.verdict.is_best() { font.bold() } else { font };
        canvas.text((NAMES, y + 5.0), font, Ink::Text, name);
        dots(&mut canvas, &axis, y, quantiles, ink(name));
        let mut words = String::new();
        if place.verdict.is_best() {
            words += if place.times_text().starts_with('=') { "= " } else { "best " };
        }
        words += &place.ms.map_or(String::new(), |ms| format!("{} ms", figure(ms)));
        let words_at = (NAMES + 14.0, y + 5.0);
        let font = Font { side: Side::Right, ..font };
        canvas.text(words_at, font, Ink::Text, &words);
        if let Some(wrong) = place.wrong() {
            canvas.text((WIDTH, y + 5.0), Font::new(14.0, Side::Left), Ink::Bad, &wrong);
        }
    }
    Some(canvas.end())
}

fn scale(canvas: &mut Canvas, axis: &LogAxis, bottom: f64) {
    for tick in axis.ticks(40.0) {
        let x = axis.at(tick);
        canvas.line(&[(x, HEAD), (x, bottom)], 1.0, 1.0, Ink::Grid);
        let font = Font::new(14.0, Side::Middle);
        canvas.text((x, bottom + 18.0), font, Ink::Quiet, &plain(tick));
    }
    let middle = LEFT.midpoint(RIGHT);
    let title = "latency, ms (logarithmic)";
    canvas.text((middle, bottom + 40.0), Font::new(14.0, Side::Middle), Ink::Quiet, title);
}

/// A bar at p50, a dot at p95, a large one at p99, a small one at p99.9, and a line through all.
fn dots(canvas: &mut Canvas, axis: &LogAxis, y: f64, quantiles: [Option<f64>; 4], ink: Ink) {
    let at = |ms: Option<f64>| ms.map(|ms| axis.at(ms));
    let known = || quantiles.into_iter().filter_map(at);
    if let (Some(first), Some(last)) = (known().next(), known().next_back()) {
        canvas.line(&[(first, y), (last, y)], 3.0, 0.5, ink);
    }
    let [p50, p95, p99, p999] = quantiles.map(at);
    if let Some(x) = p50 {
        canvas.rectangle([x - 1.5, y - 7.0, 3.0, 14.0], 0.0, ink);
    }
    for (x, radius) in [(p95, 3.5), (p99, 6.0), (p999, 3.5)] {
        if let Some(x) = x {
            canvas.circle((x, y), radius, ink);
        }
    }
}

/// A tick without needless zeros.
pub(super) fn plain(tick: f64) -> String {
    let text = format!("{tick:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
