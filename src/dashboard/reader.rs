//! The thread that reads the log, and the decision log beside it, into the model, and publishes
//! what it knows.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::decisions::Decisions;
use super::snapshot_cache::{SnapshotCache, micros};
use super::source::Source;
use crate::reactor::Waker;

/// The pause after the reader has read all there is.
const PAUSE: Duration = Duration::from_millis(100);

/// The interval of publications. Numbers that change more often cannot be read.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// Reads for ever, and wakes `server` after each publication.
pub(super) fn run(mut source: Source, cache: &SnapshotCache, server: &Waker) {
    let mut decisions = Decisions::default();
    let mut published: Option<Instant> = None;
    loop {
        if source.look(SystemTime::now()) {
            cache.begin(&source, SystemTime::now());
            decisions = Decisions::new(source.description());
        }
        // Rows come first, because they tell which time is shown.
        let read_all = !read_block(&mut source, cache) && !read_choices(&mut decisions, cache);
        let now = now();
        if published.is_none_or(|at| now.duration_since(at) >= PUBLISH_EVERY) {
            cache.publish(&source, SystemTime::now());
            // If waking fails, streams get their event with the next one.
            let _ = server.wake();
            published = Some(now);
        }
        if read_all {
            thread::park_timeout(PAUSE);
        }
    }
}

/// Reads a block of rows into the model. Returns whether there may be more.
fn read_block(source: &mut Source, cache: &SnapshotCache) -> bool {
    let Some(tail) = source.tail() else { return false };
    // The next look at the source reports a log that cannot be read any more.
    let more = tail.read_on().is_ok_and(|count| count > 0);
    cache.with_model(SystemTime::now(), |model| {
        while let Some(row) = tail.next_row() {
            model.feed(row);
        }
    });
    more
}

/// The same of the decision log.
fn read_choices(decisions: &mut Decisions, cache: &SnapshotCache) -> bool {
    let now = SystemTime::now();
    if !cache.with_model(now, |model| model.takes_choices()) || !decisions.read_on() {
        return false;
    }
    let now_us = micros(now);
    cache.with_model(now, |model| {
        model.settle(now_us);
        while let Some(line) = decisions.next_line() {
            model.choice(line, now_us);
        }
    });
    true
}

#[expect(clippy::disallowed_methods, reason = "this loop is the dashboard's clock")]
fn now() -> Instant {
    Instant::now()
}
