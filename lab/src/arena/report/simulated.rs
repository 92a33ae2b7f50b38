//! What the simulator says of the same scenario, beside what was measured.

use super::super::results::{Entrant, Entry, Measured, Predicted, Results};
use super::seen::{Quantile, Seen};
use super::standing::{NOTHING, Standing};
use super::tables::{name, per_second};
use crate::render::{Row, Table, figure, thousands};

/// From here on one of the two is wrong, or the simulator does not model what matters.
pub(super) const MOST_DEVIATION: f64 = 0.15;

/// What is compared: its head, what was measured, and what was predicted.
type Pair = (&'static str, Option<f64>, f64);

/// What was measured is by this part higher.
pub(super) fn deviation(measured: f64, predicted: f64) -> Option<f64> {
    Some(measured / predicted - 1.0).filter(|it| it.is_finite())
}

/// The latencies, as [`Predicted::latency_ms`] has them, and the rate.
pub(super) fn pairs(entry: &Entry, predicted: &Predicted) -> [Pair; 6] {
    let seen = Seen::all(entry);
    let [mean, p50, p95, p99, p999] = predicted.latency_ms;
    [
        ("requests/s", per_second(entry), predicted.per_second),
        ("mean ms", seen.mean_ms(), mean),
        ("p50 ms", seen.quantile_ms(Quantile::P50), p50),
        ("p95 ms", seen.quantile_ms(Quantile::P95), p95),
        ("p99 ms", seen.quantile_ms(Quantile::P99), p99),
        ("p99.9 ms", seen.quantile_ms(Quantile::P999), p999),
    ]
}

/// By how much in words; `!` if it is too much.
fn words(part: f64) -> String {
    let mark = if part.abs() > MOST_DEVIATION { " !" } else { "" };
    format!("{:+.0} %{mark}", 100.0 * part)
}

/// One row for each contender that the simulator knows; `None` if it knows none.
pub(super) fn table(contenders: &[Entrant], measured: &Measured) -> Option<Table> {
    let known = || measured.entries.iter().filter_map(|it| Some((it, it.simulated.as_ref()?)));
    let (entry, predicted) = known().next()?;
    let heads = ["contender", "simulated as"].into_iter();
    let heads = heads.chain(pairs(entry, predicted).map(|(head, _, _)| head));
    let row = |(entry, predicted): (&Entry, &Predicted)| {
        let mut cells = vec![name(contenders, entry).to_owned(), predicted.policy.clone()];
        cells.extend(pairs(entry, predicted).map(cell));
        Row { is_marked: cells.iter().any(|cell| cell.ends_with('!')), cells }
    };
    Some(Table {
        caption: "Measured / simulated, and by how much what was measured is higher".to_owned(),
        heads: heads.map(str::to_owned).collect(),
        rows: known().map(row).collect(),
    })
}

fn cell((head, measured, predicted): Pair) -> String {
    let number = if head == "requests/s" { thousands } else { figure };
    let told = number(predicted);
    let Some(measured) = measured else { return format!("{NOTHING} / {told}") };
    let by = deviation(measured, predicted).map_or(String::new(), words);
    format!("{} / {told} {by}", number(measured))
}

/// By how much the tail deviates, in all scenarios; `None` if the simulator knows no contender.
pub(super) fn overview(results: &Results, standings: &[Standing]) -> Option<Table> {
    let entries = || results.scenarios.iter().flat_map(|measured| &measured.entries);
    let is_known =
        |index: usize| entries().any(|entry| entry.contender == index && entry.simulated.is_some());
    let known: Vec<usize> = (0..results.contenders.len()).filter(|it| is_known(*it)).collect();
    let names = known.iter().map(|index| results.contenders[*index].name.clone());
    let heads: Vec<String> = ["scenario".to_owned()].into_iter().chain(names).collect();
    let row = |(measured, standing): (&Measured, &Standing)| {
        let cell = |index: &usize| {
            let entry = measured.entries.iter().find(|entry| entry.contender == *index)?;
            let seen = Seen::all(entry).quantile_ms(standing.quantile)?;
            let told = &entry.simulated.as_ref()?.latency_ms;
            let told = match standing.quantile {
                Quantile::P50 => told[1],
                Quantile::P95 => told[2],
                Quantile::P99 => told[3],
                Quantile::P999 => told[4],
            };
            deviation(seen, told).map(words)
        };
        let first = format!("{} {}", measured.name, standing.quantile.name());
        let cells = known.iter().map(|index| cell(index).unwrap_or(NOTHING.to_owned()));
        Row { cells: [first].into_iter().chain(cells).collect(), is_marked: false }
    };
    let rows = results.scenarios.iter().zip(standings).map(row).collect();
    (!known.is_empty()).then_some(Table { caption: String::new(), heads, rows })
}
