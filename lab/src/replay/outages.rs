//! When a backend failed, told from requests that failed one after the other.
//!
//! A log says what requests saw, and nothing of the time between them. So an outage begins in the
//! middle between the last request that was answered and the first that was not, and it ends
//! alike. A row does not say which backend refused its first attempt: that is taken to be
//! the one that was silent then, and for longest.

use std::time::Duration;

use super::trace::{End, Row, UNKNOWN_BACKEND};
use crate::scenario::Conduct;

/// So many failures in a row are an outage; fewer come by chance.
const FAILURES: usize = 3;
const TIMEOUTS: usize = 2;

/// A backend that gave no answer for so many times its usual pause was silent.
const SILENCE: u64 = 10;

/// What a backend did instead of working, from and to in microseconds.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Outage {
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    pub(super) conduct: Conduct,
}

/// The outages of a backend, and which requests that failed are no part of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Outages {
    pub(super) all: Vec<Outage>,
    /// Answers and failures outside of outages.
    pub(super) answers: u64,
    pub(super) chance_failures: u64,
}

/// The outages of each of so many backends; `rows` are in the order of their start.
pub(super) fn find(rows: &[Row], backends: usize) -> Vec<Outages> {
    let mut by_backend: Vec<Vec<(u64, Row)>> = vec![Vec::new(); backends];
    let mut retried = Vec::new();
    for row in rows {
        if row.attempts > 1 && row.end != End::Refused {
            retried.push(row.start_us);
        }
        if row.backend != UNKNOWN_BACKEND && row.end != End::Left {
            by_backend[usize::from(row.backend)].push((row.attempt_start_us(), *row));
        }
    }
    let end_us = rows.last().map_or(0, |row| row.start_us) + 1;
    let mut outages: Vec<Outages> = Vec::new();
    for rows in &mut by_backend {
        rows.sort_by_key(|(at, _)| *at);
        outages.push(of_backend(rows, end_us));
    }
    add_refusals(&by_backend, &retried, end_us, &mut outages);
    outages
}

fn of_backend(rows: &[(u64, Row)], end_us: u64) -> Outages {
    let mut found = Outages::default();
    let mut place = 0;
    for run in rows.chunk_by(|(_, a), (_, b)| a.end == b.end) {
        let (first, last) = (place, place + run.len() - 1);
        place += run.len();
        let (end, status) = (run[0].1.end, run[0].1.status);
        let is_outage = match end {
            End::Answered | End::Left | End::NoBackend => {
                found.answers += run.len() as u64;
                continue;
            }
            End::Failed => run.len() >= FAILURES,
            End::TimedOut => run.len() >= TIMEOUTS,
            End::Refused => true,
        };
        if !is_outage {
            found.chance_failures += run.len() as u64;
            continue;
        }
        let before = first.checked_sub(1).map(|before| rows[before].0);
        let from_us = before.map_or(0, |before| u64::midpoint(before, rows[first].0));
        let after = rows.get(last + 1).map(|(at, _)| *at);
        let to_us = after.map_or(end_us, |after| u64::midpoint(rows[last].0, after));
        let conduct = match end {
            End::TimedOut => Conduct::Hang,
            End::Refused => Conduct::Refuse,
            _ => Conduct::Fail(status.max(500), usual_latency(run)),
        };
        found.all.push(Outage { from_us, to_us: to_us.max(from_us + 1), conduct });
    }
    found
}

/// The median.
fn usual_latency(run: &[(u64, Row)]) -> Duration {
    let mut latencies: Vec<u32> = run.iter().map(|(_, row)| row.attempt_us).collect();
    latencies.sort_unstable();
    Duration::from_micros(latencies[latencies.len() / 2].into())
}

/// Outages in which connections were refused, from the requests at `retried` that were answered by
/// another backend.
fn add_refusals(
    by_backend: &[Vec<(u64, Row)>],
    retried: &[u64],
    end_us: u64,
    outages: &mut [Outages],
) {
    let usual: Vec<u64> = by_backend
        .iter()
        .map(|rows| rows.last().map_or(0, |(last, _)| last / rows.len() as u64))
        .collect();
    // By backend and the end of its silence.
    let mut silences: Vec<(usize, u64, Outage)> = Vec::new();
    for at in retried {
        let silence = |(backend, rows): (usize, &Vec<(u64, Row)>)| {
            let next = rows.partition_point(|(start, _)| start < at);
            let from = next.checked_sub(1).map_or(0, |before| rows[before].0);
            let to = rows.get(next).map_or(end_us, |(start, _)| *start);
            (to - from, backend, from, to)
        };
        let longest = by_backend.iter().enumerate().map(silence).max();
        let Some((length, backend, from, to)) = longest else { continue };
        if length <= SILENCE * usual[backend] {
            continue;
        }
        let same = |it: &&mut (usize, u64, Outage)| (it.0, it.1) == (backend, to);
        if let Some((.., outage)) = silences.iter_mut().rev().find(same) {
            outage.to_us = u64::midpoint(*at, to);
        } else {
            let from_us = if from == 0 { 0 } else { u64::midpoint(from, *at) };
            let to_us = u64::midpoint(*at, to).max(from_us + 1);
            silences.push((backend, to, Outage { from_us, to_us, conduct: Conduct::Refuse }));
        }
    }
    for (backend, _, outage) in silences {
        outages[backend].all.push(outage);
    }
}
