//! Whether and when a backend could take one more request, for those that wait for one.

use std::time::Instant;

use super::availability::Availability;
use super::balancer::Balancer;
use super::roster::Member;
use super::slot::Slot;

impl Balancer {
    /// How many requests that may go anywhere would find a backend now. Where all are ejected or
    /// down that is one, because the balancer does not let it wait for them.
    #[must_use]
    pub fn places(&self, now: Instant) -> usize {
        let now = self.nanos(now);
        let (mut places, mut is_full) = (0_usize, false);
        for member in self.roster.members().iter().filter(|member| member.tier.is_some()) {
            let slot = self.registry.slot(member.id);
            let free = free(member, slot);
            match slot.standing.availability(self.roster.rules, now) {
                Availability::Up => {
                    is_full |= free == 0;
                    places = places.saturating_add(free);
                }
                Availability::Probing if slot.probing.is_free(now, self.roster.probe_timeout) => {
                    places = places.saturating_add(free.min(1));
                }
                Availability::Probing | Availability::Ejected | Availability::Down => {}
            }
        }
        if is_full { places } else { places.max(1) }
    }

    /// When a backend may take a request although nothing was given back until then: the end of an
    /// ejection, or of the time that a probe has.
    #[must_use]
    pub fn next_chance(&self, now: Instant) -> Option<Instant> {
        let (registry, roster, now) = (&self.registry, &self.roster, self.nanos(now));
        let members = roster.members().iter().filter(|member| member.tier.is_some());
        let chances = members.filter_map(|member| {
            let due = registry.slot(member.id).standing.due(roster.rules)?.saturating_mul(1_000);
            Some(if due > now { due } else { now.saturating_add(roster.probe_timeout) })
        });
        chances.min().map(|at| registry.instant(at))
    }
}

/// How many requests a backend takes beside those that it has.
fn free(member: &Member, slot: &Slot) -> usize {
    let limit = member.role.max_in_flight;
    limit.map_or(usize::MAX, |limit| limit.saturating_sub(slot.load.get().total()) as usize)
}
