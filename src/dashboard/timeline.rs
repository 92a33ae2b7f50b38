//! What happened when: requests and latencies by time slot and lane.
//!
//! Time here is that of the rows, never a clock's: a log of last week is shown like one of now. The
//! number of slots is limited; when they are used up, a timeline either forgets its oldest slot or
//! makes all its slots twice as long.

use std::collections::VecDeque;

use super::histogram::Histogram;

/// The requests of one lane in one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// The sum of the latencies in `latencies`.
    pub(super) latency_sum_us: u64,
    /// The latencies of those requests that have one.
    pub(super) latencies: Histogram,
}

impl Cell {
    pub(super) fn add(&mut self, latency_us: Option<u64>, is_error: bool) {
        self.requests += 1;
        self.errors += u64::from(is_error);
        if let Some(latency_us) = latency_us {
            self.latencies.add(latency_us);
            self.latency_sum_us = self.latency_sum_us.saturating_add(latency_us);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.latency_sum_us = self.latency_sum_us.saturating_add(other.latency_sum_us);
        self.latencies.merge(&other.latencies);
    }

    /// The mean latency in microseconds; `None` without one.
    pub(super) fn mean_us(&self) -> Option<f64> {
        let count = self.latencies.total();
        (count > 0).then(|| self.latency_sum_us as f64 / count as f64)
    }
}

/// A stretch of time in which something happened.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Its start, in slot lengths since 1970.
    index: i64,
    lanes: Vec<Cell>,
}

impl Slot {
    /// A lane's cell; `None` if nothing happened there.
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

/// What a timeline does when it has no room for a new slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    Forget,
    Widen,
}

/// Slots in the order of time; those in which nothing happened are left out.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    slot_seconds: i64,
    /// How many slot lengths lie between the first and the last slot at most.
    span: i64,
    when_full: WhenFull,
    slots: VecDeque<Slot>,
}

impl Timeline {
    /// A timeline of `span` slots of a second.
    pub(super) fn new(span: i64, when_full: WhenFull) -> Self {
        Self { slot_seconds: 1, span, when_full, slots: VecDeque::new() }
    }

    /// Counts a request in a lane, at a time in seconds since 1970. A timeline that forgets forgets
    /// at once what is too old for it.
    pub(super) fn add(&mut self, second: i64, lane: usize, latency: Option<u64>, is_error: bool) {
        let index = second.div_euclid(self.slot_seconds);
        // Rows are nearly in order, so the place is nearly always the last.
        let at = self.slots.iter().rposition(|slot| slot.index <= index);
        let at = match at {
            Some(at) if self.slots[at].index == index => at,
            before => {
                let at = before.map_or(0, |at| at + 1);
                self.slots.insert(at, Slot { index, lanes: Vec::new() });
                at
            }
        };
        self.slots[at].lane(lane).add(latency, is_error);
        self.make_room();
    }

    fn make_room(&mut self) {
        while let (Some(oldest), Some(newest)) = (self.slots.front(), self.slots.back()) {
            if newest.index - oldest.index < self.span {
                return;
            }
            match self.when_full {
                WhenFull::Forget => drop(self.slots.pop_front()),
                WhenFull::Widen => self.widen(),
            }
        }
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
        let newest = self.slots.back().map_or(0, |slot| slot.index * self.slot_seconds);
        self.until(newest, count)
    }

    /// The `count` slot lengths of which the last is that of `second`: the time at which the first
    /// slot in them begins, and for each length from there on its slot, if anything happened in it.
    pub(super) fn until(&self, second: i64, count: i64) -> (i64, Vec<Option<&Slot>>) {
        if self.slots.is_empty() {
            return (0, Vec::new());
        }
        let last = second.div_euclid(self.slot_seconds);
        let first = self.slots.partition_point(|slot| last - slot.index >= count);
        let end = self.slots.partition_point(|slot| slot.index <= last).max(first);
        let start = self.slots.range(first..end).next().map_or(last, |slot| slot.index);
        let length = |index: i64| usize::try_from(index - start).unwrap_or(0);
        let mut row = Vec::new();
        for slot in self.slots.range(first..end) {
            row.resize(length(slot.index), None);
            row.push(Some(slot));
        }
        row.resize(length(last + 1), None);
        (start * self.slot_seconds, row)
    }
}

#[cfg(test)]
mod tests;
