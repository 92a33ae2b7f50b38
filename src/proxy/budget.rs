//! How many requests may be sent again, so that a failing backend does not get its load doubled.
//!
//! Each request earns a fraction of a token, each re-sending costs one. A worker that has few
//! requests may still send a few again each second. Connects that failed don't count: nothing was
//! sent. The idea is that of Finagle's `RetryBudget`.

use std::time::Instant;

/// Re-sendings per second that need not be earned.
const RESERVE_PER_SECOND: f64 = 3.0;

/// Seconds of reserve that may be saved up.
const RESERVE_SECONDS: f64 = 10.0;

/// Tokens that may be saved up: enough to send the requests on a whole pool of stale connections
/// again at once.
const MOST_TOKENS: f64 = 1000.0;

/// What one re-sending costs, and where it was taken from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetryToken {
    /// From what requests have earned.
    Earned,
    /// From the reserve.
    Reserved,
}

/// One worker's budget.
#[derive(Debug)]
pub struct RetryBudget {
    /// Tokens earned by one request.
    ratio: f64,
    earned: f64,
    reserve: f64,
    refilled: Instant,
}

impl RetryBudget {
    /// Allows `percent` re-sendings per hundred requests; 0 allows none, not even the reserve.
    #[must_use]
    pub fn new(percent: u8, now: Instant) -> Self {
        let ratio = ratio(percent);
        Self { ratio, earned: 0.0, reserve: RESERVE_PER_SECOND * RESERVE_SECONDS, refilled: now }
    }

    /// Allows `percent` re-sendings per hundred requests from now on; what was earned is kept.
    pub fn set_percent(&mut self, percent: u8) {
        self.ratio = ratio(percent);
    }

    /// A request was sent for the first time.
    pub fn earn(&mut self) {
        self.earned = (self.earned + self.ratio).min(MOST_TOKENS);
    }

    /// Takes what one re-sending costs; `None` if there is nothing left.
    #[must_use]
    pub fn spend(&mut self, now: Instant) -> Option<RetryToken> {
        if self.ratio <= 0.0 {
            return None;
        }
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        let most = RESERVE_PER_SECOND * RESERVE_SECONDS;
        self.reserve = (self.reserve + seconds * RESERVE_PER_SECOND).min(most);
        self.refilled = now;
        let (tokens, token) = if self.earned >= 1.0 {
            (&mut self.earned, RetryToken::Earned)
        } else {
            (&mut self.reserve, RetryToken::Reserved)
        };
        if *tokens < 1.0 {
            return None;
        }
        *tokens -= 1.0;
        Some(token)
    }

    /// The request was not sent again after all.
    pub fn refund(&mut self, token: Option<RetryToken>) {
        match token {
            None => {}
            Some(RetryToken::Earned) => self.earned = (self.earned + 1.0).min(MOST_TOKENS),
            Some(RetryToken::Reserved) => {
                let most = RESERVE_PER_SECOND * RESERVE_SECONDS;
                self.reserve = (self.reserve + 1.0).min(most);
            }
        }
    }
}

/// Tokens that one request earns.
fn ratio(percent: u8) -> f64 {
    f64::from(percent) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[expect(clippy::disallowed_methods, reason = "simulated time needs an instant to start from")]
    fn start() -> Instant {
        Instant::now()
    }

    /// How many re-sendings in a row are allowed.
    fn spend_all(budget: &mut RetryBudget, now: Instant) -> usize {
        (0..).take_while(|_| budget.spend(now).is_some()).take(10_000).count()
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_sent_again() {
        let now = start();
        let mut budget = RetryBudget::new(20, now);
        spend_all(&mut budget, now);
        (0..1000).for_each(|_| budget.earn());
        assert!((199..=200).contains(&spend_all(&mut budget, now)));
    }

    #[test]
    fn a_few_per_second_need_not_be_earned() {
        let now = start();
        let mut budget = RetryBudget::new(20, now);
        assert_eq!(spend_all(&mut budget, now), 30);
        assert_eq!(spend_all(&mut budget, now + Duration::from_secs(1)), 3);
        assert_eq!(spend_all(&mut budget, now + Duration::from_secs(3601)), 30);
    }

    #[test]
    fn what_is_saved_up_has_a_limit() {
        let now = start();
        let mut budget = RetryBudget::new(100, now);
        (0..1_000_000).for_each(|_| budget.earn());
        assert_eq!(spend_all(&mut budget, now), 1000 + 30);
    }

    #[test]
    fn a_percentage_that_changes_leaves_what_was_earned() {
        let now = start();
        let mut budget = RetryBudget::new(10, now);
        spend_all(&mut budget, now);
        (0..1000).for_each(|_| budget.earn());
        budget.set_percent(50);
        (0..1000).for_each(|_| budget.earn());
        assert!((598..=600).contains(&spend_all(&mut budget, now)));
    }

    #[test]
    fn what_is_given_back_can_be_spent_once_more_and_is_no_more_than_there_was() {
        let now = start();
        let mut budget = RetryBudget::new(100, now);
        budget.earn();
        for token in [RetryToken::Earned, RetryToken::Reserved].map(Some) {
            assert_eq!(budget.spend(now), token);
            budget.refund(token);
            assert_eq!(budget.spend(now), token);
        }
        budget.refund(Some(RetryToken::Reserved));
        assert_eq!(spend_all(&mut budget, now), 30);
        (0..2000).for_each(|_| budget.refund(Some(RetryToken::Earned)));
        (0..2000).for_each(|_| budget.refund(Some(RetryToken::Reserved)));
        assert_eq!(spend_all(&mut budget, now), 1000 + 30);
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let now = start();
        let mut budget = RetryBudget::new(0, now);
        (0..1000).for_each(|_| budget.earn());
        assert_eq!(spend_all(&mut budget, now), 0);
    }
}
