//! Times at which a proxy stood still because its machine gave it no time. It saw no request and no
//! answer then, and afterwards at once all that had come meanwhile.
//!
//! Its backends went on. An answer that it saw after a pause had come at some instant during it.
//! Those of a backend are taken to have come at their usual pace, or faster if they were more. Else
//! the pause would be taken for work of the backend.

use std::ops::Range;

use super::trace::Row;
use super::visits::Visit;

/// A gap between two events of a proxy, requests and answers, is a pause if it is so many times as
/// long as usual,
const TIMES_USUAL: f64 = 10.0;
/// as told from so many events on each side,
const AROUND: usize = 100;
/// if what would have come meanwhile, or this part of it, comes at once,
const LEAST_PART: f64 = 0.5;
/// which is in a time that is this part of the gap,
const AT_ONCE: f64 = 0.25;
/// and if it is longer than this, because times may be known to a millisecond.
const LEAST_US: u64 = 1000;

/// From the last event before it to the first one after it, in microseconds after the first request
/// of the log.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Pause {
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
}

impl Pause {
    fn length(self) -> f64 {
        (self.to_us - self.from_us) as f64
    }

    /// When the proxy has seen what came meanwhile.
    fn caught_up(self) -> f64 {
        self.to_us as f64 + AT_ONCE * self.length()
    }
}

/// Those of each proxy, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pauses(Vec<Vec<Pause>>);

impl Pauses {
    pub(super) fn find(rows: &[Row], proxies: usize) -> Self {
        let mut events: Vec<Vec<u64>> = vec![Vec::new(); proxies];
        for row in rows {
            events[usize::from(row.proxy)].extend([row.start_us, row.end_us()]);
        }
        Self(events.into_iter().map(of_proxy).collect())
    }

    /// If a proxy stands still at this instant, the end of that. It has seen what happened at the
    /// beginning.
    pub(super) fn end(&self, proxy: usize, at_us: u64) -> Option<u64> {
        let pauses = self.0.get(proxy)?;
        let pause = pauses.get(pauses.partition_point(|pause| pause.to_us <= at_us))?;
        (pause.from_us < at_us).then_some(pause.to_us)
    }

    /// Has the requests of a backend leave when its answers came instead of when they were seen.
    pub(super) fn correct(&self, visits: &mut [Visit], rows: &[Row]) {
        visits.sort_by(|a, b| a.to.total_cmp(&b.to));
        for (proxy, pauses) in self.0.iter().enumerate() {
            let is_own = |visit: &&mut Visit| usize::from(rows[visit.row as usize].proxy) == proxy;
            let mut own: Vec<&mut Visit> = visits.iter_mut().filter(is_own).collect();
            let seen: Vec<f64> = own.iter().map(|visit| visit.to).collect();
            for pause in pauses {
                let [from, to, until] =
                    [pause.from_us as f64, pause.to_us as f64, pause.caught_up()];
                let first = seen.partition_point(|at| *at < to);
                let last = seen.partition_point(|at| *at <= until);
                if first == last {
                    continue;
                }
                let usual = usual(first..last, seen.len(), |place| seen[place]);
                let late = own[first..last].iter_mut().filter(|visit| visit.from <= from);
                let mut late: Vec<_> = late.collect();
                let each = usual.min((until - from) / late.len() as f64);
                for (place, visit) in late.iter_mut().enumerate() {
                    visit.leave_at(visit.to.min(from + (place as f64 + 0.5) * each));
                }
            }
        }
        visits.sort_by_key(|visit| visit.row);
    }

    /// How many there are, and how long they are together.
    pub(super) fn total(&self) -> (usize, f64) {
        let all = || self.0.iter().flatten();
        (all().count(), all().map(|pause| pause.length()).sum())
    }
}

fn of_proxy(mut events: Vec<u64>) -> Vec<Pause> {
    events.sort_unstable();
    let pause = |place: usize| {
        let pause = Pause { from_us: events[place], to_us: events[place + 1] };
        let usual = usual(place..place + 2, events.len(), |place| events[place] as f64);
        let is_long =
            pause.to_us - pause.from_us > LEAST_US && pause.length() > TIMES_USUAL * usual;
        let at_once = || {
            let seen = events[place + 1..].partition_point(|at| *at as f64 <= pause.caught_up());
            seen as f64 >= LEAST_PART * pause.length() / usual
        };
        (is_long && at_once()).then_some(pause)
    };
    (0..events.len().saturating_sub(1)).filter_map(pause).collect()
}

/// The mean time between two of so many things, in these places and around them.
fn usual(places: Range<usize>, count: usize, at: impl Fn(usize) -> f64) -> f64 {
    let before = places.start.saturating_sub(AROUND);
    let after = (places.end + AROUND).min(count).saturating_sub(1);
    (at(after) - at(before)) / after.saturating_sub(before).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::trace::End;

    #[test]
    fn what_ends_with_the_last_event_before_a_pause_is_seen_then() {
        let pauses = [(10, 20), (20, 30)].map(|(from_us, to_us)| Pause { from_us, to_us });
        let pauses = Pauses(vec![pauses.to_vec()]);
        let ends = [9, 10, 11, 19, 20, 21, 30].map(|at_us| pauses.end(0, at_us));
        assert_eq!(ends, [None, None, Some(20), Some(20), None, Some(30), None]);
    }

    #[test]
    fn late_answers_are_put_at_the_pace_of_the_proxy_that_saw_them_late() {
        // One proxy sees an answer of the backend every 100 us, the other one every 10 us.
        let at = |proxy: u8, end_us: u64| Row {
            start_us: 0,
            latency_us: u32::try_from(end_us).expect("a short log"),
            attempt_us: 0,
            client: 0,
            backend: 0,
            status: 200,
            class: 0,
            attempts: 1,
            proxy,
            worker: 0,
            end: End::Answered,
        };
        let stopped = Pause { from_us: 10_000, to_us: 12_000 };
        let seen = |at_us| if (10_001..12_000).contains(&at_us) { stopped.to_us } else { at_us };
        let slow = (1..=200).map(|place| at(0, seen(place * 100)));
        let fast = (1..=2000).map(|place| at(1, place * 10));
        let rows: Vec<Row> = slow.chain(fast).collect();
        let visit = |(row, it): (usize, &Row)| Visit {
            from: 0.0,
            to: it.end_us() as f64,
            ended_us: it.end_us(),
            row: u32::try_from(row).expect("a short log"),
            class: 0,
            is_whole: true,
        };
        let mut visits: Vec<Visit> = rows.iter().enumerate().map(visit).collect();
        Pauses(vec![vec![stopped], Vec::new()]).correct(&mut visits, &rows);
        for (row, visit) in visits.iter().take(200).enumerate() {
            let came_us = 100.0 * (row + 1) as f64;
            assert!((visit.to - came_us).abs() <= 100.0, "{} instead of {came_us}", visit.to);
        }
    }
}
