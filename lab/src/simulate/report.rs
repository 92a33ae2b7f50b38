//! The results of a scenario as tables and as JSON.

use serde_json::{Value, json};

use super::contender::Contender;
use super::measured::{Measured, Tally};
use crate::render::{Row, Table, figure, thousands};
use crate::scenario::Scenario;

/// The results of several contenders in the same scenario.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    scenario: &'a Scenario,
    rows: Vec<(Contender, Measured)>,
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// No quantile is shown beyond which there are fewer requests.
const FEWEST_BEYOND: f64 = 20.0;

impl<'a> Report<'a> {
    /// None yet.
    #[must_use]
    pub fn new(scenario: &'a Scenario) -> Self {
        Self { scenario, rows: Vec::new() }
    }

    /// One more contender.
    pub fn add(&mut self, contender: Contender, measured: Measured) {
        self.rows.push((contender, measured));
    }

    /// What was measured of all requests, by contender.
    pub(super) fn tallies(&self) -> impl Iterator<Item = &Tally> {
        self.rows.iter().map(|(_, measured)| &measured.all)
    }

    /// Tables for a terminal: of all requests, then of each focus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.scenario.about);
        let mut heads = Self::heads();
        heads.insert(1, "req/s".to_owned());
        heads.insert(heads.len() - 2, "± p99".to_owned());
        let rows = self.rows.iter().map(|(contender, measured)| {
            let mut cells = self.cells(*contender, &measured.all);
            cells.insert(1, thousands(measured.per_second()));
            cells.insert(cells.len() - 2, format!("{:.1} %", 100.0 * measured.p99_spread()));
            Row { cells, is_marked: false }
        });
        text += &Table { caption: String::new(), heads, rows: rows.collect() }.text();
        for (index, focus) in self.scenario.focus.iter().enumerate() {
            let rows = self.rows.iter().map(|(contender, measured)| Row {
                cells: self.cells(*contender, &measured.focus[index]),
                is_marked: false,
            });
            let rows = rows.collect();
            let table = Table { caption: String::new(), heads: Self::heads(), rows };
            text.extend(["\n", &focus.name, ":\n", &table.text()]);
        }
        text
    }

    fn heads() -> Vec<String> {
        let quantiles = QUANTILES.iter().map(|(name, _)| *name);
        let heads =
            ["policy", "mean ms"].into_iter().chain(quantiles).chain(["errors", "shares %"]);
        heads.map(str::to_owned).collect()
    }

    fn cells(&self, contender: Contender, tally: &Tally) -> Vec<String> {
        let mut cells = vec![contender.to_string(), figure(tally.mean_ms())];
        for (_, quantile) in QUANTILES {
            let is_known = (1.0 - quantile) * tally.requests() as f64 >= FEWEST_BEYOND;
            let shown =
                if is_known { figure(tally.quantile_ms(quantile)) } else { "–".to_owned() };
            cells.push(shown);
        }
        cells.push(format!("{:.3} %", 100.0 * tally.error_part()));
        let shares = self.group_shares(&tally.shares());
        cells.push(
            shares
                .iter()
                .map(|share| format!("{:.1}", 100.0 * share))
                .collect::<Vec<_>>()
                .join(" / "),
        );
        cells
    }

    /// The shares of the groups of backends.
    fn group_shares(&self, shares: &[f64]) -> Vec<f64> {
        let mut rest = shares;
        let share = |count| {
            let (group, others) = rest.split_at(count);
            rest = others;
            group.iter().sum()
        };
        self.scenario.backends.iter().map(|group| group.count).map(share).collect()
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let policies = self.rows.iter().map(|(contender, measured)| {
            let focuses = self.scenario.focus.iter().zip(&measured.focus);
            let focus = |(focus, tally): (&crate::scenario::Focus, &Tally)| {
                let mut figures = of_tally(tally);
                figures["name"] = json!(focus.name);
                figures
            };
            let mut figures = of_tally(&measured.all);
            figures["policy"] = json!(contender.name());
            figures["requests_per_second"] = json!(measured.per_second());
            figures["seconds"] = json!(measured.seconds);
            figures["p99_ms_by_seed"] = json!(measured.p99_ms);
            figures["focus"] = focuses.map(focus).collect();
            figures
        });
        let policies: Value = policies.collect();
        json!({ "about": self.scenario.about, "policies": policies })
    }
}

fn of_tally(tally: &Tally) -> Value {
    json!({
        "requests": tally.requests(),
        "mean_ms": tally.mean_ms(),
        "p50_ms": tally.quantile_ms(0.5),
        "p95_ms": tally.quantile_ms(0.95),
        "p99_ms": tally.quantile_ms(0.99),
        "p999_ms": tally.quantile_ms(0.999),
        "error_part": tally.error_part(),
        "attempts": tally.attempts(),
        "shares": tally.shares(),
    })
}
