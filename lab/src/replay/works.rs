//! How long a backend worked on requests, over time: what a request that goes there at some instant
//! would have taken.
//!
//! Nothing is fitted. The requests of a class are in blocks of some that came one after the other.
//! One that was harder than three quarters of its block is taken to be harder than three quarters
//! of those around that instant at any other backend. So what changes with time is there, whatever
//! it is: slow phases, drifting speeds, a cache that warms up. A request that goes again where it
//! went in the log, at about the same time, takes exactly as long as it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::changes;
use crate::fleet::Recorded;
use crate::fleet::time::Time;

/// Requests of a block. More of them would mix different times, fewer make ranks coarse.
const BLOCK: usize = 32;

/// A class has blocks of its own at a backend from so many requests on.
pub(super) const LEAST_OF_CLASS: usize = 30;

/// A prediction that takes a block more often than so many times its size makes much of little.
const MOST_USES: u32 = 10;

/// One request.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Work {
    /// When the work on it began, and how long it took, in microseconds.
    pub(super) at_us: u64,
    pub(super) took_us: f32,
    /// Its row.
    pub(super) row: u32,
}

/// Works that began one after the other.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    /// Up to when it stands for what happened; it begins where the one before ends.
    until_us: u64,
    /// In order.
    took_us: Vec<f32>,
}

/// The works of one class at a backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Works {
    blocks: Vec<Block>,
    pub(super) count: usize,
}

impl Works {
    /// `works` in any order. The rank of each among its block is written down, 0 to 1.
    pub(super) fn new(mut works: Vec<Work>, ranks: &mut [f32]) -> Self {
        works.sort_by_key(|work| work.at_us);
        let count = works.len();
        let cuts = cuts(&works);
        let mut blocks = Vec::new();
        for (place, from) in cuts.iter().enumerate() {
            let to = cuts.get(place + 1).copied().unwrap_or(count);
            let until_us = match works.get(to) {
                Some(next) => u64::midpoint(works[to - 1].at_us, next.at_us),
                None => u64::MAX,
            };
            let block = &mut works[*from..to];
            block.sort_by(|a, b| a.took_us.total_cmp(&b.took_us));
            for (place, work) in block.iter().enumerate() {
                ranks[work.row as usize] = (place as f32 + 0.5) / block.len() as f32;
            }
            let took_us = block.iter().map(|work| work.took_us).collect();
            blocks.push(Block { until_us, took_us });
        }
        Self { blocks, count }
    }

    /// The mean, in microseconds.
    pub(super) fn mean_us(&self) -> f64 {
        let all = self.blocks.iter().flat_map(|block| &block.took_us);
        all.map(|it| f64::from(*it)).sum::<f64>() / self.count.max(1) as f64
    }

    /// The same, each so many times as long, in place of so many.
    pub(super) fn scaled(&self, factor: f64, count: usize) -> Self {
        let mut scaled = Self { count, ..self.clone() };
        for took in scaled.blocks.iter_mut().flat_map(|block| &mut block.took_us) {
            *took = (f64::from(*took) * factor) as f32;
        }
        scaled
    }

    fn block(&self, at_us: u64) -> usize {
        let place = self.blocks.partition_point(|block| block.until_us <= at_us);
        place.min(self.blocks.len().saturating_sub(1))
    }
}

/// Where blocks begin: where works change, and in between after as many as a block has.
fn cuts(works: &[Work]) -> Vec<usize> {
    let mut cuts = vec![0];
    cuts.extend(changes::find(works));
    cuts.push(works.len());
    let mut all = Vec::new();
    for pair in cuts.windows(2) {
        let (from, length) = (pair[0], pair[1] - pair[0]);
        let count = length.div_ceil(BLOCK);
        all.extend((0..count).map(|it| from + it * length / count));
    }
    all
}

/// The works of a backend in a run, and how often it has taken each block.
#[derive(Debug)]
pub(super) struct Uses {
    classes: Arc<[Works]>,
    /// The works of any request instead, one after the other, and which comes next.
    turns: Arc<[f32]>,
    turn: AtomicUsize,
    /// The log repeats after so many microseconds.
    period_us: u64,
    counts: Vec<Vec<AtomicU32>>,
}

impl Uses {
    pub(super) fn new(classes: Arc<[Works]>, turns: Arc<[f32]>, period_us: u64) -> Self {
        let none = |works: &Works| works.blocks.iter().map(|_| AtomicU32::new(0)).collect();
        let counts = classes.iter().map(none).collect();
        Self { classes, turns, turn: AtomicUsize::new(0), period_us, counts }
    }

    /// The works that were taken, and how many of them from blocks that are too small for that.
    pub(super) fn total(&self) -> [u64; 2] {
        let mut total = [0; 2];
        for (works, counts) in self.classes.iter().zip(&self.counts) {
            for (block, count) in works.blocks.iter().zip(counts) {
                let count = count.load(Ordering::Relaxed);
                let is_enough = count as usize <= MOST_USES as usize * block.took_us.len();
                total[0] += u64::from(count);
                total[1] += if is_enough { 0 } else { u64::from(count) };
            }
        }
        total
    }
}

/// A class and a rank as one number.
pub(super) fn place(class: usize, rank: f64) -> f64 {
    class as f64 + rank.clamp(0.0, 0.999_999)
}

impl Recorded for Uses {
    #[expect(clippy::cast_sign_loss, reason = "places are not negative")]
    fn time(&self, place: f64, now: Time) -> f64 {
        if !self.turns.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.turns.len();
            return f64::from(self.turns[turn]) * 1000.0;
        }
        let (class, rank) = (place.trunc() as usize, place.fract());
        let works = &self.classes[class];
        let block = works.block(now / 1000 % self.period_us);
        let Some(Block { took_us, .. }) = works.blocks.get(block) else { return 0.0 };
        self.counts[class][block].fetch_add(1, Ordering::Relaxed);
        let took = took_us[(rank * took_us.len() as f64) as usize];
        f64::from(took) * 1000.0
    }
}
