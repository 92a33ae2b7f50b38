//! Requests and latencies by time slot and lane.
//!
//! Times are those of the rows and never a clock's: a log of last week is shown like one of now.
//! The number of slots is limited; when they are used up, a timeline either drops its oldest slot
//! or makes all slots twice as long. The range that is shown is set from outside, so that an
//! outlier displaces no other row. Slots outside of it are kept for a while, because that range may
//! become the one that is shown.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Range, RangeInclusive};

use super::cell::{Cell, Counted};
use super::known::Known;
use crate::decision::Candidate;

/// A span of time with requests.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Its start, in slot lengths since 1970.
    index: i64,
    lanes: Vec<Cell>,
    /// By lane, of those that a recorded choice tells of.
    known: BTreeMap<usize, Known>,
}

impl Slot {
    /// A lane's cell; `None` without requests.
    pub(super) fn cell(&self, lane: usize) -> Option<&Cell> {
        self.lanes.get(lane).filter(|cell| cell.requests > 0)
    }

    /// What recorded choices tell of a lane.
    pub(super) fn known(&self, lane: usize) -> Option<&Known> {
        self.known.get(&lane)
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
        self.count(second, |slot| slot.lane(lane).add(request));
    }

    /// The same of what a recorded choice tells of a backend.
    pub(super) fn note(
        &mut self,
        second: i64,
        lane: usize,
        candidate: &Candidate<'_>,
        is_chosen: bool,
    ) {
        let known = |slot: &mut Slot| slot.known.entry(lane).or_default().add(candidate, is_chosen);
        self.count(second, known);
    }

    fn count(&mut self, second: i64, count: impl FnOnce(&mut Slot)) {
        let index = second.div_euclid(self.slot_seconds);
        let at = self.slots.partition_point(|slot| slot.index <= index).checked_sub(1);
        let at = match at {
            Some(at) if self.slots[at].index == index => at,
            before => {
                let at = before.map_or(0, |at| at + 1);
                let mut slot = Slot { index, lanes: Vec::new(), known: BTreeMap::new() };
                count(&mut slot);
                self.slots.insert(at, slot);
                return self.limit();
            }
        };
        count(&mut self.slots[at]);
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
                    for (lane, known) in &slot.known {
                        last.known.entry(*lane).or_default().merge(known);
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

    /// The `count` slot lengths of which the last is that of `second`, without those before the
    /// range that is shown: when the first of them begins, and of each its slot, if anything
    /// happened in it.
    pub(super) fn until(&self, second: i64, count: i64) -> (i64, Vec<Option<&Slot>>) {
        if self.slots.is_empty() {
            return (0, Vec::new());
        }
        let last = second.div_euclid(self.slot_seconds);
        let (first, _) = self.shown();
        let start = (last - count.min(self.span) + 1).max(first).min(last);
        let length = |index: i64| usize::try_from(index - start).unwrap_or(0);
        let mut row = vec![None; length(last + 1)];
        for slot in self.slots.range(self.inside()) {
            if (start..=last).contains(&slot.index) {
                row[length(slot.index)] = Some(slot);
            }
        }
        (start * self.slot_seconds, row)
    }
}

#[cfg(test)]
mod tests;
