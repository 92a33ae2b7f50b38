//! The way of a request: to a backend, through it, and back.

use tidegate::balance::{Choice, Lease, Outcome, Tried};
use tidegate::proxy::hedging::Hedger;
use tidegate::proxy::queue::Ticket;

use super::{Ended, Event, NO_ANSWER, NO_BACKEND, NO_CONNECTION, Workload, World};
use crate::fleet::time::{SECOND, Time, duration, nanos};
use crate::fleet::{Answer, Key};
use crate::scenario::Request as Drawn;
use crate::simulate::workload::Dispatch;

/// One request of a client.
#[derive(Debug)]
pub(super) struct Request {
    /// When it came.
    pub(super) came: Time,
    /// What it is.
    pub(super) drawn: Drawn,
    pub(super) tried: Tried,
    pub(super) attempts: usize,
    /// Those of them that were begun beside others.
    pub(super) hedges: u8,
    /// The one begun last.
    pub(super) last: Option<Dispatch>,
    /// Those that are waited for, by their keys in the fleet; the one begun last is the last.
    pub(super) out: Vec<Key>,
    /// Its place in the queue, while it waits there.
    pub(super) waits: Option<Wait>,
    /// How long it waited there before.
    pub(super) waited: Time,
}

/// A stay in the queue.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) ticket: Ticket,
    pub(super) since: Time,
    /// When it is too long.
    pub(super) end: Time,
}

/// One try of a request at a backend.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The request's key among those that are pending.
    pub(super) request: Key,
    pub(super) lease: Lease,
    is_hedge: bool,
    /// When it was sent.
    sent: Time,
}

impl<W: Workload> World<'_, W> {
    /// Sends a request to a backend, and to another one if that refuses it, or has it wait for one.
    pub(super) fn dispatch(&mut self, key: Key) {
        loop {
            let Some(request) = self.pending.get(key) else { return };
            let Drawn { proxy, worker, .. } = request.drawn;
            let proxy = &mut self.proxies[proxy];
            if request.attempts == 0 && proxy.has_queue() {
                return self.join_queue(key);
            }
            let lease = match proxy.acquire(worker, &request.tried, self.now) {
                Choice::Go(lease) => lease,
                Choice::Wait => return self.join_queue(key),
                Choice::Nobody => return self.complete(key, NO_BACKEND),
            };
            if self.try_backend(key, lease, false) || !self.may_retry(key) {
                return;
            }
        }
    }

    /// Sends a request to the backend of this lease; whether that took it. If it does not, and no
    /// other attempt is out nor may follow, the request has failed.
    pub(super) fn try_backend(&mut self, key: Key, lease: Lease, is_hedge: bool) -> bool {
        let Some(request) = self.pending.get(key) else { return false };
        let (drawn, now) = (request.drawn, self.now);
        let proxy = &mut self.proxies[drawn.proxy];
        let backend = proxy.backend(&lease);
        request.attempts += 1;
        request.hedges += u8::from(is_hedge);
        if request.attempts == 1 {
            proxy.earn_hedge();
        }
        if (self.begin..self.end).contains(&now) {
            self.measured.sent(backend, drawn.focus);
        }
        request.tried.insert(lease.backend());
        let (attempt, in_flight) = (request.attempts, lease.in_flight());
        let to = Dispatch { backend, attempt, in_flight, at: now };
        request.last = Some(to);
        if self.fleet.listens(backend) {
            self.send(key, to, Attempt { request: key, lease, is_hedge, sent: now });
            return true;
        }
        proxy.end(drawn.worker, lease, Outcome::Unreachable, 0, now);
        if is_hedge {
            proxy.hedge_ended(false);
        } else if !self.may_retry(key) {
            self.complete(key, NO_CONNECTION);
        }
        false
    }

    /// Whether there is such a request, no attempt of it is out, and one more may be.
    pub(super) fn may_retry(&mut self, key: Key) -> bool {
        let Some(request) = self.pending.get(key) else { return false };
        let own = request.attempts - usize::from(request.hedges);
        request.out.is_empty()
            && own < self.scenario.proxies.max_attempts
            && self.proxies[request.drawn.proxy].has_untried(request.drawn.worker, &request.tried)
    }

    /// An attempt reaches its backend, which takes connections.
    fn send(&mut self, key: Key, to: Dispatch, attempt: Attempt) {
        let Some(request) = self.pending.get(key) else { return };
        let (now, drawn, backend) = (self.now, request.drawn, to.backend);
        let ask = self.workload.ask(&drawn, to);
        let timeout = now + nanos(self.scenario.proxies.response_timeout);
        let is_special = self.fleet.conduct(backend).is_some();
        let is_probe = attempt.lease.is_probe();
        let job = self.fleet.receive(backend, ask, attempt, now, &mut self.events);
        request.out.push(job);
        self.parks.push_back((now + SECOND, job));
        // A long poll is not slow: it has no timeout.
        if is_special || ask.wait.is_none() {
            self.timeouts.push_back((timeout, job));
        }
        let proxy = &mut self.proxies[drawn.proxy];
        let may_hedge = !is_probe && request.hedges < proxy.hedging.attempts;
        if let Some(delay) = proxy.hedge_delay().filter(|_| may_hedge) {
            self.events.push(now + delay, Event::Overdue(job));
        }
    }

    /// The time is over for which this attempt alone was waited for: another one begins beside it,
    /// if it may.
    pub(super) fn overdue(&mut self, job: Key) {
        let Some(Attempt { request: key, sent, .. }) = self.fleet.owner(job) else { return };
        let (key, silent) = (*key, duration(self.now - *sent));
        let Some(request) = self.pending.get(key).filter(|it| it.out.last() == Some(&job)) else {
            return;
        };
        let Drawn { proxy, worker, .. } = request.drawn;
        let proxy = &mut self.proxies[proxy];
        match proxy.acquire_hedge(worker, &request.tried, self.now) {
            Choice::Go(lease) => drop(self.try_backend(key, lease, true)),
            Choice::Wait => {
                let later = self.now + nanos(Hedger::look_again(silent));
                self.events.push(later, Event::Overdue(job));
            }
            Choice::Nobody => {}
        }
    }

    /// A backend has answered. What is no failure is the answer to the request; a failure only if
    /// no other attempt is out.
    pub(super) fn answered(&mut self, answer: Answer<Attempt>) {
        let Answer { owner: Some(attempt), status, .. } = answer else { return };
        let Some(request) = self.pending.get(attempt.request) else { return };
        let seen = self.workload.sees_at(request.drawn.proxy, self.now);
        if seen > self.now {
            let backend = self.proxies[request.drawn.proxy].backend(&attempt.lease);
            let job = self.fleet.hold(backend, status, attempt, self.now, seen, &mut self.events);
            // The answer takes the place of the work on it.
            request.out.retain(|job| self.fleet.owner(*job).is_some());
            request.out.push(job);
            return;
        }
        let outcome = match status {
            502..=504 | 508 => Outcome::Failed,
            429 | 500.. => Outcome::Declined,
            _ => Outcome::Answered,
        };
        let key = attempt.request;
        self.end(attempt, outcome, status < 500);
        let is_last = self.pending.get(key).is_some_and(|request| request.out.is_empty());
        if status < 500 || is_last {
            self.complete(key, status);
        }
    }

    /// An attempt has ended; whether it has won.
    fn end(&mut self, attempt: Attempt, outcome: Outcome, has_won: bool) {
        let Attempt { request: key, lease, is_hedge, sent } = attempt;
        let took = self.now - sent;
        let Some(request) = self.pending.get(key) else { return };
        // Of those that are out, it is the only one that nobody owns any more.
        request.out.retain(|job| self.fleet.owner(*job).is_some());
        let Drawn { proxy, worker, .. } = request.drawn;
        let proxy = &mut self.proxies[proxy];
        proxy.end(worker, lease, outcome, took, self.now);
        if is_hedge {
            proxy.hedge_ended(has_won);
        } else {
            proxy.learn_delay(outcome, took);
        }
    }

    /// The proxy waits no longer. The backend works on if it has begun.
    pub(super) fn time_out(&mut self, job: Key) {
        if let Some(attempt) = self.fleet.abandon(job) {
            let key = attempt.request;
            self.end(attempt, Outcome::Failed, false);
            if self.pending.get(key).is_some_and(|request| request.out.is_empty()) {
                self.complete(key, NO_ANSWER);
            }
        }
    }

    /// An attempt that is under way for so long may wait for something else than its backend.
    pub(super) fn park(&mut self, job: Key) {
        let Some(Attempt { request, lease, .. }) = self.fleet.owner(job) else { return };
        let Some(Request { drawn, .. }) = self.pending.get(*request) else { return };
        if !self.proxies[drawn.proxy].park(drawn.worker, lease, self.now) {
            self.parks.push_back((self.now + SECOND, job));
        }
    }

    /// A request has ended. Its other attempts are cancelled: the proxy reads their answers and
    /// drops them, so their backends notice nothing.
    pub(super) fn complete(&mut self, key: Key, status: u16) {
        let Some(request) = self.pending.get(key) else { return };
        for job in std::mem::take(&mut request.out) {
            if let Some(attempt) = self.fleet.disown(job) {
                self.end(attempt, Outcome::Abandoned, false);
            }
        }
        let Some(request) = self.pending.remove(key) else { return };
        self.count(&request, status);
        let Request { drawn, came, last, .. } = request;
        let ended = Ended { request: drawn, came, at: self.now, status, last };
        if let Some(at) = self.workload.ended(&ended) {
            self.events.push(at, Event::Arrive);
        }
    }

    /// Counts a request as ended now.
    pub(super) fn count(&mut self, request: &Request, status: u16) {
        if self.is_counted(request) {
            self.open -= 1;
            self.measured.ended(self.now - request.came, status >= 400, request.drawn.focus);
        }
    }

    /// Latencies of long polls are not speeds, so they are not counted.
    pub(super) fn is_counted(&self, request: &Request) -> bool {
        let is_poll = self.scenario.classes[request.drawn.class].wait.is_some();
        (self.begin..self.end).contains(&request.came) && !is_poll
    }

    /// All that a backend has is reset. Nothing of an answer had come, so the proxy tries again.
    pub(super) fn restart(&mut self, backend: usize) {
        for job in self.fleet.restart(backend) {
            let Some(attempt) = self.fleet.remove(job) else { continue };
            let key = attempt.request;
            self.end(attempt, Outcome::Failed, false);
            if self.may_retry(key) {
                self.dispatch(key);
            } else if self.pending.get(key).is_some_and(|request| request.out.is_empty()) {
                self.complete(key, NO_CONNECTION);
            }
        }
    }
}
