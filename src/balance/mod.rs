//! Which backend serves the next request.
//!
//! One [`Balancer`] is shared by all workers through an `Arc`. It hands out a [`Lease`] per
//! attempt, learns from the attempt's [`Outcome`], and keeps backends off for a while that nobody
//! can reach. Which backend is best is the theory of a [`Selector`], one file each; everything the
//! theories share (probes, cooling off, what counts as a sample) is decided here once.
//!
//! The room refuses to know sockets, HTTP and the clock: time enters as `now`, a backend is a name
//! and an index. Nothing on a request's path allocates or locks. The state is relaxed atomics, for
//! each word stands on its own: a decision made from a view some nanoseconds old is as good as one
//! made those nanoseconds earlier.

mod adaptive_ewma;
mod adaptive_sma;
mod average;
mod balancer;
mod cooling;
mod fastest;
mod fleet;
mod invalid;
mod lease;
mod policy;
mod probe;
mod round_robin;
mod samples;
mod selector;
mod set;
#[cfg(test)]
mod tests;

pub use balancer::{Balancer, Options};
pub use fleet::{Backend, Fleet};
pub use invalid::{InvalidOptions, MAX_WINDOW};
pub use lease::{Lease, Outcome};
pub use policy::{Policy, UnknownPolicy};
pub use selector::Selector;
pub use set::{BackendId, BackendSet, Candidates, MAX_BACKENDS, Tried};
