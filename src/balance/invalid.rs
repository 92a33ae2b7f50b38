//! What no balancer can be made of, and how far its options may go.

/// The largest window of `adaptive_sma`, in samples.
pub const MAX_WINDOW: usize = 1000;

/// Options that no balancer can be made of.
#[derive(Copy, Clone, PartialEq, Debug, thiserror::Error)]
pub enum InvalidOptions {
    /// This window is 0 or above [`MAX_WINDOW`].
    #[error("a window of {0} samples is refused; give 1 to {MAX_WINDOW}")]
    Window(usize),
    /// This weight is not above 0 and at most 1.
    #[error("a weight of {0} is refused; give a number above 0 and at most 1")]
    Alpha(f64),
}
