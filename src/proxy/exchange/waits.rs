//! What an exchange waits for, and until when.
//!
//! No timer is ever set or cleared: each deadline follows from the states and from when a side last
//! moved, so none can be forgotten. A worker asks for the earliest one when it has done all it can.

use std::time::{Duration, Instant};

use super::action::{CloseMode, Context};
use super::attempt::{Attempt, Link};
use super::state::{Request, Response};
use super::{ConnectFailure, Exchange, Expects};
use crate::balance::PARKED_AFTER;
use crate::proxy::fault::Fault;
use crate::proxy::settings::Timeouts;

/// How long a client that has its last answer may take to see it and to end its own stream.
pub(super) const LINGER: Duration = Duration::from_secs(30);

/// The same while the proxy is stopping: as long as an idle connection is kept then.
pub(super) const LINGER_DRAINING: Duration = Duration::from_millis(250);

/// What a client may be waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ClientWait {
    /// The rest of the request's head.
    Head,
    /// More of the request's body.
    Body,
    /// Its end of stream, after its answer.
    Linger,
    /// Anything at all to move in a tunnel.
    Tunnel,
}

/// What an upstream may be waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UpstreamWait {
    /// A connection.
    Connect,
    /// That it takes the request, or sends the head of its answer.
    Response,
    /// More of the response's body.
    Stream,
}

/// That a client takes what is ready for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct ClientReads;

/// What the client was waited for after the last event.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Awaited {
    client: Option<ClientWait>,
    reads: Option<ClientReads>,
}

impl Awaited {
    fn awaits_body(self) -> bool {
        self.client == Some(ClientWait::Body)
    }
}

impl Exchange {
    /// When [`Exchange::expired`] should be called, if nothing happens before.
    #[must_use]
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        let client = self.awaited.client.and_then(|wait| self.client_deadline(wait, timeouts));
        let reads = self.reads_deadline(timeouts);
        let mut due = earlier(client, reads);
        for attempt in self.attempts.all() {
            due = earlier(due, deadline_of(attempt, timeouts));
        }
        if let Response::Queued(waiting) = self.states.response() {
            due = earlier(due, self.queue_deadline(waiting, timeouts));
        }
        due
    }

    fn client_deadline(&self, wait: ClientWait, timeouts: &Timeouts) -> Option<Instant> {
        match wait {
            ClientWait::Head => self.record.arrived.map(|arrived| arrived + timeouts.header),
            ClientWait::Body => Some(self.client_moved + self.patience),
            ClientWait::Linger => match self.states.request() {
                Request::Linger { until, .. } => Some(*until),
                _ => None,
            },
            ClientWait::Tunnel => {
                let moved = self.attempts.all().map(|attempt| attempt.moved);
                let moved = moved.fold(self.client_moved, Instant::max);
                timeouts.tunnel.map(|timeout| moved + timeout)
            }
        }
    }

    /// If the client is to send and to read, this is never the shorter wait.
    fn reads_deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        self.awaited.reads.map(|_| self.client_moved + timeouts.body)
    }

    fn client_wait(&self) -> Option<ClientWait> {
        match self.states.request() {
            Request::Head(_) => self.record.arrived.map(|_| ClientWait::Head),
            Request::Body(_) if self.awaits_body() => Some(ClientWait::Body),
            Request::Linger { .. } if matches!(self.states.response(), Response::Over) => {
                Some(ClientWait::Linger)
            }
            _ => None,
        }
    }

    /// What an upstream is waited for that has taken all there is of the request, and one that has
    /// not. While the client has something to read, or its body is awaited, no answer is due.
    fn upstream_waits(&self, reads: Option<ClientReads>) -> [Option<UpstreamWait>; 2] {
        let wait = match self.states.response() {
            Response::Awaited => UpstreamWait::Response,
            Response::Body(_) => UpstreamWait::Stream,
            _ => return [None, Some(UpstreamWait::Response)],
        };
        let has_request = self.about.expects == Expects::Continue
            || !matches!(self.states.request(), Request::Body(_));
        [(has_request && reads.is_none()).then_some(wait), Some(wait)]
    }

    /// Bytes of a body buy the client time at the price of the least rate, never more than the
    /// timeout; waiting uses it up. So neither silence nor a drip holds a connection for ever.
    pub(super) fn earn_patience(&mut self, count: usize, context: &Context<'_>) {
        let longest = context.settings.timeouts.body;
        let Some(rate) = context.settings.limits.body_rate else {
            self.patience = longest;
            return;
        };
        if self.awaited.awaits_body() {
            let waited = context.now.duration_since(self.client_moved);
            self.patience = self.patience.saturating_sub(waited);
        }
        let bought = Duration::from_secs_f64(count as f64 / rate.get() as f64);
        self.patience = (self.patience + bought).min(longest);
    }

    /// Since when the client is waited for to send more of its body, if it is.
    pub(super) fn body_awaited(&self) -> Option<Instant> {
        self.awaited.awaits_body().then_some(self.body_awaited)
    }

    fn awaits_body(&self) -> bool {
        self.about.expects == Expects::Nothing
            && !matches!(self.states.response(), Response::Queued(_))
            && self.attempts.all().all(|attempt| self.up.is_drained(attempt.sent))
    }

    /// All that can be done is done. A wait that begins here counts from now, not from when that
    /// side last moved. Gives the [`Exchange::deadline`].
    pub fn begin_waits(&mut self, context: &mut Context<'_>) -> Option<Instant> {
        self.note_waits(context);
        self.deadline(&context.settings.timeouts)
    }

    fn note_waits(&mut self, context: &Context<'_>) {
        let now = context.now;
        let (after, [answer, takes]) = if self.states.is_tunnel() {
            (Awaited { client: Some(ClientWait::Tunnel), reads: None }, [None, None])
        } else {
            let reads = (!self.down.is_drained(self.delivered)).then_some(ClientReads);
            (Awaited { client: self.client_wait(), reads }, self.upstream_waits(reads))
        };
        let before = std::mem::replace(&mut self.awaited, after);
        if before.awaits_body() != after.awaits_body() {
            self.body_wait_changed(after, context);
        }
        if after.reads.is_some() && before.reads.is_none() {
            self.client_moved = now;
        }
        for id in self.attempts.ids() {
            let Some(attempt) = self.attempts.get_mut(id) else { continue };
            let wait = match attempt.link {
                Link::Connecting { .. } | Link::Failed { .. } => Some(UpstreamWait::Connect),
                _ if !self.up.is_drained(attempt.sent) => takes,
                _ => answer.filter(|_| !attempt.is_held()),
            };
            let is_answer = |wait| !matches!(wait, None | Some(UpstreamWait::Connect));
            if is_answer(wait) && !is_answer(attempt.awaited) {
                attempt.moved = now;
            }
            attempt.awaited = wait;
        }
    }

    /// More of the body began to be waited for, or it no longer is.
    fn body_wait_changed(&mut self, after: Awaited, context: &Context<'_>) {
        if after.awaits_body() {
            (self.client_moved, self.body_awaited) = (context.now, context.now);
        }
        for id in self.attempts.ids() {
            let Some(attempt) = self.attempts.get_mut(id) else { continue };
            if after.awaits_body() {
                if attempt.lease.is_probe() {
                    context.balancer.yield_probe(&mut attempt.lease);
                    context.freed();
                }
            } else {
                attempt.timing.client_took(self.body_awaited, context.now);
            }
        }
    }

    /// Parks the leases of attempts that have waited long enough and were overtaken; others are
    /// looked at again as much later.
    fn park(&mut self, context: &Context<'_>) {
        for id in self.attempts.ids() {
            let Some(attempt) = self.attempts.get_mut(id) else { continue };
            if attempt.parks_at.is_some_and(|at| at <= context.now) {
                let is_parked = context.balancer.park(&mut attempt.lease, context.now);
                attempt.parks_at = (!is_parked).then_some(context.now + PARKED_AFTER);
            }
        }
    }

    /// Ends the client's wait if its time has come, else those of attempts. What they lead to is
    /// waited for anew.
    pub(super) fn end_waits(&mut self, context: &mut Context<'_>) {
        self.park(context);
        let (now, timeouts) = (context.now, &context.settings.timeouts);
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(wait) = self.awaited.client
            && is_due(self.client_deadline(wait, timeouts))
        {
            return match wait {
                ClientWait::Head => self.fail(Fault::HeaderTimeout, context),
                ClientWait::Body => self.fail(Fault::BodyTimeout, context),
                ClientWait::Linger => self.hang_up(CloseMode::Close),
                ClientWait::Tunnel => self.tunnel_idle(context),
            };
        }
        if is_due(self.reads_deadline(timeouts)) {
            return self.stalled(context);
        }
        if matches!(self.states.response(), Response::Queued(_)) {
            return self.end_queueing(context);
        }
        self.end_silence(context);
        for id in self.attempts.ids() {
            let Some(attempt) = self.attempts.get_mut(id) else { continue };
            let Some(wait) = attempt.awaited.filter(|_| is_due(wait_end(attempt, timeouts))) else {
                continue;
            };
            match (wait, attempt.link) {
                (UpstreamWait::Connect, Link::Connecting { more }) => {
                    attempt.link = Link::Failed { failure: ConnectFailure::TimedOut, more };
                }
                (UpstreamWait::Connect, _) => {}
                (UpstreamWait::Response, _) => {
                    self.attempt_fails(id, Fault::ResponseTimeout, context);
                }
                (UpstreamWait::Stream, _) => self.attempt_fails(id, Fault::StreamTimeout, context),
            }
        }
    }

    /// The client reads nothing. The row keeps the status if a part of the response was sent.
    fn stalled(&mut self, context: &mut Context<'_>) {
        let status = self.record.status;
        self.abandon(Fault::ClientStalled, context);
        if self.record.is_answer_begun() {
            self.record.status = status;
        }
    }

    /// Nothing moved in a tunnel: both ends are closed in order, unless one of them has not taken
    /// all. What it was sent must not seem to end there.
    fn tunnel_idle(&mut self, context: &mut Context<'_>) {
        if !self.down.is_drained(self.delivered) {
            return self.stalled(context);
        }
        if self.attempts.all().any(|attempt| !self.up.is_drained(attempt.sent)) {
            return self.break_tunnel(Fault::UpstreamStalled, context);
        }
        self.record.fault.get_or_insert(Fault::TunnelTimeout);
        self.end_attempts(CloseMode::Close, context);
        self.cut(CloseMode::Close, context);
    }
}

/// When an attempt is looked at, because a wait ends, its lease may be parked or another attempt
/// may begin.
fn deadline_of(attempt: &Attempt, timeouts: &Timeouts) -> Option<Instant> {
    let due = earlier(wait_end(attempt, timeouts), attempt.parks_at);
    earlier(due, attempt.overdue_at)
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (at, None) | (None, at) => at,
    }
}

fn wait_end(attempt: &Attempt, timeouts: &Timeouts) -> Option<Instant> {
    let timeout = match attempt.awaited? {
        UpstreamWait::Connect => Some(timeouts.connect),
        UpstreamWait::Response => timeouts.response,
        UpstreamWait::Stream => timeouts.stream,
    };
    timeout.map(|timeout| attempt.moved + timeout)
}
