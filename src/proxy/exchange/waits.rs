//! Whom an exchange waits for, and until when.
//!
//! No timer is ever set or cleared: each deadline follows from the states and from when a side last
//! moved, so none can be forgotten. A worker asks for the earliest one after each event.

use std::time::{Duration, Instant};

use super::{Action, CloseMode, Context, Exchange, Fault, Link, Request, Response};
use crate::proxy::settings::Timeouts;

/// How long a client that has its last answer may take to see it and to end its own stream.
pub(super) const LINGER: Duration = Duration::from_secs(30);

/// The same while the proxy is stopping: as long as an idle connection is kept then.
pub(super) const LINGER_DRAINING: Duration = Duration::from_millis(250);

/// What an exchange may be waiting for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// The rest of the request's head.
    Head,
    /// More of the request's body.
    ClientSends,
    /// That the client takes what is ready for it.
    ClientReads,
    /// A connection to the upstream.
    Connect,
    /// That the upstream takes the request, or sends the head of its answer.
    Response,
    /// More of the response's body.
    Stream,
    /// The client's end of stream, after its answer.
    Linger,
    /// Anything at all to move in a tunnel.
    Tunnel,
}

/// What is waited for, of each side, since the last event.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Awaited {
    client: Option<Wait>,
    upstream: Option<Wait>,
    client_reads: bool,
}

impl Awaited {
    fn awaits_body(self) -> bool {
        self.client == Some(Wait::ClientSends)
    }
}

impl Exchange {
    /// When [`Exchange::expired`] should be called, if nothing happens before.
    #[must_use]
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        let of = |wait: Option<Wait>| wait.and_then(|wait| self.deadline_of(wait, timeouts));
        match (of(self.awaited.client), of(self.awaited.upstream)) {
            (Some(client), Some(upstream)) => Some(client.min(upstream)),
            (client, upstream) => client.or(upstream),
        }
    }

    fn deadline_of(&self, wait: Wait, timeouts: &Timeouts) -> Option<Instant> {
        match wait {
            Wait::Head => self.record.arrived.map(|arrived| arrived + timeouts.header),
            Wait::ClientSends => Some(self.client_moved + self.patience),
            Wait::ClientReads => Some(self.client_moved + timeouts.body),
            Wait::Connect => Some(self.upstream_moved + timeouts.connect),
            Wait::Response => timeouts.response.map(|timeout| self.upstream_moved + timeout),
            Wait::Stream => timeouts.stream.map(|timeout| self.upstream_moved + timeout),
            Wait::Linger => match self.request {
                Request::Linger { until, .. } => Some(until),
                _ => None,
            },
            Wait::Tunnel => {
                let moved = self.client_moved.max(self.upstream_moved);
                timeouts.tunnel.map(|timeout| moved + timeout)
            }
        }
    }

    /// What the client is waited for. If it is to send and to read, it is the sending: that wait is
    /// never the longer one.
    fn client_wait(&self, client_reads: bool) -> Option<Wait> {
        match self.request {
            _ if self.is_tunnel() => Some(Wait::Tunnel),
            Request::Head(_) => self.record.arrived.map(|_| Wait::Head),
            Request::Body(_) if self.awaits_body() => Some(Wait::ClientSends),
            Request::Linger { .. } if matches!(self.response, Response::Ended(_)) => {
                Some(Wait::Linger)
            }
            _ => client_reads.then_some(Wait::ClientReads),
        }
    }

    fn upstream_wait(&self, client_reads: bool) -> Option<Wait> {
        let attempt = self.attempt.as_ref()?;
        if attempt.link == Link::Connecting {
            return Some(Wait::Connect);
        }
        let (is_answer_due, wait) = match self.response {
            Response::Head { .. } => (true, Wait::Response),
            Response::Body(_) => (true, Wait::Stream),
            _ => (false, Wait::Response),
        };
        let has_request = self.about.continue_due || !matches!(self.request, Request::Body(_));
        let is_due = is_answer_due && has_request && !client_reads || !self.up.is_drained();
        (is_due && !self.is_tunnel()).then_some(wait)
    }

    /// Bytes of a body buy the client time at the price of the least rate, never more than the
    /// timeout; waiting uses it up. So neither silence nor a drip holds a connection for ever.
    pub(super) fn earn_patience(&mut self, count: usize, context: &Context<'_>) {
        if !matches!(self.request, Request::Body(_)) {
            return;
        }
        let longest = context.settings.timeouts.body;
        let Some(rate) = context.settings.limits.body_rate else {
            self.patience = longest;
            return;
        };
        if self.awaits_body() {
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
        matches!(self.request, Request::Body(_)) && self.up.is_drained() && !self.about.continue_due
    }

    /// A wait that began with this event counts from now, not from when that side last moved.
    pub(super) fn note_new_waits(&mut self, context: &Context<'_>) {
        let now = context.now;
        let client_reads = !self.down.is_drained();
        let client = self.client_wait(client_reads);
        let upstream = self.upstream_wait(client_reads);
        let after = Awaited { client, upstream, client_reads };
        let before = std::mem::replace(&mut self.awaited, after);
        if after == before {
            return;
        }
        match (before.awaits_body(), after.awaits_body()) {
            (false, true) => {
                (self.client_moved, self.body_awaited) = (now, now);
                if let Some(attempt) = &mut self.attempt {
                    context.balancer.yield_probe(&mut attempt.lease);
                }
            }
            (true, false) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.timing.client_took(self.body_awaited, now);
                }
            }
            _ => {}
        }
        if client_reads && !before.client_reads {
            self.client_moved = now;
        }
        let is_answer = |wait| matches!(wait, Some(Wait::Response | Wait::Stream));
        if is_answer(upstream) && !is_answer(before.upstream) {
            self.upstream_moved = now;
        }
    }

    /// Ends the first wait whose time has come. What it leads to is waited for anew.
    pub(super) fn end_waits(&mut self, context: &mut Context<'_>) {
        let timeouts = &context.settings.timeouts;
        let is_due = |wait: &Wait| {
            self.deadline_of(*wait, timeouts).is_some_and(|deadline| deadline <= context.now)
        };
        let Awaited { client, upstream, .. } = self.awaited;
        let Some(wait) = client.into_iter().chain(upstream).find(is_due) else { return };
        match wait {
            Wait::Head => self.fail(Fault::HeaderTimeout, context),
            Wait::ClientSends => self.fail(Fault::BodyTimeout, context),
            Wait::ClientReads => self.stalled(context),
            Wait::Connect => {
                // The backend's next address has a time of its own.
                self.upstream_moved = context.now;
                self.actions.push_back(Action::ConnectExpired);
            }
            Wait::Response => self.fail(Fault::ResponseTimeout, context),
            Wait::Stream => self.fail(Fault::StreamTimeout, context),
            Wait::Linger => self.hang_up(),
            Wait::Tunnel => self.tunnel_idle(context),
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
        if !self.down.is_drained() {
            return self.stalled(context);
        }
        if !self.up.is_drained() {
            return self.break_tunnel(Fault::UpstreamStalled, context);
        }
        self.record.fault.get_or_insert(Fault::TunnelTimeout);
        self.release(Action::Discard, context);
        self.cut(CloseMode::Close, context);
    }
}
