//! The result of a soak, as text.

use std::fmt;
use std::time::Duration;

use super::super::render::{Row, Table};
use super::Plan;
use super::figures::Figures;
use super::judge::{Count, Tally};
use super::programs::Proxy;

/// The result of a soak.
#[derive(Debug)]
pub struct Report {
    pub(super) plan: Plan,
    /// How long clients sent requests.
    pub(super) elapsed: Duration,
    /// Whether a signal ended that.
    pub(super) stopped: bool,
    pub(super) tally: Tally,
    pub(super) killed: usize,
    pub(super) paused: usize,
    pub(super) rotations: u64,
    pub(super) shares: Vec<Share>,
}

/// One proxy's part of it.
#[derive(Debug)]
pub(super) struct Share {
    name: String,
    /// Requests, rows and rows lost, as the proxy printed them.
    totals: Option<(u64, u64, u64)>,
    /// Rows read in its logs.
    rows: u64,
    at_start: Figures,
    at_end: Figures,
    most_descriptors: usize,
    warm_bytes: u64,
    late_bytes: u64,
    grows: bool,
}

impl Share {
    pub(super) fn of(proxy: &Proxy) -> Self {
        let (warm_bytes, late_bytes) = proxy.samples.warm_and_late_bytes();
        Self {
            name: proxy.name.clone(),
            totals: proxy.totals(),
            rows: proxy.rows,
            at_start: proxy.at_start,
            at_end: proxy.at_end,
            most_descriptors: proxy.samples.most_descriptors(),
            warm_bytes,
            late_bytes,
            grows: proxy.samples.grows(),
        }
    }

    /// What is wrong with it.
    pub(super) fn findings(&self) -> Vec<String> {
        let Self { name, rows, .. } = self;
        let mut findings = Vec::new();
        match self.totals {
            None => findings.push(format!("{name} did not print its totals")),
            Some((requests, said, lost)) => {
                if requests != said + lost || said != *rows {
                    findings.push(format!(
                        "{name} counted {requests} requests, {said} rows and {lost} lost; \
                         its logs have {rows} rows"
                    ));
                }
                if lost > 0 {
                    findings.push(format!("{name} lost {lost} rows"));
                }
            }
        }
        let (start, end) = (self.at_start.descriptors, self.at_end.descriptors);
        if start != end {
            findings
                .push(format!("{name} had {start} open files at the start and {end} at the end"));
        }
        if self.grows {
            let [warm, late] = [self.warm_bytes, self.late_bytes].map(mebibytes);
            findings.push(format!("{name} grew from {warm:.1} MiB to {late:.1} MiB"));
        }
        findings
    }
}

impl Report {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.tally.findings.count == 0
    }

    fn kinds(&self) -> Table {
        let mut total = Count::default();
        let row = |name: &str, count: Count| {
            let Count { requests, as_expected, excused, left, ignored } = count;
            row(name.to_owned(), [requests, as_expected, excused, left, ignored])
        };
        let mut rows = Vec::new();
        for (kind, count) in &self.tally.kinds {
            rows.push(row(kind.name(), *count));
            total.requests += count.requests;
            total.as_expected += count.as_expected;
            total.excused += count.excused;
            total.left += count.left;
            total.ignored += count.ignored;
        }
        rows.push(row("all", total));
        table(["kind of client", "requests", "as expected", "excused", "left", "ignored"], rows)
    }

    fn errors(&self) -> Table {
        let errors = self.tally.excused.iter();
        let rows = errors.map(|((status, fault, can_be_resent, excuse), count)| {
            let resendable = if *can_be_resent { "yes" } else { "no" };
            let cells = [status.to_string(), resendable.to_owned(), count.to_string()];
            row(format!("{fault}: {excuse}"), cells)
        });
        table(["excused error", "status", "resendable", "requests"], rows.collect())
    }

    fn proxies(&self) -> Table {
        let rows = self.shares.iter().map(|share| {
            let (requests, _, lost) = share.totals.unwrap_or_default();
            let (start, end) = (share.at_start, share.at_end);
            let counts = [requests, share.rows, lost].map(|count| count.to_string());
            let descriptors = [start.descriptors, share.most_descriptors, end.descriptors]
                .map(|count| count.to_string());
            let memory =
                [start.resident_bytes, share.warm_bytes, share.late_bytes, end.resident_bytes]
                    .map(|bytes| format!("{:.1}", mebibytes(bytes)));
            row(share.name.clone(), counts.into_iter().chain(descriptors).chain(memory))
        });
        let heads = [
            "proxy",
            "requests",
            "rows",
            "lost",
            "files first",
            "most",
            "last",
            "MiB first",
            "warm",
            "late",
            "last",
        ];
        table(heads, rows.collect())
    }
}

/// What the heads of the proxies' columns mean.
const LEGEND: &str = "\
files: open descriptors before the first request, at most, and after the last request
MiB: resident memory at these times; warm and late are medians of the 2nd and the last quarter
";

fn table<const N: usize>(heads: [&str; N], rows: Vec<Row>) -> Table {
    Table { heads: heads.map(str::to_owned).to_vec(), rows, ..Table::default() }
}

fn row(name: String, cells: impl IntoIterator<Item = impl ToString>) -> Row {
    let cells = cells.into_iter().map(|cell| cell.to_string());
    Row { cells: [name].into_iter().chain(cells).collect(), is_marked: false }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, clients, .. } = self.plan;
        let minutes = self.elapsed.as_secs_f64() / 60.0;
        let end = if self.stopped { ", ended by a signal" } else { "" };
        writeln!(f, "soak of {minutes:.1} min with {clients} clients, seed {seed}{end}\n")?;
        let statuses =
            self.tally.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
        let statuses = statuses.collect::<Vec<_>>().join(", ");
        writeln!(f, "{}\nrows by status: {statuses}\n", self.kinds().text())?;
        writeln!(f, "{}\n{}{LEGEND}", self.errors().text(), self.proxies().text())?;
        writeln!(
            f,
            "Backends were killed and restarted {} times, and stopped for a while {} times.\n\
             Logs were rotated {} times. {} requests have no row, because their clients reset\n\
             the connection before the proxy read them.",
            self.killed, self.paused, self.rotations, self.tally.unread
        )?;
        writeln!(
            f,
            "{} requests got a hedge, which won {} times.\n",
            self.tally.hedged, self.tally.hedges_won
        )?;
        let findings = &self.tally.findings;
        if self.is_clean() {
            return writeln!(
                f,
                "clean: every request has one row, every response was right, nothing grew"
            );
        }
        writeln!(f, "FAILED: {} findings", findings.count)?;
        findings.quoted.iter().try_for_each(|finding| writeln!(f, "  {finding}"))
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> Share {
        let figures = Figures { descriptors: 20, resident_bytes: 1 << 20 };
        Share {
            name: "round-robin persistent".to_owned(),
            totals: Some((10, 10, 0)),
            rows: 10,
            at_start: figures,
            at_end: figures,
            most_descriptors: 50,
            warm_bytes: 1 << 20,
            late_bytes: 1 << 20,
            grows: false,
        }
    }

    #[test]
    fn a_proxy_whose_totals_agree_is_fine() {
        assert!(share().findings().is_empty());
    }

    #[test]
    fn each_thing_that_can_be_wrong_with_a_proxy_is_found() {
        let end = Figures { descriptors: 21, ..share().at_end };
        for (wrong, words) in [
            (Share { totals: None, ..share() }, "did not print its totals"),
            (Share { totals: Some((11, 10, 0)), ..share() }, "11 requests"),
            (Share { rows: 9, ..share() }, "its logs have 9 rows"),
            (Share { totals: Some((11, 10, 1)), ..share() }, "lost 1 rows"),
            (Share { at_end: end, ..share() }, "20 open files at the start and 21"),
            (Share { grows: true, late_bytes: 9 << 20, ..share() }, "grew from 1.0 MiB to 9.0"),
        ] {
            let findings = wrong.findings();
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].contains(words), "{findings:?}");
        }
    }
}
