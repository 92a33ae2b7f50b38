//! Requests that wait in the queue and are called: they look for a backend again.

use std::time::Instant;

use super::Worker;
use crate::proxy::connection::Client;
use crate::reactor::Key;

impl Worker {
    /// Has the requests that were called until now look for a backend. Those that are called
    /// meanwhile are served in the next turn, for which nothing is waited then.
    pub(super) fn serve_called(&mut self, now: Instant) {
        for call in self.context.queue.take_calls() {
            let key = Key::from_bits(call.client);
            let client = self.clients.get_mut(key);
            // One that left has passed its call on.
            let Some(Client { in_flight: Some(in_flight), peer, .. }) = client else { continue };
            in_flight.exchange.called(call, &mut self.context.lend(now, peer));
            self.serve_one(key, now);
        }
    }
}
