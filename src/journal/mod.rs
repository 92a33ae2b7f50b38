//! One CSV row per request, written off the request path.
//!
//! A worker must never wait for a disk, so it hands each ended request to its own [`RecordSender`],
//! a ring in memory, without a lock, an allocation or a system call. One thread empties the rings
//! every 50 ms and writes the rows in batches. What a slow or full disk cannot take is counted as
//! lost, so that rows + lost = requests whatever happens.
//!
//! The [columns](COLUMNS) are described once, for the writer and all readers. This module knows no
//! sockets, no HTTP and no balancing: method, path, backend, fault and reason are text to it.

mod batch;
mod beside;
mod check;
mod clock;
mod columns;
mod days;
mod decisions;
mod dialect;
mod error;
mod escape;
mod file;
mod form;
mod from_cell;
mod input;
mod layout;
mod line;
mod lines;
mod losses;
mod outlet;
mod patience;
mod ring;
mod sender;
mod sink;
mod tail;
mod timestamp;
mod to_cell;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub use beside::meta_path;
pub use check::{check, check_distinct, check_next};
pub use columns::{
    COLUMNS, CONTRACT_COLUMNS, Column, HEALTH_PROBE, Hedge, METHOD_BYTES_MAX, PATH_BYTES_MAX,
    Record, Row, header,
};
pub use days::{Days, Span};
pub use decisions::Decided;
pub use dialect::NotALog;
pub use error::{JournalError, RowError};
pub use escape::marked;
pub use file::{STANDARD_OUTPUT, is_held};
pub use form::Form;
pub use line::LineError;
pub use lines::{FileState, FileStatus, Lines};
pub use sender::{LINE_BYTES_MAX, RecordSender};
pub use tail::{Tail, TailError};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::console::Console;
use columns::Run;
use file::LogFile;
use outlet::{Counted, Outlet};
use patience::Patience;
use ring::Capacity;
use sender::{Counters, Says};
use sink::LogSink;
use writer::Writer;

/// What the journal has to know before the first request.
#[derive(Clone, Debug)]
pub struct Options {
    /// The CSV file, `/dev/stdout`, or `None` for no log at all.
    pub path: Option<PathBuf>,
    /// The file of choices, `/dev/stdout`, or `None` for no log of them.
    pub decisions: Option<PathBuf>,
    /// The text of the file at [`meta_path`] beside a log that is a file, if there is to be one.
    pub meta: Option<String>,
    /// The `routing_mode` column.
    pub routing_mode: String,
    /// The `connection` column: `persistent` or `non-persistent`, as the flag spells it.
    pub connection: String,
    /// How many senders to make; the index of a sender is the `worker` column of its rows.
    pub workers: usize,
    /// Whether lines given to [`RecordSender::log_line`] are printed.
    pub verbose: bool,
    /// Where they are printed, and what is wrong with the log.
    pub console: Console,
}

/// How often [`Journal::close`] looks whether a log still takes rows, see [`Patience`]. One that
/// does not may be a pipe whose reader has stalled.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The handle on the writer thread.
///
/// Dropping it ends the thread as [`Journal::close`] does, without the totals.
#[derive(Debug)]
pub struct Journal {
    control: Arc<Control>,
    counters: Vec<Arc<CachePadded<Counters>>>,
    thread: Option<WriterThread>,
    moved_aside: Vec<PathBuf>,
    /// What has become of the rows, if there is a log of them, and of the choices.
    rows: Option<Arc<Counted>>,
    decisions: Option<Arc<Counted>>,
}

/// The thread, and the channel on which it says that everything is written.
#[derive(Debug)]
struct WriterThread {
    handle: Thread,
    ended: Receiver<()>,
}

/// Counts of all requests; `rows + lost == requests` unless there is no log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests recorded by all senders.
    pub requests: u64,
    /// Those of them that were answered 4xx or 5xx or had a fault.
    pub errors: u64,
    /// Rows that are whole in the log. Without a log: 0.
    pub rows: u64,
    /// Rows that were dropped because a ring or the disk was full. Without a log: 0.
    pub lost: u64,
}

/// What the handle and the writer thread share.
#[derive(Debug, Default)]
struct Control {
    reopen: AtomicBool,
    /// What the log is to go on as, from the next reopening on.
    next: Mutex<Option<NextRun>>,
    close: AtomicBool,
    /// Whether another process writes a log still.
    awaited: AtomicBool,
}

impl Journal {
    /// Opens the log, moves one of an earlier run aside and starts the writer thread. With neither
    /// a log nor `verbose` there is no thread, and the senders only count.
    ///
    /// # Errors
    /// When the log cannot be written, another process writes it, or the file is not a log.
    pub fn start(options: Options) -> Result<(Self, Vec<RecordSender>), JournalError> {
        Self::start_by(LogFile::open, options)
    }

    /// As [`Journal::start`], but in place of another process that may write the log still and is
    /// about to end. Until then, however long that takes, rows are kept, up to 64 MiB of each log.
    /// Those that come later are lost and counted; those that are kept stay.
    ///
    /// # Errors
    /// When the log cannot be written, or the file is not a log.
    pub fn start_after(options: Options) -> Result<(Self, Vec<RecordSender>), JournalError> {
        Self::start_by(LogFile::open_after, options)
    }

    /// Nothing is moved before both logs are open, because either may be refused.
    fn start_by(
        open: impl Fn(&Path, Form, Option<String>) -> Result<LogFile, JournalError>,
        options: Options,
    ) -> Result<(Self, Vec<RecordSender>), JournalError> {
        let (rows, choices) = (options.path.as_deref(), options.decisions.as_deref());
        let mut log = rows.map(|path| open(path, Form::Rows, options.meta.clone())).transpose()?;
        // The first one exists now, so another name of it is recognised.
        check_distinct(rows, choices)?;
        let mut decisions = choices.map(|path| open(path, Form::Decisions, None)).transpose()?;
        for (path, form) in [(rows, Form::Rows), (choices, Form::Decisions)] {
            path.map_or(Ok(()), |path| check(path, form))?;
        }
        let mut moved_aside = Vec::new();
        for log in [&mut log, &mut decisions].into_iter().flatten() {
            log.start()?;
            moved_aside.extend(log.moved_aside());
        }
        let (mut journal, senders) = Self::start_on(log, decisions, options, sender::CAPACITY)?;
        journal.moved_aside = moved_aside;
        Ok((journal, senders))
    }

    fn start_on<M>(
        sink: Option<M>,
        decisions: Option<M>,
        options: Options,
        capacity: Capacity,
    ) -> Result<(Self, Vec<RecordSender>), JournalError>
    where
        M: LogSink + Send + 'static,
    {
        let Options { routing_mode, connection, workers, verbose, console, .. } = options;
        let says = Says { rows: sink.is_some(), decisions: decisions.is_some(), lines: verbose };
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| RecordSender::new(says, capacity)).unzip();
        let counters: Vec<_> = senders.iter().map(RecordSender::counters).collect();
        let [log, decisions] = [sink, decisions].map(|it| it.map(|it| Outlet::new(it, console)));
        let is_awaited = [&log, &decisions].into_iter().flatten().any(Outlet::is_awaited);
        let [rows, choices] = [&log, &decisions].map(|log| log.as_ref().map(Outlet::counted));
        let control = Arc::new(Control { awaited: is_awaited.into(), ..Control::default() });
        let moved_aside = Vec::new();
        let mut journal =
            Self { control, counters, thread: None, moved_aside, rows, decisions: choices };
        if says.any() {
            let writer = Writer {
                receivers: receivers.into_iter().flatten().collect(),
                counters: journal.counters.clone(),
                run: Run::new(&routing_mode, &connection),
                log,
                decisions,
                console,
            };
            let control = Arc::clone(&journal.control);
            let (end, ended) = sync_channel(1);
            let thread = thread::Builder::new().name("journal".to_owned());
            let spawned = thread.spawn(move || {
                writer.run(&control);
                // The receiver is gone if it took too long.
                let _ = end.send(());
            });
            let handle = spawned.map_err(JournalError::Thread)?.thread().clone();
            journal.thread = Some(WriterThread { handle, ended });
        }
        Ok((journal, senders))
    }

    /// Where logs of an earlier run were moved, if there were any.
    #[must_use]
    pub fn moved_aside(&self) -> &[PathBuf] {
        &self.moved_aside
    }

    /// Whether another process writes a log still.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.control.awaited.load(Ordering::Acquire)
    }

    /// Writes out all that was recorded, ends the thread and returns the totals.
    ///
    /// The senders have to be dropped or idle: a record made meanwhile may be in neither count. A
    /// slow log, such as a pipe, is waited for as long as it takes a block of 256 KiB every second,
    /// and another process that writes the log for ten seconds. Rows that were not taken are lost.
    #[must_use]
    pub fn close(mut self) -> Totals {
        self.end()
    }

    fn end(&mut self) -> Totals {
        self.control.close.store(true, Ordering::Release);
        self.wake();
        let sum = |of: fn(&Counters) -> u64| self.counters.iter().map(|it| of(it)).sum::<u64>();
        let (requests, errors) = (sum(Counters::requests), sum(Counters::errors));
        let recorded = [requests, sum(Counters::decisions)];
        if let Some(WriterThread { ended, .. }) = self.thread.take()
            && !self.has_ended(&ended)
        {
            for (log, recorded) in [&self.rows, &self.decisions].into_iter().zip(recorded) {
                if let Some(log) = log {
                    log.give_up(recorded);
                }
            }
        }
        let rows = self.rows.as_ref();
        let [rows, lost] = rows.map_or([0, 0], |rows| [rows.written(), rows.lost()]);
        Totals { requests, errors, rows, lost }
    }

    /// Waits for the end of the thread as long as it makes progress; whether it has written
    /// everything.
    fn has_ended(&self, ended: &Receiver<()>) -> bool {
        let logs = || [&self.rows, &self.decisions].into_iter().flatten();
        let written = || logs().map(|log| log.written()).sum();
        let mut patience = Patience::new(written(), self.is_awaited());
        loop {
            match ended.recv_timeout(LOOK_INTERVAL) {
                Ok(()) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if patience.ends(written(), self.is_awaited()) {
                return false;
            }
        }
    }

    /// A handle for those who watch; `None` if there is no log.
    #[must_use]
    pub fn watcher(&self) -> Option<Watcher> {
        self.rows.clone().map(Watcher)
    }

    /// The same for the log of choices.
    #[must_use]
    pub fn decisions_watcher(&self) -> Option<Watcher> {
        self.decisions.clone().map(Watcher)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.handle.unpark();
        }
    }

    /// A handle that can be given to the thread that listens to signals.
    #[must_use]
    pub fn reopener(&self) -> Reopener {
        Reopener(Arc::clone(&self.control))
    }
}

/// Tells what has become of the rows of a log so far.
#[derive(Clone, Debug)]
pub struct Watcher(Arc<Counted>);

impl Watcher {
    /// Rows that are whole in the log.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.written()
    }

    /// Rows that never will be. After [`Journal::close`] these are all that were recorded and are
    /// not in the log.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }
}

/// Makes the writer thread open the log's path again.
#[derive(Clone, Debug)]
pub struct Reopener(Arc<Control>);

impl Reopener {
    /// Continues in a new file if the old one was renamed (SIGHUP, after a rotation).
    ///
    /// Returns at once; the thread acts in its next round, and first writes what was recorded
    /// before to the old file. No row is lost or in both. If the new file cannot be written, the
    /// old one is kept and the reason printed. Until this is called, rows go to the renamed file.
    pub fn reopen(&self) {
        self.0.reopen.store(true, Ordering::Release);
    }

    /// Goes on as another run, in the same log or in another one: rows of requests that end from
    /// now on are of it. A log that can't be opened is replaced by the one before, with a message.
    /// Rows that are kept because another process writes the old log go to another one, too.
    pub fn go_on_as(&self, next: NextRun) {
        *self.0.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        self.reopen();
    }
}

/// What changes of a log while it is written.
#[derive(Clone, Debug)]
pub struct NextRun {
    /// As [`Options::path`]; a log that there is not does not begin.
    pub path: Option<PathBuf>,
    /// As [`Options::decisions`], likewise.
    pub decisions: Option<PathBuf>,
    /// As [`Options::meta`].
    pub meta: String,
    /// As [`Options::routing_mode`].
    pub routing_mode: String,
    /// As [`Options::connection`].
    pub connection: String,
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _totals = self.end();
    }
}
