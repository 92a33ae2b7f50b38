//! How a run was made: what stands beside its log.
//!
//! The proxy writes `<log>.meta.json`, with the parameters of its policy and its backends.
//! `scenarios` writes `<run>_run.json`, with the machine and the load. A log by itself has neither;
//! what `wrk` printed tells of the load, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file_name::stem;
use super::{plain, wrk};
use crate::machine::Machine;
use tidegate::journal::meta_path;

/// What `scenarios` knows of a run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Conditions {
    /// The number of the scenario, such as `1.1`.
    pub scenario: String,
    /// When the load began (RFC 3339).
    pub date: String,
    /// The command that made the load.
    pub load: String,
    /// What it ran on, and with.
    pub machine: Machine,
}

impl Conditions {
    /// The file for the log at `log`: `x_run.json` for `x.csv`.
    pub(crate) fn path(log: &Path) -> PathBuf {
        log.with_file_name(format!("{}_run.json", stem(log)))
    }

    /// Writes the file for the log at `log`.
    pub(crate) fn write(&self, log: &Path) -> io::Result<()> {
        fs::write(Self::path(log), serde_json::to_string_pretty(self)? + "\n")
    }
}

/// What is known of how a run was made. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// The number of the scenario, such as `1.1`.
    pub scenario: String,
    /// When it began (RFC 3339).
    pub date: String,
    /// What made the load.
    pub load: String,
    /// The processor, the cores and the kernel.
    pub machine: String,
    /// Programs with their versions.
    pub versions: String,
    /// What the policy was set to, such as `alpha 0.2`.
    pub parameters: String,
    /// The URLs of the backends that were configured.
    pub backends: BTreeSet<String>,
}

/// The part of `<log>.meta.json` that is read here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    started: String,
    parameters: BTreeMap<String, Value>,
    resample_after_ms: Option<u64>,
    backends: Vec<Configured>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configured {
    url: String,
}

impl Setup {
    /// Whether another run was made in the same way but at another time.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        Self { date: String::new(), ..self.clone() }
            == Self { date: String::new(), ..other.clone() }
    }

    /// Reads what stands beside the log at `log`.
    pub(super) fn beside(log: &Path) -> Self {
        let conditions: Conditions = read(&Conditions::path(log));
        let meta: Meta = read(&meta_path(log));
        let machine = &conditions.machine;
        let named = |url: &Configured| plain(&url.url);
        Self {
            scenario: plain(&conditions.scenario),
            date: plain(first_of([&conditions.date, &meta.started])),
            load: if conditions.load.is_empty() {
                wrk::load_beside(log).unwrap_or_default()
            } else {
                plain(&conditions.load)
            },
            machine: if machine.processor.is_empty() { String::new() } else { words(machine) },
            versions: plain(&machine.versions.join(", ")),
            parameters: plain(&meta.words()),
            backends: meta.backends.iter().map(named).collect(),
        }
    }
}

impl Meta {
    fn words(&self) -> String {
        let resample = self.resample_after_ms;
        let resample = resample.map(|ms| format!("resample-after {} s", ms as f64 / 1000.0));
        let own = self.parameters.iter().map(|(name, value)| format!("{name} {value}"));
        own.chain(resample).collect::<Vec<_>>().join(", ")
    }
}

/// A file that is missing or is something else says nothing.
fn read<T: Default + serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn first_of(texts: [&String; 2]) -> &str {
    texts.into_iter().find(|text| !text.is_empty()).map_or("", String::as_str)
}

fn words(machine: &Machine) -> String {
    let Machine { processor, cores, kernel, .. } = machine;
    plain(&format!("{processor}, {cores} cores, Linux {kernel}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read_and_neither_is_needed() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("x.csv");
        assert_eq!(Setup::beside(&log), Setup::default());
        let machine = Machine {
            processor: "AMD EPYC".to_owned(),
            cores: 2,
            kernel: "6.1.0".to_owned(),
            versions: ["tidegate 0.1.0", "wrk 4.1.0"].map(str::to_owned).to_vec(),
        };
        let date = "2026-11-28T10:00:00Z".to_owned();
        let load = "wrk -t4".to_owned();
        let written = Conditions { scenario: "1.2".to_owned(), date, load, machine };
        written.write(&log).expect("written");
        let meta = r#"{"started":"2026-11-28T09:00:00Z","parameters":{"window":3},
            "resample_after_ms":5000,"backends":[{"url":"http://b"},{"url":"http://a"}]}"#;
        fs::write(meta_path(&log), meta).expect("written");
        let setup = Setup::beside(&log);
        assert_eq!(setup.parameters, "window 3, resample-after 5 s");
        assert_eq!((setup.scenario.as_str(), setup.load.as_str()), ("1.2", "wrk -t4"));
        assert_eq!(setup.machine, "AMD EPYC, 2 cores, Linux 6.1.0");
        assert_eq!(setup.versions, "tidegate 0.1.0, wrk 4.1.0");
        assert_eq!(setup.date, "2026-11-28T10:00:00Z", "of the load, not of the proxy");
        assert_eq!(setup.backends.len(), 2);
        fs::remove_file(Conditions::path(&log)).expect("removed");
        assert_eq!(Setup::beside(&log).date, "2026-11-28T09:00:00Z");
        fs::write(Conditions::path(&log), "no JSON").expect("written");
        assert_eq!(Setup::beside(&log).scenario, "");
    }

    #[test]
    fn the_load_is_told_by_what_wrk_printed_if_by_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = "Running 2m test @ http://localhost:9090\n  4 threads and 100 connections\n";
        fs::write(folder.path().join("x_wrk.txt"), said).expect("written");
        let setup = Setup::beside(&folder.path().join("x.csv"));
        assert_eq!(setup.load, "wrk, 2m, 4 threads and 100 connections");
    }
}
