//! Moves one exchange on as far as its sockets allow, and does what it demands.

use std::time::Instant;

use super::super::connection::{Client, Standing, Upstream, connect_failure};
use super::super::exchange::{
    Action, CloseMode, ConnectFailure, Context, Exchange, Phase, Side, StreamEnd,
};
use super::super::resolver::LocalResolver;
use super::upstreams::Upstreams;
use super::{IDLE, LEAVING, QUIET, READY, Worker};
use crate::balance::BackendId;
use crate::reactor::{Key, Received, Stream};

/// Rounds of reading and writing for one exchange in one turn, so that a large body does not keep
/// others waiting.
pub(super) const ROUNDS_PER_TURN: usize = 16;

/// What came of a round.
enum Round {
    /// Nothing more can be done before an event.
    Still,
    Moved,
    /// The upstream connection did not come about.
    ConnectFailed(ConnectFailure),
}

impl Worker {
    /// Moves a client's exchange on.
    pub(super) fn pump(&mut self, key: Key, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            let Some(client) = self.clients.get_mut(key) else { return };
            if client.exchange.is_none() {
                let kept = kept(client, &mut self.upstreams, now);
                if !client.stream.can_read() {
                    return self.order.push(IDLE, key);
                }
                let exchange = client.exchange.insert(super::spare(&mut self.spare, now));
                if let Some(backend) = kept {
                    exchange.kept(backend);
                }
            }
            let upstream = client.upstream.and_then(|link| self.upstreams.get_mut(link));
            // One that is kept for the client has no part in this before it is asked for.
            let upstream = upstream.filter(|upstream| upstream.client == Some(key));
            let Client { stream, exchange: Some(exchange), peer, .. } = client else { return };
            let mut context = self.context.lend(now, peer);
            let round = round(stream, upstream, exchange, &self.resolver, &mut context);
            if let Round::ConnectFailed(failure) = round {
                self.connect_failed(key, failure, now);
            }
            let demanded = self.run_actions(key, now);
            if matches!(round, Round::Still) && !demanded {
                return self.settle(key, now);
            }
        }
        self.settle(key, now);
        if self.clients.get(key).is_some() {
            self.order.push(READY, key);
        }
    }

    /// Gives back what an exchange does not need while it waits, and sets its timer.
    fn settle(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let timeouts = &self.context.settings.timeouts;
        match client.exchange.take() {
            Some(mut exchange) if exchange.is_idle() => {
                if self.context.phase == Phase::Draining {
                    client.idle_until = client.idle_until.min(now + QUIET);
                }
                let deadline = Some(client.idle_until);
                self.client_timers.set(deadline, key, self.poller.timers());
                self.order.push(IDLE, key);
                if exchange.is_untouched() {
                    self.recycle_exchange(exchange);
                } else {
                    // Empty lines came, which are counted.
                    exchange.release_buffers(&mut self.context.free);
                    client.exchange = Some(exchange);
                }
            }
            Some(mut exchange) => {
                exchange.release_buffers(&mut self.context.free);
                let is_leaving = exchange.is_lingering();
                let deadline = exchange.deadline(timeouts);
                self.client_timers.set(deadline, key, self.poller.timers());
                client.exchange = Some(exchange);
                if is_leaving {
                    self.leaves(key);
                }
            }
            None => {}
        }
    }

    /// A client is only read until it ends: whoever waits outside may have its place.
    fn leaves(&mut self, key: Key) {
        self.order.push(LEAVING, key);
        let Some(client) = self.clients.get_mut(key) else { return };
        if std::mem::replace(&mut client.standing, Standing::Leaving) != Standing::Leaving {
            self.accept_balancer.closed(self.index);
            self.listeners.capacity_freed();
        }
    }

    /// Does what the exchange demands, in order; whether there was anything.
    pub(super) fn run_actions(&mut self, key: Key, now: Instant) -> bool {
        let mut any = false;
        while let Some(client) = self.clients.get_mut(key) {
            let Some(demand) = client.exchange.as_mut().and_then(|exchange| exchange.next_action())
            else {
                break;
            };
            any = true;
            match demand {
                Action::Connect { backend, fresh } => self.connect(key, backend, fresh, now),
                Action::ConnectExpired => {
                    self.connect_failed(key, ConnectFailure::TimedOut, now);
                }
                Action::Recycle { idle } => self.recycle(key, idle, now),
                Action::Keep { idle } => {
                    // It rests as one in the pool does, and the client alone knows of it.
                    if let Some(link) = client.upstream {
                        self.lay_to_rest(link, idle, now);
                    }
                }
                Action::Discard => drop(self.detach(key)),
                Action::Reset => {
                    if let Some(upstream) = self.detach(key) {
                        upstream.stream.reset();
                    }
                }
                Action::FinishUpstream => self.finish_upstream(key),
                Action::FinishClient => {
                    // A client that is gone already will be noticed by reading.
                    let _ = client.stream.finish();
                }
                Action::Report => self.report(key, now),
                Action::Hangup(how) => {
                    let client = self.drop_client(key);
                    if let (Some(client), CloseMode::Reset) = (client, how) {
                        client.stream.reset();
                    }
                }
            }
        }
        any
    }

    fn finish_upstream(&mut self, key: Key) {
        let link = self.clients.get(key).and_then(|client| client.upstream);
        if let Some(upstream) = link.and_then(|link| self.upstreams.get_mut(link)) {
            // An upstream that is gone already will be noticed by reading.
            let _ = upstream.stream.finish();
        }
    }

    fn report(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = &mut client.exchange else { return };
        let record = exchange.record(client.peer.client(), now);
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
        let is_ended = client.stream.is_ended();
        exchange.reported(is_ended, &mut self.context.lend(now, &client.peer));
    }
}

/// The backend to which a client that asks nothing has a connection of its own. One that ended, or
/// said what nobody asked for, is closed.
pub(super) fn kept(
    client: &mut Client,
    upstreams: &mut Upstreams,
    now: Instant,
) -> Option<BackendId> {
    let link = client.upstream?;
    let alive = upstreams.get(link).filter(|upstream| upstream.is_usable(now));
    let backend = alive.map(|upstream| upstream.backend);
    if backend.is_none() {
        upstreams.remove(link);
        client.upstream = None;
    }
    backend
}

/// Reads and writes once in each direction, as far as the sockets are ready.
fn round(
    client: &mut Stream,
    mut upstream: Option<&mut Upstream>,
    exchange: &mut Exchange,
    resolver: &LocalResolver,
    context: &mut Context<'_>,
) -> Round {
    let left = client.read_closed() && exchange.ends_with_client(context.settings);
    if client.failed() || left {
        // What came before the reset is a request all the same, and has its row.
        if exchange.is_idle() {
            receive(client, Side::Client, exchange, context);
        }
        exchange.closed(Side::Client, StreamEnd::Reset, context);
        return Round::Moved;
    }
    let mut moved = receive(client, Side::Client, exchange, context);
    if moved && exchange.has_actions() {
        // The connection kept for this client is this request's only once that is said.
        return Round::Moved;
    }
    if let Some(upstream) = &mut upstream {
        match send_upstream(upstream, exchange, resolver, context) {
            Round::Still => {}
            Round::Moved => moved = true,
            failed @ Round::ConnectFailed(_) => return failed,
        }
        if upstream.cursor.is_none() {
            moved |= receive(&mut upstream.stream, Side::Upstream, exchange, context);
        }
    }
    if let Ok(sent) = send(client, Side::Client, exchange, context) {
        moved |= sent;
    } else {
        exchange.closed(Side::Client, StreamEnd::WriteFailed, context);
        moved = true;
    }
    if moved { Round::Moved } else { Round::Still }
}

/// Reads once, if the exchange has room.
fn receive(
    stream: &mut Stream,
    side: Side,
    exchange: &mut Exchange,
    context: &mut Context<'_>,
) -> bool {
    if !stream.can_read() {
        return false;
    }
    let space = exchange.space(side, context.free);
    if space.is_empty() {
        return false;
    }
    match stream.read(space) {
        Ok(Received::Bytes(count)) => exchange.filled(side, count, context),
        Ok(Received::Nothing) => return false,
        Ok(Received::End) => exchange.closed(side, StreamEnd::Finished, context),
        Err(_) => exchange.closed(side, StreamEnd::Reset, context),
    }
    true
}

/// Writes once, if there is something to write.
fn send(
    stream: &mut Stream,
    side: Side,
    exchange: &mut Exchange,
    context: &mut Context<'_>,
) -> std::io::Result<bool> {
    if !stream.can_write() {
        return Ok(false);
    }
    let pending = exchange.pending(side);
    if pending.iter().all(|part| part.is_empty()) {
        return Ok(false);
    }
    let sent = if side == Side::Client && exchange.ends_client() {
        stream.write_last(pending)?
    } else {
        stream.write(pending)?
    };
    if let Some(count) = sent {
        exchange.drained(side, count, context);
    }
    Ok(sent.is_some())
}

/// Writes to the upstream once. The first byte it takes proves that the connection was made.
fn send_upstream(
    upstream: &mut Upstream,
    exchange: &mut Exchange,
    resolver: &LocalResolver,
    context: &mut Context<'_>,
) -> Round {
    match send(&mut upstream.stream, Side::Upstream, exchange, context) {
        Ok(false) => Round::Still,
        Ok(true) => {
            if let Some(cursor) = upstream.cursor.take() {
                resolver.mark_good(upstream.backend, cursor);
            }
            Round::Moved
        }
        Err(error) if upstream.cursor.is_some() => Round::ConnectFailed(connect_failure(&error)),
        Err(_) => {
            exchange.closed(Side::Upstream, StreamEnd::WriteFailed, context);
            Round::Moved
        }
    }
}
