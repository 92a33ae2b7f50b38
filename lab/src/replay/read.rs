//! Reads logs into a trace, in memory that grows by one small row per request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tidegate::balance::{MAX_BACKENDS, Policy};
use tidegate::endpoint::Client;
use tidegate::journal::{Days, Row as Logged, Tail, TailError};

use super::settings::Settings;
use super::trace::{Clock, End, LeftOut, Member, Row, Trace, UNKNOWN_BACKEND, UNKNOWN_CLIENT};
use crate::scenario::Proxies;

/// More kinds of requests are taken for one.
const MOST_CLASSES: usize = 64;
const OTHERS: &str = "others";

/// More rows than this are refused: they would need gigabytes.
const MOST_ROWS: usize = 50_000_000;

/// Of the end of a log no more than this part is left out.
const LAST_PART: u64 = 2;

const SECOND_US: i64 = 1_000_000;

/// Why there is nothing to replay.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no log, or can't be read.
    #[error("{}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TailError,
    },
    /// No request was sent to a backend.
    #[error("{}: no row has a backend and a latency{broken}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is wrong with its lines, if anything is.
        broken: String,
    },
    /// There are rows of several policies.
    #[error(
        "the rows are of two policies, `{0}` and `{1}`; a replay needs one run: begin a new log \
         for each policy"
    )]
    Mixed(String, String),
    /// The policy of the rows is not known.
    #[error(
        "routing_mode is `{0}`, which is none of tidegate's policies ({1}): what was used can't \
         be replayed, and so the error of a prediction is not known; give --used with the policy \
         that is meant"
    )]
    UnknownPolicy(String, String),
    /// There is too much.
    #[error("more than {MOST_ROWS} rows or {MAX_BACKENDS} backends; replay a part of the log")]
    TooMany,
}

/// Reads logs, one of each proxy that was before the same backends at the same time. `used` is the
/// policy, whatever the rows say.
///
/// # Errors
/// See [`ReadError`].
pub(super) fn read(paths: &[PathBuf], used: Option<Policy>) -> Result<Trace, ReadError> {
    let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
    let settings = Settings::beside(first);
    let mut reader = Reader::new(&settings);
    for path in paths {
        reader.take(path).map_err(|source| ReadError::Log { path: path.clone(), source })?;
        reader.proxy = reader.proxy.saturating_add(1);
    }
    if reader.is_full {
        return Err(ReadError::TooMany);
    }
    let mut proxies = settings.proxies;
    proxies.count = paths.len().max(1);
    reader.trace(first, used, &settings, proxies)
}

struct Reader {
    rows: Vec<Row>,
    days: Days,
    backends: Vec<Member>,
    places: HashMap<String, u16>,
    classes: Classes,
    clients: HashMap<SocketAddr, u32>,
    modes: Vec<String>,
    left_out: LeftOut,
    /// Rows that do not say when they were dispatched, and whether a time has a fraction.
    not_started: u64,
    have_fractions: bool,
    proxy: u8,
    is_full: bool,
}

impl Reader {
    fn new(settings: &Settings) -> Self {
        let mut reader = Self {
            rows: Vec::new(),
            days: Days::default(),
            backends: Vec::new(),
            places: HashMap::new(),
            classes: Classes::default(),
            clients: HashMap::new(),
            modes: Vec::new(),
            left_out: LeftOut::default(),
            not_started: 0,
            have_fractions: false,
            proxy: 0,
            is_full: false,
        };
        for member in &settings.backends {
            reader.add_backend(member.clone());
        }
        reader
    }

    fn take(&mut self, path: &Path) -> Result<(), TailError> {
        let mut log = Tail::open(path, None)?;
        while log.read_on()? > 0 && !self.is_full {
            self.drain(&mut log);
        }
        log.end();
        self.drain(&mut log);
        Ok(())
    }

    fn drain(&mut self, log: &mut Tail) {
        while let Some(row) = log.next_row() {
            match row {
                Ok(row) => self.add(&row),
                Err(error) => {
                    self.left_out.broken += 1;
                    self.left_out.first_broken.get_or_insert_with(|| error.to_string());
                }
            }
        }
    }

    fn add(&mut self, logged: &Logged<'_>) {
        if logged.is_probe() {
            self.left_out.probes += 1;
            return;
        }
        if logged.status == Some(101) {
            self.left_out.tunnels += 1;
            return;
        }
        let end = end_of(logged);
        let Some(latency_us) = latency_us(logged, end) else {
            self.left_out.undispatched += 1;
            return;
        };
        if !self.modes.iter().any(|mode| mode == logged.routing_mode) && self.modes.len() < 2 {
            self.modes.push(logged.routing_mode.to_owned());
        }
        let start_us = logged.started_us.unwrap_or(logged.timestamp_us - i64::from(latency_us));
        self.not_started += u64::from(logged.started_us.is_none() && end != End::NoBackend);
        self.have_fractions |= logged.timestamp_us % SECOND_US != 0;
        let Ok(start_us) = u64::try_from(start_us) else {
            self.left_out.outliers += 1;
            return;
        };
        self.days.add(start_us.cast_signed());
        let backend = match logged.backend_url {
            Some(url) if end != End::NoBackend => self.place(url),
            _ => UNKNOWN_BACKEND,
        };
        self.is_full |= self.rows.len() >= MOST_ROWS;
        let row = Row {
            start_us,
            latency_us,
            attempt_us: attempt_us(logged, latency_us),
            client: self.client(logged),
            backend,
            status: logged.status.unwrap_or(0),
            class: self.classes.of(logged),
            attempts: logged.attempts.unwrap_or(1).clamp(1, 255) as u8,
            proxy: self.proxy,
            worker: logged.worker.unwrap_or(0) as u8,
            end,
        };
        self.rows.push(row);
    }

    fn client(&mut self, logged: &Logged<'_>) -> u32 {
        // A client with port 0 is known by its address alone, and may have several connections.
        let client = match logged.client {
            Some(Client::Ip(address)) => Some(address).filter(|address| address.port() != 0),
            Some(Client::Unix) | None => None,
        };
        let Some(client) = client else { return UNKNOWN_CLIENT };
        let next = self.clients.len() as u32;
        *self.clients.entry(client).or_insert(next)
    }

    fn place(&mut self, url: &str) -> u16 {
        match self.places.get(url) {
            Some(place) => *place,
            None => self.add_backend(Member::new(url)),
        }
    }

    fn add_backend(&mut self, member: Member) -> u16 {
        self.is_full |= self.backends.len() >= MAX_BACKENDS;
        if self.is_full {
            return UNKNOWN_BACKEND;
        }
        let place = self.backends.len() as u16;
        self.places.insert(member.url.clone(), place);
        self.backends.push(member);
        place
    }

    fn trace(
        self,
        first: &Path,
        used: Option<Policy>,
        settings: &Settings,
        proxies: Proxies,
    ) -> Result<Trace, ReadError> {
        let Self { mut rows, days, mut left_out, .. } = self;
        let span = days.span();
        let count = rows.len();
        rows.retain(|row| span.is_some_and(|span| span.has(row.start_us.cast_signed())));
        left_out.outliers += (count - rows.len()) as u64;
        if !rows.iter().any(|row| row.backend != UNKNOWN_BACKEND) {
            let broken = left_out.first_broken.map(|what| format!("; the first line: {what}"));
            let broken = broken.unwrap_or_default();
            return Err(ReadError::Empty { path: first.to_owned(), broken });
        }
        let policy = policy(used, &self.modes)?;
        let clock = match (self.not_started * 100 <= count as u64, self.have_fractions) {
            (true, _) => Clock::Started,
            (false, true) => Clock::Ended,
            (false, false) => Clock::WholeSeconds,
        };
        if clock == Clock::WholeSeconds {
            spread(&mut rows);
        }
        rows.sort_by_key(|row| row.start_us);
        let zero = rows.first().map_or(0, |row| row.start_us);
        for row in &mut rows {
            row.start_us -= zero;
        }
        let whole = count_of_whole(&rows);
        left_out.last = (rows.len() - whole) as u64;
        rows.truncate(whole);
        Ok(Trace {
            rows,
            backends: self.backends,
            classes: self.classes.names,
            clients: self.clients.len() as u32,
            policy: settings.policy(policy),
            proxies,
            clock,
            left_out,
            has_settings: settings.is_known,
        })
    }
}

fn policy(used: Option<Policy>, modes: &[String]) -> Result<Policy, ReadError> {
    match (used, modes) {
        (Some(policy), _) => Ok(policy),
        (None, [a, b, ..]) => Err(ReadError::Mixed(a.clone(), b.clone())),
        (None, modes) => {
            let mode = modes.first().map_or("", String::as_str);
            let known = || Policy::ALL.map(Policy::name).join(", ");
            mode.parse().map_err(|_| ReadError::UnknownPolicy(mode.to_owned(), known()))
        }
    }
}

/// How a row's request ended.
fn end_of(logged: &Logged<'_>) -> End {
    match (logged.fault, logged.status) {
        (Some("backends_full"), _) => End::NoBackend,
        (Some("client_gone" | "client_stalled"), _) | (_, Some(499)) => End::Left,
        (Some("response_timeout"), _) => End::TimedOut,
        (
            Some(
                "connect_refused"
                | "connect_denied"
                | "connect_timeout"
                | "connect_unreachable"
                | "upstream_closed",
            ),
            _,
        ) => End::Refused,
        (Some(_), _) | (_, None | Some(429 | 500..)) => End::Failed,
        _ => End::Answered,
    }
}

/// `None` if it was sent to no backend because of what it is.
fn latency_us(logged: &Logged<'_>, end: End) -> Option<u32> {
    match logged.latency {
        Some(latency) => Some(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)),
        None => (end == End::NoBackend).then_some(0),
    }
}

/// Of several attempts, the last one took about as long as its first byte; of a single one, all the
/// latency is its own.
fn attempt_us(logged: &Logged<'_>, latency_us: u32) -> u32 {
    let is_single = logged.attempts.is_none_or(|count| count <= 1);
    let first_byte = logged.first_byte.filter(|_| !is_single);
    let first_byte = first_byte.and_then(|time| u32::try_from(time.as_micros()).ok());
    first_byte.map_or(latency_us, |time| time.min(latency_us))
}

/// How many requests came before the last ones, some of which are missing because they had not
/// ended when the log did. `rows` are in order.
fn count_of_whole(rows: &[Row]) -> usize {
    let mut latencies: Vec<u32> = rows.iter().map(|row| row.latency_us).collect();
    latencies.sort_unstable();
    let long = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(0);
    let end_us = rows.iter().map(Row::end_us).max().unwrap_or(0);
    let until_us = (end_us - u64::from(long)).max(end_us - end_us / LAST_PART);
    rows.partition_point(|row| row.start_us <= until_us)
}

/// Spreads requests whose times are known to a second over that second, in the order of the file.
fn spread(rows: &mut [Row]) {
    rows.sort_by_key(|row| row.end_us() / SECOND_US.cast_unsigned());
    for second in rows.chunk_by_mut(|a, b| a.end_us() / 1_000_000 == b.end_us() / 1_000_000) {
        let count = second.len() as u64;
        for (index, row) in (0..).zip(second) {
            row.start_us += (2 * index + 1) * SECOND_US.cast_unsigned() / (2 * count);
        }
    }
}

/// The kinds of requests: method and first segment of the path.
#[derive(Default)]
struct Classes {
    names: Vec<String>,
    last: u8,
}

impl Classes {
    fn of(&mut self, logged: &Logged<'_>) -> u8 {
        let method = logged.method.unwrap_or_default();
        let prefix = prefix(logged.path.unwrap_or_default());
        let is = |name: &String| {
            let name = name.as_bytes();
            let (head, tail) = name.split_at(method.len().min(name.len()));
            head == method && tail.strip_prefix(b" ") == Some(prefix)
        };
        // Mostly it is the same as that of the row before.
        if self.names.get(usize::from(self.last)).is_some_and(is) {
            return self.last;
        }
        let known = self.names.iter().position(is);
        let place = known.unwrap_or_else(|| {
            if self.names.len() < MOST_CLASSES {
                let name = [method, b" ", prefix].concat();
                self.names.push(String::from_utf8_lossy(&name).into_owned());
            } else if self.names.len() == MOST_CLASSES {
                self.names.push(OTHERS.to_owned());
            }
            self.names.len() - 1
        });
        self.last = place as u8;
        self.last
    }
}

/// `/api` of `/api/users/17?page=2`, with the scheme and host of a target in absolute form.
fn prefix(path: &[u8]) -> &[u8] {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    let path = &path[..end];
    let second = path.iter().skip(1).position(|byte| *byte == b'/');
    second.map_or(path, |second| &path[..=second])
}
