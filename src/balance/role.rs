//! What share of the requests a backend gets by its configuration.

/// The largest weight.
pub const MAX_WEIGHT: u32 = 1000;

/// How a backend is configured beside the others.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Role {
    /// Its share of the requests, in proportion to the weights of the others; 1 to [`MAX_WEIGHT`].
    pub weight: u32,
    /// Its leases at most, in all workers together, those of parked requests and tunnels included.
    pub max_in_flight: Option<u32>,
    /// When it is chosen.
    pub tier: Tier,
    /// Whether it is chosen at all.
    pub admission: Admission,
}

impl Default for Role {
    fn default() -> Self {
        Self { weight: 1, max_in_flight: None, tier: Tier::Primary, admission: Admission::Open }
    }
}

/// When a backend is chosen.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Tier {
    /// Whenever it takes requests.
    Primary,
    /// While no primary one that was not tried yet takes requests.
    Backup,
}

/// Whether a backend gets requests.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It gets them.
    Open,
    /// It finishes what it has and gets nothing new, whatever becomes of the others.
    Drained,
}
