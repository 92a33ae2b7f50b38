//! What holds in whatever order threads see each other's steps: no lease is lost or counted twice,
//! and no slot is used again while a lease or a worker's roster refers to it.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use loom::sync::{Arc, Mutex};
use loom::thread;
use models::balance::{
    Availability, Balancer, Choice, Lease, Membership, Options, Outcome, Policy, Reason, Role,
    Roster, Stage, Tried,
};

/// What a worker is handed, and when it looks.
type Mailbox = Arc<Mutex<Option<std::sync::Arc<Roster>>>>;

#[expect(clippy::disallowed_methods, reason = "simulated time has to begin somewhere")]
fn epoch() -> Instant {
    Instant::now()
}

fn owner(slots: usize, policy: Policy, now: Instant) -> Membership {
    let cooldown_jitter_percent = 0;
    let options = Options { policy, cooldown_jitter_percent, ..Options::default() };
    Membership::with_slots(slots, options, now).expect("valid options")
}

fn acquire(worker: &mut Balancer, now: Instant) -> Option<Lease> {
    worker.acquire(&Tried::default(), now).lease()
}

/// The end of a request, whose backend is there until then.
fn end(worker: &mut Balancer, lease: Option<Lease>, outcome: Outcome, now: Instant) {
    let Some(mut lease) = lease else { return };
    worker.observe(&mut lease, outcome, now);
    let stage = worker.registry().stage(lease.backend());
    assert_ne!(stage, Stage::Gone, "its slot was freed under a lease");
    worker.release(lease);
}

fn request(worker: &mut Balancer, outcome: Outcome, now: Instant) {
    let lease = acquire(worker, now);
    end(worker, lease, outcome, now);
}

fn look(worker: &mut Balancer, mailbox: &Mailbox) {
    if let Some(roster) = mailbox.lock().expect("no thread panicked").take() {
        worker.set_roster(roster);
    }
}

/// A backend is replaced by another in its slot while a worker has a request in flight, is told,
/// and sends one more. Whatever was learnt of the first, nothing is known of the second.
fn replaced_under_load(policy: Policy, outcome: Outcome) {
    loom::model(move || {
        let now = epoch();
        let mut owner = owner(1, policy, now);
        let first = owner.add("first").expect("a slot");
        let mut worker = owner.balancer();
        let mailbox = Mailbox::default();
        let sent = Arc::clone(&mailbox);
        let working = thread::spawn(move || {
            let lease = acquire(&mut worker, now);
            look(&mut worker, &sent);
            end(&mut worker, lease, outcome, now);
            look(&mut worker, &sent);
            request(&mut worker, outcome, now);
            worker
        });
        owner.drain(first);
        *mailbox.lock().expect("no thread panicked") = Some(owner.roster());
        let early = owner.collect();
        let second = (!early.is_empty()).then(|| owner.add("second").expect("a slot"));
        let mut worker = working.join().expect("no thread panicked");
        look(&mut worker, &mailbox);
        let second = second.unwrap_or_else(|| {
            assert_eq!(owner.collect(), [first], "a lease was lost");
            owner.add("second").expect("a slot")
        });
        assert_eq!(owner.registry().in_flight(second), Some(0), "a lease was counted twice");
        assert_eq!(worker.availability(second, now), Availability::Up);
        assert_eq!(worker.estimate(second), None);
    });
}

#[test]
fn a_slot_is_used_again_when_nothing_refers_to_it() {
    for outcome in [Outcome::Answered, Outcome::Unreachable] {
        replaced_under_load(Policy::RoundRobin, outcome);
    }
}

#[test]
fn what_was_learnt_of_a_backend_ends_with_it() {
    replaced_under_load(Policy::AdaptiveEwma { alpha: 0.5 }, Outcome::Answered);
    replaced_under_load(Policy::AdaptiveSma { window: 1 }, Outcome::Failed);
    replaced_under_load(Policy::Adaptive, Outcome::Answered);
}

#[test]
fn of_two_workers_one_gets_the_last_place() {
    loom::model(|| {
        let now = epoch();
        let mut owner = owner(1, Policy::LeastConn, now);
        let role = Role { max_in_flight: Some(1), ..Role::default() };
        let id = owner.add_as("only", role, now).expect("a slot");
        let mut here = owner.balancer();
        let mut there = owner.balancer();
        let working = thread::spawn(move || {
            let choice = there.acquire(&Tried::default(), now);
            (there, choice)
        });
        let mine = here.acquire(&Tried::default(), now);
        let (there, theirs) = working.join().expect("no thread panicked");
        let leases = match (mine, theirs) {
            (Choice::Go(lease), Choice::Wait) => (Some(lease), None),
            (Choice::Wait, Choice::Go(lease)) => (None, Some(lease)),
            both => panic!("{both:?}"),
        };
        leases.0.into_iter().for_each(|lease| here.release(lease));
        leases.1.into_iter().for_each(|lease| there.release(lease));
        assert_eq!(owner.registry().in_flight(id), Some(0));
    });
}

/// A failure that meets another worker's sample is counted all the same.
#[test]
fn no_failure_is_lost_and_none_counts_twice() {
    loom::model(|| {
        let now = epoch();
        let mut owner = owner(1, Policy::Adaptive, now);
        let id = owner.add("only").expect("a slot");
        let mut here = owner.balancer();
        let mut there = owner.balancer();
        let ms = Duration::from_millis;
        let mut first = acquire(&mut here, now).expect("a backend");
        here.observe(&mut first, Outcome::Answered, now + ms(10));
        here.release(first);
        let later = now + ms(10);
        let [mut mine, mut theirs] =
            [&mut here, &mut there].map(|worker| acquire(worker, later).expect("a backend"));
        let working = thread::spawn(move || {
            there.observe(&mut theirs, Outcome::Failed, later);
            there.release(theirs);
            there
        });
        here.observe(&mut mine, Outcome::Failed, later);
        here.release(mine);
        let _there = working.join().expect("no thread panicked");
        // 10, then 10 + (50 − 10)/2 = 30, then 30 + (150 − 30)/3 = 70.
        assert_eq!(here.estimate(id), Some(ms(70)));
    });
}

#[test]
fn two_workers_that_tell_what_they_know_of_the_fleet_leave_what_one_of_them_knew() {
    loom::model(|| {
        let now = epoch();
        let mut owner = owner(3, Policy::Adaptive, now);
        let ids = ["a", "b", "c"].map(|name| owner.add(name).expect("a slot"));
        let ms = Duration::from_millis;
        let mut workers = [(); 2].map(|()| owner.balancer());
        for (worker, (id, latency)) in workers.iter_mut().zip(ids.into_iter().zip([10, 30])) {
            let mut lease = worker.acquire_bound(id, now).lease().expect("a backend");
            worker.observe(&mut lease, Outcome::Answered, now + ms(latency));
            worker.release(lease);
        }
        let [mut here, mut there] = workers;
        // In their next turns both tell it, at the same time.
        let next = now + ms(30);
        let working = thread::spawn(move || request(&mut there, Outcome::Abandoned, next));
        request(&mut here, Outcome::Abandoned, next);
        working.join().expect("no thread panicked");
        request(&mut here, Outcome::Abandoned, next + ms(1));
        // A failure of one that is not measured counts as (5·P + 2·P)/3.
        let mut lease = here.acquire_bound(ids[2], next + ms(1)).lease().expect("a backend");
        here.observe(&mut lease, Outcome::Failed, next + ms(1));
        here.release(lease);
        let estimate = here.estimate(ids[2]).expect("measured").as_nanos();
        assert!([23_333_333, 70_000_000].contains(&estimate), "{estimate}");
    });
}

#[test]
fn the_leases_of_two_workers_add_up() {
    loom::model(|| {
        let now = epoch();
        let mut owner = owner(1, Policy::RoundRobin, now);
        let id = owner.add("only").expect("a slot");
        let mut here = owner.balancer();
        let mut there = owner.balancer();
        let working = thread::spawn(move || {
            let lease = acquire(&mut there, now).expect("a backend");
            let seen = lease.in_flight();
            (there, lease, seen)
        });
        let mine = acquire(&mut here, now).expect("a backend");
        let (there, theirs, seen) = working.join().expect("no thread panicked");
        let mut both = [mine.in_flight(), seen];
        both.sort_unstable();
        assert_eq!(both, [1, 2]);
        assert_eq!(owner.registry().in_flight(id), Some(2));
        let ending = thread::spawn(move || there.release(theirs));
        here.release(mine);
        ending.join().expect("no thread panicked");
        assert_eq!(owner.registry().in_flight(id), Some(0));
    });
}

#[test]
fn of_two_workers_one_probes_a_backend() {
    loom::model(|| {
        let now = epoch();
        let mut owner = owner(2, Policy::AdaptiveEwma { alpha: 0.5 }, now);
        for name in ["a", "b"] {
            owner.add(name).expect("a slot");
        }
        let mut here = owner.balancer();
        let mut there = owner.balancer();
        let working = thread::spawn(move || {
            let lease = acquire(&mut there, now).expect("a backend");
            (there, lease)
        });
        let mine = acquire(&mut here, now).expect("a backend");
        let (there, theirs) = working.join().expect("no thread panicked");
        assert_eq!([mine.reason(), theirs.reason()], [Reason::First; 2]);
        assert_ne!(mine.backend(), theirs.backend());
        here.release(mine);
        there.release(theirs);
    });
}

#[test]
fn an_answer_and_a_failure_at_once_leave_an_outage_that_ends() {
    loom::model(|| {
        let now = epoch();
        let mut owner = owner(1, Policy::RoundRobin, now);
        let id = owner.add("only").expect("a slot");
        let mut here = owner.balancer();
        let mut there = owner.balancer();
        request(&mut here, Outcome::Unreachable, now);
        let due = now + Options::default().cooldown;
        let working = thread::spawn(move || request(&mut there, Outcome::Unreachable, due));
        request(&mut here, Outcome::Answered, due);
        working.join().expect("no thread panicked");
        let later = due + Duration::from_secs(1);
        let after = here.availability(id, later);
        assert!(matches!(after, Availability::Up | Availability::Probing), "{after:?}");
        request(&mut here, Outcome::Answered, later);
        assert_eq!(here.availability(id, later), Availability::Up);
    });
}
