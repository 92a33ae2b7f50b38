//! One log, counted row by row.

use std::collections::HashMap;
use std::path::Path;

use super::latencies::Latencies;
use super::load::{Load, UnderLoad};
use super::plain;
use tidegate::balance::MAX_BACKENDS;
use tidegate::journal::{Days, LineError, Row, Tail, TailError};

/// The name under which backends are counted that are more than a proxy can have.
const MORE_BACKENDS: &str = "more backends";

/// The status of a request whose client left before it was answered, and the fault of one whose
/// client left at any time.
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
    /// The time under load, if it can be told from what came after.
    pub(super) under_load: Option<UnderLoad>,
    /// Requests whose clients left, until it is known whether the load was over.
    left: Vec<Timed>,
    /// How many left when it was. That is the end of a measurement and no error, and how long they
    /// had waited says nothing.
    pub(super) left_at_end: u64,
    /// Rows that are no load, and in no figure.
    pub(super) probes: u64,
    pub(super) routing_mode: Label,
    pub(super) connection: Label,
    pub(super) broken: u64,
    pub(super) first_broken: Option<LineError>,
}

/// When a request ended, how long it took, and the place of its backend.
#[derive(Debug)]
struct Timed {
    ended_us: i64,
    latency_us: Option<u64>,
    place: Option<usize>,
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
        tally.settle();
        Ok(tally)
    }

    /// Judges the requests whose clients left, now that all rows are known.
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

    /// Counts an outcome.
    fn count(&mut self, request: &Timed, is_error: bool) {
        self.errors += u64::from(is_error);
        if let Some(latency_us) = request.latency_us {
            self.latencies.add(request.ended_us, latency_us);
        }
        let Some(place) = request.place else { return };
        let backend = &mut self.backends[place];
        backend.errors += u64::from(is_error);
        backend.latencies += u64::from(request.latency_us.is_some());
        backend.sum_us += u128::from(request.latency_us.unwrap_or(0));
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
