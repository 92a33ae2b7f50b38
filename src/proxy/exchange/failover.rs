//! Attempts: how they begin, and what follows when one comes to nothing. Which address, which
//! backend, and whether at all, is decided here and nowhere else.
//!
//! An attempt that fails while another one is out ends, and nothing follows it. When the last one
//! fails, the request goes to the backend's next address, or to another backend, if that can do no
//! harm; else it has failed.

use super::Exchange;
use super::action::{Action, CloseMode, ConnectFailure, Context, HedgeEvent, Source};
use super::attempt::{Answer, Attempt, AttemptId, Link, Role};
use super::request_context::Serves;
use super::state::Response;
use crate::balance::{BackendId, Choice, Lease, Outcome};
use crate::proxy::budget::RetryToken;
use crate::proxy::fault::Fault;

impl Exchange {
    /// Sends the request to a backend that was not tried yet, or where the client is bound to, or
    /// has it wait for one. What was `paid` for sending it again is given back if none is found.
    pub(super) fn dispatch(&mut self, paid: Option<RetryToken>, context: &mut Context<'_>) {
        if self.is_behind_others(context) {
            return self.join_queue(paid, context);
        }
        match self.choose(context) {
            Choice::Go(lease) => self.begin_attempt(lease, Role::Own, paid, context),
            Choice::Wait => self.join_queue(paid, context),
            Choice::Nobody => {
                context.budget.refund(paid);
                self.fail(Fault::ConnectRefused, context);
            }
        }
    }

    /// Asks for a backend.
    pub(super) fn choose(&mut self, context: &mut Context<'_>) -> Choice {
        if let Some(id) = self.bound {
            let choice = context.balancer.acquire_bound(id, context.now);
            if !matches!(choice, Choice::Wait) {
                self.bound = None;
            }
            if !matches!(choice, Choice::Nobody) {
                self.about.serves = Serves::Client;
                return choice;
            }
        }
        context.balancer.acquire(&self.tried, context.now)
    }

    pub(super) fn begin_attempt(
        &mut self,
        lease: Lease,
        role: Role,
        paid: Option<RetryToken>,
        context: &mut Context<'_>,
    ) {
        let backend = lease.backend();
        self.tried.insert(backend);
        let id = match self.attempts.insert(lease, role, paid, context.now) {
            Ok(id) => id,
            Err(lease) => {
                context.budget.refund(paid);
                context.balancer.release(lease);
                return self.break_down(context);
            }
        };
        let name = context.balancer.name(backend).unwrap_or_default();
        self.record.attempt_begun(id, name, context.now);
        if context.balancer.has_decision() && context.settings.decisions.is_some() {
            self.record.decided(context.balancer);
        }
        if role == Role::Hedge {
            self.record.hedge_sent(id);
            self.actions.push_back(Action::CountHedge { backend, event: HedgeEvent::Sent });
        }
        if matches!(self.states.response(), Response::Idle | Response::Queued(_)) {
            self.response_becomes(Response::Awaited, context);
        }
        self.connect(id, Source::Reuse, context);
    }

    /// Asks for a connection on which the attempt begins, or begins again.
    fn connect(&mut self, id: AttemptId, source: Source, context: &mut Context<'_>) {
        self.record.attempts += 1;
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.restart(context.now);
        }
        if context.settings.hedging.percent.is_some() {
            self.await_silence(id, context);
        }
        self.dial(id, source, context);
    }

    fn dial(&mut self, id: AttemptId, source: Source, context: &Context<'_>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        attempt.link = Link::Connecting { more: None };
        attempt.moved = context.now;
        let backend = attempt.lease.backend();
        self.actions.push_back(Action::Dial { attempt: id, backend, source });
    }

    /// No connection to an address came about: the backend's next one is tried, which has a time of
    /// its own. Other addresses are no other attempts.
    pub(super) fn address_failed(&mut self, id: AttemptId, context: &mut Context<'_>) {
        let Some(Link::Failed { failure, more }) = self.attempts.get(id).map(|a| a.link) else {
            return;
        };
        match more.filter(|_| failure != ConnectFailure::ResourceExhausted) {
            Some(failed) => self.dial(id, Source::After(failed), context),
            None => self.backend_failed(id, failure, context),
        }
    }

    /// No address of the backend is left. Nothing was sent, so any request may go to another one.
    fn backend_failed(
        &mut self,
        id: AttemptId,
        failure: ConnectFailure,
        context: &mut Context<'_>,
    ) {
        let fault = failure.fault();
        if failure == ConnectFailure::ResourceExhausted {
            return self.attempt_fails(id, fault, context);
        }
        if let Some(attempt) = self.attempts.get_mut(id) {
            context.balancer.observe(&mut attempt.lease, Outcome::Unreachable, context.now);
            self.actions.push_back(Action::Refresh { backend: attempt.lease.backend() });
        }
        if self.may_try_another(context) {
            self.try_another(id, fault, None, context);
        } else {
            self.attempt_fails(id, fault, context);
        }
    }

    /// The upstream went away before it answered anything.
    pub(super) fn lost_in_silence(&mut self, id: AttemptId, context: &mut Context<'_>) {
        if !self.send_again(id, context) {
            self.attempt_fails(id, Fault::UpstreamClosed, context);
        }
    }

    /// Sends the request once more, if nothing of it was sent, or if sending it twice does no harm
    /// (RFC 9110 §9.2.2), it is all still here, and the budget allows it; whether it did. A pooled
    /// connection was merely stale, so its backend gets the request; one that failed a fresh
    /// connection does not.
    pub(super) fn send_again(&mut self, id: AttemptId, context: &mut Context<'_>) -> bool {
        let Some(attempt) = self.attempts.get(id) else { return false };
        let is_stale = attempt.is_reused();
        let harmless = self.about.method.is_idempotent() && self.up.can_rewind();
        let unsent = self.up.is_untouched(attempt.sent);
        let has_place =
            if is_stale { self.may_retry(context) } else { self.may_try_another(context) };
        if !has_place || !(unsent || harmless) {
            return false;
        }
        let paid = if unsent { None } else { context.budget.spend(context.now) };
        if !unsent && paid.is_none() {
            return false;
        }
        let Some(attempt) = self.attempts.get_mut(id) else { return false };
        if is_stale {
            attempt.paid = paid.or(attempt.paid);
            // That is no failure of the backend.
            context.balancer.restart(&mut attempt.lease, context.now);
            self.connect(id, Source::Fresh, context);
        } else {
            context.balancer.observe(&mut attempt.lease, Outcome::Failed, context.now);
            self.try_another(id, Fault::UpstreamClosed, paid, context);
        }
        true
    }

    /// Whether a connection may be asked for once more. Hedges don't count.
    fn may_retry(&self, context: &Context<'_>) -> bool {
        self.record.attempts - self.record.hedges() < context.settings.limits.attempts
    }

    /// Whether there is a backend that was not tried yet and may be, with no other attempt out.
    fn may_try_another(&self, context: &Context<'_>) -> bool {
        self.may_retry(context)
            && self.attempts.len() == 1
            && context.balancer.has_untried(&self.tried)
    }

    /// Goes to a backend that was not tried yet. If nothing was sent for what was paid before, that
    /// still counts.
    fn try_another(
        &mut self,
        id: AttemptId,
        fault: Fault,
        paid: Option<RetryToken>,
        context: &mut Context<'_>,
    ) {
        let paid = paid.or_else(|| self.take_unspent(id));
        self.count_failure(id, fault);
        self.hedge_lost(id, context);
        self.end_attempt(id, close(id, CloseMode::Close), context);
        self.dispatch(paid, context);
    }

    fn count_failure(&mut self, id: AttemptId, fault: Fault) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let backend = attempt.lease.backend();
        self.actions.push_back(Action::CountFailure { backend, fault });
    }

    /// Ends the attempts at backends that were removed and whose drain limit expired.
    pub fn backends_removed(&mut self, removed: &[BackendId], context: &mut Context<'_>) {
        let is_at_one = |attempt: &Attempt| removed.contains(&attempt.lease.backend());
        let ids = self.attempts.ids();
        let cut: Vec<AttemptId> =
            ids.filter(|id| self.attempts.get(*id).is_some_and(is_at_one)).collect();
        self.servers_removed(&cut, context);
    }

    /// Ends attempts at servers that were removed.
    pub fn servers_removed(&mut self, attempts: &[AttemptId], context: &mut Context<'_>) {
        for id in attempts {
            self.attempt_fails(*id, Fault::BackendRemoved, context);
        }
        if !attempts.is_empty() {
            self.work(context);
        }
    }

    /// What an attempt met ends it, and the request if no other one is out.
    pub(super) fn attempt_fails(&mut self, id: AttemptId, fault: Fault, context: &mut Context<'_>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if fault.blames_upstream() {
            context.balancer.observe(&mut attempt.lease, Outcome::Failed, context.now);
        }
        self.hedge_lost(id, context);
        if self.attempts.len() > 1 {
            self.count_failure(id, fault);
            self.give_up(id, close(id, CloseMode::Close), context);
            if context.settings.hedging.percent.is_some() {
                self.await_rest(context);
            }
        } else {
            self.fail(fault, context);
        }
    }

    /// An attempt has the head of the final response: the others are cancelled, and what it
    /// received is the response's from here on.
    #[inline]
    pub(super) fn win(&mut self, id: AttemptId, context: &mut Context<'_>) {
        for other in self.attempts.ids().without(id) {
            self.cancel(other, context);
        }
        self.attempts.win(id);
        if let Some(attempt) = self.attempts.get_mut(id) {
            (attempt.answer, attempt.overdue_at) = (Answer::Won, None);
            std::mem::swap(&mut attempt.buffer, &mut self.down.body);
            if attempt.role == Role::Hedge {
                self.hedge_won(id, context);
            }
        }
    }

    /// Ends all attempts.
    pub(super) fn end_attempts(&mut self, how: CloseMode, context: &mut Context<'_>) {
        for id in self.attempts.ids() {
            self.give_up(id, close(id, how), context);
        }
    }

    /// Ends an attempt without a response. What was paid for it is given back if nothing was sent.
    pub(super) fn give_up(&mut self, id: AttemptId, action: Action, context: &mut Context<'_>) {
        context.budget.refund(self.take_unspent(id));
        self.end_attempt(id, action, context);
    }

    /// What was paid for sending the request again, if nothing of it was sent in this attempt.
    fn take_unspent(&mut self, id: AttemptId) -> Option<RetryToken> {
        let attempt = self.attempts.get_mut(id)?;
        attempt.paid.take().filter(|_| self.up.is_untouched(attempt.sent))
    }

    /// Ends an attempt, if there is one of this name: its lease and its block are given back, and
    /// `action` says what becomes of its connection.
    pub(super) fn end_attempt(&mut self, id: AttemptId, action: Action, context: &mut Context<'_>) {
        let Some(mut attempt) = self.attempts.remove(id) else { return };
        self.record.attempt_ended(id, &attempt, context.now);
        attempt.buffer.clear();
        attempt.buffer.release_block(context.free);
        context.balancer.release(attempt.lease);
        context.freed();
        self.actions.push_back(action);
    }
}

/// The action that closes an attempt's connection.
pub(super) fn close(attempt: AttemptId, how: CloseMode) -> Action {
    Action::Close { attempt, how }
}
