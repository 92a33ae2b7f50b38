//! Spreads clients evenly over the workers.
//!
//! The kernel chooses a listener by a hash of the addresses. That is even for thousands of clients,
//! but a hundred fall 60 to 40 now and then, and of four, all may fall to one worker while another
//! sleeps. So a worker that has more clients than its share hands the one it accepted to the
//! worker that has fewest. No request comes near any of this.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mio::net::TcpStream;

use crate::reactor::Waker;

/// An accepted client that no worker watches yet.
pub(super) type Newcomer = (TcpStream, SocketAddr);

/// A worker may have an eighth more clients than the one that has fewest: moving one costs a wake,
/// which with short connections is more than an even load is worth.
const TOLERATED_SHARE: usize = 8;

/// More clients than any worker has, and room to count some more.
const NEVER_FEWEST: usize = usize::MAX / 2;

/// What the workers know of each other's clients.
#[derive(Debug)]
pub(super) struct AcceptBalancer {
    loads: Vec<WorkerLoad>,
    /// Clients that a worker may have.
    limit: usize,
}

// Alone on its cache lines, for its worker writes it with each client that comes and goes.
#[derive(Debug)]
#[repr(align(128))]
struct WorkerLoad {
    /// Clients here or on their way here.
    clients: AtomicUsize,
    /// Left here by other workers; none once the worker takes no more.
    inbox: Mutex<Option<Vec<Newcomer>>>,
    /// Whether another worker wants a place or a descriptor and can't give one of its own.
    asked: AtomicBool,
    waker: Waker,
}

impl AcceptBalancer {
    /// For workers that are woken by these and may have `limit` clients each.
    pub(super) fn new(wakers: impl IntoIterator<Item = Waker>, limit: usize) -> Self {
        let load = |waker| WorkerLoad {
            clients: AtomicUsize::new(0),
            inbox: Mutex::new(Some(Vec::new())),
            asked: AtomicBool::new(false),
            waker,
        };
        Self { loads: wakers.into_iter().map(load).collect(), limit }
    }

    /// Clients that a worker may have.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a worker has fewer clients than it may have.
    pub(super) fn has_room(&self) -> bool {
        self.fewest().1 < self.limit
    }

    /// Has each worker but `worker` close a client that is idle.
    pub(super) fn ask_for_room(&self, worker: usize) {
        for (_, load) in self.loads.iter().enumerate().filter(|(other, _)| *other != worker) {
            load.asked.store(true, Ordering::Relaxed);
            // An eventfd that refuses its one write leaves it to the next wake-up.
            let _ = load.waker.wake();
        }
    }

    /// Whether another worker has asked since this was called last.
    pub(super) fn is_asked_for_room(&self, worker: usize) -> bool {
        let asked = &self.loads[worker].asked;
        asked.load(Ordering::Relaxed) && asked.swap(false, Ordering::Relaxed)
    }

    /// Counts a client in that `worker` accepted, or leaves it to one that has fewer; what comes
    /// back is for `worker` itself.
    pub(super) fn assign(&self, worker: usize, newcomer: Newcomer) -> Option<Newcomer> {
        let to = self.choose(worker);
        self.loads[to].clients.fetch_add(1, Ordering::Relaxed);
        if to == worker {
            return Some(newcomer);
        }
        if let Some(left) = self.inbox(to).as_mut() {
            left.push(newcomer);
            // An eventfd that refuses its one write leaves the client to the next wake-up.
            let _ = self.loads[to].waker.wake();
            return None;
        }
        self.closed(to);
        self.loads[worker].clients.fetch_add(1, Ordering::Relaxed);
        Some(newcomer)
    }

    /// A client of `worker` is no more.
    pub(super) fn closed(&self, worker: usize) {
        self.loads[worker].clients.fetch_sub(1, Ordering::Relaxed);
    }

    /// Those that others left to `worker`; they are counted already.
    pub(super) fn take(&self, worker: usize) -> Vec<Newcomer> {
        self.inbox(worker).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// As [`AcceptBalancer::take`], and nobody can leave any more.
    pub(super) fn close(&self, worker: usize) -> Vec<Newcomer> {
        self.inbox(worker).take().unwrap_or_default()
    }

    /// `worker` is no more: it takes nobody, and nobody counts on it.
    pub(super) fn retire(&self, worker: usize) {
        drop(self.close(worker));
        self.loads[worker].clients.store(NEVER_FEWEST, Ordering::Relaxed);
    }

    fn inbox(&self, worker: usize) -> std::sync::MutexGuard<'_, Option<Vec<Newcomer>>> {
        self.loads[worker].inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker itself, unless it has more than its share, or all it may have.
    fn choose(&self, worker: usize) -> usize {
        let (fewest, least) = self.fewest();
        let own = self.clients(worker);
        let is_full = own >= self.limit && least < self.limit;
        if is_full || own > least + least / TOLERATED_SHARE { fewest } else { worker }
    }

    /// The worker with fewest clients, and how many.
    fn fewest(&self) -> (usize, usize) {
        let counts = (0..self.loads.len()).map(|worker| (worker, self.clients(worker)));
        counts.min_by_key(|(_, clients)| *clients).unwrap_or((0, usize::MAX))
    }

    fn clients(&self, worker: usize) -> usize {
        self.loads[worker].clients.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Poller;
    use std::net::TcpListener;

    fn balancer(workers: usize) -> AcceptBalancer {
        limited(workers, 1000)
    }

    fn limited(workers: usize, limit: usize) -> AcceptBalancer {
        AcceptBalancer::new((0..workers).map(|_| Poller::new(1).expect("a poller").waker()), limit)
    }

    fn newcomer() -> Newcomer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let socket = std::net::TcpStream::connect(address).expect("a connection");
        (TcpStream::from_std(socket), address)
    }

    fn counts(balancer: &AcceptBalancer) -> Vec<usize> {
        balancer.loads.iter().map(|load| load.clients.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn few_clients_that_all_come_to_one_worker_are_shared_out() {
        let balancer = balancer(3);
        let kept = (0..9).filter(|_| balancer.assign(1, newcomer()).is_some()).count();
        assert_eq!((counts(&balancer), kept), (vec![3, 3, 3], 3));
        assert_eq!([0, 1, 2].map(|worker| balancer.take(worker).len()), [3, 0, 3]);
        assert!(balancer.take(0).is_empty());
    }

    #[test]
    fn many_are_kept_where_they_come_as_long_as_nobody_has_an_eighth_more() {
        let balancer = balancer(2);
        for _ in 0..100 {
            drop(balancer.assign(0, newcomer()));
        }
        assert_eq!(counts(&balancer), [53, 47]);
        for _ in 0..20 {
            balancer.closed(1);
        }
        assert!(balancer.assign(1, newcomer()).is_some());
        assert!(balancer.assign(0, newcomer()).is_none());
        assert_eq!(counts(&balancer), [53, 29]);
    }

    #[test]
    fn who_is_full_leaves_the_next_to_whoever_is_not() {
        let balancer = limited(2, 9);
        for _ in 0..18 {
            assert!(balancer.has_room());
            drop(balancer.assign(0, newcomer()));
        }
        assert_eq!((counts(&balancer), balancer.has_room()), (vec![9, 9], false));
        // One less is within an eighth, and still the only place there is.
        balancer.closed(1);
        assert!(balancer.has_room());
        assert!(balancer.assign(0, newcomer()).is_none());
        assert_eq!(counts(&balancer), [9, 9]);
    }

    #[test]
    fn a_worker_that_failed_is_left_nobody_and_has_no_room() {
        let balancer = limited(2, 2);
        balancer.retire(1);
        assert!(balancer.assign(0, newcomer()).is_some());
        assert!(balancer.assign(0, newcomer()).is_some());
        assert!(!balancer.has_room());
    }

    #[test]
    fn all_others_are_asked_for_room_and_hear_it_once() {
        let balancer = balancer(3);
        balancer.ask_for_room(1);
        balancer.ask_for_room(1);
        assert_eq!([0, 1, 2].map(|worker| balancer.is_asked_for_room(worker)), [true, false, true]);
        assert_eq!([0, 1, 2].map(|worker| balancer.is_asked_for_room(worker)), [false; 3]);
    }

    #[test]
    fn who_takes_no_more_is_left_nobody() {
        let balancer = balancer(2);
        drop(balancer.assign(0, newcomer()));
        assert!(balancer.assign(0, newcomer()).is_none());
        assert_eq!(balancer.close(1).len(), 1);
        balancer.closed(1);
        assert!(balancer.assign(0, newcomer()).is_some());
        assert_eq!(counts(&balancer), [2, 0]);
    }
}
