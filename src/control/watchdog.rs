//! Tells the service manager, as often as it wants to be told, that the event loop of every worker
//! turns. While one hangs it says nothing, so the manager ends the program and starts it again.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::controller::Controller;
use super::manager;
use crate::proxy::metrics::{Metrics, Turns};

/// An idle event loop turns once a second, so a shorter silence means nothing.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// No manager is told more often than this, because that would only use up a core.
const LEAST_PERIOD: Duration = Duration::from_millis(1);

/// Starts the thread, if the manager wants to be told. It ends with the program.
///
/// # Errors
/// The system gives no thread.
pub fn start(metrics: Arc<Metrics>, controller: Controller) -> io::Result<()> {
    let Some(limit) = manager::watchdog() else { return Ok(()) };
    let thread = thread::Builder::new().name("watchdog".to_owned());
    thread.spawn(move || {
        let mut seen = Seen::new(limit, read_clock());
        loop {
            if seen.all_turn(&metrics.turns(), controller.is_stopping(), read_clock()) {
                manager::alive();
            }
            thread::park_timeout(period(limit));
        }
    })?;
    Ok(())
}

/// The pause between two messages to a manager that waits `limit` for one.
fn period(limit: Duration) -> Duration {
    LEAST_PERIOD.max(limit / 4)
}

/// When each worker was last seen to have turned.
#[derive(Debug)]
struct Seen {
    patience: Duration,
    start: Instant,
    workers: Vec<(Turns, Instant)>,
}

impl Seen {
    /// For a manager that waits `limit` for a message.
    fn new(limit: Duration, start: Instant) -> Self {
        Self { patience: LEAST_PATIENCE.max(limit / 2), start, workers: Vec::new() }
    }

    /// Whether all workers turn, or have ended because the proxy is stopping.
    fn all_turn(&mut self, turns: &[Turns], is_stopping: bool, now: Instant) -> bool {
        self.workers.resize(turns.len(), (Turns::Ended, self.start));
        for (seen, turns) in self.workers.iter_mut().zip(turns) {
            let has_moved = seen.0 != *turns || (*turns == Turns::Ended && is_stopping);
            if has_moved {
                *seen = (*turns, now);
            }
        }
        let turns = |(_, since): &(_, Instant)| now.duration_since(*since) <= self.patience;
        self.workers.iter().all(turns)
    }
}

#[expect(clippy::disallowed_methods, reason = "a watchdog is not on the request path")]
fn read_clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Turns::{Ended, So};

    const LIMIT: Duration = Duration::from_secs(10);

    /// Looks each second at what the workers say then: when all turned.
    fn looked_at(each: impl Fn(u64) -> [Turns; 2], stops: u64) -> Vec<bool> {
        let start = read_clock();
        let mut seen = Seen::new(LIMIT, start);
        let at = |second| start + Duration::from_secs(second);
        (0..20).map(|second| seen.all_turn(&each(second), second >= stops, at(second))).collect()
    }

    #[test]
    fn while_all_turn_they_are_all_well() {
        assert_eq!(looked_at(|second| [So(second), So(second / 5)], 99), [true; 20]);
    }

    #[test]
    fn one_that_hangs_is_noticed_within_half_the_limit_and_one_that_goes_on_as_well() {
        let one_hangs = |second: u64| [So(second), So(if second < 15 { second.min(3) } else { 4 })];
        let expected: Vec<bool> = (0..20).map(|second| !(9..15).contains(&second)).collect();
        assert_eq!(looked_at(one_hangs, 99), expected);
        let never_begins = |second| [So(second), So(0)];
        assert!(!looked_at(never_begins, 99)[6]);
    }

    #[test]
    fn one_that_has_ended_is_well_only_if_the_proxy_stops() {
        let one_ends = |second| [So(second), if second < 3 { So(second) } else { Ended }];
        assert_eq!(looked_at(one_ends, 3), [true; 20]);
        let alone = looked_at(one_ends, 99);
        assert_eq!((alone[8], alone[9]), (true, false));
    }

    #[test]
    fn four_messages_go_out_within_the_limit_but_at_most_a_thousand_a_second() {
        assert_eq!(period(LIMIT), LIMIT / 4);
        for limit in [1, 3, 4, 1_000, 4_000] {
            assert_eq!(period(Duration::from_micros(limit)), Duration::from_millis(1));
        }
    }

    #[test]
    fn an_idle_loop_is_not_taken_for_one_that_hangs_however_short_the_limit_is() {
        let start = read_clock();
        let mut seen = Seen::new(Duration::from_millis(100), start);
        for tenth in 0..100 {
            let now = start + Duration::from_millis(100) * tenth;
            assert!(seen.all_turn(&[So(u64::from(tenth / 11))], false, now));
        }
    }
}
