//! Backends come and go a thousand times while workers send requests.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::balance::{Roster, Stage};

const WORKERS: usize = 3;
const SLOTS: usize = 32;
const ACTIVE: usize = 4;
const CHANGES: usize = 1_000;

/// Which requests a worker keeps in flight while others come and go.
const MOST_HELD: usize = 5;

/// What the owner and the workers of this test tell each other.
struct Shared {
    /// The roster that each worker is to take next.
    mailboxes: [Mutex<Option<Arc<Roster>>>; WORKERS],
    /// Which backend has each slot, as the owner knows it: its generation and one, or zero.
    occupants: [AtomicU64; SLOTS],
    is_over: AtomicBool,
    requests: AtomicU64,
}

impl Shared {
    fn has(&self, id: BackendId) -> bool {
        let occupant = self.occupants[id.slot()].load(Ordering::SeqCst);
        occupant == u64::from(id.generation()) + 1
    }

    fn enter(&self, id: BackendId) {
        let before =
            self.occupants[id.slot()].swap(u64::from(id.generation()) + 1, Ordering::SeqCst);
        assert_eq!(before, 0, "the slot of {id:?} was not free");
    }

    fn leave(&self, id: BackendId) {
        assert!(self.has(id));
        self.occupants[id.slot()].store(0, Ordering::SeqCst);
    }
}

/// Sends requests of all fates until it is told to stop.
fn work(shared: &Shared, worker: usize, mut balancer: Balancer, start: Instant) {
    let (mut now, mut held) = (start, VecDeque::new());
    while !shared.is_over.load(Ordering::Relaxed) {
        now += Duration::from_micros(300);
        if let Some(roster) = shared.mailboxes[worker].lock().unwrap().take() {
            balancer.set_roster(roster);
        }
        if let Choice::Go(lease) = balancer.acquire(&Tried::default(), now) {
            assert!(shared.has(lease.backend()), "a roster names a backend that is gone");
            held.push_back(lease);
        }
        let number = shared.requests.fetch_add(1, Ordering::Relaxed);
        while held.len() > MOST_HELD || !held.is_empty() && number.is_multiple_of(7) {
            end(shared, &mut balancer, held.pop_front().unwrap(), now);
        }
    }
    for lease in held {
        end(shared, &mut balancer, lease, now);
    }
}

fn end(shared: &Shared, balancer: &mut Balancer, mut lease: Lease, now: Instant) {
    let outcome = match lease.in_flight() % 4 {
        0 => Some(Outcome::Failed),
        1 => Some(Outcome::Unreachable),
        2 => Some(Outcome::Answered),
        _ => None,
    };
    if let Some(outcome) = outcome {
        balancer.observe(&mut lease, outcome, now);
    }
    assert!(shared.has(lease.backend()), "a slot was freed under a lease");
    balancer.release(lease);
}

/// Adds and drains backends, and waits for each slot as long as it takes.
fn change(shared: &Shared, owner: &mut Membership) {
    let (mut active, mut gone) = (VecDeque::new(), 0);
    for change in 0..CHANGES {
        let id = loop {
            for id in owner.collect() {
                shared.leave(id);
                gone += 1;
            }
            match owner.add(&change.to_string()) {
                Ok(id) => break id,
                Err(_full) => std::thread::yield_now(),
            }
        };
        shared.enter(id);
        active.push_back(id);
        if active.len() > ACTIVE {
            assert!(owner.drain(active.pop_front().unwrap()));
        }
        for mailbox in &shared.mailboxes {
            *mailbox.lock().unwrap() = Some(owner.roster());
        }
    }
    shared.is_over.store(true, Ordering::Relaxed);
    assert!(gone >= CHANGES - SLOTS, "{gone} backends were gone");
}

#[test]
fn a_thousand_additions_and_removals_lose_no_lease_and_use_no_slot_twice() {
    for policy in Policy::ALL {
        let start = epoch();
        let options = Options { policy, cooldown: ms(1), ..exact() };
        let mut owner = Membership::with_slots(SLOTS, options, start).unwrap();
        let shared = Shared {
            mailboxes: std::array::from_fn(|_| Mutex::default()),
            occupants: std::array::from_fn(|_| AtomicU64::new(0)),
            is_over: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        };
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (shared, balancer) = (&shared, owner.balancer());
                scope.spawn(move || work(shared, worker, balancer, start));
            }
            change(&shared, &mut owner);
        });
        // All leases are back and all workers have ended, so nothing refers to a backend.
        let roster = owner.roster();
        for member in roster.members() {
            assert_eq!(owner.registry().in_flight(member.id()), Some(0), "{policy}");
            owner.drain(member.id());
        }
        owner.collect().into_iter().for_each(|id| shared.leave(id));
        let is_free = |occupant: &AtomicU64| occupant.load(Ordering::SeqCst) == 0;
        assert!(shared.occupants.iter().all(is_free), "{policy}: a lease was lost");
        assert!(roster.members().iter().all(|m| owner.registry().stage(m.id()) == Stage::Gone));
    }
}
