//! All figures of one moment, in the form in which they are told.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::process::Process;
use crate::balance::{Admission, Availability, Cause, Known};
use crate::proxy::backends::{BackendNow, Unresolved};
use crate::proxy::lookups::NameNow;
use crate::proxy::metrics::{BackendSnapshot, Snapshot};
use crate::proxy::observed::{Observed, Occupancy};
use crate::proxy::settings::Backend;

/// See the module.
#[derive(Debug)]
pub struct Scrape {
    pub(super) backends: Vec<BackendFigures>,
    pub(super) names: Vec<NameNow>,
    pub(super) queue: Occupancy,
    pub(super) snapshot: Snapshot,
    pub(super) log: Option<Log>,
    pub(super) decisions: Option<Log>,
    pub(super) reloads: Option<Reloads>,
    pub(super) process: Process,
    pub(super) started: SystemTime,
}

/// Rows of the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Log {
    /// Those that are in it.
    pub rows: u64,
    /// Those that never will be.
    pub lost: u64,
}

/// What came of reading the configuration file again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reloads {
    /// How often it could be applied.
    pub applied: u64,
    /// How often it changed nothing, because it was wrong.
    pub refused: u64,
    /// Whether the last one could be applied, or there was none yet.
    pub is_last_applied: bool,
    /// When a file was applied last, that of the start included.
    pub applied_at: SystemTime,
}

/// The backends that have one name. There is more than one while one that was removed still drains,
/// and was added again, or if the plan names it twice.
#[derive(Debug)]
pub(super) struct BackendFigures {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) in_flight: u32,
    pub(super) parked: u32,
    pub(super) tunnels: u32,
    /// `None` if one of them has none.
    pub(super) max_in_flight: Option<u32>,
    pub(super) weight: f64,
    pub(super) estimate: Option<Duration>,
    pub(super) score: Option<f64>,
    pub(super) counted: BackendSnapshot,
}

/// What a backend is to requests. The first is the best.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum State {
    Up,
    Probing,
    Ejected,
    Down,
    Drained,
    Draining,
}

impl State {
    pub(super) const ALL: [Self; 6] =
        [Self::Up, Self::Probing, Self::Ejected, Self::Down, Self::Drained, Self::Draining];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Probing => "probing",
            Self::Ejected => "ejected",
            Self::Down => "down",
            Self::Drained => "drained",
            Self::Draining => "draining",
        }
    }

    fn of(known: &Known, admission: Admission) -> Self {
        match (known.availability, known.cause, admission) {
            (_, Cause::Removed, _) => Self::Draining,
            (_, _, Admission::Drained) => Self::Drained,
            (Availability::Up, ..) => Self::Up,
            (Availability::Probing, ..) => Self::Probing,
            (Availability::Ejected, ..) => Self::Ejected,
            (Availability::Down, ..) => Self::Down,
        }
    }
}

impl Scrape {
    /// The figures of a proxy that runs since `started`. There is no log, and none of choices, if
    /// none is written, and there are no reloads without a configuration file.
    #[must_use]
    pub fn new(
        observed: Observed,
        [log, decisions]: [Option<Log>; 2],
        reloads: Option<Reloads>,
        process: Process,
        started: SystemTime,
    ) -> Self {
        let Observed { backends, unresolved, names, scores, queue, mut snapshot } = observed;
        let scores: HashMap<_, _> = scores.iter().map(|score| (score.id, score)).collect();
        let mut figures: Vec<BackendFigures> = Vec::with_capacity(backends.len());
        let mut places = HashMap::new();
        let mut add = |one: BackendFigures| {
            let place = *places.entry(one.name.clone()).or_insert(figures.len());
            match figures.get_mut(place) {
                Some(same) => same.merge(&one),
                None => figures.push(one),
            }
        };
        for BackendNow { id, backend, known } in backends {
            let score = scores.get(&id);
            let role = backend.role;
            add(BackendFigures {
                state: State::of(&known, backend.role.admission),
                in_flight: known.in_flight,
                parked: known.parked,
                tunnels: known.tunnels,
                max_in_flight: role.max_in_flight,
                weight: score.map_or(0.0, |score| score.weight),
                estimate: known.estimate,
                score: score.and_then(|score| score.score),
                counted: snapshot.backends.remove(&id).unwrap_or_default(),
                name: backend.url,
            });
        }
        for Unresolved { backend, .. } in unresolved {
            add(BackendFigures::unresolved(backend));
        }
        Self {
            backends: figures,
            names,
            queue,
            snapshot,
            log,
            decisions,
            reloads,
            process,
            started,
        }
    }
}

impl BackendFigures {
    /// Of one that can't be reached.
    fn unresolved(backend: Backend) -> Self {
        let Backend { url, role, .. } = backend;
        let is_drained = role.admission == Admission::Drained;
        Self {
            name: url,
            state: if is_drained { State::Drained } else { State::Down },
            in_flight: 0,
            parked: 0,
            tunnels: 0,
            max_in_flight: role.max_in_flight,
            weight: 0.0,
            estimate: None,
            score: None,
            counted: BackendSnapshot::default(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.state = self.state.min(other.state);
        self.in_flight += other.in_flight;
        self.parked += other.parked;
        self.tunnels += other.tunnels;
        if other.state != State::Draining {
            let limits = self.max_in_flight.zip(other.max_in_flight);
            self.max_in_flight = limits.map(|(one, other)| one.saturating_add(other));
            self.weight += other.weight;
        }
        self.estimate = [self.estimate, other.estimate].into_iter().flatten().min();
        self.score = [self.score, other.score].into_iter().flatten().reduce(f64::min);
        self.counted.merge(&other.counted);
    }
}
