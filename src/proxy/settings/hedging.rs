//! Settings of second attempts.

use std::time::Duration;

/// How requests get second attempts beside those that are out.
#[derive(Clone, Debug)]
pub struct Hedging {
    /// Second attempts per hundred requests; `None` turns them off.
    pub percent: Option<u8>,
    /// How long the last attempt was silent before; `None` is learnt from what requests take.
    pub delay: Option<Duration>,
    /// Of one request at most.
    pub attempts: u8,
    /// Whether they may go to a backend that has an attempt of the same request.
    pub same: bool,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { percent: None, delay: None, attempts: 1, same: false }
    }
}
