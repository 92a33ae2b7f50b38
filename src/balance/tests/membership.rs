//! Backends that come and go: when a slot is free again, and what finds nothing then.

use super::*;
use crate::balance::{MAX_BACKENDS, Roster, Stage};

/// An owner with so many slots, and the instant of all that happens.
fn owner(slots: usize, policy: Policy) -> (Membership, Instant) {
    let now = epoch();
    let options = Options { policy, ..exact() };
    (Membership::with_slots(slots, options, now).unwrap(), now)
}

fn members(roster: &Roster) -> Vec<(BackendId, &str)> {
    roster.members().iter().map(|member| (member.id(), member.name())).collect()
}

#[test]
fn a_roster_has_the_active_backends_in_the_order_of_their_addition() {
    let (mut owner, _) = owner(4, Policy::RoundRobin);
    let [a, b, c] = ["a", "b", "c"].map(|name| owner.add(name).unwrap());
    let before = owner.roster();
    assert_eq!(members(&before), [(a, "a"), (b, "b"), (c, "c")]);
    assert!(owner.drain(a));
    let d = owner.add("d").unwrap();
    assert_eq!(members(&owner.roster()), [(b, "b"), (c, "c"), (d, "d")]);
    assert_eq!(members(&before), [(a, "a"), (b, "b"), (c, "c")], "a roster never changes");
    assert!(before.contains(a) && !owner.roster().contains(a));
}

#[test]
fn a_roster_is_made_anew_only_after_a_change() {
    let (mut owner, _) = owner(2, Policy::RoundRobin);
    let id = owner.add("a").unwrap();
    let roster = owner.roster();
    assert!(Arc::ptr_eq(&roster, &owner.roster()));
    owner.drain(id);
    assert!(!Arc::ptr_eq(&roster, &owner.roster()));
}

#[test]
fn a_worker_chooses_from_the_roster_it_was_handed_last() {
    let (mut owner, now) = owner(3, Policy::RoundRobin);
    owner.add("a").unwrap();
    let mut worker = owner.balancer();
    let second = owner.add("b").unwrap();
    let first = worker.roster().members()[0].id();
    assert!(owner.drain(first));
    let lease = acquire_from(&mut worker, now);
    assert_eq!(lease.backend(), first, "it was not told yet, and no request fails of that");
    worker.release(lease);
    let older = owner.roster();
    owner.add("c").unwrap();
    worker.set_roster(owner.roster());
    worker.set_roster(older);
    assert_eq!(members(worker.roster()).len(), 2, "an older roster is ignored");
    let lease = acquire_from(&mut worker, now);
    assert_eq!((lease.backend(), worker.name(second)), (second, Some("b")));
    worker.release(lease);
}

#[test]
fn a_slot_is_free_when_no_worker_holds_a_roster_with_it_and_no_lease_is_out() {
    let (mut owner, now) = owner(1, Policy::RoundRobin);
    let id = owner.add("a").unwrap();
    let mut workers = [(); 2].map(|()| owner.balancer());
    let lease = acquire_from(&mut workers[0], now);
    assert!(owner.drain(id));
    assert_eq!(
        (owner.registry().stage(id), owner.registry().in_flight(id)),
        (Stage::Draining, Some(1))
    );
    let roster = owner.roster();
    assert_eq!(owner.collect(), []);
    workers[0].set_roster(Arc::clone(&roster));
    assert_eq!(owner.collect(), [], "the other worker may still choose it");
    let late = acquire_from(&mut workers[1], now);
    workers[1].set_roster(roster);
    assert_eq!(owner.collect(), [], "two leases are out");
    workers[1].release(late);
    assert_eq!(owner.collect(), [], "one lease is out");
    assert_eq!(
        owner.add("b").unwrap_err().to_string(),
        "1 upstreams, those included that are draining, and 1 more exceed the limit of 1; \
         remove some, or wait until they have drained"
    );
    workers[0].release(lease);
    assert_eq!(owner.collect(), [id]);
    assert_eq!(owner.collect(), [], "it is named once");
    assert_eq!(owner.registry().stage(id), Stage::Gone);
    let next = owner.add("b").unwrap();
    assert_eq!((next.slot(), next == id), (id.slot(), false));
}

#[test]
fn a_worker_that_ended_is_not_waited_for_but_its_leases_are() {
    let (mut owner, now) = owner(1, Policy::RoundRobin);
    let id = owner.add("a").unwrap();
    let (mut ends, stays) = (owner.balancer(), owner.balancer());
    let lease = acquire_from(&mut ends, now);
    owner.drain(id);
    drop(ends);
    assert_eq!(owner.collect(), [], "the one that stays was not told");
    let mut stays = stays;
    stays.set_roster(owner.roster());
    assert_eq!(owner.collect(), []);
    stays.release(lease);
    assert_eq!(owner.collect(), [id]);
}

#[test]
fn one_that_no_worker_ever_saw_is_gone_at_once() {
    let (mut owner, _) = owner(1, Policy::RoundRobin);
    let _worker = owner.balancer();
    for _ in 0..3 {
        let id = owner.add("a").unwrap();
        assert!(owner.drain(id));
        assert_eq!(owner.collect(), [id]);
    }
}

#[test]
fn a_stale_id_finds_nothing() {
    let (mut owner, now) = owner(1, SMA);
    let stale = owner.add("a").unwrap();
    let mut worker = owner.balancer();
    owner.drain(stale);
    worker.set_roster(owner.roster());
    assert_eq!(owner.collect(), [stale]);
    let id = owner.add("b").unwrap();
    worker.set_roster(owner.roster());
    assert_eq!(id.slot(), stale.slot());

    assert_eq!((worker.name(stale), worker.name(id)), (None, Some("b")));
    assert_eq!(worker.availability(stale, now), Availability::Down);
    assert_eq!(worker.availability(id, now), Availability::Up);
    assert!(worker.acquire_bound(stale, now).lease().is_none());
    let lease = worker.acquire_bound(id, now).lease().unwrap();
    let registry = owner.registry();
    assert_eq!((registry.in_flight(stale), registry.in_flight(id)), (None, Some(1)));
    assert_eq!((registry.stage(stale), registry.stage(id)), (Stage::Gone, Stage::Active));
    worker.release(lease);
    assert!(!owner.drain(stale), "and drains nothing");
    assert!(worker.roster().contains(id));
    let untried = tried([stale]);
    assert!(worker.has_untried(&untried), "the next one in the slot was not tried");
}

#[test]
fn a_client_that_is_bound_does_not_keep_its_backend_from_draining() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    let id = scene.ids()[0];
    scene.membership.drain(id);
    let lease = scene.balancer.acquire_bound(id, scene.now).lease().unwrap();
    scene.balancer.release(lease);
    scene.balancer.set_roster(scene.membership.roster());
    assert!(scene.balancer.acquire_bound(id, scene.now).lease().is_none());
}

#[test]
fn the_next_backend_in_a_slot_inherits_nothing() {
    for policy in [SMA, EWMA] {
        let (mut owner, mut now) = owner(1, policy);
        let first = owner.add("a").unwrap();
        let mut worker = owner.balancer();
        let mut measured = acquire_from(&mut worker, now);
        now += ms(100);
        worker.observe(&mut measured, Outcome::Answered, now);
        worker.release(measured);
        let mut refused = acquire_from(&mut worker, now);
        worker.observe(&mut refused, Outcome::Unreachable, now);
        worker.release(refused);
        assert_ne!(worker.availability(first, now), Availability::Up);
        now += ms(500);
        let probe = acquire_from(&mut worker, now);
        assert!(is_probe(&probe));
        worker.release(probe);

        owner.drain(first);
        worker.set_roster(owner.roster());
        assert_eq!(owner.collect(), [first]);
        let second = owner.add("b").unwrap();
        worker.set_roster(owner.roster());
        assert_eq!(worker.availability(second, now), Availability::Up);
        let lease = acquire_from(&mut worker, now);
        let told = (lease.reason(), lease.in_flight(), lease.estimate());
        assert_eq!(told, (Reason::First, 1, None), "{policy}");
        worker.release(lease);
    }
}

#[test]
fn what_is_in_flight_at_a_draining_backend_is_observed_and_released_as_ever() {
    let mut scene = Scene::of(2, EWMA);
    let lease = scene.acquire();
    let id = lease.backend();
    scene.membership.drain(id);
    scene.balancer.set_roster(scene.membership.roster());
    scene.answer_after(30, lease);
    assert_eq!(scene.balancer.estimate(id), Some(ms(30)));
    assert_eq!(scene.membership.collect(), [id]);
}

#[test]
fn a_roster_without_a_backend_chooses_nobody() {
    let mut scene = Scene::of(1, Policy::RoundRobin);
    scene.membership.drain(scene.ids()[0]);
    scene.balancer.set_roster(scene.membership.roster());
    assert!(!scene.balancer.has_untried(&Tried::default()));
    assert!(matches!(scene.balancer.acquire(&Tried::default(), scene.now), Choice::Nobody));
}

#[test]
fn the_slot_that_has_been_free_longest_is_used_first() {
    let (mut owner, _) = owner(3, Policy::RoundRobin);
    let ids = ["a", "b", "c"].map(|name| owner.add(name).unwrap());
    for at in [1, 2, 0] {
        owner.drain(ids[at]);
        assert_eq!(owner.collect(), [ids[at]]);
    }
    let slots = ["d", "e", "f"].map(|name| owner.add(name).unwrap().slot());
    assert_eq!(slots, [1, 2, 0]);
}

#[test]
fn generations_begin_anew_after_the_last() {
    let (mut owner, now) = owner(1, Policy::RoundRobin);
    let mut worker = owner.balancer();
    let first = owner.add("a").unwrap();
    let mut id = first;
    for _ in 0..=u16::MAX {
        worker.set_roster(owner.roster());
        assert!(worker.roster().contains(id));
        assert!(owner.drain(id));
        worker.set_roster(owner.roster());
        assert_eq!(owner.collect(), [id]);
        id = owner.add("a").unwrap();
    }
    assert_eq!(id, first);
    worker.set_roster(owner.roster());
    let lease = acquire_from(&mut worker, now);
    assert_eq!(lease.backend(), id);
    worker.release(lease);
}

#[test]
fn there_may_be_1024_backends_and_no_more() {
    let (mut owner, now) = owner(MAX_BACKENDS, Policy::RoundRobin);
    let ids: Vec<BackendId> =
        (0..MAX_BACKENDS).map(|n| owner.add(&n.to_string()).unwrap()).collect();
    let refusal = owner.add("one more").unwrap_err().to_string();
    assert!(refusal.starts_with("1024 upstreams, those"), "{refusal}");
    let mut worker = owner.balancer();
    let turns: Vec<BackendId> = (0..MAX_BACKENDS)
        .map(|_| {
            let lease = acquire_from(&mut worker, now);
            let id = lease.backend();
            worker.release(lease);
            id
        })
        .collect();
    assert_eq!(turns, ids);
}

#[test]
fn what_a_policy_learnt_stays_with_other_options_and_goes_with_another_policy() {
    let mut scene = Scene::measured(SMA, [100, 200, 300]);
    let cooldown = ms(7);
    let options = Options { policy: SMA, cooldown, ..exact() };
    scene.membership.set_options(options).unwrap();
    scene.balancer.set_roster(scene.membership.roster());
    assert_eq!(scene.estimates_ms(), [100, 200, 300].map(Some));
    scene.refuse(0);
    scene.pass(7);
    let lease = scene.acquire();
    assert_eq!(lease.reason(), Reason::Trial, "the new cool-down is over");
    scene.balancer.release(lease);

    let longer = Policy::AdaptiveSma { window: 5 };
    scene.membership.set_options(Options { policy: longer, ..options }).unwrap();
    scene.balancer.set_roster(scene.membership.roster());
    assert_eq!(scene.estimates_ms(), [None; 3]);
    let refused = Options { policy: Policy::AdaptiveSma { window: 0 }, ..options };
    assert!(scene.membership.set_options(refused).is_err());
    assert_eq!(scene.estimates_ms(), [None; 3], "and nothing changed");
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "was dropped, not released")]
fn a_lease_that_is_dropped_is_a_bug() {
    drop(Scene::of(1, Policy::RoundRobin).acquire());
}
