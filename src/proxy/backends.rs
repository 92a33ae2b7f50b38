//! The backends of a running proxy and the settings of its workers: the one handle that changes
//! them.
//!
//! A backend is located before it is added, because asking for the addresses of a name takes a
//! while; later its addresses change when they are found to have moved. One that is removed gets no
//! new requests, and each worker closes its idle connections. It is gone when its last lease has
//! ended and all workers have taken a roster without it; then its slot is free. What is still in
//! flight when its drain limit is over is cut.

mod moved;
mod now;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Instant, SystemTime};

pub use now::{BackendNow, Unresolved};

use super::configured::Configured;
use super::decisions::Explained;
use super::listeners::ListenerTable;
use super::locate::Located;
use super::lookups::Lookups;
use super::mailbox::{Command, Mailboxes};
use super::metrics::{Gone, Metrics};
use super::queue::Queue;
use super::resolver::Resolver;
use super::settings::{Backend, Settings};
use crate::balance::{BackendId, Balancer, InvalidOptions, Membership, RegistryFull, Verdict};
use crate::endpoint::Endpoint;
use crate::reactor::Waker;

/// A change that can't be made. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The balancer refuses its options.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// There are too many backends.
    #[error(transparent)]
    Full(#[from] RegistryFull),
}

/// How the backends change.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Those that get requests from now on.
    pub added: Vec<Located>,
    /// Those that get none any more.
    pub removed: Vec<Backend>,
    /// Those that stay, as they were configured and as they are.
    pub adjusted: Vec<(Backend, Backend)>,
    /// Of several that are configured in the same way, the one that is removed or adjusted.
    pub meant: Option<BackendId>,
}

/// See the module's description.
#[derive(Debug)]
pub struct Backends {
    pub(super) membership: Membership,
    pub(super) resolver: Arc<Resolver>,
    pub(super) mailboxes: Arc<Mailboxes>,
    pub(super) metrics: Arc<Metrics>,
    /// What the workers listen on.
    pub(super) listeners: ListenerTable,
    pub(super) queue: Arc<Queue>,
    /// Those that hold for what is done next.
    pub(super) settings: Arc<Settings>,
    configured: Vec<Configured>,
    pub(super) lookups: Lookups,
    draining: Vec<Draining>,
    /// Tells the one who collects those that are gone that there may be some.
    removals: Option<Sender<()>>,
    /// Wakes the thread of the active checks, if there is one.
    pub(super) checks: Option<Waker>,
    /// Whether the proxy was asked to stop.
    pub(super) is_stopping: bool,
}

/// A backend that was removed and is not gone yet.
#[derive(Debug)]
struct Draining {
    id: BackendId,
    backend: Backend,
    /// When what it has in flight is cut.
    until: Instant,
}

impl Backends {
    /// The backends of workers that do not run yet, and that are woken by these.
    pub(super) fn new(
        settings: &Settings,
        located: Vec<Located>,
        wakers: Vec<Waker>,
        now: Instant,
    ) -> Result<Self, ChangeError> {
        let membership = Membership::new(settings.balancing(), now)?;
        let workers = wakers.len();
        let mailboxes = Arc::new(Mailboxes::new(wakers));
        let mut backends = Self {
            queue: Arc::new(Queue::new(workers, Arc::clone(&mailboxes) as Arc<_>)),
            metrics: Arc::new(Metrics::new(workers, membership.registry())),
            membership,
            resolver: Arc::new(Resolver::new()),
            mailboxes,
            listeners: ListenerTable::default(),
            settings: Arc::new(settings.clone()),
            configured: Vec::new(),
            lookups: Lookups::default(),
            draining: Vec::new(),
            removals: None,
            checks: None,
            is_stopping: false,
        };
        let added: Vec<_> = located.into_iter().map(|it| Configured::new(it, now)).collect();
        backends.reserve(&added)?;
        backends.add(added, now)?;
        backends.lookups.follow(&backends.names(), SystemTime::now());
        Ok(backends)
    }

    /// Where the backend is that is configured so, `meant` being preferred.
    fn place_of(&self, backend: &Backend, meant: Option<BackendId>) -> Option<usize> {
        let so =
            || (0..self.configured.len()).filter(|at| self.configured[*at].backend == *backend);
        let is_meant = |at: &usize| self.configured[*at].ids().any(|id| Some(id) == meant);
        so().find(is_meant).or_else(|| so().next())
    }

    /// The balancer of one more worker.
    pub(super) fn balancer(&mut self) -> Balancer {
        self.membership.balancer()
    }

    /// Has all workers run by these settings, with these changes of the backends.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn change(
        &mut self,
        settings: &Arc<Settings>,
        change: Change,
        now: Instant,
    ) -> Result<(), ChangeError> {
        let Change { added, removed, adjusted, meant } = change;
        let added: Vec<_> = added.into_iter().map(|it| Configured::new(it, now)).collect();
        // Those that are gone by now have slots to give.
        self.collect(now);
        self.reserve(&added)?;
        self.membership.set_options(settings.balancing())?;
        self.add(added, now)?;
        for (from, to) in adjusted {
            if let Some(place) = self.place_of(&from, meant) {
                let configured = &mut self.configured[place];
                for id in configured.adjust(to) {
                    self.membership.set_role(id, configured.backend.role);
                    if from.role.admission != configured.backend.role.admission {
                        self.membership.admit(id, now);
                    }
                }
            }
        }
        self.settings = Arc::clone(settings);
        for backend in removed {
            if let Some(place) = self.place_of(&backend, meant) {
                let configured = self.configured.remove(place);
                self.drain(configured.members, now);
            }
        }
        self.lookups.follow(&self.names(), SystemTime::now());
        self.mailboxes.send_all(|| Command::Settings(Arc::clone(settings)));
        self.send_roster();
        self.resolver.wake_helper();
        Ok(())
    }

    fn reserve(&self, added: &[Configured]) -> Result<(), RegistryFull> {
        self.membership.reserve(added.iter().map(|it| it.wanted().len()).sum())
    }

    fn add(&mut self, added: Vec<Configured>, now: Instant) -> Result<(), RegistryFull> {
        for mut configured in added {
            for (backend, addresses) in configured.wanted() {
                let id = self.join(&backend, addresses, now)?;
                configured.members.push((id, backend));
            }
            self.configured.push(configured);
        }
        Ok(())
    }

    fn join(
        &mut self,
        backend: &Backend,
        addresses: Vec<Endpoint>,
        now: Instant,
    ) -> Result<BackendId, RegistryFull> {
        let id = self.membership.add_as(&backend.url, backend.role, now)?;
        self.resolver.add(id, addresses);
        Ok(id)
    }

    fn drain(&mut self, members: Vec<(BackendId, Backend)>, now: Instant) {
        let until = now + self.settings.timeouts.backend_drain;
        for (id, backend) in members {
            self.membership.drain(id);
            self.draining.push(Draining { id, backend, until });
        }
        if let Some(removals) = &self.removals {
            // The collector ends after this.
            let _ = removals.send(());
        }
    }

    fn send_roster(&mut self) {
        let roster = self.membership.roster();
        self.mailboxes.send_all(|| Command::Roster(Arc::clone(&roster)));
    }

    /// Has this one told when backends were removed, so that they are collected.
    pub fn tell_removals(&mut self, to: Sender<()>) {
        self.removals = Some(to);
    }

    /// Backends that were removed and are not gone yet, as far as [`Backends::collect`] has looked.
    #[must_use]
    pub fn draining(&self) -> usize {
        self.draining.len()
    }

    /// Frees the slots of backends that are gone, and cuts what is in flight at those that should
    /// be; tells how many are draining still.
    pub fn collect(&mut self, now: Instant) -> usize {
        let gone = self.membership.collect();
        if !gone.is_empty() {
            let left = self.draining.extract_if(.., |draining| gone.contains(&draining.id));
            let left: Vec<Draining> = left.collect();
            let with_heir = |left: &Draining| Gone { id: left.id, heir: self.heir(&left.backend) };
            self.metrics.retire(&left.iter().map(with_heir).collect::<Vec<_>>());
        }
        let due = self.draining.iter().filter(|draining| draining.until <= now);
        let due: Vec<BackendId> = due.map(|draining| draining.id).collect();
        if !due.is_empty() {
            self.mailboxes.send_all(|| Command::Cut(due.clone()));
        }
        self.draining.len()
    }

    /// A backend with the name of one that is gone.
    fn heir(&self, gone: &Backend) -> Option<BackendId> {
        let mut named = self.named();
        named.find(|(_, backend)| backend.url == gone.url).map(|(id, _)| id)
    }

    /// All backends, those included that were removed and are not gone yet.
    fn named(&self) -> impl Iterator<Item = (BackendId, &Backend)> {
        let members = self.configured.iter().flat_map(|configured| &configured.members);
        let active = members.map(|(id, backend)| (*id, backend));
        active.chain(self.draining.iter().map(|draining| (draining.id, &draining.backend)))
    }

    /// Has the proxy accept no client any more after its shutdown delay, and end when what is in
    /// flight has ended.
    pub fn stop(&mut self) {
        self.is_stopping = true;
        self.mailboxes.send_all(|| Command::Drain);
        self.wake_checks();
    }

    /// Whether the proxy was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// Has the thread of the active checks, if there is one, look what has changed.
    pub fn wake_checks(&self) {
        if let Some(waker) = &self.checks {
            // An eventfd that refuses its one write leaves it to the next event.
            let _ = waker.wake();
        }
    }

    /// The backends that are not being removed.
    pub fn active(&self) -> impl Iterator<Item = &(BackendId, Backend)> {
        self.configured.iter().flat_map(|configured| &configured.members)
    }

    /// What stands for the configured backends of this URL.
    #[must_use]
    pub fn members_of(&self, url: &str) -> Vec<(BackendId, Backend)> {
        let configured = self.configured.iter().filter(|it| it.backend.url == url);
        configured.flat_map(|it| it.members.clone()).collect()
    }

    /// Has each worker tell so many of its last choices; how many workers there are.
    #[must_use]
    pub fn explain(&self, count: usize) -> (usize, Receiver<Vec<Explained>>) {
        let (asker, told) = channel();
        self.mailboxes.send_all(|| Command::Explain(count, asker.clone()));
        (self.mailboxes.len(), told)
    }

    /// Nothing is checked any more, so no backend stays down because of what a check found once.
    pub(super) fn end_checks(&mut self, now: Instant) {
        self.checks = None;
        for (id, _) in self.configured.iter().flat_map(|configured| &configured.members) {
            self.membership.checked(*id, Verdict::Passes, now);
        }
        self.queue.freed();
    }

    /// What the workers count.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }
}

impl Drop for Backends {
    /// The threads of the active checks and of the names find that they are gone, and end.
    fn drop(&mut self) {
        self.wake_checks();
        self.resolver.wake_helper();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Choice, Lease, Policy, Role, Tried};
    use crate::proxy::worker::tests::settings;
    use crate::reactor::Poller;
    use std::net::SocketAddr;
    use std::time::Duration;

    /// Backends, and their workers as far as they can be told from others.
    struct Rig {
        backends: Backends,
        settings: Arc<Settings>,
        balancers: Vec<Balancer>,
        _pollers: Vec<Poller>,
        now: Instant,
    }

    fn located(port: u16) -> Located {
        let endpoint = Endpoint::from(SocketAddr::from(([127, 0, 0, 1], port)));
        Located { backend: Backend::tcp("127.0.0.1", port), addresses: Ok(vec![endpoint]) }
    }

    impl Rig {
        /// Two workers and backends at these ports.
        fn new(ports: &[u16]) -> Self {
            let pollers: Vec<_> = (0..2).map(|_| Poller::new(1).expect("a poller")).collect();
            let wakers = pollers.iter().map(Poller::waker).collect();
            let settings = Arc::new(settings());
            let located = ports.iter().copied().map(located).collect();
            let now = pollers[0].now();
            let mut backends = Backends::new(&settings, located, wakers, now).expect("valid");
            let balancers = (0..2).map(|_| backends.balancer()).collect();
            Self { backends, settings, balancers, _pollers: pollers, now }
        }

        fn change(&mut self, added: &[u16], removed: &[u16]) -> Result<(), ChangeError> {
            let added = added.iter().copied().map(located).collect();
            let removed = removed.iter().map(|port| located(*port).backend).collect();
            let change = Change { added, removed, ..Change::default() };
            self.backends.change(&self.settings, change, self.now)
        }

        /// A worker does what it was told; which backends are to be cut.
        fn obey(&mut self, worker: usize) -> Vec<BackendId> {
            let mut cut = Vec::new();
            for command in self.backends.mailboxes.take(worker) {
                match command {
                    Command::Roster(roster) => self.balancers[worker].set_roster(roster),
                    Command::Cut(backends) => cut = backends,
                    _ => {}
                }
            }
            cut
        }

        fn lease(&mut self, worker: usize) -> Lease {
            let choice = self.balancers[worker].acquire(&Tried::default(), self.now);
            choice.lease().expect("a backend")
        }

        fn draining(&mut self) -> usize {
            self.backends.collect(self.now)
        }
    }

    #[test]
    fn a_backend_is_gone_when_all_workers_know_and_its_last_lease_has_ended() {
        let mut rig = Rig::new(&[1]);
        let lease = rig.lease(1);
        rig.change(&[2], &[1]).expect("a change");
        assert_eq!(rig.draining(), 1);
        rig.obey(0);
        rig.obey(1);
        assert_eq!(rig.draining(), 1, "it has a request");
        let other = rig.lease(1);
        assert_ne!(other.backend(), lease.backend());
        rig.balancers[1].release(lease);
        assert_eq!(rig.draining(), 0);
        rig.balancers[1].release(other);
        rig.change(&[], &[2]).expect("a change");
        rig.obey(0);
        assert_eq!(rig.draining(), 1, "a worker does not know yet");
        rig.balancers.pop();
        assert_eq!(rig.draining(), 0, "one that has ended need not know");
    }

    #[test]
    fn what_outlasts_the_limit_that_held_at_the_removal_is_cut() {
        let mut rig = Rig::new(&[1, 2]);
        let limit = rig.settings.timeouts.backend_drain;
        let (lease, other) = (rig.lease(0), rig.lease(0));
        let id = lease.backend();
        rig.change(&[], &[1, 2]).expect("a change");
        Arc::make_mut(&mut rig.settings).timeouts.backend_drain = Duration::ZERO;
        rig.change(&[], &[]).expect("a change");
        rig.now += limit.saturating_sub(Duration::from_nanos(1));
        assert_eq!(rig.draining(), 2);
        assert_eq!(rig.obey(0), []);
        rig.now += Duration::from_nanos(1);
        assert_eq!(rig.draining(), 2);
        assert_eq!(rig.obey(1).len(), 2, "each worker is told");
        assert!(rig.obey(0).contains(&id));
        rig.balancers[0].release(lease);
        rig.balancers[0].release(other);
        assert_eq!(rig.draining(), 0);
        assert_eq!(rig.obey(0), []);
    }

    #[test]
    fn one_that_is_adjusted_stays_the_same_backend() {
        let mut rig = Rig::new(&[1]);
        let lease = rig.lease(0);
        let from = located(1).backend;
        let role = Role { max_in_flight: Some(1), ..Role::default() };
        let to = Backend { role, ..from.clone() };
        let change = Change { adjusted: vec![(from, to)], ..Change::default() };
        rig.backends.change(&rig.settings, change, rig.now).expect("a change");
        rig.obey(0);
        let choice = rig.balancers[0].acquire(&Tried::default(), rig.now);
        assert!(matches!(choice, Choice::Wait), "{choice:?}");
        rig.balancers[0].release(lease);
        let lease = rig.lease(0);
        rig.balancers[0].release(lease);
        assert_eq!((rig.draining(), rig.backends.active().count()), (0, 1));
    }

    #[test]
    fn a_change_that_can_t_be_made_changes_nothing() {
        let mut rig = Rig::new(&[1]);
        let many: Vec<u16> = (1..=1024).collect();
        let refused = rig.change(&many, &[1]).expect_err("too many");
        assert!(matches!(refused, ChangeError::Full(_)), "{refused}");
        assert!(refused.to_string().starts_with("1 upstreams, "));
        Arc::make_mut(&mut rig.settings).policy = Policy::AdaptiveSma { window: 0 };
        assert!(matches!(rig.change(&[2], &[1]), Err(ChangeError::Options(_))));
        assert!(rig.backends.mailboxes.take(0).is_empty(), "nobody was told");
        let lease = rig.lease(0);
        rig.balancers[0].release(lease);
        assert_eq!((rig.draining(), rig.backends.active().count()), (0, 1));
    }

    #[test]
    fn one_of_two_backends_of_the_same_name_can_be_removed() {
        let mut rig = Rig::new(&[1, 1]);
        rig.change(&[], &[1]).expect("a change");
        rig.obey(0);
        rig.obey(1);
        let lease = rig.lease(0);
        assert_eq!((rig.draining(), rig.backends.active().count()), (0, 1));
        rig.balancers[0].release(lease);
    }
}
