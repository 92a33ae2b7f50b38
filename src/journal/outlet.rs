//! A log as the writer thread sees it: lines are put into a batch, and the batch is written to the
//! log. Lines that the log does not take are counted as lost.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::batch::Batch;
use super::losses::LossReporter;
use super::sink::{Appended, Appender, LogSink, Place, lines};
use crate::console::Console;

/// A batch is written when it has about this size, or when the rings are empty.
const BATCH_BYTES: usize = 256 * 1024;

/// How much is kept while another process writes the log: 30,000 rows a second for ten seconds.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// What has become of the rows of one log. The writer thread counts, others read.
#[derive(Debug)]
pub(super) struct Counted {
    written: AtomicU64,
    lost: AtomicU64,
    /// As many were written when the rest was given up.
    most: AtomicU64,
}

impl Default for Counted {
    fn default() -> Self {
        let (written, lost) = (AtomicU64::default(), AtomicU64::default());
        Self { written, lost, most: AtomicU64::new(u64::MAX) }
    }
}

impl Counted {
    /// Rows that are whole in the log. Those that are written although they were given up are lost.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire).min(self.most.load(Ordering::Acquire))
    }

    /// Rows that never will be.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    /// All rows that were recorded and are not in the log by now are lost.
    pub(super) fn give_up(&self, recorded: u64) {
        let written = self.written();
        self.most.store(written, Ordering::Release);
        self.lost.fetch_max(recorded.saturating_sub(written), Ordering::AcqRel);
    }
}

/// One log, whatever its lines are.
#[derive(Debug)]
pub(super) struct Outlet<M> {
    appender: Appender<M>,
    batch: Batch,
    counted: Arc<Counted>,
    /// Rows that were dropped because a ring was full.
    dropped: u64,
    losses: LossReporter<Console>,
    console: Console,
    kept_max: usize,
}

impl<M: LogSink> Outlet<M> {
    pub(super) fn new(sink: M, console: Console) -> Self {
        let losses = LossReporter::new(console, sink.name());
        Self {
            appender: Appender::new(sink),
            batch: Batch::default(),
            counted: Arc::default(),
            dropped: 0,
            losses,
            console,
            kept_max: KEPT_BYTES,
        }
    }

    /// What has become of its rows, for other threads.
    pub(super) fn counted(&self) -> Arc<Counted> {
        Arc::clone(&self.counted)
    }

    /// Begins the log before there are rows, so that what is wrong with it is reported early.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Err(error) = self.appender.begin() {
            self.losses.failed(0, &error, now);
        }
        if let Some(warning) = self.appender.warning() {
            self.losses.say(&warning);
        }
        self.tell_moved_aside();
    }

    /// Whether another process writes the log still. Rows are kept as long as it does.
    pub(super) fn is_awaited(&self) -> bool {
        self.appender.is_awaited()
    }

    /// Whether no row is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.rows() == 0
    }

    /// Has `add` put one row into the batch. If another process writes the log and there is no
    /// space for more rows, the row is lost.
    pub(super) fn add(&mut self, now: Instant, add: impl FnOnce(&mut Batch)) {
        let bytes = self.batch.bytes().len();
        if bytes >= self.kept_max && self.is_awaited() {
            let why = io::Error::other("another process writes it, and too many rows are kept");
            self.losses.failed(1, &why, now);
            return;
        }
        if bytes >= BATCH_BYTES {
            self.write(now);
        }
        add(&mut self.batch);
    }

    /// Writes the batch, unless another process writes the log. Its rows are in the log or lost
    /// afterwards; none is written again later.
    pub(super) fn write(&mut self, now: Instant) {
        if !self.is_empty() && !self.is_awaited() {
            let mut batch = mem::take(&mut self.batch);
            self.append(batch.bytes(), now);
            batch.clear();
            self.batch = batch;
        }
    }

    /// A long batch is written in blocks, so that its progress can be seen.
    fn append(&mut self, mut batch: &[u8], now: Instant) {
        while !batch.is_empty() {
            let end = memchr::memchr(b'\n', &batch[batch.len().min(BATCH_BYTES)..]);
            let end = end.map_or(batch.len(), |end| batch.len().min(BATCH_BYTES) + end + 1);
            let (block, rest) = batch.split_at(end);
            let Appended { rows, lost, error } = self.appender.append(block, lines(block));
            self.counted.written.fetch_add(rows, Ordering::AcqRel);
            match error {
                Some(error) => self.losses.failed(lost, &error, now),
                None => self.losses.written(),
            }
            self.count_lost();
            batch = rest;
        }
    }

    /// So many rows were dropped so far because a ring was full.
    pub(super) fn overrun(&mut self, dropped: u64, now: Instant) {
        let more = dropped - mem::replace(&mut self.dropped, dropped);
        if more > 0 {
            self.losses.overrun(more, now);
        }
        self.count_lost();
    }

    fn count_lost(&self) {
        self.counted.lost.fetch_max(self.losses.lost(), Ordering::AcqRel);
    }

    /// Continues in the file that has the log's name now, or at another place. What was recorded
    /// before belongs in the old one, so the batch must have been written. Only rows that are kept
    /// have no file yet, and go to the new one.
    pub(super) fn reopen(&mut self, place: Option<Place>) {
        debug_assert!(self.is_empty() || self.is_awaited(), "a row must not leave its file");
        match self.appender.reopen(place) {
            Ok(()) => {
                self.losses.rename(self.appender.name());
                self.tell_moved_aside();
            }
            Err(error) => self.losses.not_reopened(&error),
        }
    }

    fn tell_moved_aside(&mut self) {
        if let Some(aside) = self.appender.moved_aside() {
            self.console.say(&format!("an earlier log was moved to {}", aside.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A log that another process writes, or does not, and the sizes of what was written.
    #[derive(Debug)]
    struct Log {
        is_awaited: bool,
        writes: Vec<usize>,
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes.push(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl LogSink for &mut Log {
        fn name(&self) -> String {
            "a log".to_owned()
        }

        fn is_awaited(&self) -> bool {
            self.is_awaited
        }

        fn truncate_tail(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn reopen(&mut self, _: Option<Place>) -> Result<(), super::super::JournalError> {
            Ok(())
        }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Rows of choices, because they need nothing else.
    fn add(outlet: &mut Outlet<&mut Log>, row: &str) {
        outlet.add(now(), |batch| batch.add_json(&row));
    }

    #[test]
    fn when_enough_is_kept_only_what_comes_later_is_lost() {
        for (is_awaited, lost) in [(true, 2), (false, 0)] {
            let mut log = Log { is_awaited, writes: Vec::new() };
            let mut outlet = Outlet::new(&mut log, Console::standard());
            outlet.kept_max = 8;
            for row in ["one", "two", "three", "four"] {
                add(&mut outlet, row);
            }
            outlet.write(now());
            outlet.overrun(0, now());
            let counted = outlet.counted();
            assert_eq!((counted.lost(), outlet.is_empty()), (lost, !is_awaited));
            assert_eq!(counted.written(), if is_awaited { 0 } else { 4 });
        }
    }

    #[test]
    fn what_is_given_up_is_lost_unless_it_was_written() {
        let mut log = Log { is_awaited: false, writes: Vec::new() };
        let mut outlet = Outlet::new(&mut log, Console::standard());
        add(&mut outlet, "one");
        outlet.write(now());
        let counted = outlet.counted();
        counted.give_up(5);
        assert_eq!((counted.written(), counted.lost()), (1, 4));
        outlet.overrun(2, now());
        add(&mut outlet, "two");
        outlet.write(now());
        assert_eq!((counted.written(), counted.lost()), (1, 4), "these three are among them");
    }

    #[test]
    fn a_long_batch_is_written_in_blocks_so_that_its_progress_is_seen() {
        const ROW: &[u8] = b"a row of some length\n";
        let mut log = Log { is_awaited: false, writes: Vec::new() };
        let rows = 3 * BATCH_BYTES / ROW.len();
        let mut outlet = Outlet::new(&mut log, Console::standard());
        outlet.append(&ROW.repeat(rows), now());
        assert_eq!(outlet.counted().written(), rows as u64);
        assert_eq!(log.writes.iter().sum::<usize>(), rows * ROW.len());
        assert!(log.writes.len() >= 3, "{:?}", log.writes);
        for size in log.writes {
            assert!(size <= BATCH_BYTES + ROW.len() && size % ROW.len() == 0);
        }
    }
}
