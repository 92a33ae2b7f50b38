//! Requests that wait because all backends that may have them are at their limits.
//!
//! The queue ([`crate::proxy::queue`]) decides which request is next. It calls that request, for
//! which the balancer then chooses a backend.

use std::time::Instant;

use super::Exchange;
use super::action::Context;
use super::attempt::Role;
use super::state::Response;
use crate::balance::Choice;
use crate::proxy::budget::RetryToken;
use crate::proxy::fault::Fault;
use crate::proxy::queue::{Call, Class, Scope, Ticket, Turn};
use crate::proxy::settings::Timeouts;

/// A request's place in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    ticket: Ticket,
    /// When the first in line has those called that wait, because a backend may take a request
    /// then.
    chance: Option<Instant>,
    /// What was paid for sending the request again, which is given back if it is not.
    paid: Option<RetryToken>,
}

#[cfg(test)]
impl Waiting {
    /// In a queue of its own.
    pub(super) fn alone() -> Self {
        #[derive(Debug)]
        struct Nobody;
        impl crate::proxy::queue::Wake for Nobody {
            fn wake(&self, _: usize) {}
        }
        let queue = crate::proxy::queue::Queue::new(1, std::sync::Arc::new(Nobody));
        let queue = crate::proxy::queue::WorkerQueue::new(std::sync::Arc::new(queue), 0);
        let (ticket, _) = queue.join(0, Class::First, Scope::All, 1).expect("a place");
        Self { ticket, chance: None, paid: None }
    }
}

impl Exchange {
    /// The client, by the name that calls from the queue have. It is new to this exchange.
    pub fn serve(&mut self, client: u64) {
        self.client = client;
    }

    /// Whether others wait for what this request would take. One that was sent before has waited.
    #[inline]
    pub(super) fn is_behind_others(&self, context: &Context<'_>) -> bool {
        self.record.attempts == 0 && !context.queue.is_empty()
    }

    /// Waits for a backend, if there is a queue that is not full.
    #[cold]
    pub(super) fn join_queue(&mut self, paid: Option<RetryToken>, context: &mut Context<'_>) {
        let limit = context.settings.limits.queue;
        if limit == 0 {
            context.budget.refund(paid);
            return self.fail(Fault::BackendsFull, context);
        }
        let class = if self.record.attempts == 0 { Class::First } else { Class::Again };
        let is_free = self.bound.is_none() && self.tried.is_empty();
        let scope = if is_free { Scope::All } else { Scope::Some };
        let Some((ticket, turn)) = context.queue.join(self.client, class, scope, limit) else {
            context.budget.refund(paid);
            return self.fail(Fault::QueueFull, context);
        };
        self.record.joined_queue(context.now);
        self.response_becomes(Response::Queued(Waiting { ticket, chance: None, paid }), context);
        if turn == Turn::Called {
            self.look(context);
        }
    }

    /// The request waits for no backend any more. If it was to be sent again, it is not.
    pub(super) fn stop_waiting(&mut self, context: &mut Context<'_>) {
        self.record.left_queue(context.now);
        if let Some(waiting) = self.states.waiting_mut() {
            context.budget.refund(waiting.paid.take());
        }
    }

    /// It is this request's turn, if it is the one that was called.
    pub fn called(&mut self, call: Call, context: &mut Context<'_>) {
        let waiting = self.states.waiting_mut();
        if waiting.is_some_and(|waiting| waiting.ticket.is_meant_by(call)) {
            self.look(context);
        }
        self.work(context);
    }

    /// Looks for a backend, as often as something is freed meanwhile.
    fn look(&mut self, context: &mut Context<'_>) {
        loop {
            let was_due = context.balancer.record_next();
            let choice = self.choose(context);
            context.balancer.keep_due(was_due);
            match choice {
                Choice::Go(lease) => {
                    let waiting = self.states.waiting_mut();
                    let paid = waiting.and_then(|waiting| {
                        context.goes(&waiting.ticket);
                        waiting.paid.take()
                    });
                    return self.begin_attempt(lease, Role::Own, paid, context);
                }
                Choice::Nobody => return self.fail(Fault::ConnectRefused, context),
                Choice::Wait => {
                    let Some(waiting) = self.states.waiting_mut() else { return };
                    waiting.chance = match waiting.ticket.stays() {
                        Turn::Called => continue,
                        Turn::Watches => context.balancer.next_chance(context.now),
                        Turn::Waits => None,
                    };
                    return;
                }
            }
        }
    }

    /// When a request that waits has waited long enough, or may find a backend.
    #[cold]
    pub(super) fn queue_deadline(&self, waiting: &Waiting, timeouts: &Timeouts) -> Option<Instant> {
        let end = self.record.queue_end(timeouts.queue);
        end.into_iter().chain(waiting.chance).min()
    }

    /// Ends the wait in the queue if its time has come.
    #[cold]
    pub(super) fn end_queueing(&mut self, context: &mut Context<'_>) {
        let (now, timeout) = (context.now, context.settings.timeouts.queue);
        if self.record.queue_end(timeout).is_some_and(|end| end <= now) {
            return self.fail(Fault::QueueTimeout, context);
        }
        if let Some(waiting) = self.states.waiting_mut()
            && waiting.chance.is_some_and(|chance| chance <= now)
        {
            waiting.chance = context.balancer.next_chance(now);
            context.freed();
        }
    }
}
