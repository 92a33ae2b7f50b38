//! What no balancer can be made of, and how far its options may go.

use std::fmt;

use super::set::MAX_BACKENDS;

/// The largest window of `adaptive_sma`, in samples.
pub const MAX_WINDOW: usize = 1000;

/// Options that no balancer can be made of.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum InvalidOptions {
    /// This number of backends is none, or above [`MAX_BACKENDS`].
    Backends(usize),
    /// This window is 0 or above [`MAX_WINDOW`].
    Window(usize),
    /// This weight is not above 0 and at most 1.
    Alpha(f64),
}

impl fmt::Display for InvalidOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backends(count) => {
                write!(f, "{count} upstreams are too few or too many; give 1 to {MAX_BACKENDS}")
            }
            Self::Window(window) => {
                write!(f, "a window of {window} samples is refused; give 1 to {MAX_WINDOW}")
            }
            Self::Alpha(alpha) => {
                write!(f, "a weight of {alpha} is refused; give a number above 0 and at most 1")
            }
        }
    }
}

impl std::error::Error for InvalidOptions {}
