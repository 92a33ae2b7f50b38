//! The thread that reads the log into the model and publishes what it knows.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::board::Board;
use super::model::Model;
use super::source::Source;
use crate::reactor::Waker;

/// How long the reader rests when it has read all there is.
const REST: Duration = Duration::from_millis(100);

/// How far publications are apart: numbers that change faster cannot be read.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// Reads for ever, and calls `server` when there is something new.
pub(super) fn run(mut source: Source, board: &Board, server: &Waker) {
    let mut published: Option<Instant> = None;
    loop {
        if source.look(SystemTime::now()) {
            let model = Model::new(source.description());
            board.with_model(SystemTime::now(), |known| *known = model);
        }
        let read_all = !read_block(&mut source, board);
        let now = now();
        if published.is_none_or(|at| now.duration_since(at) >= PUBLISH_EVERY) {
            board.publish(&source, SystemTime::now());
            // Without the call a stream gets its event with the next one.
            let _ = server.wake();
            published = Some(now);
        }
        if read_all {
            thread::park_timeout(REST);
        }
    }
}

/// Reads a block of rows into the model. Says whether there may be more.
fn read_block(source: &mut Source, board: &Board) -> bool {
    let Some(tail) = source.tail() else { return false };
    // A log that cannot be read any more is told so by the next look.
    let more = tail.read_on().is_ok_and(|count| count > 0);
    board.with_model(SystemTime::now(), |model| {
        while let Some(row) = tail.next_row() {
            model.feed(row);
        }
    });
    more
}

#[expect(clippy::disallowed_methods, reason = "this loop is the dashboard's clock")]
fn now() -> Instant {
    Instant::now()
}
