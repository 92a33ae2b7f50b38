//! One request and its response as a state machine without sockets, clocks or threads.
//!
//! Bytes come in by [`Exchange::space`] and [`Exchange::received`], leave by [`Exchange::pending`]
//! and [`Exchange::sent`], and whatever only a worker can do is asked for by [`Action`]s. What they
//! mean is found out in one place, [`Exchange::work`]. So every behaviour of the proxy is tested
//! with byte strings and simulated time. It must not import `reactor`.
//!
//! The states are a pair of half-duplex machines (`state`), whose halves live in `request` and
//! `response`, beside the attempts at backends (`attempt`, `failover`); what is waited for follows
//! from them (`waits`). `settle` owns every transition that depends on both halves.

mod action;
mod attempt;
mod discard;
mod ending;
mod failover;
mod hedging;
mod invariants;
mod queueing;
mod request;
mod request_context;
mod request_record;
mod response;
mod state;
mod timing;
mod waits;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use self::action::{
    Action, CloseMode, ConnectFailure, Context, HedgeEvent, Phase, Side, Source, StreamEnd,
};
pub use self::attempt::{AttemptId, AttemptIds, MAX_ATTEMPTS};
use self::attempt::{Attempts, Link, Origin};
pub use self::discard::{DISCARD_BYTES, DISCARD_TIME, Discard, Discarded};
use self::request_context::{Expects, RequestContext};
use self::request_record::RequestRecord;
use self::state::{Request, Response, States};
use self::waits::Awaited;
use super::fault::Fault;
use super::pipe::{Cursor, Pipe};
use super::resolver::AddressCursor;
use super::settings::{HalfClose, Settings};
use crate::balance::{BackendId, Lease, Tried};
use crate::buffer::FreeList;
use crate::endpoint::Client;
use crate::http::ArrivingHead;
use crate::journal::Record;

/// See the module's description.
///
/// # What a caller does, and in which order
///
/// 1. It reports what happened, as often as it likes and in any order: bytes that came
///    ([`Exchange::space`], then [`Exchange::received`]), a stream's end or failure
///    ([`Exchange::closed`]), what came of an [`Action::Dial`] ([`Exchange::reused`],
///    [`Exchange::dialing`], [`Exchange::dial_failed`]), and bytes that left
///    ([`Exchange::pending`], then [`Exchange::sent`]). All of this is only noted.
/// 2. It calls [`Exchange::work`], which does all that is due.
/// 3. It runs the actions, [`Exchange::next_action`], in their order and all of them, before it
///    reports anything but what these led to. After an [`Action::Dial`] that failed at once it goes
///    on with 2, after [`Action::Hangup`] the exchange is over.
/// 4. It sends what is pending, and after that goes on with 2.
///
/// Where something can still be read that the exchange wants ([`Exchange::wants`]), or something
/// pending ([`Exchange::has_pending`]) can be sent, it begins again.
///
/// When nothing is left to do, it says so by [`Exchange::begin_waits`], which tells when to call
/// [`Exchange::expired`], and gives back blocks by [`Exchange::release_buffers`]. It calls
/// [`Exchange::expired`], [`Exchange::stop`], [`Exchange::close_idle`],
/// [`Exchange::backends_removed`], [`Exchange::servers_removed`], [`Exchange::abort`] and
/// [`Exchange::reported`] when it has run all actions, and then goes on with 3: these work by
/// themselves.
///
/// An attempt is named by its [`AttemptId`] from its first [`Action::Dial`] to the action that puts
/// away its connection; after that the name may be another attempt's. What is reported of one that
/// is not out is ignored.
#[derive(Debug)]
pub struct Exchange {
    states: States,
    attempts: Attempts,
    /// What the client is called in the queue.
    client: u64,
    /// From the client to upstreams.
    up: Pipe,
    /// From the upstream that won to the client.
    down: Pipe,
    /// How much of `down` the client was sent.
    delivered: Cursor,
    about: RequestContext,
    /// Field names that the request's and the response's `Connection` list, for their trailers.
    request_named: Vec<u8>,
    response_named: Vec<u8>,
    /// The protocols that the client offered to change to.
    offered: Vec<u8>,
    /// The backend to which a connection is kept that is bound to this client.
    bound: Option<BackendId>,
    tried: Tried,
    actions: VecDeque<Action>,
    /// How the client's stream ended, until that is worked on.
    client_end: Option<StreamEnd>,
    /// When the client last made progress or began to be waited for.
    client_moved: Instant,
    /// When more of the request's body began to be waited for, if it is.
    body_awaited: Instant,
    /// How long the client may leave us waiting for its body, from when it last moved.
    patience: Duration,
    /// What the client was waited for after the last event.
    awaited: Awaited,
    record: RequestRecord,
}

impl Exchange {
    /// An exchange that waits for a request.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            states: States::default(),
            attempts: Attempts::default(),
            client: 0,
            up: Pipe::default(),
            down: Pipe::default(),
            delivered: Cursor::default(),
            about: RequestContext::NONE,
            request_named: Vec::new(),
            response_named: Vec::new(),
            offered: Vec::new(),
            bound: None,
            tried: Tried::default(),
            actions: VecDeque::new(),
            client_end: None,
            client_moved: now,
            body_awaited: now,
            patience: Duration::ZERO,
            awaited: Awaited::default(),
            record: RequestRecord::default(),
        }
    }

    /// Makes it ready for another client's connection, its allocations kept. No attempt is out.
    pub fn reset(&mut self) {
        self.bound = None;
        if self.is_untouched() {
            return;
        }
        debug_assert!(self.attempts.is_empty(), "a lease would be lost");
        self.states = States::default();
        self.up.clear();
        self.actions.clear();
        self.client_end = None;
        self.forget_request();
    }

    /// A connection to this backend was kept for the client, see [`Action::Keep`], and is alive.
    pub fn kept(&mut self, backend: BackendId) {
        self.bound = Some(backend);
    }

    fn next_request(&mut self, context: &mut Context<'_>) {
        self.forget_request();
        self.both_become((Request::Head(ArrivingHead::default()), Response::Idle), context);
    }

    fn forget_request(&mut self) {
        self.up.discard_ready();
        self.down.clear();
        self.delivered = Cursor::default();
        self.about = RequestContext::NONE;
        self.request_named.clear();
        self.response_named.clear();
        self.offered.clear();
        self.tried.clear();
        self.record.clear();
        self.awaited = Awaited::default();
    }

    /// Where bytes from `from` may be received. Empty means: do not read now.
    pub fn space(&mut self, from: Side, free: &mut FreeList) -> &mut [u8] {
        if !self.wants(from) {
            return &mut [];
        }
        let space = match from {
            Side::Client => self.up.body.space(free),
            Side::Upstream(id) if self.attempts.winner() == Some(id) => self.down.body.space(free),
            Side::Upstream(id) => {
                self.attempts.get_mut(id).map_or(&mut [][..], |attempt| attempt.buffer.space(free))
            }
        };
        debug_assert!(!space.is_empty(), "{from:?} is to be read in vain");
        space
    }

    /// Whether there is space for bytes from `from`.
    #[must_use]
    pub fn wants(&self, from: Side) -> bool {
        match from {
            Side::Client => self.wants_client() && self.up.body.has_space(),
            Side::Upstream(id) if self.attempts.winner() == Some(id) => {
                self.wants_response(id) && self.down.body.has_space()
            }
            Side::Upstream(id) => self.attempts.get(id).is_some_and(|attempt| {
                attempt.is_readable() && !attempt.is_held() && attempt.buffer.has_space()
            }),
        }
    }

    fn wants_client(&self) -> bool {
        self.client_end.is_none()
            && match self.states.request() {
                Request::Head(_) | Request::Body(_) | Request::Tunnel => true,
                Request::Linger { left_bytes, .. } => *left_bytes > 0,
                Request::Done | Request::TunnelEnding | Request::Closed => false,
            }
    }

    fn wants_response(&self, winner: AttemptId) -> bool {
        let is_readable = self.attempts.get(winner).is_some_and(|winner| winner.end.is_none());
        is_readable
            && match self.states.response() {
                Response::Body(codec) => {
                    !codec.makes_chunks() || self.down.is_drained(self.delivered)
                }
                // What comes behind the end tells whether the connection can be used again.
                response => matches!(response, Response::Tunnel | Response::Done),
            }
    }

    /// `count` bytes were received from `from` into [`Exchange::space`].
    pub fn received(&mut self, from: Side, count: usize) {
        match from {
            Side::Client => self.up.body.filled(count),
            Side::Upstream(id) if self.attempts.winner() == Some(id) => {
                self.down.body.filled(count);
            }
            Side::Upstream(id) => {
                if let Some(attempt) = self.attempts.get_mut(id) {
                    attempt.buffer.filled(count);
                }
            }
        }
    }

    /// The stream from `side` ended, as reading into [`Exchange::space`] told, or it can't be
    /// written to any more.
    pub fn closed(&mut self, side: Side, how: StreamEnd) {
        let end = match side {
            Side::Client => &mut self.client_end,
            Side::Upstream(id) => match self.attempts.get_mut(id) {
                Some(attempt) => &mut attempt.end,
                None => return,
            },
        };
        // How it ended says more than that a write failed.
        if how != StreamEnd::WriteFailed || end.is_none() {
            *end = Some(how);
        }
    }

    /// The connection demanded had served another request before. It is open.
    pub fn reused(&mut self, attempt: AttemptId) {
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.link = Link::Open(Origin::Reused);
        }
    }

    /// The connection demanded is being made. `more` names the address if the backend has another
    /// one behind it. The first byte that it takes proves that it is made.
    pub fn dialing(&mut self, attempt: AttemptId, more: Option<AddressCursor>) {
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.link = Link::Connecting { more };
        }
    }

    /// The connection that was being made, as [`Exchange::dialing`] told, did not come about.
    pub fn dial_failed(&mut self, attempt: AttemptId, failure: ConnectFailure) {
        if let Some(attempt) = self.attempts.get_mut(attempt)
            && let Link::Connecting { more } = attempt.link
        {
            attempt.link = Link::Failed { failure, more };
        }
    }

    /// What should be sent to `to` now, as at most two runs.
    #[must_use]
    pub fn pending(&self, to: Side) -> [&[u8]; 2] {
        match to {
            Side::Client => self.down.pending(self.delivered),
            Side::Upstream(id) => match self.attempts.get(id) {
                Some(attempt) if attempt.is_writable() => self.up.pending(attempt.sent),
                _ => [&[], &[]],
            },
        }
    }

    /// Whether anything should be sent to `to` now.
    #[must_use]
    pub fn has_pending(&self, to: Side) -> bool {
        match to {
            Side::Client => !self.down.is_drained(self.delivered),
            Side::Upstream(id) => self
                .attempts
                .get(id)
                .is_some_and(|attempt| attempt.is_writable() && !self.up.is_drained(attempt.sent)),
        }
    }

    /// Whether the client's stream ends as soon as what is pending for it was sent.
    #[must_use]
    pub fn ends_client(&self) -> bool {
        let is_all_here = matches!(self.states.response(), Response::Done | Response::Reply);
        let is_last = self.attempts.is_empty() && !self.about.keeps_alive();
        is_all_here && is_last && self.down.is_all_pending()
    }

    /// The first `count` pending bytes were sent to `to`.
    pub fn sent(&mut self, to: Side, count: usize, now: Instant) {
        match to {
            Side::Client => {
                self.client_moved = now;
                self.record.response_bytes += count as u64;
                self.down.sent(&mut self.delivered, count);
            }
            Side::Upstream(id) => {
                let Some(attempt) = self.attempts.get_mut(id) else { return };
                attempt.moved = now;
                self.up.sent(&mut attempt.sent, count);
                if matches!(attempt.link, Link::Connecting { .. }) {
                    attempt.link = Link::Open(Origin::New);
                    attempt.timing.connected(now);
                }
                let is_whole = matches!(self.states.request(), Request::Done);
                if is_whole && self.up.is_drained(attempt.sent) {
                    attempt.timing.request_sent(now);
                }
            }
        }
    }

    /// Whether the end of the client's stream means that the client left, so that
    /// [`Exchange::closed`] should tell of a reset. Bytes that precede that end may be unread: they
    /// are of a later request.
    #[must_use]
    pub fn ends_with_client(&self, settings: &Settings) -> bool {
        settings.half_close == HalfClose::Cancel
            && matches!(self.states.request(), Request::Done)
            && matches!(self.states.response(), Response::Awaited | Response::Queued(_))
    }

    /// A wait may be over: see [`Exchange::deadline`].
    pub fn expired(&mut self, context: &mut Context<'_>) {
        self.end_waits(context);
        self.work(context);
    }

    /// Whether there is something that a worker must do.
    #[must_use]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// What a worker must do next, in order.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The row of the request of `client` that just ended, or is in flight.
    #[must_use]
    pub fn record(&self, client: Client, now: Instant) -> Record<'_> {
        self.record.record(client, now)
    }

    /// The backend that the row names.
    #[must_use]
    pub fn backend(&self) -> Option<BackendId> {
        self.record.backend
    }

    /// The lease of an attempt that is out.
    #[must_use]
    pub fn lease(&self, attempt: AttemptId) -> Option<&Lease> {
        self.attempts.get(attempt).map(|attempt| &attempt.lease)
    }

    /// What went wrong with the request that just ended, or is in flight.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.record.fault
    }

    /// Whether it waits for a request of which no byte has arrived.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(
            (self.states.request(), self.states.response()),
            (Request::Head(_), Response::Idle)
        ) && self.record.arrived.is_none()
    }

    /// Whether nothing of its client's present connection is in it, so that a worker need not keep
    /// it: neither a request nor an empty line before one.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        let request = self.states.request();
        let is_new = matches!(request, Request::Head(arriving) if arriving.is_untouched());
        is_new && self.is_idle() && self.up.body.raw_len() == 0 && self.actions.is_empty()
    }

    /// Bytes of memory in use for what is on its way; blocks count whole.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let attempts = self.attempts.all().map(|attempt| attempt.buffer.held_bytes());
        self.up.held_bytes() + self.down.held_bytes() + attempts.sum::<usize>()
    }

    /// Gives back the blocks that hold nothing.
    pub fn release_buffers(&mut self, free: &mut FreeList) {
        self.up.body.release_block(free);
        self.down.body.release_block(free);
        for id in self.attempts.ids() {
            if let Some(attempt) = self.attempts.get_mut(id) {
                attempt.buffer.release_block(free);
            }
        }
    }

    /// Does all that is due after what was reported: parses, chooses, rewrites, and says by actions
    /// and by what is pending what follows.
    pub fn work(&mut self, context: &mut Context<'_>) {
        self.upstream_work(context);
        self.client_work(context);
        self.settle(context);
        self.check(context.now);
    }

    /// Makes a transition of the request. One that can't be is a bug: the connection is cut.
    #[inline]
    fn request_becomes(&mut self, request: Request, context: &mut Context<'_>) {
        let is_legal = self.states.enter_request(request, self.attempts.standing());
        self.stand_by(is_legal, context);
    }

    /// Likewise of the response.
    #[inline]
    fn response_becomes(&mut self, response: Response, context: &mut Context<'_>) {
        let is_legal = self.states.enter_response(response, self.attempts.standing());
        self.stand_by(is_legal, context);
    }

    /// Likewise of both.
    #[inline]
    fn both_become(&mut self, both: (Request, Response), context: &mut Context<'_>) {
        let is_legal = self.states.enter(both, self.attempts.standing());
        self.stand_by(is_legal, context);
    }

    #[inline]
    fn stand_by(&mut self, is_legal: bool, context: &mut Context<'_>) {
        debug_assert!(is_legal, "{:?} with {:?}", self.states, self.attempts.standing());
        if !is_legal {
            self.break_down(context);
        }
    }

    /// Every transition that depends on both halves.
    fn settle(&mut self, context: &mut Context<'_>) {
        if let Some(id) = self.attempts.winner() {
            self.settle_winner(id, context);
        }
        if self.attempts.is_empty() && self.down.is_drained(self.delivered) {
            let ending = match self.states.response() {
                Response::Done | Response::Reply | Response::Aborted(CloseMode::Close) => None,
                Response::Aborted(CloseMode::Reset) => Some(CloseMode::Reset),
                _ => return,
            };
            self.response_becomes(Response::Reporting(ending), context);
            self.actions.push_back(Action::Report);
        }
    }

    /// Ends the halves of a tunnel, and lets go of the upstream when both sides are done with it.
    fn settle_winner(&mut self, id: AttemptId, context: &mut Context<'_>) {
        let has_request = self.attempts.get(id).is_some_and(|a| self.up.is_drained(a.sent));
        if has_request && matches!(self.states.request(), Request::TunnelEnding) {
            self.request_becomes(Request::Closed, context);
            self.actions.push_back(Action::Finish(Side::Upstream(id)));
        }
        let has_response = self.down.is_drained(self.delivered);
        if has_response && matches!(self.states.response(), Response::TunnelEnding) {
            self.response_becomes(Response::Done, context);
            self.actions.push_back(Action::Finish(Side::Client));
        }
        if matches!(self.states.response(), Response::Done) {
            self.settle_upstream(id, context);
        }
    }
}
