//! The thread that empties the rings: rows go to the log, lines to the console.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Orders;
use super::log::Log;
use super::ring::Consumer;
use super::sender::{Entry, Record, Tally};
use super::sink::LogSink;
use crate::console::Console;

/// How long the thread rests between two rounds. Rows are to be at most 100 ms behind, so half of
/// that is left for the round itself.
const REST: Duration = Duration::from_millis(50);

/// The writer thread's state. The place of an consumer is the number of its worker.
#[derive(Debug)]
pub(super) struct Writer<M> {
    pub(super) consumers: Vec<Consumer<Entry>>,
    pub(super) tallies: Vec<Arc<Tally>>,
    pub(super) log: Option<Log<M>>,
    pub(super) console: Console,
}

/// Rows in the log, and rows that never will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) lost: u64,
}

/// Wall-clock time of monotonic instants. Read anew each round, so that it follows a clock that is
/// set while we run.
#[derive(Clone, Copy, Debug)]
struct Clock {
    now: Instant,
    now_us: i64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "no worker waits for this thread to read a clock"
    )]
    fn read() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { now: Instant::now(), now_us: micros(since_epoch) }
    }

    /// Microseconds since 1970 UTC.
    fn timestamp_us(&self, instant: Instant) -> i64 {
        let ahead = micros(instant.saturating_duration_since(self.now));
        let behind = micros(self.now.saturating_duration_since(instant));
        self.now_us.saturating_add(ahead).saturating_sub(behind)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl<M: LogSink> Writer<M> {
    /// Works until it is told to close and everything recorded before that is written.
    pub(super) fn run(mut self, orders: &Orders) -> Written {
        let mut dropped_before = 0;
        loop {
            // Looked at before the round, so that the last round sees all that came before them.
            let close = orders.close.load(Ordering::Acquire);
            let reopen = orders.reopen.swap(false, Ordering::AcqRel);
            let clock = Clock::read();
            if let Some(log) = &mut self.log {
                log.begin(clock.now);
            }
            self.empty_rings(&clock, orders);
            if let Some(log) = &mut self.log {
                let dropped = self.tallies.iter().map(|tally| tally.dropped()).sum();
                if dropped > dropped_before {
                    log.overrun(dropped - dropped_before, clock.now);
                    dropped_before = dropped;
                }
                if reopen {
                    log.reopen();
                }
            }
            if close {
                let written = |log: &Log<M>| Written { rows: log.rows(), lost: log.lost() };
                return self.log.as_ref().map(written).unwrap_or_default();
            }
            thread::park_timeout(REST);
        }
    }

    /// Takes out what is in the rings now; what comes in meanwhile has to wait, or one busy worker
    /// could keep the thread from the others.
    fn empty_rings(&mut self, clock: &Clock, orders: &Orders) {
        let mut texts = Vec::new();
        let mut lines = Vec::new();
        for (worker, consumer) in self.consumers.iter_mut().enumerate() {
            for _ in 0..consumer.len() {
                let Some((entry, [first, second])) = consumer.pop(&mut texts) else { break };
                match (entry, &mut self.log) {
                    (Entry::Row(record), Some(log)) => {
                        let record = Record { method: first, path: second, ..record };
                        log.add(worker, &record, clock.timestamp_us(record.ended));
                        if log.is_batch_full() {
                            log.write_batch(clock.now);
                            orders.rows.store(log.rows(), Ordering::Release);
                        }
                    }
                    (Entry::Row(_), None) => {}
                    (Entry::Line, _) => {
                        lines.extend_from_slice(first);
                        lines.push(b'\n');
                    }
                }
            }
        }
        if let Some(log) = &mut self.log {
            log.write_batch(clock.now);
            orders.rows.store(log.rows(), Ordering::Release);
        }
        self.console.offer(&lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_before_or_after_the_reading_has_its_own_time() {
        let before = Clock::read().now;
        let clock = Clock { now: before + Duration::from_micros(1_500), now_us: 10_000_000 };
        assert_eq!(clock.timestamp_us(before), 9_998_500);
        assert_eq!(clock.timestamp_us(clock.now), 10_000_000);
        assert_eq!(clock.timestamp_us(clock.now + Duration::from_secs(1)), 11_000_000);
    }

    #[test]
    fn the_clock_is_the_systems() {
        let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).map(micros);
        let before = since_epoch().expect("after 1970");
        let read = Clock::read().now_us;
        assert!((before..=since_epoch().expect("after 1970")).contains(&read));
    }
}
