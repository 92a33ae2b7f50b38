//! What is known of one backend, for those who watch.

use std::time::Duration;

use super::availability::{Availability, Cause, Rules};
use super::clock::Nanos;
use super::id::BackendId;
use super::policy::Ranking;
use super::registry::Registry;
use super::slot::Stage;

/// See the module. Each value is exact by itself; two of them may be of moments a little apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Known {
    /// Whether it takes requests.
    pub availability: Availability,
    /// Why.
    pub cause: Cause,
    /// How long it has been so. That is not known of an ejection by the admin.
    pub age: Option<Duration>,
    /// How long its ejection still takes.
    pub ejected_for: Option<Duration>,
    /// Requests in flight, without those that are parked.
    pub in_flight: u32,
    /// Requests that wait for something else than the backend's speed.
    pub parked: u32,
    /// Tunnels.
    pub tunnels: u32,
    /// The latency that the policy expects; `None` before it was measured, and always if the policy
    /// measures nothing.
    pub estimate: Option<Duration>,
    /// The age of the last sample in it.
    pub estimate_age: Option<Duration>,
}

impl Known {
    pub(super) fn of(
        id: BackendId,
        registry: &Registry,
        ranking: &dyn Ranking,
        rules: Rules,
        now: Nanos,
    ) -> Option<Self> {
        let slot = registry.slot(id);
        let (availability, cause) = match slot.stage(id) {
            Stage::Active => (slot.standing.availability(rules, now), slot.standing.cause()),
            Stage::Draining => (Availability::Down, Cause::Removed),
            Stage::Gone => return None,
        };
        let (age, ejected_for) = match cause {
            Cause::Removed => (None, None),
            _ => slot.standing.times(rules, now),
        };
        let load = slot.load.get();
        let age_of = |at: Nanos| Duration::from_nanos(now.saturating_sub(at));
        Some(Self {
            availability,
            cause,
            age,
            ejected_for: ejected_for.filter(|_| availability == Availability::Ejected),
            in_flight: load.in_flight(),
            parked: load.parked(),
            tunnels: load.tunnels(),
            estimate: ranking.estimate(id).map(Duration::from_nanos),
            estimate_age: ranking.observed_at(id).map(age_of),
        })
    }
}
