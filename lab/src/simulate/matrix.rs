//! All scenarios by all policies, in one table.

use super::contender::Contender;
use super::measured::Tally;
use super::report::Report;
use crate::render::{Row, Table, figure};

/// A table with a row for each scenario.
#[derive(Clone, Debug)]
pub struct Matrix {
    table: Table,
}

impl Matrix {
    /// With a column for each of these.
    #[must_use]
    pub fn new(contenders: &[Contender]) -> Self {
        let names = contenders.iter().map(|contender| contender.name());
        let heads = ["p99 / p99.9 ms"].into_iter().chain(names).map(str::to_owned).collect();
        Self { table: Table { heads, ..Table::default() } }
    }

    /// One more scenario, with the results of the same contenders.
    pub fn add(&mut self, scenario: &str, report: &Report) {
        let cells = [scenario.to_owned()].into_iter().chain(report.tallies().map(cell));
        self.table.rows.push(Row { cells: cells.collect(), is_marked: false });
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        self.table.text()
    }
}

/// Errors are named where there are any.
fn cell(tally: &Tally) -> String {
    let [p99, p999] = [0.99, 0.999].map(|quantile| figure(tally.quantile_ms(quantile)));
    match tally.error_part() {
        0.0 => format!("{p99} / {p999}"),
        part => format!("({:.2} %) {p99} / {p999}", 100.0 * part),
    }
}
