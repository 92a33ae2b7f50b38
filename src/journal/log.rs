//! Records become rows, rows become batches, and batches are appended to the log. Rows that could
//! not be appended are counted as lost.

use std::time::Instant;

use super::NextRun;
use super::batch::Batch;
use super::clock::Clock;
use super::columns::{Facts, Record, Run, TEXTS};
use super::losses::LossReporter;
use super::sink::{Appended, Appender, LogSink, Place};
use crate::console::Console;

/// A batch is written when it has about this size, or when the rings are empty.
const BATCH_BYTES: usize = 256 * 1024;

/// How much is kept while another process writes the log: ten seconds of 30,000 rows each.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The log as the writer thread sees it.
#[derive(Debug)]
pub(super) struct Log<M> {
    run: Run,
    batch: Batch,
    appender: Appender<M>,
    rows: u64,
    losses: LossReporter<Console>,
    console: Console,
}

impl<M: LogSink> Log<M> {
    pub(super) fn new(sink: M, run: Run, console: Console) -> Self {
        let losses = LossReporter::new(console, sink.name());
        let (batch, appender) = (Batch::default(), Appender::new(sink));
        Self { run, batch, appender, rows: 0, losses, console }
    }

    /// Rows that are whole in the log.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that never will be.
    pub(super) fn lost(&self) -> u64 {
        self.losses.lost()
    }

    /// Adds the row of a record, given its texts.
    pub(super) fn add(
        &mut self,
        worker: usize,
        record: &Record<'static>,
        [backend, hedge_backend, method, path]: [&[u8]; TEXTS],
        clock: Clock,
    ) {
        let backend = record.backend.map(|_| backend);
        let run = &self.run;
        let facts = Facts { record, backend, hedge_backend, method, path, worker, run, clock };
        self.batch.add(&facts);
    }

    /// Whether the batch should be written before more is added.
    pub(super) fn is_batch_full(&self) -> bool {
        self.batch.bytes().len() >= BATCH_BYTES
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

    /// Whether rows are kept that are to be written as soon as another process has ended.
    pub(super) fn keeps_rows(&self) -> bool {
        self.appender.is_awaited() && self.batch.rows() > 0
    }

    /// Whether another process writes the log still.
    pub(super) fn is_awaited(&self) -> bool {
        self.appender.is_awaited()
    }

    /// Writes the batch, unless it is kept. Its rows are in the log or lost afterwards; none is
    /// written again later.
    pub(super) fn write_batch(&mut self, now: Instant) {
        let is_kept = self.keeps_rows() && self.batch.bytes().len() < KEPT_BYTES;
        if self.batch.rows() == 0 || is_kept {
            return;
        }
        let Appended { rows, lost, error } =
            self.appender.append(self.batch.bytes(), self.batch.rows());
        self.batch.clear();
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

    /// Continues in the file that has the log's name now, maybe as another run. What was recorded
    /// before belongs in the old one, so the batch must have been written.
    pub(super) fn reopen(&mut self, next: Option<NextRun>) {
        debug_assert!(self.batch.rows() == 0, "a row must not be torn from its file");
        let place = next.map(|NextRun { path, meta, routing_mode, connection }| {
            self.run = Run::new(&routing_mode, &connection);
            Place { path, meta }
        });
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
