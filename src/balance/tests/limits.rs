//! How many requests a backend gets at a time.

use super::*;

fn limit(max_in_flight: u32) -> Role {
    Role { max_in_flight: Some(max_in_flight), ..Role::default() }
}

#[test]
fn a_backend_gets_as_many_as_its_limit_and_the_others_the_rest() {
    for policy in Policy::ALL {
        let roles = [limit(3), Role::default()];
        let mut scene = Scene::with_roles(Options { policy, ..exact() }, &roles);
        let leases: Vec<Lease> = (0..20).map(|_| scene.acquire()).collect();
        assert_eq!(scene.in_flight(), [3, 17], "{policy}");
        scene.release_all(leases);
        assert_eq!(scene.in_flight(), [0, 0], "{policy}");
    }
}

#[test]
fn when_all_are_at_their_limits_a_request_has_to_wait() {
    for policy in Policy::ALL {
        let mut scene = Scene::with_roles(Options { policy, ..exact() }, &[limit(2), limit(3)]);
        let mut leases: Vec<Lease> = (0..5).map(|_| scene.acquire()).collect();
        let wait = |scene: &mut Scene| scene.balancer.acquire(&Tried::default(), scene.now);
        assert!(matches!(wait(&mut scene), Choice::Wait), "{policy}");
        let freed = leases.remove(1);
        let slot = freed.backend().slot();
        scene.answer_after(10, freed);
        let lease = scene.acquire();
        assert_eq!(lease.backend().slot(), slot, "{policy}: the one that has room");
        assert!(matches!(wait(&mut scene), Choice::Wait), "{policy}");
        leases.push(lease);
        scene.release_all(leases);
        assert!(scene.no_probe_is_stuck(), "{policy}");
    }
}

#[test]
fn whoever_tried_all_others_waits_for_the_one_that_is_full_and_else_for_nobody() {
    let mut scene = Scene::with_roles(exact(), &[limit(1), Role::default()]);
    let lease = scene.acquire_only(0);
    let [first, second] = scene.ids()[..] else { unreachable!() };
    let now = scene.now;
    let waits = scene.balancer.acquire(&tried([second]), now);
    assert!(matches!(waits, Choice::Wait), "{waits:?}");
    let nobody = scene.balancer.acquire(&tried([first, second]), now);
    assert!(matches!(nobody, Choice::Nobody), "{nobody:?}");
    let bound = scene.balancer.acquire_bound(first, now);
    assert!(matches!(bound, Choice::Wait), "a bound client has no place of its own: {bound:?}");
    scene.balancer.release(lease);
}

#[test]
fn an_ejected_backend_is_not_tried_early_because_the_others_are_full() {
    let mut scene = Scene::with_roles(exact(), &[limit(1), limit(1)]);
    scene.refuse(0);
    let lease = scene.acquire();
    assert_eq!(lease.backend().slot(), 1);
    let choice = scene.balancer.acquire(&Tried::default(), scene.now);
    assert!(matches!(choice, Choice::Wait), "{choice:?}");
    scene.balancer.release(lease);
}

#[test]
fn of_backends_that_are_all_ejected_one_at_its_limit_is_passed_over() {
    let mut scene = Scene::with_roles(exact(), &[limit(1), limit(1)]);
    let [mut first, second] = [0, 1].map(|slot| scene.acquire_only(slot));
    scene.observe(&mut first, Outcome::Unreachable);
    scene.pass(1);
    scene.finish(second, Outcome::Unreachable);
    let next = scene.acquire();
    assert_eq!((next.backend().slot(), next.reason()), (1, Reason::Cooling));
    let choice = scene.balancer.acquire(&Tried::default(), scene.now);
    assert!(matches!(choice, Choice::Wait), "{choice:?}");
    scene.release_all(vec![first, next]);
}

#[test]
fn backups_take_what_primary_backends_are_too_full_for() {
    let backup = Role { tier: Tier::Backup, ..Role::default() };
    let mut scene = Scene::with_roles(exact(), &[backup, limit(2)]);
    assert_eq!(scene.next(4), [1, 1, 0, 0]);
}

#[test]
fn parked_requests_and_tunnels_have_their_place_within_the_limit() {
    let mut scene = Scene::with_roles(exact(), &[limit(3)]);
    let [mut old, tunnel, young] = [(); 3].map(|()| {
        scene.pass(1);
        scene.acquire()
    });
    let mut tunnel = tunnel;
    scene.observe(&mut tunnel, Outcome::Answered);
    scene.balancer.becomes_tunnel(&mut tunnel);
    scene.pass(1_000);
    scene.finish(young, Outcome::Answered);
    assert!(scene.balancer.park(&mut old, scene.now));
    let last = scene.acquire();
    assert_eq!(last.in_flight(), 1, "neither counts as in flight");
    let choice = scene.balancer.acquire(&Tried::default(), scene.now);
    assert!(matches!(choice, Choice::Wait), "{choice:?}");
    scene.release_all(vec![old, tunnel, last]);
    assert_eq!(scene.in_flight(), [0]);
}

#[test]
fn a_limit_holds_for_all_workers_together() {
    let mut scene = Scene::with_roles(exact(), &[limit(100), limit(50)]);
    let now = scene.now;
    let mut workers: Vec<Balancer> = (0..4).map(|_| scene.membership.balancer()).collect();
    let taken: Vec<Vec<Lease>> = std::thread::scope(|scope| {
        let take = |worker: &mut Balancer| -> Vec<Lease> {
            (0..1_000).filter_map(|_| worker.acquire(&Tried::default(), now).lease()).collect()
        };
        let threads: Vec<_> =
            workers.iter_mut().map(|worker| scope.spawn(move || take(worker))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(scene.in_flight(), [100, 50]);
    scene.release_all(taken.into_iter().flatten().collect());
    assert_eq!(scene.in_flight(), [0, 0]);
}

#[test]
fn as_many_find_a_place_as_all_that_take_requests_have_below_their_limits() {
    let mut scene = Scene::with_roles(exact(), &[limit(2), limit(3)]);
    let places = |scene: &Scene| scene.balancer.places(scene.now);
    let mut leases: Vec<Lease> = Vec::new();
    for left in (0..5).rev() {
        assert_eq!(places(&scene), left + 1);
        leases.push(scene.acquire());
    }
    assert_eq!(places(&scene), 0);
    scene.answer_after(10, leases.remove(0));
    assert_eq!(places(&scene), 1);
    scene.release_all(leases);
    scene.refuse(0);
    assert_eq!(places(&scene), 3, "the ejected one has none");
    scene.pass(500);
    assert_eq!(places(&scene), 4, "and takes one to see whether it is back");
}

#[test]
fn one_that_may_go_anywhere_never_waits_for_backends_that_are_out() {
    let mut scene = Scene::with_roles(exact(), &[limit(1), limit(1)]);
    scene.refuse(0);
    scene.refuse(1);
    assert_eq!(scene.balancer.places(scene.now), 1);
    let lease = scene.acquire();
    assert_eq!(lease.reason(), Reason::Cooling);
    scene.balancer.release(lease);
    let empty = Scene::with_roles(exact(), &[]);
    assert_eq!(empty.balancer.places(empty.now), 1, "it is told that there is none");
    let unlimited = Scene::with_roles(exact(), &[Role::default(), limit(1)]);
    assert_eq!(unlimited.balancer.places(unlimited.now), usize::MAX);
}

#[test]
fn the_end_of_an_ejection_is_a_chance_that_nobody_tells_of() {
    let mut scene = Scene::with_roles(exact(), &[limit(1), limit(1), limit(1)]);
    let chance = |scene: &Scene| scene.balancer.next_chance(scene.now);
    assert_eq!(chance(&scene), None);
    scene.refuse(0);
    let first = scene.now + exact().cooldown;
    scene.pass(100);
    scene.refuse(1);
    let full = scene.acquire();
    assert_eq!((chance(&scene), scene.balancer.places(scene.now)), (Some(first), 0));
    scene.pass(400);
    assert_eq!((scene.now, scene.balancer.places(scene.now)), (first, 1));
    let probe = scene.acquire();
    assert_eq!((probe.reason(), scene.balancer.places(scene.now)), (Reason::Trial, 0));
    assert_eq!(chance(&scene), Some(scene.now + ms(100)), "that of the other one");
    scene.pass(100);
    scene.refuse(1);
    let other = chance(&scene).expect("the other one is out for longer");
    assert!(other > scene.now && other <= scene.now + exact().probe_timeout);
    scene.release_all(vec![full, probe]);
}
