//! After which delay a request gets a hedge, which is an attempt beside one that is silent, and how
//! many requests do.
//!
//! The number is limited by a token bucket: each request that may be sent twice adds a part of a
//! token, less of it where hedges hardly ever win, and each hedge takes one. The delay is as
//! configured, or else the latency that as many requests exceed as may be hedged, learnt from the
//! attempts that are no hedges.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::settings::Hedging;

/// Tokens that the bucket holds: few, so that not everything is sent twice while all backends stand
/// still.
const MOST_TOKENS: f64 = 10.0;

/// The weight of a hedge in the share of those that won.
const OUTCOME_WEIGHT: f64 = 0.02;

/// The least part of the budget that a request adds, so that hedges are still tried now and then
/// where none has won. They do harm where only large requests are slow, because each is another
/// large one.
const LEAST_PART: f64 = 0.01;

/// By how much a sample moves the quantile, in parts of itself.
const STEP: f64 = 0.05;

/// The same of the first samples, because the very first one may be far off: it is often of a
/// connection that was new, at a backend that had just started.
const FIRST_STEP: f64 = 0.5;

/// How many of them there are, in samples per one that is above the quantile.
const FIRST_SAMPLES: f64 = 10.0;

/// While backends are busy, an attempt is looked at again when it has been silent for such a part
/// longer: soon, and yet only tens of times until it times out.
const LONGER: f64 = 0.25;

/// The least time until it is looked at again.
const SOONEST: Duration = Duration::from_millis(1);

/// The hedges of all workers: what one of them leaves of the budget another one may use.
#[derive(Debug)]
pub struct Hedger {
    tokens: Number,
    /// The share of hedges that were answered first, of the last ones.
    won: Number,
    /// The delay that is learnt, in seconds; zero while nothing is known.
    quantile: Number,
    /// How many samples it is learnt from, while these are few.
    samples: Number,
}

impl Default for Hedger {
    fn default() -> Self {
        let [tokens, quantile, samples] = [(); 3].map(|()| Number::new(0.0));
        Self { tokens, won: Number::new(1.0), quantile, samples }
    }
}

impl Hedger {
    /// How long an attempt is silent before a hedge begins; `None` if hedging is off, or nothing is
    /// known of latencies yet.
    #[must_use]
    pub fn delay(&self, hedging: &Hedging) -> Option<Duration> {
        let learnt = || Some(self.quantile.get()).filter(|seconds| *seconds > 0.0);
        let learnt = || learnt().map(Duration::from_secs_f64);
        hedging.percent.and_then(|_| hedging.delay.or_else(learnt))
    }

    /// In how much time an attempt is looked at again that has been silent for so long, while no
    /// backend may have a hedge.
    #[must_use]
    pub fn look_again(silent: Duration) -> Duration {
        silent.mul_f64(LONGER).max(SOONEST)
    }

    /// A request that may be sent twice is sent for the first time.
    pub fn earn(&self, hedging: &Hedging) {
        let part = (2.0 * self.won.get()).clamp(LEAST_PART, 1.0);
        self.add(budget(hedging) * part);
    }

    /// Takes a token for a hedge; whether there is one. A request that gets none should not ask
    /// again, because a hedge that begins late costs as much as one that begins in time, and gains
    /// less.
    #[must_use]
    pub fn spend(&self) -> bool {
        self.tokens.change(|tokens| (tokens >= 1.0).then_some(tokens - 1.0))
    }

    /// The hedge was not sent.
    pub fn refund(&self) {
        self.add(1.0);
    }

    fn add(&self, more: f64) {
        self.tokens.change(|tokens| Some((tokens + more).min(MOST_TOKENS)));
    }

    /// A hedge has ended: whether its answer was the first acceptable one.
    pub fn ended(&self, has_won: bool) {
        let outcome = f64::from(u8::from(has_won));
        self.won.change(|won| Some(won + OUTCOME_WEIGHT * (outcome - won)));
    }

    /// An attempt that was no hedge was answered after so long.
    pub fn answered(&self, hedging: &Hedging, took: Duration) {
        if hedging.percent.is_some() && hedging.delay.is_none() {
            let (took, above) = (took.as_secs_f64(), budget(hedging));
            let is_early =
                |samples: f64| (samples * above < FIRST_SAMPLES).then_some(samples + 1.0);
            let step = if self.samples.change(is_early) { FIRST_STEP } else { STEP };
            self.quantile.change(|quantile| Some(quantile_after(quantile, took, above, step)));
        }
    }

    /// One was given up after so long.
    pub fn given_up(&self, hedging: &Hedging, took: Duration) {
        if took.as_secs_f64() > self.quantile.get() {
            self.answered(hedging, took);
        }
    }
}

/// Hedges per request.
fn budget(hedging: &Hedging) -> f64 {
    f64::from(hedging.percent.unwrap_or(0)) / 100.0
}

/// The number of seconds that a part of all samples exceeds, after one more.
///
/// A sample above it raises it, one below lowers it, in the proportion that leaves it where it is
/// if the right part is above. It follows a change upwards within tens of samples, and downwards
/// within hundreds, during which fewer are above.
fn quantile_after(quantile: f64, sample: f64, above: f64, step: f64) -> f64 {
    if quantile <= 0.0 {
        sample
    } else if sample > quantile {
        quantile * (1.0 + step * (1.0 - above))
    } else {
        quantile * (1.0 - step * above)
    }
}

/// A number that all workers change.
#[derive(Debug)]
struct Number(AtomicU64);

impl Number {
    fn new(number: f64) -> Self {
        Self(AtomicU64::new(number.to_bits()))
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    /// Makes it another one, or leaves it as it is; whether it was changed.
    fn change(&self, step: impl Fn(f64) -> Option<f64>) -> bool {
        let step = |bits| step(f64::from_bits(bits)).map(f64::to_bits);
        self.0.fetch_update(Relaxed, Relaxed, step).is_ok()
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
    fn hedges(hedger: &Hedger, hedging: &Hedging, requests: usize, won: bool) -> usize {
        let mut count = 0;
        for _ in 0..requests {
            hedger.earn(hedging);
            if hedger.spend() {
                hedger.ended(won);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn no_more_requests_are_sent_twice_than_the_budget_says() {
        for part in [1, 5, 33, 100] {
            let count = hedges(&Hedger::default(), &percent(part), 1000, true);
            let most = usize::from(part) * 10;
            assert!((most - 1..=most).contains(&count), "{part} %: {count}");
        }
        assert_eq!(hedges(&Hedger::default(), &Hedging::default(), 1000, true), 0, "it is off");
    }

    #[test]
    fn workers_that_hedge_at_once_never_send_more_than_all_of_them_earned() {
        const REQUESTS: usize = 20_000;
        let (hedger, hedging) = (Hedger::default(), percent(25));
        let work = || {
            let mut sent = 0;
            for at in 0..REQUESTS {
                hedger.earn(&hedging);
                // Now and then no backend may have it, which costs nothing.
                if hedger.spend() {
                    if at % 3 == 0 { hedger.refund() } else { sent += 1 }
                }
            }
            sent
        };
        let sent: usize = std::thread::scope(|scope| {
            let workers = [(); 2].map(|()| scope.spawn(work));
            workers.map(|worker| worker.join().unwrap()).iter().sum()
        });
        let left = (0..100).take_while(|_| hedger.spend()).count();
        let earned = 2 * REQUESTS / 4;
        assert!(sent + left <= earned, "{sent} and {left} of {earned}");
        assert!(sent + left > earned - 20, "{sent} and {left} of {earned}: some were lost");
    }

    #[test]
    fn little_is_saved_up() {
        let (hedger, hedging) = (Hedger::default(), percent(50));
        (0..10_000).for_each(|_| hedger.earn(&hedging));
        assert_eq!((0..100).filter(|_| hedger.spend()).count(), 10);
        (0..100).for_each(|_| hedger.refund());
        assert_eq!((0..100).filter(|_| hedger.spend()).count(), 10);
    }

    #[test]
    fn hedges_that_never_win_become_few_and_those_that_win_again_many() {
        let (hedger, hedging) = (Hedger::default(), percent(20));
        hedges(&hedger, &hedging, 40_000, false);
        let few = hedges(&hedger, &hedging, 10_000, false);
        assert!((19..=20).contains(&few), "a hundredth of the budget, not {few}");
        hedges(&hedger, &hedging, 10_000, true);
        assert_eq!(hedges(&hedger, &hedging, 1000, true), 200);
        // A half of them is enough.
        hedger.won.change(|_| Some(0.5));
        let earned = hedger.tokens.get();
        hedger.earn(&hedging);
        assert!((hedger.tokens.get() - earned - 0.2).abs() < 1e-9);
    }

    #[test]
    fn as_many_exceed_the_delay_as_may_be_hedged_however_latencies_change() {
        for part in [5, 10, 33] {
            let (hedger, hedging) = (Hedger::default(), percent(part));
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
    fn a_first_sample_that_is_far_off_is_forgotten_soon() {
        for (part, samples) in [(1, 1_000), (5, 200), (33, 40)] {
            let (hedger, hedging) = (Hedger::default(), percent(part));
            let mut rng = fastrand::Rng::with_seed(7);
            hedger.answered(&hedging, ms(2_000));
            for _ in 0..samples {
                hedger.answered(&hedging, Duration::from_secs_f64(-1e-2 * rng.f64().ln()));
            }
            let exact = Duration::from_secs_f64(-1e-2 * (f64::from(part) / 100.0).ln());
            let delay = hedger.delay(&hedging).expect("a delay");
            assert!((exact / 2..exact * 3).contains(&delay), "{part} %: {delay:?}, not {exact:?}");
        }
    }

    #[test]
    fn what_was_given_up_only_raises_the_delay() {
        let (hedger, hedging) = (Hedger::default(), percent(5));
        assert_eq!(hedger.delay(&hedging), None, "nothing is known");
        hedger.answered(&hedging, ms(100));
        hedger.given_up(&hedging, ms(99));
        assert_eq!(hedger.delay(&hedging), Some(ms(100)));
        hedger.given_up(&hedging, ms(101));
        assert_eq!(hedger.delay(&hedging), Some(Duration::from_micros(147_500)));
    }

    #[test]
    fn a_fixed_delay_is_that_and_without_hedging_there_is_none() {
        let hedger = Hedger::default();
        let fixed = Hedging { delay: Some(ms(25)), ..percent(5) };
        hedger.answered(&fixed, ms(100));
        assert_eq!(hedger.delay(&fixed), Some(ms(25)));
        assert_eq!(hedger.delay(&percent(5)), None, "nothing was learnt meanwhile");
        assert_eq!(hedger.delay(&Hedging { percent: None, ..fixed }), None);
    }
}
