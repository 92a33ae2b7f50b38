//! What holds in whatever order threads see each other's steps: a request that waits is called when
//! a backend may take it, whatever frees that backend.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Instant;

use loom::thread;
use models::balance::{
    BackendId, Balancer, Choice, Lease, Membership, Options, Outcome, Policy, Reason, Role, Tried,
    Verdict,
};
use models::queue::{Class, Queue, Scope, Ticket, Turn, Wake, WorkerQueue};

/// The calls are looked for at the end.
#[derive(Debug)]
struct NoWake;

impl Wake for NoWake {
    fn wake(&self, _: usize) {}
}

#[expect(clippy::disallowed_methods, reason = "simulated time has to begin somewhere")]
fn epoch() -> Instant {
    Instant::now()
}

/// Two workers before backends that take so many requests at a time.
struct Scene {
    now: Instant,
    owner: Membership,
    ids: Vec<BackendId>,
    balancers: [Balancer; 2],
    queue: std::sync::Arc<Queue>,
    queues: [WorkerQueue; 2],
}

impl Scene {
    fn new(backends: usize, limit: u32) -> Self {
        let now = epoch();
        let options = Options {
            policy: Policy::RoundRobin,
            cooldown_jitter_percent: 0,
            ..Options::default()
        };
        let mut owner = Membership::with_slots(backends, options, now).expect("valid options");
        let role = Role { max_in_flight: Some(limit), ..Role::default() };
        let ids = ["a", "b"][..backends].iter();
        let ids = ids.map(|name| owner.add_as(name, role, now).expect("a slot")).collect();
        let balancers = [owner.balancer(), owner.balancer()];
        let queue = std::sync::Arc::new(Queue::new(2, std::sync::Arc::new(NoWake)));
        let queues = [0, 1].map(|it| WorkerQueue::new(std::sync::Arc::clone(&queue), it));
        Self { now, owner, ids, balancers, queue, queues }
    }
}

fn lease(balancer: &mut Balancer, id: BackendId, now: Instant) -> Lease {
    balancer.acquire_bound(id, now).lease().expect("a place")
}

/// What became of a request.
#[derive(Debug)]
enum Became {
    Sent(Lease),
    Waits(Ticket),
}

/// A request finds all backends full, and waits, unless one may take it when it looks once more.
fn ask(balancer: &mut Balancer, queue: &WorkerQueue, now: Instant) -> Became {
    let (ticket, turn) = queue.join(1, Class::First, Scope::All, 9).expect("a place in the queue");
    assert_eq!(turn, Turn::Called);
    look(balancer, ticket, now)
}

fn look(balancer: &mut Balancer, ticket: Ticket, now: Instant) -> Became {
    loop {
        if let Choice::Go(lease) = balancer.acquire(&Tried::default(), now) {
            ticket.goes(|| balancer.places(now), || balancer.next_chance(now).is_some());
            return Became::Sent(lease);
        }
        if ticket.stays() != Turn::Called {
            return Became::Waits(ticket);
        }
    }
}

/// It was sent, or it is called now, and finds a place.
fn is_served(balancer: &mut Balancer, queue: &WorkerQueue, became: Became, now: Instant) -> Lease {
    match became {
        Became::Sent(lease) => lease,
        Became::Waits(ticket) => {
            let calls = queue.take_calls();
            assert!(calls.iter().any(|call| ticket.is_meant_by(*call)), "it waits for ever");
            match look(balancer, ticket, now) {
                Became::Sent(lease) => lease,
                Became::Waits(_) => panic!("it was called in vain"),
            }
        }
    }
}

#[test]
fn a_request_that_joins_while_a_lease_is_given_back_gets_its_place() {
    loom::model(|| {
        let Scene { now, owner, ids, balancers: [mut here, mut there], queue, queues } =
            Scene::new(1, 1);
        let [own, others] = queues;
        let taken = lease(&mut here, ids[0], now);
        let asking = thread::spawn(move || {
            let became = ask(&mut there, &others, now);
            (there, others, became)
        });
        here.release(taken);
        own.freed(|| here.places(now));
        let (mut there, others, became) = asking.join().expect("no thread panicked");
        let lease = is_served(&mut there, &others, became, now);
        there.release(lease);
        assert!(queue.is_empty());
        assert_eq!(owner.registry().in_flight(ids[0]), Some(0));
    });
}

/// The words that say whether a backend takes requests are not those that count its leases.
#[test]
fn a_request_that_joins_while_an_ejection_ends_is_sent_there() {
    loom::model(|| {
        let Scene { now, owner: _owner, ids, balancers: [mut here, mut there], queues, .. } =
            Scene::new(2, 2);
        let [own, others] = queues;
        let mut failing = lease(&mut here, ids[1], now);
        here.observe(&mut failing, Outcome::Unreachable, now);
        here.release(failing);
        let full = [(); 2].map(|()| lease(&mut here, ids[0], now));
        let later = now + Options::default().cooldown;
        let mut trial = here.acquire(&Tried::default(), later).lease().expect("a place");
        assert_eq!((trial.backend(), trial.reason()), (ids[1], Reason::Trial));
        let asking = thread::spawn(move || {
            let became = ask(&mut there, &others, later);
            (there, others, became)
        });
        here.observe(&mut trial, Outcome::Answered, later);
        own.freed(|| here.places(later));
        let (mut there, others, became) = asking.join().expect("no thread panicked");
        let lease = is_served(&mut there, &others, became, later);
        assert_eq!(lease.backend(), ids[1]);
        there.release(lease);
        [trial].into_iter().chain(full).for_each(|lease| here.release(lease));
    });
}

#[test]
fn a_request_that_joins_while_a_check_passes_is_sent_there() {
    loom::model(|| {
        let Scene { now, mut owner, ids, balancers: [mut here, mut there], queue, queues } =
            Scene::new(2, 1);
        owner.checked(ids[1], Verdict::Fails, now);
        let full = lease(&mut here, ids[0], now);
        let [_own, others] = queues;
        let asking = thread::spawn(move || {
            let became = ask(&mut there, &others, now);
            (there, others, became)
        });
        owner.checked(ids[1], Verdict::Passes, now);
        queue.freed();
        let (mut there, others, became) = asking.join().expect("no thread panicked");
        let lease = is_served(&mut there, &others, became, now);
        assert_eq!(lease.backend(), ids[1]);
        there.release(lease);
        here.release(full);
    });
}

#[test]
fn one_of_two_that_wait_leaves_while_a_lease_is_given_back_and_the_other_gets_it() {
    loom::model(|| {
        let Scene { now, owner: _owner, ids, balancers: [mut here, mut there], queues, .. } =
            Scene::new(1, 1);
        let [own, others] = queues;
        let taken = lease(&mut here, ids[0], now);
        let Became::Waits(first) = ask(&mut there, &others, now) else { panic!("it is full") };
        let (second, turn) = own.join(2, Class::First, Scope::All, 9).expect("a place");
        assert_eq!(turn, Turn::Waits);
        let leaving = thread::spawn(move || drop(first));
        here.release(taken);
        own.freed(|| here.places(now));
        leaving.join().expect("no thread panicked");
        let lease = is_served(&mut here, &own, Became::Waits(second), now);
        here.release(lease);
    });
}
