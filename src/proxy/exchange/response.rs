//! The upstream's half: from the first byte of an answer to its last.

use std::time::Duration;

use super::{
    Attempt, CloseMode, Context, Exchange, Link, Phase, Request, RequestContext, Response, Serves,
    StreamEnd,
};
use crate::balance::Outcome;
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
const MAX_INTERIM: u32 = 100;

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

impl Exchange {
    /// Works on what the upstream sent.
    pub(super) fn upstream_bytes(&mut self, context: &mut Context<'_>) {
        match self.response {
            Response::Head { .. } => while self.response_head(context) {},
            Response::Body(_) => self.response_body(context),
            Response::Tunnel => self.down.body.commit(self.down.body.raw().len()),
            _ => self.drop_surplus(),
        }
    }

    /// Bytes behind the end of a response belong to nobody (RFC 9112 §6.3), and a connection that
    /// carries them can't be trusted with another request.
    fn drop_surplus(&mut self) {
        if !self.down.body.raw().is_empty() {
            self.reusable = false;
            self.down.body.discard_all();
        }
    }

    /// Works on one head; true when it was an interim one and the next may already be there.
    fn response_head(&mut self, context: &mut Context<'_>) -> bool {
        let body_awaited = self.body_awaited();
        let Response::Head { search, interim } = &mut self.response else { return false };
        let raw = self.down.body.raw();
        if raw.is_empty() || self.down.pending()[0].len() > BLOCK_BYTES {
            return false;
        }
        if let Some(attempt) = &mut self.attempt {
            let answer = attempt.timing.answered(body_awaited, context.now);
            self.record.first_byte = Some(answer.spent);
        }
        let end = match search.find(raw, context.settings.limits.head_bytes) {
            Ok(Some(found)) => found.end,
            Ok(None) => return false,
            Err(error) => return self.refuse_response(error, context),
        };
        self.upstream_moved = context.now;
        let asked = Asked { method: self.about.method, protocols: &self.offered };
        let head = &raw[..end];
        let response = match parse_response(head, context.headers, asked) {
            Ok(response) => response,
            Err(error) => return self.refuse_response(error, context),
        };
        match response.status {
            101 if !matches!(self.request, Request::Done) => {
                self.fail(Fault::EarlyUpgrade, context);
            }
            101 => self.open_tunnel(&response, end, context),
            100..=199 => {
                *interim += 1;
                if *interim > MAX_INTERIM {
                    self.fail(Fault::TooManyInterim, context);
                    return false;
                }
                *search = HeadSearch::response();
                self.record.first_byte = None;
                if let Some(attempt) = &mut self.attempt {
                    attempt.timing.was_interim();
                }
                if response.status == 100 {
                    self.about.continue_due = false;
                }
                // Nobody who speaks HTTP/1.0 expects one (RFC 9110 §15.2).
                if self.about.version == Version::Http11 {
                    self.down.free_sent();
                    let count = self.write_head(&response, BodyOut::None, end, context);
                    self.record.interim_bytes += count as u64;
                } else {
                    self.down.body.discard(end);
                }
                return true;
            }
            // It was there before the request: the backend gave up on an idle connection.
            408 if *interim == 0 && self.is_stale() && self.send_again(context) => {
                self.down.body.discard_all();
            }
            _ => self.final_head(&response, end, context),
        }
        false
    }

    fn refuse_response(&mut self, error: HeadError, context: &mut Context<'_>) -> bool {
        self.fail(Fault::ResponseHead(error), context);
        false
    }

    fn final_head(&mut self, response: &ResponseHead, end: usize, context: &mut Context<'_>) {
        self.observe_answer(response.status, context);
        self.about.continue_due = false;
        let limit = context.settings.limits.head_bytes;
        let body = BodyOut::new(response.framing, self.about.version);
        let codec = BodyCodec::new(response.framing, body, limit);
        // One that takes no more bytes will not take the rest of the request either.
        let is_open = matches!(self.attempt, Some(Attempt { link: Link::Open { .. }, .. }));
        self.reusable = response.keep_alive && is_open;
        self.idle_seconds = response.idle_seconds;
        self.about.until_close = body == BodyOut::UntilClose;
        self.about.keep_alive &= context.phase != Phase::Draining
            && context.settings.upstream_reuse == UpstreamReuse::Persistent
            && !self.about.until_close
            // The upstream will not take the rest of the request, so nothing can follow it.
            && (self.reusable || matches!(self.request, Request::Done));
        if self.down.is_drained() {
            self.down.forget_sent();
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
                self.response = Response::Body(codec);
                self.response_body(context);
                self.down.coalesce(false);
            }
            None => self.response_done(),
        }
    }

    fn observe_answer(&mut self, status: u16, context: &Context<'_>) {
        let Some(attempt) = &mut self.attempt else { return };
        let outcome =
            if matches!(status, 502..=504 | 508) { Outcome::Failed } else { Outcome::Answered };
        let Some(answer) = attempt.timing.answer() else { return };
        attempt.lease.excuse(answer.excused);
        context.balancer.observe(&mut attempt.lease, outcome, answer.at);
    }

    /// Rewrites the head that the raw bytes start with, and drops those. Returns the length of the
    /// new one in bytes.
    fn write_head(
        &mut self,
        response: &ResponseHead,
        body: BodyOut,
        end: usize,
        context: &Context<'_>,
    ) -> usize {
        let hop = ResponseHop {
            body,
            close: !self.about.keep_alive,
            keep_alive_10: self.about.version == Version::Http10 && self.about.keep_alive,
            date: context.date,
        };
        let (out, raw) = self.down.head_and_raw();
        let before = out.len();
        rewrite_response(out, &raw[..end], context.headers, response, &hop);
        let count = out.len() - before;
        self.down.body.discard(end);
        count
    }

    fn response_body(&mut self, context: &mut Context<'_>) {
        let Response::Body(codec) = &mut self.response else { return };
        let mut rules = TrailerRules { headers: context.headers, named: &self.response_named };
        match self.down.advance(codec, &mut rules) {
            Ok(true) => self.response_done(),
            Ok(false) => {}
            Err(error) => self.fail(Fault::of_response(error), context),
        }
    }

    fn response_done(&mut self) {
        self.response = Response::Done;
        self.drop_surplus();
    }

    fn open_tunnel(&mut self, response: &ResponseHead, end: usize, context: &mut Context<'_>) {
        self.observe_answer(response.status, context);
        self.record.status = response.status;
        self.write_head(response, BodyOut::None, end, context);
        // What the client sends from now on is delimited by nothing but its end.
        self.about =
            RequestContext { keep_alive: false, framing: Framing::UntilClose, ..self.about };
        self.request = Request::Tunnel;
        self.response = Response::Tunnel;
        self.upstream_bytes(context);
        self.client_bytes(context);
    }

    pub(super) fn upstream_closed(&mut self, how: StreamEnd, context: &mut Context<'_>) {
        self.reusable = false;
        if how == StreamEnd::WriteFailed {
            if self.is_tunnel() {
                return self.break_tunnel(Fault::UpstreamClosed, context);
            }
            // What it has answered may still be read, and reading tells how it ended.
            if let Some(attempt) = &mut self.attempt
                && let Link::Open { reused } = attempt.link
            {
                attempt.link = Link::WriteClosed { reused };
            }
            return;
        }
        let silent = self.down.body.raw().is_empty();
        let breaks_tunnel = how == StreamEnd::Reset && self.is_tunnel();
        match &mut self.response {
            _ if breaks_tunnel => self.break_tunnel(Fault::UpstreamClosed, context),
            Response::Head { interim: 0, .. } if silent => self.lost_in_silence(context),
            Response::Head { .. } | Response::AwaitUpstream => {
                self.fail(Fault::UpstreamClosed, context);
            }
            Response::Body(codec) => {
                if how == StreamEnd::Finished
                    && let Some(last) = codec.end_of_stream()
                {
                    self.down.push_behind(last);
                    self.response_done();
                } else {
                    self.fail(Fault::ResponseTruncated, context);
                }
            }
            Response::Tunnel => self.response = Response::TunnelEnding,
            _ => {}
        }
    }

    /// Something of a tunnel is lost, and only a reset says so. A tunnel is no response that could
    /// fail, so the backend's estimate is left alone.
    pub(super) fn break_tunnel(&mut self, fault: Fault, context: &Context<'_>) {
        self.record.fault.get_or_insert(fault);
        self.release(self.break_off(), context);
        self.cut(CloseMode::Reset, context);
    }
}
