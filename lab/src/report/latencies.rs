//! All latencies of a run, so that every quantile is exact.
//!
//! The second of the day in which a request ended, its latency and the number of its backend are
//! packed into one word, so that ten million rows take 80 MB. Sorted by that word they are in the
//! order of time, and within a second in the order of latency; sorted without the time they are in
//! the order of latency.

use std::collections::BTreeMap;

use tidegate::journal::Span;

/// The lowest bits are the number of the backend.
const BACKEND_BITS: u32 = 11;
const BACKEND_MAX: u64 = (1 << BACKEND_BITS) - 1;

/// Above them is the latency in microseconds, up to 19 hours, and then the second.
const LATENCY_BITS: u32 = 36;
const LATENCY_MAX: u64 = (1 << LATENCY_BITS) - 1;

/// Where the second begins.
const SECOND_BIT: u32 = BACKEND_BITS + LATENCY_BITS;
const WITHOUT_SECOND: u64 = (1 << SECOND_BIT) - 1;

/// The number of a row that was sent to no backend, or to one beyond those that are counted.
const NO_BACKEND: u64 = BACKEND_MAX;

const SECOND_US: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// In place of the second of a row that belongs to no part.
const NOWHERE: u64 = (1 << (u64::BITS - SECOND_BIT)) - 1;

/// A line over time has at most this many points.
const SLOTS_MAX: u64 = 240;

/// A run is divided into at most this many blocks.
const BLOCKS_MAX: u64 = 20;

/// Latencies that are still being collected.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    days: BTreeMap<i64, Vec<u64>>,
    count: usize,
    sum_us: u128,
}

/// A part of a run: its first second since the run began, and its latencies in ascending order.
pub(super) struct Part<'a> {
    pub(super) second: u64,
    pub(super) sorted: Sorted<'a>,
}

/// Latencies in ascending order, at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sorted<'a>(&'a [u64]);

impl Latencies {
    /// Adds a latency of the backend at `place`.
    pub(super) fn add(&mut self, timestamp_us: i64, latency_us: u64, place: Option<usize>) {
        let second = timestamp_us.div_euclid(SECOND_US);
        let of_day = second.rem_euclid(DAY_SECONDS).unsigned_abs();
        let day = self.days.entry(second.div_euclid(DAY_SECONDS)).or_default();
        let backend = place.map_or(NO_BACKEND, |place| (place as u64).min(NO_BACKEND));
        let latency = latency_us.min(LATENCY_MAX) << BACKEND_BITS;
        day.push(of_day << SECOND_BIT | latency | backend);
        self.count += 1;
        self.sum_us += u128::from(latency_us);
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The mean in milliseconds; `None` if there are no latencies.
    pub(super) fn mean_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_us as f64 / (self.count as f64 * 1000.0))
    }

    /// Calls `part` with the rows in `span`, part by part, then `block` with the same rows without
    /// the first and the last part, which are incomplete, divided into blocks of equal length, and
    /// last `whole` with all rows. None is called if there are none.
    pub(super) fn look<T>(
        self,
        span: Span,
        mut part: impl FnMut(Part<'_>),
        block: impl FnMut(Option<Sorted<'_>>),
        whole: impl FnOnce(Sorted<'_>) -> T,
    ) -> Option<T> {
        let second = |timestamp_us: i64| timestamp_us.div_euclid(SECOND_US);
        let (first, last) = (second(span.first_us), second(span.last_us));
        let seconds_per_part = (last.abs_diff(first) + 1).div_ceil(SLOTS_MAX);
        let number = |second: i64| {
            let is_inside = (first..=last).contains(&second);
            if is_inside { second.abs_diff(first) / seconds_per_part } else { NOWHERE }
        };
        let mut all = Vec::new();
        for (day, mut packed) in self.days {
            for packed in &mut packed {
                let of_day = (*packed >> SECOND_BIT).cast_signed();
                let number = number(day * DAY_SECONDS + of_day);
                *packed = number << SECOND_BIT | *packed & WITHOUT_SECOND;
            }
            // Nearly always there is one day, which is not copied.
            if all.is_empty() { all = packed } else { all.append(&mut packed) }
        }
        all.sort_unstable();
        for packed in all.chunk_by(|a, b| a >> SECOND_BIT == b >> SECOND_BIT) {
            let number = packed[0] >> SECOND_BIT;
            if number != NOWHERE {
                part(Part { second: number * seconds_per_part, sorted: Sorted(packed) });
            }
        }
        look_at_blocks(&all, number(last), block);
        for packed in &mut all {
            *packed &= WITHOUT_SECOND;
        }
        all.sort_unstable();
        (!all.is_empty()).then(|| whole(Sorted(&all)))
    }
}

/// Calls `block` for each block of the rows in `all`, of which the last part is `last`.
fn look_at_blocks(all: &[u64], last: u64, mut block: impl FnMut(Option<Sorted<'_>>)) {
    let parts = last.saturating_sub(1);
    let length = parts.div_ceil(BLOCKS_MAX).max(1);
    for number in 0..parts / length {
        let at = |part: u64| all.partition_point(|packed| packed >> SECOND_BIT < part);
        let (from, to) = (at(1 + number * length), at(1 + (number + 1) * length));
        let mut rows: Vec<u64> = all[from..to].iter().map(|it| it & WITHOUT_SECOND).collect();
        rows.sort_unstable();
        block((!rows.is_empty()).then_some(Sorted(&rows)));
    }
}

impl Sorted<'_> {
    /// How many rows each of the first `backends` backends has.
    pub(super) fn requests(self, backends: usize) -> Vec<u64> {
        let mut requests = vec![0; backends];
        for packed in self.0 {
            let place = usize::try_from(packed & BACKEND_MAX).unwrap_or(usize::MAX);
            if let Some(count) = requests.get_mut(place) {
                *count += 1;
            }
        }
        requests
    }

    pub(super) fn count(self) -> usize {
        self.0.len()
    }

    pub(super) fn mean_ms(self) -> f64 {
        let sum_us: u64 = self.0.iter().copied().map(latency_us).sum();
        sum_us as f64 / (self.0.len() as f64 * 1000.0)
    }

    fn us(self, rank: usize) -> u64 {
        latency_us(self.0[rank.min(self.0.len() - 1)])
    }

    /// The quantile at so many thousandths, 0 to 1000, in milliseconds: linear between the two
    /// nearest ranks (Hyndman and Fan, 1996, definition 7), as in pandas. It is computed in
    /// integers and rounded once.
    pub(super) fn quantile_ms(self, per_mille: u64) -> f64 {
        let place = (self.0.len() as u64 - 1) * per_mille;
        let (rank, beyond) = (place / 1000, place % 1000);
        let rank = usize::try_from(rank).unwrap_or(usize::MAX);
        let (below, above) = (self.us(rank), self.us(rank.saturating_add(1)));
        let nanos = below * (1000 - beyond) + above * beyond;
        nanos as f64 / 1_000_000.0
    }
}

fn latency_us(packed: u64) -> u64 {
    packed >> BACKEND_BITS & LATENCY_MAX
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "these figures are exact")]

    use super::*;
    use tidegate::journal::Days;

    fn of(rows: &[(i64, u64)]) -> Latencies {
        let mut latencies = Latencies::default();
        for &(timestamp_us, latency_us) in rows {
            latencies.add(timestamp_us, latency_us, None);
        }
        latencies
    }

    /// The span of rows whose times are all plausible.
    fn span(rows: &[(i64, u64)]) -> Span {
        let mut days = Days::default();
        for row in rows {
            days.add(row.0);
        }
        days.span().expect("rows")
    }

    /// The quantiles of the whole.
    fn quantiles<const N: usize>(latencies_us: &[u64], per_mille: [u64; N]) -> [f64; N] {
        let rows: Vec<_> = latencies_us.iter().map(|&us| (0, us)).collect();
        of(&rows)
            .look(span(&rows), |_| (), |_| (), |all| per_mille.map(|it| all.quantile_ms(it)))
            .expect("latencies")
    }

    /// Each part's second and its medians.
    fn parts(rows: &[(i64, u64)]) -> Vec<(u64, f64)> {
        let mut parts = Vec::new();
        let add = |part: Part<'_>| parts.push((part.second, part.sorted.quantile_ms(500)));
        of(rows).look(span(rows), add, |_| (), |_| ());
        parts
    }

    #[test]
    fn quantiles_are_linear_between_ranks() {
        // Ranks 0 to 3: 0.5 × 3 = 1.5 is halfway from 2 to 4 ms; 0.95 × 3 = 2.85 is 85 % of the
        // way from 4 to 10 ms; 0.99 × 3 = 2.97.
        let found = quantiles(&[4_000, 1_000, 10_000, 2_000], [0, 500, 950, 990, 1000]);
        assert_eq!(found, [1.0, 3.0, 9.1, 9.82, 10.0]);
        assert_eq!(quantiles(&[1, 2], [500]), [0.0015], "finer than what is measured");
        assert_eq!(quantiles(&[7_000], [0, 500, 1000]), [7.0; 3]);
    }

    #[test]
    fn the_mean_is_of_an_exact_sum() {
        assert_eq!(of(&[(0, 1), (0, 2), (0, 4)]).mean_ms(), Some(7.0 / 3000.0));
        // Each of these alone is beyond what a double holds exactly.
        assert_eq!(of(&[(0, u64::MAX); 2]).mean_ms(), Some(u64::MAX as f64 / 1000.0));
        assert_eq!(of(&[]).mean_ms(), None);
        assert_eq!(of(&[]).look(span(&[(0, 0)]), |_| (), |_| (), |_| ()), None);
    }

    #[test]
    fn a_short_run_has_a_part_per_second_in_whatever_order_rows_come() {
        let rows = [(2, 5_000), (0, 1_000), (0, 3_000), (-1, 9_000), (2, 7_000)];
        let rows = rows.map(|(second, us)| (second * SECOND_US + 999_999, us));
        assert_eq!(parts(&rows), [(0, 9.0), (1, 2.0), (3, 6.0)]);
    }

    #[test]
    fn a_long_run_has_no_more_parts_than_a_line_needs() {
        let rows: Vec<_> = (0..1000).map(|second| (second * SECOND_US, 1)).collect();
        let parts = parts(&rows);
        assert_eq!((parts.len(), parts[1].0), (200, 5), "1000 seconds, 5 each");
    }

    #[test]
    fn blocks_are_equal_parts_of_the_whole_seconds() {
        let blocks = |seconds: i64, skip: i64| {
            let seconds = (0..seconds).filter(|second| *second != skip);
            let rows: Vec<_> = seconds.map(|it| (it * SECOND_US, it.unsigned_abs())).collect();
            let mut blocks = Vec::new();
            let add = |it: Option<Sorted<'_>>| {
                blocks.push(it.map(|it| (it.count(), it.quantile_ms(1000))));
            };
            of(&rows).look(span(&rows), |_| (), add, |_| ());
            blocks
        };
        assert_eq!(blocks(2, -1), []);
        assert_eq!(blocks(4, -1), [Some((1, 0.001)), Some((1, 0.002))]);
        assert_eq!(blocks(4, 2), [Some((1, 0.001)), None], "a second without a row is one");
        let many = blocks(62, -1);
        assert_eq!((many.len(), many[0]), (20, Some((3, 0.003))));
        let many = blocks(43, -1);
        assert_eq!((many.len(), many[12]), (13, Some((3, 0.039))), "what is left over is in none");
    }

    #[test]
    fn rows_are_counted_by_backend() {
        let mut latencies = Latencies::default();
        for (second, place) in [(0, Some(1)), (0, Some(1)), (0, None), (0, Some(0)), (1, Some(9))] {
            latencies.add(second * SECOND_US, 5, place);
        }
        let mut counts = Vec::new();
        let add = |part: Part<'_>| counts.push(part.sorted.requests(2));
        let span = span(&[(0, 0), (SECOND_US, 0)]);
        let longest = latencies.look(span, add, |_| (), |all| all.quantile_ms(1000));
        assert_eq!((counts, longest), (vec![vec![1, 2], vec![0, 0]], Some(0.005)));
    }

    #[test]
    fn rows_outside_the_span_are_in_no_part_and_in_the_whole() {
        let day = 86_400 * SECOND_US;
        let rows = [(-99 * day, 1), (0, 2), (SECOND_US, 3), (SECOND_US, 4), (2 * day, 5)];
        assert_eq!(span(&rows).rows, 3);
        assert_eq!(parts(&rows), [(0, 0.002), (1, 0.0035)]);
        let maxima = of(&rows).look(span(&rows), |_| (), |_| (), |all| all.quantile_ms(1000));
        assert_eq!(maxima, Some(0.005));
    }

    #[test]
    fn the_clock_and_latency_have_their_limits() {
        let rows = [(0, u64::MAX), (i64::MAX, 1), (i64::MIN, 2)];
        assert_eq!(parts(&rows).len(), 1);
        assert_eq!(quantiles(&[u64::MAX], [500]), [(LATENCY_MAX as f64) / 1000.0]);
    }
}
