//! Which backends get second attempts.

use super::*;

impl Scene {
    fn hedge(&mut self, tried: &Tried) -> Choice {
        self.balancer.acquire_hedge(tried, self.now)
    }

    /// The slot of the backend that a request gets which is at one already.
    fn hedged(&mut self, first: &Lease) -> Option<usize> {
        let lease = self.hedge(&tried([first.backend()])).lease()?;
        assert_eq!((lease.reason(), lease.is_probe()), (Reason::Hedge, false));
        let slot = lease.backend().slot();
        self.balancer.release(lease);
        Some(slot)
    }

    /// Whether a hedge beside this one has to wait.
    fn waits(&mut self, first: &Lease) -> bool {
        matches!(self.hedge(&tried([first.backend()])), Choice::Wait)
    }
}

fn adaptive() -> Options {
    Options { policy: Policy::Adaptive, ..exact() }
}

#[test]
fn it_is_the_one_that_the_policy_would_choose_of_those_not_tried() {
    // `adaptive` averages a first sample with the fleet's, which was less for the second backend.
    for (policy, expected) in [(Policy::Adaptive, 1), (SMA, 2), (EWMA, 2)] {
        let mut scene = Scene::measured(policy, [10, 30, 20]);
        let first = scene.acquire();
        assert_eq!(first.backend().slot(), 0, "{policy}");
        assert_eq!(scene.hedged(&first), Some(expected), "{policy}");
        scene.balancer.release(first);
    }
}

#[test]
fn a_backend_that_was_tried_gets_one_if_that_is_allowed() {
    let mut scene = Scene::measured(Policy::Adaptive, [10, 300, 300]);
    let first = scene.acquire();
    let lease = scene.hedge(&Tried::default()).lease().unwrap();
    assert_eq!(lease.backend(), first.backend());
    scene.release_all(vec![first, lease]);
}

#[test]
fn if_all_were_tried_there_is_nobody() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(1, policy);
        let first = scene.acquire();
        let choice = scene.hedge(&tried([first.backend()]));
        assert!(matches!(choice, Choice::Nobody), "{policy}: {choice:?}");
        scene.balancer.release(first);
    }
}

#[test]
fn an_unmeasured_backend_gets_none_and_its_probe_stays_free() {
    for policy in [Policy::Adaptive, SMA, EWMA] {
        let mut scene = Scene::of(2, policy);
        let first = scene.acquire();
        assert!(scene.waits(&first), "{policy}");
        scene.answer_after(10, first);
        let second = scene.acquire();
        assert!(second.backend().slot() == 1 && second.is_probe(), "{policy}: it is free");
        scene.answer_after(30, second);
        let first = scene.acquire();
        assert_eq!(scene.hedged(&first), Some(1), "{policy}");
        scene.balancer.release(first);
    }
}

#[test]
fn a_backend_that_is_being_measured_again_gets_none() {
    let options = Options { resample_after: Some(ms(1000)), ..adaptive() };
    let mut scene = Scene::measured_with(options, [10, 20, 20]);
    scene.pass(2000);
    let probes: Vec<Lease> = (0..3).map(|_| scene.acquire()).collect();
    assert!(probes.iter().all(is_probe));
    assert!(scene.waits(&probes[0]), "both others are");
    scene.release_all(probes);
}

#[test]
fn an_ejected_backend_gets_none_nor_does_its_trial_begin_by_one() {
    let mut scene = Scene::with(2, exact());
    scene.refuse(1);
    let first = scene.acquire();
    assert!(scene.waits(&first));
    scene.pass(501);
    assert!(scene.waits(&first), "it takes a trial, which a hedge is not");
    let trial = scene.acquire();
    assert_eq!(trial.reason(), Reason::Trial);
    scene.answer_after(1, trial);
    assert_eq!(scene.hedged(&first), Some(1));
    scene.balancer.release(first);
}

#[test]
fn a_backend_at_its_limit_gets_none_and_a_backup_never_does() {
    let limited = Role { max_in_flight: Some(2), ..Role::default() };
    let backup = Role { tier: Tier::Backup, ..Role::default() };
    for policy in Policy::ALL {
        let roles = [Role::default(), limited, backup];
        let mut scene = Scene::with_roles(Options { policy, ..exact() }, &roles);
        for slot in 0..2 {
            let lease = scene.acquire_only(slot);
            scene.answer_after(10 * (1 + slot as u64), lease);
        }
        let (first, other) = (scene.acquire_only(0), scene.acquire_only(1));
        scene.balancer.release(other);
        assert_eq!(scene.hedged(&first), Some(1), "{policy}");
        let full = [(); 2].map(|()| scene.acquire_only(1));
        assert!(scene.waits(&first), "{policy}: the backup alone has room");
        scene.release_all(full.into());
        scene.balancer.release(first);
    }
}

#[test]
fn a_policy_that_does_not_know_what_a_backend_can_take_hedges_where_nothing_is_in_flight() {
    for policy in [Policy::RoundRobin, Policy::LeastConn, SMA, EWMA] {
        let mut scene = Scene::of(2, policy);
        for slot in 0..2 {
            let lease = scene.acquire_only(slot);
            scene.answer_after(10, lease);
        }
        let first = scene.acquire_only(0);
        assert_eq!(scene.hedged(&first), Some(1), "{policy}");
        let other = scene.acquire_only(1);
        assert!(scene.waits(&first), "{policy}");
        scene.release_all(vec![first, other]);
    }
}

/// Two backends that answered `rounds` times with so many in flight by turns, as `took` says.
fn learnt(rounds: usize, took: impl Fn(u64) -> u64) -> Scene {
    let mut scene = Scene::with(2, Options { hedges: true, ..adaptive() });
    for slot in 0..2 {
        let lease = scene.acquire_only(slot);
        scene.answer_after(10, lease);
    }
    for round in 0..rounds {
        let count = [1, 8][round / 2 % 2];
        let mut leases: Vec<Lease> = (0..count).map(|_| scene.acquire_only(round % 2)).collect();
        let last = leases.pop().unwrap();
        scene.answer_after(took(count), last);
        scene.release_all(leases);
    }
    scene
}

#[test]
fn where_latency_does_not_grow_with_load_a_busy_backend_gets_one() {
    let mut scene = learnt(4000, |_| 10);
    let first = scene.acquire_only(0);
    let busy: Vec<Lease> = (0..100).map(|_| scene.acquire_only(1)).collect();
    assert_eq!(scene.hedged(&first), Some(1));
    scene.release_all(busy);
    scene.balancer.release(first);
}

#[test]
fn where_latency_grows_as_load_does_only_one_with_less_than_usual_gets_one() {
    let mut scene = learnt(4000, |count| 10 * count);
    let first = scene.acquire_only(0);
    assert_eq!(scene.hedged(&first), Some(1), "it has nothing");
    let mut busy = vec![scene.acquire_only(1)];
    while scene.hedged(&first).is_some() {
        busy.push(scene.acquire_only(1));
    }
    // It usually has four and a half; latency varies more than load does in logarithms.
    assert!(busy.len() <= 2, "{} in flight", busy.len());
    let last = busy.pop().unwrap();
    scene.balancer.release(last);
    assert!(busy.is_empty() || scene.hedged(&first).is_some(), "as soon as it is calm again");
    scene.release_all(busy);
    scene.balancer.release(first);
}
