//! The requests that one backend had, and how much work each was if the backend divides itself in a
//! given way.
//!
//! Of a backend with so many slots and a queue, the log tells exactly when the work on each request
//! began: at its arrival or, if all slots were taken, when one became free for it. Of one whose
//! requests share cores, each goes on at a speed that the number of requests gives. So each way of
//! dividing gives the work of each request, and these say whether the way is likely, see
//! `division`.

use std::collections::VecDeque;

use super::stalls::Watch;

/// A request takes so long at least, so that it leaves after it came.
const LEAST_US: f64 = 0.01;

/// How a backend divides itself among its requests.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Division {
    /// It works on all at once, and none delays another.
    Unlimited,
    /// It works on so many at once; the others queue.
    Slots(usize),
    /// All share so many cores.
    Cores(usize),
}

/// A request at a backend.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Visit {
    /// When it came and left, in microseconds that the backend's watch showed.
    pub(super) from: f64,
    pub(super) to: f64,
    /// When it left, in microseconds after the first request of the log.
    pub(super) ended_us: u64,
    /// Its row.
    pub(super) row: u32,
    pub(super) class: u8,
    /// Whether its end was the answer, and not only that the client left.
    pub(super) is_whole: bool,
}

impl Visit {
    #[expect(clippy::cast_sign_loss, reason = "no time is negative")]
    pub(super) fn leave_at(&mut self, us: f64) {
        (self.to, self.ended_us) = (us, us as u64);
    }
}

/// The requests of a backend in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Visits {
    pub(super) all: Vec<Visit>,
    /// Those that were there when each came, itself included, and when each left.
    pub(super) levels: Vec<u32>,
    last_levels: Vec<u32>,
    /// Arrivals and departures in order: twice the index, and one more for a departure.
    order: Vec<u32>,
}

impl Visits {
    /// `all` in any order.
    pub(super) fn new(mut all: Vec<Visit>, watch: &Watch) -> Self {
        for visit in &mut all {
            let (from, to) = (watch.read(visit.from), watch.read(visit.to));
            (visit.from, visit.to) = (from, to.max(from + LEAST_US));
        }
        all.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut order: Vec<u32> = (0..2 * index(all.len())).collect();
        let at = |event: u32| {
            let visit = &all[(event / 2) as usize];
            if event.is_multiple_of(2) { visit.from } else { visit.to }
        };
        // What leaves makes room for what comes at the same time.
        order.sort_by(|a, b| {
            at(*a).total_cmp(&at(*b)).then(a.is_multiple_of(2).cmp(&b.is_multiple_of(2)))
        });
        let mut level = 0;
        let (mut levels, mut last_levels) = (vec![0; all.len()], vec![0; all.len()]);
        for event in &order {
            if event.is_multiple_of(2) {
                level += 1;
                levels[(event / 2) as usize] = level;
            } else {
                last_levels[(event / 2) as usize] = level;
                level -= 1;
            }
        }
        Self { all, levels, last_levels, order }
    }

    /// A part of them, as it came one after the other.
    pub(super) fn part(&self, most: usize) -> Self {
        let from = self.all.len().saturating_sub(most) / 2;
        let part = self.all.iter().skip(from).take(most).copied();
        Self::new(part.collect(), &Watch::default())
    }

    /// Those whose end was the answer, by their places.
    pub(super) fn whole(&self) -> impl Iterator<Item = (usize, &Visit)> {
        self.all.iter().enumerate().filter(|(_, visit)| visit.is_whole)
    }

    /// How exact times are taken to be: they are those of the proxy and not of the backend.
    pub(super) fn exact_us(&self) -> f64 {
        let mut latencies: Vec<f64> = self.all.iter().map(|visit| visit.to - visit.from).collect();
        latencies.sort_by(f64::total_cmp);
        let usual = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
        (0.1 * usual).clamp(50.0, 2000.0)
    }

    /// How many slots a backend with a queue has at least. A request that leaves before others that
    /// came earlier shared the slots with them. A hundredth of the requests may come in another
    /// order than they were sent.
    pub(super) fn least_slots(&self, exact_us: f64) -> usize {
        let mut there: Vec<f64> = Vec::new();
        let mut counts = Vec::with_capacity(self.all.len());
        for visit in &self.all {
            there.retain(|end| *end > visit.from);
            counts.push(1 + there.iter().filter(|end| **end > visit.to + exact_us).count());
            there.push(visit.to);
        }
        counts.sort_unstable();
        counts.get(counts.len() * 99 / 100).copied().unwrap_or(1)
    }

    /// The most that were there at once.
    pub(super) fn most(&self) -> u32 {
        self.levels.iter().copied().max().unwrap_or(0)
    }

    /// How fast the work on a request went on when it left.
    pub(super) fn speed(&self, place: usize, division: Division) -> f64 {
        match division {
            Division::Unlimited | Division::Slots(_) => 1.0,
            Division::Cores(count) => (count as f64 / f64::from(self.last_levels[place])).min(1.0),
        }
    }

    /// Calls `act` with the time of each arrival and departure, and whether it is an arrival.
    pub(super) fn each_event(&self, mut act: impl FnMut(f64, bool)) {
        for event in &self.order {
            let visit = &self.all[(event / 2) as usize];
            let is_arrival = event.is_multiple_of(2);
            act(if is_arrival { visit.from } else { visit.to }, is_arrival);
        }
    }

    /// How much work each was, in microseconds.
    pub(super) fn works(&self, division: Division) -> Vec<f32> {
        match division {
            Division::Unlimited => {
                let work = |visit: &Visit| (visit.to - visit.from) as f32;
                self.all.iter().map(work).collect()
            }
            Division::Slots(count) => self.in_slots(count),
            Division::Cores(count) => self.on_cores(count),
        }
    }

    fn in_slots(&self, count: usize) -> Vec<f32> {
        /// Instead of the beginning of one that queues.
        const QUEUES: f64 = -1.0;
        let (mut free, mut queue) = (count, VecDeque::new());
        let mut began = vec![QUEUES; self.all.len()];
        let mut works = vec![0.0; self.all.len()];
        for event in &self.order {
            let place = (event / 2) as usize;
            let visit = &self.all[place];
            if event.is_multiple_of(2) {
                if free > 0 {
                    free -= 1;
                    began[place] = visit.from;
                } else {
                    queue.push_back(place);
                }
            } else if began[place] < 0.0 {
                // It left before it began, because times are not exact.
                works[place] = LEAST_US as f32;
                queue.retain(|other| *other != place);
            } else {
                works[place] = (visit.to - began[place]) as f32;
                match queue.pop_front() {
                    Some(next) => began[next] = visit.to,
                    None => free += 1,
                }
            }
        }
        works
    }

    fn on_cores(&self, count: usize) -> Vec<f32> {
        let (mut level, mut now, mut virtual_now) = (0usize, 0.0, 0.0);
        let mut began = vec![0.0; self.all.len()];
        let mut works = vec![0.0; self.all.len()];
        for event in &self.order {
            let place = (event / 2) as usize;
            let is_arrival = event.is_multiple_of(2);
            let at = if is_arrival { self.all[place].from } else { self.all[place].to };
            virtual_now += (at - now) * (count as f64 / level.max(1) as f64).min(1.0);
            now = at;
            if is_arrival {
                level += 1;
                began[place] = virtual_now;
            } else {
                level -= 1;
                works[place] = (virtual_now - began[place]) as f32;
            }
        }
        works
    }
}

/// A number of rows, which are fewer than 2^31.
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX / 2)
}
