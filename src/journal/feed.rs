//! A worker's end of the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rtrb::Producer;

use super::frame::{Record, put_line, put_record};

/// What one worker has counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: AtomicU64,
    pub(super) errors: AtomicU64,
    /// Rows that found no room in the ring.
    pub(super) lost: AtomicU64,
}

/// Takes one worker's records. It never blocks, and makes no system call.
#[derive(Debug)]
pub struct Feed {
    /// What was recorded since the last flush, as frames.
    batch: Vec<u8>,
    batch_rows: u64,
    /// `None` when nobody writes rows.
    ring: Option<Producer<u8>>,
    rows_wanted: bool,
    start: Instant,
    requests: u64,
    errors: u64,
    lost: u64,
    counts: Arc<Counts>,
}

impl Feed {
    pub(super) fn new(
        ring: Option<Producer<u8>>,
        rows_wanted: bool,
        start: Instant,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            batch: Vec::new(),
            batch_rows: 0,
            ring,
            rows_wanted,
            start,
            requests: 0,
            errors: 0,
            lost: 0,
            counts,
        }
    }

    /// Records a request that has ended.
    pub fn record(&mut self, record: &Record<'_>) {
        self.requests += 1;
        self.errors += u64::from(record.is_error());
        if self.rows_wanted && self.ring.is_some() {
            self.flush_when_large();
            put_record(&mut self.batch, record, self.start);
            self.batch_rows += 1;
        }
    }

    /// Says a line on the console, in its turn; dropped if there is no room.
    pub fn say(&mut self, line: &str) {
        if self.ring.is_some() {
            self.flush_when_large();
            put_line(&mut self.batch, line);
        }
    }

    /// Hands what was recorded to the writer. To be called once per turn of the loop.
    pub fn flush(&mut self) {
        if let Some(ring) = self.ring.as_mut().filter(|_| !self.batch.is_empty())
            && ring.push_entire_slice(&self.batch).is_err()
        {
            self.lost += self.batch_rows;
        }
        self.batch.clear();
        self.batch_rows = 0;
        self.counts.requests.store(self.requests, Ordering::Relaxed);
        self.counts.errors.store(self.errors, Ordering::Relaxed);
        self.counts.lost.store(self.lost, Ordering::Relaxed);
    }

    /// A ring that is nearly full should cost a few rows, not those of a whole busy turn.
    fn flush_when_large(&mut self) {
        const LARGE_BYTES: usize = 16 * 1024;
        if self.batch.len() > LARGE_BYTES {
            self.flush();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.flush();
    }
}
