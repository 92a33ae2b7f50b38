//! Upstream connections: taken from the pool or opened to the address that is named, and put back.

use std::io;
use std::time::{Duration, Instant};

use super::super::connection::{Upstream, connect_failure};
use super::super::exchange::{AttemptId, ConnectFailure, Source};
use super::super::resolver::AddressCursor;
use super::super::settings::UpstreamReuse;
use super::Worker;
use super::pump::kept;
use crate::balance::BackendId;
use crate::reactor::descriptors::are_exhausted;
use crate::reactor::{Key, Stream};

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
        if self.context.settings.verbose && after.is_none() {
            let line = self.context.balancer.explain(backend);
            self.context.sender.log_line(format_args!("{line}"));
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
            upstream.client = Some(key);
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
            let taken = self.pool.take(backend.index())?;
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
        if let Some((cursor, address)) = self.resolver.address(backend.index(), after) {
            more = self.resolver.address(backend.index(), Some(cursor)).map(|_| cursor);
            let connect = |worker: &mut Self| {
                worker.upstreams.try_insert_with(|upstream| {
                    Ok::<_, io::Error>(Upstream {
                        stream: Stream::connect(address, upstream, &worker.poller)?,
                        backend,
                        client: Some(key),
                        cursor: Some(cursor),
                        idle_since: now,
                        idle_until: now,
                    })
                })
            };
            let mut result = connect(self);
            if matches!(&result, Err(error) if are_exhausted(error)) && self.free_one(now) {
                result = connect(self);
            }
            opened = result.map_err(|error| connect_failure(&error));
        }
        let Some(in_flight) = self.in_flight(key) else { return };
        in_flight.exchange.dialing(attempt, more);
        match opened {
            Ok(link) => in_flight.links.set(attempt, link),
            Err(failure) => in_flight.exchange.dial_failed(attempt, failure),
        }
    }

    /// Puts an attempt's connection back into the pool, if it is fit for it.
    pub(super) fn recycle(&mut self, key: Key, attempt: AttemptId, idle: Duration, now: Instant) {
        let Some(link) = self.in_flight(key).and_then(|it| it.links.take(attempt)) else { return };
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        // Something is left to be read: more than was asked for, or the end.
        let fit = !upstream.stream.can_read();
        if fit && self.pool.put(upstream.backend.index(), link) {
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

    /// A connection serves nobody for now, for so long at most.
    pub(super) fn lay_to_rest(&mut self, link: Key, idle: Duration, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(link) else { return };
        upstream.client = None;
        (upstream.idle_since, upstream.idle_until) = (now, now + idle);
        self.upstream_timers.set(Some(upstream.idle_until), link, self.poller.timers());
    }

    /// Takes an attempt's connection out of the table; dropped, it is closed.
    pub(super) fn detach(&mut self, key: Key, attempt: AttemptId) -> Option<Upstream> {
        let link = self.in_flight(key)?.links.take(attempt)?;
        self.upstreams.remove(link)
    }
}
