//! After which delay a request gets a hedge, which is an attempt beside one that is silent, and how
//! many requests do.
//!
//! The number is limited by a token bucket: each request that may be sent twice adds a part of a
//! token, less of it where hedges hardly ever win, and each hedge takes one. The delay is as
//! configured, or else the latency that as many requests exceed as may be hedged, learnt from the
//! attempts that are no hedges.

use std::time::Duration;

use super::settings::Hedging;

/// Tokens that the bucket holds: few, so that not everything is sent twice while all backends stand
/// still.
const MOST_TOKENS: f64 = 10.0;

/// The weight of a hedge in the share of those that won.
const OUTCOME_WEIGHT: f64 = 0.02;

/// The least part of the budget that a request adds, so that hedges are still tried now and then
/// where none has won.
const LEAST_PART: f64 = 0.05;

/// By how much a sample moves the quantile, in parts of itself.
const STEP: f64 = 0.05;

/// One worker's hedges.
#[derive(Debug)]
pub struct Hedger {
    tokens: f64,
    /// The share of hedges that were answered first, of the last ones.
    won: f64,
    quantile: Quantile,
}

impl Default for Hedger {
    fn default() -> Self {
        Self { tokens: 0.0, won: 1.0, quantile: Quantile(0.0) }
    }
}

impl Hedger {
    /// How long an attempt is silent before a hedge begins; `None` if hedging is off, or nothing is
    /// known of latencies yet.
    #[must_use]
    pub fn delay(&self, hedging: &Hedging) -> Option<Duration> {
        let learnt = || (self.quantile.0 > 0.0).then(|| Duration::from_secs_f64(self.quantile.0));
        hedging.percent.and_then(|_| hedging.delay.or_else(learnt))
    }

    /// A request that may be sent twice is sent for the first time.
    pub fn earn(&mut self, hedging: &Hedging) {
        let part = (2.0 * self.won).clamp(LEAST_PART, 1.0);
        self.tokens = (self.tokens + budget(hedging) * part).min(MOST_TOKENS);
    }

    /// Whether there is a token for a hedge.
    #[must_use]
    pub fn can_spend(&self) -> bool {
        self.tokens >= 1.0
    }

    /// A hedge is sent.
    pub fn spend(&mut self) {
        debug_assert!(self.can_spend(), "a hedge that was not earned");
        self.tokens -= 1.0;
    }

    /// A hedge has ended: whether its answer was the first acceptable one.
    pub fn ended(&mut self, has_won: bool) {
        self.won += OUTCOME_WEIGHT * (f64::from(u8::from(has_won)) - self.won);
    }

    /// An attempt that was no hedge was answered after so long.
    pub fn answered(&mut self, hedging: &Hedging, took: Duration) {
        if hedging.percent.is_some() && hedging.delay.is_none() {
            self.quantile.add(took.as_secs_f64(), budget(hedging));
        }
    }

    /// One was given up after so long.
    pub fn given_up(&mut self, hedging: &Hedging, took: Duration) {
        if took.as_secs_f64() > self.quantile.0 {
            self.answered(hedging, took);
        }
    }
}

/// Hedges per request.
fn budget(hedging: &Hedging) -> f64 {
    f64::from(hedging.percent.unwrap_or(0)) / 100.0
}

/// The number of seconds that a part of all samples exceeds.
///
/// A sample above it raises it, one below lowers it, in the proportion that leaves it where it is
/// if the right part is above. It follows a change upwards within tens of samples, and downwards
/// within hundreds, during which fewer are above.
#[derive(Debug)]
struct Quantile(f64);

impl Quantile {
    fn add(&mut self, sample: f64, above: f64) {
        if self.0 <= 0.0 {
            self.0 = sample;
        } else if sample > self.0 {
            self.0 *= 1.0 + STEP * (1.0 - above);
        } else {
            self.0 *= 1.0 - STEP * above;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn percent(percent: u8) -> Hedging {
        Hedging { percent: Some(percent), ..Hedging::default() }
    }

    /// How many hedges follow, one for each of some requests while they can be paid for.
    fn hedges(hedger: &mut Hedger, hedging: &Hedging, requests: usize, won: bool) -> usize {
        let mut count = 0;
        for _ in 0..requests {
            hedger.earn(hedging);
            if hedger.can_spend() {
                hedger.spend();
                hedger.ended(won);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn no_more_requests_are_sent_twice_than_the_budget_says() {
        for part in [1, 5, 33, 100] {
            let count = hedges(&mut Hedger::default(), &percent(part), 1000, true);
            let most = usize::from(part) * 10;
            assert!((most - 1..=most).contains(&count), "{part} %: {count}");
        }
        assert_eq!(hedges(&mut Hedger::default(), &Hedging::default(), 1000, true), 0, "it is off");
    }

    #[test]
    fn little_is_saved_up() {
        let (mut hedger, hedging) = (Hedger::default(), percent(50));
        (0..10_000).for_each(|_| hedger.earn(&hedging));
        let spent = (0..).take_while(|_| hedger.can_spend().then(|| hedger.spend()).is_some());
        assert_eq!(spent.take(100).count(), 10);
    }

    #[test]
    fn hedges_that_never_win_become_few_and_those_that_win_again_many() {
        let (mut hedger, hedging) = (Hedger::default(), percent(20));
        hedges(&mut hedger, &hedging, 20_000, false);
        assert_eq!(hedges(&mut hedger, &hedging, 10_000, false), 100, "a twentieth of the budget");
        hedges(&mut hedger, &hedging, 10_000, true);
        assert_eq!(hedges(&mut hedger, &hedging, 1000, true), 200);
        // A half of them is enough.
        hedger.won = 0.5;
        let earned = hedger.tokens;
        hedger.earn(&hedging);
        assert!((hedger.tokens - earned - 0.2).abs() < 1e-9);
    }

    #[test]
    fn as_many_exceed_the_delay_as_may_be_hedged_however_latencies_change() {
        for part in [5, 10, 33] {
            let (mut hedger, hedging) = (Hedger::default(), percent(part));
            let mut rng = fastrand::Rng::with_seed(7);
            for slowness in [1.0, 20.0, 1.0] {
                let mut above = 0;
                for at in 0..40_000 {
                    let took = Duration::from_secs_f64(-slowness * 1e-3 * rng.f64().ln());
                    let is_above = hedger.delay(&hedging).is_some_and(|delay| took > delay);
                    above += usize::from(is_above && at >= 20_000);
                    hedger.answered(&hedging, took);
                }
                let share = above as f64 / 200.0;
                assert!((share - f64::from(part)).abs() < 0.05 * f64::from(part), "{share} %");
                let exact = -slowness * 1e-3 * (f64::from(part) / 100.0).ln();
                let delay = hedger.delay(&hedging).unwrap().as_secs_f64();
                assert!((delay / exact - 1.0).abs() < 0.3, "{delay}, not {exact}");
            }
        }
    }

    #[test]
    fn what_was_given_up_only_raises_the_delay() {
        let (mut hedger, hedging) = (Hedger::default(), percent(5));
        assert_eq!(hedger.delay(&hedging), None, "nothing is known");
        hedger.answered(&hedging, ms(100));
        hedger.given_up(&hedging, ms(99));
        assert_eq!(hedger.delay(&hedging), Some(ms(100)));
        hedger.given_up(&hedging, ms(101));
        assert_eq!(hedger.delay(&hedging), Some(Duration::from_micros(104_750)));
    }

    #[test]
    fn a_fixed_delay_is_that_and_without_hedging_there_is_none() {
        let mut hedger = Hedger::default();
        let fixed = Hedging { delay: Some(ms(25)), ..percent(5) };
        hedger.answered(&fixed, ms(100));
        assert_eq!(hedger.delay(&fixed), Some(ms(25)));
        assert_eq!(hedger.delay(&percent(5)), None, "nothing was learnt meanwhile");
        assert_eq!(hedger.delay(&Hedging { percent: None, ..fixed }), None);
    }
}
