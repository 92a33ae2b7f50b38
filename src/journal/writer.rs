//! The thread that empties the rings: rows go to the log, lines to the console.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::clock::Clock;
use super::columns::Run;
use super::decisions::DecisionLog;
use super::log::Log;
use super::outlet::Outlet;
use super::sender::{Counters, Entry, Receiver};
use super::sink::{LogSink, Place};
use super::{Control, NextRun};
use crate::console::Console;

/// The pause between two rounds. Rows are written at most 100 ms after the end of their request, so
/// half of that is left for the round itself.
const PAUSE: Duration = Duration::from_millis(50);

/// The writer thread's state. The index of a receiver is the number of its worker.
#[derive(Debug)]
pub(super) struct Writer<M> {
    pub(super) receivers: Vec<Receiver>,
    pub(super) counters: Vec<Arc<CachePadded<Counters>>>,
    pub(super) log: Option<Log<M>>,
    pub(super) decisions: Option<DecisionLog<M>>,
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
        let (mut dropped, mut undecided) = (0, 0);
        let mut clock = Clock::read();
        loop {
            // Read before the round, so that the last round sees all that was recorded before.
            let close = control.close.load(Ordering::Acquire);
            clock = clock.next();
            for outlet in self.outlets() {
                outlet.begin(clock.now);
            }
            let is_awaited = self.outlets().any(|outlet| outlet.is_awaited());
            control.awaited.store(is_awaited, Ordering::Release);
            let reopen = control.reopen.swap(false, Ordering::AcqRel);
            self.empty_rings(&clock, control);
            let counters = self.counters.iter();
            let (lost, unsaid) = counters.fold((0, 0), |(lost, unsaid), counters| {
                (lost + counters.dropped(), unsaid + counters.decisions_dropped())
            });
            let log = self.log.as_mut().map(|log| &mut log.outlet);
            let decisions = self.decisions.as_mut().map(|log| &mut log.outlet);
            for (outlet, lost, before, counted) in [
                (log, lost, &mut dropped, &control.rows),
                (decisions, unsaid, &mut undecided, &control.decisions),
            ] {
                let Some(outlet) = outlet else { continue };
                if lost > *before {
                    outlet.overrun(lost - *before, clock.now);
                    *before = lost;
                }
                counted.lost.store(outlet.lost(), Ordering::Release);
            }
            if reopen {
                let next = control.next.lock().unwrap_or_else(PoisonError::into_inner).take();
                self.reopen(next);
            }
            let [kept, kept_choices] = self.kept();
            control.rows.kept.store(kept, Ordering::Release);
            control.decisions.kept.store(kept_choices, Ordering::Release);
            if close && kept + kept_choices == 0 {
                let written =
                    |log: &Log<M>| Written { rows: log.outlet.rows(), lost: log.outlet.lost() };
                return self.log.as_ref().map(written).unwrap_or_default();
            }
            thread::park_timeout(PAUSE);
        }
    }

    /// Rows and choices that wait for the end of another process.
    fn kept(&self) -> [u64; 2] {
        [
            self.log.as_ref().map_or(0, Log::kept),
            self.decisions.as_ref().map_or(0, DecisionLog::kept),
        ]
    }

    fn outlets(&mut self) -> impl Iterator<Item = &mut Outlet<M>> {
        let log = self.log.as_mut().map(|log| &mut log.outlet);
        log.into_iter().chain(self.decisions.as_mut().map(|log| &mut log.outlet))
    }

    /// Goes on in the files that have the logs' names now, maybe as another run.
    fn reopen(&mut self, next: Option<NextRun>) {
        let (rows, decisions) = match next {
            None => (None, None),
            Some(NextRun { path, decisions, meta, routing_mode, connection }) => {
                let run = Run::new(&routing_mode, &connection);
                let place = |path| Place { path, meta: None };
                let rows = path.map(|path| (run, Place { meta: Some(meta), ..place(path) }));
                (rows, decisions.map(place))
            }
        };
        if let Some(log) = &mut self.log {
            log.reopen(rows);
        }
        if let Some(log) = &mut self.decisions {
            log.reopen(decisions);
        }
    }

    /// Takes what is in the rings now. What is pushed meanwhile waits for the next round, otherwise
    /// one busy worker could keep the thread from the others.
    fn empty_rings(&mut self, clock: &Clock, control: &Control) {
        let mut scratch = Vec::new();
        let mut lines = Vec::new();
        for (worker, receiver) in self.receivers.iter_mut().enumerate() {
            let entries = &mut receiver.entries;
            for _ in 0..entries.len() {
                entries.take(&mut scratch, |entry, texts| match (entry, &mut self.log) {
                    (Entry::Row(record), Some(log)) => log.add(worker, record, texts, *clock),
                    (Entry::Row(_), None) => {}
                    (Entry::Line, _) => {
                        lines.extend_from_slice(texts[0]);
                        lines.push(b'\n');
                    }
                });
                if let Some(log) = self.log.as_mut().filter(|log| log.is_batch_full()) {
                    log.write_batch(clock.now, &control.rows);
                }
            }
        }
        if let Some(log) = &mut self.log {
            log.write_batch(clock.now, &control.rows);
        }
        self.console.offer(&lines);
        self.take_choices(clock, control);
    }

    /// The same for the choices.
    fn take_choices(&mut self, clock: &Clock, control: &Control) {
        let Some(log) = &mut self.decisions else { return };
        let counted = &control.decisions;
        for (worker, receiver) in self.receivers.iter_mut().enumerate() {
            let Some(ring) = &mut receiver.decisions else { continue };
            for _ in 0..ring.slots() {
                let Ok(decided) = ring.pop() else { break };
                log.add(worker, &decided, *clock);
                if log.is_batch_full() {
                    log.write_batch(clock.now, counted);
                }
            }
        }
        log.write_batch(clock.now, counted);
    }
}
