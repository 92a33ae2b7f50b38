//! The three published policies choose as they were published: each choice is compared with a
//! model that knows nothing of weights, limits, ejection or other workers.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// The published policies, as simply as they can be written.
struct Model {
    policy: Policy,
    samples: Vec<Vec<u64>>,
    probing: Vec<bool>,
    /// Turns taken, by the number of those that took them.
    turns: HashMap<usize, usize>,
}

impl Model {
    fn new(policy: Policy, backends: usize) -> Self {
        let samples = vec![Vec::new(); backends];
        Self { policy, samples, probing: vec![false; backends], turns: HashMap::new() }
    }

    fn turn(&mut self, among: &[usize]) -> usize {
        if among.len() == 1 {
            return among[0];
        }
        let turn = self.turns.entry(among.len()).or_default();
        *turn += 1;
        among[(*turn - 1) % among.len()]
    }

    fn estimate(&self, backend: usize) -> f64 {
        let samples = &self.samples[backend];
        match self.policy {
            Policy::AdaptiveSma { window } => {
                let last = &samples[samples.len().saturating_sub(window)..];
                (last.iter().sum::<u64>() / last.len() as u64) as f64
            }
            Policy::AdaptiveEwma { alpha } => {
                let step =
                    |average: f64, sample: &u64| average + alpha * (*sample as f64 - average);
                let average = samples[1..].iter().fold(samples[0] as f64, step);
                (average + 0.5).floor()
            }
            _ => 0.0,
        }
    }

    /// The backend that an attempt goes to, and whether it is a probe.
    fn choose(&mut self, tried: &[usize]) -> (usize, bool) {
        let untried: Vec<usize> =
            (0..self.samples.len()).filter(|backend| !tried.contains(backend)).collect();
        if self.policy == Policy::RoundRobin {
            return (self.turn(&untried), false);
        }
        let is_unmeasured = |backend: &&usize| self.samples[**backend].is_empty();
        let unprobed = |backend: &&usize| is_unmeasured(backend) && !self.probing[**backend];
        if let Some(backend) = untried.iter().find(unprobed) {
            self.probing[*backend] = true;
            return (*backend, true);
        }
        let measured: Vec<usize> =
            untried.iter().filter(|backend| !is_unmeasured(backend)).copied().collect();
        if measured.is_empty() {
            return (self.turn(&untried), false);
        }
        let lowest = measured.iter().map(|backend| self.estimate(*backend));
        let lowest = lowest.fold(f64::INFINITY, f64::min);
        let best: Vec<usize> =
            measured.into_iter().filter(|backend| self.estimate(*backend) <= lowest).collect();
        (self.turn(&best), false)
    }
}

proptest! {
    #[test]
    fn they_choose_as_published(
        policy in prop::sample::select(vec![
            Policy::RoundRobin,
            SMA,
            EWMA,
            Policy::AdaptiveSma { window: 1 },
            Policy::AdaptiveEwma { alpha: 0.7 },
        ]),
        backends in 1..6_usize,
        // What is done next: an attempt that has tried some, or the end of one that is out.
        steps in prop::collection::vec((0..5_u8, any::<prop::sample::Index>(), 1..400_u64), 1..200),
    ) {
        // No probe here takes so long that another one follows it.
        let probe_timeout = Duration::from_secs(3600);
        let mut scene = Scene::with(backends, Options { policy, probe_timeout, ..exact() });
        let mut model = Model::new(policy, backends);
        let mut out: Vec<(Lease, bool, u64)> = Vec::new();
        let mut told = Vec::new();
        for (kind, index, millis) in steps {
            scene.pass(millis % 4);
            if kind < 3 || out.is_empty() {
                let untried = index.index(backends);
                let every_other = (0..backends).step_by(2).filter(|slot| *slot != untried);
                let before: Vec<usize> = every_other.filter(|_| kind == 0).collect();
                let ids = scene.ids();
                let lease = scene.acquire_other(&tried(before.iter().map(|slot| ids[*slot])));
                let lease = lease.unwrap();
                let (expected, probes) = model.choose(&before);
                told.push(((lease.backend().slot(), is_probe(&lease)), (expected, probes)));
                out.push((lease, probes, scene.nanos()));
            } else {
                let (lease, probes, started) = out.swap_remove(index.index(out.len()));
                scene.pass(millis);
                let slot = lease.backend().slot();
                model.samples[slot].push(scene.nanos() - started);
                if probes {
                    model.probing[slot] = false;
                }
                scene.finish(lease, Outcome::Answered);
            }
        }
        scene.release_all(out.into_iter().map(|(lease, ..)| lease).collect());
        let (found, expected): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        prop_assert_eq!(found, expected);
    }
}
