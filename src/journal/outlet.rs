//! Whole lines in, a log that has them or a count of those that are lost.

use std::time::Instant;

use super::losses::LossReporter;
use super::sink::{Appended, Appender, LogSink, Place};
use crate::console::Console;

/// A batch is written when it has about this size, or when the rings are empty.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// How much is kept while another process writes the log: ten seconds of 30,000 rows each.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// One log as the writer thread sees it, whatever its lines are.
#[derive(Debug)]
pub(super) struct Outlet<M> {
    appender: Appender<M>,
    rows: u64,
    losses: LossReporter<Console>,
    console: Console,
}

impl<M: LogSink> Outlet<M> {
    pub(super) fn new(sink: M, console: Console) -> Self {
        let losses = LossReporter::new(console, sink.name());
        Self { appender: Appender::new(sink), rows: 0, losses, console }
    }

    /// Rows that are whole in the log.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that never will be.
    pub(super) fn lost(&self) -> u64 {
        self.losses.lost()
    }

    /// Begins the log before there are rows, so that what is wrong with it is reported early.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Err(error) = self.appender.begin() {
            self.losses.failed(0, &error, now);
        }
        if let Some(warning) = self.appender.warning() {
            self.losses.say(&warning);
        }
        self.tell_moved_aside();
    }

    /// Whether another process writes the log still.
    pub(super) fn is_awaited(&self) -> bool {
        self.appender.is_awaited()
    }

    /// Whether a batch is to be kept until another process has ended, and is not too long for that.
    pub(super) fn is_kept(&self, batch: &[u8]) -> bool {
        self.is_awaited() && batch.len() < KEPT_BYTES
    }

    /// Writes a batch of so many rows. They are in the log or lost afterwards; none is written
    /// again later.
    pub(super) fn write(&mut self, batch: &[u8], rows: u64, now: Instant) {
        let Appended { rows, lost, error } = self.appender.append(batch, rows);
        self.rows += rows;
        match error {
            Some(error) => self.losses.failed(lost, &error, now),
            None => self.losses.written(),
        }
    }

    /// Counts rows that were dropped because a ring was full.
    pub(super) fn overrun(&mut self, rows: u64, now: Instant) {
        self.losses.overrun(rows, now);
    }

    /// Continues in the file that has the log's name now, or at another place.
    pub(super) fn reopen(&mut self, place: Option<Place>) {
        match self.appender.reopen(place) {
            Ok(()) => {
                self.losses.rename(self.appender.name());
                self.tell_moved_aside();
            }
            Err(error) => self.losses.not_reopened(&error),
        }
    }

    fn tell_moved_aside(&mut self) {
        if let Some(aside) = self.appender.moved_aside() {
            self.console.say(&format!("an earlier log was moved to {}", aside.display()));
        }
    }
}
