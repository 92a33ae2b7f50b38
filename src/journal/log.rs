//! Records become rows, rows become batches, batches are appended; what is not, is counted.

use std::time::Instant;

use super::losses::LossReporter;
use super::schema::{HEALTH_PROBE, Row, RowWriter};
use super::sender::Record;
use super::sink::{Appended, Appender, LogSink};
use crate::console::Console;

/// A batch is written when it has about this size, or when the rings are empty.
const BATCH_BYTES: usize = 256 * 1024;

/// What is the same in every row, and the backends' names by index.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) backends: Vec<String>,
    pub(super) routing_mode: String,
    pub(super) connection: String,
}

/// The log as the writer thread sees it.
#[derive(Debug)]
pub(super) struct Log<M> {
    labels: Labels,
    row_writer: RowWriter,
    batch: Vec<u8>,
    appender: Appender<M>,
    rows: u64,
    losses: LossReporter<Console>,
}

impl<M: LogSink> Log<M> {
    pub(super) fn new(sink: M, labels: Labels, console: Console) -> Self {
        let losses = LossReporter::new(console, sink.name());
        Self {
            labels,
            row_writer: RowWriter::default(),
            batch: Vec::with_capacity(BATCH_BYTES),
            appender: Appender::new(sink),
            rows: 0,
            losses,
        }
    }

    /// Rows that are whole in the log.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that never will be.
    pub(super) fn lost(&self) -> u64 {
        self.losses.lost()
    }

    /// Adds the row of a record whose method and path came beside it.
    pub(super) fn add(&mut self, worker: usize, record: &Record<'_>, timestamp_us: i64) {
        let labels = &self.labels;
        let backend = record.backend.and_then(|backend| labels.backends.get(usize::from(backend)));
        let row = Row {
            timestamp_us,
            backend_url: backend.map(String::as_str),
            latency: record.latency,
            status: Some(record.status),
            routing_mode: &labels.routing_mode,
            connection: Some(&labels.connection),
            worker: Some(worker),
            client: Some(record.client),
            method: Some(record.method),
            path: Some(record.path),
            request_bytes: Some(record.request_bytes),
            response_bytes: Some(record.response_bytes),
            connect: record.connect,
            first_byte: record.first_byte,
            attempts: Some(record.attempts),
            fault: record.fault,
            probe: record.is_probe.then_some(HEALTH_PROBE),
        };
        self.row_writer.write(&row, &mut self.batch);
    }

    /// Whether the batch should be written before more is added.
    pub(super) fn is_batch_full(&self) -> bool {
        self.batch.len() >= BATCH_BYTES
    }

    /// Has the log begun before there are rows, so that its troubles are told when they begin.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Err(error) = self.appender.begin() {
            self.losses.failed(0, &error, now);
        }
        if let Some(complaint) = self.appender.complaint() {
            self.losses.say(&complaint);
        }
    }

    /// Writes the batch. Its rows are in the log or lost afterwards; none is tried again.
    pub(super) fn write_batch(&mut self, now: Instant) {
        if self.batch.is_empty() {
            return;
        }
        let Appended { rows, lost, error } = self.appender.append(&self.batch);
        self.batch.clear();
        self.rows += rows;
        match error {
            Some(error) => self.losses.failed(lost, &error, now),
            None => self.losses.written(),
        }
    }

    /// Counts rows for which the rings had no room.
    pub(super) fn overrun(&mut self, rows: u64, now: Instant) {
        self.losses.overrun(rows, now);
    }

    /// Goes on in the file that now has the log's name. What was recorded before goes to the old
    /// one, so the batch must have been written.
    pub(super) fn reopen(&mut self) {
        debug_assert!(self.batch.is_empty(), "a row must not be torn from its file");
        if let Err(error) = self.appender.reopen() {
            self.losses.not_reopened(&error);
        }
    }
}
