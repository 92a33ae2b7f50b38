//! The backends as the admin API tells of them, as far as they are shown.

use serde::Deserialize;

use crate::decision::Decision;

/// All backends.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct List {
    pub(super) policy: String,
    /// An older proxy has none.
    #[serde(default)]
    pub(super) queue: Queue,
    /// How long `lately` is.
    pub(super) lately_seconds: f64,
    pub(super) backends: Vec<Backend>,
}

/// Requests that wait because all are at their limits, and how many may.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Queue {
    pub(super) length: usize,
    pub(super) limit: usize,
}

/// One of them.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Backend {
    /// None while its name has no address.
    pub(super) id: Option<String>,
    pub(super) url: String,
    pub(super) weight: u32,
    #[serde(rename = "max-in-flight")]
    pub(super) limit: Option<u32>,
    pub(super) backup: bool,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) since_seconds: Option<f64>,
    pub(super) ejected_for_seconds: Option<f64>,
    pub(super) in_flight: u32,
    pub(super) parked: u32,
    pub(super) tunnels: u32,
    pub(super) estimate_ms: Option<f64>,
    pub(super) lately: Lately,
}

/// What was counted in the last seconds.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Lately {
    pub(super) share: Option<f64>,
    pub(super) requests_per_second: Option<f64>,
    pub(super) errors: u64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

/// The last choices, the newest first.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Choices {
    pub(super) choices: Vec<Choice>,
}

/// One of them.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) age_seconds: f64,
    #[serde(flatten)]
    pub(super) decision: Decision<'static>,
}

impl Backend {
    /// All that has not ended at it.
    pub(super) fn busy_with(&self) -> u32 {
        self.in_flight + self.parked + self.tunnels
    }

    /// What the proxy calls it.
    pub(super) fn name(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.url)
    }

    /// Whether it was removed, and only finishes what it has.
    pub(super) fn is_removed(&self) -> bool {
        self.state == "removed"
    }
}
