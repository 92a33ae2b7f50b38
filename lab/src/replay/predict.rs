//! Predicts what policies would have made of a log, and how wrong that is.

use std::path::PathBuf;

use tidegate::balance::Policy;

use super::clients::{self, Loop};
use super::drive::Plan;
use super::figures::Figures;
use super::model::Model;
use super::read::{ReadError, read};
use super::support::{self, Refusal};
use super::trace::Trace;
use crate::simulate::{Contender, SimulateError};

/// A log, read and understood.
#[derive(Debug)]
pub struct Replay {
    pub(super) trace: Trace,
    pub(super) model: Model,
    pub(super) clients: Loop,
    /// Whether the log says of which client its requests are.
    pub(super) has_clients: bool,
}

/// What is said of the policies.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// What happened.
    pub real: Figures,
    /// The policy that was used, replayed.
    pub used: Figures,
    /// The second half of the log, as a model of the first predicts it, and as it was.
    pub half: Option<[Figures; 2]>,
    /// The others.
    pub policies: Vec<Predicted>,
}

/// What is said of a policy.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Its name.
    pub policy: Contender,
    /// The figures. If they are refused, they are here only if that was asked for.
    pub figures: Option<Figures>,
    /// Why they are not to be trusted.
    pub refusal: Option<Refusal>,
}

/// Why there is no prediction.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The simulator refuses.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// Latencies can't be counted.
    #[error("{0}")]
    Latencies(#[from] hdrhistogram::CreationError),
}

impl Replay {
    /// Reads logs, one of each proxy that was before the same backends at the same time. `used` and
    /// `clients` say what the log does not, or wrongly.
    ///
    /// # Errors
    /// They can't be read or used.
    pub fn read(
        paths: &[PathBuf],
        used: Option<Policy>,
        clients: Option<Loop>,
    ) -> Result<Self, ReadError> {
        Ok(Self::of(read(paths, used)?, clients))
    }

    pub(super) fn of(trace: Trace, clients: Option<Loop>) -> Self {
        let found = clients::find(&trace.rows, trace.clients);
        let model = Model::fit(&trace, None);
        let clients = clients.or(found).unwrap_or(Loop::Open);
        Self { trace, model, clients, has_clients: found.is_some() }
    }

    /// The policy that was used.
    #[must_use]
    pub fn used(&self) -> Policy {
        self.trace.policy
    }

    /// What happened.
    ///
    /// # Errors
    /// Latencies can't be counted.
    pub fn real(&self) -> Result<Figures, hdrhistogram::CreationError> {
        self.real_until(u64::MAX)
    }

    /// What happened up to then, in microseconds after the first request.
    pub(super) fn real_until(&self, us: u64) -> Result<Figures, hdrhistogram::CreationError> {
        Figures::of_log(&self.trace, 0..us, |class| self.model.waits[class].is_some())
    }

    /// What these policies would have made of the requests. With `force`, also where the log does
    /// not say it.
    ///
    /// # Errors
    /// The simulator refuses.
    pub fn predict(
        &self,
        contenders: &[Contender],
        force: bool,
    ) -> Result<Prediction, ReplayError> {
        let Self { trace, model, clients, .. } = self;
        let real = self.real()?;
        let plan = Plan { trace, model, clients: *clients, from_us: 0, has_ranks: true };
        let name = trace.policy.name();
        let used = Figures::of_outcome(&plan.drive(Contender::Policy(trace.policy))?);
        let of_all = support::unseen(trace, model).or_else(|| support::missed(name, &used, &real));
        let mut policies = Vec::new();
        for policy in contenders.iter().copied() {
            if policy.name() == name {
                let figures = Some(used.clone());
                let refusal = support::missed(name, &used, &real);
                policies.push(Predicted { policy, figures, refusal });
                continue;
            }
            let mut refusal = of_all.clone();
            let mut figures = None;
            if refusal.is_none() || force {
                let outcome = plan.drive(policy)?;
                refusal = refusal.or_else(|| support::guessed(trace, model, &outcome));
                figures = (refusal.is_none() || force).then(|| Figures::of_outcome(&outcome));
            }
            policies.push(Predicted { policy, figures, refusal });
        }
        Ok(Prediction { real, used, half: self.half()?, policies })
    }

    /// The second half from the first; `None` if that says too little.
    fn half(&self) -> Result<Option<[Figures; 2]>, ReplayError> {
        let Self { trace, clients, .. } = self;
        let middle = trace.rows.len() / 2;
        let from_us = trace.rows.get(middle).map_or(0, |row| row.start_us);
        if from_us == 0 {
            return Ok(None);
        }
        let model = Model::fit(trace, Some(from_us));
        if support::unseen(trace, &model).is_some() {
            return Ok(None);
        }
        let plan = Plan { trace, model: &model, clients: *clients, from_us, has_ranks: false };
        let outcome = plan.drive(Contender::Policy(trace.policy))?;
        let is_wait = |class: usize| model.waits[class].is_some();
        Ok(Some([
            Figures::of_outcome(&outcome),
            Figures::of_log(trace, from_us..u64::MAX, is_wait)?,
        ]))
    }
}
