//! The thread that empties the rings: rows go to the log, lines to the console.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::Control;
use super::clock::Clock;
use super::log::Log;
use super::ring::Consumer;
use super::sender::{Counters, Entry};
use super::sink::LogSink;
use crate::console::Console;

/// The pause between two rounds. Rows are written at most 100 ms after the end of their request, so
/// half of that is left for the round itself.
const PAUSE: Duration = Duration::from_millis(50);

/// The writer thread's state. The index of a consumer is the number of its worker.
#[derive(Debug)]
pub(super) struct Writer<M> {
    pub(super) consumers: Vec<Consumer<Entry>>,
    pub(super) counters: Vec<Arc<CachePadded<Counters>>>,
    pub(super) log: Option<Log<M>>,
    pub(super) console: Console,
}

/// Rows in the log, and rows that never will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) lost: u64,
}

impl<M: LogSink> Writer<M> {
    /// Works until [`Control`] says to close and everything recorded before that is written.
    pub(super) fn run(mut self, control: &Control) -> Written {
        let mut dropped_before = 0;
        loop {
            // Read before the round, so that the last round sees all that was recorded before.
            let close = control.close.load(Ordering::Acquire);
            let clock = Clock::read();
            if let Some(log) = &mut self.log {
                log.begin(clock.now);
            }
            let is_awaited = self.log.as_ref().is_some_and(Log::is_awaited);
            control.awaited.store(is_awaited, Ordering::Release);
            // What is kept has to be written first. The path is opened anew then in any case.
            let reopen = !is_awaited && control.reopen.swap(false, Ordering::AcqRel);
            self.empty_rings(&clock, control);
            if let Some(log) = &mut self.log {
                let dropped = self.counters.iter().map(|counters| counters.dropped()).sum();
                if dropped > dropped_before {
                    log.overrun(dropped - dropped_before, clock.now);
                    dropped_before = dropped;
                }
                control.lost.store(log.lost(), Ordering::Release);
                if reopen {
                    let next = control.next.lock().unwrap_or_else(PoisonError::into_inner).take();
                    log.reopen(next);
                }
            }
            if close && !self.log.as_ref().is_some_and(Log::keeps_rows) {
                let written = |log: &Log<M>| Written { rows: log.rows(), lost: log.lost() };
                return self.log.as_ref().map(written).unwrap_or_default();
            }
            thread::park_timeout(PAUSE);
        }
    }

    /// Takes what is in the rings now. What is pushed meanwhile waits for the next round, otherwise
    /// one busy worker could keep the thread from the others.
    fn empty_rings(&mut self, clock: &Clock, control: &Control) {
        let mut scratch = Vec::new();
        let mut lines = Vec::new();
        for (worker, consumer) in self.consumers.iter_mut().enumerate() {
            for _ in 0..consumer.len() {
                consumer.take(&mut scratch, |entry, texts| match (entry, &mut self.log) {
                    (Entry::Row(record), Some(log)) => log.add(worker, record, texts, *clock),
                    (Entry::Row(_), None) => {}
                    (Entry::Line, _) => {
                        lines.extend_from_slice(texts[0]);
                        lines.push(b'\n');
                    }
                });
                if let Some(log) = self.log.as_mut().filter(|log| log.is_batch_full()) {
                    log.write_batch(clock.now);
                    control.rows.store(log.rows(), Ordering::Release);
                }
            }
        }
        if let Some(log) = &mut self.log {
            log.write_batch(clock.now);
            control.rows.store(log.rows(), Ordering::Release);
        }
        self.console.offer(&lines);
    }
}
