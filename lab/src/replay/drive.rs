//! Drives the simulator, and in it the proxy's own balancer, with the requests of a log.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::clients::Loop;
use super::model::Model;
use super::trace::{Row, Trace, UNKNOWN_CLIENT, time};
use super::works::{Uses, place};
use crate::fleet::time::Time;
use crate::fleet::{Ask, Recorded};
use crate::scenario::{Arena, Arrivals, Class, Load, PATIENCE, Request, Run, Scenario};
use crate::simulate::workload::{Dispatch, Ended, Workload};
use crate::simulate::{Contender, Measured, SimulateError, run};

/// Of chance where the log says nothing, such as how hard a request is whose work is not known.
const SEED: u64 = 1;

/// What becomes of the requests.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) measured: Measured,
    /// By backend: how often a request came when it had so many.
    pub(crate) levels: Vec<Vec<u64>>,
    /// By backend: the works that were taken from the log.
    pub(super) uses: Vec<Arc<Uses>>,
    /// Attempts beyond the first of each request that was measured.
    pub(crate) extra: u64,
}

/// What is replayed.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) model: &'a Model,
    pub(crate) clients: Loop,
    /// Requests that came before are not measured.
    pub(crate) from_us: u64,
    /// Whether it is known of each request how hard it was; else that is drawn.
    pub(crate) has_ranks: bool,
}

impl Plan<'_> {
    /// What a policy makes of the requests.
    pub(crate) fn drive(&self, contender: Contender) -> Result<Outcome, SimulateError> {
        let scenario = self.scenario();
        let workload = Requests::new(self, scenario.proxies.workers);
        let (measured, workload) = run(&scenario, workload, contender, SEED)?;
        let Requests { levels, uses, extra, .. } = workload;
        Ok(Outcome { measured, levels, uses, extra })
    }

    fn scenario(&self) -> Scenario {
        let Trace { classes, backends, proxies, .. } = self.trace;
        let length_us = self.trace.length_us() + 1;
        let class = |(name, wait): (&String, &Option<Duration>)| Class {
            name: name.clone(),
            share: 1.0,
            cost: 1.0,
            wait: *wait,
        };
        Scenario {
            about: String::new(),
            backends: self.model.groups(backends),
            classes: classes.iter().zip(&self.model.waits).map(class).collect(),
            load: Load::Open { rate: 1.0, arrivals: Arrivals::Even, burst: None },
            proxies: *proxies,
            focus: Vec::new(),
            run: Run {
                warm_up: Duration::from_micros(self.from_us),
                length: Duration::from_micros(length_us.saturating_sub(self.from_us)),
                seeds: 1,
            },
            arena: Arena::default(),
        }
    }
}

/// See the module.
struct Requests<'a> {
    plan: &'a Plan<'a>,
    workers: usize,
    /// The next row of an open loop.
    next: usize,
    /// In a closed loop: when a row's request comes.
    ready: BinaryHeap<Reverse<(Time, u32)>>,
    /// The row of the same client that follows each, and its first one.
    follows: Vec<u32>,
    firsts: Vec<u32>,
    levels: Vec<Vec<u64>>,
    uses: Vec<Arc<Uses>>,
    extra: u64,
}

impl<'a> Requests<'a> {
    fn new(plan: &'a Plan<'a>, workers: usize) -> Self {
        let backends = plan.trace.backends.len();
        let mut recorded = Self {
            plan,
            workers,
            next: 0,
            ready: BinaryHeap::new(),
            follows: Vec::new(),
            firsts: Vec::new(),
            uses: plan.model.uses(),
            levels: vec![Vec::new(); backends],
            extra: 0,
        };
        if plan.clients == Loop::Closed {
            recorded.chain();
        }
        recorded
    }

    /// Finds the requests of each client. One that is not known sends its requests at their
    /// instants.
    fn chain(&mut self) {
        let rows = &self.plan.trace.rows;
        let mut lasts = vec![UNKNOWN_CLIENT; self.plan.trace.clients as usize];
        self.firsts.clone_from(&lasts);
        self.follows = vec![UNKNOWN_CLIENT; rows.len()];
        for (index, row) in (0..).zip(rows) {
            let Some(last) = lasts.get_mut(row.client as usize) else {
                self.ready.push(Reverse((time(row.start_us), index)));
                continue;
            };
            if *last == UNKNOWN_CLIENT {
                self.firsts[row.client as usize] = index;
                self.ready.push(Reverse((time(row.start_us), index)));
            } else {
                self.follows[*last as usize] = index;
            }
            *last = index;
        }
    }

    fn row(&self, request: &Request) -> (usize, &'a Row) {
        let index = usize::try_from(request.seed).unwrap_or(usize::MAX);
        (index, &self.plan.trace.rows[index])
    }
}

impl Workload for Requests<'_> {
    fn opening(&mut self) -> Vec<Time> {
        self.ready.iter().map(|Reverse((at, _))| *at).collect()
    }

    fn next_at(&self) -> Option<Time> {
        if self.plan.clients == Loop::Closed {
            return None;
        }
        self.plan.trace.rows.get(self.next).map(|row| time(row.start_us))
    }

    fn take(&mut self, _now: Time) -> Request {
        let index = match self.plan.clients {
            Loop::Open => self.next,
            Loop::Closed => self.ready.pop().map_or(0, |Reverse((_, index))| index as usize),
        };
        self.next += 1;
        let row = &self.plan.trace.rows[index];
        let worker = usize::from(row.worker) % self.workers;
        let (class, proxy) = (row.class.into(), row.proxy.into());
        Request { class, proxy, worker, seed: index as u64, focus: 0 }
    }

    fn recorded(&self) -> Vec<Arc<dyn Recorded>> {
        self.uses.iter().map(|uses| Arc::clone(uses) as Arc<dyn Recorded>).collect()
    }

    fn ask(&mut self, request: &Request, to: Dispatch) -> Ask {
        let (index, _) = self.row(request);
        let level = to.in_flight as usize;
        let levels = &mut self.levels[to.backend];
        if levels.len() <= level {
            levels.resize(level + 1, 0);
        }
        levels[level] += 1;
        let known = f64::from(self.plan.model.ranks[index]);
        // A request is as hard whatever the policy and the attempt.
        let drawn = Rng::with_seed(index as u64 + 1).f64();
        let rank = if self.plan.has_ranks && !known.is_nan() { known } else { drawn };
        let cost = place(request.class, rank);
        Ask { cost, wait: self.plan.model.waits[request.class], seed: index as u64 + 1 }
    }

    fn ended(&mut self, ended: &Ended) -> Option<Time> {
        if ended.came >= time(self.plan.from_us) {
            self.extra += ended.last.map_or(0, |last| last.attempt as u64 - 1);
        }
        let (index, row) = self.row(&ended.request);
        let follows = *self.follows.get(index)?;
        let (next, gap_us) = match self.plan.trace.rows.get(follows as usize) {
            Some(next) => (follows, next.start_us.saturating_sub(row.end_us())),
            // A client that has no more requests in the log sends its first ones again.
            None => (*self.firsts.get(row.client as usize)?, 1000),
        };
        // Time goes on.
        let at = ended.at + time(gap_us.max(1));
        self.ready.push(Reverse((at, next)));
        Some(at)
    }

    fn sees_at(&self, proxy: usize, now: Time) -> Time {
        let Model { pauses, period_us, .. } = self.plan.model;
        let repeats_us = now / 1000 / period_us * period_us;
        let end_us = pauses.end(proxy, now / 1000 - repeats_us);
        end_us.map_or(now, |end_us| time(repeats_us + end_us))
    }

    fn patience(&self) -> Duration {
        let longest = self.plan.trace.rows.iter().map(|row| row.latency_us).max().unwrap_or(0);
        PATIENCE.max(2 * Duration::from_micros(longest.into()))
    }
}
