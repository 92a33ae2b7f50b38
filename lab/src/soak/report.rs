//! What a soak came to, for people.

use std::fmt;
use std::time::Duration;

use super::Plan;
use super::figures::Figures;
use super::judge::{Count, Tally};
use super::players::Proxy;

/// A soak that came to its end.
#[derive(Debug)]
pub struct Report {
    pub(super) plan: Plan,
    /// How long clients asked.
    pub(super) asked_for: Duration,
    /// Whether that was ended by a signal.
    pub(super) stopped: bool,
    pub(super) tally: Tally,
    pub(super) killed: usize,
    pub(super) paused: usize,
    pub(super) rotations: u64,
    pub(super) shares: Vec<Share>,
}

/// One proxy's part.
#[derive(Debug)]
pub(super) struct Share {
    name: String,
    /// Requests, rows and rows lost, as it says itself.
    totals: Option<(u64, u64, u64)>,
    /// Rows that were read in its logs.
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
        let (warm_bytes, late_bytes) = proxy.course.warm_and_late_bytes();
        Self {
            name: proxy.name.clone(),
            totals: proxy.totals(),
            rows: proxy.rows,
            at_start: proxy.at_start,
            at_end: proxy.at_end,
            most_descriptors: proxy.course.most_descriptors(),
            warm_bytes,
            late_bytes,
            grows: proxy.course.grows(),
        }
    }

    /// What is wrong with it.
    pub(super) fn findings(&self) -> Vec<String> {
        let Self { name, rows, .. } = self;
        let mut findings = Vec::new();
        match self.totals {
            None => findings.push(format!("{name} did not say its totals")),
            Some((requests, said, lost)) => {
                if requests != said + lost || said != *rows {
                    findings.push(format!(
                        "{name} says {requests} requests, {said} rows and {lost} lost; \
                         its logs have {rows}"
                    ));
                }
                if lost > 0 {
                    findings.push(format!("{name} lost {lost} rows"));
                }
            }
        }
        let (start, end) = (self.at_start.descriptors, self.at_end.descriptors);
        if start != end {
            findings.push(format!("{name} had {start} descriptors at first and has {end} at last"));
        }
        if self.grows {
            let [warm, late] = [self.warm_bytes, self.late_bytes].map(mebibytes);
            findings.push(format!("{name} grew from {warm:.1} MiB to {late:.1} MiB"));
        }
        findings
    }
}

impl Report {
    /// Whether all is as it must be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.tally.findings.count == 0
    }

    fn kinds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = Count::default();
        let row = |f: &mut fmt::Formatter<'_>, name: &str, count: &Count| {
            let Count { requests, as_wished, excused, left, ignored } = count;
            writeln!(
                f,
                "{name:16} {requests:>10} {as_wished:>10} {excused:>8} {left:>7} {ignored:>7}"
            )
        };
        writeln!(f, "kind               requests  as wished  excused    left ignored")?;
        for (kind, count) in &self.tally.kinds {
            row(f, kind.name(), count)?;
            total.requests += count.requests;
            total.as_wished += count.as_wished;
            total.excused += count.excused;
            total.left += count.left;
            total.ignored += count.ignored;
        }
        row(f, "all", &total)
    }

    fn errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "status fault              resendable     count  excused because")?;
        for ((status, fault, can_be_resent, excuse), count) in &self.tally.excused {
            let resendable = if *can_be_resent { "yes" } else { "no" };
            writeln!(f, "{status:6} {fault:18} {resendable:10} {count:>9}  {excuse}")?;
        }
        Ok(())
    }

    fn proxies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:30} {:>9} {:>9} {:>4}   {:>15}   resident MiB",
            "proxy", "requests", "rows", "lost", "descriptors"
        )?;
        writeln!(f, "{:58} start most end  start  warm  late   end", "")?;
        for share in &self.shares {
            let (requests, _, lost) = share.totals.unwrap_or_default();
            let (start, end) = (share.at_start, share.at_end);
            write!(f, "{:30} {requests:>9} {:>9} {lost:>4}   ", share.name, share.rows)?;
            write!(f, "{:>6} {:>4} ", start.descriptors, share.most_descriptors)?;
            write!(f, "{:>3}", end.descriptors)?;
            let (warm, late) = (share.warm_bytes, share.late_bytes);
            for bytes in [start.resident_bytes, warm, late, end.resident_bytes] {
                write!(f, " {:5.1}", mebibytes(bytes))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, clients, .. } = self.plan;
        let minutes = self.asked_for.as_secs_f64() / 60.0;
        let end = if self.stopped { ", ended by a signal" } else { "" };
        writeln!(f, "soak of {minutes:.1} min with {clients} clients, seed {seed}{end}\n")?;
        self.kinds(f)?;
        writeln!(f)?;
        let statuses =
            self.tally.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
        writeln!(f, "rows by status: {}\n", statuses.collect::<Vec<_>>().join(", "))?;
        self.errors(f)?;
        writeln!(
            f,
            "\nbackends were killed and restarted {} times and stopped for a while {} times; \
             logs were taken away {} times;\n\
             {} requests were torn off by a reset before the proxy read of them, and have no row\n",
            self.killed, self.paused, self.rotations, self.tally.unheard
        )?;
        self.proxies(f)?;
        let findings = &self.tally.findings;
        if self.is_clean() {
            return writeln!(
                f,
                "\nclean: every request has its one row, every answer is its own, nothing grew"
            );
        }
        writeln!(f, "\nFAILED: {} findings", findings.count)?;
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
    fn a_proxy_whose_books_balance_is_fine() {
        assert!(share().findings().is_empty());
    }

    #[test]
    fn each_thing_that_can_be_wrong_with_a_proxy_is_found() {
        let end = Figures { descriptors: 21, ..share().at_end };
        for (wrong, words) in [
            (Share { totals: None, ..share() }, "did not say its totals"),
            (Share { totals: Some((11, 10, 0)), ..share() }, "11 requests"),
            (Share { rows: 9, ..share() }, "its logs have 9"),
            (Share { totals: Some((11, 10, 1)), ..share() }, "lost 1 rows"),
            (Share { at_end: end, ..share() }, "20 descriptors at first and has 21"),
            (Share { grows: true, late_bytes: 9 << 20, ..share() }, "grew from 1.0 MiB to 9.0"),
        ] {
            let findings = wrong.findings();
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].contains(words), "{findings:?}");
        }
    }
}
