//! Policies of others by their published formulae, to compare with.
//!
//! They choose and nothing else: a backend that refuses connections is tried by each request anew,
//! which teaches nothing, and another failure is an answer like any other. Their programs do more.

mod least_time;
mod p2c;
mod peak_ewma;
mod random;

use fastrand::Rng;

use crate::fleet::time::Time;

/// A backend that a request may go to.
#[derive(Copy, Clone, Debug)]
pub(super) struct Candidate {
    pub(super) backend: usize,
    /// The proxy's requests to it that have not ended.
    pub(super) in_flight: u32,
}

/// How one proxy chooses. Backends are numbered.
pub(super) trait Baseline {
    /// The backend of the next request, of which there is `None` only without candidates.
    fn choose(&mut self, candidates: &[Candidate], now: Time, rng: &mut Rng) -> Option<usize>;

    /// A request to this backend has ended after this time.
    fn ended(&mut self, _backend: usize, _took: Time, _now: Time) {}

    /// This backend is new.
    fn joined(&mut self, _backend: usize, _now: Time) {}
}

/// The baselines there are.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The fewest requests in flight of two that are drawn.
    P2c,
    /// The same of two draws, which may be the same backend.
    TwoDraws,
    /// The least latency by requests in flight of two that are drawn.
    PeakEwma,
    /// The least latency by requests in flight.
    LeastTime,
    /// Any.
    Random,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::P2c, Self::TwoDraws, Self::PeakEwma, Self::LeastTime, Self::Random];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P2c => "p2c",
            Self::TwoDraws => "two-draws",
            Self::PeakEwma => "peak-ewma",
            Self::LeastTime => "least-time",
            Self::Random => "random",
        }
    }
}

/// A new one, which knows nothing of these backends yet.
pub(super) fn new(kind: Kind, backends: usize) -> Box<dyn Baseline> {
    match kind {
        Kind::P2c => Box::new(p2c::P2c),
        Kind::TwoDraws => Box::new(p2c::TwoDraws),
        Kind::PeakEwma => Box::new(peak_ewma::PeakEwma::new(backends)),
        Kind::LeastTime => Box::new(least_time::LeastTime::new(backends)),
        Kind::Random => Box::new(random::Random),
    }
}

/// The candidate with the least score; one that is drawn of those with the same.
fn least(
    candidates: &[Candidate],
    rng: &mut Rng,
    score: impl Fn(&Candidate) -> f64,
) -> Option<usize> {
    let (mut least, mut chosen, mut equal) = (f64::INFINITY, None, 0);
    for candidate in candidates {
        let score = score(candidate);
        if score < least {
            (least, chosen, equal) = (score, Some(candidate.backend), 1);
        } else if score.total_cmp(&least).is_eq() {
            equal += 1;
            if rng.usize(..equal) == 0 {
                chosen = Some(candidate.backend);
            }
        }
    }
    chosen
}

/// Two different candidates that are drawn; the same one twice where there is only one.
fn two(candidates: &[Candidate], rng: &mut Rng) -> Option<[Candidate; 2]> {
    let first = *rng.choice(candidates)?;
    loop {
        let second = *rng.choice(candidates)?;
        if second.backend != first.backend || candidates.len() == 1 {
            return Some([first, second]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn candidates(in_flight: &[u32]) -> Vec<Candidate> {
        let candidate = |(backend, in_flight)| Candidate { backend, in_flight };
        in_flight.iter().copied().enumerate().map(candidate).collect()
    }

    /// How often each backend is chosen.
    fn chosen(kind: Kind, in_flight: &[u32]) -> Vec<u32> {
        let mut baseline = new(kind, in_flight.len());
        let mut rng = Rng::with_seed(1);
        let mut counts = vec![0; in_flight.len()];
        for _ in 0..3000 {
            counts[baseline.choose(&candidates(in_flight), 0, &mut rng).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn each_goes_by_its_rule_and_equal_ones_are_chosen_alike() {
        for kind in Kind::ALL {
            let [a, b, c] = *chosen(kind, &[2, 2, 2]) else { panic!("three") };
            for count in [a, b, c] {
                assert!((900..1100).contains(&count), "{kind:?}: {a} {b} {c}");
            }
            assert!(new(kind, 0).choose(&[], 0, &mut Rng::with_seed(1)).is_none());
            assert_eq!(chosen(kind, &[7]), [3000]);
        }
        assert_eq!(chosen(Kind::LeastTime, &[1, 0, 2]), [0, 3000, 0]);
        let [a, b, c] = *chosen(Kind::P2c, &[1, 0, 2]) else { panic!("three") };
        assert_eq!(c, 0, "the worst of three is never the better of two");
        assert!((1900..2100).contains(&b) && a + b == 3000, "{a} {b}");
        let [a, b, c] = *chosen(Kind::TwoDraws, &[1, 0, 2]) else { panic!("three") };
        let expected = [1000, 1667, 333];
        assert!([a, b, c].iter().zip(expected).all(|(n, e)| n.abs_diff(e) < 100), "{a} {b} {c}");
    }
}
