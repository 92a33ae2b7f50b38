//! The log of choices: one JSON object a line. A worker hands on what there is to tell. Here it
//! becomes text, with its time, its worker and the name by which it is found beside the row of its
//! request.

use std::time::Instant;

use jiff::Timestamp;

use super::Counted;
use super::batch::BLOCK_BYTES_MAX;
use super::clock::Clock;
use super::outlet::{BATCH_BYTES, Outlet};
use super::sink::{LogSink, Place};
use crate::decision::{Logged, Told};
use crate::endpoint::Client;

/// A choice that was made for a request, as a worker knows it.
#[derive(Debug)]
pub struct Decided {
    /// When.
    pub at: Instant,
    /// When the request was dispatched, as in its record.
    pub started: Instant,
    /// Where the request came from, as in its record.
    pub client: Client,
    /// What there is to tell.
    pub told: Box<dyn Told>,
}

/// See the module. As the writer thread sees it.
#[derive(Debug)]
pub(super) struct DecisionLog<M> {
    lines: Vec<u8>,
    count: u64,
    pub(super) outlet: Outlet<M>,
}

impl<M: LogSink> DecisionLog<M> {
    pub(super) fn new(outlet: Outlet<M>) -> Self {
        Self { lines: Vec::new(), count: 0, outlet }
    }

    /// Adds a choice.
    pub(super) fn add(&mut self, worker: usize, it: &Decided, clock: Clock) {
        if self.outlet.is_row_lost(&self.lines, clock.now) {
            return;
        }
        let [at, started] = [it.at, it.started].map(|instant| time(clock.timestamp_us(instant)));
        let request = format!("{started}/{worker}/{}", it.client).into();
        let line = Logged { time: at.into(), worker, request, decision: it.told.decision() };
        // Nothing in it can't be written, and writing to a Vec can't fail.
        let _ = serde_json::to_writer(&mut self.lines, &line);
        self.lines.push(b'\n');
        self.count += 1;
    }

    /// Whether the batch should be written before more is added.
    pub(super) fn is_batch_full(&self) -> bool {
        self.lines.len() >= BATCH_BYTES
    }

    /// Lines that are kept until another process has ended.
    pub(super) fn kept(&self) -> u64 {
        self.count
    }

    /// Writes the batch, unless it is kept. `counted` follows.
    pub(super) fn write_batch(&mut self, now: Instant, counted: &Counted) {
        if self.count > 0 && !self.outlet.is_awaited() {
            self.outlet.write(&self.lines, now, counted);
            self.lines.clear();
            self.lines.shrink_to(BLOCK_BYTES_MAX);
            self.count = 0;
        }
    }

    /// Continues in the file that has the log's name now, or at another place. Lines that are kept
    /// have no file yet, and go to the new one.
    pub(super) fn reopen(&mut self, place: Option<Place>) {
        let is_written = self.count == 0 || self.outlet.is_awaited();
        debug_assert!(is_written, "a line must not be torn from its file");
        self.outlet.reopen(place);
    }
}

/// As in the rows.
fn time(timestamp_us: i64) -> String {
    let time = Timestamp::from_microsecond(timestamp_us).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
