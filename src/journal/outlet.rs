//! Whole lines in, a log that has them or a count of those that are lost.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Counted;
use super::losses::LossReporter;
use super::sink::{Appended, Appender, LogSink, Place, lines};
use crate::console::Console;

/// A batch is written when it has about this size, or when the rings are empty.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// How much is kept while another process writes the log: 30,000 rows a second for ten seconds.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// One log as the writer thread sees it, whatever its lines are.
#[derive(Debug)]
pub(super) struct Outlet<M> {
    appender: Appender<M>,
    rows: u64,
    losses: LossReporter<Console>,
    console: Console,
    kept_max: usize,
}

impl<M: LogSink> Outlet<M> {
    pub(super) fn new(sink: M, console: Console) -> Self {
        let losses = LossReporter::new(console, sink.name());
        let appender = Appender::new(sink);
        Self { appender, rows: 0, losses, console, kept_max: KEPT_BYTES }
    }

    /// Rows that are whole in the log.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that never will be.
    pub(super) fn lost(&self) -> u64 {
        self.losses.lost()
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

    /// Whether another process writes the log still.
    pub(super) fn is_awaited(&self) -> bool {
        self.appender.is_awaited()
    }

    /// Whether there is no space for another row behind those that are kept until another process
    /// has ended. If so, that row is lost.
    pub(super) fn is_row_lost(&mut self, kept: &[u8], now: Instant) -> bool {
        let is_lost = self.is_awaited() && kept.len() >= self.kept_max;
        if is_lost {
            let why = io::Error::other("another process writes it, and too many rows are kept");
            self.losses.failed(1, &why, now);
        }
        is_lost
    }

    /// Writes a batch of whole rows. They are in the log or lost afterwards; none is written again
    /// later. `counted` follows after each block, so that progress can be seen.
    pub(super) fn write(&mut self, mut batch: &[u8], now: Instant, counted: &Counted) {
        let mut left = lines(batch);
        while !batch.is_empty() {
            counted.kept.store(left, Ordering::Release);
            let end = memchr::memchr(b'\n', &batch[batch.len().min(BATCH_BYTES)..]);
            let end = end.map_or(batch.len(), |end| batch.len().min(BATCH_BYTES) + end + 1);
            let (block, rest) = batch.split_at(end);
            self.write_block(block, now);
            counted.written.store(self.rows, Ordering::Release);
            counted.lost.store(self.lost(), Ordering::Release);
            left -= lines(block);
            batch = rest;
        }
        counted.kept.store(0, Ordering::Release);
    }

    fn write_block(&mut self, block: &[u8], now: Instant) {
        let Appended { rows, lost, error } = self.appender.append(block, lines(block));
        self.rows += rows;
        match error {
            Some(error) => self.losses.failed(lost, &error, now),
            None => self.losses.written(),
        }
    }

    /// Counts rows that were dropped because a ring was full.
    pub(super) fn overrun(&mut self, rows: u64, now: Instant) {
        self.losses.overrun(rows, now);
    }

    /// Continues in the file that has the log's name now, or at another place.
    pub(super) fn reopen(&mut self, place: Option<Place>) {
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
    use std::sync::atomic::AtomicU64;

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

    #[test]
    fn when_enough_is_kept_only_what_comes_later_is_lost() {
        for (is_awaited, lost) in [(true, 2), (false, 0)] {
            let mut log = Log { is_awaited, writes: Vec::new() };
            let mut outlet = Outlet::new(&mut log, Console::standard());
            outlet.kept_max = 8;
            assert!(!outlet.is_row_lost(b"one\n", now()));
            for _ in 0..2 {
                assert_eq!(outlet.is_row_lost(b"one\ntwo\n", now()), is_awaited);
            }
            assert_eq!(outlet.lost(), lost);
        }
    }

    /// A log that compares, at each write, what is told of the rows with what it has.
    struct Comparing<'a> {
        counted: &'a Counted,
        rows: u64,
        all: u64,
    }

    impl Write for Comparing<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Counted { written, kept, .. } = self.counted;
            assert_eq!(written.load(Ordering::Acquire), self.rows);
            assert_eq!(kept.load(Ordering::Acquire), self.all - self.rows);
            self.rows += lines(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl LogSink for Comparing<'_> {
        fn name(&self) -> String {
            "a log".to_owned()
        }

        fn truncate_tail(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn reopen(&mut self, _: Option<Place>) -> Result<(), super::super::JournalError> {
            Ok(())
        }
    }

    #[test]
    fn a_row_is_either_written_or_kept_whenever_it_is_given_up() {
        let (counted, all) = (Counted::default(), BATCH_BYTES as u64);
        let log = Comparing { counted: &counted, rows: 0, all };
        let text = b"row\n".repeat(BATCH_BYTES);
        Outlet::new(log, Console::standard()).write(&text, now(), &counted);
        let Counted { written, kept, lost } = counted;
        assert_eq!([written, kept, lost].map(AtomicU64::into_inner), [all, 0, 0]);
    }

    #[test]
    fn a_long_batch_is_written_in_blocks_so_that_its_progress_is_seen() {
        const ROW: &[u8] = b"a row of some length\n";
        let mut log = Log { is_awaited: false, writes: Vec::new() };
        let counted = Counted::default();
        let rows = 3 * BATCH_BYTES / ROW.len();
        Outlet::new(&mut log, Console::standard()).write(&ROW.repeat(rows), now(), &counted);
        assert_eq!(counted.written.into_inner(), rows as u64);
        assert_eq!(counted.kept.into_inner(), 0);
        assert_eq!(log.writes.iter().sum::<usize>(), rows * ROW.len());
        assert!(log.writes.len() >= 3, "{:?}", log.writes);
        for size in log.writes {
            assert!(size <= BATCH_BYTES + ROW.len() && size % ROW.len() == 0);
        }
    }
}
