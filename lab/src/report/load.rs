//! When a run was under load.
//!
//! A row has the time when a request ended and its latency, and so the time of its dispatch. The
//! load begins with the first dispatch and ends with the last. Requests that end later were in
//! flight at the end, one for each connection of the clients. If they were counted, every rate
//! would be too high, the more so the slower the requests are. These rows are the *drain*.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// See the module. Days are separate, so that one with implausible times can be left out.
#[derive(Debug, Default)]
pub(super) struct Load {
    days: BTreeMap<i64, Day>,
    /// Whether any time has a fraction of a second. If none has, most rows of the last second seem
    /// to end after the last dispatch.
    is_fine: bool,
}

#[derive(Debug)]
struct Day {
    first_ended_us: i64,
    /// The dispatch of the row that ended first.
    begin_us: i64,
    last_dispatch_us: i64,
    /// The ends of rows after the last dispatch, the earliest on top.
    drain: BinaryHeap<Reverse<i64>>,
}

/// The time under load, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnderLoad {
    pub(super) begin_us: i64,
    pub(super) end_us: i64,
    /// Rows that ended after it.
    pub(super) drain: u64,
}

impl UnderLoad {
    pub(super) fn seconds(&self) -> f64 {
        self.end_us.abs_diff(self.begin_us) as f64 / 1e6
    }
}

impl Load {
    /// Counts a row. Without a latency its dispatch is unknown.
    pub(super) fn add(&mut self, ended_us: i64, latency_us: Option<u64>) {
        self.is_fine |= ended_us % SECOND_US != 0;
        let dispatched_us = latency_us.map(|latency| ended_us.saturating_sub_unsigned(latency));
        let day = self.days.entry(ended_us.div_euclid(DAY_US)).or_insert_with(|| Day {
            first_ended_us: i64::MAX,
            begin_us: ended_us,
            last_dispatch_us: i64::MIN,
            drain: BinaryHeap::new(),
        });
        if ended_us < day.first_ended_us {
            day.first_ended_us = ended_us;
            day.begin_us = dispatched_us.unwrap_or(ended_us);
        }
        if let Some(dispatched_us) = dispatched_us
            && dispatched_us > day.last_dispatch_us
        {
            day.last_dispatch_us = dispatched_us;
            while day.drain.peek().is_some_and(|Reverse(ended)| *ended <= dispatched_us) {
                day.drain.pop();
            }
        }
        if ended_us > day.last_dispatch_us {
            day.drain.push(Reverse(ended_us));
        }
    }

    /// The time under load among the `rows` rows that ended from `first_us` to `last_us`.
    ///
    /// `None` if there is no drain: at most one row ended after the last dispatch, so requests were
    /// sent one by one; or most did, so they were sent all at once; or times are whole seconds.
    pub(super) fn between(&self, first_us: i64, last_us: i64, rows: u64) -> Option<UnderLoad> {
        let days = first_us.div_euclid(DAY_US)..=last_us.div_euclid(DAY_US);
        let days = || self.days.range(days.clone()).map(|(_, day)| day);
        let begin_us = days().next()?.begin_us;
        let end_us = days().map(|day| day.last_dispatch_us).max()?;
        let ended = days().flat_map(|day| &day.drain).filter(|Reverse(ended)| *ended > end_us);
        let drain = ended.count() as u64;
        let is_told = self.is_fine && drain > 1 && drain <= rows / 2 && begin_us < end_us;
        is_told.then_some(UnderLoad { begin_us, end_us, drain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1000;
    /// Rows as the time at which they ended and their latency, in milliseconds.
    fn under_load(rows: &[(i64, u64)]) -> Option<UnderLoad> {
        let mut load = Load::default();
        let rows: Vec<_> = rows.iter().map(|&(ended, ms)| (ended * 1000, ms * MS)).collect();
        for &(ended_us, latency_us) in &rows {
            load.add(ended_us, Some(latency_us));
        }
        let ended = rows.iter().map(|row| row.0);
        let (first, last) = (ended.clone().min()?, ended.max()?);
        load.between(first, last, rows.len() as u64)
    }

    /// The rows of `connections` that send one request after the other until `until`, each with the
    /// latency in milliseconds that `latency` returns for its number.
    fn closed_loop(connections: u64, until: u64, latency: impl Fn(u64) -> u64) -> Vec<(i64, u64)> {
        let mut rows = Vec::new();
        let mut next: BinaryHeap<_> = (0..connections).map(|it| Reverse((0, it))).collect();
        let mut number = 0;
        while let Some(Reverse((begin, connection))) = next.pop() {
            let ms = latency(number);
            number += 1;
            let end = begin + ms;
            rows.push((i64::try_from(end).expect("fits"), ms));
            if end < until {
                next.push(Reverse((end, connection)));
            }
        }
        rows.sort_unstable();
        rows
    }

    #[test]
    fn what_is_in_flight_when_the_load_stops_is_no_load() {
        // 100 connections and 200 ms each are 500 a second: 50 rounds end in 10 seconds, of which
        // the last begins at 9.8 s and is the drain.
        let rows = closed_loop(100, 10_000, |_| 200);
        let found = under_load(&rows).expect("a load");
        assert_eq!((found.begin_us, found.end_us, found.drain), (0, 9_800_000, 100));
        assert!((found.seconds() - 9.8).abs() < 1e-9);
        assert_eq!((rows.len() as u64 - found.drain) * 10, 49 * 1000);
    }

    #[test]
    fn times_of_whole_seconds_tell_of_no_drain() {
        let rows = closed_loop(100, 10_000, |_| 200);
        let whole: Vec<_> = rows.iter().map(|&(ended, ms)| (ended / 1000 * 1000, ms)).collect();
        assert_eq!(under_load(&whole), None);
    }

    #[test]
    fn the_order_of_the_rows_is_of_no_matter() {
        let latencies = [10, 15, 20, 400, 400, 400, 10, 15, 20, 250, 200];
        let mut rows = closed_loop(40, 5_000, |it| latencies[usize::try_from(it % 11).expect("")]);
        let found = under_load(&rows);
        assert!(found.is_some_and(|it| it.drain > 20 && it.drain <= 40), "{found:?}");
        rows.reverse();
        assert_eq!(under_load(&rows), found, "newest first");
        rows.sort_by_key(|row| row.0 % 7);
        assert_eq!(under_load(&rows), found, "in no order");
    }

    #[test]
    fn the_rate_is_that_of_the_load_regardless_of_slow_answers() {
        // Two policies of the same mean: one has a ninth of its answers after 400 ms.
        let even = closed_loop(100, 30_000, |_| 200);
        let uneven = closed_loop(100, 30_000, |it| if it % 9 == 0 { 400 } else { 175 });
        let rate = |rows: &[(i64, u64)]| {
            let found = under_load(rows).expect("a load");
            (rows.len() as u64 - found.drain) as f64 / found.seconds()
        };
        assert!((rate(&even) - 500.0).abs() < 1.0, "{}", rate(&even));
        assert!((rate(&uneven) - 500.0).abs() < 3.0, "{}", rate(&uneven));
    }

    #[test]
    fn rows_without_a_latency_end_no_load() {
        let mut load = Load::default();
        let rows = closed_loop(100, 10_000, |_| 200);
        // Every fourth failed and has none, in the drain as well.
        for (index, (ended, ms)) in rows.iter().enumerate() {
            load.add(ended * 1000, (index % 4 > 0).then_some(ms * MS));
        }
        let found = load.between(200_000, 10_000_000, rows.len() as u64).expect("a load");
        assert_eq!((found.end_us, found.drain), (9_800_000, 100));
        let mut bare = Load::default();
        (0..9).for_each(|second| bare.add(second * SECOND_US, None));
        assert_eq!(bare.between(0, 8 * SECOND_US, 9), None);
    }

    #[test]
    fn requests_one_by_one_or_all_at_once_have_no_drain() {
        assert_eq!(under_load(&closed_loop(1, 10_000, |_| 200)), None);
        assert_eq!(under_load(&[(100, 100), (110, 110), (120, 120)]), None);
        assert_eq!(under_load(&[(0, 0), (0, 0)]), None);
        assert_eq!(under_load(&[]), None);
    }

    #[test]
    fn a_load_over_midnight_is_one_and_a_day_elsewhere_is_left_out() {
        let mut load = Load::default();
        let midnight = DAY_US * 20_000;
        let rows = closed_loop(10, 10_000, |_| 100);
        for (ended, ms) in &rows {
            load.add(midnight - 5 * SECOND_US + ended * 1000, Some(ms * MS));
        }
        load.add(7, Some(0));
        load.add(i64::MAX, Some(u64::MAX));
        load.add(i64::MIN, Some(u64::MAX));
        let (first, last) = (midnight - 5 * SECOND_US, midnight + 6 * SECOND_US);
        let found = load.between(first, last, rows.len() as u64).expect("a load");
        assert_eq!((found.begin_us, found.drain), (first, 10));
        assert_eq!(found.end_us, first + 9_900_000);
    }
}
