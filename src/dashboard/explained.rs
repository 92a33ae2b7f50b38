//! The answer to `/explain`: the choices that were recorded for one request, if a decision log lies
//! beside the log of requests.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use memchr::{memchr, memmem, memrchr};
use serde::Serialize;

use crate::decision::{self, Logged};

/// How much is searched: the end of the file, because the requests that the page lists are recent.
const BYTES_MAX: u64 = 16 << 20;

/// A request has few attempts.
const CHOICES_MAX: usize = 8;

/// See the module.
#[derive(Debug, Default, Serialize)]
pub(super) struct Explained {
    choices: Vec<Choice>,
}

#[derive(Debug, Serialize)]
struct Choice {
    /// The choice in a sentence.
    told: String,
    #[serde(flatten)]
    logged: Logged<'static>,
}

impl Explained {
    /// What `file` tells of the request with this name. What can't be read tells nothing.
    pub(super) fn of(file: &Path, request: &str) -> Self {
        let choices = end_of(file).map(|bytes| choices(&bytes, request)).unwrap_or_default();
        Self { choices }
    }
}

fn end_of(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Lines that are cut off, or no choices, are passed over.
fn choices(bytes: &[u8], request: &str) -> Vec<Choice> {
    // A name has no character that is escaped; what is found of another one is left out.
    let mark = format!("\"request\":\"{request}\"");
    let lines = memmem::find_iter(bytes, &mark).filter_map(|at| {
        let begin = memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1);
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
        let logged = serde_json::from_slice::<Logged<'static>>(&bytes[begin..end]).ok()?;
        Some(logged).filter(|logged| logged.request == request)
    });
    let told = |logged: Logged<'static>| {
        let at = logged.time.parse::<Timestamp>().ok();
        Choice { told: decision::tell(&logged.decision, at), logged }
    };
    let mut all: Vec<_> = lines.take(CHOICES_MAX).map(told).collect();
    all.sort_by(|one, other| one.logged.time.cmp(&other.logged.time));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAME: &str = "2026-11-28T14:03:17.000001Z/0/127.0.0.1:50412";

    fn line(time: &str, request: &str, chosen: &str) -> String {
        let candidate = json!({ "url": chosen, "state": "up", "cause": null, "since_seconds": 4.0,
            "ejected_for_seconds": null, "estimate_ms": 8.2, "estimate_age_ms": 1.0, "in_flight": 2,
            "usual_in_flight": 1.5, "weight": 1.0, "score": 12.1 });
        let line = json!({ "time": time, "worker": 0, "request": request, "policy": "adaptive",
            "chosen": chosen, "reason": "best", "recorded": "sample", "runner_up": null,
            "probability": null, "candidates": [candidate], "more_candidates": 0 });
        format!("{line}\n")
    }

    #[test]
    fn the_choices_of_a_request_are_told_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("choices.jsonl");
        let lines = [
            line("2026-11-28T14:03:19Z", NAME, "http://b"),
            line("2026-11-28T14:03:18Z", NAME, "http://a"),
            line("2026-11-28T14:03:17Z", &NAME[1..], "http://c"),
            line("2026-11-28T14:03:20Z", NAME, "http://d")[..60].to_owned(),
        ];
        std::fs::write(&file, lines.concat()).unwrap();
        let told = serde_json::to_value(Explained::of(&file, NAME)).unwrap();
        let chosen: Vec<_> =
            told["choices"].as_array().unwrap().iter().map(|it| it["chosen"].clone()).collect();
        assert_eq!(chosen, ["http://a", "http://b"]);
        let sentence = told["choices"][0]["told"].as_str().unwrap();
        assert!(sentence.starts_with("http://a, because"), "{sentence}");
        assert_eq!(told["choices"][0]["candidates"][0]["score"], 12.1);
    }

    #[test]
    fn where_there_is_nothing_nothing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for file in [folder.path().join("none"), folder.path().to_owned()] {
            assert!(Explained::of(&file, NAME).choices.is_empty());
        }
    }
}
