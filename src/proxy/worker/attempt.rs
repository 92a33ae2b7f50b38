//! Upstream connections: taken from the pool or opened, address by address, and put back.

use std::time::{Duration, Instant};

use super::super::connection::{Upstream, connect_failure};
use super::super::exchange::ConnectFailure;
use super::super::resolver::AddressCursor;
use super::super::settings::UpstreamReuse;
use super::Worker;
use super::pump::kept;
use crate::balance::BackendId;
use crate::reactor::descriptors::are_exhausted;
use crate::reactor::{Key, Stream};

/// Between two tries to connect to a backend that is busy.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    /// Attaches a connection to `backend` to a client's exchange: its own, if it has one.
    pub(super) fn connect(&mut self, key: Key, backend: BackendId, fresh: bool, now: Instant) {
        if self.context.settings.verbose
            && let Some(client) = self.clients.get(key)
            && let Some(lease) = client.exchange.as_ref().and_then(|exchange| exchange.lease())
        {
            let line = self.context.balancer.explain(lease, now);
            self.context.sender.log_line(format_args!("{line}"));
        }
        let pooled = self.context.settings.upstream_reuse == UpstreamReuse::Persistent && !fresh;
        let own = self.clients.get_mut(key).and_then(|client| {
            let leads_to = kept(client, &mut self.upstreams, now)?;
            client.upstream.filter(|_| leads_to == backend)
        });
        let taken = match own {
            None if pooled => self.take_pooled(backend, now),
            own => own,
        };
        let Some(taken) = taken else {
            return self.open(key, backend, None, ConnectFailure::Unreachable, now);
        };
        if let (Some(client), Some(upstream)) =
            (self.clients.get_mut(key), self.upstreams.get_mut(taken))
        {
            upstream.client = Some(key);
            client.upstream = Some(taken);
            let mut context = self.context.lend(now, &client.peer);
            if let Some(exchange) = &mut client.exchange {
                exchange.reused_connection(&mut context);
            }
        }
    }

    /// The connection to `backend` that was used last and can be used again.
    pub(super) fn take_pooled(&mut self, backend: BackendId, now: Instant) -> Option<Key> {
        loop {
            let taken = self.pool.take(backend)?;
            if self.upstreams.get(taken)?.is_usable(now) {
                return Some(taken);
            }
            self.upstreams.remove(taken);
        }
    }

    /// Opens a connection to the address of a backend after `last`, or to the first one after that
    /// which does not fail at once.
    fn open(
        &mut self,
        key: Key,
        backend: BackendId,
        mut last: Option<AddressCursor>,
        mut failure: ConnectFailure,
        now: Instant,
    ) {
        let mut freed = false;
        while let Some((cursor, endpoint)) = self.resolver.address(backend, last) {
            let poller = &self.poller;
            let opened = self.upstreams.open(|upstream| {
                Ok(Upstream {
                    stream: Stream::connect(endpoint, upstream, poller)?,
                    backend,
                    client: Some(key),
                    cursor: Some(cursor),
                    idle_since: now,
                    idle_until: now,
                })
            });
            match opened {
                Ok(upstream) => {
                    if let Some(client) = self.clients.get_mut(key) {
                        client.upstream = Some(upstream);
                    }
                    return self.retry_later(upstream, now);
                }
                Err(error) if !freed && are_exhausted(&error) && self.free_one(now) => {
                    freed = true;
                    continue;
                }
                Err(error) => failure = connect_failure(&error),
            }
            if failure == ConnectFailure::ResourceExhausted {
                break;
            }
            last = Some(cursor);
        }
        if failure != ConnectFailure::ResourceExhausted {
            self.resolver.request_refresh(backend);
        }
        if let Some(client) = self.clients.get_mut(key)
            && let Some(exchange) = &mut client.exchange
        {
            let mut context = self.context.lend(now, &client.peer);
            exchange.unreachable(failure, &mut context);
        }
    }

    /// Sets the timer for the next try to connect to a backend that is busy. The pauses grow, because
    /// many requests may wait for it.
    fn retry_later(&mut self, link: Key, now: Instant) {
        let Some(upstream) = self.upstreams.get(link) else { return };
        if upstream.stream.is_busy() {
            let waited = now.duration_since(upstream.idle_since);
            let next = now + (waited / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            self.upstream_timers.set(Some(next), link, self.poller.timers());
        }
    }

    /// The timer of a connection that serves a client fired: if its backend was busy, it is tried
    /// again.
    pub(super) fn connect_again(&mut self, link: Key, client: Key, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        let Some(cursor) = upstream.cursor.filter(|_| upstream.stream.is_busy()) else { return };
        let endpoint = self.resolver.address_at(upstream.backend, cursor);
        let Some(endpoint) = endpoint else { return };
        match upstream.stream.connect_again(endpoint, link, &self.poller) {
            Ok(()) if upstream.stream.is_busy() => return self.retry_later(link, now),
            Ok(()) => {}
            Err(error) => self.connect_failed(client, connect_failure(&error), now),
        }
        self.pump(client, now);
    }

    /// The connection being made to a backend failed: goes on with its next address.
    pub(super) fn connect_failed(&mut self, key: Key, failure: ConnectFailure, now: Instant) {
        let link = self.clients.get_mut(key).and_then(|client| client.upstream.take());
        if let Some(upstream) = link.and_then(|link| self.upstreams.remove(link))
            && let Some(cursor) = upstream.cursor
        {
            self.open(key, upstream.backend, Some(cursor), failure, now);
        }
    }

    /// Puts a client's upstream connection back into the pool, if it is fit for it.
    pub(super) fn recycle(&mut self, key: Key, idle: Duration, now: Instant) {
        let link = self.clients.get_mut(key).and_then(|client| client.upstream.take());
        let Some((link, upstream)) =
            link.and_then(|link| Some((link, self.upstreams.get_mut(link)?)))
        else {
            return;
        };
        // Something is left to be read: more than was asked for, or the end.
        let fit = !upstream.stream.can_read();
        if fit && self.pool.put(upstream.backend, link) {
            self.lay_to_rest(link, idle, now);
        } else {
            self.upstreams.remove(link);
        }
    }

    /// A connection serves nobody for now, for so long at most. One whose backend is draining is
    /// closed.
    pub(super) fn lay_to_rest(&mut self, link: Key, idle: Duration, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        if !self.context.balancer.roster().contains(upstream.backend) {
            return self.drop_resting(link);
        }
        upstream.client = None;
        (upstream.idle_since, upstream.idle_until) = (now, now + idle);
        self.upstream_timers.set(Some(upstream.idle_until), link, self.poller.timers());
    }

    /// Takes a client's upstream connection out of the table; dropped, it is closed.
    pub(super) fn detach(&mut self, key: Key) -> Option<Upstream> {
        let link = self.clients.get_mut(key)?.upstream.take()?;
        self.upstreams.remove(link)
    }
}
