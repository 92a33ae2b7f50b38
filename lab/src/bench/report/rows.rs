//! The table of a workload, which is the same on a terminal, in Markdown and in the page.

use super::super::contender::Program;
use super::super::results::{Entry, Measured};
use super::super::stats::Spread;
use crate::render::{Row, Table, thousands};

/// The columns. Figures are medians, with the lowest and the highest in brackets.
const COLUMNS: [&str; 11] = [
    "contender",
    "processor µs/request",
    "× nginx",
    "× HAProxy",
    "× relay",
    "requests/s",
    "core",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "peak MiB",
];

/// One row per contender.
pub(super) fn rows(measured: &Measured) -> Table {
    let rows = measured.entries.iter().map(|entry| Row {
        cells: row(measured, entry).to_vec(),
        is_marked: entry.failure.is_some(),
    });
    Table {
        caption: String::new(),
        heads: COLUMNS.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

fn row(measured: &Measured, entry: &Entry) -> [String; COLUMNS.len()] {
    let nothing = || "–".to_owned();
    let ratio = |program| {
        measured.ratio(entry, program).map_or_else(nothing, |ratio| format!("{ratio:.2}"))
    };
    let millis =
        |us: Option<Spread>| us.map_or_else(nothing, |us| format!("{:.2}", us.median / 1000.0));
    let mebibytes = entry.peak_resident_bytes as f64 / f64::from(1 << 20);
    let name = entry.contender.name;
    // At a fixed rate the load is never faster.
    let is_own_limit = measured.workload.rate_per_s.is_some() || entry.is_saturated();
    [
        if entry.failure.is_some() { format!("{name} FAILED") } else { name.to_owned() },
        entry.cpu().map_or_else(nothing, |cpu| {
            let mark = if entry.is_disturbed() { " !" } else { "" };
            format!("{:.1} ({:.1}–{:.1}){mark}", cpu.median, cpu.min, cpu.max)
        }),
        ratio(Program::Nginx),
        ratio(Program::Haproxy),
        ratio(Program::Relay),
        entry.per_second().map_or_else(nothing, |rate| per_second(rate, is_own_limit)),
        entry.share().map_or_else(nothing, |share| format!("{:.0} %", share.median * 100.0)),
        millis(entry.p50()),
        millis(entry.p99()),
        millis(entry.p999()),
        format!("{mebibytes:.1}"),
    ]
}

/// If the load was the limit, the contender could do this much or more.
fn per_second(rate: Spread, is_saturated: bool) -> String {
    if is_saturated {
        let (min, max) = (thousands(rate.min), thousands(rate.max));
        format!("{} ({min}–{max})", thousands(rate.median))
    } else {
        format!("≥ {}", thousands(rate.median))
    }
}

/// Notes on the rows of `measured`.
pub(super) fn remarks(measured: &Measured) -> Vec<String> {
    let mut remarks = Vec::new();
    let (place, entries) = (&measured.place, &measured.entries);
    if place.is_shared() {
        remarks.push("There is but one core: load and contenders shared it.".to_owned());
    } else if entries.iter().any(|entry| entry.is_shared) {
        remarks.push(
            "There were too few cores for two workers and the load: contenders with two workers \
             shared theirs with the load, so their requests/s say little."
                .to_owned(),
        );
    }
    if entries.iter().any(Entry::is_disturbed) {
        remarks.push(
            "! Something else used more than 5 % of the contender's core; measure again on a calm \
             machine."
                .to_owned(),
        );
    }
    for entry in entries {
        if let Some(failure) = &entry.failure {
            remarks.push(format!("{} FAILED: {failure}.", entry.contender.name));
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::*;

    #[test]
    fn a_row_says_the_medians_and_the_ratios_to_nginx_and_the_relay() {
        let table = rows(&measured());
        let relay = &table.rows.last().expect("rows").cells;
        assert_eq!(relay[0], "relay");
        assert_eq!(relay[1], "50.0 (49.0–51.0)");
        assert_eq!(&relay[2..5], ["1.67", "1.25", "1.00"]);
        assert_eq!(relay[5], "1,000 (1,000–1,000)");
        assert_eq!(&relay[6..], ["96 %", "0.50", "0.90", "0.99", "5.0"]);
    }

    #[test]
    fn what_the_load_limited_is_told_apart() {
        let mut measured = measured();
        for round in &mut measured.entries[0].rounds {
            round.share = 0.8;
            round.others = 0.1;
        }
        let row = &rows(&measured).rows[0].cells;
        assert_eq!((row[5].as_str(), row[6].as_str()), ("≥ 1,000", "80 %"));
        assert!(row[1].ends_with(" !"), "{}", row[1]);
        assert!(remarks(&measured)[0].starts_with("! "));
    }

    #[test]
    fn a_failure_stands_out_even_without_a_figure() {
        let mut measured = measured();
        measured.entries[2].rounds.clear();
        measured.entries[2].failure = Some("no answer came".to_owned());
        let rows = rows(&measured).rows;
        assert!(rows[2].is_marked && !rows[0].is_marked);
        assert_eq!(rows[2].cells[..2], ["nginx FAILED", "–"]);
        assert_eq!(rows[0].cells[2], "–", "there is nothing to compare with");
        assert_eq!(remarks(&measured), ["nginx FAILED: no answer came."]);
    }
}
