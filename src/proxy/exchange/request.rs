//! The client's half: from the first byte of a request to a backend that shall have it.

use super::{
    Action, Attempt, ConnectFailure, Context, Exchange, Link, Phase, Request, RequestContext,
    Response, Serves, StreamEnd, Timing,
};
use crate::balance::{Choice, Outcome};
use crate::http::{
    ArrivingHead, Framing, HeadSearch, Headers, Name, RequestHop, authenticates_connection,
    connection_named, forwarded_for, has_passed, offered_protocols, rewrite_request,
};
use crate::proxy::HEALTH_AGENT;
use crate::proxy::body_codec::{BodyCodec, TrailerRules};
use crate::proxy::fault::Fault;
use crate::proxy::settings::UpstreamReuse;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
enum Destination {
    Backend,
    /// It asks the proxy itself.
    Here,
    /// It has been here before, and would come back for ever.
    Nowhere,
}

/// Whether the user agent is the one of `--health`.
fn is_health_agent(head: &[u8], headers: &Headers) -> bool {
    headers.fields().iter().any(|field| {
        field.name.of(head).eq_ignore_ascii_case(b"User-Agent")
            && field.value.of(head) == HEALTH_AGENT
    })
}

impl Exchange {
    /// Works on what the client sent.
    pub(super) fn client_bytes(&mut self, context: &mut Context<'_>) {
        match &mut self.request {
            Request::Head(_) => self.request_head(context),
            Request::Body(_) => self.request_body(context),
            Request::Linger { left_bytes, .. } => {
                *left_bytes = left_bytes.saturating_sub(self.up.body.raw().len());
                self.up.body.discard_all();
                if *left_bytes == 0 && matches!(self.response, Response::Ended(_)) {
                    self.hang_up();
                }
            }
            Request::Tunnel => {
                let count = self.up.body.raw().len();
                self.record.request_bytes += count as u64;
                self.up.body.commit(count);
            }
            Request::Done | Request::TunnelEnding => {}
        }
    }

    fn request_head(&mut self, context: &mut Context<'_>) {
        let Request::Head(arriving) = &mut self.request else { return };
        match arriving.skip_empty_lines(self.up.body.raw()) {
            Ok(count) => self.up.body.discard(count),
            Err(error) => return self.fail(Fault::RequestHead(error), context),
        }
        let (out, raw) = self.up.head_and_raw();
        if !ArrivingHead::is_begun(raw) {
            return;
        }
        self.record.arrived.get_or_insert(context.now);
        let limit = context.settings.limits.head_bytes;
        let (end, request) = match arriving.parse(raw, limit, context.headers) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => return self.fail(Fault::RequestHead(error), context),
        };
        let head = &raw[..end];
        let is_bound = authenticates_connection(head, context.headers, Name::Authorization);
        self.about = RequestContext {
            method: request.method,
            version: request.version,
            framing: request.framing,
            keep_alive: request.keep_alive,
            until_close: false,
            // Somebody's time must run out, and the backend's does not if it has no limit.
            continue_due: request.expect_continue && context.settings.timeouts.response.is_some(),
            serves: if is_bound { Serves::Client } else { Serves::Anyone },
        };
        self.record
            .name_request(request.method_name.of(head), request.target.path_and_query().of(head));
        let is_loop = has_passed(head, context.headers, &context.settings.pseudonym);
        self.record.is_probe = request.ends_here() && is_health_agent(head, context.headers);
        connection_named(head, context.headers, &mut self.request_named);
        let close = context.settings.upstream_reuse == UpstreamReuse::NonPersistent;
        offered_protocols(head, context.headers, &request, &mut self.offered);
        let default_host = context.settings.default_host();
        let (peer, trusted) = (context.peer, &context.settings.trusted);
        let is_trusted = trusted.trusts(peer.client());
        if is_trusted {
            self.record.client = trusted.client(forwarded_for(head, context.headers));
        }
        let pseudonym = context.settings.pseudonym.as_str();
        let peer = peer.ip_text();
        let hop = RequestHop { peer, pseudonym, is_trusted, default_host, close };
        rewrite_request(out, head, context.headers, &request, &hop);
        self.up.body.discard(end);
        self.record.request_bytes += end as u64;
        let destination = match request.ends_here() {
            _ if is_loop => Destination::Nowhere,
            true => Destination::Here,
            false => Destination::Backend,
        };
        self.admit(request.framing, destination, context);
    }

    /// The head is valid: starts on the body, and finds a backend.
    fn admit(&mut self, framing: Framing, to: Destination, context: &mut Context<'_>) {
        self.request = match framing {
            // A request can't end with its connection (RFC 9112 §6.3); that is for responses only.
            Framing::None | Framing::UntilClose => Request::Done,
            Framing::Length(left) => Request::Body(BodyCodec::Length { left }),
            Framing::Chunked => {
                Request::Body(BodyCodec::chunked(false, context.settings.limits.head_bytes))
            }
        };
        let limit = context.settings.limits.body_bytes;
        if matches!(framing, Framing::Length(bytes) if limit.is_some_and(|limit| bytes > limit)) {
            return self.fail(Fault::RequestTooLarge, context);
        }
        match (to, context.phase) {
            (Destination::Backend, _) => {}
            (Destination::Here, Phase::Serving) => {
                return self.answer(200, "the proxy answers", context);
            }
            (Destination::Here, Phase::Leaving | Phase::Draining) => {
                return self.fail(Fault::Stopped, context);
            }
            (Destination::Nowhere, _) => return self.fail(Fault::Loop, context),
        }
        self.patience = context.settings.timeouts.body;
        self.request_body(context);
        if matches!(self.response, Response::Idle) {
            let whole = matches!(self.request, Request::Done);
            self.up.coalesce(whole && self.about.method.is_idempotent());
            context.budget.earn();
            self.dispatch(context);
        }
    }

    fn request_body(&mut self, context: &mut Context<'_>) {
        let Request::Body(codec) = &mut self.request else { return };
        let before = self.up.body.raw().len();
        // It does not, or no longer, wait for a 100.
        self.about.continue_due &= before == 0;
        let mut rules = TrailerRules { headers: context.headers, named: &self.request_named };
        let outcome = codec.advance(&mut self.up, &mut rules);
        self.record.request_bytes += (before - self.up.body.raw().len()) as u64;
        let too_large = context
            .settings
            .limits
            .body_bytes
            .is_some_and(|limit| codec.chunked_data_bytes() > limit);
        match outcome {
            Err(error) => self.fail(error.of_request(), context),
            Ok(_) if too_large => self.fail(Fault::RequestTooLarge, context),
            Ok(true) => self.request = Request::Done,
            Ok(false) => {}
        }
    }

    /// Finds a backend that was not tried yet, or goes where the client is bound to.
    fn dispatch(&mut self, context: &mut Context<'_>) {
        let kept = self.kept.take();
        let bound = kept.and_then(|kept| context.balancer.acquire_bound(kept, context.now));
        if bound.is_some() {
            self.about.serves = Serves::Client;
        }
        let acquire = || context.balancer.acquire(&self.tried, context.now);
        match bound.map_or_else(acquire, Choice::Go) {
            Choice::Go(lease) => {
                let backend = lease.backend();
                self.tried.insert(backend);
                let name = context.balancer.name(backend).unwrap_or_default();
                self.record.dispatched_to(&lease, name, context.now);
                let timing = Timing::start(context.now);
                self.attempt = Some(Attempt { lease, link: Link::Connecting, timing });
                self.connect(false, context);
            }
            Choice::Nobody => self.fail(Fault::ConnectRefused, context),
        }
    }

    fn connect(&mut self, fresh: bool, context: &Context<'_>) {
        let Some(attempt) = &mut self.attempt else { return };
        attempt.link = Link::Connecting;
        attempt.timing = Timing::start(context.now);
        self.upstream_moved = context.now;
        self.record.attempts += 1;
        (self.record.connect, self.record.first_byte) = (None, None);
        self.response = Response::AwaitUpstream;
        self.actions.push_back(Action::Connect { backend: attempt.lease.backend(), fresh });
    }

    pub(super) fn upstream_connected(&mut self, reused: bool, context: &Context<'_>) {
        let Some(attempt) = &mut self.attempt else { return };
        attempt.link = Link::Open { reused };
        if !reused {
            self.record.connect = Some(attempt.timing.connected(context.now));
        }
        self.upstream_moved = context.now;
        self.response = Response::Head { search: HeadSearch::response(), interim: 0 };
    }

    /// Nothing was sent, so any request may go to another backend.
    pub(super) fn connect_failed(&mut self, why: ConnectFailure, context: &mut Context<'_>) {
        let Some(attempt) = &mut self.attempt else { return };
        let fault = match why {
            ConnectFailure::Refused => Fault::ConnectRefused,
            ConnectFailure::Denied => Fault::ConnectDenied,
            ConnectFailure::TimedOut => Fault::ConnectTimeout,
            ConnectFailure::Unreachable => Fault::ConnectUnreachable,
            ConnectFailure::ResourceExhausted => Fault::ResourceExhausted,
        };
        if fault == Fault::ResourceExhausted {
            return self.fail(fault, context);
        }
        context.balancer.observe(&mut attempt.lease, Outcome::Unreachable, context.now);
        if self.may_try_another(context) {
            self.try_another(context);
        } else {
            self.fail(fault, context);
        }
    }

    /// The upstream went away before it answered anything.
    pub(super) fn lost_in_silence(&mut self, context: &mut Context<'_>) {
        if !self.send_again(context) {
            self.fail(Fault::UpstreamClosed, context);
        }
    }

    /// Whether the connection had served another request, so that its backend may have given it up
    /// before this one reached it.
    pub(super) fn is_stale(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.link.is_reused())
    }

    /// Sends the request once more, if nothing of it was sent, or if sending it twice does no harm
    /// (RFC 9110 §9.2.2), it is all still here, and the budget allows it; whether it did. A pooled
    /// connection was merely stale, so its backend gets the request; one that failed a fresh
    /// connection does not.
    pub(super) fn send_again(&mut self, context: &mut Context<'_>) -> bool {
        let stale = self.is_stale();
        let harmless = self.about.method.is_idempotent() && self.up.can_rewind();
        let unsent = self.up.is_untouched();
        let has_place = if stale {
            self.record.attempts < context.settings.limits.attempts
        } else {
            self.may_try_another(context)
        };
        if !has_place || !(unsent || harmless && context.budget.spend(context.now)) {
            return false;
        }
        let Some(attempt) = &mut self.attempt else { return false };
        if stale {
            context.balancer.restart(&mut attempt.lease, context.now);
            self.up.rewind();
            self.actions.push_back(Action::Discard);
            self.connect(true, context);
        } else {
            context.balancer.observe(&mut attempt.lease, Outcome::Failed, context.now);
            self.try_another(context);
        }
        true
    }

    /// Whether there is a backend that was not tried yet, and an attempt left.
    fn may_try_another(&self, context: &Context<'_>) -> bool {
        self.record.attempts < context.settings.limits.attempts
            && context.balancer.has_untried(&self.tried)
    }

    /// Goes to a backend that was not tried yet.
    fn try_another(&mut self, context: &mut Context<'_>) {
        if let Some(attempt) = self.attempt.take() {
            context.balancer.release(attempt.lease);
        }
        self.actions.push_back(Action::Discard);
        self.up.rewind();
        self.dispatch(context);
    }

    pub(super) fn client_closed(&mut self, how: StreamEnd, context: &mut Context<'_>) {
        if how != StreamEnd::Finished {
            return self.abandon(Fault::ClientGone, context);
        }
        match self.request {
            Request::Head(_) if self.record.arrived.is_none() => self.hang_up(),
            Request::Head(_) | Request::Body(_) => {
                self.fail(Fault::RequestIncomplete, context);
                self.request = Request::Done;
            }
            Request::Linger { .. } if matches!(self.response, Response::Ended(_)) => self.hang_up(),
            Request::Linger { .. } => self.request = Request::Done,
            Request::Tunnel => self.request = Request::TunnelEnding,
            Request::Done | Request::TunnelEnding => self.about.keep_alive = false,
        }
    }
}
