//! What the balancer knows of a backend, by the backend's place in [`ExchangeHarness::servers`].

use std::time::Duration;

use tidegate::balance::{Availability, BackendId, Lease, Outcome, Role};

use crate::ExchangeHarness;
use crate::peers::{self, Dial, Server};

impl ExchangeHarness {
    /// The latency that the policy expects of a backend.
    #[must_use]
    pub fn estimate(&self, backend: usize) -> Option<Duration> {
        self.balancer.estimate(self.ids[backend])
    }

    /// Whether a backend takes no requests, or only one to see whether it is back.
    #[must_use]
    pub fn is_ejected(&self, backend: usize) -> bool {
        self.balancer.availability(self.ids[backend], self.now) != Availability::Up
    }

    /// The leases held on a backend; none that is gone has any.
    #[must_use]
    pub fn in_flight(&self, backend: usize) -> u32 {
        self.balancer.registry().in_flight(self.ids[backend]).unwrap_or(0)
    }

    /// An earlier request to a backend was answered after so long.
    pub fn measure(&mut self, backend: usize, took: Duration) {
        let mut lease = self.lease(backend);
        self.now += took;
        self.balancer.observe(&mut lease, Outcome::Answered, self.now);
        self.balancer.release(lease);
    }

    /// A backend is configured in another way, and the worker is told.
    pub fn set_role(&mut self, backend: usize, role: Role) {
        assert!(self.membership.set_role(self.ids[backend], role));
        self.take_roster();
    }

    /// One more backend joins, and the worker is told.
    pub fn join(&mut self) {
        let name = peers::name(self.ids.len());
        let id = self.membership.add_as(&name, Role::default(), self.now).expect("a slot");
        self.ids.push(id);
        self.servers.push(Server { dials: vec![Dial::Answers], pool: Vec::new() });
        self.take_roster();
    }

    fn take_roster(&mut self) {
        self.balancer.set_roster(self.membership.roster());
        self.freed();
    }

    /// A backend takes requests that took none: whoever waits is told.
    pub fn freed(&mut self) {
        self.queues[0].freed(|| self.balancer.places(self.now));
        self.run();
    }

    /// A request of another client, on this worker, ends.
    pub fn give_back(&mut self, lease: Lease) {
        self.balancer.release(lease);
        self.freed();
    }

    /// A request of another client goes to a backend.
    pub fn lease(&mut self, backend: usize) -> Lease {
        let choice = self.balancer.acquire_bound(self.ids[backend], self.now);
        choice.lease().expect("a backend that has room")
    }

    /// A backend is to leave, and the worker is told.
    pub fn drain(&mut self, backend: usize) {
        assert!(self.membership.drain(self.ids[backend]));
        self.take_roster();
    }

    /// The place of a backend.
    pub(crate) fn place(&self, id: BackendId) -> usize {
        self.ids.iter().position(|other| *other == id).expect("a backend that was added")
    }
}
