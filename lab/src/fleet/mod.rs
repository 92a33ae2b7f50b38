//! The backends of a scenario as a state machine: queues, service times, scripts, drift.
//!
//! It knows neither sockets nor clocks. The simulator drives it in simulated time; `backend` drives
//! it by an event loop, so that a backend over sockets does what the simulated one does. The caller
//! keeps an [`Agenda`], takes each event out when it is due, and passes it to [`Fleet::happen`]
//! with the time for which it was due. So what a late caller does moves nothing that comes after.

mod events;
mod jobs;
mod server;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod time;
mod watch;
mod work;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

pub(crate) use events::Events;
pub(crate) use table::{Key, Table};

use crate::scenario::{Conduct, Group};
use jobs::{Job, Jobs, Stage};
use server::{DRIFT_STEP, Server};
use time::{Time, nanos, whole};
use work::Work;

/// The status of what a backend answers unless it is told otherwise.
pub(crate) const OK: u16 = 200;

/// Backends, and the requests that they have. `T` says for whom a request is.
#[derive(Debug)]
pub(crate) struct Fleet<T> {
    servers: Vec<Server>,
    jobs: Jobs<T>,
    /// The chance by which speeds drift.
    rng: Rng,
}

/// Something that happens at an instant.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Event {
    /// A phase of this backend's script begins or ends.
    Script(usize),
    /// The speeds of backends drift.
    Drift,
    /// A request is answered, if nothing has delayed it.
    Finish(Key),
    /// The next request is answered by a backend whose requests share cores, unless others have
    /// come since this was foreseen.
    Share(usize, u64),
}

/// Where events are put until they are due.
pub(crate) trait Agenda {
    fn add(&mut self, at: Time, event: Event);
}

impl<E: Ord + From<Event>> Agenda for Events<E> {
    fn add(&mut self, at: Time, event: Event) {
        self.push(at, event.into());
    }
}

/// What a request asks of a backend.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    /// A multiple of the service time.
    pub(crate) cost: f64,
    /// For a long poll, the time after which it is answered. It takes no slot.
    pub(crate) wait: Option<Duration>,
    /// The seed of its service time.
    pub(crate) seed: u64,
}

/// How long a backend takes for requests, if a log says it.
pub(crate) trait Recorded: std::fmt::Debug + Send + Sync {
    /// How long a request takes on which the work begins now, and which has this place (the cost
    /// that was [asked](Ask)) in the log.
    fn time(&self, place: f64, now: Time) -> f64;
}

/// What its caller has to do something about.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome<T> {
    /// A backend has answered.
    Answered(Answer<T>),
    /// This backend's script has changed something.
    Changed(usize, Change),
}

/// The answer to a request.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer<T> {
    /// `None` if no client waits for it.
    pub(crate) owner: Option<T>,
    pub(crate) status: u16,
    /// The time from the beginning of the work on it to the answer.
    pub(crate) took: Time,
}

/// What a script has changed.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Other,
    Joined,
    Left,
    Restarted,
}

/// What becomes of a request that reaches its backend.
enum Reception {
    /// It is never answered.
    Never,
    /// It is answered after this time, whatever else the backend does.
    After(Time),
    /// It is so much work.
    Work(f64),
}

impl<T> Fleet<T> {
    /// Backends that do what their scripts say of the beginning.
    pub(crate) fn new<'a>(groups: impl Iterator<Item = &'a Group>) -> Self {
        let servers = groups.map(Server::new).collect();
        Self { servers, jobs: Jobs::default(), rng: Rng::with_seed(0) }
    }

    /// Backends take their times from a log: one for each of them.
    pub(crate) fn replay(&mut self, recorded: Vec<Arc<dyn Recorded>>) {
        let pairs = self.servers.iter_mut().zip(recorded);
        pairs.for_each(|(server, recorded)| server.replay(recorded));
    }

    /// Scripts begin at `zero`, and speeds drift by `rng` from now on.
    pub(crate) fn begin(&mut self, zero: Time, rng: Rng, now: Time, agenda: &mut impl Agenda) {
        self.rng = rng;
        self.servers.iter_mut().for_each(|server| server.begin(zero, now, &mut self.rng));
        (0..self.servers.len()).for_each(|backend| self.await_script(backend, now, agenda));
        if self.servers.iter().any(|server| server.group.drift.is_some()) {
            agenda.add(zero.max(now) + DRIFT_STEP, Event::Drift);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// How many requests they have.
    pub(crate) fn requests(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn group(&self, backend: usize) -> &Group {
        &self.servers[backend].group
    }

    /// What a backend does with new requests, if that is anything special.
    pub(crate) fn conduct(&self, backend: usize) -> Option<Conduct> {
        self.servers[backend].conduct
    }

    /// Whether the port of a backend accepts connections.
    pub(crate) fn listens(&self, backend: usize) -> bool {
        self.servers[backend].listens()
    }

    /// A request reaches a backend whose port accepts connections.
    pub(crate) fn receive(
        &mut self,
        backend: usize,
        ask: Ask,
        owner: T,
        now: Time,
        agenda: &mut impl Agenda,
    ) -> Key {
        let server = &mut self.servers[backend];
        let (reception, status) = match (server.conduct, ask.wait) {
            (Some(Conduct::Hang), _) => (Reception::Never, OK),
            (Some(Conduct::Fail(status, after)), _) => (Reception::After(nanos(after)), status),
            (_, Some(wait)) => (Reception::After(nanos(wait)), OK),
            (_, None) => {
                let (work, status) = server.draw(ask.cost, ask.seed);
                (Reception::Work(work), status)
            }
        };
        let stage = match (&reception, &server.work) {
            (Reception::Work(_), Work::Cores(_)) => Stage::Shared,
            (Reception::Work(work), Work::Slots(_)) => Stage::Queued(*work),
            _ => Stage::Aside,
        };
        let key = self.jobs.insert(Job { owner: Some(owner), backend, status, stage, since: now });
        match reception {
            Reception::Never => {}
            Reception::After(time) => agenda.add(now + time, Event::Finish(key)),
            Reception::Work(work) => self.enter(backend, key, work, now, agenda),
        }
        key
    }

    /// An answer is on its way until then.
    pub(crate) fn hold(
        &mut self,
        backend: usize,
        status: u16,
        owner: T,
        now: Time,
        until: Time,
        agenda: &mut impl Agenda,
    ) -> Key {
        let owner = Some(owner);
        let key = self.jobs.insert(Job { owner, backend, status, stage: Stage::Aside, since: now });
        agenda.add(until, Event::Finish(key));
        key
    }

    /// An event is due.
    pub(crate) fn happen(
        &mut self,
        event: Event,
        now: Time,
        agenda: &mut impl Agenda,
    ) -> Option<Outcome<T>> {
        match event {
            Event::Script(backend) => {
                let change = self.servers[backend].follow_script(now);
                self.await_script(backend, now, agenda);
                Some(Outcome::Changed(backend, change))
            }
            Event::Drift => {
                self.servers.iter_mut().for_each(|server| server.drift(&mut self.rng));
                agenda.add(now + DRIFT_STEP, Event::Drift);
                None
            }
            Event::Finish(key) => self.finish(key, now, agenda).map(Outcome::Answered),
            Event::Share(backend, version) => {
                self.share(backend, version, now, agenda).map(Outcome::Answered)
            }
        }
    }

    /// The client does not wait for an answer any more, and the backend does not notice while it
    /// works on the request. If that queues, it is dropped, unless aborts are ignored. Its owner is
    /// returned either way.
    pub(crate) fn abandon(&mut self, key: Key) -> Option<T> {
        let job = self.jobs.get(key)?;
        let is_kept = match job.stage {
            Stage::Queued(_) => self.servers[job.backend].group.ignore_aborts,
            Stage::Served(_) | Stage::Shared => true,
            Stage::Aside => false,
        };
        if is_kept { job.owner.take() } else { self.remove(key) }
    }

    /// Nobody waits for an answer any more, and the backend answers all the same. For whom it was.
    pub(crate) fn disown(&mut self, key: Key) -> Option<T> {
        self.jobs.get(key)?.owner.take()
    }

    /// Whether a client that has ended its stream is to be taken for one that has left. Not if the
    /// answer is certain to come and keeps no client waiting.
    pub(crate) fn ends_with_client(&mut self, key: Key) -> bool {
        self.jobs.get(key).is_some_and(|job| match job.stage {
            Stage::Served(_) => self.servers[job.backend].group.slots.is_some(),
            Stage::Queued(_) | Stage::Shared | Stage::Aside => true,
        })
    }

    /// A backend loses all that it has. The keys of those requests, each of which is to be
    /// [removed](Self::remove).
    pub(crate) fn restart(&mut self, backend: usize) -> Vec<Key> {
        let Server { work, group, .. } = &mut self.servers[backend];
        work.reset(group);
        self.jobs.keys_at(backend)
    }

    /// Forgets a request; for whom it was.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.jobs.remove(key)?.owner
    }

    /// Forgets all requests; for whom those were that are waited for.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.jobs).into_owners()
    }

    /// For whom a request is, if it is waited for.
    pub(crate) fn owner(&mut self, key: Key) -> Option<&mut T> {
        self.jobs.get(key)?.owner.as_mut()
    }

    fn await_script(&mut self, backend: usize, now: Time, agenda: &mut impl Agenda) {
        if let Some(at) = self.servers[backend].next_change(now) {
            agenda.add(at, Event::Script(backend));
        }
    }

    /// A backend gets so much work.
    fn enter(&mut self, backend: usize, key: Key, work: f64, now: Time, agenda: &mut impl Agenda) {
        let server = &mut self.servers[backend];
        let read = server.watch.read(now);
        if let Work::Slots(slots) = &mut server.work {
            if slots.enter(key) {
                self.serve(key, now, agenda);
            }
            return;
        }
        let time = server.time(work, now);
        if let Work::Cores(cores) = &mut server.work {
            cores.enter(key, time, read);
            self.await_share(backend, now, agenda);
        }
    }

    /// A slot begins to work on a request; whether that is still there.
    fn serve(&mut self, key: Key, now: Time, agenda: &mut impl Agenda) -> bool {
        let Some(job) = self.jobs.get(key) else { return false };
        let Stage::Queued(work) = job.stage else { return false };
        let server = &self.servers[job.backend];
        let due = server.watch.read(now) + whole(server.time(work, now));
        (job.stage, job.since) = (Stage::Served(due), now);
        agenda.add(server.watch.at(due, now), Event::Finish(key));
        true
    }

    /// The time of a request is over, unless its backend stood still meanwhile.
    fn finish(&mut self, key: Key, now: Time, agenda: &mut impl Agenda) -> Option<Answer<T>> {
        let Job { backend, stage, .. } = *self.jobs.get(key)?;
        if let Stage::Served(due) = stage {
            let watch = &self.servers[backend].watch;
            if watch.read(now) < due {
                agenda.add(watch.at(due, now), Event::Finish(key));
                return None;
            }
        }
        let job = self.jobs.remove(key)?;
        if stage != Stage::Aside {
            self.free_slot(backend, now, agenda);
        }
        Some(job.answer(now))
    }

    /// The next that queues gets the slot. Those for which no client waits any more have left.
    fn free_slot(&mut self, backend: usize, now: Time, agenda: &mut impl Agenda) {
        while let Work::Slots(slots) = &mut self.servers[backend].work
            && let Some(next) = slots.leave()
        {
            if self.serve(next, now, agenda) {
                return;
            }
        }
    }

    /// The first of those that share cores is answered.
    fn share(
        &mut self,
        backend: usize,
        version: u64,
        now: Time,
        agenda: &mut impl Agenda,
    ) -> Option<Answer<T>> {
        let server = &mut self.servers[backend];
        let read = server.watch.read(now);
        let Work::Cores(cores) = &mut server.work else { return None };
        if cores.version != version {
            return None;
        }
        let is_early = cores.next_end().is_none_or(|end| read < end);
        let first = if is_early { None } else { cores.leave(read) };
        self.await_share(backend, now, agenda);
        Some(self.jobs.remove(first?)?.answer(now))
    }

    fn await_share(&mut self, backend: usize, now: Time, agenda: &mut impl Agenda) {
        let server = &self.servers[backend];
        if let Work::Cores(cores) = &server.work
            && let Some(end) = cores.next_end()
        {
            agenda.add(server.watch.at(end, now), Event::Share(backend, cores.version));
        }
    }
}

impl<T> Job<T> {
    fn answer(self, now: Time) -> Answer<T> {
        let Self { owner, status, since, .. } = self;
        Answer { owner, status, took: now - since }
    }
}
