//! One log, counted row by row.

use std::collections::HashMap;
use std::path::Path;

use super::latencies::Latencies;
use super::load::Load;
use super::plain;
use crate::balance::MAX_BACKENDS;
use crate::journal::{Days, LineError, Row, Tail, TailError};

/// The name under which backends are counted that are more than a proxy can have.
const MORE_BACKENDS: &str = "more backends";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) undispatched: u64,
    pub(super) backends: Vec<Counted>,
    places: HashMap<String, usize>,
    pub(super) latencies: Latencies,
    pub(super) days: Days,
    pub(super) load: Load,
    /// Rows that are no load, and in no figure.
    pub(super) probes: u64,
    pub(super) routing_mode: Label,
    pub(super) connection: Label,
    pub(super) broken: u64,
    pub(super) first_broken: Option<LineError>,
}

/// What one backend got.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// How many of the requests have a latency, and all those together in microseconds.
    pub(super) latencies: u64,
    pub(super) sum_us: u128,
}

/// What all rows say in a column.
#[derive(Debug, Default)]
pub(super) enum Label {
    /// There is no row.
    #[default]
    Unknown,
    /// The same in each; `None` if none has it.
    Same(Option<String>),
    /// More than one thing.
    Mixed,
}

impl Label {
    fn add(&mut self, text: Option<&str>) {
        match self {
            Self::Unknown => *self = Self::Same(text.map(str::to_owned)),
            Self::Same(known) if known.as_deref() != text => *self = Self::Mixed,
            Self::Same(_) | Self::Mixed => {}
        }
    }

    /// What all rows say, if they agree on something.
    pub(super) fn agreed(&self) -> Option<String> {
        let Self::Same(Some(text)) = self else { return None };
        Some(plain(text))
    }
}

impl Tally {
    /// Counts the log at `path`.
    pub(super) fn of(path: &Path) -> Result<Self, TailError> {
        let mut tally = Self::default();
        let mut log = Tail::open(path, None)?;
        while log.read_on()? > 0 {
            tally.drain(&mut log);
        }
        log.end();
        tally.drain(&mut log);
        Ok(tally)
    }

    fn drain(&mut self, log: &mut Tail) {
        while let Some(row) = log.next_row() {
            match row {
                Ok(row) if row.is_probe() => self.probes += 1,
                Ok(row) => self.add(&row),
                Err(error) => {
                    self.broken += 1;
                    self.first_broken.get_or_insert(error);
                }
            }
        }
    }

    fn add(&mut self, row: &Row<'_>) {
        let is_error = row.is_error();
        self.requests += 1;
        self.errors += u64::from(is_error);
        self.days.add(row.timestamp_us);
        self.routing_mode.add(Some(row.routing_mode).filter(|mode| !mode.is_empty()));
        self.connection.add(row.connection);
        let latency_us =
            row.latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        self.load.add(row.timestamp_us, latency_us);
        if let Some(latency_us) = latency_us {
            self.latencies.add(row.timestamp_us, latency_us);
        }
        let Some(url) = row.backend_url else {
            self.undispatched += 1;
            return;
        };
        let place = self.place(url);
        let backend = &mut self.backends[place];
        backend.requests += 1;
        backend.errors += u64::from(is_error);
        backend.latencies += u64::from(latency_us.is_some());
        backend.sum_us += u128::from(latency_us.unwrap_or(0));
    }

    /// The place of a backend, which is made when it is first named.
    fn place(&mut self, url: &str) -> usize {
        if let Some(&known) = self.places.get(url) {
            return known;
        }
        let url = if self.backends.len() < MAX_BACKENDS { url } else { MORE_BACKENDS };
        *self.places.entry(url.to_owned()).or_insert_with(|| {
            self.backends.push(Counted { name: plain(url), ..Counted::default() });
            self.backends.len() - 1
        })
    }
}
