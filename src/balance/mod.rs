//! Which backend serves the next request.
//!
//! A [`Membership`], which has one owner, says which backends there are. Each worker has a
//! [`Balancer`] and in it a [`Roster`], an immutable list of the backends to choose from, which is
//! swapped as a whole. The balancer hands out a [`Lease`] per attempt, learns from the attempt's
//! [`Outcome`], and ejects backends that fail. Which backend is best is decided by a [`Policy`],
//! one file each, which also owns what it knows of each backend; everything they share (weights,
//! limits, backups, probes, ejection, what counts as an outcome) is decided here once.
//!
//! This module does not know sockets, HTTP and the clock: time enters as `now`, a backend is a name
//! and an id. On a request's path nothing is allocated, locked or counted as a reference:
//! workers share relaxed atomics in the slots of a [`Registry`] and in the tables of the policy.

mod availability;
mod balancer;
mod candidate;
mod check;
mod choice;
mod clock;
mod decision;
mod id;
mod invalid;
mod known;
mod lease;
mod load;
mod membership;
mod options;
mod policy;
mod probe;
mod registry;
mod role;
mod room;
mod roster;
mod scores;
mod slot;
pub(crate) mod sync;
#[cfg(test)]
pub(crate) mod tests;

pub use availability::{Availability, Cause, Ejections};
pub use balancer::{Balancer, PARKED_AFTER};
pub use check::{Check, Verdict};
pub use choice::Choice;
pub use decision::{Considered, Decision, Part, Recorded, Recording};
pub use id::{BackendId, MAX_BACKENDS, Tried};
pub use invalid::{InvalidOptions, MAX_WINDOW};
pub use known::Known;
pub use lease::{Lease, Outcome, Reason};
pub use load::MAX_IN_FLIGHT;
pub use membership::{Membership, RegistryFull};
pub use options::Options;
pub use policy::{Policy, UnknownPolicy};
pub use registry::Registry;
pub use role::{Admission, MAX_WEIGHT, Role, Tier};
pub use roster::{Member, Roster};
pub use scores::Score;
pub use slot::Stage;
