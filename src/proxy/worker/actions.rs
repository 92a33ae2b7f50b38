//! Does what an exchange demands.

use std::time::Instant;

use super::super::connection::Standing;
use super::super::exchange::{Action, CloseMode, Side};
use super::Worker;
use crate::journal::Decided;
use crate::proxy::decisions::Decided as Waiting;
use crate::reactor::Key;

impl Worker {
    /// Does all that the exchange demands, in order, and what follows from it.
    pub(super) fn run_actions(&mut self, key: Key, now: Instant) {
        while let Some(action) = self.in_flight(key).and_then(|it| it.exchange.next_action()) {
            match action {
                Action::Dial { attempt, backend, source } => {
                    self.dial(key, attempt, (backend, source), now);
                }
                Action::Refresh { backend } => self.resolver.request_refresh(backend),
                Action::CountFailure { backend, fault } => {
                    self.context.metrics.attempt_failed(backend, fault.label());
                }
                Action::CountHedge { backend, event } => {
                    self.context.metrics.hedged(backend, event);
                }
                Action::Recycle { attempt, idle } => self.recycle(key, attempt, idle, now),
                Action::Keep { attempt, idle } => self.keep(key, attempt, idle, now),
                Action::Discard { attempt, method } => self.discard(key, attempt, method, now),
                Action::Close { attempt, how } => {
                    let upstream = self.detach(key, attempt);
                    if let (Some(upstream), CloseMode::Reset) = (upstream, how) {
                        upstream.stream.reset();
                    }
                }
                Action::Finish(side) => self.finish(key, side),
                Action::Report => self.report(key, now),
                Action::Hangup(how) => {
                    let client = self.drop_client(key);
                    if let (Some(client), CloseMode::Reset) = (client, how) {
                        client.stream.reset();
                    }
                }
            }
        }
    }

    /// Ends the stream to one side. A peer that is gone already will be noticed by reading.
    fn finish(&mut self, key: Key, side: Side) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let _ = match (side, &client.in_flight) {
            (Side::Client, _) => client.stream.finish(),
            (Side::Upstream(attempt), Some(in_flight)) => {
                let link = in_flight.links.get(attempt);
                let upstream = link.and_then(|link| self.upstreams.get_mut(link));
                upstream.map_or(Ok(()), |upstream| upstream.stream.finish())
            }
            (Side::Upstream(_), None) => Ok(()),
        };
    }

    fn report(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(in_flight) = &mut client.in_flight else { return };
        let exchange = &mut in_flight.exchange;
        let decisions = self.context.settings.decisions.is_some();
        let decisions = decisions.then(|| exchange.take_decisions());
        let record = exchange.record(client.peer.client(), now);
        for Waiting { at, told } in decisions.into_iter().flatten() {
            let started = record.dispatched.unwrap_or(at);
            self.context.sender.decide(Decided { at, started, client: record.client, told });
        }
        self.context.sender.record(&record);
        self.context.metrics.record(&record, exchange.backend());
        if let Some(fault) = exchange.fault().filter(|_| self.context.settings.verbose) {
            let (kind, url) = record.backend.map_or(("no backend", ""), |url| ("backend ", url));
            self.context.sender.log_line(format_args!(
                "{}: {}; {} to {}, {kind}{url}",
                fault.label(),
                fault.explanation(),
                record.status,
                record.client
            ));
        }
        client.standing = Standing::Served;
        // Nothing but an answer makes the idle time begin anew.
        client.idle_since = now;
        client.idle_until = now + self.context.settings.timeouts.client_idle;
        exchange.reported(&mut self.context.lend(now, &client.peer));
    }
}
