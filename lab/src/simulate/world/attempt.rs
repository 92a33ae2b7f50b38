//! The way of a request: to a backend, through it, and back.

use tidegate::balance::Outcome;

use super::World;
use crate::scenario::Conduct;
use crate::simulate::attempts::{Attempt, Key, OK, Request, Stage};
use crate::simulate::events::Event;
use crate::simulate::server::Work;
use crate::simulate::time::{MILLISECOND, SECOND, Time, nanos, whole};

/// A client whose request failed at once sends the next one after this time, because without any
/// time would stand still.
const RETRY_PAUSE: Time = MILLISECOND;

/// What becomes of an attempt that reaches its backend.
enum Reception {
    /// It is never answered.
    Never,
    /// It is answered after this time, whatever else the backend does.
    After(Time),
    /// It is so much work.
    Work(f64),
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
            if self.now >= self.begin {
                self.measured.sent(backend, request.drawn.focus);
            }
            match self.servers[backend].conduct {
                Some(Conduct::Refuse | Conduct::Restart) => {
                    request.tried.insert(lease.backend());
                    proxy.end(request.drawn.worker, lease, Outcome::Unreachable, 0, self.now);
                    if !self.may_retry(&request) {
                        return self.complete(&request, true);
                    }
                }
                conduct => {
                    let waiting = Some((request, lease));
                    let (sent, stage) = (self.now, Stage::Aside);
                    let attempt = Attempt { waiting, backend, sent, status: OK, stage };
                    return self.send(attempt, conduct);
                }
            }
        }
    }

    fn may_retry(&self, request: &Request) -> bool {
        request.attempts < self.scenario.proxies.max_attempts
            && self.proxies[request.drawn.proxy].has_untried(request.drawn.worker, &request.tried)
    }

    /// An attempt reaches its backend, which takes connections.
    fn send(&mut self, mut attempt: Attempt, conduct: Option<Conduct>) {
        let (backend, now) = (attempt.backend, self.now);
        let Some((Request { drawn, attempts, .. }, _)) = &attempt.waiting else { return };
        let class = &self.scenario.classes[drawn.class];
        let noise = drawn.seed.wrapping_add(*attempts as u64 - 1);
        let timeout = now + nanos(self.scenario.proxies.response_timeout);
        let reception = match (conduct, class.wait) {
            (Some(Conduct::Hang), _) => Reception::Never,
            (Some(Conduct::Fail(status, after)), _) => {
                attempt.status = status;
                Reception::After(nanos(after))
            }
            (_, Some(wait)) => Reception::After(nanos(wait)),
            (_, None) => {
                let (work, status) = self.servers[backend].draw(class.cost, noise);
                (attempt.status, attempt.stage) = (status, Stage::Queued(work));
                Reception::Work(work)
            }
        };
        let key = self.attempts.insert(attempt);
        self.parks.push_back((now + SECOND, key));
        // A long poll is not slow: it has no timeout.
        if conduct.is_some() || class.wait.is_none() {
            self.timeouts.push_back((timeout, key));
        }
        match reception {
            Reception::Never => {}
            Reception::After(time) => self.events.add(now + time, Event::Finish(key)),
            Reception::Work(work) => self.enter(backend, key, work),
        }
    }

    /// A backend gets so much work.
    fn enter(&mut self, backend: usize, key: Key, work: f64) {
        let server = &mut self.servers[backend];
        let (slowness, read) = (server.slowness(), server.watch.read(self.now));
        match &mut server.work {
            Work::Slots(slots) => {
                let has_slot = slots.enter(key);
                if has_slot {
                    self.serve(key);
                }
            }
            Work::Cores(cores) => {
                cores.enter(key, work * slowness, read);
                self.await_share(backend);
            }
        }
    }

    /// A slot begins to work on an attempt; whether that is still there.
    fn serve(&mut self, key: Key) -> bool {
        let Some(attempt) = self.attempts.get(key) else { return false };
        let Stage::Queued(work) = attempt.stage else { return false };
        let server = &self.servers[attempt.backend];
        let due = server.watch.read(self.now) + whole(work * server.slowness());
        attempt.stage = Stage::Served(due);
        self.events.add(server.watch.at(due, self.now), Event::Finish(key));
        true
    }

    /// The time of an attempt is over, unless its backend stood still meanwhile.
    pub(super) fn finish(&mut self, key: Key) {
        let Some(attempt) = self.attempts.get(key) else { return };
        let (backend, stage) = (attempt.backend, attempt.stage);
        if let Stage::Served(due) = stage {
            let watch = &self.servers[backend].watch;
            if watch.read(self.now) < due {
                return self.events.add(watch.at(due, self.now), Event::Finish(key));
            }
        }
        let attempt = self.attempts.remove(key);
        if stage != Stage::Aside {
            self.free_slot(backend);
        }
        if let Some(attempt) = attempt {
            self.answer(attempt);
        }
    }

    /// The next that queues gets the slot. Those whom nobody waits for any more have left.
    fn free_slot(&mut self, backend: usize) {
        while let Work::Slots(slots) = &mut self.servers[backend].work
            && let Some(next) = slots.leave()
        {
            if self.serve(next) {
                return;
            }
        }
    }

    /// The first of those that share cores is answered.
    pub(super) fn share(&mut self, backend: usize, version: u64) {
        let server = &mut self.servers[backend];
        let read = server.watch.read(self.now);
        let Work::Cores(cores) = &mut server.work else { return };
        if cores.version != version {
            return;
        }
        if cores.next_end().is_none_or(|end| read < end) {
            return self.await_share(backend);
        }
        let first = cores.leave(read);
        self.await_share(backend);
        if let Some(attempt) = first.and_then(|key| self.attempts.remove(key)) {
            self.answer(attempt);
        }
    }

    fn await_share(&mut self, backend: usize) {
        let server = &self.servers[backend];
        if let Work::Cores(cores) = &server.work
            && let Some(end) = cores.next_end()
        {
            let at = server.watch.at(end, self.now);
            self.events.add(at, Event::Share(backend, cores.version));
        }
    }

    /// The backend has answered.
    fn answer(&mut self, attempt: Attempt) {
        let status = attempt.status;
        let outcome = match status {
            502..=504 | 508 => Outcome::Failed,
            429 | 500.. => Outcome::Declined,
            _ => Outcome::Answered,
        };
        if let Some(request) = self.end(attempt, outcome) {
            self.complete(&request, status >= 400);
        }
    }

    /// The attempt of a request that is still waited for has ended.
    fn end(&mut self, attempt: Attempt, outcome: Outcome) -> Option<Request> {
        let (request, lease) = attempt.waiting?;
        let took = self.now - attempt.sent;
        self.proxies[request.drawn.proxy].end(request.drawn.worker, lease, outcome, took, self.now);
        Some(request)
    }

    /// The proxy waits no longer. The backend works on if it has begun, or does not notice.
    pub(super) fn time_out(&mut self, key: Key) {
        let Some(attempt) = self.attempts.get(key) else { return };
        let server = &self.servers[attempt.backend];
        let is_kept = match attempt.stage {
            Stage::Queued(_) => matches!(server.work, Work::Cores(_)) || server.group.ignore_aborts,
            Stage::Served(_) => true,
            Stage::Aside => false,
        };
        let gone = if is_kept {
            let Attempt { backend, sent, status, stage, .. } = *attempt;
            Some(Attempt { waiting: attempt.waiting.take(), backend, sent, status, stage })
        } else {
            self.attempts.remove(key)
        };
        if let Some(request) = gone.and_then(|gone| self.end(gone, Outcome::Failed)) {
            self.complete(&request, true);
        }
    }

    /// An attempt that is under way for so long may wait for something else than its backend.
    pub(super) fn park(&mut self, key: Key) {
        let Some(Attempt { waiting: Some((request, lease)), .. }) = self.attempts.get(key) else {
            return;
        };
        if !self.proxies[request.drawn.proxy].park(request.drawn.worker, lease, self.now) {
            self.parks.push_back((self.now + SECOND, key));
        }
    }

    /// A request has ended. Latencies of long polls are not speeds, so they are not counted.
    fn complete(&mut self, request: &Request, is_error: bool) {
        let latency = self.now - request.came;
        let is_poll = self.scenario.classes[request.drawn.class].wait.is_some();
        if request.came >= self.begin && !is_poll {
            self.measured.ended(latency, is_error, request.drawn.focus);
        }
        if self.requests.next_at().is_none() {
            let pause = if latency == 0 { RETRY_PAUSE } else { 0 };
            self.events.add(self.now + pause, Event::Arrive);
        }
    }

    /// All that a backend has is reset. Nothing of an answer had come, so the proxy tries again.
    pub(super) fn restart(&mut self, backend: usize) {
        let group = self.servers[backend].group;
        self.servers[backend].work.reset(group);
        for key in self.attempts.keys() {
            if self.attempts.get(key).is_none_or(|attempt| attempt.backend != backend) {
                continue;
            }
            let Some(attempt) = self.attempts.remove(key) else { continue };
            let id = attempt.waiting.as_ref().map(|(_, lease)| lease.backend());
            let (Some(mut request), Some(id)) = (self.end(attempt, Outcome::Failed), id) else {
                continue;
            };
            request.tried.insert(id);
            if self.may_retry(&request) {
                self.dispatch(request);
            } else {
                self.complete(&request, true);
            }
        }
    }
}
