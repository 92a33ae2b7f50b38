//! Spreads clients evenly over the workers.
//!
//! The kernel chooses a listener by a hash of the addresses. That is even for thousands of clients,
//! but a hundred fall 60 to 40 now and then, and of four, all may fall to one worker while another
//! sleeps. So a worker that has more clients than its share hands the one it accepted to the
//! worker that has fewest. That costs nothing per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use super::mailbox::{Command, Mailboxes, Newcomer};

/// A worker may have an eighth more clients than the one that has fewest: moving one costs a wake,
/// which with short connections is more than an even load is worth.
const TOLERATED_SHARE: usize = 8;

/// More clients than any worker has, and far enough from overflow to count some more.
const NEVER_FEWEST: usize = usize::MAX / 2;

/// What the workers know of each other's clients.
#[derive(Debug)]
pub(super) struct AcceptBalancer {
    /// The clients of each worker, or on their way to it. A worker writes its own with each client
    /// that comes and goes.
    loads: Box<[CachePadded<AtomicUsize>]>,
    mailboxes: Arc<Mailboxes>,
}

impl AcceptBalancer {
    /// For the workers that have these mailboxes.
    pub(super) fn new(mailboxes: Arc<Mailboxes>) -> Self {
        let loads = (0..mailboxes.len()).map(|_| CachePadded::default()).collect();
        Self { loads, mailboxes }
    }

    /// Whether a worker has fewer clients than each may have.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        self.fewest().1 < limit
    }

    /// Whether this worker has more clients than each may have.
    pub(super) fn is_over(&self, worker: usize, limit: usize) -> bool {
        self.clients(worker) > limit
    }

    /// Counts a client in that `worker` accepted, or sends it to one that has fewer; what comes
    /// back is for `worker` itself.
    pub(super) fn assign(
        &self,
        worker: usize,
        newcomer: Newcomer,
        limit: usize,
    ) -> Option<Newcomer> {
        let to = self.choose(worker, limit);
        self.loads[to].fetch_add(1, Ordering::Relaxed);
        if to == worker {
            return Some(newcomer);
        }
        match self.mailboxes.send(to, Command::Client(newcomer)) {
            Err(Command::Client(newcomer)) => {
                self.closed(to);
                self.loads[worker].fetch_add(1, Ordering::Relaxed);
                Some(newcomer)
            }
            _ => None,
        }
    }

    /// A client of `worker` is no more.
    pub(super) fn closed(&self, worker: usize) {
        self.loads[worker].fetch_sub(1, Ordering::Relaxed);
    }

    /// `worker` has ended: it gets no more clients.
    pub(super) fn retire(&self, worker: usize) {
        self.mailboxes.close(worker);
        self.loads[worker].store(NEVER_FEWEST, Ordering::Relaxed);
    }

    /// The worker itself, unless it has more than its share, or all it may have.
    fn choose(&self, worker: usize, limit: usize) -> usize {
        let (fewest, least) = self.fewest();
        let own = self.clients(worker);
        let is_full = own >= limit && least < limit;
        if is_full || own > least + least / TOLERATED_SHARE { fewest } else { worker }
    }

    /// The worker with fewest clients, and how many.
    fn fewest(&self) -> (usize, usize) {
        let counts = (0..self.loads.len()).map(|worker| (worker, self.clients(worker)));
        counts.min_by_key(|(_, clients)| *clients).unwrap_or((0, usize::MAX))
    }

    fn clients(&self, worker: usize) -> usize {
        self.loads[worker].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mailbox::tests::{mailboxes, newcomer};
    use super::*;

    const MANY: usize = 1000;

    fn balancer(workers: usize) -> AcceptBalancer {
        AcceptBalancer::new(Arc::new(mailboxes(workers)))
    }

    fn counts(balancer: &AcceptBalancer) -> Vec<usize> {
        (0..balancer.loads.len()).map(|worker| balancer.clients(worker)).collect()
    }

    #[test]
    fn few_clients_that_all_come_to_one_worker_are_shared_out() {
        let balancer = balancer(3);
        let kept = (0..9).filter(|_| balancer.assign(1, newcomer(), MANY).is_some()).count();
        assert_eq!((counts(&balancer), kept), (vec![3, 3, 3], 3));
        assert_eq!([0, 1, 2].map(|worker| balancer.mailboxes.take(worker).len()), [3, 0, 3]);
        assert!(balancer.mailboxes.take(0).is_empty());
    }

    #[test]
    fn many_are_kept_where_they_come_as_long_as_nobody_has_an_eighth_more() {
        let balancer = balancer(2);
        for _ in 0..100 {
            drop(balancer.assign(0, newcomer(), MANY));
        }
        assert_eq!(counts(&balancer), [53, 47]);
        for _ in 0..20 {
            balancer.closed(1);
        }
        assert!(balancer.assign(1, newcomer(), MANY).is_some());
        assert!(balancer.assign(0, newcomer(), MANY).is_none());
        assert_eq!(counts(&balancer), [53, 29]);
    }

    #[test]
    fn who_is_full_leaves_the_next_to_whoever_is_not() {
        let balancer = balancer(2);
        for _ in 0..18 {
            assert!(balancer.has_room(9));
            drop(balancer.assign(0, newcomer(), 9));
        }
        assert_eq!((counts(&balancer), balancer.has_room(9)), (vec![9, 9], false));
        assert!(balancer.has_room(10), "a limit that is raised counts at once");
        // One less is within an eighth, and still the only place there is.
        balancer.closed(1);
        assert!(balancer.has_room(9));
        assert!(balancer.assign(0, newcomer(), 9).is_none());
        assert_eq!(counts(&balancer), [9, 9]);
    }

    #[test]
    fn a_worker_that_failed_is_left_nobody_and_has_no_room() {
        let balancer = balancer(2);
        balancer.retire(1);
        assert!(balancer.assign(0, newcomer(), 2).is_some());
        assert!(balancer.assign(0, newcomer(), 2).is_some());
        assert!(!balancer.has_room(2));
    }

    #[test]
    fn who_takes_no_more_is_left_nobody() {
        let balancer = balancer(2);
        drop(balancer.assign(0, newcomer(), MANY));
        assert!(balancer.assign(0, newcomer(), MANY).is_none());
        assert_eq!(balancer.mailboxes.refuse_clients(1).len(), 1);
        balancer.closed(1);
        assert!(balancer.assign(0, newcomer(), MANY).is_some());
        assert_eq!(counts(&balancer), [2, 0]);
    }
}
