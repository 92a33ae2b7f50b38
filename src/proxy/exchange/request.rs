//! The client's half: from the first byte of a request to a backend that shall have it.

use super::action::{Context, Phase, StreamEnd};
use super::request_context::{Expects, Persistence, RequestContext, Serves};
use super::state::{Request, Response};
use super::{CloseMode, Exchange};
use crate::balance::{Balancer, Member};
use crate::http::{
    ArrivingHead, BodyCodec, BodyOut, Framing, Headers, Name, RequestHead, RequestHop,
    TrailerRules, Version, authenticates_connection, connection_named, forwarded_for, has_passed,
    offered_protocols, rewrite_request,
};
use crate::proxy::HEALTH_AGENT;
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

/// The `Host` for a request that came without one: HTTP/1.0 allows that, HTTP/1.1 does not.
fn default_host(balancer: &Balancer) -> &str {
    let name = balancer.roster().members().first().map_or("", Member::name);
    name.strip_prefix("http://").unwrap_or("localhost")
}

impl Exchange {
    /// Works on what the client sent, and on its end.
    pub(super) fn client_work(&mut self, context: &mut Context<'_>) {
        let count = self.up.body.raw_len();
        if count > 0 {
            match self.states.request() {
                Request::Head(_) => self.request_head(context),
                Request::Body(_) => {
                    self.earn_patience(count, context);
                    self.client_moved = context.now;
                    // It does not, or no longer, wait for a 100.
                    self.about.expects = Expects::Nothing;
                    self.request_body(context);
                }
                Request::Linger { .. } => self.drop_late(count),
                Request::Tunnel => {
                    self.client_moved = context.now;
                    self.record.request_bytes += count as u64;
                    self.up.body.commit(count);
                }
                // Of the next request.
                Request::Done | Request::TunnelEnding | Request::Closed => {}
            }
        }
        if let Some(how) = self.client_end.take() {
            self.client_ended(how, context);
        }
    }

    /// What comes behind the last request is of no use.
    fn drop_late(&mut self, count: usize) {
        self.up.body.discard_all();
        let Some((left_bytes, _)) = self.states.linger_mut() else { return };
        *left_bytes = left_bytes.saturating_sub(count);
        if *left_bytes == 0 && matches!(self.states.response(), Response::Over) {
            self.hang_up(CloseMode::Close);
        }
    }

    fn request_head(&mut self, context: &mut Context<'_>) {
        let Some(arriving) = self.states.arriving_mut() else { return };
        match arriving.skip_empty_lines(self.up.body.raw()) {
            Ok(count) => self.up.body.discard(count),
            Err(error) => return self.fail(Fault::RequestHead(error), context),
        }
        let raw = self.up.body.raw();
        if !ArrivingHead::is_begun(raw) {
            return;
        }
        self.record.arrived.get_or_insert(context.now);
        let limit = context.settings.limits.head_bytes;
        match arriving.parse(raw, limit, context.headers) {
            Ok(Some((end, request))) => self.take_head(end, &request, context),
            Ok(None) => {}
            Err(error) => self.fail(Fault::RequestHead(error), context),
        }
    }

    /// The head is valid and ends at `end`: writes the one for the backend.
    fn take_head(&mut self, end: usize, request: &RequestHead, context: &mut Context<'_>) {
        let (out, raw) = self.up.head_and_raw();
        let (head, headers, settings) = (&raw[..end], &*context.headers, context.settings);
        let is_bound = authenticates_connection(head, headers, Name::Authorization);
        // Somebody's time must run out, and the backend's does not if it has no limit.
        let is_expecting = request.expect_continue && settings.timeouts.response.is_some();
        self.about = RequestContext {
            method: request.method,
            version: request.version,
            framing: request.framing,
            persistence: if request.keep_alive {
                Persistence::KeepAlive
            } else {
                Persistence::Close
            },
            expects: if is_expecting { Expects::Continue } else { Expects::Nothing },
            serves: if is_bound { Serves::Client } else { Serves::Anyone },
        };
        self.record
            .name_request(request.method_name.of(head), request.target.path_and_query().of(head));
        self.record.is_probe = request.ends_here() && is_health_agent(head, headers);
        connection_named(head, headers, &mut self.request_named);
        offered_protocols(head, headers, request, &mut self.offered);
        let is_trusted = settings.trusted.trusts(context.peer.client());
        if is_trusted {
            self.record.client = settings.trusted.client(forwarded_for(head, headers));
        }
        let destination = match request.ends_here() {
            _ if has_passed(head, headers, &settings.pseudonym) => Destination::Nowhere,
            true => Destination::Here,
            false => Destination::Backend,
        };
        let hop = RequestHop {
            peer: context.peer.ip_text(),
            pseudonym: settings.pseudonym.as_str(),
            is_trusted,
            default_host: if request.authority.is_empty() {
                default_host(context.balancer)
            } else {
                ""
            },
            close: settings.upstream_reuse == UpstreamReuse::NonPersistent,
        };
        rewrite_request(out, head, headers, request, &hop);
        self.up.body.discard(end);
        self.record.request_bytes += end as u64;
        self.admit(request.framing, destination, context);
    }

    /// Starts on the body, and finds a backend.
    fn admit(&mut self, framing: Framing, to: Destination, context: &mut Context<'_>) {
        // Backends are spoken HTTP/1.1 to.
        let out = BodyOut::new(framing, Version::Http11);
        let codec = BodyCodec::new(framing, out, context.settings.limits.head_bytes);
        self.request_becomes(codec.map_or(Request::Done, Request::Body), context);
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
        if framing != Framing::None {
            self.patience = context.settings.timeouts.body;
            if self.up.body.raw_len() > 0 {
                self.about.expects = Expects::Nothing;
            }
            self.request_body(context);
        }
        if matches!(self.states.response(), Response::Idle) {
            let whole = matches!(self.states.request(), Request::Done);
            self.up.coalesce(whole && self.about.method.is_idempotent());
            context.budget.earn();
            self.dispatch(None, context);
        }
    }

    fn request_body(&mut self, context: &mut Context<'_>) {
        let Some(codec) = self.states.request_body_mut() else { return };
        let before = self.up.body.raw_len();
        let mut rules = TrailerRules { headers: context.headers, named: &self.request_named };
        let outcome = self.up.advance(codec, &mut rules);
        self.record.request_bytes += (before - self.up.body.raw_len()) as u64;
        let limit = context.settings.limits.body_bytes;
        let too_large = limit.is_some_and(|limit| codec.chunked_data_bytes() > limit);
        match outcome {
            Err(error) => self.fail(Fault::of_request(error), context),
            Ok(_) if too_large => self.fail(Fault::RequestTooLarge, context),
            Ok(true) => self.request_becomes(Request::Done, context),
            Ok(false) => {}
        }
    }

    fn client_ended(&mut self, how: StreamEnd, context: &mut Context<'_>) {
        if how != StreamEnd::Finished {
            return self.abandon(Fault::ClientGone, context);
        }
        match self.states.request() {
            Request::Head(_) if self.record.arrived.is_none() => self.hang_up(CloseMode::Close),
            Request::Head(_) | Request::Body(_) => {
                self.fail(Fault::RequestIncomplete, context);
                self.request_becomes(Request::Closed, context);
            }
            Request::Linger { .. } => {
                self.request_becomes(Request::Closed, context);
                if matches!(self.states.response(), Response::Over) {
                    self.hang_up(CloseMode::Close);
                }
            }
            Request::Tunnel => self.request_becomes(Request::TunnelEnding, context),
            // Nothing is read then.
            Request::Done | Request::TunnelEnding | Request::Closed => {
                self.about.persistence.close();
            }
        }
    }
}
