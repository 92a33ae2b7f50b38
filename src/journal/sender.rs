//! A worker's end of the journal: counts a request, and hands its record on without ever waiting.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use rtrb::RingBuffer;

use super::columns::Record;
use super::decisions::Decided;
use super::ring::{self, Capacity, Consumer, Producer};

/// Longer lines are cut, so that each is written to a pipe as a whole.
pub const LINE_BYTES_MAX: usize = 1024;

/// How far a worker can be ahead of the writer thread: 160 ms at 100,000 requests a second with 128
/// bytes of text each.
pub(super) const CAPACITY: Capacity = Capacity { entries: 16 * 1024, text_bytes: 2 * 1024 * 1024 };

/// How many choices wait for the writer thread at most, if there is a log of them.
pub(super) const DECISIONS_MAX: usize = 2048;

/// What travels to the writer thread. The texts go beside it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are rows, and a ring has one size")]
pub(super) enum Entry {
    /// A record without its texts.
    Row(Record<'static>),
    /// A line for the console, as the first text.
    Line,
}

/// A worker's counters. It alone writes them; any thread may read them at any time.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    errors: AtomicU64,
    dropped: AtomicU64,
    decisions: AtomicU64,
    decisions_dropped: AtomicU64,
}

impl Counters {
    /// Requests recorded.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests answered 4xx or 5xx or with a fault.
    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Records that were dropped because the ring was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Choices for which there is a log.
    pub(super) fn decisions(&self) -> u64 {
        self.decisions.load(Ordering::Relaxed)
    }

    /// Choices that were dropped because the ring was full.
    pub(super) fn decisions_dropped(&self) -> u64 {
        self.decisions_dropped.load(Ordering::Relaxed)
    }
}

impl Says {
    /// Whether there is anything to hand on.
    pub(super) fn any(self) -> bool {
        self.rows || self.decisions || self.lines
    }
}

/// Adds one to a count that only this thread writes, without a locked instruction.
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// One worker's handle on the journal.
///
/// Nothing here waits, allocates or makes a system call: an entry is dropped if the ring is full
/// and, if it is a record, counted as lost. Nothing needs to be flushed, because the writer thread
/// reads the rings every 50 ms.
#[derive(Debug)]
pub struct RecordSender {
    /// Alone on its cache lines, so that workers do not slow each other down.
    counters: Arc<CachePadded<Counters>>,
    producer: Option<Producer<Entry>>,
    decisions: Option<rtrb::Producer<Decided>>,
    says: Says,
    line: String,
}

/// The writer thread's end of a sender.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) entries: Consumer<Entry>,
    pub(super) decisions: Option<rtrb::Consumer<Decided>>,
}

/// What a sender hands on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Says {
    pub(super) rows: bool,
    pub(super) decisions: bool,
    pub(super) lines: bool,
}

impl RecordSender {
    /// Makes a sender and, if anything is to be written, the other end of its rings.
    pub(super) fn new(says: Says, capacity: Capacity) -> (Self, Option<Receiver>) {
        let (producer, consumer) = says.any().then(|| ring::ring(capacity)).unzip();
        let rings = says.decisions.then(|| RingBuffer::new(DECISIONS_MAX));
        let (decisions, decided) = rings.unzip();
        let line = String::with_capacity(if says.lines { LINE_BYTES_MAX } else { 0 });
        let receiver = consumer.map(|entries| Receiver { entries, decisions: decided });
        (Self { counters: Arc::default(), producer, decisions, says, line }, receiver)
    }

    /// The counts of this sender, which outlive it.
    pub(super) fn counters(&self) -> Arc<CachePadded<Counters>> {
        Arc::clone(&self.counters)
    }

    /// Counts an ended request and hands its row to the writer thread.
    pub fn record(&mut self, record: &Record<'_>) {
        increment(&self.counters.requests);
        if record.status >= 400 || record.fault.is_some() {
            increment(&self.counters.errors);
        }
        let Some(producer) = self.producer.as_mut().filter(|_| self.says.rows) else { return };
        let (record, texts) = record.split();
        if !producer.push(Entry::Row(record), texts) {
            increment(&self.counters.dropped);
        }
    }

    /// Hands a choice to the writer thread, if there is a log of them. It is dropped and counted as
    /// lost if too many wait.
    pub fn decide(&mut self, decided: Decided) {
        let Some(decisions) = &mut self.decisions else { return };
        increment(&self.counters.decisions);
        if decisions.push(decided).is_err() {
            increment(&self.counters.decisions_dropped);
        }
    }

    /// Prints a line on the console if the journal is verbose; formats nothing if it is not.
    ///
    /// The line is dropped if the ring is half full, because rows matter more, or if the console's
    /// queue is full. Of more than [`LINE_BYTES_MAX`] bytes the first ones are printed.
    pub fn log_line(&mut self, line: fmt::Arguments<'_>) {
        let Some(producer) = self.producer.as_mut().filter(|_| self.says.lines) else { return };
        if producer.is_half_full() {
            return;
        }
        self.line.clear();
        let _cut = Bounded(&mut self.line).write_fmt(line);
        let _dropped = producer.push(Entry::Line, [self.line.as_bytes(), b"", b"", b""]);
    }
}

/// Text that stops at [`LINE_BYTES_MAX`] instead of growing.
struct Bounded<'l>(&'l mut String);

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let capacity = LINE_BYTES_MAX - self.0.len();
        if text.len() <= capacity {
            self.0.push_str(text);
            return Ok(());
        }
        let cut = (0..=capacity).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&text[..cut]);
        Err(fmt::Error)
    }
}
