//! One run, from event to event: requests come, scripts change backends, time passes.

mod attempt;

use std::collections::VecDeque;

use fastrand::Rng;
use tidegate::balance::Tried;

use super::SimulateError;
use super::attempts::{Attempts, Key, Request};
use super::contender::Contender;
use super::events::{Event, Events};
use super::measured::Measured;
use super::proxy::Proxy;
use super::server::{Change, DRIFT_STEP, Server};
use super::time::{Time, duration, nanos};
use crate::scenario::{Conduct, Load, Request as Drawn, Requests, Scenario, Streams};

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    now: Time,
    begin: Time,
    end: Time,
    events: Events,
    /// When each attempt times out. All have the same time, so they are in order.
    timeouts: VecDeque<(Time, Key)>,
    /// When each attempt may be parked next. Each is looked at once in a second.
    parks: VecDeque<(Time, Key)>,
    requests: Requests<'a>,
    drift: Rng,
    servers: Vec<Server<'a>>,
    proxies: Vec<Proxy>,
    attempts: Attempts,
    measured: Measured,
}

impl<'a> World<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        contender: Contender,
        seed: u64,
    ) -> Result<Self, SimulateError> {
        let Streams { arrivals, requests, mut drift, mut policies } = Streams::new(seed);
        let servers: Vec<Server> =
            scenario.each_backend().map(|group| Server::new(group, &mut drift)).collect();
        let mut proxies = Vec::new();
        for _ in 0..scenario.proxies.count {
            let rng = policies.fork();
            let mut proxy = Proxy::new(contender, servers.len(), &scenario.proxies, rng)?;
            for (backend, server) in servers.iter().enumerate() {
                if server.conduct != Some(Conduct::Absent) {
                    proxy.join(backend, server.group, 0)?;
                }
            }
            proxies.push(proxy);
        }
        let begin = nanos(scenario.run.warm_up);
        Ok(Self {
            scenario,
            now: 0,
            begin,
            end: begin + nanos(scenario.run.length),
            events: Events::default(),
            timeouts: VecDeque::new(),
            parks: VecDeque::new(),
            requests: Requests::new(scenario, arrivals, requests),
            drift,
            measured: Measured::new(servers.len(), scenario.focus.len())?,
            servers,
            proxies,
            attempts: Attempts::default(),
        })
    }

    pub(super) fn run(mut self) -> Result<Measured, SimulateError> {
        self.start();
        while let Some(at) = self.next_at().filter(|at| *at <= self.end) {
            self.now = at;
            if let Some(key) = take_due(&mut self.timeouts, at) {
                self.time_out(key);
            } else if let Some(key) = take_due(&mut self.parks, at) {
                self.park(key);
            } else if let Some((_, event)) = self.events.take() {
                self.happen(event)?;
            }
        }
        for key in self.attempts.keys() {
            if let Some((request, lease)) = self.attempts.remove(key).and_then(|it| it.waiting) {
                let Drawn { proxy, worker, .. } = request.drawn;
                self.proxies[proxy].abandon(worker, lease);
            }
        }
        self.measured.seconds = self.scenario.run.length.as_secs_f64();
        Ok(self.measured)
    }

    fn start(&mut self) {
        if let Load::Closed { clients } = self.scenario.load {
            (0..clients).for_each(|_| self.events.add(0, Event::Arrive));
        }
        self.await_arrival();
        for backend in 0..self.servers.len() {
            self.await_script(backend);
        }
        if self.servers.iter().any(|server| server.group.drift.is_some()) {
            self.events.add(DRIFT_STEP, Event::Drift);
        }
    }

    /// When something happens next.
    fn next_at(&mut self) -> Option<Time> {
        let mut next = self.events.next_at();
        for queue in [&mut self.timeouts, &mut self.parks] {
            // Those that have ended are not waited for.
            while let Some((due, key)) = queue.front()
                && next.is_none_or(|next| *due <= next)
            {
                if self.attempts.get(*key).is_some_and(|attempt| attempt.waiting.is_some()) {
                    next = Some(*due);
                    break;
                }
                queue.pop_front();
            }
        }
        next
    }

    fn happen(&mut self, event: Event) -> Result<(), SimulateError> {
        match event {
            Event::Arrive => self.arrive(),
            Event::Script(backend) => self.follow_script(backend)?,
            Event::Drift => {
                let rng = &mut self.drift;
                self.servers.iter_mut().for_each(|server| server.drift(rng));
                self.events.add(self.now + DRIFT_STEP, Event::Drift);
            }
            Event::Finish(key) => self.finish(key),
            Event::Share(backend, version) => self.share(backend, version),
        }
        Ok(())
    }

    fn await_arrival(&mut self) {
        if let Some(at) = self.requests.next_at() {
            self.events.add(nanos(at), Event::Arrive);
        }
    }

    fn arrive(&mut self) {
        let drawn = self.requests.take(duration(self.now));
        self.await_arrival();
        let (came, tried) = (self.now, Tried::default());
        self.dispatch(Request { came, drawn, tried, attempts: 0 });
    }

    fn await_script(&mut self, backend: usize) {
        if let Some(at) = self.servers[backend].next_change(self.now) {
            self.events.add(at, Event::Script(backend));
        }
    }

    fn follow_script(&mut self, backend: usize) -> Result<(), SimulateError> {
        match self.servers[backend].follow_script(self.now) {
            Change::Other => {}
            Change::Joined => {
                let group = self.servers[backend].group;
                for proxy in &mut self.proxies {
                    proxy.join(backend, group, self.now)?;
                }
            }
            Change::Left => self.proxies.iter_mut().for_each(|proxy| proxy.leave(backend)),
            Change::Restarted => self.restart(backend),
        }
        self.await_script(backend);
        Ok(())
    }
}

/// The first of the queue, if it is due.
fn take_due(queue: &mut VecDeque<(Time, Key)>, now: Time) -> Option<Key> {
    let (due, key) = *queue.front()?;
    if due > now {
        return None;
    }
    queue.pop_front();
    Some(key)
}
