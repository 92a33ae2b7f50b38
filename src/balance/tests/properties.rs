//! What holds whatever the requests, their outcomes and their order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// A request that has tried the backends whose bits are set.
    Acquire {
        tried: u64,
    },
    /// One of the leases held comes to an outcome.
    Observe {
        lease: prop::sample::Index,
        outcome: Outcome,
    },
    Release {
        lease: prop::sample::Index,
    },
    Pass {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::sample::select(vec![
        Outcome::Answered,
        Outcome::Answered,
        Outcome::Failed,
        Outcome::Unreachable,
    ]);
    let lease = any::<prop::sample::Index>;
    prop_oneof![
        4 => any::<u64>().prop_map(|tried| Step::Acquire { tried }),
        2 => Just(Step::Acquire { tried: 0 }),
        4 => (lease(), outcome).prop_map(|(lease, outcome)| Step::Observe { lease, outcome }),
        3 => lease().prop_map(|lease| Step::Release { lease }),
        2 => (0..3000_u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let policy = prop_oneof![
        Just(Policy::RoundRobin),
        (1..=5_usize).prop_map(|window| Policy::AdaptiveSma { window }),
        (1..=100_u32)
            .prop_map(|percent| Policy::AdaptiveEwma { alpha: f64::from(percent) / 100.0 }),
    ];
    let resample_after = prop::option::of((0..5000_u64).prop_map(ms));
    (policy, resample_after, 0..2000_u64).prop_map(|(policy, resample_after, cooldown)| Options {
        policy,
        resample_after,
        cooldown: ms(cooldown),
        ..Options::default()
    })
}

/// A scene, the leases held in it, and the longest a sample can have been so far.
struct Play {
    scene: Scene,
    held: Vec<Lease>,
    elapsed: Duration,
}

impl Play {
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Acquire { tried } => self.acquire(*tried)?,
            Step::Observe { lease, outcome } if !self.held.is_empty() => {
                self.scene.observe(lease.get_mut(&mut self.held), *outcome);
            }
            Step::Release { lease } if !self.held.is_empty() => {
                let lease = self.held.swap_remove(lease.index(self.held.len()));
                self.scene.balancer.release(lease);
            }
            Step::Observe { .. } | Step::Release { .. } => {}
            Step::Pass { millis } => {
                self.scene.pass(*millis);
                self.elapsed += ms(*millis);
            }
        }
        self.check()
    }

    fn acquire(&mut self, tried_bits: u64) -> Result<(), TestCaseError> {
        let mut tried = Tried::EMPTY;
        for id in self.scene.ids().into_iter().filter(|id| tried_bits >> id.index() & 1 == 1) {
            tried.insert(id);
        }
        let untried = self.scene.ids().without(tried);
        let lease = self.scene.acquire_other(tried);
        prop_assert_eq!(lease.is_some(), !untried.is_empty());
        if let Some(lease) = lease {
            prop_assert!(untried.contains(lease.backend()));
            let cooling = |id| self.scene.balancer.backend(id).is_cooling();
            let rather = untried.into_iter().any(|id| !cooling(id));
            let chosen_cools = cooling(lease.backend());
            prop_assert!(!(rather && chosen_cools) || lease.is_probe(), "others take requests");
            self.held.push(lease);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let longest = self.elapsed.max(Options::default().failure_sample);
        for id in self.scene.ids() {
            let backend = self.scene.balancer.backend(id);
            let held = self.held.iter().filter(|lease| lease.backend() == id);
            prop_assert_eq!(backend.outstanding(), held.clone().count());
            let is_young = |lease: &&Lease| {
                self.scene.now - lease.started() < Options::default().probe_timeout
            };
            let probes = held.filter(|lease| lease.is_probe()).filter(is_young);
            prop_assert!(probes.count() <= 1);
            let estimate = self.scene.balancer.estimate(backend);
            prop_assert!(estimate.is_none_or(|estimate| estimate <= longest), "{estimate:?}");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_request_gets_an_untried_backend_and_every_lease_is_accounted_for(
        backends in prop_oneof![1..=4_usize, Just(64)],
        options in options(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let scene = Scene::with(backends, options);
        let mut play = Play { scene, held: Vec::new(), elapsed: Duration::ZERO };
        for step in &steps {
            play.step(step)?;
        }
        play.scene.release_all(std::mem::take(&mut play.held));
        play.check()?;
        prop_assert!(play.scene.no_probe_is_stuck());
    }
}
