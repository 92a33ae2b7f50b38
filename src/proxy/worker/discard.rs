//! Connections over which the answer to a cancelled attempt still comes: they are read to its end,
//! within bounds, and then rest in the pool.

use std::time::Instant;

use super::super::connection::{Target, Task};
use super::super::exchange::{AttemptId, DISCARD_TIME, Discard, Discarded};
use super::Worker;
use crate::http::Method;
use crate::reactor::{Key, Received};

impl Worker {
    /// Keeps the connection of an attempt that was cancelled, unless there are too many such.
    #[cold]
    pub(super) fn discard(&mut self, key: Key, attempt: AttemptId, method: Method, now: Instant) {
        let Some(link) = self.in_flight(key).and_then(|it| it.links.take(attempt)) else { return };
        let roster = self.context.balancer.roster();
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        let is_former = matches!(upstream.target, Target::Former { .. });
        if is_former || !roster.admits(upstream.backend) || !self.pool.await_end(link) {
            return self.drop_resting(link);
        }
        upstream.task = Task::Discard(Box::new(Discard::new(method)));
        upstream.idle_until = now + DISCARD_TIME;
        self.upstream_timers.set(Some(upstream.idle_until), link, self.poller.timers());
        // It may have come already, and no event tells of it again.
        self.discard_more(link, now);
    }

    /// Reads and drops what has come.
    #[cold]
    pub(super) fn discard_more(&mut self, link: Key, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        let Task::Discard(discard) = &mut upstream.task else { return };
        let context = &mut self.context;
        let mut progress = Discarded::More;
        while progress == Discarded::More && upstream.stream.can_read() {
            let space = discard.space(&mut context.free);
            progress = match upstream.stream.read(space) {
                Ok(Received::Bytes(count)) => {
                    discard.received(count, &context.settings, &mut context.headers)
                }
                Ok(Received::Nothing) => Discarded::More,
                Ok(Received::End) | Err(_) => Discarded::Unusable,
            };
        }
        discard.release_block(progress != Discarded::More, &mut context.free);
        let backend = upstream.backend;
        match progress {
            Discarded::More => {}
            Discarded::Whole { idle } if self.pool.put(backend, link) => {
                self.lay_to_rest(link, idle, now);
            }
            Discarded::Whole { .. } | Discarded::Unusable => self.drop_resting(link),
        }
    }
}
