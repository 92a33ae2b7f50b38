//! The mean latency of all backends' answers, which each worker learns by itself and tells the
//! others once per turn.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::balance::sync::{AtomicU32, AtomicU64};

/// The least weight of an answer in the mean: the first hundred count alike.
const LEAST_WEIGHT: f64 = 0.01;

/// What all workers have learnt. One of them writes at a time.
#[derive(Debug)]
pub(super) struct Fleet {
    busy: AtomicU32,
    /// Nanoseconds as the bits of an `f64`.
    mean: AtomicU64,
    /// How many answers it is the mean of.
    answers: AtomicU64,
}

/// What one worker knows: what all had learnt when it looked last, and its own answers since then.
///
/// Any number of steps `P += a·(x − P)` is one step `P ← scale·P + shift`. So a worker's answers
/// change the mean of all in the same way whatever the others have added meanwhile.
#[derive(Clone, Debug)]
pub(in crate::balance) struct Answers {
    mean: f64,
    /// All answers, its own included.
    count: u64,
    own: u64,
    scale: f64,
    shift: f64,
}

impl Default for Answers {
    fn default() -> Self {
        Self { mean: 0.0, count: 0, own: 0, scale: 1.0, shift: 0.0 }
    }
}

impl Answers {
    /// The mean latency in nanoseconds; `None` before the first answer.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.scale * self.mean + self.shift)
    }

    /// One more answer took `latency`.
    pub(super) fn add(&mut self, latency: f64) {
        self.count += 1;
        self.own += 1;
        let weight = LEAST_WEIGHT.max(1.0 / self.count as f64);
        self.scale *= 1.0 - weight;
        self.shift += weight * (latency - self.shift);
    }
}

impl Fleet {
    pub(super) fn new() -> Self {
        Self {
            busy: AtomicU32::new(0),
            mean: AtomicU64::new(0.0_f64.to_bits()),
            answers: AtomicU64::new(0),
        }
    }

    /// Adds a worker's own answers, and tells it of the others'. While another worker does so, it
    /// keeps its own until the next time.
    pub(super) fn fold(&self, answers: &mut Answers) {
        if answers.own > 0 && self.busy.swap(1, Acquire) == 0 {
            let mean = answers.scale * f64::from_bits(self.mean.load(Relaxed)) + answers.shift;
            self.mean.store(mean.to_bits(), Relaxed);
            self.answers.store(self.answers.load(Relaxed) + answers.own, Release);
            self.busy.store(0, Release);
            (answers.own, answers.scale, answers.shift) = (0, 1.0, 0.0);
        }
        // The count is read first: a mean of as many answers, or more, is there then.
        answers.count = self.answers.load(Acquire) + answers.own;
        answers.mean = f64::from_bits(self.mean.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-9 * expected, "{found}, not {expected}");
    }

    #[test]
    fn the_first_hundred_answers_have_a_plain_mean_and_later_ones_a_hundredth() {
        let mut answers = Answers::default();
        assert_eq!(answers.mean(), None);
        (1..=100).for_each(|n| answers.add(f64::from(n)));
        close(answers.mean(), 50.5);
        answers.add(150.5);
        close(answers.mean(), 51.5);
    }

    #[test]
    fn it_does_not_matter_how_often_a_worker_folds() {
        let (fleet, mut folds, mut never) = (Fleet::new(), Answers::default(), Answers::default());
        for n in 1..=300 {
            let latency = f64::from(n * 7919 % 1000 + 1);
            folds.add(latency);
            never.add(latency);
            if n % 3 == 0 {
                fleet.fold(&mut folds);
            }
            close(folds.mean(), never.mean().unwrap());
        }
    }

    #[test]
    fn workers_learn_of_each_others_answers_when_they_fold() {
        let fleet = Fleet::new();
        let [mut here, mut there] = [(); 2].map(|()| Answers::default());
        here.add(10.0);
        fleet.fold(&mut here);
        assert_eq!(there.mean(), None);
        fleet.fold(&mut there);
        close(there.mean(), 10.0);
        there.add(20.0);
        here.add(40.0);
        fleet.fold(&mut there);
        close(there.mean(), 15.0);
        // Both took theirs for the second answer, so each has a weight of a half.
        fleet.fold(&mut here);
        close(here.mean(), 27.5);
    }

    #[test]
    fn while_another_worker_writes_nothing_is_lost() {
        let (fleet, mut answers) = (Fleet::new(), Answers::default());
        answers.add(10.0);
        fleet.busy.store(1, Relaxed);
        fleet.fold(&mut answers);
        close(answers.mean(), 10.0);
        fleet.busy.store(0, Relaxed);
        fleet.fold(&mut answers);
        let mut other = Answers::default();
        fleet.fold(&mut other);
        close(other.mean(), 10.0);
    }
}
