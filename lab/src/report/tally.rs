//! Counts one log row by row.

use std::collections::HashMap;
use std::path::Path;

use super::latencies::Latencies;
use super::load::{Load, UnderLoad};
use super::plain;
use tidegate::balance::MAX_BACKENDS;
use tidegate::journal::{Days, LineError, Row, Tail, TailError};

/// The name under which further backends are counted if a log has more than a proxy can have.
const MORE_BACKENDS: &str = "more backends";

/// The status of a request whose client left before the answer, and the fault of one whose client
/// left at any time.
const CLIENT_LEFT: u16 = 499;
const CLIENT_GONE: &str = "client_gone";

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
    load: Load,
    /// The time under load, if there is a drain.
    pub(super) under_load: Option<UnderLoad>,
    /// Requests whose clients left, until it is known whether that was after the load.
    left: Vec<Timed>,
    /// How many clients left after the load. That is the end of a measurement and no error, and
    /// their latencies mean nothing.
    pub(super) left_at_end: u64,
    /// Rows of health checks, which are not counted.
    pub(super) probes: u64,
    pub(super) routing_mode: Label,
    pub(super) connection: Label,
    pub(super) broken: u64,
    pub(super) first_broken: Option<LineError>,
}

/// When a request ended, its latency, and the index of its backend.
#[derive(Debug)]
struct Timed {
    ended_us: i64,
    latency_us: Option<u64>,
    place: Option<usize>,
}

/// One backend's part.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// How many of the requests have a latency, and the sum of the latencies in microseconds.
    pub(super) latencies: u64,
    pub(super) sum_us: u128,
}

/// The values of a column in all rows.
#[derive(Debug, Default)]
pub(super) enum Label {
    /// There is no row.
    #[default]
    Unknown,
    /// The same in all; `None` if it is empty in all.
    Same(Option<String>),
    /// Several.
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

    /// The value, if it is the same in all rows.
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
        tally.settle();
        Ok(tally)
    }

    /// Counts the requests whose clients left, now that all rows are known.
    fn settle(&mut self) {
        let span = self.days.span();
        self.under_load =
            span.and_then(|span| self.load.between(span.first_us, span.last_us, span.rows));
        for request in std::mem::take(&mut self.left) {
            if self.under_load.is_some_and(|load| request.ended_us > load.end_us) {
                self.left_at_end += 1;
            } else {
                self.count(&request, true);
            }
        }
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
        self.requests += 1;
        self.days.add(row.timestamp_us);
        self.routing_mode.add(Some(row.routing_mode).filter(|mode| !mode.is_empty()));
        self.connection.add(row.connection);
        let latency_us =
            row.latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        self.load.add(row.timestamp_us, latency_us);
        let place = row.backend_url.map(|url| self.place(url));
        match place {
            Some(place) => self.backends[place].requests += 1,
            None => self.undispatched += 1,
        }
        let request = Timed { ended_us: row.timestamp_us, latency_us, place };
        if row.status == Some(CLIENT_LEFT) || row.fault == Some(CLIENT_GONE) {
            self.left.push(request);
        } else {
            self.count(&request, row.is_error());
        }
    }

    /// Counts a request.
    fn count(&mut self, request: &Timed, is_error: bool) {
        self.errors += u64::from(is_error);
        if let Some(latency_us) = request.latency_us {
            self.latencies.add(request.ended_us, latency_us, request.place);
        }
        let Some(place) = request.place else { return };
        let backend = &mut self.backends[place];
        backend.errors += u64::from(is_error);
        backend.latencies += u64::from(request.latency_us.is_some());
        backend.sum_us += u128::from(request.latency_us.unwrap_or(0));
    }

    /// The index of a backend, which is added if it is new.
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
