//! What is learnt of all backends together: the mean latency of their answers, and how much latency
//! grows with what is in flight. Each worker learns it by itself and tells the others once per
//! turn.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::balance::sync::{AtomicU32, AtomicU64};

/// The least weight of an answer in the mean: the first hundred count alike.
const LEAST_WEIGHT: f64 = 0.01;

/// The weight of a sample in the elasticity.
const ELASTICITY_WEIGHT: f64 = 0.0005;

/// What is added to the variance of the load, so that a load that hardly varies proves nothing.
const LEAST_VARIANCE: f64 = 0.02;

/// The elasticity is taken to be within these.
const ELASTICITY: (f64, f64) = (0.01, 1.0);

/// A deviation of a latency counts within these.
const DEVIATION: (f64, f64) = (-1.0, 3.0);

/// What all workers have learnt. One of them writes at a time.
#[derive(Debug)]
pub(super) struct Fleet {
    busy: AtomicU32,
    /// Nanoseconds as the bits of an `f64`.
    mean: AtomicU64,
    /// How many answers it is the mean of.
    answers: AtomicU64,
    /// Variance and covariance, likewise.
    moments: [AtomicU64; 2],
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
    /// None before the first sample of this worker of which it was asked.
    elasticity: Option<Elasticity>,
}

/// How latency depends on load: the variance of the logarithm of what is in flight, and its
/// covariance with the latency, in parts of the usual one. Steps as those of the mean.
#[derive(Clone, Debug)]
struct Elasticity {
    moments: [f64; 2],
    scale: f64,
    shifts: [f64; 2],
}

impl Default for Answers {
    fn default() -> Self {
        Self { mean: 0.0, count: 0, own: 0, scale: 1.0, shift: 0.0, elasticity: None }
    }
}

impl Default for Elasticity {
    fn default() -> Self {
        Self { moments: [0.0; 2], scale: 1.0, shifts: [0.0; 2] }
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

    /// One more sample was longer than usual by such a part, with so much more in flight than usual
    /// as the difference of logarithms.
    pub(super) fn relate(&mut self, longer: f64, fuller: f64) {
        let longer = longer.clamp(DEVIATION.0, DEVIATION.1);
        let Elasticity { scale, shifts, .. } = self.elasticity.get_or_insert_default();
        *scale *= 1.0 - ELASTICITY_WEIGHT;
        for (shift, product) in shifts.iter_mut().zip([fuller * fuller, fuller * longer]) {
            *shift += ELASTICITY_WEIGHT * (product - *shift);
        }
    }

    /// By what part of itself latency grows if what is in flight grows by a small part: 0 where
    /// backends only wait for something, 1 where they are full.
    pub(super) fn elasticity(&self) -> f64 {
        let Some(elasticity) = &self.elasticity else { return ELASTICITY.0 };
        let [variance, covariance] = elasticity.now(elasticity.moments);
        (covariance / (variance + LEAST_VARIANCE)).clamp(ELASTICITY.0, ELASTICITY.1)
    }
}

impl Elasticity {
    /// What has come of the moments that all had when this worker looked last.
    fn now(&self, [variance, covariance]: [f64; 2]) -> [f64; 2] {
        let [first, second] = self.shifts;
        [self.scale * variance + first, self.scale * covariance + second]
    }
}

impl Fleet {
    pub(super) fn new() -> Self {
        Self {
            busy: AtomicU32::new(0),
            mean: AtomicU64::new(0.0_f64.to_bits()),
            answers: AtomicU64::new(0),
            moments: [0.0_f64; 2].map(|number| AtomicU64::new(number.to_bits())),
        }
    }

    fn moments(&self) -> [f64; 2] {
        [0, 1].map(|at| f64::from_bits(self.moments[at].load(Relaxed)))
    }

    /// Adds a worker's own answers, and tells it of the others'. While another worker does so, it
    /// keeps its own until the next time.
    pub(super) fn fold(&self, answers: &mut Answers) {
        if answers.own > 0 && self.busy.swap(1, Acquire) == 0 {
            let mean = answers.scale * f64::from_bits(self.mean.load(Relaxed)) + answers.shift;
            self.mean.store(mean.to_bits(), Relaxed);
            self.answers.store(self.answers.load(Relaxed) + answers.own, Release);
            if let Some(elasticity) = &mut answers.elasticity {
                for (word, number) in self.moments.iter().zip(elasticity.now(self.moments())) {
                    word.store(number.to_bits(), Relaxed);
                }
                (elasticity.scale, elasticity.shifts) = (1.0, [0.0; 2]);
            }
            self.busy.store(0, Release);
            (answers.own, answers.scale, answers.shift) = (0, 1.0, 0.0);
        }
        // The count is read first: a mean of as many answers, or more, is there then.
        answers.count = self.answers.load(Acquire) + answers.own;
        answers.mean = f64::from_bits(self.mean.load(Relaxed));
        if let Some(elasticity) = &mut answers.elasticity {
            elasticity.moments = self.moments();
        }
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
    fn the_elasticity_is_the_part_by_which_latency_follows_load() {
        assert!((Answers::default().elasticity() - ELASTICITY.0).abs() < 1e-9, "nothing is known");
        for (follows, expected) in [(-1.0, 0.01), (0.0, 0.01), (0.5, 0.463), (1.0, 0.926)] {
            let mut answers = Answers::default();
            for n in 0..20_000 {
                let fuller = if n % 2 == 0 { 0.5 } else { -0.5 };
                answers.relate(follows * fuller, fuller);
            }
            // 0.25 / (0.25 + 0.02) of it.
            let found = answers.elasticity();
            assert!((found - expected).abs() < 0.001, "{found}, not {expected}");
        }
        let mut answers = Answers::default();
        (0..20_000).for_each(|_| answers.relate(100.0, 0.5));
        assert!((answers.elasticity() - 1.0).abs() < 1e-9, "one outlier says no more than 3");
    }

    #[test]
    fn workers_learn_of_each_others_elasticity_when_they_fold() {
        let (fleet, mut never) = (Fleet::new(), Answers::default());
        let mut workers = [(); 2].map(|()| Answers::default());
        for n in 0..300_u32 {
            let fuller = f64::from(n * 7919 % 1000) / 1000.0 - 0.5;
            never.relate(0.5 * fuller, fuller);
            let worker = &mut workers[n as usize % 2];
            worker.relate(0.5 * fuller, fuller);
            worker.add(1.0);
            fleet.fold(worker);
        }
        fleet.fold(&mut workers[0]);
        close(Some(workers[0].elasticity()), never.elasticity());
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
