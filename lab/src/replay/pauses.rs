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

    /// If a proxy stands still at this instant, the end of that.
    pub(super) fn end(&self, proxy: usize, at_us: u64) -> Option<u64> {
        let pauses = self.0.get(proxy)?;
        let pause = pauses.get(pauses.partition_point(|pause| pause.to_us <= at_us))?;
        (pause.from_us <= at_us).then_some(pause.to_us)
    }

    /// Has the requests of a backend leave when its answers came instead of when they were seen.
    pub(super) fn correct(&self, visits: &mut [Visit], rows: &[Row]) {
        visits.sort_by(|a, b| a.to.total_cmp(&b.to));
        let seen: Vec<f64> = visits.iter().map(|visit| visit.to).collect();
        for (proxy, pauses) in self.0.iter().enumerate() {
            for pause in pauses {
                let [from, to, until] =
                    [pause.from_us as f64, pause.to_us as f64, pause.caught_up()];
                let first = seen.partition_point(|at| *at < to);
                let last = seen.partition_point(|at| *at <= until);
                if first == last {
                    continue;
                }
                let usual = usual(first..last, seen.len(), |place| seen[place]);
                let is_late = |visit: &&mut Visit| {
                    usize::from(rows[visit.row as usize].proxy) == proxy && visit.from <= from
                };
                let mut late: Vec<&mut Visit> =
                    visits[first..last].iter_mut().filter(is_late).collect();
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
