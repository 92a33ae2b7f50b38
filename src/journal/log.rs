//! Records become rows, rows become batches, and batches are appended to the log.

use std::time::Instant;

use super::Counted;
use super::batch::Batch;
use super::clock::Clock;
use super::columns::{Facts, Record, Run, TEXTS};
use super::outlet::{BATCH_BYTES, Outlet};
use super::sink::{LogSink, Place};

/// The log of requests as the writer thread sees it.
#[derive(Debug)]
pub(super) struct Log<M> {
    run: Run,
    batch: Batch,
    pub(super) outlet: Outlet<M>,
}

impl<M: LogSink> Log<M> {
    pub(super) fn new(outlet: Outlet<M>, run: Run) -> Self {
        Self { run, batch: Batch::default(), outlet }
    }

    /// Adds the row of a record, given its texts.
    pub(super) fn add(
        &mut self,
        worker: usize,
        record: &Record<'static>,
        [backend, hedge_backend, method, path]: [&[u8]; TEXTS],
        clock: Clock,
    ) {
        if self.outlet.is_row_lost(self.batch.bytes(), clock.now) {
            return;
        }
        let backend = record.backend.map(|_| backend);
        let run = &self.run;
        let facts = Facts { record, backend, hedge_backend, method, path, worker, run, clock };
        self.batch.add(&facts);
    }

    /// Whether the batch should be written before more is added.
    pub(super) fn is_batch_full(&self) -> bool {
        self.batch.bytes().len() >= BATCH_BYTES
    }

    /// Rows that are kept until another process has ended.
    pub(super) fn kept(&self) -> u64 {
        self.batch.rows()
    }

    /// Writes the batch, unless it is kept. `counted` follows.
    pub(super) fn write_batch(&mut self, now: Instant, counted: &Counted) {
        if self.batch.rows() > 0 && !self.outlet.is_awaited() {
            self.outlet.write(self.batch.bytes(), now, counted);
            self.batch.clear();
        }
    }

    /// Continues in the file that has the log's name now, maybe as another run. What was recorded
    /// before belongs in the old one, so the batch must have been written. Only rows that are kept
    /// have no file yet, and go to the new one.
    pub(super) fn reopen(&mut self, next: Option<(Run, Place)>) {
        let is_written = self.batch.rows() == 0 || self.outlet.is_awaited();
        debug_assert!(is_written, "a row must not be torn from its file");
        let place = next.map(|(run, place)| {
            self.run = run;
            place
        });
        self.outlet.reopen(place);
    }
}
