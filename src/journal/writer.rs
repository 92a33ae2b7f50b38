//! The thread that makes rows of records, and the handle by which it is started and stopped.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rtrb::{Consumer, RingBuffer};

use super::error::JournalError;
use super::feed::{Counts, Feed};
use super::file::LogFile;
use super::frame::{Frame, frames};
use super::row::Common;
use super::stamp::Stamps;

/// Bytes of the ring between a worker and the writer: about 20,000 rows, twice what a worker makes
/// while the writer sleeps.
const RING_BYTES: usize = 2 * 1024 * 1024;

/// How long the writer sleeps when there is nothing to write. Nobody wakes it: that would cost a
/// worker a system call.
const NAP: Duration = Duration::from_millis(40);

/// Between two complaints about a disk that takes no rows.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// What a journal is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The CSV file; `None` writes no rows.
    pub path: Option<PathBuf>,
    /// The backends' URLs, in the order of their indices.
    pub backends: Vec<String>,
    /// The policy's name.
    pub routing_mode: String,
    /// `persistent` or `non-persistent`.
    pub connection: String,
    /// How many feeds are wanted.
    pub workers: usize,
    /// Whether lines said by the feeds reach the console.
    pub verbose: bool,
}

/// What a journal has counted. With a log, rows and lost are together the requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Requests that ended.
    pub requests: u64,
    /// Of those, the ones with a status of 400 or more, or with a fault.
    pub errors: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows that could not be written.
    pub lost: u64,
}

/// Signals to the writer thread.
#[derive(Debug, Default)]
struct Orders {
    reopen: AtomicBool,
    close: AtomicBool,
}

/// A running journal.
#[derive(Debug)]
pub struct Journal {
    counts: Vec<Arc<Counts>>,
    orders: Arc<Orders>,
    /// Returns rows written and rows lost on the way to the file.
    thread: Option<JoinHandle<(u64, u64)>>,
}

/// Has a journal open its file again.
#[derive(Clone, Debug)]
pub struct Reopener(Arc<Orders>);

impl Reopener {
    /// The file at the log's path is opened again, as after a rotation; rows go on in the old one
    /// until then, so none is lost or doubled.
    pub fn reopen(&self) {
        self.0.reopen.store(true, Ordering::Release);
    }
}

impl Journal {
    /// Opens the log and starts the writer; one feed for each worker comes with it.
    ///
    /// # Errors
    /// A path that can't be written; see [`JournalError`].
    pub fn start(options: &Options) -> Result<(Self, Vec<Feed>), JournalError> {
        let file = options.path.as_deref().map(LogFile::start).transpose()?;
        Self::with_sink(options, file.map(|file| Box::new(file) as Box<dyn Sink>))
    }

    pub(super) fn with_sink(
        options: &Options,
        sink: Option<Box<dyn Sink>>,
    ) -> Result<(Self, Vec<Feed>), JournalError> {
        let start = read_clock();
        let rows_wanted = sink.is_some();
        let needed = rows_wanted || options.verbose;
        let (mut counts, mut feeds, mut rings) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.workers {
            let (producer, consumer) = RingBuffer::new(if needed { RING_BYTES } else { 0 });
            rings.push(consumer);
            let shared = Arc::new(Counts::default());
            counts.push(Arc::clone(&shared));
            feeds.push(Feed::new(needed.then_some(producer), rows_wanted, start, shared));
        }
        let orders = Arc::new(Orders::default());
        let writer = Writer {
            common: Common::new(&options.backends, &options.routing_mode, &options.connection),
            stamps: Stamps::new(start),
            rings,
            orders: Arc::clone(&orders),
            sink,
            verbose: options.verbose,
            taken: Vec::new(),
            out: Vec::new(),
            out_rows: 0,
            rows: 0,
            lost: 0,
            complained: None,
            failing: false,
        };
        let thread = thread::Builder::new().name("journal".to_owned());
        let thread = needed.then(|| thread.spawn(move || writer.run())).transpose();
        Ok((Self { counts, orders, thread: thread.map_err(JournalError::Thread)? }, feeds))
    }

    /// A handle to reopen the file.
    #[must_use]
    pub fn reopener(&self) -> Reopener {
        Reopener(Arc::clone(&self.orders))
    }

    /// Writes what the feeds have flushed, ends the thread, and tells what was counted. The feeds
    /// should be gone before.
    #[must_use]
    pub fn close(self) -> Totals {
        self.orders.close.store(true, Ordering::Release);
        let written = self.thread.and_then(|thread| {
            thread.thread().unpark();
            thread.join().ok()
        });
        let (rows, lost) = written.unwrap_or_default();
        let sum = |of: fn(&Counts) -> &std::sync::atomic::AtomicU64| {
            self.counts.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum::<u64>()
        };
        Totals {
            requests: sum(|counts| &counts.requests),
            errors: sum(|counts| &counts.errors),
            rows,
            lost: lost + sum(|counts| &counts.lost),
        }
    }
}

/// Where rows go.
pub(super) trait Sink: Send {
    /// Writes whole rows; on failure tells how many of them are there all the same.
    fn write(&mut self, rows: &[u8]) -> Result<(), (u64, io::Error)>;
    /// What is written to.
    fn path(&self) -> &Path;
    /// Opens it again; `None` if it is still the same.
    fn reopen(&self) -> Result<Option<Box<dyn Sink>>, JournalError>;
}

impl Sink for LogFile {
    fn write(&mut self, rows: &[u8]) -> Result<(), (u64, io::Error)> {
        Self::write(self, rows)
    }

    fn path(&self) -> &Path {
        Self::path(self)
    }

    fn reopen(&self) -> Result<Option<Box<dyn Sink>>, JournalError> {
        Ok(Self::reopen(self)?.map(|file| Box::new(file) as Box<dyn Sink>))
    }
}

struct Writer {
    common: Common,
    stamps: Stamps,
    rings: Vec<Consumer<u8>>,
    orders: Arc<Orders>,
    sink: Option<Box<dyn Sink>>,
    verbose: bool,
    /// Frames just taken from a ring.
    taken: Vec<u8>,
    /// Rows to be written.
    out: Vec<u8>,
    out_rows: u64,
    rows: u64,
    lost: u64,
    complained: Option<Instant>,
    failing: bool,
}

impl Writer {
    fn run(mut self) -> (u64, u64) {
        loop {
            let closing = self.orders.close.load(Ordering::Acquire);
            let now = read_clock();
            self.stamps.refresh(now);
            let any = self.drain(now);
            if self.orders.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            if closing && !any {
                return (self.rows, self.lost);
            }
            if !closing {
                thread::park_timeout(NAP);
            }
        }
    }

    /// Writes what is in the rings; whether there was anything.
    fn drain(&mut self, now: Instant) -> bool {
        let mut any = false;
        for worker in 0..self.rings.len() {
            let waiting = self.rings[worker].slots();
            if waiting == 0 {
                continue;
            }
            any = true;
            self.taken.resize(waiting, 0);
            if self.rings[worker].pop_entire_slice(&mut self.taken).is_ok() {
                self.put_rows(worker);
                self.write(now);
            }
        }
        any
    }

    fn put_rows(&mut self, worker: usize) {
        let mut lines = Vec::new();
        for frame in frames(&self.taken) {
            match frame {
                Frame::Record(record) => {
                    self.common.put_row(&mut self.out, &mut self.stamps, worker, &record);
                    self.out_rows += 1;
                }
                Frame::Line(line) => {
                    lines.extend_from_slice(line);
                    lines.push(b'\n');
                }
            }
        }
        if self.verbose && !lines.is_empty() {
            // Nobody is left to tell when stdout is gone.
            let _ = io::stdout().write_all(&lines);
        }
    }

    fn write(&mut self, now: Instant) {
        let Some(sink) = &mut self.sink else { return };
        match sink.write(&self.out) {
            Ok(()) => {
                self.rows += self.out_rows;
                if self.out_rows > 0 && std::mem::take(&mut self.failing) {
                    complain(sink.path(), &format!("is written again; {} rows lost", self.lost));
                }
            }
            Err((kept, error)) => {
                self.rows += kept;
                self.lost += self.out_rows - kept;
                self.failing = true;
                let quiet = |at| now.duration_since(at) < COMPLAINT_INTERVAL;
                if !self.complained.is_some_and(quiet) {
                    self.complained = Some(now);
                    let what = format!("{error}; {} rows lost, serving on without", self.lost);
                    complain(sink.path(), &what);
                }
            }
        }
        self.out.clear();
        self.out_rows = 0;
    }

    fn reopen(&mut self) {
        let Some(sink) = &mut self.sink else { return };
        match sink.reopen() {
            Ok(Some(fresh)) => *sink = fresh,
            Ok(None) => {}
            Err(error) => complain(sink.path(), &format!("stays the old file: {error}")),
        }
    }
}

fn complain(path: &Path, what: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr(), "tidegate: log {}: {what}", path.display());
}

#[expect(clippy::disallowed_methods, reason = "this thread is not on the request path")]
fn read_clock() -> Instant {
    Instant::now()
}
