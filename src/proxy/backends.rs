//! Which backends a running proxy has.

use std::sync::Arc;
use std::time::Instant;

use super::circle::{CircleError, refuse_circle};
use super::mailbox::{Command, Mailboxes};
use super::metrics::Metrics;
use super::resolver::{ResolveError, Resolver, resolve};
use super::settings::{Backend, Listen};
use crate::balance::{BackendId, Balancer, InvalidOptions, Membership, Options, RegistryFull};

/// Why a backend can't be added.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// It has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It is the proxy itself.
    #[error(transparent)]
    Circle(#[from] CircleError),
    /// There are too many.
    #[error(transparent)]
    Full(#[from] RegistryFull),
}

/// The one owner of the backends: what it adds and drains, it hands to all workers.
///
/// Several changes are published together. A backend that is drained gets no new request from a
/// worker that has been told; it is gone when [`Backends::collect`] names it, and until then it
/// finishes what it has.
#[derive(Debug)]
pub struct Backends {
    membership: Membership,
    resolver: Arc<Resolver>,
    mailboxes: Arc<Mailboxes>,
    metrics: Arc<Metrics>,
    listen: Vec<Listen>,
}

impl Backends {
    /// None yet, of a proxy that listens on these addresses.
    ///
    /// # Errors
    /// The balancer refuses its options.
    pub(super) fn new(
        options: Options,
        mailboxes: Arc<Mailboxes>,
        listen: Vec<Listen>,
        now: Instant,
    ) -> Result<Self, InvalidOptions> {
        let membership = Membership::new(options, now)?;
        let metrics = Arc::new(Metrics::new(mailboxes.len(), membership.registry()));
        Ok(Self { membership, resolver: Arc::new(Resolver::new()), mailboxes, metrics, listen })
    }

    /// Resolves a backend, which blocks, and adds it.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub fn add(&mut self, backend: &Backend) -> Result<BackendId, BackendError> {
        let addresses = resolve(backend)?;
        refuse_circle(backend, &addresses, &self.listen)?;
        let id = self.membership.add(&backend.url)?;
        self.resolver.add(id, backend, addresses);
        Ok(id)
    }

    /// Has a backend finish what it has and get nothing new. Whether it was active.
    pub fn drain(&mut self, id: BackendId) -> bool {
        self.membership.drain(id)
    }

    /// Balances in another way. What a policy has learnt is kept as long as that policy and its
    /// parameters stay.
    ///
    /// # Errors
    /// The balancer refuses its options.
    pub(super) fn set_options(&mut self, options: Options) -> Result<(), InvalidOptions> {
        self.membership.set_options(options)
    }

    /// Tells all workers which backends there are now, and how to balance.
    pub fn publish(&mut self) {
        let roster = self.membership.roster();
        self.mailboxes.send_all(|| Command::Roster(Arc::clone(&roster)));
    }

    /// The drained backends that nothing refers to any more since the last call.
    pub fn collect(&mut self) -> Vec<BackendId> {
        let gone = self.membership.collect();
        self.metrics.retire();
        gone
    }

    /// The balancer of one more worker.
    pub(super) fn balancer(&mut self) -> Balancer {
        self.membership.balancer()
    }

    pub(super) fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    pub(super) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }
}
