//! The queue between workers that take their steps in every order.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use super::*;

/// No calls.
const NONE: [Vec<u64>; 2] = [Vec::new(), Vec::new()];

/// Counts how often each worker was woken.
#[derive(Debug)]
struct Woken([AtomicUsize; 2]);

impl Wake for Woken {
    fn wake(&self, worker: usize) {
        self.0[worker].fetch_add(1, Relaxed);
    }
}

/// Two workers, and places for requests at their backends.
struct Rig {
    woken: Arc<Woken>,
    queue: Arc<Queue>,
    workers: [WorkerQueue; 2],
    free: usize,
}

impl Rig {
    fn new(free: usize) -> Self {
        let woken = Arc::new(Woken(Default::default()));
        let queue = Arc::new(Queue::new(2, Arc::clone(&woken) as Arc<_>));
        let workers = [0, 1].map(|worker| WorkerQueue::new(Arc::clone(&queue), worker));
        Self { woken, queue, workers, free }
    }

    /// One that joins on a worker, and what it is to do.
    fn join(&self, worker: usize, client: u64, class: Class, scope: Scope) -> (Ticket, Turn) {
        self.workers[worker].join(client, class, scope, 100).unwrap()
    }

    /// One like most, which finds no place.
    fn waits(&self, worker: usize, client: u64) -> Ticket {
        let (ticket, turn) = self.join(worker, client, Class::First, Scope::All);
        assert!(turn == Turn::Waits || ticket.stays() != Turn::Called);
        ticket
    }

    fn frees(&mut self, worker: usize) {
        self.free += 1;
        self.workers[worker].freed(|| self.free);
    }

    fn called(&self) -> [Vec<u64>; 2] {
        self.workers.each_ref().map(|it| it.take_calls().iter().map(|call| call.client).collect())
    }

    fn woken(&self) -> [usize; 2] {
        [0, 1].map(|worker| self.woken.0[worker].swap(0, Relaxed))
    }
}

#[test]
fn the_first_one_is_called_on_whichever_worker_and_only_then_that_is_woken() {
    let mut rig = Rig::new(0);
    rig.frees(0);
    assert_eq!((rig.called(), rig.woken()), (NONE, [0, 0]), "nobody waits");
    rig.free = 0;
    let tickets = [1, 0, 1].map(|worker| rig.waits(worker, 10 + worker as u64));
    assert_eq!((rig.queue.len(), rig.called()), (3, NONE));
    rig.frees(0);
    assert_eq!((rig.called(), rig.woken()), ([vec![], vec![11]], [0, 1]));
    // That place is the first one's, so another one is needed for the second.
    rig.workers[0].freed(|| 1);
    assert_eq!(rig.called(), NONE);
    rig.frees(0);
    assert_eq!((rig.called(), rig.woken()), ([vec![10], vec![]], [0, 0]), "it is its own");
    rig.free -= 1;
    tickets[0].goes(|| rig.free, || false);
    rig.free -= 1;
    tickets[1].goes(|| rig.free, || false);
    assert_eq!((rig.called(), rig.queue.len()), (NONE, 1));
    drop(tickets);
    assert!(rig.queue.is_empty());
}

#[test]
fn one_call_is_enough_for_many_places() {
    let rig = Rig::new(0);
    let tickets = [0, 0, 0, 0].map(|worker| rig.waits(worker, 1));
    rig.queue.freed();
    assert_eq!((rig.called(), rig.woken()), ([vec![1], vec![]], [1, 0]), "by no worker");
    for (ticket, left) in tickets.iter().zip([2, 1, 0]) {
        ticket.goes(|| left, || false);
        assert_eq!(rig.called()[0].len(), usize::from(left > 0));
    }
    assert_eq!(rig.queue.len(), 1);
}

#[test]
fn no_more_wait_than_are_allowed_and_the_place_of_one_that_leaves_is_free() {
    let rig = Rig::new(0);
    let join = |limit| rig.workers[0].join(1, Class::First, Scope::All, limit);
    assert!(join(0).is_none());
    let [first, second] = [join(2), join(2)];
    assert!(first.is_some() && second.is_some() && join(2).is_none());
    drop(second);
    let third = join(2);
    assert!(third.is_some() && join(2).is_none() && join(3).is_some());
}

#[test]
fn one_that_leaves_passes_its_call_on_and_a_call_does_not_outlive_it() {
    let mut rig = Rig::new(0);
    let [first, second] = [0, 1].map(|worker| rig.waits(worker, worker as u64));
    rig.frees(1);
    let call = rig.workers[0].take_calls()[0];
    assert!(first.is_meant_by(call) && !second.is_meant_by(call));
    drop(first);
    assert_eq!((rig.called(), rig.woken()), ([vec![], vec![1]], [1, 1]));
    drop(second);
    let (later, turn) = rig.join(0, 0, Class::First, Scope::All);
    assert!(turn == Turn::Called && !later.is_meant_by(call), "the client's next request");
}

#[test]
fn one_that_was_sent_before_stands_before_those_that_were_not() {
    let mut rig = Rig::new(0);
    let first = rig.waits(0, 1);
    let (again, turn) = rig.join(0, 2, Class::Again, Scope::Some);
    assert_eq!(
        (turn, again.stays()),
        (Turn::Called, Turn::Watches),
        "it may find what others left"
    );
    assert_eq!(rig.called()[0], [1], "what it can't use may be of use to the next");
    assert_eq!(first.stays(), Turn::Waits);
    let (later, turn) = rig.join(0, 3, Class::Again, Scope::Some);
    assert_eq!((turn, later.stays()), (Turn::Called, Turn::Waits));
    assert_eq!((rig.called()[0].as_slice(), first.stays()), (&[1][..], Turn::Waits));
    for expected in [2, 3, 1] {
        rig.frees(1);
        assert_eq!(rig.called()[0], [expected] as [u64; 1]);
    }
}

#[test]
fn one_that_joins_looks_if_those_before_it_may_not_want_what_is_free() {
    let rig = Rig::new(0);
    let (picky, turn) = rig.join(0, 1, Class::First, Scope::Some);
    assert_eq!((turn, picky.stays()), (Turn::Called, Turn::Watches));
    let (second, turn) = rig.join(0, 2, Class::First, Scope::All);
    assert_eq!((turn, second.stays()), (Turn::Called, Turn::Waits));
    let (_third, turn) = rig.join(0, 3, Class::First, Scope::All);
    assert_eq!(turn, Turn::Waits, "the second one would have taken it");
}

#[test]
fn one_that_finds_nothing_looks_again_if_something_was_freed_meanwhile() {
    let mut rig = Rig::new(0);
    let (ticket, turn) = rig.join(0, 1, Class::First, Scope::All);
    assert_eq!(turn, Turn::Called);
    rig.frees(1);
    assert_eq!(rig.called(), NONE, "it looks already");
    assert_eq!([ticket.stays(), ticket.stays()], [Turn::Called, Turn::Watches]);
}

#[test]
fn while_a_backend_is_out_the_first_in_line_watches_whoever_leaves() {
    let rig = Rig::new(0);
    let (first, turn) = rig.join(0, 1, Class::First, Scope::All);
    assert_eq!((turn, first.stays()), (Turn::Called, Turn::Watches));
    let [second, third, fourth] = [1, 0, 1].map(|worker| rig.waits(worker, 2 + worker as u64));
    assert_eq!(rig.called(), NONE);
    drop(first);
    assert_eq!((rig.called(), rig.woken()), ([vec![], vec![3]], [0, 1]));
    assert_eq!(second.stays(), Turn::Watches);
    second.goes(|| 0, || true);
    assert_eq!(rig.called(), [vec![2], vec![]], "it has no place, but looks when there is one");
    assert_eq!(third.stays(), Turn::Watches);
    third.goes(|| 0, || false);
    assert_eq!((rig.called(), fourth.turn()), (NONE, Turn::Waits), "no time frees anything");
}

#[test]
fn what_one_cannot_use_is_for_the_next_even_if_that_one_looks_already() {
    let rig = Rig::new(0);
    let first = rig.waits(0, 1);
    rig.queue.freed();
    let (picky, turn) = rig.join(0, 2, Class::Again, Scope::Some);
    assert_eq!(turn, Turn::Called);
    // Both have looked in vain when something is freed that the one in front can't use.
    rig.workers[1].freed(|| 1);
    assert_eq!(picky.stays(), Turn::Called, "it looks again, in vain");
    assert_ne!(picky.stays(), Turn::Called);
    assert_eq!(first.stays(), Turn::Called, "it was freed for this one");
    assert_ne!(first.stays(), Turn::Called);
}

#[test]
fn one_that_is_the_first_again_looks_for_how_long_a_backend_is_out() {
    let rig = Rig::new(0);
    let (first, turn) = rig.join(0, 1, Class::First, Scope::All);
    assert_eq!((turn, first.stays()), (Turn::Called, Turn::Watches));
    let (before, turn) = rig.join(0, 2, Class::Again, Scope::All);
    assert_eq!((turn, before.stays()), (Turn::Called, Turn::Watches));
    assert_eq!(rig.called(), NONE);
    // A backend goes out, and the one before it, which was told, goes to another.
    rig.workers[0].freed(|| 0);
    before.goes(|| 0, || true);
    assert_eq!(rig.called()[0], [2, 1], "it is the first now, and has no timer for that");
}

/// What a request does next. Each step is one that others can't see half of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
    /// Asks whether somebody waits.
    Comes,
    /// Asks for a place, not knowing of anybody who waits.
    Tries,
    Joins,
    /// Looks for a place because it was called.
    Looks,
    Goes,
    Stays,
    Waits,
    /// Has a place, and gives it back.
    Frees,
    /// Tells that.
    Tells,
    Over,
}

/// Requests, of which those with even numbers are the first worker's.
struct World {
    rig: Rig,
    steps: Vec<Step>,
    tickets: Vec<Option<Ticket>>,
    /// Whether another backend is out, whose return only the first in line would notice.
    is_out: bool,
    /// In the order of joining, and of going.
    joined: Vec<usize>,
    went: Vec<usize>,
}

impl World {
    /// So many requests come, and so many have all places.
    fn new(coming: usize, having: usize, is_out: bool) -> Self {
        let begin = [vec![Step::Comes; coming], vec![Step::Frees; having]].concat();
        let tickets = begin.iter().map(|_| None).collect();
        let (joined, went) = (Vec::new(), Vec::new());
        Self { rig: Rig::new(0), steps: begin, tickets, is_out, joined, went }
    }

    fn is_movable(&self, request: usize) -> bool {
        match self.steps[request] {
            Step::Over => false,
            Step::Waits => {
                self.tickets[request].as_ref().is_some_and(|it| it.turn() == Turn::Called)
            }
            _ => true,
        }
    }

    fn take(&mut self) -> bool {
        let has_place = self.rig.free > 0;
        self.rig.free -= usize::from(has_place);
        has_place
    }

    fn step(&mut self, request: usize) {
        let worker = request % 2;
        let ticket = &self.tickets[request];
        self.steps[request] = match (self.steps[request], ticket) {
            (Step::Comes, _) if self.rig.queue.is_empty() => Step::Tries,
            (Step::Comes, _) => Step::Joins,
            (Step::Tries, _) => {
                if self.take() {
                    Step::Frees
                } else {
                    Step::Joins
                }
            }
            (Step::Joins, _) => {
                let (ticket, turn) = self.rig.join(worker, 0, Class::First, Scope::All);
                self.tickets[request] = Some(ticket);
                self.joined.push(request);
                if turn == Turn::Called { Step::Looks } else { Step::Waits }
            }
            (Step::Waits, _) => Step::Looks,
            (Step::Looks, _) => {
                if self.take() {
                    Step::Goes
                } else {
                    Step::Stays
                }
            }
            (Step::Goes, Some(ticket)) => {
                ticket.goes(|| self.rig.free, || self.is_out);
                self.went.push(request);
                Step::Frees
            }
            (Step::Stays, Some(ticket)) => {
                if ticket.stays() == Turn::Called {
                    Step::Looks
                } else {
                    Step::Waits
                }
            }
            (Step::Frees, _) => {
                self.rig.free += 1;
                Step::Tells
            }
            (Step::Tells, _) => {
                self.rig.workers[worker].freed(|| self.rig.free);
                Step::Over
            }
            (step, _) => panic!("{step:?} of {request}"),
        };
    }

    /// The client of a request that waits leaves.
    fn leave(&mut self, request: usize) {
        self.tickets[request] = None;
        self.joined.retain(|it| *it != request);
        self.steps[request] = Step::Over;
    }

    /// Numbers beyond those of requests are of clients that leave.
    fn replay(coming: usize, having: usize, is_out: bool, path: &[usize]) -> Self {
        let mut world = Self::new(coming, having, is_out);
        for request in path {
            match request.checked_sub(coming + having) {
                Some(leaving) => world.leave(leaving),
                None => world.step(*request),
            }
        }
        world
    }

    /// All that decides about what may follow.
    fn state(&self) -> String {
        let content = self.rig.queue.lock();
        let entries: Vec<_> = content.entries.values().map(|entry| entry.turn).collect();
        let order: Vec<_> = self.joined.iter().filter(|it| !self.went.contains(it)).collect();
        let rest = (content.called, content.is_missed, self.rig.free);
        format!("{:?} {entries:?} {order:?} {rest:?}", self.steps)
    }
}

/// Goes through all orders of steps; in which of them somebody went before one that had joined
/// earlier.
fn explore(coming: usize, having: usize, is_out: bool) -> Vec<Vec<usize>> {
    let (mut seen, mut open, mut unfair) = (BTreeSet::new(), vec![Vec::new()], Vec::new());
    while let Some(path) = open.pop() {
        let world = World::replay(coming, having, is_out, &path);
        if !world.went.is_sorted_by_key(|it| world.joined.iter().position(|one| one == it)) {
            unfair.push(path.clone());
        }
        if !seen.insert(world.state()) {
            continue;
        }
        if is_out {
            let content = world.rig.queue.lock();
            assert!(content.called > 0 || !content.is_unwatched(), "{content:?} after {path:?}");
        }
        let all = coming + having;
        let movable = (0..all).filter(|request| world.is_movable(*request));
        let leaving = (0..all).filter(|request| world.steps[*request] == Step::Waits);
        let next = movable.chain(leaving.map(|request| request + all));
        let more: Vec<_> = next.map(|request| [&path[..], &[request]].concat()).collect();
        if more.is_empty() {
            let is_over = world.steps.iter().all(|step| *step == Step::Over);
            assert!(is_over && world.rig.free == having, "{:?} after {path:?}", world.steps);
            assert_eq!(world.rig.queue.len(), 0);
            let content = world.rig.queue.lock();
            assert!(content.called == 0 && !content.is_missed, "{content:?}");
        }
        open.extend(more);
    }
    assert!(seen.len() > 100, "{}", seen.len());
    unfair
}

#[test]
fn nobody_waits_for_ever_in_whatever_order_workers_take_their_steps() {
    for (coming, having) in [(2, 1), (3, 1), (2, 2), (3, 2)] {
        explore(coming, having, false);
    }
    for (coming, having) in [(2, 1), (3, 1), (2, 2)] {
        explore(coming, having, true);
    }
}

#[test]
fn where_places_come_one_by_one_nobody_overtakes() {
    for coming in [2, 3] {
        for is_out in [false, true] {
            assert_eq!(explore(coming, 1, is_out), [] as [Vec<usize>; 0]);
        }
    }
}
