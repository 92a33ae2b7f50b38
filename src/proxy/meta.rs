//! What stands in `<log>.meta.json`: how the run was set up, for readers of its log.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::settings::Settings;
use crate::balance::Options;

/// Raised when a reader would misunderstand what is written now.
const FORMAT: u32 = 1;

/// The text for a run with `settings` that started at `started`.
#[must_use]
pub fn describe_run(settings: &Settings, started: Timestamp) -> String {
    let parameters: Value = settings
        .policy
        .parameters()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap_or(Value::String(value))))
        .collect();
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).ok();
    let backends: Vec<Value> =
        settings.backends.iter().map(|upstream| json!({ "url": upstream.url })).collect();
    let meta = json!({
        "format": FORMAT,
        "started": started.to_string(),
        "policy": settings.policy.name(),
        "parameters": parameters,
        "failure_sample_ms": millis(Options::default().failure_sample),
        "resample_after_ms": settings.resample_after.and_then(millis),
        "connections": settings.upstream_reuse.name(),
        "workers": settings.workers,
        "backends": backends,
    });
    meta.to_string() + "\n"
}
