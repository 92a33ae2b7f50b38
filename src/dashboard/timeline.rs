//! Requests and latencies by time slot and lane.
//!
//! Times are those of the rows and never a clock's: a log of last week is shown like one of now.
//! The number of slots is limited; when they are used up, a timeline either drops its oldest slot
//! or makes all slots twice as long. The range that is shown is set from outside, so that an
//! outlier displaces no other row. Slots outside of it are kept for a while, because that range may
//! become the one that is shown.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use super::histogram::Histogram;
use super::rounding::millis;

/// What is counted of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) latency_us: Option<u64>,
    pub(super) is_error: bool,
    /// Whether an attempt of it had failed.
    pub(super) is_retry: bool,
    /// How many its backend had in flight when it was chosen.
    pub(super) in_flight: Option<u32>,
    /// The number of the reason why its backend was chosen.
    pub(super) reason: Option<usize>,
    /// Whether its second attempt answered first; `None` if it had none.
    pub(super) hedge_won: Option<bool>,
}

/// The requests of one lane in one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) retries: u64,
    /// The sum of the latencies in `latencies`, and the longest of them.
    latency_sum_us: u64,
    longest_us: u64,
    /// The latencies of those requests that have one.
    pub(super) latencies: Histogram,
    /// The sum of what requests found in flight, and how many of them tell it.
    in_flight_sum: u64,
    in_flight_count: u64,
    /// How many were sent for each reason, by its number.
    reasons: Vec<u32>,
    /// Requests with a second attempt: how many of these answered first, and how many did not.
    hedges: [u64; 2],
}

impl Cell {
    pub(super) fn add(&mut self, request: Counted) {
        self.requests += 1;
        self.errors += u64::from(request.is_error);
        self.retries += u64::from(request.is_retry);
        if let Some(latency_us) = request.latency_us {
            self.latencies.add(latency_us);
            self.latency_sum_us = self.latency_sum_us.saturating_add(latency_us);
            self.longest_us = self.longest_us.max(latency_us);
        }
        if let Some(in_flight) = request.in_flight {
            self.in_flight_sum += u64::from(in_flight);
            self.in_flight_count += 1;
        }
        if let Some(reason) = request.reason {
            let count = self.reason(reason);
            *count = count.saturating_add(1);
        }
        if let Some(has_won) = request.hedge_won {
            self.hedges[usize::from(!has_won)] += 1;
        }
    }

    fn reason(&mut self, reason: usize) -> &mut u32 {
        if self.reasons.len() <= reason {
            self.reasons.resize(reason + 1, 0);
        }
        &mut self.reasons[reason]
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.retries += other.retries;
        self.latency_sum_us = self.latency_sum_us.saturating_add(other.latency_sum_us);
        self.longest_us = self.longest_us.max(other.longest_us);
        self.latencies.merge(&other.latencies);
        self.in_flight_sum += other.in_flight_sum;
        self.in_flight_count += other.in_flight_count;
        for (reason, count) in other.reasons.iter().enumerate() {
            let own = self.reason(reason);
            *own = own.saturating_add(*count);
        }
        for (own, other) in self.hedges.iter_mut().zip(other.hedges) {
            *own += other;
        }
    }

    /// The longest latency in milliseconds; `None` without one.
    pub(super) fn longest_ms(&self) -> Option<f64> {
        (self.latencies.total() > 0).then(|| millis(self.longest_us as f64))
    }

    /// The latency in milliseconds that so large a share does not exceed; `None` without one.
    pub(super) fn ms(&self, share: f64) -> Option<f64> {
        self.latencies.quantile_us(share).map(|us| millis(us as f64))
    }

    /// How many requests found in flight on average; `None` if none tells it.
    pub(super) fn in_flight(&self) -> Option<f64> {
        let count = self.in_flight_count;
        (count > 0).then(|| self.in_flight_sum as f64 / count as f64)
    }

    /// How many were sent for the reason of this number.
    pub(super) fn of_reason(&self, reason: usize) -> u64 {
        self.reasons.get(reason).copied().unwrap_or(0).into()
    }

    /// How many second attempts answered first, and how many did not.
    pub(super) fn hedges(&self) -> [u64; 2] {
        self.hedges
    }

    /// The mean latency in microseconds; `None` without one.
    pub(super) fn mean_us(&self) -> Option<f64> {
        let count = self.latencies.total();
        (count > 0).then(|| self.latency_sum_us as f64 / count as f64)
    }
}

/// A span of time with requests.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Its start, in slot lengths since 1970.
    index: i64,
    lanes: Vec<Cell>,
}

impl Slot {
    /// A lane's cell; `None` without requests.
    pub(super) fn cell(&self, lane: usize) -> Option<&Cell> {
        self.lanes.get(lane).filter(|cell| cell.requests > 0)
    }

    fn lane(&mut self, lane: usize) -> &mut Cell {
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, Cell::default);
        }
        &mut self.lanes[lane]
    }
}

/// What a timeline does when it has too many slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    Forget,
    Widen,
}

/// Slots in the order of time; those without requests are left out.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    slot_seconds: i64,
    /// How many slot lengths lie between the first and the last slot that is shown at most, and how
    /// many others are kept.
    span: i64,
    when_full: WhenFull,
    slots: VecDeque<Slot>,
    /// The seconds that are shown.
    shown: RangeInclusive<i64>,
}

impl Timeline {
    /// A timeline of `span` slots of a second.
    pub(super) fn new(span: i64, when_full: WhenFull) -> Self {
        Self { slot_seconds: 1, span, when_full, slots: VecDeque::new(), shown: 0..=0 }
    }

    /// Sets the seconds that are shown.
    pub(super) fn show(&mut self, seconds: RangeInclusive<i64>) {
        if self.shown != seconds {
            self.shown = seconds;
            self.limit();
        }
    }

    /// Counts a request in a lane, at a time in seconds since 1970. With [`WhenFull::Forget`], what
    /// is too old is dropped at once.
    pub(super) fn add(&mut self, second: i64, lane: usize, request: Counted) {
        let index = second.div_euclid(self.slot_seconds);
        let at = self.slots.partition_point(|slot| slot.index <= index).checked_sub(1);
        let at = match at {
            Some(at) if self.slots[at].index == index => at,
            before => {
                let at = before.map_or(0, |at| at + 1);
                let mut slot = Slot { index, lanes: Vec::new() };
                slot.lane(lane).add(request);
                self.slots.insert(at, slot);
                return self.limit();
            }
        };
        self.slots[at].lane(lane).add(request);
    }

    /// The first and the last slot length that is shown.
    fn shown(&self) -> (i64, i64) {
        let index = |second: &i64| second.div_euclid(self.slot_seconds);
        (index(self.shown.start()), index(self.shown.end()))
    }

    /// Which of the slots are shown.
    fn inside(&self) -> Range<usize> {
        let (first, last) = self.shown();
        let start = self.slots.partition_point(|slot| slot.index < first);
        start..self.slots.partition_point(|slot| slot.index <= last).max(start)
    }

    fn limit(&mut self) {
        let span = usize::try_from(self.span).unwrap_or(usize::MAX);
        loop {
            let (first, last) = self.shown();
            let inside = self.inside();
            let is_too_long = last - first >= self.span;
            let others = self.slots.len() - inside.len();
            match self.when_full {
                WhenFull::Forget if !inside.is_empty() && self.is_old(inside.start) => {
                    self.slots.remove(inside.start);
                }
                WhenFull::Widen if is_too_long => self.widen(),
                WhenFull::Widen if others > span && self.may_be_shown(&inside) => self.widen(),
                _ if others > span => {
                    let oldest = if inside.start > 0 { 0 } else { inside.end };
                    self.slots.remove(oldest);
                }
                _ => return,
            }
        }
    }

    /// Whether a slot that is shown lies too far before the newest.
    fn is_old(&self, at: usize) -> bool {
        self.shown().1 - self.slots[at].index >= self.span
    }

    /// Whether so many requests are not shown that their range may become the one that is shown.
    fn may_be_shown(&self, inside: &Range<usize>) -> bool {
        let requests = |slot: &Slot| slot.lanes.iter().map(|cell| cell.requests).sum::<u64>();
        let all: u64 = self.slots.iter().map(requests).sum();
        let shown: u64 = self.slots.range(inside.clone()).map(requests).sum();
        (all - shown) * 10 > all
    }

    /// Makes slots twice as long, joining each with its neighbour.
    fn widen(&mut self) {
        self.slot_seconds *= 2;
        let mut joined: VecDeque<Slot> = VecDeque::with_capacity(self.slots.len());
        for mut slot in self.slots.drain(..) {
            slot.index = slot.index.div_euclid(2);
            match joined.back_mut().filter(|last| last.index == slot.index) {
                Some(last) => {
                    for (lane, cell) in slot.lanes.iter().enumerate() {
                        last.lane(lane).merge(cell);
                    }
                }
                None => joined.push_back(slot),
            }
        }
        self.slots = joined;
    }

    /// The length of a slot.
    pub(super) fn slot_seconds(&self) -> i64 {
        self.slot_seconds
    }

    /// The newest `count` slot lengths; see [`Timeline::until`].
    pub(super) fn newest(&self, count: i64) -> (i64, Vec<Option<&Slot>>) {
        self.until(*self.shown.end(), count)
    }

    /// The `count` slot lengths of which the last is that of `second`: the time at which the first
    /// slot in them begins, and for each length from there on its slot, if anything happened in it.
    pub(super) fn until(&self, second: i64, count: i64) -> (i64, Vec<Option<&Slot>>) {
        if self.slots.is_empty() {
            return (0, Vec::new());
        }
        let last = second.div_euclid(self.slot_seconds);
        let slots = || {
            let inside = self.slots.range(self.inside());
            let begun = inside.skip_while(|slot| last - slot.index >= count);
            begun.take_while(|slot| slot.index <= last)
        };
        let start = slots().next().map_or(last, |slot| slot.index);
        let length = |index: i64| usize::try_from(index - start).unwrap_or(0);
        let mut row = Vec::new();
        for slot in slots() {
            row.resize(length(slot.index), None);
            row.push(Some(slot));
        }
        row.resize(length(last + 1), None);
        (start * self.slot_seconds, row)
    }
}

#[cfg(test)]
mod tests;
