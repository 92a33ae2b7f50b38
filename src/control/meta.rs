//! The content of `<log>.meta.json`: the configuration of the run, for readers of its log.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{backend, describe};
use crate::proxy::settings::Plan;

/// Raised when a reader would misunderstand what is written now.
const FORMAT: u32 = 1;

/// The text for a run of `plan` that started at `started`.
#[must_use]
pub fn describe_run(plan: &Plan, started: Timestamp) -> String {
    let Plan { settings, backends } = plan;
    let parameters: Value = settings
        .policy
        .parameters()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap_or(Value::String(value))))
        .collect();
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).ok();
    let backends: Vec<Value> =
        backends.iter().map(|backend| backend::describe(backend).into()).collect();
    let meta = json!({
        "format": FORMAT,
        "started": started.to_string(),
        "policy": settings.policy.name(),
        "parameters": parameters,
        "failure_sample_ms": settings.policy.failure_sample().and_then(millis),
        "resample_after_ms": settings.balancing().resample_after.and_then(millis),
        "connections": settings.upstream_reuse.name(),
        "workers": settings.workers(),
        "backends": backends,
        "settings": describe::json(plan),
    });
    meta.to_string() + "\n"
}
