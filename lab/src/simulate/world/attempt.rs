//! The way of a request: to a backend, through it, and back.

use tidegate::balance::{Lease, Outcome, Tried};

use super::{Event, World};
use crate::fleet::time::{MILLISECOND, SECOND, Time, nanos};
use crate::fleet::{Answer, Ask, Key};
use crate::scenario::Request as Drawn;

/// A client whose request failed at once sends the next one after this time, because without any
/// time would stand still.
const RETRY_PAUSE: Time = MILLISECOND;

/// One request of a client.
#[derive(Debug)]
pub(super) struct Request {
    /// When it came.
    pub(super) came: Time,
    /// What it is.
    pub(super) drawn: Drawn,
    pub(super) tried: Tried,
    pub(super) attempts: usize,
}

/// One try of a request at a backend.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) request: Request,
    pub(super) lease: Lease,
    /// When it was sent.
    sent: Time,
}

impl World<'_> {
    /// Sends a request to a backend, and to another one if that refuses it.
    pub(super) fn dispatch(&mut self, mut request: Request) {
        loop {
            let proxy = &mut self.proxies[request.drawn.proxy];
            let Some(lease) = proxy.acquire(request.drawn.worker, &request.tried, self.now) else {
                return self.complete(&request, true);
            };
            let backend = proxy.backend(&lease);
            request.attempts += 1;
            if (self.begin..self.end).contains(&self.now) {
                self.measured.sent(backend, request.drawn.focus);
            }
            if self.fleet.listens(backend) {
                return self.send(backend, Attempt { request, lease, sent: self.now });
            }
            request.tried.insert(lease.backend());
            proxy.end(request.drawn.worker, lease, Outcome::Unreachable, 0, self.now);
            if !self.may_retry(&request) {
                return self.complete(&request, true);
            }
        }
    }

    fn may_retry(&self, request: &Request) -> bool {
        request.attempts < self.scenario.proxies.max_attempts
            && self.proxies[request.drawn.proxy].has_untried(request.drawn.worker, &request.tried)
    }

    /// An attempt reaches its backend, which takes connections.
    fn send(&mut self, backend: usize, attempt: Attempt) {
        let (now, request) = (self.now, &attempt.request);
        let class = &self.scenario.classes[request.drawn.class];
        let seed = request.drawn.seed.wrapping_add(request.attempts as u64 - 1);
        let ask = Ask { cost: class.cost, wait: class.wait, seed };
        let timeout = now + nanos(self.scenario.proxies.response_timeout);
        let is_special = self.fleet.conduct(backend).is_some();
        let key = self.fleet.receive(backend, ask, attempt, now, &mut self.events);
        self.parks.push_back((now + SECOND, key));
        // A long poll is not slow: it has no timeout.
        if is_special || class.wait.is_none() {
            self.timeouts.push_back((timeout, key));
        }
    }

    /// A backend has answered.
    pub(super) fn answered(&mut self, answer: Answer<Attempt>) {
        let Answer { owner: Some(attempt), status, .. } = answer else { return };
        let outcome = match status {
            502..=504 | 508 => Outcome::Failed,
            429 | 500.. => Outcome::Declined,
            _ => Outcome::Answered,
        };
        let request = self.end(attempt, outcome);
        self.complete(&request, status >= 400);
    }

    /// The attempt of a request has ended.
    fn end(&mut self, attempt: Attempt, outcome: Outcome) -> Request {
        let Attempt { request, lease, sent } = attempt;
        self.proxies[request.drawn.proxy].end(
            request.drawn.worker,
            lease,
            outcome,
            self.now - sent,
            self.now,
        );
        request
    }

    /// The proxy waits no longer. The backend works on if it has begun.
    pub(super) fn time_out(&mut self, key: Key) {
        if let Some(attempt) = self.fleet.abandon(key) {
            let request = self.end(attempt, Outcome::Failed);
            self.complete(&request, true);
        }
    }

    /// An attempt that is under way for so long may wait for something else than its backend.
    pub(super) fn park(&mut self, key: Key) {
        let Some(Attempt { request, lease, .. }) = self.fleet.owner(key) else { return };
        if !self.proxies[request.drawn.proxy].park(request.drawn.worker, lease, self.now) {
            self.parks.push_back((self.now + SECOND, key));
        }
    }

    /// A request has ended.
    fn complete(&mut self, request: &Request, is_error: bool) {
        self.count(request, is_error);
        if self.requests.next_at().is_none() {
            let pause = if self.now == request.came { RETRY_PAUSE } else { 0 };
            self.events.push(self.now + pause, Event::Arrive);
        }
    }

    /// Counts a request as ended now.
    pub(super) fn count(&mut self, request: &Request, is_error: bool) {
        if self.is_counted(request) {
            self.open -= 1;
            self.measured.ended(self.now - request.came, is_error, request.drawn.focus);
        }
    }

    /// Latencies of long polls are not speeds, so they are not counted.
    pub(super) fn is_counted(&self, request: &Request) -> bool {
        let is_poll = self.scenario.classes[request.drawn.class].wait.is_some();
        (self.begin..self.end).contains(&request.came) && !is_poll
    }

    /// All that a backend has is reset. Nothing of an answer had come, so the proxy tries again.
    pub(super) fn restart(&mut self, backend: usize) {
        for key in self.fleet.restart(backend) {
            let Some(attempt) = self.fleet.remove(key) else { continue };
            let id = attempt.lease.backend();
            let mut request = self.end(attempt, Outcome::Failed);
            request.tried.insert(id);
            if self.may_retry(&request) {
                self.dispatch(request);
            } else {
                self.complete(&request, true);
            }
        }
    }
}
