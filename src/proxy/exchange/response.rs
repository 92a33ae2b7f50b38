//! The upstream's half: from the first byte of an answer to its last.

use std::time::Duration;

use super::Exchange;
use super::action::{Action, CloseMode, Context, Phase, StreamEnd};
use super::attempt::{Answer, AttemptId, Link, Reuse};
use super::failover::close;
use super::request_context::{Expects, Persistence, Serves};
use super::state::{Request, Response};
use crate::balance::{Outcome, Reason};
use crate::buffer::BLOCK_BYTES;
use crate::http::{
    Asked, BodyCodec, BodyOut, Framing, HeadError, HeadSearch, Name, ResponseHead, ResponseHop,
    TrailerRules, Version, authenticates_connection, connection_named, parse_response,
    rewrite_response,
};
use crate::proxy::fault::Fault;
use crate::proxy::settings::UpstreamReuse;

/// Interim responses (1xx) to one request. They reset the response timeout, so an upstream could
/// otherwise hold a client for ever.
pub(super) const MAX_INTERIM: u32 = 100;

/// A backend's connection is given up early by a tenth of the time that it announced, and by at
/// least this much: its clock runs since it wrote, and a request takes time to get there.
const LEAST_MARGIN: Duration = Duration::from_millis(100);

/// How long a connection may rest, given what its backend announced and what we allow.
pub(super) fn longest_idle(announced_seconds: Option<u64>, limit: Duration) -> Duration {
    announced_seconds.map_or(limit, |seconds| {
        let announced = Duration::from_secs(seconds);
        limit.min(announced.saturating_sub(LEAST_MARGIN.max(announced / 10)))
    })
}

/// Whether an answer is a failure of its backend.
fn is_failure(status: u16) -> bool {
    matches!(status, 502..=504)
}

impl Exchange {
    /// Works on what upstreams sent, and on their ends.
    pub(super) fn upstream_work(&mut self, context: &mut Context<'_>) {
        for id in self.attempts.ids() {
            self.attempt_work(id, context);
        }
        if let Some(id) = self.attempts.first_in_vain() {
            self.take_held(id, context);
        }
    }

    fn attempt_work(&mut self, id: AttemptId, context: &mut Context<'_>) {
        match self.attempts.get(id) {
            None => return,
            Some(attempt) if matches!(attempt.link, Link::Failed { .. }) => {
                return self.address_failed(id, context);
            }
            Some(_) => {}
        }
        while self.response_head(id, context) {}
        if self.attempts.winner() == Some(id) {
            self.response_rest(id, context);
        }
        let is_behind = self.is_client_behind();
        if let Some(attempt) = self.attempts.get_mut(id).filter(|_| !is_behind)
            && let Some(how) = attempt.end.take()
        {
            self.upstream_ended(id, how, context);
        }
    }

    /// Whether a client has so much to read of interim responses that nothing is made of others
    /// before it has.
    pub(super) fn is_client_behind(&self) -> bool {
        matches!(self.states.response(), Response::Awaited)
            && self.down.pending_head(self.delivered) > BLOCK_BYTES
    }

    /// Works on one head; true when it was an interim one and the next may already be there.
    fn response_head(&mut self, id: AttemptId, context: &mut Context<'_>) -> bool {
        let (body_awaited, is_behind) = (self.body_awaited(), self.is_client_behind());
        let Some(attempt) = self.attempts.get_mut(id) else { return false };
        let Answer::Awaited { search, .. } = &mut attempt.answer else { return false };
        let raw = attempt.buffer.raw();
        if raw.is_empty() || is_behind {
            return false;
        }
        attempt.timing.answered(body_awaited, context.now);
        let end = match search.find(raw, context.settings.limits.head_bytes) {
            Ok(Some(found)) => found.end,
            Ok(None) => return false,
            Err(error) => return self.refuse_response(id, error, context),
        };
        attempt.moved = context.now;
        let asked = Asked { method: self.about.method, protocols: &self.offered };
        let response = match parse_response(&raw[..end], context.headers, asked) {
            Ok(response) => response,
            Err(error) => return self.refuse_response(id, error, context),
        };
        match response.status {
            101 if !matches!(self.states.request(), Request::Done) => {
                self.attempt_fails(id, Fault::EarlyUpgrade, context);
            }
            101 => self.open_tunnel(id, &response, end, context),
            100..=199 => return self.interim_head(id, &response, end, context),
            // It was there before the request: the backend gave up on an idle connection.
            408 if self.is_first_on_reused(id) && self.send_again(id, context) => {}
            status => {
                self.observe_answer(id, status, context);
                // What another one says may be better.
                if matches!(status, 500..=599) && self.attempts.has_better_hope_than(id) {
                    self.hold(id, end, context);
                } else {
                    self.final_head(id, &response, end, context);
                }
            }
        }
        false
    }

    fn refuse_response(
        &mut self,
        id: AttemptId,
        error: HeadError,
        context: &mut Context<'_>,
    ) -> bool {
        self.attempt_fails(id, Fault::ResponseHead(error), context);
        false
    }

    /// Whether nothing came over a connection from the pool before the head that is being read.
    fn is_first_on_reused(&self, id: AttemptId) -> bool {
        self.attempts.get(id).is_some_and(|attempt| {
            attempt.is_reused() && matches!(attempt.answer, Answer::Awaited { interim: 0, .. })
        })
    }

    /// Passes an interim response on. While several attempts are out it is dropped, because
    /// the next one may be another backend's.
    fn interim_head(
        &mut self,
        id: AttemptId,
        response: &ResponseHead,
        end: usize,
        context: &mut Context<'_>,
    ) -> bool {
        // Nobody who speaks HTTP/1.0 expects one (RFC 9110 §15.2).
        let passes = self.attempts.len() == 1 && self.about.version == Version::Http11;
        let hop = self.hop(BodyOut::None, context);
        let Some(attempt) = self.attempts.get_mut(id) else { return false };
        let Answer::Awaited { search, interim } = &mut attempt.answer else { return false };
        *interim += 1;
        if *interim > MAX_INTERIM {
            self.attempt_fails(id, Fault::TooManyInterim, context);
            return false;
        }
        *search = HeadSearch::response();
        attempt.timing.was_interim();
        if response.status == 100 {
            self.about.expects = Expects::Nothing;
        }
        if passes {
            self.down.free_sent(&mut self.delivered);
            let out = self.down.head();
            let before = out.len();
            rewrite_response(out, &attempt.buffer.raw()[..end], context.headers, response, &hop);
            self.record.interim_bytes += (out.len() - before) as u64;
        }
        attempt.buffer.discard(end);
        true
    }

    /// No other attempt does better, or not in time, so a failure that was held back is the answer.
    pub(super) fn take_held(&mut self, id: AttemptId, context: &mut Context<'_>) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let Answer::Held { end } = attempt.answer else { return };
        let asked = Asked { method: self.about.method, protocols: &self.offered };
        match parse_response(&attempt.buffer.raw()[..end], context.headers, asked) {
            Ok(response) => self.final_head(id, &response, end, context),
            Err(error) => self.attempt_fails(id, Fault::ResponseHead(error), context),
        }
    }

    /// The first acceptable head of a final response: its attempt wins.
    fn final_head(
        &mut self,
        id: AttemptId,
        response: &ResponseHead,
        end: usize,
        context: &mut Context<'_>,
    ) {
        self.win(id, context);
        self.about.expects = Expects::Nothing;
        let limit = context.settings.limits.head_bytes;
        let body = BodyOut::new(response.framing, self.about.version);
        let codec = BodyCodec::new(response.framing, body, limit);
        let reuse = self.judge_reuse(id, response);
        let stays = self.about.keeps_alive()
            && context.phase != Phase::Draining
            && context.settings.upstream_reuse == UpstreamReuse::Persistent
            // An upstream that will not take the rest of the request lets nothing follow it.
            && (reuse != Reuse::No || matches!(self.states.request(), Request::Done));
        self.about.persistence = match (body, stays) {
            (BodyOut::UntilClose, _) => Persistence::UntilClose,
            (_, true) => Persistence::KeepAlive,
            (_, false) => Persistence::Close,
        };
        if self.down.is_drained(self.delivered) {
            self.down.forget_sent(&mut self.delivered);
        }
        self.record.status = response.status;
        let head = &self.down.body.raw()[..end];
        connection_named(head, context.headers, &mut self.response_named);
        if response.status == 401
            && authenticates_connection(head, context.headers, Name::WwwAuthenticate)
        {
            self.about.serves = Serves::Client;
        }
        self.write_head(response, body, end, context);
        match codec {
            Some(codec) => {
                self.response_becomes(Response::Body(codec), context);
                self.response_body(id, context);
                self.down.coalesce(false);
            }
            None => self.response_done(id, context),
        }
    }

    /// Notes whether the connection can be used again. One that takes no more bytes will not take
    /// the rest of the request either.
    fn judge_reuse(&mut self, id: AttemptId, response: &ResponseHead) -> Reuse {
        let Some(attempt) = self.attempts.get_mut(id) else { return Reuse::No };
        if response.keep_alive && matches!(attempt.link, Link::Open(_)) {
            attempt.reuse = Reuse::Yes { idle_seconds: response.idle_seconds };
        }
        attempt.reuse
    }

    #[inline]
    fn observe_answer(&mut self, id: AttemptId, status: u16, context: &mut Context<'_>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let outcome = match status {
            508 => Outcome::Failed,
            status if is_failure(status) => Outcome::Failed,
            429 | 500..=599 => Outcome::Declined,
            _ => Outcome::Answered,
        };
        let Some(answer) = attempt.timing.answer() else { return };
        attempt.lease.excuse(answer.excused);
        let reason = attempt.lease.reason();
        let changes_standing = attempt.lease.is_probe()
            || outcome == Outcome::Failed
            // A trial of a retry, or of a client that is bound to a backend, goes by these names.
            || matches!(reason, Reason::Retry | Reason::Only)
            || matches!(reason, Reason::Cooling | Reason::Trial | Reason::First);
        context.balancer.observe(&mut attempt.lease, outcome, answer.at);
        if changes_standing {
            // The backend may take more requests from now on, or none for some time.
            context.freed();
        }
        if context.settings.hedging.percent.is_some() && outcome != Outcome::Failed {
            let role = attempt.role;
            self.learn_delay(role, answer.spent, context);
        }
    }

    fn hop<'a>(&self, body: BodyOut, context: &Context<'a>) -> ResponseHop<'a> {
        ResponseHop {
            body,
            close: !self.about.keeps_alive(),
            keep_alive_10: self.about.version == Version::Http10 && self.about.keeps_alive(),
            date: context.date,
        }
    }

    /// Rewrites the final head that the raw bytes start with, and drops those.
    fn write_head(
        &mut self,
        response: &ResponseHead,
        body: BodyOut,
        end: usize,
        context: &Context<'_>,
    ) {
        let hop = self.hop(body, context);
        let (out, raw) = self.down.head_and_raw();
        rewrite_response(out, &raw[..end], context.headers, response, &hop);
        self.down.body.discard(end);
    }

    /// Works on what the winner sent behind its head.
    fn response_rest(&mut self, id: AttemptId, context: &mut Context<'_>) {
        let count = self.down.body.raw_len();
        if count == 0 {
            return;
        }
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.moved = context.now;
        }
        match self.states.response() {
            Response::Body(_) => self.response_body(id, context),
            Response::Tunnel => self.down.body.commit(count),
            _ => self.drop_surplus(id),
        }
    }

    fn response_body(&mut self, id: AttemptId, context: &mut Context<'_>) {
        let Some(codec) = self.states.response_body_mut() else { return };
        if codec.makes_chunks() {
            self.down.free_sent(&mut self.delivered);
        }
        let mut rules = TrailerRules { headers: context.headers, named: &self.response_named };
        match self.down.advance(codec, &mut rules) {
            Ok(true) => self.response_done(id, context),
            Ok(false) => {}
            Err(error) => self.attempt_fails(id, Fault::of_response(error), context),
        }
    }

    fn response_done(&mut self, id: AttemptId, context: &mut Context<'_>) {
        self.response_becomes(Response::Done, context);
        self.drop_surplus(id);
    }

    /// Bytes behind the end of a response belong to nobody (RFC 9112 §6.3), and a connection that
    /// carries them can't be trusted with another request.
    fn drop_surplus(&mut self, id: AttemptId) {
        if self.down.body.raw_len() > 0 {
            self.down.body.discard_all();
            if let Some(attempt) = self.attempts.get_mut(id) {
                attempt.reuse = Reuse::No;
            }
        }
    }

    fn open_tunnel(
        &mut self,
        id: AttemptId,
        response: &ResponseHead,
        end: usize,
        context: &mut Context<'_>,
    ) {
        self.observe_answer(id, response.status, context);
        if let Some(attempt) = self.attempts.get_mut(id) {
            context.balancer.becomes_tunnel(&mut attempt.lease);
            attempt.parks_at = None;
        }
        self.win(id, context);
        self.record.status = response.status;
        self.write_head(response, BodyOut::None, end, context);
        // What the client sends from now on is delimited by nothing but its end.
        self.about.framing = Framing::UntilClose;
        self.about.persistence = Persistence::Close;
        self.both_become((Request::Tunnel, Response::Tunnel), context);
    }

    fn upstream_ended(&mut self, id: AttemptId, how: StreamEnd, context: &mut Context<'_>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        attempt.reuse = Reuse::No;
        if how != StreamEnd::Finished && self.states.is_tunnel() {
            return self.break_tunnel(Fault::UpstreamClosed, context);
        }
        if how == StreamEnd::WriteFailed {
            // What it has answered may still be read, and reading tells how it ended.
            if let Link::Open(origin) = attempt.link {
                attempt.link = Link::WriteClosed(origin);
            }
            return;
        }
        match self.states.response() {
            Response::Awaited if attempt.is_silent() => self.lost_in_silence(id, context),
            Response::Awaited => self.attempt_fails(id, Fault::UpstreamClosed, context),
            Response::Body(codec) => match codec.end_of_stream() {
                Some(last) if how == StreamEnd::Finished => {
                    self.down.push_behind(last);
                    self.response_done(id, context);
                }
                _ => self.attempt_fails(id, Fault::ResponseTruncated, context),
            },
            Response::Tunnel => self.response_becomes(Response::TunnelEnding, context),
            _ => {}
        }
    }

    /// Lets go of the upstream connection once the response is whole and the request is, too.
    pub(super) fn settle_upstream(&mut self, id: AttemptId, context: &mut Context<'_>) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let (is_taken, reuse) = (self.up.is_drained(attempt.sent), attempt.reuse);
        let is_cut = match self.states.request() {
            Request::Tunnel | Request::TunnelEnding => return,
            // An answer came early. An upstream that reads on gets the rest of the request; one
            // that closes won't, and the client is kept reading until it has seen the answer.
            Request::Body(_) if reuse != Reuse::No => return,
            Request::Done if reuse != Reuse::No && !is_taken => return,
            Request::Body(_) => true,
            _ => false,
        };
        let backend = attempt.lease.backend();
        let action = self.after_response(id, reuse, is_taken, context);
        if matches!(action, Action::Keep { .. }) {
            self.bound = Some(backend);
        }
        self.end_attempt(id, action, context);
        if is_cut {
            self.linger(context);
        }
    }

    /// What becomes of the connection over which the whole response came.
    fn after_response(
        &self,
        attempt: AttemptId,
        reuse: Reuse,
        is_taken: bool,
        context: &Context<'_>,
    ) -> Action {
        let timeouts = &context.settings.timeouts;
        let limit = match self.about.serves {
            Serves::Anyone => timeouts.upstream_idle,
            // One that is bound to a client rests as long as that may.
            Serves::Client => timeouts.client_idle,
        };
        let is_persistent = context.settings.upstream_reuse == UpstreamReuse::Persistent;
        if let Reuse::Yes { idle_seconds } = reuse
            && is_persistent
            && matches!(self.states.request(), Request::Done)
        {
            let idle = longest_idle(idle_seconds, limit);
            match self.about.serves {
                _ if idle.is_zero() => {}
                Serves::Anyone => return Action::Recycle { attempt, idle },
                Serves::Client if self.about.keeps_alive() => {
                    return Action::Keep { attempt, idle };
                }
                Serves::Client => {}
            }
        }
        // Neither side can have bytes that the other still wants. An answer proves that the head
        // was read; of a body, a part may be unread.
        let is_bodiless = matches!(self.about.framing, Framing::None | Framing::Length(0));
        let how = if is_bodiless && is_taken { CloseMode::Reset } else { CloseMode::Close };
        close(attempt, how)
    }
}
