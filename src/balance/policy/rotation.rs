//! Turns that all workers take together.

use std::sync::atomic::Ordering::Relaxed;

use crate::balance::candidate::{Candidate, weigh_the_same};
use crate::balance::sync::AtomicU64;

/// How often a turn was taken among a number of candidates, by that number.
///
/// A retry has one candidate fewer than a first attempt. If both drew from one counter, the retries
/// of a backend that always fails would take the turns of the one after it.
#[derive(Debug)]
pub(super) struct Rotation(Box<[AtomicU64]>);

/// Steps per unit of weight while a weight is no whole number, as in a slow start.
const STEPS: f64 = 1000.0;

impl Rotation {
    /// For at most so many candidates.
    pub(super) fn new(candidates: usize) -> Self {
        Self((0..=candidates).map(|_| AtomicU64::new(0)).collect())
    }

    /// The one of these `count` candidates whose turn it is, whichever worker asks.
    pub(super) fn take<'a>(
        &self,
        count: usize,
        mut candidates: impl Iterator<Item = &'a Candidate> + Clone,
    ) -> Option<&'a Candidate> {
        let turn = self.0[count].fetch_add(1, Relaxed);
        if weigh_the_same(candidates.clone()) {
            let place = turn.checked_rem(count as u64)?;
            return candidates.nth(usize::try_from(place).ok()?);
        }
        weighted(turn, candidates)
    }
}

/// The candidates share a circle, each an arc as long as its weight. The turns go round it by steps
/// of nearly the golden ratio, which spreads each candidate's turns evenly; and because a step and
/// the circle have no common divisor, each point is met once before one is met twice. So the turns
/// are exactly in proportion to the weights.
fn weighted<'a>(
    turn: u64,
    candidates: impl Iterator<Item = &'a Candidate> + Clone,
) -> Option<&'a Candidate> {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    let is_whole = candidates.clone().all(|candidate| candidate.weight.fract() == 0.0);
    let steps = if is_whole { 1.0 } else { STEPS };
    // Weights are between a tenth and a thousand.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let arc = |candidate: &Candidate| (candidate.weight * steps) as u64;
    let circle: u64 = candidates.clone().map(arc).sum::<u64>().max(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let near = (circle as f64 * GOLDEN_RATIO) as u64;
    let mut steps = near.max(1)..=near + circle;
    let step = steps.find(|step| greatest_common_divisor(*step, circle) == 1)?;
    let mut point = (turn % circle) * step % circle;
    for candidate in candidates {
        match point.checked_sub(arc(candidate)) {
            Some(rest) => point = rest,
            None => return Some(candidate),
        }
    }
    None
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::candidates;

    fn turns(weights: &[f64], count: usize) -> Vec<usize> {
        let rotation = Rotation::new(weights.len());
        let mut candidates = candidates(weights.len());
        for (candidate, weight) in candidates.iter_mut().zip(weights) {
            candidate.weight = *weight;
        }
        (0..count)
            .map(|_| rotation.take(weights.len(), candidates.iter()).unwrap().id.slot())
            .collect()
    }

    fn served(turns: &[usize]) -> Vec<usize> {
        let slots = turns.iter().max().map_or(0, |most| most + 1);
        (0..slots).map(|slot| turns.iter().filter(|turn| **turn == slot).count()).collect()
    }

    #[test]
    fn equal_weights_take_turns_in_order_whatever_they_are() {
        assert_eq!(turns(&[1.0; 3], 4), [0, 1, 2, 0]);
        assert_eq!(turns(&[7.0; 3], 4), [0, 1, 2, 0]);
        assert_eq!(turns(&[0.3; 2], 3), [0, 1, 0]);
    }

    #[test]
    fn turns_are_exactly_in_proportion_to_the_weights_and_spread() {
        // The circle has 4 points and a step of 3: 0, 3, 2, 1; the last one is the second's.
        assert_eq!(turns(&[3.0, 1.0], 8), [0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(served(&turns(&[5.0, 1.0, 1.0], 70)), [50, 10, 10]);
        assert_eq!(served(&turns(&[1000.0, 1.0], 1001)), [1000, 1]);
        assert_eq!(served(&turns(&[1.0, 0.25], 1250)), [1000, 250]);
        let longest = turns(&[1.0, 1.0, 2.0], 400);
        let longest = longest.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        assert!(longest <= Some(2), "{longest:?}");
    }
}
