//! The thread that empties the rings: rows go to the log, lines to the console.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::clock::Clock;
use super::columns::{Facts, Run};
use super::decisions;
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
    pub(super) run: Run,
    pub(super) log: Option<Outlet<M>>,
    pub(super) decisions: Option<Outlet<M>>,
    pub(super) console: Console,
}

impl<M: LogSink> Writer<M> {
    /// Works until [`Control`] says to close and everything recorded before that is written.
    pub(super) fn run(mut self, control: &Control) {
        let mut clock = Clock::read();
        loop {
            // Read before the round, so that the last round sees all that was recorded before.
            let close = control.close.load(Ordering::Acquire);
            clock = clock.next();
            for log in self.logs() {
                log.begin(clock.now);
            }
            let is_awaited = self.logs().any(|log| log.is_awaited());
            control.awaited.store(is_awaited, Ordering::Release);
            let reopen = control.reopen.swap(false, Ordering::AcqRel);
            self.take_entries(clock);
            self.take_choices(clock);
            let sum = |of: fn(&Counters) -> u64| self.counters.iter().map(|it| of(it)).sum::<u64>();
            let dropped = [sum(Counters::dropped), sum(Counters::decisions_dropped)];
            for (log, dropped) in [&mut self.log, &mut self.decisions].into_iter().zip(dropped) {
                if let Some(log) = log {
                    log.overrun(dropped, clock.now);
                }
            }
            if reopen {
                let next = control.next.lock().unwrap_or_else(PoisonError::into_inner).take();
                self.reopen(next);
            }
            if close && self.logs().all(|log| log.is_empty()) {
                return;
            }
            thread::park_timeout(PAUSE);
        }
    }

    fn logs(&mut self) -> impl Iterator<Item = &mut Outlet<M>> {
        self.log.iter_mut().chain(&mut self.decisions)
    }

    /// Goes on in the files that have the logs' names now, maybe as another run.
    fn reopen(&mut self, next: Option<NextRun>) {
        let (rows, decisions) = match next {
            None => (None, None),
            Some(NextRun { path, decisions, meta, routing_mode, connection }) => {
                self.run = Run::new(&routing_mode, &connection);
                let place = |path| Place { path, meta: None };
                (path.map(|path| Place { meta: Some(meta), ..place(path) }), decisions.map(place))
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
    fn take_entries(&mut self, clock: Clock) {
        let Self { receivers, run, log, console, .. } = self;
        let run = &*run;
        let mut scratch = Vec::new();
        let mut lines = Vec::new();
        for (worker, Receiver { entries, .. }) in receivers.iter_mut().enumerate() {
            for _ in 0..entries.len() {
                entries.take(&mut scratch, |entry, texts| match (entry, &mut *log) {
                    (Entry::Row(record), Some(log)) => log.add(clock.now, |batch| {
                        batch.add(&Facts::new(record, texts, worker, run, clock));
                    }),
                    (Entry::Row(_), None) => {}
                    (Entry::Line, _) => {
                        lines.extend_from_slice(texts[0]);
                        lines.push(b'\n');
                    }
                });
            }
        }
        if let Some(log) = log {
            log.write(clock.now);
        }
        console.offer(&lines);
    }

    /// The same for the choices.
    fn take_choices(&mut self, clock: Clock) {
        let Some(log) = &mut self.decisions else { return };
        for (worker, receiver) in self.receivers.iter_mut().enumerate() {
            let Some(ring) = &mut receiver.decisions else { continue };
            for _ in 0..ring.slots() {
                let Ok(decided) = ring.pop() else { break };
                log.add(clock.now, |batch| decisions::add(batch, worker, &decided, clock));
            }
        }
        log.write(clock.now);
    }
}
