//! What holds whatever the requests, their outcomes and their order.

use proptest::prelude::*;

use super::*;
use crate::balance::Verdict;
use crate::balance::load::Held;

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
    /// One of the leases held is parked if it may be, or sent again.
    Park {
        lease: prop::sample::Index,
        restart: bool,
    },
    Tunnel {
        lease: prop::sample::Index,
    },
    Check {
        backend: prop::sample::Index,
        passes: bool,
    },
    Pass {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::sample::select(vec![
        Outcome::Answered,
        Outcome::Answered,
        Outcome::Declined,
        Outcome::Failed,
        Outcome::Unreachable,
        Outcome::Abandoned,
    ]);
    let lease = any::<prop::sample::Index>;
    prop_oneof![
        4 => any::<u64>().prop_map(|tried| Step::Acquire { tried }),
        2 => Just(Step::Acquire { tried: 0 }),
        4 => (lease(), outcome).prop_map(|(lease, outcome)| Step::Observe { lease, outcome }),
        3 => lease().prop_map(|lease| Step::Release { lease }),
        1 => (lease(), any::<bool>()).prop_map(|(lease, restart)| Step::Park { lease, restart }),
        1 => lease().prop_map(|lease| Step::Tunnel { lease }),
        1 => (lease(), any::<bool>())
            .prop_map(|(backend, passes)| Step::Check { backend, passes }),
        2 => (0..3000_u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let policy = prop_oneof![
        Just(Policy::RoundRobin),
        (1..=5_usize).prop_map(|window| Policy::AdaptiveSma { window }),
        (1..=100_u32)
            .prop_map(|percent| Policy::AdaptiveEwma { alpha: f64::from(percent) / 100.0 }),
        Just(Policy::LeastConn),
        Just(Policy::Adaptive),
        Just(Policy::Adaptive),
    ];
    let resample_after = prop::option::of((0..5000_u64).prop_map(ms));
    let eject_after = prop::option::of(1..4_u8);
    let times = (0..2000_u64, 0..5000_u64);
    (policy, resample_after, eject_after, 0..=100_u8, times).prop_map(
        |(policy, resample_after, eject_after, max_ejected_percent, (cooldown, slow_start))| {
            let (cooldown, slow_start) = (ms(cooldown), ms(slow_start));
            Options {
                policy,
                resample_after,
                eject_after,
                max_ejected_percent,
                cooldown,
                slow_start,
                ..exact()
            }
        },
    )
}

/// Different roles, of which the last is rare.
fn roles(backends: usize) -> impl Strategy<Value = Vec<Role>> {
    let role = (1..5_u32, prop::option::of(1..6_u32), 0..4_u8).prop_map(
        |(weight, max_in_flight, tier)| {
            let tier = if tier == 0 { Tier::Backup } else { Tier::Primary };
            Role { weight, max_in_flight, tier, ..Role::default() }
        },
    );
    prop_oneof![Just(vec![Role::default(); backends]), prop::collection::vec(role, backends),]
}

/// A scene, the leases held in it, and the longest a sample can have been so far.
struct Play {
    scene: Scene,
    policy: Policy,
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
            Step::Park { lease, restart } if !self.held.is_empty() => {
                let (lease, now) = (lease.get_mut(&mut self.held), self.scene.now);
                if !restart {
                    self.scene.balancer.park(lease, now);
                } else if lease.observed.is_none() && !is_probe(lease) {
                    self.scene.balancer.restart(lease, now);
                }
            }
            Step::Tunnel { lease } if !self.held.is_empty() => {
                let lease = lease.get_mut(&mut self.held);
                if lease.observed == Some(Outcome::Answered) {
                    self.scene.balancer.becomes_tunnel(lease);
                }
            }
            Step::Check { backend, passes } => {
                let id = *backend.get(&self.scene.ids());
                let verdict = if *passes { Verdict::Passes } else { Verdict::Fails };
                self.scene.membership.checked(id, verdict, self.scene.now);
            }
            Step::Observe { .. }
            | Step::Release { .. }
            | Step::Park { .. }
            | Step::Tunnel { .. } => {}
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
        let has_room = |id: &BackendId| {
            let limit = self.scene.balancer.roster().member(*id).unwrap().role().max_in_flight;
            limit.is_none_or(|limit| self.scene.in_flight()[id.slot()] < limit)
        };
        let with_room: Vec<BackendId> = untried.iter().copied().filter(has_room).collect();
        let is_full = |id: &BackendId| !self.scene.is_ejected(*id) && !has_room(id);
        let one_is_full = untried.iter().any(is_full);
        let now = self.scene.now;
        let choice = self.scene.balancer.acquire(&before, now);
        match &choice {
            Choice::Go(_) => prop_assert!(!with_room.is_empty()),
            Choice::Wait => {
                prop_assert!(with_room.is_empty() && !untried.is_empty() || one_is_full);
            }
            Choice::Nobody => prop_assert!(untried.is_empty()),
        }
        if let Choice::Go(lease) = choice {
            let id = lease.backend();
            let rather = with_room.iter().any(|id| !self.scene.is_ejected(*id));
            let chosen_is_ejected = self.scene.is_ejected(id);
            let wrong = rather && chosen_is_ejected && !is_probe(&lease);
            let counts = |lease: &&Lease| lease.backend() == id && lease.held == Held::InFlight;
            let held = self.held.iter().filter(counts).count();
            let in_flight = lease.in_flight() as usize;
            self.held.push(lease);
            prop_assert!(with_room.contains(&id));
            prop_assert!(!wrong, "others take requests");
            prop_assert_eq!(in_flight, held + 1);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let longest = match self.policy {
            // A failure counts as a hundred times the mean of the fleet at most.
            Policy::Adaptive => 100 * self.elapsed.max(Duration::from_nanos(100)),
            _ => self.elapsed.max(SMA.failure_sample().unwrap()),
        };
        for (id, in_flight) in self.scene.ids().into_iter().zip(self.scene.in_flight()) {
            let held = self.held.iter().filter(|lease| lease.backend() == id);
            prop_assert_eq!(in_flight as usize, held.clone().count());
            let load = self.scene.balancer.registry().slot(id).load.get();
            let held_as = |kind| held.clone().filter(|lease| lease.held == kind).count();
            prop_assert_eq!(load.in_flight() as usize, held_as(Held::InFlight));
            prop_assert_eq!(load.tunnels() as usize, held_as(Held::Tunnel));
            let limit = self.scene.balancer.roster().member(id).unwrap().role().max_in_flight;
            prop_assert!(limit.is_none_or(|limit| in_flight <= limit));
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
        roles in prop_oneof![1..=4_usize, Just(65)].prop_flat_map(roles),
        options in options(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let scene = Scene::with_roles(options, &roles);
        let policy = options.policy;
        let mut play = Play { scene, policy, held: Vec::new(), elapsed: Duration::ZERO };
        for step in &steps {
            play.step(step)?;
        }
        play.scene.release_all(std::mem::take(&mut play.held));
        play.check()?;
        prop_assert!(play.scene.no_probe_is_stuck());
    }
}
