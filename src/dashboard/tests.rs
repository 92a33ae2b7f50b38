//! What the tests of this room share.

use std::time::Duration;

use crate::journal::Row;

/// A successful request to `backend` in a log of the five columns.
pub(super) fn row(timestamp_us: i64, backend: &str, latency: Duration) -> Row<'_> {
    Row {
        timestamp_us,
        backend_url: Some(backend),
        latency: Some(latency),
        status: Some(200),
        routing_mode: "adaptive_sma",
        ..Row::default()
    }
}
