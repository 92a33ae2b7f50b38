//! Clients spread evenly over the workers.
//!
//! The kernel chooses a listener by a hash of the addresses. That is even for thousands of clients,
//! but a hundred fall 60 to 40 now and then, and of four, all may fall to one worker while another
//! sleeps. So a worker that has more clients than its share leaves the one it accepted to the
//! worker that has fewest. No request comes near any of this.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mio::net::TcpStream;

use crate::reactor::Caller;

/// An accepted client that no worker watches yet.
pub(super) type Newcomer = (TcpStream, SocketAddr);

/// A worker may have an eighth more clients than the one that has fewest: moving one costs a wake,
/// which with short connections is more than an even spread is worth.
const TOLERATED_SHARE: usize = 8;

/// More clients than any worker has, and room to count some more.
const NEVER_FEWEST: usize = usize::MAX / 2;

/// What the workers know of each other's clients.
#[derive(Debug)]
pub(super) struct Spread {
    seats: Vec<Seat>,
    /// Clients that a worker may have.
    limit: usize,
}

// Alone on its cache lines, for its worker writes it with each client that comes and goes.
#[derive(Debug)]
#[repr(align(128))]
struct Seat {
    /// Clients here or on their way here.
    clients: AtomicUsize,
    /// Left here by other workers; none once the worker takes no more.
    left: Mutex<Option<Vec<Newcomer>>>,
    /// Whether another worker wants a place or a descriptor and can't give one of its own.
    asked: AtomicBool,
    caller: Caller,
}

impl Spread {
    /// For workers that are woken by these and may have `limit` clients each.
    pub(super) fn new(callers: impl IntoIterator<Item = Caller>, limit: usize) -> Self {
        let seat = |caller| Seat {
            clients: AtomicUsize::new(0),
            left: Mutex::new(Some(Vec::new())),
            asked: AtomicBool::new(false),
            caller,
        };
        Self { seats: callers.into_iter().map(seat).collect(), limit }
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
        for (_, seat) in self.seats.iter().enumerate().filter(|(other, _)| *other != worker) {
            seat.asked.store(true, Ordering::Relaxed);
            // An eventfd that refuses its one write leaves it to the next wake-up.
            let _ = seat.caller.call();
        }
    }

    /// Whether another worker has asked since this was called last.
    pub(super) fn is_asked_for_room(&self, worker: usize) -> bool {
        let asked = &self.seats[worker].asked;
        asked.load(Ordering::Relaxed) && asked.swap(false, Ordering::Relaxed)
    }

    /// Counts a client in that `worker` accepted, or leaves it to one that has fewer; what comes
    /// back is for `worker` itself.
    pub(super) fn place(&self, worker: usize, newcomer: Newcomer) -> Option<Newcomer> {
        let to = self.choose(worker);
        self.seats[to].clients.fetch_add(1, Ordering::Relaxed);
        if to == worker {
            return Some(newcomer);
        }
        if let Some(left) = self.left(to).as_mut() {
            left.push(newcomer);
            // An eventfd that refuses its one write leaves the client to the next wake-up.
            let _ = self.seats[to].caller.call();
            return None;
        }
        self.gone(to);
        self.seats[worker].clients.fetch_add(1, Ordering::Relaxed);
        Some(newcomer)
    }

    /// A client of `worker` is no more.
    pub(super) fn gone(&self, worker: usize) {
        self.seats[worker].clients.fetch_sub(1, Ordering::Relaxed);
    }

    /// Those that others left to `worker`; they are counted already.
    pub(super) fn take(&self, worker: usize) -> Vec<Newcomer> {
        self.left(worker).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// As [`Spread::take`], and nobody can leave any more.
    pub(super) fn close(&self, worker: usize) -> Vec<Newcomer> {
        self.left(worker).take().unwrap_or_default()
    }

    /// `worker` is no more: it takes nobody, and nobody counts on it.
    pub(super) fn bury(&self, worker: usize) {
        drop(self.close(worker));
        self.seats[worker].clients.store(NEVER_FEWEST, Ordering::Relaxed);
    }

    fn left(&self, worker: usize) -> std::sync::MutexGuard<'_, Option<Vec<Newcomer>>> {
        self.seats[worker].left.lock().unwrap_or_else(PoisonError::into_inner)
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
        let counts = (0..self.seats.len()).map(|worker| (worker, self.clients(worker)));
        counts.min_by_key(|(_, clients)| *clients).unwrap_or((0, usize::MAX))
    }

    fn clients(&self, worker: usize) -> usize {
        self.seats[worker].clients.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Poller;
    use std::net::TcpListener;

    fn spread(workers: usize) -> Spread {
        limited(workers, 1000)
    }

    fn limited(workers: usize, limit: usize) -> Spread {
        Spread::new((0..workers).map(|_| Poller::new(1).expect("a poller").waker()), limit)
    }

    fn newcomer() -> Newcomer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let socket = std::net::TcpStream::connect(address).expect("a connection");
        (TcpStream::from_std(socket), address)
    }

    fn counts(spread: &Spread) -> Vec<usize> {
        spread.seats.iter().map(|seat| seat.clients.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn few_clients_that_all_come_to_one_worker_are_shared_out() {
        let spread = spread(3);
        let kept = (0..9).filter(|_| spread.place(1, newcomer()).is_some()).count();
        assert_eq!((counts(&spread), kept), (vec![3, 3, 3], 3));
        assert_eq!([0, 1, 2].map(|worker| spread.take(worker).len()), [3, 0, 3]);
        assert!(spread.take(0).is_empty());
    }

    #[test]
    fn many_are_kept_where_they_come_as_long_as_nobody_has_an_eighth_more() {
        let spread = spread(2);
        for _ in 0..100 {
            drop(spread.place(0, newcomer()));
        }
        assert_eq!(counts(&spread), [53, 47]);
        for _ in 0..20 {
            spread.gone(1);
        }
        assert!(spread.place(1, newcomer()).is_some());
        assert!(spread.place(0, newcomer()).is_none());
        assert_eq!(counts(&spread), [53, 29]);
    }

    #[test]
    fn who_is_full_leaves_the_next_to_whoever_is_not() {
        let spread = limited(2, 9);
        for _ in 0..18 {
            assert!(spread.has_room());
            drop(spread.place(0, newcomer()));
        }
        assert_eq!((counts(&spread), spread.has_room()), (vec![9, 9], false));
        // One less is within an eighth, and still the only place there is.
        spread.gone(1);
        assert!(spread.has_room());
        assert!(spread.place(0, newcomer()).is_none());
        assert_eq!(counts(&spread), [9, 9]);
    }

    #[test]
    fn a_worker_that_failed_is_left_nobody_and_has_no_room() {
        let spread = limited(2, 2);
        spread.bury(1);
        assert!(spread.place(0, newcomer()).is_some());
        assert!(spread.place(0, newcomer()).is_some());
        assert!(!spread.has_room());
    }

    #[test]
    fn all_others_are_asked_for_room_and_hear_it_once() {
        let spread = spread(3);
        spread.ask_for_room(1);
        spread.ask_for_room(1);
        assert_eq!([0, 1, 2].map(|worker| spread.is_asked_for_room(worker)), [true, false, true]);
        assert_eq!([0, 1, 2].map(|worker| spread.is_asked_for_room(worker)), [false; 3]);
    }

    #[test]
    fn who_takes_no_more_is_left_nobody() {
        let spread = spread(2);
        drop(spread.place(0, newcomer()));
        assert!(spread.place(0, newcomer()).is_none());
        assert_eq!(spread.close(1).len(), 1);
        spread.gone(1);
        assert!(spread.place(0, newcomer()).is_some());
        assert_eq!(counts(&spread), [2, 0]);
    }
}
