//! One request and its response as a state machine without sockets, clocks or threads.
//!
//! Bytes come in by [`Exchange::space`] and [`Exchange::filled`], leave by [`Exchange::pending`]
//! and [`Exchange::drained`], and whatever only a worker can do is asked for by
//! [`Exchange::next_action`]. So every behaviour of the proxy is tested with byte strings and simulated
//! time. It must not import `reactor`.
//!
//! The state is a pair of half-duplex machines. `settle` owns every transition
//! that depends on both; the halves live in `request` and `response`, the clock in `waits`.

mod action;
mod ending;
mod request;
mod request_record;
mod response;
mod state;
mod timing;
mod waits;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use self::action::{Action, CloseMode, ConnectFailure, Context, Phase, Side, StreamEnd};
use self::request_record::RequestRecord;
use self::response::longest_idle;
use self::state::{Attempt, Link, Request, RequestContext, Response, Serves};
use self::timing::Timing;
use self::waits::Awaited;
use super::fault::Fault;
use super::pipe::Pipe;
use super::settings::{HalfClose, Settings, UpstreamReuse};
use crate::balance::{BackendId, Outcome, Tried};
use crate::buffer::FreeList;
use crate::http::{ArrivingHead, Framing, Method, ReplyOptions, Version, reply};
use crate::journal::Record;

/// See the module's description.
#[derive(Debug)]
pub struct Exchange {
    request: Request,
    response: Response,
    /// From client to upstream.
    up: Pipe,
    /// From upstream to client.
    down: Pipe,
    about: RequestContext,
    /// Field names that the request's and the response's `Connection` list, for their trailers.
    request_named: Vec<u8>,
    response_named: Vec<u8>,
    /// The protocols that the client offered to change to.
    offered: Vec<u8>,
    attempt: Option<Attempt>,
    /// Whether the upstream connection can serve another request.
    reusable: bool,
    /// For how many seconds its backend says that it may rest unused before that.
    idle_seconds: Option<u64>,
    /// The backend to which a connection is kept that is bound to this client.
    kept: Option<BackendId>,
    tried: Tried,
    actions: VecDeque<Action>,
    /// When the client, and the upstream, last made progress or began to be waited for.
    client_moved: Instant,
    upstream_moved: Instant,
    /// When more of the request's body began to be waited for, if it is.
    body_awaited: Instant,
    /// How long the client may leave us waiting for its body, from when it last moved.
    patience: Duration,
    /// What was waited for after the last event.
    awaited: Awaited,
    record: RequestRecord,
}

impl Exchange {
    /// An exchange that waits for a request.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            request: Request::Head(ArrivingHead::default()),
            response: Response::Idle,
            up: Pipe::default(),
            down: Pipe::default(),
            about: RequestContext::NONE,
            request_named: Vec::new(),
            response_named: Vec::new(),
            offered: Vec::new(),
            attempt: None,
            reusable: false,
            idle_seconds: None,
            kept: None,
            tried: Tried::default(),
            actions: VecDeque::new(),
            client_moved: now,
            upstream_moved: now,
            body_awaited: now,
            patience: Duration::ZERO,
            awaited: Awaited::default(),
            record: RequestRecord::default(),
        }
    }

    /// Makes it ready for another client's connection, its allocations kept.
    pub fn reset(&mut self, now: Instant) {
        self.up.clear();
        self.down.clear();
        self.actions.clear();
        self.attempt = None;
        self.kept = None;
        self.awaited = Awaited::default();
        self.next_request(now);
    }

    /// A connection to this backend was kept for the client, see [`Action::Keep`], and is alive.
    pub fn kept(&mut self, backend: BackendId) {
        self.kept = Some(backend);
    }

    fn next_request(&mut self, now: Instant) {
        self.request = Request::Head(ArrivingHead::default());
        self.response = Response::Idle;
        self.up.discard_ready();
        self.down.clear();
        self.about = RequestContext::NONE;
        self.request_named.clear();
        self.response_named.clear();
        self.offered.clear();
        self.reusable = false;
        self.tried = Tried::default();
        (self.client_moved, self.upstream_moved) = (now, now);
        self.record.clear();
    }

    /// Where bytes from `from` may be received. Empty means: do not read now.
    pub fn space(&mut self, from: Side, free: &mut FreeList) -> &mut [u8] {
        let wanted = match (from, &self.request, &self.response) {
            (Side::Client, Request::Head(_), response) => matches!(response, Response::Idle),
            (Side::Client, Request::Linger { left_bytes, .. }, _) => *left_bytes > 0,
            (Side::Client, request, _) => matches!(request, Request::Body(_) | Request::Tunnel),
            (Side::Upstream, _, Response::Body(codec)) => {
                !codec.makes_chunks() || self.down.is_drained()
            }
            // Once it is given back, what comes is for whoever looks whether it can be kept.
            (Side::Upstream, _, Response::Done) => self.attempt.is_some(),
            (Side::Upstream, _, response) => {
                matches!(response, Response::Head { .. } | Response::Tunnel)
            }
        };
        let pipe = if from == Side::Client { &mut self.up } else { &mut self.down };
        if wanted { pipe.body.space(free) } else { &mut [] }
    }

    /// `count` bytes were received from `from` into [`Exchange::space`].
    pub fn filled(&mut self, from: Side, count: usize, context: &mut Context<'_>) {
        self.event(context, |exchange, context| match from {
            Side::Client => {
                exchange.earn_patience(count, context);
                // What is dropped is no progress.
                if !matches!(exchange.request, Request::Linger { .. }) {
                    exchange.client_moved = context.now;
                }
                exchange.up.body.filled(count);
                exchange.client_bytes(context);
            }
            Side::Upstream => {
                // A head has to be whole in time, however it drips.
                if !matches!(exchange.response, Response::Head { .. }) {
                    exchange.upstream_moved = context.now;
                }
                exchange.down.body.filled(count);
                exchange.upstream_bytes(context);
            }
        });
    }

    /// What should be sent to `to` now, as at most two runs.
    #[must_use]
    pub fn pending(&self, to: Side) -> [&[u8]; 2] {
        match (to, &self.attempt) {
            (Side::Client, _) => self.down.pending(),
            (Side::Upstream, Some(Attempt { link: Link::WriteClosed { .. }, .. }) | None) => {
                [&[], &[]]
            }
            (Side::Upstream, Some(_)) => self.up.pending(),
        }
    }

    /// Whether the client's stream ends as soon as what is pending for it was sent.
    #[must_use]
    pub fn ends_client(&self) -> bool {
        let is_all_here = matches!(self.response, Response::Done | Response::Reply);
        let is_last = self.attempt.is_none() && !self.about.keep_alive;
        is_all_here && is_last && self.down.is_all_pending()
    }

    /// The first `count` pending bytes were sent to `to`.
    pub fn drained(&mut self, to: Side, count: usize, context: &mut Context<'_>) {
        self.event(context, |exchange, context| match to {
            Side::Client => {
                exchange.client_moved = context.now;
                exchange.record.response_bytes += count as u64;
                exchange.down.drained(count);
                if exchange.down.is_drained() {
                    exchange.upstream_bytes(context);
                }
            }
            Side::Upstream => {
                exchange.upstream_moved = context.now;
                exchange.up.drained(count);
                exchange.note_request_sent(context.now);
                if matches!(exchange.response, Response::AwaitUpstream) {
                    exchange.upstream_connected(false, context);
                }
            }
        });
    }

    /// Whether the end of the client's stream means that the client left, so that
    /// [`Exchange::closed`] should tell of a reset. Bytes that precede that end may be unread: they
    /// are of a later request.
    #[must_use]
    pub fn ends_with_client(&self, settings: &Settings) -> bool {
        settings.half_close == HalfClose::Cancel
            && matches!(self.request, Request::Done)
            && matches!(self.response, Response::AwaitUpstream | Response::Head { .. })
    }

    /// The stream from `side` ended, or can't be written to any more.
    pub fn closed(&mut self, side: Side, how: StreamEnd, context: &mut Context<'_>) {
        self.event(context, |exchange, context| match side {
            Side::Client => exchange.client_closed(how, context),
            Side::Upstream => exchange.upstream_closed(how, context),
        });
    }

    /// The upstream connection demanded came from the pool. A new one needs no such word: the first
    /// byte it takes proves it.
    pub fn reused_connection(&mut self, context: &mut Context<'_>) {
        self.event(context, |exchange, context| exchange.upstream_connected(true, context));
    }

    /// The upstream connection demanded could not be made.
    pub fn unreachable(&mut self, failure: ConnectFailure, context: &mut Context<'_>) {
        self.event(context, |exchange, context| exchange.connect_failed(failure, context));
    }

    /// A wait may be over: see [`Exchange::deadline`].
    pub fn expired(&mut self, context: &mut Context<'_>) {
        self.event(context, Self::end_waits);
    }

    /// The proxy has waited long enough for what is in flight.
    pub fn stop(&mut self, context: &mut Context<'_>) {
        self.event(context, |exchange, context| {
            if exchange.is_idle() {
                return exchange.hang_up();
            }
            exchange.about.keep_alive = false;
            exchange.fail(Fault::Stopped, context);
        });
    }

    /// The row demanded is written. `is_ended` tells whether the end of the client's stream was
    /// received.
    pub fn reported(&mut self, is_ended: bool, context: &mut Context<'_>) {
        self.event(context, |exchange, context| exchange.after_the_row(is_ended, context));
    }

    /// What a worker must do next, in order.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether a worker must do something next.
    #[must_use]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// The row of the request that just ended, or is in flight.
    #[must_use]
    pub fn record(&self, peer: SocketAddr, now: Instant) -> Record<'_> {
        self.record.record(peer, now)
    }

    /// What went wrong with the request that just ended, or is in flight.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.record.fault
    }

    /// Whether it waits for a request of which no byte has arrived.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!((&self.request, &self.response), (Request::Head(_), Response::Idle))
            && self.record.arrived.is_none()
    }

    /// Whether nothing of its client's present connection is in it, so that a worker need not keep
    /// it: neither a request nor an empty line before one.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        let is_new = matches!(&self.request, Request::Head(arriving) if arriving.is_untouched());
        is_new && self.is_idle() && self.up.body.raw().is_empty()
    }

    /// Bytes of memory in use for what is on its way; blocks count whole.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.up.held_bytes() + self.down.held_bytes()
    }

    /// Gives back the blocks that hold nothing.
    pub fn release_buffers(&mut self, free: &mut FreeList) {
        self.up.release_block(free);
        self.down.release_block(free);
    }

    /// Whether bytes pass as they are in at least one direction.
    fn is_tunnel(&self) -> bool {
        matches!(self.request, Request::Tunnel | Request::TunnelEnding)
            || matches!(self.response, Response::Tunnel | Response::TunnelEnding)
    }

    fn event(&mut self, context: &mut Context<'_>, act: impl FnOnce(&mut Self, &mut Context<'_>)) {
        act(self, context);
        self.settle(context);
        self.note_new_waits(context);
    }

    /// Every transition that depends on both halves.
    fn settle(&mut self, context: &mut Context<'_>) {
        if matches!(self.request, Request::TunnelEnding) && self.up.is_drained() {
            self.request = Request::Done;
            self.actions.push_back(Action::FinishUpstream);
        }
        if matches!(self.response, Response::TunnelEnding) && self.down.is_drained() {
            self.response = Response::Done;
            self.actions.push_back(Action::FinishClient);
        }
        if matches!(self.response, Response::Done) && self.attempt.is_some() {
            self.settle_upstream(context);
        }
        if self.attempt.is_none() && self.down.is_drained() {
            let ending = match self.response {
                Response::Done | Response::Reply | Response::Aborted(CloseMode::Close) => None,
                Response::Aborted(CloseMode::Reset) => Some(CloseMode::Reset),
                _ => return,
            };
            self.response = Response::Ended(ending);
            self.actions.push_back(Action::Report);
        }
    }

    /// Notes when the upstream has all of the request.
    fn note_request_sent(&mut self, now: Instant) {
        if let Some(attempt) = &mut self.attempt
            && matches!(self.request, Request::Done)
            && self.up.is_drained()
        {
            attempt.timing.request_sent(now);
        }
    }

    /// Lets go of the upstream connection once the response is whole and the request is, too.
    fn settle_upstream(&mut self, context: &Context<'_>) {
        match self.request {
            Request::Tunnel | Request::TunnelEnding => return,
            // An answer came early. An upstream that reads on gets the rest of the request; one
            // that closes won't, and the client is kept reading until it has seen the answer.
            Request::Body(_) | Request::Done if !self.up.is_drained() && self.reusable => return,
            Request::Body(_) if self.reusable => return,
            Request::Body(_) => self.linger(context),
            _ => {}
        }
        let timeouts = &context.settings.timeouts;
        let limit = match self.about.serves {
            Serves::Anyone => timeouts.upstream_idle,
            // One that is bound to a client rests as long as that may.
            Serves::Client => timeouts.client_idle,
        };
        let idle = longest_idle(self.idle_seconds, limit);
        let recycle = self.reusable
            && !idle.is_zero()
            && context.settings.upstream_reuse == UpstreamReuse::Persistent
            && matches!(self.request, Request::Done);
        let how = match recycle {
            true if self.about.serves == Serves::Anyone => Action::Recycle { idle },
            true if self.about.keep_alive => {
                self.kept = self.record.backend;
                Action::Keep { idle }
            }
            _ if self.all_is_said() => Action::Reset,
            _ => Action::Discard,
        };
        self.release(how, context);
    }

    /// Whether neither side of the upstream connection can have bytes that the other still wants.
    /// An answer proves that the head was read; of a body, a part may be unread.
    fn all_is_said(&self) -> bool {
        let is_bodiless = matches!(self.about.framing, Framing::None | Framing::Length(0));
        is_bodiless && self.up.is_drained()
    }

    /// Ends the attempt, if there is one.
    fn release(&mut self, how: Action, context: &Context<'_>) {
        if let Some(attempt) = self.attempt.take() {
            self.record.upstream_ended = Some(context.now);
            context.balancer.release(attempt.lease);
            self.actions.push_back(how);
        }
    }

    /// Gives up on this request: answers it if that is still possible, else breaks it off visibly.
    fn fail(&mut self, fault: Fault, context: &mut Context<'_>) {
        self.name_unparsed();
        self.record.fault.get_or_insert(fault);
        if let Some(attempt) = self.attempt.as_mut().filter(|_| fault.blames_upstream()) {
            context.balancer.observe(&mut attempt.lease, Outcome::Failed, context.now);
        }
        self.release(self.break_off(), context);
        match self.response {
            Response::Reply | Response::Aborted(_) | Response::Ended(_) => {}
            _ if self.is_tunnel() => self.cut(CloseMode::Reset, context),
            Response::Done => self.linger(context),
            Response::Body(_) if !self.down.is_untouched() => {
                let how = if self.about.until_close { CloseMode::Reset } else { CloseMode::Close };
                self.cut(how, context);
            }
            _ => self.answer(fault.status(), fault.explanation(), context),
        }
    }

    /// Answers the request here.
    fn answer(&mut self, status: u16, explanation: &str, context: &mut Context<'_>) {
        if self.down.is_untouched() {
            self.down.clear();
            self.record.interim_bytes = self.record.response_bytes;
        }
        if !matches!(self.request, Request::Done) || self.about.version == Version::Http10 {
            self.about.keep_alive = false;
        }
        self.about.keep_alive &= context.phase != Phase::Draining
            && context.settings.upstream_reuse == UpstreamReuse::Persistent;
        let options = ReplyOptions {
            close: !self.about.keep_alive,
            date: context.date,
            head_only: self.about.method == Method::Head,
            allow: matches!(status, 200 | 405),
        };
        reply(self.down.head(), status, explanation, &options);
        self.record.status = status;
        self.response = Response::Reply;
        if !matches!(self.request, Request::Done) {
            self.linger(context);
        }
    }

    /// A request whose head never became one is named by what there is of it. If that is a `HEAD`,
    /// its answer has no content either.
    fn name_unparsed(&mut self) {
        if let Request::Head(arriving) = &self.request {
            let raw = arriving.of(self.up.body.raw());
            self.record.name_unparsed(raw);
            self.record.request_bytes += raw.len() as u64;
            self.about.method = Method::classify(self.record.method());
        }
    }
}
