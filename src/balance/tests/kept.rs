//! The choices that are kept for those who ask.

use super::*;

#[test]
fn nothing_is_kept_unless_somebody_may_ask() {
    let mut scene = Scene::of(2, Policy::LeastConn);
    let lease = scene.acquire();
    assert!(scene.balancer.explanations(9, scene.now).is_empty());
    scene.finish(lease, Outcome::Answered);
}

#[test]
fn the_last_choices_are_kept_with_what_they_were_made_from_the_newest_first() {
    let mut scene = Scene::of(2, Policy::LeastConn);
    scene.balancer.keep_choices(3);
    let leases = [(); 4].map(|()| {
        scene.pass(10);
        scene.acquire()
    });
    let kept = scene.balancer.explanations(9, scene.now);
    assert_eq!(kept.iter().map(|it| it.age).collect::<Vec<_>>(), [0, 10, 20].map(ms));
    assert_eq!(scene.balancer.explanations(2, scene.now), kept[..2]);
    let name = |slot: usize| format!("http://localhost:{}", 8081 + slot);
    for (kept, lease) in kept.iter().zip(leases.iter().rev()) {
        assert_eq!((&kept.backend, kept.reason), (&name(lease.backend().slot()), lease.reason()));
        let names: Vec<_> = kept.candidates.iter().map(|it| it.backend.clone()).collect();
        assert_eq!((names, kept.more), (vec![name(0), name(1)], 0));
    }
    assert_eq!(kept[1].candidates.iter().map(|it| it.in_flight).sum::<u32>(), 2);
    for lease in leases {
        scene.finish(lease, Outcome::Answered);
    }
}

#[test]
fn of_many_candidates_the_first_are_kept_and_the_chosen_one() {
    let mut scene = Scene::of(40, Policy::RoundRobin);
    scene.balancer.keep_choices(40);
    for _ in 0..40 {
        let lease = scene.acquire();
        scene.finish(lease, Outcome::Answered);
    }
    for kept in scene.balancer.explanations(40, scene.now) {
        assert!(kept.candidates.iter().any(|it| it.backend == kept.backend), "{kept:?}");
        assert_eq!(kept.candidates.len() + kept.more, 40);
        assert!(kept.candidates.len() <= 17 && kept.candidates[0].score.is_none());
    }
}

#[test]
fn a_probe_was_chosen_from_nobody_and_a_backend_that_left_has_its_id() {
    let mut scene = Scene::of(2, Policy::Adaptive);
    scene.balancer.keep_choices(9);
    let lease = scene.acquire();
    let id = lease.backend();
    scene.finish(lease, Outcome::Answered);
    scene.membership.drain(id);
    let roster = scene.membership.roster();
    scene.balancer.set_roster(roster);
    let kept = scene.balancer.explanations(9, scene.now);
    assert_eq!((kept[0].reason, kept[0].candidates.len()), (Reason::First, 0));
    assert_eq!(kept[0].backend, id.to_string());
}
