//! Hedges, which are attempts beside one that is silent: when they begin, and what is learnt from
//! how they end.
//!
//! Hedging is off by default, and most requests need no hedge. So what only hedges need is `cold`.

use std::time::Duration;

use super::Exchange;
use super::action::{Action, CloseMode, Context, HedgeEvent, Phase};
use super::attempt::{Answer, Attempt, AttemptId, Link, MAX_ATTEMPTS, Role};
use super::failover::close;
use super::request_context::Serves;
use super::state::{Request, Response};
use crate::balance::{Choice, Outcome, Tried};
use crate::journal::Hedge;
use crate::proxy::hedging::Hedger;
use crate::proxy::settings::UpstreamReuse;

impl Exchange {
    /// Whether the request may be at several backends at once: that does no harm (RFC 9110 §9.2.2),
    /// all of it is kept, it does not offer to change the protocol, and its client is bound to no
    /// backend.
    pub(super) fn may_be_sent_twice(&self) -> bool {
        matches!(self.states.request(), Request::Done)
            && self.up.is_kept()
            && self.about.method.is_idempotent()
            && self.offered.is_empty()
            && self.about.serves == Serves::Anyone
    }

    fn may_hedge(&self, context: &Context<'_>) -> bool {
        let hedging = &context.settings.hedging;
        hedging.percent.is_some()
            && context.phase != Phase::Draining
            && matches!(self.states.response(), Response::Awaited)
            && self.attempts.len() < MAX_ATTEMPTS
            && self.record.hedges() < u32::from(hedging.attempts)
            && self.may_be_sent_twice()
    }

    /// An attempt begins, or begins again. If it is silent for the delay, a hedge begins, and none
    /// because of those before it. An attempt that measures its backend is not hedged, because it
    /// must not be cancelled. The first attempt earns a part of a hedge.
    #[cold]
    pub(super) fn await_silence(&mut self, id: AttemptId, context: &mut Context<'_>) {
        if self.record.attempts == 1 && self.may_be_sent_twice() {
            context.hedger.earn(&context.settings.hedging);
        }
        let Some(delay) = context.hedger.delay(&context.settings.hedging) else { return };
        let may_hedge = self.may_hedge(context);
        for other in self.attempts.ids() {
            let Some(attempt) = self.attempts.get_mut(other) else { continue };
            if !attempt.is_held() {
                let is_hedged = other == id && may_hedge && !attempt.lease.is_probe();
                attempt.overdue_at = is_hedged.then_some(context.now + delay);
            }
        }
    }

    /// An attempt beside others has failed. If none of those that are left has a deadline, another
    /// hedge may begin after another delay.
    #[cold]
    pub(super) fn await_rest(&mut self, context: &mut Context<'_>) {
        let is_awaited = self.attempts.all().any(|it| it.overdue_at.is_some());
        let first = self.attempts.ids().next();
        if let Some(id) = first.filter(|_| !is_awaited) {
            self.await_silence(id, context);
        }
    }

    /// A failure waits for better answers of other attempts, but not for longer than the delay.
    #[cold]
    pub(super) fn hold(&mut self, id: AttemptId, end: usize, context: &Context<'_>) {
        let delay = context.hedger.delay(&context.settings.hedging).unwrap_or_default();
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.answer = Answer::Held { end };
            attempt.overdue_at = Some(context.now + delay);
        }
    }

    /// Begins a hedge beside an attempt that has been silent for the delay, if that is allowed, and
    /// sends a failure that was held back for so long.
    #[cold]
    pub(super) fn end_silence(&mut self, context: &mut Context<'_>) {
        for id in self.attempts.ids() {
            let Some(attempt) = self.attempts.get_mut(id) else { continue };
            if attempt.overdue_at.is_none_or(|at| at > context.now) {
                continue;
            }
            attempt.overdue_at = None;
            if attempt.is_held() {
                self.take_held(id, context);
            } else if attempt.buffer.raw_len() == 0 {
                self.hedge(id, context);
            }
        }
    }

    fn hedge(&mut self, beside: AttemptId, context: &mut Context<'_>) {
        if !self.may_hedge(context) || !context.hedger.spend() {
            return;
        }
        let none = Tried::default();
        let tried = if context.settings.hedging.same { &none } else { &self.tried };
        // What is free belongs to those that wait.
        let is_calm = context.queue.is_empty();
        let choice = is_calm.then(|| context.balancer.acquire_hedge(tried, context.now));
        match choice.unwrap_or(Choice::Wait) {
            Choice::Go(lease) => return self.begin_attempt(lease, Role::Hedge, None, context),
            Choice::Wait => {
                if let Some(attempt) = self.attempts.get_mut(beside) {
                    let silent = attempt.timing.elapsed(context.now);
                    attempt.overdue_at = Some(context.now + Hedger::look_again(silent));
                }
            }
            Choice::Nobody => {}
        }
        context.hedger.refund();
    }

    /// The delay is learnt from how long it took until an attempt was answered.
    #[cold]
    pub(super) fn learn_delay(&self, role: Role, took: Duration, context: &mut Context<'_>) {
        if role == Role::Own && self.may_be_sent_twice() {
            context.hedger.answered(&context.settings.hedging, took);
        }
    }

    /// An attempt ends because its answer is not needed any more. If it has none yet, it would have
    /// taken longer than this.
    #[cold]
    pub(super) fn observe_given_up(&mut self, id: AttemptId, context: &mut Context<'_>) {
        let client_awaited = self.body_awaited();
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if !matches!(attempt.answer, Answer::Awaited { .. }) {
            return;
        }
        let waited = attempt.timing.answered(client_awaited, context.now);
        attempt.lease.excuse(waited.excused);
        context.balancer.observe(&mut attempt.lease, Outcome::Abandoned, waited.at);
        if attempt.role == Role::Own {
            context.hedger.given_up(&context.settings.hedging, waited.spent);
        }
    }

    /// Ends an attempt because another one has won.
    #[cold]
    pub(super) fn cancel(&mut self, id: AttemptId, context: &mut Context<'_>) {
        self.observe_given_up(id, context);
        self.hedge_lost(id, context);
        let action = self.after_cancelling(id, context);
        self.give_up(id, action, context);
    }

    /// What becomes of the connection of an attempt that is cancelled: if all of the request was
    /// sent and nothing of the answer has come, the answer is read to its end and dropped.
    fn after_cancelling(&self, id: AttemptId, context: &Context<'_>) -> Action {
        let is_kept = context.settings.upstream_reuse == UpstreamReuse::Persistent
            && context.phase != Phase::Draining;
        let can_end = |attempt: &Attempt| {
            let is_open = attempt.end.is_none() && matches!(attempt.link, Link::Open(_));
            is_open && attempt.is_silent() && self.up.is_drained(attempt.sent)
        };
        if is_kept && self.attempts.get(id).is_some_and(can_end) {
            return Action::Discard { attempt: id, method: self.about.method };
        }
        close(id, CloseMode::Close)
    }

    /// A hedge has won.
    #[cold]
    pub(super) fn hedge_won(&mut self, id: AttemptId, context: &mut Context<'_>) {
        context.hedger.ended(true);
        self.record.hedge_decided(id, Hedge::Won);
        if let Some(attempt) = self.attempts.get(id) {
            let (backend, event) = (attempt.lease.backend(), HedgeEvent::Won);
            self.actions.push_back(Action::CountHedge { backend, event });
        }
    }

    /// An attempt has failed, or another one is answered first. If it is a hedge, it has lost. One
    /// that ends because the client left or the proxy stops has neither won nor lost.
    #[cold]
    pub(super) fn hedge_lost(&mut self, id: AttemptId, context: &Context<'_>) {
        let is_hedge = |it: &Attempt| it.role == Role::Hedge && !matches!(it.answer, Answer::Won);
        if self.attempts.get(id).is_some_and(is_hedge) {
            context.hedger.ended(false);
            self.record.hedge_decided(id, Hedge::Lost);
        }
    }
}
