//! How the proxy of a log was configured, from the file beside it. What that does not say is the
//! proxy's default.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tidegate::balance::Policy;
use tidegate::journal::meta_path;
use tidegate::time::parse_duration;

use super::trace::Member;
use crate::scenario::Proxies;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) backends: Vec<Member>,
    pub(super) proxies: Proxies,
    /// Whether there was such a file.
    pub(super) is_known: bool,
    parameters: Value,
}

impl Settings {
    /// Those of the log at `path`.
    pub(super) fn beside(path: &Path) -> Self {
        let text = fs::read_to_string(meta_path(path)).unwrap_or_default();
        serde_json::from_str(&text).map_or_else(|_| Self::default(), |meta| Self::of(&meta))
    }

    fn of(meta: &Value) -> Self {
        let settings = &meta["settings"];
        let number = |key: &str| settings[key].as_u64();
        let duration = |key: &str| settings[key].as_str().and_then(|it| parse_duration(it).ok());
        let small = |key: &str| number(key).and_then(|it| u8::try_from(it).ok());
        let defaults = Proxies::default();
        let proxies = Proxies {
            workers: meta["workers"].as_u64().map_or(1, |it| it.clamp(1, 256) as usize),
            response_timeout: duration("response-timeout").unwrap_or(Duration::from_secs(60)),
            max_attempts: number("max-attempts").map_or(defaults.max_attempts, |it| it as usize),
            // The word `off` is no number.
            eject_after: match &settings["eject-after"] {
                Value::Null => defaults.eject_after,
                value => value.as_u64().and_then(|it| u8::try_from(it).ok()).unwrap_or(0),
            },
            slow_start: duration("slow-start").unwrap_or_default(),
            queue: number("queue").map_or(0, |it| it as usize),
            queue_timeout: duration("queue-timeout").unwrap_or(defaults.queue_timeout),
            hedge: small("hedge").unwrap_or(0),
            hedge_delay: duration("hedge-delay"),
            hedge_attempts: small("hedge-attempts").unwrap_or(1),
            hedge_same: settings["hedge-same"].as_bool().unwrap_or(false),
            ..defaults
        };
        let backends = meta["backends"].as_array().into_iter().flatten().filter_map(member);
        let parameters = meta["parameters"].clone();
        Self { backends: backends.collect(), proxies, is_known: true, parameters }
    }

    /// A policy with the parameters of the run.
    pub(super) fn policy(&self, policy: Policy) -> Policy {
        let window = self.parameters["window"].as_u64().map(|it| it as usize);
        let alpha = self.parameters["alpha"].as_f64();
        match policy {
            Policy::AdaptiveSma { window: usual } => policy.with(window.unwrap_or(usual), f64::NAN),
            Policy::AdaptiveEwma { alpha: usual } => policy.with(0, alpha.unwrap_or(usual)),
            policy => policy,
        }
    }
}

fn member(backend: &Value) -> Option<Member> {
    let number = |key: &str| backend[key].as_u64().and_then(|it| u32::try_from(it).ok());
    Some(Member {
        url: backend["url"].as_str()?.to_owned(),
        weight: number("weight"),
        max_in_flight: number("max-in-flight"),
        is_backup: backend["backup"].as_bool().unwrap_or(false),
    })
}
