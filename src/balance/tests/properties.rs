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
        let is_tried = |id: &BackendId| tried_bits >> (id.slot() % 64) & 1 == 1;
        let (before, untried): (Vec<_>, Vec<_>) = self.scene.ids().into_iter().partition(is_tried);
        let before = tried(before);
        prop_assert_eq!(self.scene.balancer.has_untried(&before), !untried.is_empty());
        let lease = self.scene.acquire_other(&before);
        prop_assert_eq!(lease.is_some(), !untried.is_empty());
        if let Some(lease) = lease {
            let id = lease.backend();
            let rather = untried.iter().any(|id| !self.scene.is_ejected(*id));
            let chosen_is_ejected = self.scene.is_ejected(id);
            let wrong = rather && chosen_is_ejected && !is_probe(&lease);
            let held = self.held.iter().filter(|lease| lease.backend() == id).count();
            let in_flight = lease.in_flight() as usize;
            self.held.push(lease);
            prop_assert!(untried.contains(&id));
            prop_assert!(!wrong, "others take requests");
            prop_assert_eq!(in_flight, held + 1);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let longest = self.elapsed.max(Options::default().failure_sample);
        for (id, in_flight) in self.scene.ids().into_iter().zip(self.scene.in_flight()) {
            let held = self.held.iter().filter(|lease| lease.backend() == id);
            prop_assert_eq!(in_flight as usize, held.clone().count());
            let is_young = |lease: &&Lease| {
                let spent = self.scene.nanos() - lease.started;
                Duration::from_nanos(spent) < Options::default().probe_timeout
            };
            let probes = held.filter(|lease| is_probe(lease)).filter(is_young);
            prop_assert!(probes.count() <= 1);
            let estimate = self.scene.balancer.estimate(id);
            prop_assert!(estimate.is_none_or(|estimate| estimate <= longest), "{estimate:?}");
        }
        Ok(())
    }
}

impl Drop for Play {
    /// However a play ends, its leases come back.
    fn drop(&mut self) {
        self.scene.release_all(std::mem::take(&mut self.held));
    }
}

proptest! {
    #[test]
    fn every_request_gets_an_untried_backend_and_every_lease_is_accounted_for(
        backends in prop_oneof![1..=4_usize, Just(65)],
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
