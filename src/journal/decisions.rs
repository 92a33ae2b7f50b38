//! The log of choices: one JSON object a line. A worker hands on what there is to tell. Here it
//! becomes text, with its time, its worker and the name by which it is found beside the row of its
//! request.

use std::time::Instant;

use jiff::Timestamp;

use super::batch::Batch;
use super::clock::Clock;
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

/// Adds a choice of a worker to the log's batch.
pub(super) fn add(batch: &mut Batch, worker: usize, it: &Decided, clock: Clock) {
    let [at, started] = [it.at, it.started].map(|instant| time(clock.timestamp_us(instant)));
    let request = format!("{started}/{worker}/{}", it.client).into();
    batch.add_json(&Logged { time: at.into(), worker, request, decision: it.told.decision() });
}

/// As in the rows.
fn time(timestamp_us: i64) -> String {
    let time = Timestamp::from_microsecond(timestamp_us).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
