//! Weights and backups: how requests are shared between backends that are not alike by their
//! configuration.

use std::collections::VecDeque;

use super::*;

fn weighted(policy: Policy, weights: &[u32]) -> Scene {
    let roles = weights.iter().map(|weight| Role { weight: *weight, ..Role::default() });
    Scene::with_roles(Options { policy, ..exact() }, &roles.collect::<Vec<_>>())
}

/// The percentages that each backend gets of the requests of a hundred clients that always wait for
/// one answer. Each backend takes 100 ms.
fn shares(scene: &mut Scene, requests: usize) -> Vec<f64> {
    let mut served = vec![0; scene.ids().len()];
    let mut out: VecDeque<(Instant, Lease)> = VecDeque::new();
    for request in 0..requests {
        while out.len() == 100 || out.front().is_some_and(|(due, _)| *due <= scene.now) {
            let (due, lease) = out.pop_front().unwrap();
            scene.now = scene.now.max(due);
            scene.finish(lease, Outcome::Answered);
        }
        let lease = scene.acquire();
        // The first hundred warm it up.
        served[lease.backend().slot()] += usize::from(request >= 100);
        scene.now += Duration::from_micros(977);
        out.push_back((scene.now + ms(100), lease));
    }
    scene.release_all(out.into_iter().map(|(_, lease)| lease).collect());
    let all: usize = served.iter().sum();
    served.iter().map(|count| 100.0 * *count as f64 / all as f64).collect()
}

#[test]
fn equal_backends_weighted_three_to_one_get_three_quarters_and_one_under_every_policy() {
    for policy in Policy::ALL {
        let found = shares(&mut weighted(policy, &[3, 1]), 5_100);
        assert!((found[0] - 75.0).abs() < 3.0, "{policy}: {found:?}");
        let found = shares(&mut weighted(policy, &[1, 5, 2]), 5_100);
        for (found, expected) in found.iter().zip([12.5, 62.5, 25.0]) {
            assert!((found - expected).abs() < 3.0, "{policy}: {found}, not {expected}");
        }
    }
}

#[test]
fn weights_that_are_all_the_same_change_nothing() {
    for policy in Policy::ALL {
        let [mut ones, mut sevens] = [1, 7].map(|weight| weighted(policy, &[weight; 3]));
        assert_eq!(ones.next(50), sevens.next(50), "{policy}");
        let latencies = [[30, 10, 20]; 2].concat();
        let slots = |scene: &mut Scene| -> Vec<usize> {
            let mut slots = Vec::new();
            for latency in &latencies {
                let lease = scene.acquire();
                slots.push(lease.backend().slot());
                scene.answer_after(*latency, lease);
            }
            slots
        };
        assert_eq!(slots(&mut ones), slots(&mut sevens), "{policy}");
    }
}

#[test]
fn a_new_weight_holds_from_the_next_roster_on_and_nothing_is_forgotten() {
    let mut scene = Scene::measured(SMA, [100; 3]);
    let id = scene.ids()[0];
    assert!(scene.membership.set_role(id, Role { weight: 4, ..Role::default() }));
    assert_eq!(scene.next(6), [0, 1, 2, 0, 1, 2]);
    scene.balancer.set_roster(scene.membership.roster());
    assert_eq!(scene.estimates_ms(), [100, 100, 100].map(Some));
    let mut served = [0; 3];
    scene.next(6).into_iter().for_each(|slot| served[slot] += 1);
    assert_eq!(served, [4, 1, 1]);
    let version = scene.membership.roster();
    assert!(scene.membership.set_role(id, Role { weight: 4, ..Role::default() }));
    assert!(Arc::ptr_eq(&version, &scene.membership.roster()), "nothing new");
    scene.membership.drain(id);
    assert!(!scene.membership.set_role(id, Role::default()));
}

#[test]
fn a_backup_gets_requests_only_while_no_primary_backend_takes_any() {
    let backup = Role { tier: Tier::Backup, ..Role::default() };
    for policy in Policy::ALL {
        let roles = [backup, Role::default(), Role::default()];
        let mut scene = Scene::with_roles(Options { policy, ..exact() }, &roles);
        assert!(!scene.next(6).contains(&0), "{policy}: nor to measure it");
        scene.refuse(1);
        assert_eq!(scene.next(3), [2; 3], "{policy}");
        let [_, first, second] = scene.ids()[..] else { unreachable!() };
        let retry = scene.acquire_other(&tried([first, second])).unwrap();
        assert_eq!(retry.backend().slot(), 0, "{policy}: all others were tried");
        scene.balancer.release(retry);
        scene.refuse(2);
        assert_eq!(scene.next(3), [0; 3], "{policy}");
        scene.pass(500);
        let probe = scene.acquire();
        assert_eq!((probe.backend().slot(), probe.reason()), (1, Reason::Trial), "{policy}");
        scene.answer_after(5, probe);
        assert!(!scene.next(6).contains(&0), "{policy}");
    }
}

#[test]
fn backups_alone_are_backends_like_others() {
    let backup = Role { tier: Tier::Backup, ..Role::default() };
    let mut scene = Scene::with_roles(exact(), &[backup; 2]);
    assert_eq!(scene.next(4), [0, 1, 0, 1]);
}

#[test]
fn a_new_backend_starts_slowly() {
    let slow_start = Duration::from_secs(10);
    for policy in [Policy::RoundRobin, Policy::LeastConn, Policy::Adaptive] {
        let options = Options { policy, slow_start, ..exact() };
        let mut scene = Scene::with(1, options);
        scene.pass(10_000);
        shares(&mut scene, 2_000);
        scene.membership.add_as("new", Role::default(), scene.now).unwrap();
        scene.balancer.set_roster(scene.membership.roster());
        // For the first second, a tenth of the weight: 1 of 11.
        let found = shares(&mut scene, 1_100);
        let expected = 100.0 / 11.0;
        assert!((found[1] - expected).abs() < 5.0, "{policy}: {found:?}");
        scene.pass(10_000);
        shares(&mut scene, 5_000);
        let found = shares(&mut scene, 2_000);
        assert!((found[1] - 50.0).abs() < 3.0, "{policy}: {found:?}");
    }
}

#[test]
fn one_that_comes_back_starts_slowly() {
    let mut scene = Scene::with(2, Options { slow_start: ms(4_000), ..exact() });
    scene.pass(4_000);
    scene.refuse(0);
    scene.pass(500);
    let probe = scene.acquire();
    assert_eq!(probe.backend().slot(), 0);
    scene.answer_after(1, probe);
    // After a quarter of the time, a quarter of the weight: 1 of 5.
    scene.pass(1_000);
    let count = scene.next(1_250).iter().filter(|slot| **slot == 0).count();
    assert_eq!(count, 250);
}

#[test]
fn tunnels_are_shared_by_weight() {
    for policy in [Policy::Adaptive, Policy::LeastConn] {
        let mut scene = weighted(policy, &[2, 1]);
        let (mut tunnels, mut held) = (Vec::new(), [0; 2]);
        for _ in 0..30 {
            let mut lease = scene.acquire();
            scene.pass(10);
            scene.observe(&mut lease, Outcome::Answered);
            scene.balancer.becomes_tunnel(&mut lease);
            held[lease.backend().slot()] += 1;
            tunnels.push(lease);
        }
        assert_eq!(held, [20, 10], "{policy}");
        scene.release_all(tunnels);
    }
}
