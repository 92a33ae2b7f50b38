//! What the thread that reads the log and the one that answers requests share.
//!
//! The reader publishes at a steady rate, whatever the rate of the rows, and the JSON of a window
//! is made at most once per publication, for the first request. So any number of browsers costs as
//! much as one, and none of them can delay the reader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::listed::Listed;
use super::model::Model;
use super::requests::Filter;
use super::snapshot::Snapshot;
use super::source::{Source, Status};
use super::window::Window;

/// What was published last, as JSON for one window.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// Counts the publications.
    pub(super) number: u64,
    pub(super) json: Arc<str>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct SnapshotCache {
    state: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    model: Model,
    status: Status,
    stem: Option<String>,
    number: u64,
    /// Up to when rows are known, in microseconds since 1970.
    at_us: i64,
    /// By window, what was asked for since the last publication.
    made: [Option<Arc<str>>; Window::NAMED],
}

impl SnapshotCache {
    pub(super) fn new(source: &Source) -> Self {
        let state = Shared {
            model: Model::new(None),
            status: source.status().clone(),
            stem: None,
            number: 0,
            at_us: 0,
            made: Default::default(),
        };
        Self { state: Mutex::new(state) }
    }

    /// Another log begins, or the same anew. What is told of the log changes with its figures, so
    /// that nobody gets those of one with the name of another.
    pub(super) fn begin(&self, source: &Source, now: SystemTime) {
        let model = Model::new(source.description());
        let mut state = self.lock();
        state.model = model;
        state.tells(source, now);
    }

    /// Gives the reader the model, for rows that were there at `now`. It holds a lock meanwhile, so
    /// `work` should be short: a block of rows.
    pub(super) fn with_model<T>(&self, now: SystemTime, work: impl FnOnce(&mut Model) -> T) -> T {
        let mut state = self.lock();
        state.at_us = micros(now);
        work(&mut state.model)
    }

    /// Publishes what is known by now.
    pub(super) fn publish(&self, source: &Source, now: SystemTime) {
        let mut state = self.lock();
        state.tells(source, now);
        let at_us = state.at_us;
        state.model.settle(at_us);
        state.number += 1;
    }

    /// The requests that are asked for, as JSON.
    pub(super) fn requests(&self, filter: &Filter) -> Arc<str> {
        as_json(&Listed::new(&self.lock().model, filter))
    }

    /// What is recorded of the choices for a request, as JSON.
    pub(super) fn explain(&self, request: &str) -> Arc<str> {
        as_json(&self.lock().model.recorded.of(request))
    }

    /// What was published last.
    pub(super) fn latest(&self, window: Window) -> Published {
        self.lock().published(window)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn tells(&mut self, source: &Source, now: SystemTime) {
        self.at_us = micros(now);
        self.status = source.status().clone();
        self.stem = source.stem();
        self.made = Default::default();
    }

    fn published(&mut self, window: Window) -> Published {
        let make = || {
            let (model, status, stem) = (&self.model, &self.status, self.stem.as_deref());
            as_json(&Snapshot::new(model, status, stem, window, self.at_us))
        };
        let json = match window.place() {
            Some(place) => Arc::clone(self.made[place].get_or_insert_with(make)),
            None => make(),
        };
        Published { number: self.number, json }
    }
}

/// Numbers, strings and lists of them are always JSON.
fn as_json(figures: &impl serde::Serialize) -> Arc<str> {
    serde_json::to_string(figures).unwrap_or_default().into()
}

/// Microseconds since 1970.
pub(super) fn micros(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::tests::row;
    use super::*;

    #[test]
    fn rows_that_came_since_the_last_publication_are_of_no_later_time_than_it_tells() {
        let source = Source::new(PathBuf::from("x.csv"), None);
        let cache = SnapshotCache::new(&source);
        let (published, read) = (Duration::from_millis(900), Duration::from_millis(1_100));
        cache.publish(&source, UNIX_EPOCH + published);
        cache.with_model(UNIX_EPOCH + read, |model| {
            model.feed(Ok(row(1_050_000, "http://a", Duration::from_millis(1))));
        });
        let told: serde_json::Value =
            serde_json::from_str(&cache.latest(Window::Minute).json).unwrap();
        assert_eq!(told["window"]["end"], "now");
        assert_eq!(told["window"]["to_ms"], 1_100);
    }

    #[test]
    fn a_log_that_begins_is_told_with_its_own_name_before_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let log = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, crate::journal::header()).unwrap();
            let mut source = Source::new(path, None);
            assert!(source.look(UNIX_EPOCH), "it begins");
            source
        };
        let (old, new) = (log("old.csv"), log("new.csv"));
        let cache = SnapshotCache::new(&old);
        cache.begin(&old, UNIX_EPOCH);
        cache.publish(&old, UNIX_EPOCH);
        let path = || {
            let told = cache.latest(Window::Minute).json;
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            told["source"]["path"].as_str().unwrap().to_owned()
        };
        assert!(path().ends_with("old.csv"));
        cache.begin(&new, UNIX_EPOCH);
        assert!(path().ends_with("new.csv"), "{}", path());
    }
}
