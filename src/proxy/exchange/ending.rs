//! How a client's connection ends: in order and late enough for the client to see all of its
//! answer, or by a reset where something is missing.

use super::waits::{LINGER, LINGER_DRAINING};
use super::{Action, CloseMode, Context, Exchange, Phase, Request, Response};
use crate::proxy::fault::Fault;

/// Bytes that are read and dropped behind the last request, so that a client that still sends gets
/// to see its answer.
const LINGER_BYTES: usize = 64 * 1024 * 1024;

impl Exchange {
    /// No other request is waited for. The client may not have seen all of the last answer, so this
    /// end is as considerate as one behind an answer.
    pub fn close_idle(&mut self, context: &mut Context<'_>) {
        self.event(context, |exchange, context| {
            if exchange.is_idle() {
                exchange.response = Response::Ended(None);
                exchange.end_and_linger(context);
            }
        });
    }

    /// The proxy begins to stop: a client that has its answer keeps it waiting no longer than an
    /// idle one.
    pub fn drain(&mut self, context: &mut Context<'_>) {
        if let Request::Linger { until, .. } = &mut self.request
            && matches!(self.response, Response::Ended(_))
        {
            *until = (*until).min(context.now + LINGER_DRAINING);
        }
    }

    /// Whether the client has had all it will get, and is read until it ends its stream.
    #[must_use]
    pub fn is_lingering(&self) -> bool {
        matches!((&self.request, &self.response), (Request::Linger { .. }, Response::Ended(None)))
    }

    /// Ends the stream to the client and reads on until it ends its own, or for long enough. Its
    /// answer may still be on the way, and a close that meets bytes of the client, now or later, is
    /// a reset, which overtakes the answer (RFC 9112 §9.6).
    pub(super) fn end_and_linger(&mut self, context: &Context<'_>) {
        self.linger(context);
        self.actions.push_back(Action::FinishClient);
    }

    /// What the client still sends is dropped from here on.
    pub(super) fn linger(&mut self, context: &Context<'_>) {
        let left_bytes = match self.request {
            Request::Linger { left_bytes, .. } => left_bytes,
            _ => LINGER_BYTES,
        };
        self.up.clear();
        self.about.keep_alive = false;
        let is_draining = context.phase == Phase::Draining;
        let until = context.now + if is_draining { LINGER_DRAINING } else { LINGER };
        self.request = Request::Linger { left_bytes, until };
    }

    /// Ends the client's connection, behind the row if that is still to be written.
    pub(super) fn hang_up(&mut self) {
        match &mut self.response {
            Response::Ended(ending) if self.actions.contains(&Action::Report) => {
                ending.get_or_insert(CloseMode::Close);
            }
            _ => self.actions.push_back(Action::Hangup(CloseMode::Close)),
        }
    }

    /// Goes on after a row: another request, or the end of the connection.
    pub(super) fn after_the_row(&mut self, is_ended: bool, context: &mut Context<'_>) {
        let Response::Ended(ending) = self.response else { return };
        match (ending, &self.request) {
            (Some(hangup), _) => self.actions.push_back(Action::Hangup(hangup)),
            (None, Request::Done) if self.about.keep_alive => {
                self.next_request(context.now);
                if !self.up.body.raw().is_empty() {
                    self.client_bytes(context);
                }
            }
            (None, Request::Linger { left_bytes: 0, .. }) => self.hang_up(),
            (None, _) if is_ended => self.hang_up(),
            (None, _) => self.end_and_linger(context),
        }
    }

    /// How the upstream connection of what failed is closed. In a tunnel, nothing but a reset tells
    /// its peer that something is missing.
    pub(super) fn break_off(&self) -> Action {
        if self.is_tunnel() { Action::Reset } else { Action::Discard }
    }

    /// Ends the response where it stands.
    pub(super) fn cut(&mut self, how: CloseMode, context: &Context<'_>) {
        self.down.body.discard_all();
        self.linger(context);
        self.response = Response::Aborted(how);
    }

    /// The client left: nothing is owed to anyone but the row. The reset keeps one that comes back
    /// to what the system still holds for it from taking that for whole.
    pub(super) fn abandon(&mut self, fault: Fault, context: &Context<'_>) {
        self.release(self.break_off(), context);
        if matches!(self.response, Response::Ended(_)) || self.is_idle() {
            return self.hang_up();
        }
        self.name_unparsed();
        let fault = *self.record.fault.get_or_insert(fault);
        // Where it was the proxy that stopped, what the client got of its answer stands.
        if fault != Fault::Stopped || !self.record.is_answer_begun() {
            self.record.status = 499;
        }
        self.up.clear();
        self.down.clear();
        self.request = Request::Done;
        self.response = Response::Aborted(CloseMode::Reset);
    }
}
