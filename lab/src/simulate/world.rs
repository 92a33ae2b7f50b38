//! One run, from event to event: requests come, scripts change backends, time passes.

mod attempt;
mod queueing;

use std::collections::VecDeque;

use fastrand::Rng;
use tidegate::balance::Tried;

use attempt::{Attempt, Request};

use super::SimulateError;
use super::contender::Contender;
use super::measured::Measured;
use super::proxy::Proxy;
use super::workload::{Ended, Workload};
use crate::fleet::time::{Time, nanos};
use crate::fleet::{self, Change, Events, Fleet, Key, Outcome, Table};
use crate::scenario::{Conduct, Scenario, Streams};

/// The status of a request that no backend takes, of one whose attempts all failed, and of one that
/// was not answered in time.
const NO_BACKEND: u16 = 503;
const NO_CONNECTION: u16 = 502;
const NO_ANSWER: u16 = 504;

/// Something that happens at an instant.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    /// A request comes.
    Arrive,
    /// It is about a backend.
    Fleet(fleet::Event),
    /// A request of which this attempt is still silent may get another one, or a failure that was
    /// held back is its answer.
    Overdue(Key),
    /// A request may have waited long enough in the queue, or find a backend.
    Waited(Key),
}

impl From<fleet::Event> for Event {
    fn from(event: fleet::Event) -> Self {
        Self::Fleet(event)
    }
}

pub(super) struct World<'a, W> {
    scenario: &'a Scenario,
    now: Time,
    begin: Time,
    end: Time,
    events: Events<Event>,
    /// When each attempt times out. All have the same time, so they are in order.
    timeouts: VecDeque<(Time, Key)>,
    /// When each attempt may be parked next. Each is looked at once in a second.
    parks: VecDeque<(Time, Key)>,
    workload: W,
    drift: Rng,
    /// What it has are attempts of requests.
    fleet: Fleet<Attempt>,
    /// Those that are waited for.
    pending: Table<Request>,
    proxies: Vec<Proxy>,
    measured: Measured,
    /// Requests that are counted and have not ended.
    open: u64,
}

impl<'a, W: Workload> World<'a, W> {
    pub(super) fn new(
        scenario: &'a Scenario,
        workload: W,
        contender: Contender,
        seed: u64,
    ) -> Result<Self, SimulateError> {
        let Streams { drift, mut policies, .. } = Streams::new(seed);
        let mut fleet = Fleet::new(scenario.each_backend());
        fleet.replay(workload.recorded());
        let mut proxies = Vec::new();
        for _ in 0..scenario.proxies.count {
            let rng = policies.fork();
            let mut proxy = Proxy::new(contender, fleet.len(), &scenario.proxies, rng)?;
            for backend in 0..fleet.len() {
                if fleet.conduct(backend) != Some(Conduct::Absent) {
                    proxy.join(backend, fleet.group(backend), 0)?;
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
            workload,
            drift,
            measured: Measured::new(fleet.len(), scenario.focus.len())?,
            fleet,
            proxies,
            pending: Table::default(),
            open: 0,
        })
    }

    /// What was measured, and the workload as it is then.
    pub(super) fn run(mut self) -> Result<(Measured, W), SimulateError> {
        self.start();
        let last = self.end + nanos(self.workload.patience());
        while let Some(at) = self.next_at()
            && (at <= self.end || self.open > 0 && at <= last)
        {
            self.now = at;
            if let Some(key) = take_due(&mut self.timeouts, at) {
                self.time_out(key);
            } else if let Some(key) = take_due(&mut self.parks, at) {
                self.park(key);
            } else if let Some((_, event)) = self.events.take() {
                self.happen(event)?;
            }
            self.serve_called();
        }
        for Attempt { request, lease, .. } in self.fleet.drain().collect::<Vec<_>>() {
            if let Some(Request { drawn, .. }) = self.pending.get(request) {
                self.proxies[drawn.proxy].abandon(drawn.worker, lease);
            }
        }
        for request in std::mem::take(&mut self.pending).into_values() {
            self.count(&request, NO_ANSWER);
        }
        self.measured.seconds = self.scenario.run.length.as_secs_f64();
        Ok((self.measured, self.workload))
    }

    fn start(&mut self) {
        for at in self.workload.opening() {
            self.events.push(at, Event::Arrive);
        }
        self.await_arrival();
        self.fleet.begin(0, self.drift.clone(), 0, &mut self.events);
    }

    /// When something happens next.
    fn next_at(&mut self) -> Option<Time> {
        let mut next = self.events.next_at();
        for queue in [&mut self.timeouts, &mut self.parks] {
            // Those that have ended are not waited for.
            while let Some((due, key)) = queue.front()
                && next.is_none_or(|next| *due <= next)
            {
                if self.fleet.owner(*key).is_some() {
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
            Event::Overdue(key) => self.overdue(key),
            Event::Waited(key) => self.waited(key),
            Event::Fleet(event) => match self.fleet.happen(event, self.now, &mut self.events) {
                Some(Outcome::Answered(answer)) => self.answered(answer),
                Some(Outcome::Changed(backend, change)) => self.changed(backend, change)?,
                None => {}
            },
        }
        Ok(())
    }

    fn await_arrival(&mut self) {
        if let Some(at) = self.workload.next_at() {
            self.events.push(at, Event::Arrive);
        }
    }

    fn arrive(&mut self) {
        let drawn = self.workload.take(self.now);
        self.await_arrival();
        let (came, tried, last) = (self.now, Tried::default(), None);
        let (out, waits) = (Vec::new(), None);
        let (attempts, hedges) = (0, 0);
        let request = Request { came, drawn, tried, attempts, hedges, last, out, waits, waited: 0 };
        self.open += u64::from(self.is_counted(&request));
        let key = self.pending.insert(request);
        self.dispatch(key);
    }

    /// The script of a backend has changed something.
    fn changed(&mut self, backend: usize, change: Change) -> Result<(), SimulateError> {
        match change {
            Change::Other => {}
            Change::Joined => {
                for proxy in &mut self.proxies {
                    proxy.join(backend, self.fleet.group(backend), self.now)?;
                }
            }
            Change::Left => {
                self.proxies.iter_mut().for_each(|proxy| proxy.leave(backend, self.now));
            }
            Change::Restarted => self.restart(backend),
        }
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
