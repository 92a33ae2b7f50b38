//! Whom an exchange waits for, and until when.
//!
//! No timer is ever set or cleared: each deadline follows from the states and from when a side last
//! moved, so none can be forgotten. A worker asks for the earliest one after each event.

use std::time::{Duration, Instant};

use super::{Context, Demand, Exchange, Fault, Hangup, Link, Request, Response};
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

const WAITS: [Wait; 8] = [
    Wait::Head,
    Wait::ClientSends,
    Wait::ClientReads,
    Wait::Connect,
    Wait::Response,
    Wait::Stream,
    Wait::Linger,
    Wait::Tunnel,
];

/// What is waited for, of each side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Awaited {
    /// The request's body, since when.
    pub(super) body_since: Option<Instant>,
    client_reads: bool,
    upstream: bool,
}

impl Exchange {
    /// When [`Exchange::expired`] should be called, if nothing happens before.
    #[must_use]
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        WAITS.iter().filter_map(|wait| self.deadline_of(*wait, timeouts)).min()
    }

    fn deadline_of(&self, wait: Wait, timeouts: &Timeouts) -> Option<Instant> {
        match wait {
            Wait::Head if matches!(self.request, Request::Head(_)) => {
                self.account.arrived.map(|arrived| arrived + timeouts.header)
            }
            Wait::ClientSends if self.awaits_body() => Some(self.client_moved + self.patience),
            Wait::ClientReads if !self.is_tunnel() && !self.down.is_drained() => {
                Some(self.client_moved + timeouts.body)
            }
            Wait::Connect => match &self.attempt {
                Some(attempt) if attempt.link == Link::Connecting => {
                    Some(self.upstream_moved + timeouts.connect)
                }
                _ => None,
            },
            Wait::Response if self.awaits_upstream() && !self.is_streaming() => {
                timeouts.response.map(|timeout| self.upstream_moved + timeout)
            }
            Wait::Stream if self.awaits_upstream() && self.is_streaming() => {
                timeouts.stream.map(|timeout| self.upstream_moved + timeout)
            }
            Wait::Linger => match self.request {
                Request::Linger { until, .. } if matches!(self.response, Response::Ended(_)) => {
                    Some(until)
                }
                _ => None,
            },
            Wait::Tunnel if self.is_tunnel() => {
                let moved = self.client_moved.max(self.upstream_moved);
                timeouts.tunnel.map(|timeout| moved + timeout)
            }
            _ => None,
        }
    }

    /// Bytes of a body buy the client time at the price of the least rate, never more than the
    /// timeout; waiting uses it up. So neither silence nor a drip holds a connection for ever.
    pub(super) fn earn_patience(&mut self, count: usize, context: &Context<'_>) {
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

    fn awaits_body(&self) -> bool {
        matches!(self.request, Request::Body(_)) && self.up.is_drained() && !self.call.continue_due
    }

    /// Whether the upstream's next bytes are of a response's body.
    fn is_streaming(&self) -> bool {
        matches!(self.response, Response::Body(_))
    }

    fn awaits_upstream(&self) -> bool {
        let open = self.attempt.as_ref().is_some_and(|attempt| attempt.link != Link::Connecting);
        let answer_due = matches!(self.response, Response::Head { .. } | Response::Body(_))
            && (self.call.continue_due || !matches!(self.request, Request::Body(_)))
            && self.down.is_drained();
        open && !self.is_tunnel() && (answer_due || !self.up.is_drained())
    }

    /// A wait that began with this event counts from now, not from when that side last moved.
    pub(super) fn note_new_waits(&mut self, context: &Context<'_>) {
        let now = context.now;
        let before = self.awaited;
        self.awaited = Awaited {
            body_since: self.awaits_body().then(|| before.body_since.unwrap_or(now)),
            client_reads: !self.down.is_drained(),
            upstream: self.awaits_upstream(),
        };
        match (before.body_since, self.awaited.body_since) {
            (None, Some(_)) => {
                self.client_moved = now;
                if let Some(attempt) = &mut self.attempt {
                    context.balancer.yield_probe(&mut attempt.lease);
                }
            }
            (Some(since), None) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.timing.client_took(since, now);
                }
            }
            _ => {}
        }
        if self.awaited.client_reads && !before.client_reads {
            self.client_moved = now;
        }
        if self.awaited.upstream && !before.upstream {
            self.upstream_moved = now;
        }
    }

    /// Ends the first wait whose time has come. What it leads to is waited for anew.
    pub(super) fn end_waits(&mut self, context: &mut Context<'_>) {
        let timeouts = &context.settings.timeouts;
        let is_due = |wait: &Wait| {
            self.deadline_of(*wait, timeouts).is_some_and(|deadline| deadline <= context.now)
        };
        let Some(wait) = WAITS.into_iter().find(is_due) else { return };
        match wait {
            Wait::Head => self.fail(Fault::HeaderTimeout, context),
            Wait::ClientSends => self.fail(Fault::BodyTimeout, context),
            Wait::ClientReads => self.stalled(context),
            Wait::Connect => {
                // The backend's next address has a time of its own.
                self.upstream_moved = context.now;
                self.demands.push_back(Demand::ConnectExpired);
            }
            Wait::Response => self.fail(Fault::ResponseTimeout, context),
            Wait::Stream => self.fail(Fault::StreamTimeout, context),
            Wait::Linger => self.hang_up(),
            Wait::Tunnel => self.tunnel_idle(context),
        }
    }

    /// The client reads nothing. The row keeps the status if a part of the response was sent.
    fn stalled(&mut self, context: &mut Context<'_>) {
        let status = self.account.status;
        self.abandon(Fault::ClientStalled, context);
        if self.account.is_answer_begun() {
            self.account.status = status;
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
        self.account.fault.get_or_insert(Fault::TunnelTimeout);
        self.release(Demand::Discard, context);
        self.cut(Hangup::Close, context);
    }
}
