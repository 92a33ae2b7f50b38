//! How a request comes to its end otherwise than by its response, and how a client's connection
//! does: in order and late enough for the client to see all of its answer, or by a reset where
//! something is missing.

use super::Exchange;
use super::action::{Action, CloseMode, Context, Phase, Side};
use super::request_context::Persistence;
use super::state::{Request, Response};
use super::waits::{LINGER, LINGER_DRAINING};
use crate::http::{Method, ReplyOptions, Version, reply};
use crate::proxy::decisions::Decided;
use crate::proxy::fault::Fault;
use crate::proxy::pipe::Cursor;
use crate::proxy::settings::UpstreamReuse;

/// Bytes that are read and dropped behind the last request, so that a client that still sends gets
/// to see its answer.
const LINGER_BYTES: usize = 64 * 1024 * 1024;

impl Exchange {
    /// The choices that were recorded for the request that just ended, or is in flight; each is
    /// given once.
    #[must_use]
    pub fn take_decisions(&mut self) -> Vec<Decided> {
        self.record.take_decisions()
    }

    /// No other request is waited for. The client may not have seen all of the last answer, so this
    /// end is as considerate as one behind an answer.
    pub fn close_idle(&mut self, context: &mut Context<'_>) {
        if self.is_idle() {
            self.end_and_linger(context);
            self.work(context);
        }
    }

    /// The proxy begins to stop: a client that has its answer keeps it waiting no longer than an
    /// idle one.
    pub fn drain(&mut self, context: &mut Context<'_>) {
        if self.is_lingering()
            && let Some((_, until)) = self.states.linger_mut()
        {
            *until = (*until).min(context.now + LINGER_DRAINING);
        }
    }

    /// Whether the client has had all it will get, and is read until it ends its stream.
    #[must_use]
    pub fn is_lingering(&self) -> bool {
        let states = (self.states.request(), self.states.response());
        matches!(states, (Request::Linger { .. }, Response::Over))
    }

    /// The proxy has waited long enough for what is in flight.
    pub fn stop(&mut self, context: &mut Context<'_>) {
        if self.is_idle() {
            self.hang_up(CloseMode::Close);
        } else {
            self.about.persistence.close();
            self.fail(Fault::Stopped, context);
        }
        self.work(context);
    }

    /// The row demanded is written: goes on with another request, or ends the connection.
    pub fn reported(&mut self, context: &mut Context<'_>) {
        if let Response::Reporting(ending) = *self.states.response() {
            let hangup = match (ending, self.states.request()) {
                (Some(how), _) => Some(how),
                (None, Request::Closed | Request::Linger { left_bytes: 0, .. }) => {
                    Some(CloseMode::Close)
                }
                (None, _) => None,
            };
            let is_last = self.about.persistence != Persistence::KeepAlive
                || !matches!(self.states.request(), Request::Done);
            if let Some(how) = hangup {
                self.response_becomes(Response::Over, context);
                self.hang_up(how);
            } else if is_last {
                self.end_and_linger(context);
            } else {
                self.next_request(context);
            }
        }
        self.work(context);
    }

    /// Ends the stream to the client and reads on until it ends its own, or for long enough. Its
    /// answer may still be on the way, and a close that meets bytes of the client, now or later, is
    /// a reset, which overtakes the answer (RFC 9112 §9.6).
    fn end_and_linger(&mut self, context: &mut Context<'_>) {
        self.linger_while(Response::Over, context);
        self.actions.push_back(Action::Finish(Side::Client));
    }

    /// What the client still sends is dropped from here on.
    pub(super) fn linger(&mut self, context: &mut Context<'_>) {
        if let Some(request) = self.lingering(context) {
            self.request_becomes(request, context);
        }
    }

    /// As [`Exchange::linger`], while the response becomes another one.
    fn linger_while(&mut self, response: Response, context: &mut Context<'_>) {
        match self.lingering(context) {
            Some(request) => self.both_become((request, response), context),
            None => self.response_becomes(response, context),
        }
    }

    /// The state in which what the client sends is dropped; none if it is that already, or nothing
    /// can come any more.
    fn lingering(&mut self, context: &Context<'_>) -> Option<Request> {
        self.up.clear();
        self.about.persistence.close();
        let is_draining = context.phase == Phase::Draining;
        let end = context.now + if is_draining { LINGER_DRAINING } else { LINGER };
        if let Some((_, until)) = self.states.linger_mut() {
            *until = end;
            return None;
        }
        let is_closed = matches!(self.states.request(), Request::Closed);
        (!is_closed).then_some(Request::Linger { left_bytes: LINGER_BYTES, until: end })
    }

    /// Ends the client's connection, behind the row if that is still to be written.
    pub(super) fn hang_up(&mut self, how: CloseMode) {
        match self.states.ending_mut() {
            Some(ending) => drop(ending.get_or_insert(how)),
            None => self.actions.push_back(Action::Hangup(how)),
        }
    }

    /// Gives up on this request: answers it if that is still possible, else breaks it off visibly.
    pub(super) fn fail(&mut self, fault: Fault, context: &mut Context<'_>) {
        self.name_unparsed();
        self.record.fault.get_or_insert(fault);
        self.stop_waiting(context);
        let is_tunnel = self.states.is_tunnel();
        self.end_attempts(self.breaking(), context);
        match self.states.response() {
            Response::Reply | Response::Aborted(_) | Response::Reporting(_) | Response::Over => {}
            _ if is_tunnel => self.cut(CloseMode::Reset, context),
            Response::Done => self.linger(context),
            Response::Body(_) if !self.down.is_untouched(self.delivered) => {
                let is_delimited = self.about.persistence != Persistence::UntilClose;
                let how = if is_delimited { CloseMode::Close } else { CloseMode::Reset };
                self.cut(how, context);
            }
            _ => self.answer(fault.status(), fault.explanation(), context),
        }
    }

    /// Answers the request here.
    pub(super) fn answer(&mut self, status: u16, explanation: &str, context: &mut Context<'_>) {
        if self.down.is_untouched(self.delivered) {
            self.down.clear();
            self.record.interim_bytes = self.record.response_bytes;
        }
        let is_whole = matches!(self.states.request(), Request::Done);
        let is_kept = is_whole
            && self.about.version == Version::Http11
            && context.phase != Phase::Draining
            && context.settings.upstream_reuse == UpstreamReuse::Persistent;
        if !is_kept {
            self.about.persistence.close();
        }
        let options = ReplyOptions {
            close: self.about.persistence != Persistence::KeepAlive,
            date: context.date,
            head_only: self.about.method == Method::Head,
            allow: matches!(status, 200 | 405),
            retry_after: self.record.fault.and_then(Fault::retry_after),
        };
        reply(self.down.head(), status, explanation, &options);
        self.record.status = status;
        if is_whole {
            self.response_becomes(Response::Reply, context);
        } else {
            self.linger_while(Response::Reply, context);
        }
    }

    /// A request whose head never became one is named by what there is of it. If that is a `HEAD`,
    /// its answer has no content either.
    fn name_unparsed(&mut self) {
        if let Request::Head(arriving) = self.states.request() {
            let raw = arriving.of(self.up.body.raw());
            self.record.name_unparsed(raw);
            self.record.request_bytes += raw.len() as u64;
            self.about.method = Method::classify(self.record.method());
        }
    }

    /// How the upstream connection of what failed is closed. In a tunnel, nothing but a reset tells
    /// its peer that something is missing.
    fn breaking(&self) -> CloseMode {
        if self.states.is_tunnel() { CloseMode::Reset } else { CloseMode::Close }
    }

    /// Ends the response where it stands.
    pub(super) fn cut(&mut self, how: CloseMode, context: &mut Context<'_>) {
        self.down.body.discard_all();
        self.linger_while(Response::Aborted(how), context);
    }

    /// Something of a tunnel is lost, and only a reset says so. A tunnel is no response that could
    /// fail, so the backend's estimate is left alone.
    pub(super) fn break_tunnel(&mut self, fault: Fault, context: &mut Context<'_>) {
        self.record.fault.get_or_insert(fault);
        self.end_attempts(CloseMode::Reset, context);
        self.cut(CloseMode::Reset, context);
    }

    /// The client left: nothing is owed to anyone but the row. The reset keeps one that comes back
    /// to what the system still holds for it from taking that for whole.
    pub(super) fn abandon(&mut self, fault: Fault, context: &mut Context<'_>) {
        for id in self.attempts.ids() {
            self.observe_given_up(id, context);
        }
        self.end_attempts(self.breaking(), context);
        let is_over = matches!(self.states.response(), Response::Reporting(_) | Response::Over);
        if is_over || self.is_idle() {
            return self.hang_up(CloseMode::Close);
        }
        self.name_unparsed();
        self.stop_waiting(context);
        let fault = *self.record.fault.get_or_insert(fault);
        // Where it was the proxy that ended it, what the client got of its answer stands.
        let is_ours = matches!(fault, Fault::Stopped | Fault::BackendRemoved);
        if !is_ours || !self.record.is_answer_begun() {
            self.record.status = 499;
        }
        self.forget_all();
        if matches!(self.states.response(), Response::Aborted(CloseMode::Reset)) {
            return;
        }
        self.both_become((Request::Closed, Response::Aborted(CloseMode::Reset)), context);
    }

    /// A worker found something in a state in which it can't be: the connection is reset, and its
    /// row says `internal`.
    pub fn abort(&mut self, context: &mut Context<'_>) {
        self.break_down(context);
        self.work(context);
    }

    /// As [`Exchange::abort`], where the mistake is found in here.
    #[cold]
    pub(super) fn break_down(&mut self, context: &mut Context<'_>) {
        self.end_attempts(CloseMode::Reset, context);
        let is_reported = matches!(self.states.response(), Response::Reporting(_) | Response::Over);
        if is_reported || self.is_idle() {
            return self.hang_up(CloseMode::Reset);
        }
        self.name_unparsed();
        self.stop_waiting(context);
        self.record.fault = Some(Fault::Internal);
        if !self.record.is_answer_begun() {
            self.record.status = Fault::Internal.status();
        }
        self.forget_all();
        self.states.cut();
    }

    /// Drops what is still to be sent, on both sides.
    fn forget_all(&mut self) {
        self.up.clear();
        self.down.clear();
        self.delivered = Cursor::default();
    }
}
