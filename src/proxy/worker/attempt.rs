//! Upstream connections: taken from the pool or opened to the address that is named, and put back.

use std::io;
use std::time::{Duration, Instant};

use super::super::connection::{Client, InFlight, Target, Task, Upstream, connect_failure};
use super::super::exchange::{AttemptId, ConnectFailure, Source};
use super::super::resolver::AddressCursor;
use super::super::settings::UpstreamReuse;
use super::Worker;
use super::upstreams::Upstreams;
use crate::balance::BackendId;
use crate::reactor::descriptors::are_exhausted;
use crate::reactor::{Key, Stream};

/// Between two tries to connect to a backend that is busy.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    /// Gives an attempt of a client's exchange a connection to `backend`, in place of the one that
    /// it has.
    pub(super) fn dial(
        &mut self,
        key: Key,
        attempt: AttemptId,
        (backend, source): (BackendId, Source),
        now: Instant,
    ) {
        drop(self.detach(key, attempt));
        let after = match source {
            Source::After(address) => Some(address),
            Source::Reuse | Source::Fresh => None,
        };
        if self.context.settings.verbose
            && after.is_none()
            && let Some(Client { in_flight: Some(it), .. }) = self.clients.get(key)
            && let Some(lease) = it.exchange.lease(attempt)
        {
            let line = self.context.balancer.explain(lease, now);
            self.context.sender.log_line(format_args!("{line}"));
        }
        if source == Source::Reuse
            && let Some(lease) = self.in_flight(key).and_then(|it| it.exchange.lease(attempt))
        {
            let reason = lease.reason();
            self.context.metrics.chosen(backend, reason);
        }
        let resting = match source {
            Source::Reuse => self.take_bound(key, backend, now).or_else(|| {
                let is_pooled = self.context.settings.upstream_reuse == UpstreamReuse::Persistent;
                is_pooled.then(|| self.take_pooled(backend, now)).flatten()
            }),
            Source::Fresh | Source::After(_) => None,
        };
        let Some(link) = resting else {
            return self.open(key, attempt, (backend, after), now);
        };
        if let Some(in_flight) = self.in_flight(key) {
            in_flight.links.set(attempt, link);
            in_flight.exchange.reused(attempt);
        }
        if let Some(upstream) = self.upstreams.get_mut(link) {
            upstream.task = Task::Serve(key);
        }
    }

    /// The client's own connection, if it has one that leads there.
    fn take_bound(&mut self, key: Key, backend: BackendId, now: Instant) -> Option<Key> {
        let client = self.clients.get_mut(key)?;
        let leads_there = kept(client, &mut self.upstreams, now) == Some(backend);
        let bound = client.bound.take()?;
        if !leads_there {
            self.upstreams.remove(bound);
        }
        leads_there.then_some(bound)
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

    /// Begins a connection to the address of a backend behind `after`, or to the first one. What
    /// follows if there is none, or it fails at once, the exchange decides.
    fn open(
        &mut self,
        key: Key,
        attempt: AttemptId,
        (backend, after): (BackendId, Option<AddressCursor>),
        now: Instant,
    ) {
        let mut more = None;
        let mut opened = Err(ConnectFailure::Unreachable);
        if let Some((cursor, _)) = self.resolver.address(backend, after) {
            more = self.resolver.address(backend, Some(cursor)).map(|_| cursor);
            let mut result = self.begin(key, backend, cursor, now);
            if matches!(&result, Err(error) if are_exhausted(error)) && self.free_one(now) {
                result = self.begin(key, backend, cursor, now);
            }
            opened = result.map_err(|error| connect_failure(&error));
        }
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(in_flight) = &mut client.in_flight else { return };
        in_flight.exchange.dialing(attempt, more);
        match opened {
            Ok(link) => {
                in_flight.links.set(attempt, link);
                self.retry_later(link, now);
            }
            Err(failure) => {
                in_flight.exchange.dial_failed(attempt, failure);
                in_flight.exchange.work(&mut self.context.lend(now, &client.peer));
            }
        }
    }

    /// Begins a connection for a client to this address of a backend.
    fn begin(
        &mut self,
        key: Key,
        backend: BackendId,
        cursor: AddressCursor,
        now: Instant,
    ) -> io::Result<Key> {
        let endpoint = self.resolver.address_at(backend, cursor);
        let endpoint = endpoint.ok_or(io::ErrorKind::HostUnreachable)?;
        self.upstreams.open(|link| {
            Ok(Upstream {
                stream: Stream::connect(endpoint, link, &self.poller)?,
                backend,
                task: Task::Serve(key),
                cursor: Some(cursor),
                target: Target::of(endpoint),
                idle_since: now,
                idle_until: now,
            })
        })
    }

    /// Sets the timer for the next try to connect to a backend that is busy. The pauses grow,
    /// because many requests may wait for it.
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
    pub(super) fn connect_again(&mut self, link: Key, key: Key, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        let Some(cursor) = upstream.cursor.filter(|_| upstream.stream.is_busy()) else { return };
        let Some(endpoint) = self.resolver.address_at(upstream.backend, cursor) else { return };
        match upstream.stream.connect_again(endpoint, link, &self.poller) {
            Ok(()) if upstream.stream.is_busy() => return self.retry_later(link, now),
            Ok(()) => {}
            Err(error) => {
                if let Some(InFlight { exchange, links }) = self.in_flight(key)
                    && let Some(attempt) = links.attempt_of(link)
                {
                    exchange.dial_failed(attempt, connect_failure(&error));
                    self.work(key, now);
                }
            }
        }
        self.serve_one(key, now);
    }

    /// Puts an attempt's connection back into the pool, if it is fit for it.
    pub(super) fn recycle(&mut self, key: Key, attempt: AttemptId, idle: Duration, now: Instant) {
        let Some(link) = self.in_flight(key).and_then(|it| it.links.take(attempt)) else { return };
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        // Something is left to be read: more than was asked for, or the end.
        let fit = !upstream.stream.can_read();
        if fit && self.pool.put(upstream.backend, link) {
            self.lay_to_rest(link, idle, now);
        } else {
            self.upstreams.remove(link);
        }
    }

    /// Keeps an attempt's connection for its client: it rests as one in the pool does, and the
    /// client alone knows of it.
    pub(super) fn keep(&mut self, key: Key, attempt: AttemptId, idle: Duration, now: Instant) {
        let Some(link) = self.in_flight(key).and_then(|it| it.links.take(attempt)) else { return };
        self.lay_to_rest(link, idle, now);
        if let Some(client) = self.clients.get_mut(key) {
            client.bound = Some(link);
        }
    }

    /// A connection serves nobody for now, for so long at most. One whose backend is draining, or
    /// has another address, is closed.
    pub(super) fn lay_to_rest(&mut self, link: Key, idle: Duration, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        let is_former = matches!(upstream.target, Target::Former { .. });
        if is_former || !self.context.balancer.roster().admits(upstream.backend) {
            return self.drop_resting(link);
        }
        upstream.task = Task::Rest;
        (upstream.idle_since, upstream.idle_until) = (now, now + idle);
        self.upstream_timers.set(Some(upstream.idle_until), link, self.poller.timers());
    }

    /// Takes an attempt's connection out of the table; dropped, it is closed.
    pub(super) fn detach(&mut self, key: Key, attempt: AttemptId) -> Option<Upstream> {
        let link = self.in_flight(key)?.links.take(attempt)?;
        self.upstreams.remove(link)
    }
}

/// The backend to which a client that asks nothing has a connection of its own. One that ended, or
/// said what nobody asked for, is closed.
pub(super) fn kept(
    client: &mut Client,
    upstreams: &mut Upstreams,
    now: Instant,
) -> Option<BackendId> {
    let link = client.bound?;
    let alive = upstreams.get(link).filter(|upstream| upstream.is_usable(now));
    let backend = alive.map(|upstream| upstream.backend);
    if backend.is_none() {
        upstreams.remove(link);
        client.bound = None;
    }
    backend
}
