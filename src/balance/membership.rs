//! Which backends there are: added, drained, and gone once nothing refers to them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::{Duration, Instant};

use super::balancer::Balancer;
use super::check::Verdict;
use super::clock::{Nanos, nanos};
use super::id::{BackendId, MAX_BACKENDS};
use super::invalid::InvalidOptions;
use super::known::Known;
use super::options::Options;
#[cfg(test)]
use super::policy::Ranking;
use super::policy::Selector;
use super::registry::Registry;
use super::role::Role;
use super::roster::{Added, Roster};
use super::scores::{Score, scores};
use super::sync::AtomicU64;

/// There are not enough free slots.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
#[error(
    "{taken} upstreams, those included that are draining, and {more} more exceed the limit of \
     {slots}; remove some, or wait until they have drained"
)]
pub struct RegistryFull {
    taken: usize,
    more: usize,
    slots: usize,
}

/// The version of the roster that a worker holds, and with it of all that it can still refer to.
pub(super) type Acknowledged = Arc<AtomicU64>;

/// What a worker that ended refers to: nothing.
pub(super) const NO_ROSTER: u64 = u64::MAX;

/// The one owner of the registry, which alone changes it.
///
/// A backend is added as active, and is in all rosters from then on until it is drained. It is gone
/// when each worker holds a roster without it and its last lease has ended; [`Membership::collect`]
/// looks. Only then another backend may have its slot.
#[derive(Debug)]
pub struct Membership {
    registry: Arc<Registry>,
    /// The next occupant of each slot that is free; the slot that has been free longest comes
    /// first.
    free: VecDeque<BackendId>,
    active: Vec<Added>,
    draining: Vec<Draining>,
    workers: Vec<Acknowledged>,
    options: Options,
    selector: Arc<Selector>,
    /// Grows with each change of what is in a roster.
    version: u64,
    /// The roster that was made last, which may be of an earlier version.
    roster: Arc<Roster>,
}

#[derive(Debug)]
struct Draining {
    id: BackendId,
    /// From this version on rosters are without it.
    left: u64,
}

impl Membership {
    /// No backends yet, up to [`MAX_BACKENDS`] later.
    ///
    /// # Errors
    /// A parameter of the policy is out of its range.
    pub fn new(options: Options, now: Instant) -> Result<Self, InvalidOptions> {
        Self::with_slots(MAX_BACKENDS, options, now)
    }

    /// As [`Membership::new`], with so many slots and no more.
    ///
    /// # Errors
    /// A parameter of the policy is out of its range.
    pub fn with_slots(
        slots: usize,
        options: Options,
        now: Instant,
    ) -> Result<Self, InvalidOptions> {
        let selector = options.policy.selector(slots)?;
        let registry = Arc::new(Registry::new(slots, now));
        let roster = Arc::new(Roster::new(0, &[], slots, options, Arc::clone(&selector)));
        let free = (0..).map(BackendId::first).take(slots).collect();
        Ok(Self {
            registry,
            free,
            active: Vec::new(),
            draining: Vec::new(),
            workers: Vec::new(),
            options,
            selector,
            version: 0,
            roster,
        })
    }

    /// What is known of the backends.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// Makes sure that so many backends can join.
    ///
    /// # Errors
    /// When there are not enough free slots.
    pub fn reserve(&self, count: usize) -> Result<(), RegistryFull> {
        if count <= self.free.len() { Ok(()) } else { Err(self.full(count)) }
    }

    fn full(&self, more: usize) -> RegistryFull {
        let slots = self.registry.len();
        RegistryFull { taken: slots - self.free.len(), more, slots }
    }

    /// A backend joins that is like any other, and was there from the beginning.
    ///
    /// # Errors
    /// When there are as many as there can be.
    pub fn add(&mut self, name: &str) -> Result<BackendId, RegistryFull> {
        self.join(name, Role::default(), 0)
    }

    /// A backend joins now. It gets requests from those workers that hold a roster with it.
    ///
    /// # Errors
    /// When there are as many as there can be.
    pub fn add_as(
        &mut self,
        name: &str,
        role: Role,
        now: Instant,
    ) -> Result<BackendId, RegistryFull> {
        self.join(name, role, self.registry.nanos(now))
    }

    fn join(&mut self, name: &str, role: Role, now: Nanos) -> Result<BackendId, RegistryFull> {
        let id = self.free.pop_front().ok_or_else(|| self.full(1))?;
        self.selector.ranking.forget(id);
        self.registry.slot(id).occupy(id, now);
        self.active.push(Added { id, name: name.into(), role });
        self.version += 1;
        Ok(id)
    }

    /// A backend is configured in another way from the next roster on; whether it is active. What
    /// was learnt of it stays.
    pub fn set_role(&mut self, id: BackendId, role: Role) -> bool {
        let Some(added) = self.active.iter_mut().find(|added| added.id == id) else {
            return false;
        };
        if added.role != role {
            added.role = role;
            self.version += 1;
        }
        true
    }

    /// The active check of a backend has come to another verdict, which holds in all workers at
    /// once. It is no news of a backend that left.
    pub fn checked(&mut self, id: BackendId, verdict: Verdict, now: Instant) {
        if self.active.iter().any(|added| added.id == id) {
            self.registry.slot(id).standing.checked(verdict, self.registry.nanos(now));
        }
    }

    /// A backend gets no requests for so long, whatever becomes of it; whether it is active.
    pub fn eject(&mut self, id: BackendId, time: Duration, now: Instant) -> bool {
        let is_active = self.active.iter().any(|added| added.id == id);
        if is_active {
            let end = self.registry.nanos(now).saturating_add(nanos(time));
            self.registry.slot(id).standing.eject_until(end);
        }
        is_active
    }

    /// A backend was drained or is drained no more, or its ejection is over, because somebody says
    /// so; whether it is active. Its slow start begins anew. One that a check took down stays down.
    pub fn admit(&mut self, id: BackendId, now: Instant) -> bool {
        let is_active = self.active.iter().any(|added| added.id == id);
        if is_active {
            self.registry.slot(id).standing.admit(self.registry.nanos(now));
        }
        is_active
    }

    /// What the policy thinks of the backends of the roster that was made last.
    #[must_use]
    pub fn scores(&self, now: Instant) -> Vec<Score> {
        scores(&self.registry, &self.roster, self.registry.nanos(now))
    }

    /// What is known of a backend; `None` once it is gone.
    #[must_use]
    pub fn known(&self, id: BackendId, now: Instant) -> Option<Known> {
        let (ranking, rules) = (&*self.selector.ranking, self.options.rules());
        Known::of(id, &self.registry, ranking, rules, self.registry.nanos(now))
    }

    /// A backend is to leave: rosters are without it from now on, and what it has in flight may
    /// end. Whether it was active.
    pub fn drain(&mut self, id: BackendId) -> bool {
        let Some(place) = self.active.iter().position(|added| added.id == id) else {
            return false;
        };
        self.active.remove(place);
        self.registry.slot(id).drain(id);
        self.version += 1;
        // One that was in no roster yet is gone at once.
        let left = if self.roster.contains(id) { self.version } else { 0 };
        self.draining.push(Draining { id, left });
        true
    }

    /// Other options hold from the next roster on. What a policy has learnt is kept as long as that
    /// policy and its parameters stay.
    ///
    /// # Errors
    /// A parameter of the policy is out of its range.
    pub fn set_options(&mut self, options: Options) -> Result<(), InvalidOptions> {
        if options == self.options {
            return Ok(());
        }
        if options.policy != self.options.policy {
            self.selector = options.policy.selector(self.registry.len())?;
        }
        self.options = options;
        self.version += 1;
        Ok(())
    }

    /// Has another policy in place of that of the options.
    #[cfg(test)]
    pub(super) fn set_ranking<T: Ranking + 'static>(&mut self, ranking: impl Fn(usize) -> T) {
        let slots = self.registry.len();
        self.selector = Arc::new(Selector::new(ranking(slots), slots));
        self.version += 1;
    }

    /// The backends that are active, to be handed to each worker after a change.
    pub fn roster(&mut self) -> Arc<Roster> {
        if self.roster.version() != self.version {
            let selector = Arc::clone(&self.selector);
            let slots = self.registry.len();
            let roster = Roster::new(self.version, &self.active, slots, self.options, selector);
            self.roster = Arc::new(roster);
        }
        Arc::clone(&self.roster)
    }

    /// The balancer of one more worker.
    pub fn balancer(&mut self) -> Balancer {
        let roster = self.roster();
        let acknowledged = Arc::new(AtomicU64::new(roster.version()));
        self.workers.push(Arc::clone(&acknowledged));
        Balancer::new(Arc::clone(&self.registry), roster, acknowledged)
    }

    /// Frees the slots of those that are draining and that nothing refers to any more, and names
    /// them, so that what else is kept by id can go.
    pub fn collect(&mut self) -> Vec<BackendId> {
        // First the workers, then the leases: a worker that holds a later roster gives out none.
        self.workers.retain(|worker| worker.load(Acquire) != NO_ROSTER);
        let held = self.workers.iter().map(|worker| worker.load(Acquire)).min();
        let is_gone = |draining: &mut Draining| {
            held.is_none_or(|held| draining.left <= held)
                && self.registry.slot(draining.id).load.get().total() == 0
        };
        let gone: Vec<BackendId> =
            self.draining.extract_if(.., is_gone).map(|draining| draining.id).collect();
        for id in &gone {
            self.registry.slot(*id).vacate(*id);
            self.free.push_back(id.next());
        }
        gone
    }
}
