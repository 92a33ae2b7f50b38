//! Where the requests of a run come from: drawn as a scenario says, or recorded.

use std::sync::Arc;
use std::time::Duration;

use crate::fleet::time::{MILLISECOND, Time, duration, nanos};
use crate::fleet::{Ask, Recorded};
use crate::scenario::{Load, PATIENCE, Request, Requests, Scenario, Streams};

/// A client whose request failed at once sends the next one after this time, because without any
/// time would stand still.
const RETRY_PAUSE: Time = MILLISECOND;

/// An attempt that goes to a backend.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Dispatch {
    pub(crate) backend: usize,
    /// Its number among the attempts of its request, from 1.
    pub(crate) attempt: usize,
    /// The requests that the proxy has at the backend then, this one included.
    pub(crate) in_flight: u32,
    pub(crate) at: Time,
}

/// A request that has ended.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) request: Request,
    pub(crate) came: Time,
    pub(crate) at: Time,
    pub(crate) status: u16,
    /// Its last attempt, if there was one.
    pub(crate) last: Option<Dispatch>,
}

/// See the module.
pub(crate) trait Workload {
    /// When requests come for which no other has to end first, and that are not in the sequence of
    /// [`next_at`](Self::next_at).
    fn opening(&mut self) -> Vec<Time> {
        Vec::new()
    }

    /// When the next request comes whatever becomes of the others; `None` if none does.
    fn next_at(&self) -> Option<Time>;

    /// Takes the request that comes now.
    fn take(&mut self, now: Time) -> Request;

    /// How long each backend takes, if a log says it.
    fn recorded(&self) -> Vec<Arc<dyn Recorded>> {
        Vec::new()
    }

    /// What an attempt asks of its backend.
    fn ask(&mut self, request: &Request, to: Dispatch) -> Ask;

    /// A request has ended: when another one comes because of it.
    fn ended(&mut self, ended: &Ended) -> Option<Time>;

    /// When a proxy sees an answer that comes now: later if it stands still.
    fn sees_at(&self, _proxy: usize, now: Time) -> Time {
        now
    }

    /// How long what came in the measured time is waited for after its end.
    fn patience(&self) -> Duration {
        PATIENCE
    }
}

/// The requests of a scenario.
#[derive(Debug)]
pub(crate) struct Drawn<'a> {
    scenario: &'a Scenario,
    requests: Requests<'a>,
}

impl<'a> Drawn<'a> {
    /// Those that the streams of a seed give.
    pub(crate) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let Streams { arrivals, requests, .. } = Streams::new(seed);
        Self { scenario, requests: Requests::new(scenario, arrivals, requests) }
    }
}

impl Workload for Drawn<'_> {
    fn opening(&mut self) -> Vec<Time> {
        match self.scenario.load {
            Load::Closed { clients } => vec![0; clients],
            Load::Open { .. } => Vec::new(),
        }
    }

    fn next_at(&self) -> Option<Time> {
        self.requests.next_at().map(nanos)
    }

    fn take(&mut self, now: Time) -> Request {
        self.requests.take(duration(now))
    }

    fn ask(&mut self, request: &Request, to: Dispatch) -> Ask {
        let class = &self.scenario.classes[request.class];
        let seed = request.seed.wrapping_add(to.attempt as u64 - 1);
        Ask { cost: class.cost, wait: class.wait, seed }
    }

    fn ended(&mut self, ended: &Ended) -> Option<Time> {
        let is_closed = self.next_at().is_none();
        is_closed.then(|| ended.at + if ended.at == ended.came { RETRY_PAUSE } else { 0 })
    }
}
