//! Whether the clients of a log wait for an answer before they send the next request.
//!
//! A connection carries one request at a time, so its requests follow each other under any load.
//! What tells a closed loop is that its connections are hardly ever idle, and that the number of
//! requests in flight varies less than by chance: with requests that come by chance its variance is
//! its mean or more, with clients that are busy for a part `b` of the time it is `1 - b` times its
//! mean.

use super::trace::{Row, UNKNOWN_CLIENT};

/// A connection that is busy for this part of its time does nothing but wait for answers.
const LEAST_BUSY: f64 = 0.7;

/// The variance of the requests in flight in a closed loop, as a part of their mean, at most.
const MOST_VARIANCE: f64 = 0.5;

/// So many requests in a row are looked at together, or so many times as many as are in flight. In
/// fewer, those in flight hardly change, and vary less than by chance for that.
const BLOCK: usize = 500;
const TIMES_IN_FLIGHT: usize = 8;

/// A connection that has fewer requests says nothing.
const LEAST_REQUESTS: u32 = 4;

/// How requests come.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Loop {
    /// At their instants, whatever becomes of others.
    Open,
    /// After the end of the previous one of the same client, and the recorded gap.
    Closed,
}

#[derive(Copy, Clone, Default)]
struct Connection {
    first_us: u64,
    last_us: u64,
    busy_us: u64,
    requests: u32,
}

/// What the connections say; `None` if there are none.
pub(super) fn find(rows: &[Row], clients: u32) -> Option<Loop> {
    let mut connections = vec![Connection::default(); clients as usize];
    let mut overlaps = 0u64;
    for row in rows.iter().filter(|row| row.client != UNKNOWN_CLIENT) {
        let connection = &mut connections[row.client as usize];
        if connection.requests == 0 {
            connection.first_us = row.start_us;
        }
        overlaps += u64::from(connection.last_us > row.start_us + 1000);
        connection.last_us = connection.last_us.max(row.end_us());
        connection.busy_us += u64::from(row.latency_us);
        connection.requests += 1;
    }
    let known: u64 = connections.iter().map(|it| u64::from(it.requests)).sum();
    if known * 2 < rows.len() as u64 || overlaps * 20 > known {
        return None;
    }
    let (mut busy, mut total) = (0, 0);
    for it in connections.iter().filter(|it| it.requests >= LEAST_REQUESTS) {
        busy += it.busy_us;
        total += it.last_us - it.first_us;
    }
    let is_busy = total > 0 && busy as f64 >= LEAST_BUSY * total as f64;
    let is_closed = is_busy && variance(rows) < MOST_VARIANCE;
    Some(if is_closed { Loop::Closed } else { Loop::Open })
}

/// The variance of the requests in flight, as a part of their mean: the median of all blocks, so
/// that the beginning and the end do not count.
fn variance(rows: &[Row]) -> f64 {
    let mut ends: Vec<u64> = rows.iter().map(Row::end_us).collect();
    ends.sort_unstable();
    let mut ended = 0;
    let in_flight = |(index, row): (usize, &Row)| {
        while ends.get(ended).is_some_and(|end| *end <= row.start_us) {
            ended += 1;
        }
        index + 1 - ended
    };
    let levels: Vec<usize> = rows.iter().enumerate().map(in_flight).collect();
    let of_block = |block: &[usize]| {
        let mean = block.iter().sum::<usize>() as f64 / block.len() as f64;
        let squares: f64 = block.iter().map(|level| (*level as f64 - mean).powi(2)).sum();
        squares / block.len() as f64 / mean
    };
    let mean: usize = levels.iter().sum::<usize>() / levels.len();
    let block = BLOCK.max(TIMES_IN_FLIGHT * mean);
    let mut variances: Vec<f64> = levels.chunks(block).map(of_block).collect();
    let middle = variances.len() / 2;
    *variances.select_nth_unstable_by(middle, f64::total_cmp).1
}
