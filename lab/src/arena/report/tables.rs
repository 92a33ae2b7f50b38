//! The figures of a scenario as tables, for a terminal and for the page.

use super::super::results::{Entrant, Entry, Measured, Results};
use super::super::round::MOST_LAG_MS;
use super::heat;
use super::phases::groups;
use super::seen::{Quantile, Seen};
use super::standing::{NOTHING, Place, Standing, Verdict};
use crate::bench::Spread;
use crate::render::{Row, Table, figure, thousands};

/// With more backends their shares are shown by group.
const MOST_SHARES: usize = 8;

pub(super) fn name<'a>(contenders: &'a [Entrant], entry: &Entry) -> &'a str {
    contenders.get(entry.contender).map_or(NOTHING, |entrant| entrant.name.as_str())
}

pub(super) fn or_nothing(number: Option<f64>, words: impl Fn(f64) -> String) -> String {
    number.map_or(NOTHING.to_owned(), words)
}

/// The median of the rounds.
fn median(entry: &Entry, of: impl Fn(&super::super::results::Round) -> f64) -> Option<f64> {
    let rounds = entry.rounds.iter().map(of).filter(|number| number.is_finite());
    Some(Spread::of(rounds)?.median)
}

/// Requests that ended per second, errors included, as the simulator counts them.
pub(super) fn per_second(entry: &Entry) -> Option<f64> {
    median(entry, |round| round.all.latencies.len() as f64 / round.seconds)
}

pub(super) fn cpu_us(entry: &Entry) -> Option<f64> {
    median(entry, |round| round.cpu_us_per_request)
}

pub(super) fn backends_us(entry: &Entry) -> Option<f64> {
    median(entry, |round| round.backends_us_per_request)
}

pub(super) fn lag_ms(entry: &Entry) -> Option<f64> {
    median(entry, |round| round.lag_ms)
}

pub(super) fn disturbed(entry: &Entry) -> usize {
    entry.rounds.iter().filter(|round| round.is_disturbed).count()
}

/// The part of the requests that each backend received, all rounds together.
pub(super) fn shares(measured: &Measured, entry: &Entry) -> Option<Vec<f64>> {
    let mut sums = vec![0u64; measured.scenario.each_backend().count()];
    for round in &entry.rounds {
        sums.iter_mut().zip(&round.received).for_each(|(sum, count)| *sum += count);
    }
    let total: u64 = sums.iter().sum();
    (total > 0).then(|| sums.iter().map(|sum| *sum as f64 / total as f64).collect())
}

/// Requests that the backends received beyond those of the clients: attempts that were repeated,
/// and probes of health.
pub(super) fn extra(entry: &Entry) -> Option<u64> {
    let received: u64 = entry.rounds.iter().flat_map(|round| &round.received).sum();
    let sent: u64 = entry.rounds.iter().map(|round| round.sent).sum();
    (sent > 0).then(|| received.saturating_sub(sent))
}

/// One row per contender.
pub(super) fn figures(contenders: &[Entrant], measured: &Measured, standing: &Standing) -> Table {
    let quantiles = Quantile::ALL.map(Quantile::name);
    let ratio = format!("{} × best", standing.quantile.name());
    let heads = ["contender", "requests/s", "mean ms"].into_iter().chain(quantiles);
    let heads =
        heads.chain([&*ratio, "errors", "extra requests", "CPU µs", "backends µs", "lag ms"]);
    let rows = measured.entries.iter().zip(&standing.places);
    Table {
        caption: String::new(),
        heads: heads.map(str::to_owned).collect(),
        rows: rows.map(|(entry, place)| row(contenders, entry, place)).collect(),
    }
}

fn row(contenders: &[Entrant], entry: &Entry, place: &Place) -> Row {
    let seen = Seen::all(entry);
    let failed = if entry.failure.is_some() { " FAILED" } else { "" };
    let mut cells = vec![
        format!("{}{failed}", name(contenders, entry)),
        or_nothing(per_second(entry), thousands),
        or_nothing(seen.mean_ms(), figure),
    ];
    cells.extend(Quantile::ALL.map(|it| or_nothing(seen.quantile_ms(it), figure)));
    cells.push(ratio(entry, place));
    cells.push(errors(&seen));
    cells.push(extra(entry).map_or(NOTHING.to_owned(), |it| thousands(it as f64)));
    cells.push(or_nothing(cpu_us(entry), |us| format!("{us:.0}")));
    cells.push(or_nothing(backends_us(entry), |us| format!("{us:.0}")));
    let mark = if disturbed(entry) > 0 { " !" } else { "" };
    cells.push(or_nothing(lag_ms(entry), |ms| format!("{ms:.2}{mark}")));
    Row { cells, is_marked: entry.failure.is_some() }
}

/// With the interval, where there is more than a single ratio.
fn ratio(entry: &Entry, place: &Place) -> String {
    match place.ratio {
        _ if !place.verdict.is_ranked() => NOTHING.to_owned(),
        Some(it) if place.verdict != Verdict::Best && entry.rounds.len() > 1 => {
            format!("{} ({:.2}–{:.2})", place.times_text(), it.low, it.high)
        }
        _ => place.times_text(),
    }
}

/// Each kind with its number.
fn errors(seen: &Seen) -> String {
    let kinds = seen.kinds();
    if kinds.is_empty() {
        return "0".to_owned();
    }
    let kind = |(kind, count): &(&str, u64)| format!("{} × {kind}", thousands(*count as f64));
    kinds.iter().map(kind).collect::<Vec<_>>().join(", ")
}

/// The share of each backend, or of each group if there are many backends.
pub(super) fn distribution(contenders: &[Entrant], measured: &Measured) -> Table {
    let counts: Vec<usize> = measured.scenario.backends.iter().map(|it| it.count).collect();
    let total: usize = counts.iter().sum();
    let (names, counts): (Vec<String>, Vec<usize>) = if total > MOST_SHARES {
        (groups(&measured.scenario).map(|(numbers, _)| numbers).collect(), counts)
    } else {
        ((1..=total).map(|number| number.to_string()).collect(), vec![1; total])
    };
    let row = |entry: &Entry| {
        let shares = shares(measured, entry);
        let mut rest = shares.iter().flatten();
        let cell = |count: &usize| {
            let share: f64 = rest.by_ref().take(*count).sum();
            if shares.is_some() { format!("{:.1} %", 100.0 * share) } else { NOTHING.to_owned() }
        };
        let cells = counts.iter().map(cell).collect::<Vec<_>>();
        let name = name(contenders, entry).to_owned();
        Row { cells: [name].into_iter().chain(cells).collect(), is_marked: false }
    };
    Table {
        caption: "Share of each backend in the requests".to_owned(),
        heads: ["contender".to_owned()].into_iter().chain(names).collect(),
        rows: measured.entries.iter().map(row).collect(),
    }
}

/// A part of the requests, one row per contender.
pub(super) fn focus(contenders: &[Entrant], measured: &Measured, focus: usize) -> Table {
    let quantiles = Quantile::ALL.map(Quantile::name);
    let heads = ["contender", "requests", "mean ms"].into_iter().chain(quantiles).chain(["errors"]);
    let row = |entry: &Entry| {
        let seen = Seen::focus(entry, focus);
        let mut cells = vec![name(contenders, entry).to_owned()];
        cells.push(thousands(seen.requests() as f64));
        cells.push(or_nothing(seen.mean_ms(), figure));
        cells.extend(Quantile::ALL.map(|it| or_nothing(seen.quantile_ms(it), figure)));
        cells.push(errors(&seen));
        Row { cells, is_marked: false }
    };
    Table {
        caption: measured.scenario.focus.get(focus).map_or(String::new(), |it| it.name.clone()),
        heads: heads.map(str::to_owned).collect(),
        rows: measured.entries.iter().map(row).collect(),
    }
}

/// Notes on the figures.
pub(super) fn remarks(
    contenders: &[Entrant],
    measured: &Measured,
    standing: &Standing,
) -> Vec<String> {
    let mut remarks = Vec::new();
    if standing.quantile != Quantile::P99 {
        remarks.push(format!(
            "Compared by {}: there are too few requests for a p99.",
            standing.quantile.name()
        ));
    }
    for entry in &measured.entries {
        let name = name(contenders, entry);
        if let Some(failure) = &entry.failure {
            remarks.push(format!("{name} FAILED: {failure}."));
        }
        let (disturbed, rounds) = (disturbed(entry), entry.rounds.len());
        if disturbed > 0 {
            let lag = entry.rounds.iter().map(|round| round.lag_ms).fold(0.0, f64::max);
            let reason = if lag > MOST_LAG_MS {
                format!("the client was late by up to {lag:.1} ms at its p99")
            } else {
                "other programs used the contender's cores".to_owned()
            };
            remarks.push(format!(
                "! {name}: {disturbed} of {rounds} rounds were disturbed: {reason}."
            ));
        }
    }
    remarks
}

/// How a terminal's overview is to be read.
pub(super) const OVERVIEW: &str = "=: the rounds do not tell it from the best; e: it has errors; \
    in brackets: not ranked, or alone; –: not run or not known";

fn short(standing: &Standing, contender: usize) -> String {
    let Some(place) = standing.place(contender) else { return NOTHING.to_owned() };
    let mark = if place.errors > 0 { " e" } else { "" };
    match place.verdict {
        Verdict::Failed => "failed".to_owned(),
        Verdict::Few => NOTHING.to_owned(),
        verdict if verdict == Verdict::Errors || !standing.is_contest() => {
            format!("({}{mark})", place.times_text())
        }
        _ => format!("{}{mark}", place.times_text()),
    }
}

/// All scenarios by all contenders, for a terminal.
pub(super) fn overview(results: &Results, standings: &[Standing]) -> Table {
    // A name takes a line for each of its words, so that the columns are narrow.
    let words: Vec<Vec<&str>> =
        results.contenders.iter().map(|it| it.name.split('-').collect()).collect();
    let lines = words.iter().map(Vec::len).max().unwrap_or(1);
    let line = |line: usize| words.iter().map(move |it| it.get(line).copied().unwrap_or(""));
    let cells = |first: &str, others: Vec<String>| Row {
        cells: [first.to_owned()].into_iter().chain(others).collect(),
        is_marked: false,
    };
    let mut rows: Vec<Row> =
        (1..lines).map(|it| cells("", line(it).map(str::to_owned).collect())).collect();
    for (measured, standing) in results.scenarios.iter().zip(standings) {
        let name = format!("{}{}", measured.name, heat::other_quantile(standing));
        rows.push(cells(&name, (0..words.len()).map(|it| short(standing, it)).collect()));
    }
    let scores: Vec<heat::Score> =
        (0..words.len()).map(|it| heat::Score::of(standings, it)).collect();
    let wins = scores.iter().map(|score| format!("{}", score.wins)).collect();
    rows.push(cells(&format!("best or equal, of {}", Standing::contests(standings)), wins));
    rows.push(cells("at worst", scores.iter().map(heat::Score::worst_text).collect()));
    let heads = ["× the best p99"].into_iter().chain(line(0)).map(str::to_owned);
    Table { caption: String::new(), heads: heads.collect(), rows }
}
