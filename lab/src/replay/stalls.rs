//! Times at which a backend stood still with all that it had, as in a collection of garbage.

use super::visits::{Visit, Visits};

/// A gap between two answers is one if it is so many times as long as usual,
const TIMES_USUAL: f64 = 20.0;
/// so many times as long as those around it,
const TIMES_AROUND: f64 = 20.0;
const AROUND: usize = 10;
/// and so many requests were there at its end.
const LEAST_WAITING: u32 = 3;

/// It is longer than all but one in so many requests that did not queue, because requests that are
/// long, or that came together, leave gaps, too.
const ONE_IN: usize = 50;
/// They are those that came to so few,
const ALONE: u32 = 2;
/// if there are so many of them, else all.
const LEAST_ALONE: usize = 50;

/// Fewer gaps say nothing of what is usual.
const LEAST_GAPS: usize = 100;

/// A time in microseconds after the first request of the log.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Stall {
    pub(super) from: f64,
    pub(super) to: f64,
}

/// How long a backend has worked: its watch stands still while it does.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// In order, each with how long those before it took.
    stalls: Vec<(Stall, f64)>,
}

impl Watch {
    pub(super) fn new(stalls: &[Stall]) -> Self {
        let mut stood = 0.0;
        let with_those_before = |stall: &Stall| {
            let before = stood;
            stood += stall.to - stall.from;
            (*stall, before)
        };
        Self { stalls: stalls.iter().map(with_those_before).collect() }
    }

    pub(super) fn read(&self, at: f64) -> f64 {
        let past = self.stalls.partition_point(|(stall, _)| stall.from < at);
        let Some((stall, before)) = past.checked_sub(1).map(|last| self.stalls[last]) else {
            return at;
        };
        at - before - (at.min(stall.to) - stall.from)
    }
}

/// The stalls of a backend. Those of one that works on one request at a time can't be told from
/// long requests.
pub(super) fn find(visits: &Visits) -> Vec<Stall> {
    let gaps = gaps(visits);
    if gaps.len() < LEAST_GAPS {
        return Vec::new();
    }
    let lengths: Vec<f64> = gaps.iter().map(|(gap, _)| gap.to - gap.from).collect();
    let usual = median(&lengths);
    let long = long(visits);
    let is_stall = |place: usize| {
        let length = lengths[place];
        let around =
            &lengths[place.saturating_sub(AROUND)..(place + AROUND + 1).min(lengths.len())];
        gaps[place].1 >= LEAST_WAITING
            && length > TIMES_USUAL * usual
            && length > long
            && length > TIMES_AROUND * median(around)
    };
    (0..gaps.len()).filter(|place| is_stall(*place)).map(|place| gaps[place].0).collect()
}

/// What a request hardly ever takes longer.
fn long(visits: &Visits) -> f64 {
    let pairs = || visits.all.iter().zip(&visits.levels);
    let latency = |(visit, _): (&Visit, &u32)| visit.to - visit.from;
    let mut latencies: Vec<f64> =
        pairs().filter(|(_, level)| **level <= ALONE).map(latency).collect();
    if latencies.len() < LEAST_ALONE {
        latencies = pairs().map(latency).collect();
    }
    latencies.sort_by(f64::total_cmp);
    let place = latencies.len().saturating_sub(1 + latencies.len() / ONE_IN);
    latencies.get(place).copied().unwrap_or_default()
}

/// The gaps between answers in which the backend always had a request, each with how many it had at
/// the end.
fn gaps(visits: &Visits) -> Vec<(Stall, u32)> {
    let mut gaps = Vec::new();
    let (mut level, mut since) = (0, None);
    visits.each_event(|at, is_arrival| {
        if is_arrival {
            level += 1;
            // An idle backend is busy from now on.
            since.get_or_insert(at);
            return;
        }
        if let Some(from) = since.filter(|from| at > *from) {
            gaps.push((Stall { from, to: at }, level));
        }
        level -= 1;
        since = (level > 0).then_some(at);
    });
    gaps
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
