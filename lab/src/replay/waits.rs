//! Classes of requests that wait for something else than their backend, as long polls do.

use std::time::Duration;

use super::trace::{End, Row};

/// A class is one whose fastest tenth takes so long,
const LEAST_US: u32 = 1_000_000;
/// whose slowest tenth takes hardly longer,
const MOST_SPREAD: f64 = 1.2;
/// and of which there are so many.
const LEAST: usize = 5;

/// How long each class waits, if it does.
pub(super) fn find(rows: &[Row], classes: usize) -> Vec<Option<Duration>> {
    let mut latencies: Vec<Vec<u32>> = vec![Vec::new(); classes];
    let mut counts = vec![0; classes];
    for row in rows.iter().filter(|row| row.end == End::Answered) {
        let class = usize::from(row.class);
        counts[class] += 1;
        if row.latency_us >= LEAST_US {
            latencies[class].push(row.latency_us);
        }
    }
    let wait = |(slow, count): (Vec<u32>, usize)| {
        let mut slow = slow;
        slow.sort_unstable();
        let at = |part: usize| slow.get(slow.len() * part / 10).copied().unwrap_or(0);
        let [fast, middle, slowest] = [1, 5, 9].map(at);
        let is_wait = slow.len() >= LEAST
            && slow.len() * 10 >= count * 9
            && f64::from(slowest) <= MOST_SPREAD * f64::from(fast);
        is_wait.then(|| Duration::from_micros(middle.into()))
    };
    latencies.into_iter().zip(counts).map(wait).collect()
}
