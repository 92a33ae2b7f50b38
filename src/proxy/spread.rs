//! Clients spread evenly over the workers.
//!
//! The kernel chooses a listener by a hash of the addresses. That is even for thousands of clients,
//! but a hundred fall 60 to 40 now and then, and of four, all may fall to one worker while another
//! sleeps. So a worker that has more clients than its share leaves the one it accepted to the
//! worker that has fewest. No request comes near any of this.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mio::net::TcpStream;

use crate::reactor::Caller;

/// An accepted client that no worker watches yet.
pub(super) type Newcomer = (TcpStream, SocketAddr);

/// A worker may have an eighth more clients than the one that has fewest: moving one costs a wake,
/// which with short connections is more than an even spread is worth.
const TOLERATED_SHARE: usize = 8;

/// What the workers know of each other's clients.
#[derive(Debug)]
pub(super) struct Spread {
    seats: Vec<Seat>,
}

// Alone on its cache lines, for its worker writes it with each client that comes and goes.
#[derive(Debug)]
#[repr(align(128))]
struct Seat {
    /// Clients here or on their way here.
    clients: AtomicUsize,
    /// Left here by other workers; none once the worker takes no more.
    left: Mutex<Option<Vec<Newcomer>>>,
    caller: Caller,
}

impl Spread {
    /// For workers that are woken by these.
    pub(super) fn new(callers: impl IntoIterator<Item = Caller>) -> Self {
        let seat = |caller| Seat {
            clients: AtomicUsize::new(0),
            left: Mutex::new(Some(Vec::new())),
            caller,
        };
        Self { seats: callers.into_iter().map(seat).collect() }
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

    fn left(&self, worker: usize) -> std::sync::MutexGuard<'_, Option<Vec<Newcomer>>> {
        self.seats[worker].left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker itself, unless it has more than its share.
    fn choose(&self, worker: usize) -> usize {
        let count = |seat: &Seat| seat.clients.load(Ordering::Relaxed);
        let counts = self.seats.iter().map(count).enumerate();
        match counts.min_by_key(|(_, clients)| *clients) {
            Some((fewest, least))
                if count(&self.seats[worker]) > least + least / TOLERATED_SHARE =>
            {
                fewest
            }
            _ => worker,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Poller;
    use std::net::TcpListener;

    fn spread(workers: usize) -> Spread {
        Spread::new((0..workers).map(|_| Poller::new(1).expect("a poller").waker()))
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
