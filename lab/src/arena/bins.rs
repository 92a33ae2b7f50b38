//! The parts of a round in which requests are counted, for what is drawn over time.

use std::time::Duration;

use crate::scenario::Run;

/// About so many are drawn.
const WANTED: u64 = 70;

/// The bins of a round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Bins {
    /// How long each is.
    pub(super) length: Duration,
    /// How many the warm-up has.
    pub(super) warm_up: usize,
    /// How many there are, with those of the warm-up.
    pub(super) all: usize,
}

impl Bins {
    /// Of a length of which the warm-up and the whole are multiples, if there is such a one.
    pub(super) fn of(run: &Run) -> Self {
        let [warm_up, length] = [run.warm_up, run.length].map(micros);
        let whole = warm_up + length;
        let ideal = (whole / WANTED).max(1);
        let common = gcd(warm_up, length);
        let bin = if common >= ideal {
            common.div_ceil((common + ideal / 2) / ideal)
        } else {
            common * (ideal / common)
        };
        let count = |time: u64| usize::try_from(time.div_ceil(bin)).unwrap_or(usize::MAX);
        Self { length: Duration::from_micros(bin), warm_up: count(warm_up), all: count(whole) }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_40_to_100_and_the_warm_up_is_a_whole_number_of_them() {
        for (warm_up, length, bin) in [
            (500, 6500, 100),
            (1500, 5500, 100),
            (250, 3250, 50),
            (1000, 10_000, 167),
            (0, 7000, 100),
            (4000, 296_000, 4000),
            (30_000, 300_000, 5000),
        ] {
            let run = Run {
                warm_up: Duration::from_millis(warm_up),
                length: Duration::from_millis(length),
                seeds: 1,
            };
            let bins = Bins::of(&run);
            assert!((40..=100).contains(&bins.all), "{warm_up} {length}: {bins:?}");
            assert_eq!(bins.length.as_micros().div_ceil(1000), bin, "{warm_up} {length}: {bins:?}");
            let off = bins.length * u32::try_from(bins.warm_up).unwrap();
            let off = off.abs_diff(run.warm_up);
            assert!(off < Duration::from_millis(1), "{warm_up} {length}: {off:?}");
        }
    }
}
