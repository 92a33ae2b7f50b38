//! The file that a proxy writes beside its log, with what no row can say: the parameters of its
//! policy, and all backends, with requests or without.
//!
//! The file has the log's name with `.meta.json` after it. Logs of other tools have none; then the
//! page says that this is not known.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::balance::{MAX_BACKENDS, Policy};
use crate::journal::meta_path;

/// No description is longer, even with the most backends.
const BYTES_MAX: u64 = 1 << 20;

/// See the module. Unknown fields are ignored.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Description {
    pub(super) started: String,
    pub(super) policy: String,
    pub(super) parameters: Parameters,
    pub(super) failure_sample_ms: Option<u64>,
    pub(super) resample_after_ms: Option<u64>,
    pub(super) connections: String,
    pub(super) backends: Vec<Upstream>,
    #[serde(skip_serializing)]
    settings: Settings,
    /// Where the log of choices may be, and whether there is one.
    #[serde(skip)]
    decisions: Vec<PathBuf>,
    #[serde(skip_deserializing)]
    has_decisions: bool,
}

/// Of all settings, those that readers of the log need.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Settings {
    decisions: Option<PathBuf>,
}

/// Those that the policy has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Parameters {
    pub(super) window: Option<usize>,
    pub(super) alpha: Option<f64>,
}

/// A backend, whether it has requests or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Upstream {
    pub(super) url: String,
    /// What its name stands for, if that is not one backend: then rows name others.
    #[serde(skip_serializing)]
    resolve: Option<String>,
}

impl Description {
    /// Reads the description of the log at `log`, if it has a readable one.
    pub(super) fn of(log: &Path) -> Option<Self> {
        let mut text = String::new();
        File::open(meta_path(log)).ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
        let mut read: Self = serde_json::from_str(&text).ok()?;
        read.backends.retain(|backend| backend.resolve.is_none());
        read.backends.truncate(MAX_BACKENDS);
        let named = read.settings.decisions.take();
        read.decisions = named.map_or_else(Vec::new, |named| places(log, named));
        read.has_decisions = !read.decisions.is_empty();
        Some(read).filter(|read| !read.policy.is_empty())
    }

    /// The log of choices, if it is there. It may come and go while the description stays.
    pub(super) fn decisions(&self) -> Option<&Path> {
        self.decisions.iter().map(PathBuf::as_path).find(|path| path.is_file())
    }

    /// Whether it can belong to a log with this routing mode. A file may be left over from another
    /// log of the same name.
    pub(super) fn is_of(&self, routing_mode: &str) -> bool {
        let policy = |name: &str| name.parse().map(Policy::name);
        self.policy == routing_mode
            || policy(&self.policy).is_ok_and(|name| policy(routing_mode) == Ok(name))
    }
}

/// The log of choices beside `log`, if both were moved together, or as it was named.
fn places(log: &Path, named: PathBuf) -> Vec<PathBuf> {
    let moved = named.file_name().map(|name| log.with_file_name(name));
    moved.into_iter().chain([named]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"format":1,"started":"2026-11-23T10:00:00Z","policy":"adaptive_sma",
        "parameters":{"window":10},"failure_sample_ms":7000,"resample_after_ms":null,
        "connections":"persistent","workers":2,"later":{"a":[]},
        "backends":[{"url":"http://localhost:8081","weight":3},{"url":"http://localhost:8082"},
        {"url":"http://pods:8080","resolve":"all"}]}"#;

    fn read(text: impl AsRef<[u8]>) -> Option<Description> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.csv");
        std::fs::write(folder.path().join("x.csv.meta.json"), text).unwrap();
        Description::of(&log)
    }

    #[test]
    fn it_is_read_and_what_is_unknown_in_it_passed_over() {
        let known = read(TEXT).unwrap();
        let urls: Vec<_> = known.backends.iter().map(|backend| &*backend.url).collect();
        assert_eq!(urls, ["http://localhost:8081", "http://localhost:8082"]);
        assert_eq!((known.parameters.window, known.failure_sample_ms), (Some(10), Some(7000)));
        assert!(known.is_of("adaptive_sma") && known.is_of("adaptive-sma"));
        assert!(!known.is_of("adaptive_ewma") && !known.is_of("") && !known.is_of("magic"));
    }

    #[test]
    fn the_log_of_choices_is_found_where_it_was_or_beside_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let found = |named: &str| {
            let text =
                serde_json::json!({ "policy": "adaptive", "settings": { "decisions": named } });
            std::fs::write(path("x.csv.meta.json"), text.to_string()).unwrap();
            Description::of(&path("x.csv")).unwrap()
        };
        let moved = found("/nowhere/x.jsonl");
        assert_eq!((moved.decisions(), moved.has_decisions), (None, true));
        assert_eq!(found("-").decisions(), None);
        std::fs::write(path("x.jsonl"), "").unwrap();
        assert_eq!(moved, found("/nowhere/x.jsonl"), "that it came changes no description");
        assert_eq!(moved.decisions(), Some(&*path("x.jsonl")));
        let other = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(found(other.path().to_str().unwrap()).decisions(), Some(other.path()));
    }

    #[test]
    fn what_is_none_is_taken_for_none() {
        let long = format!("{TEXT}{}", " ".repeat(2 << 20));
        for text in
            ["", "{", "[]", "{}", r#"{"parameters":7}"#, "\u{feff}{}", &long[..TEXT.len() - 1]]
        {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read([0xff, 0xfe]), None);
        assert_eq!(Description::of(Path::new("/nowhere/x.csv")), None);
    }

    #[test]
    fn a_policy_of_later_is_known_by_its_name() {
        let known = Description { policy: "adaptive".to_owned(), ..Description::default() };
        assert!(known.is_of("adaptive") && !known.is_of("another"));
    }
}
