//! Ratios of rounds that belong together, with an interval.
//!
//! In a round all contenders get the same requests at the same instants, one contender after the
//! other. So the n-th rounds of two contenders are compared with each other. The interval of these
//! ratios is that of the sign test, which assumes nothing of their distribution: from the k-th
//! lowest to the k-th highest, with the largest k at which it contains the true median with 95 %.
//! With less than six rounds no k does, and it is that from the lowest to the highest ratio.

use crate::bench::Spread;

/// How probably the interval of enough rounds contains the true median.
const COVERAGE: f64 = 0.95;

/// How many times as much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Ratio {
    /// Of the rounds of one contender to those of another. Rounds that only one of them has, or in
    /// which one has no figure, are left out; `None` if none remains.
    pub(super) fn of(rounds: &[f64], others: &[f64]) -> Option<Self> {
        let ratios = rounds.iter().zip(others).map(|(one, other)| one / other);
        let mut ratios: Vec<f64> = ratios.filter(|it| it.is_finite() && *it > 0.0).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let median = Spread::of(ratios.iter().copied())?.median;
        let skipped = skipped(ratios.len());
        let (low, high) = (ratios[skipped], ratios[ratios.len() - 1 - skipped]);
        Some(Self { low, median, high })
    }

    /// Whether the rounds do not tell the two apart, at the two decimals that are shown.
    pub(super) fn is_equal(self) -> bool {
        self.low < 1.005 && 0.995 <= self.high
    }
}

/// How many of the lowest ratios, and of the highest, are outside of the interval.
fn skipped(rounds: usize) -> usize {
    let miss = |skipped: usize| 1.0 - coverage(rounds, skipped);
    (1..rounds.div_ceil(2)).take_while(|&skipped| miss(skipped) <= 1.0 - COVERAGE).count()
}

/// How probably the true median is between the ratio after so many of the lowest and that before so
/// many of the highest.
fn coverage(rounds: usize, skipped: usize) -> f64 {
    let mut chance = 0.5f64.powi(i32::try_from(rounds).unwrap_or(i32::MAX));
    let mut below = chance;
    for count in 1..=skipped {
        chance *= (rounds + 1 - count) as f64 / count as f64;
        below += chance;
    }
    1.0 - 2.0 * below
}

/// What the interval of so many rounds is, in words.
pub(super) fn method(rounds: usize) -> String {
    if rounds < 2 {
        return "with a single round, that ratio alone".to_owned();
    }
    let skipped = skipped(rounds);
    let percent = 100.0 * coverage(rounds, skipped).max(0.0);
    let ends = match skipped {
        0 => "the lowest to the highest ratio".to_owned(),
        _ => format!("the {}. lowest to the {0}. highest ratio", skipped + 1),
    };
    format!(
        "from {ends} of {rounds} rounds; it contains the true median with a probability of \
         {percent:.0} %"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(low: f64, median: f64, high: f64) -> Ratio {
        Ratio { low, median, high }
    }

    #[test]
    fn rounds_are_compared_in_pairs_not_their_medians() {
        // Each round is 1.25 times as slow, although the rounds differ by far more.
        let rounds = Ratio::of(&[10.0, 100.0, 40.0], &[8.0, 80.0, 32.0]);
        let rounds = rounds.expect("rounds");
        assert_eq!(rounds, ratio(1.25, 1.25, 1.25));
        assert!(!rounds.is_equal());
    }

    #[test]
    fn of_three_rounds_the_interval_is_that_of_all_ratios() {
        let three = Ratio::of(&[1.0, 2.0, 4.0], &[2.0, 2.0, 2.0]);
        let three = three.expect("rounds");
        assert_eq!(three, ratio(0.5, 1.0, 2.0));
        assert!(three.is_equal());
        assert!(
            method(3)
                .ends_with("of 3 rounds; it contains the true median with a probability of 75 %")
        );
    }

    #[test]
    fn of_many_rounds_the_ends_are_left_out() {
        // The intervals of the sign test at 95 %, as tables of it say.
        for (rounds, left_out) in [(5, 0), (6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (20, 5)] {
            assert_eq!(skipped(rounds), left_out, "{rounds} rounds");
        }
        let rounds: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!(Ratio::of(&rounds, &[1.0; 9]), Some(ratio(2.0, 5.0, 8.0)));
        assert_eq!(method(1), "with a single round, that ratio alone");
        assert!(method(9).starts_with("from the 2. lowest to the 2. highest ratio of 9 rounds"));
    }

    #[test]
    fn a_round_without_its_other_does_not_count() {
        assert_eq!(Ratio::of(&[3.0, 5.0], &[1.0]), Some(ratio(3.0, 3.0, 3.0)));
        assert_eq!(Ratio::of(&[3.0, 5.0], &[0.0, 5.0]), Some(ratio(1.0, 1.0, 1.0)));
        assert_eq!(Ratio::of(&[3.0], &[]), None);
    }
}
