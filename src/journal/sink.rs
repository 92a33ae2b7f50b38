//! Appending whole rows to something that may take only part of them.
//!
//! A disk that is nearly full takes as many bytes as fit. The part of a row at the end is
//! truncated, so that the log always ends with a whole row. This file knows no paths and no
//! threads.

use std::io::{self, Write};
use std::path::PathBuf;

use super::error::JournalError;

/// Where rows go: the log file, or a stand-in of a test.
pub(super) trait LogSink: Write {
    /// What to call it in a message.
    fn name(&self) -> String;

    /// Writes what must stand before the next row, unless it is there. Called in every round.
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Whether it can't be written yet, because another process does.
    fn is_awaited(&self) -> bool {
        false
    }

    /// What else is wrong with it; returned once.
    fn warning(&mut self) -> Option<String> {
        None
    }

    /// Where an earlier log was moved that had its name; returned once.
    fn moved_aside(&mut self) -> Option<PathBuf> {
        None
    }

    /// Removes the last `count` bytes that were written.
    fn truncate_tail(&mut self, count: u64) -> io::Result<()>;

    /// Continues in the file that has the name now, or at another place; keeps the old one if that
    /// fails.
    fn reopen(&mut self, place: Option<Place>) -> Result<(), JournalError>;
}

/// A log's path, and the text of the file beside it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) meta: Option<String>,
}

/// Appends rows, and knows whether the last one is whole.
#[derive(Debug)]
pub(super) struct Appender<M> {
    sink: M,
    /// Part of a row is at the end and could not be removed.
    torn: bool,
}

/// How many rows of a batch are in the log.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) rows: u64,
    pub(super) lost: u64,
    /// Why rows were lost.
    pub(super) error: Option<io::Error>,
}

impl<M: LogSink> Appender<M> {
    pub(super) fn new(sink: M) -> Self {
        Self { sink, torn: false }
    }

    /// Appends a batch of so many whole rows, each of one line, with one write unless it falls
    /// short.
    pub(super) fn append(&mut self, batch: &[u8], rows: u64) -> Appended {
        let (written, error) = self.write(batch);
        if written == batch.len() {
            return Appended { rows, lost: 0, error };
        }
        let whole = memchr::memrchr(b'\n', &batch[..written]).map_or(0, |at| at + 1);
        if whole < written {
            self.torn = self.sink.truncate_tail((written - whole) as u64).is_err();
        }
        let whole_rows = lines(&batch[..whole]);
        Appended { rows: whole_rows, lost: rows - whole_rows, error }
    }

    /// See [`LogSink::name`].
    pub(super) fn name(&self) -> String {
        self.sink.name()
    }

    /// See [`LogSink::is_awaited`].
    pub(super) fn is_awaited(&self) -> bool {
        self.sink.is_awaited()
    }

    /// See [`LogSink::begin`].
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.sink.begin()
    }

    /// See [`LogSink::warning`].
    pub(super) fn warning(&mut self) -> Option<String> {
        self.sink.warning()
    }

    /// See [`LogSink::moved_aside`].
    pub(super) fn moved_aside(&mut self) -> Option<PathBuf> {
        self.sink.moved_aside()
    }

    /// See [`LogSink::reopen`].
    pub(super) fn reopen(&mut self, place: Option<Place>) -> Result<(), JournalError> {
        self.sink.reopen(place)
    }

    /// Writes as much as possible. A torn row before it is ended first, so that only that row is
    /// unreadable.
    fn write(&mut self, batch: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn {
            if let (_, Some(error)) = write_as_much(&mut self.sink, b"\n") {
                return (0, Some(error));
            }
            self.torn = false;
        }
        write_as_much(&mut self.sink, batch)
    }
}

pub(super) fn write_as_much(out: &mut impl Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

/// How many lines end in these bytes.
pub(super) fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with space for `space` bytes, which takes at most `at_once` in one write.
    struct Disk {
        bytes: Vec<u8>,
        space: usize,
        at_once: usize,
        can_truncate: bool,
        writes: usize,
        interruptions: usize,
    }

    fn disk(space: usize) -> Disk {
        let at_once = usize::MAX;
        Disk { bytes: vec![], space, at_once, can_truncate: true, writes: 0, interruptions: 0 }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            if self.interruptions > 0 {
                self.interruptions -= 1;
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = bytes.len().min(self.at_once).min(self.space - self.bytes.len());
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl LogSink for Disk {
        fn name(&self) -> String {
            "disk".to_owned()
        }

        fn truncate_tail(&mut self, count: u64) -> io::Result<()> {
            if !self.can_truncate {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let count = usize::try_from(count).expect("small");
            self.bytes.truncate(self.bytes.len() - count);
            Ok(())
        }

        fn reopen(&mut self, _place: Option<Place>) -> Result<(), JournalError> {
            Ok(())
        }
    }

    const BATCH: &[u8] = b"one\ntwo\nthree\n";

    #[test]
    fn a_batch_is_one_write() {
        let mut appender = Appender::new(disk(100));
        let outcome = appender.append(BATCH, 3);
        assert_eq!((outcome.rows, outcome.lost), (3, 0));
        assert!(outcome.error.is_none());
        assert_eq!((&appender.sink.bytes[..], appender.sink.writes), (BATCH, 1));
    }

    #[test]
    fn wherever_the_disk_fills_the_log_ends_with_a_whole_row() {
        for space in 0..BATCH.len() {
            for at_once in [1, 3, usize::MAX] {
                let mut appender = Appender::new(Disk { at_once, ..disk(space) });
                let outcome = appender.append(BATCH, 3);
                let rows = lines(&BATCH[..space]);
                assert_eq!((outcome.rows, outcome.lost), (rows, 3 - rows), "space for {space}");
                assert!(outcome.error.is_some());
                let log = &appender.sink.bytes;
                assert!(BATCH.starts_with(log) && (log.is_empty() || log.ends_with(b"\n")));

                appender.sink.space = 100;
                let outcome = appender.append(b"four\n", 1);
                assert_eq!((outcome.rows, outcome.lost), (1, 0));
                assert!(appender.sink.bytes.ends_with(b"four\n"));
            }
        }
    }

    #[test]
    fn a_torn_row_that_cannot_be_truncated_spoils_no_other() {
        let mut appender = Appender::new(Disk { can_truncate: false, ..disk(6) });
        let outcome = appender.append(BATCH, 3);
        assert_eq!((outcome.rows, outcome.lost), (1, 2));
        assert_eq!(appender.sink.bytes, b"one\ntw");

        let outcome = appender.append(b"four\n", 1);
        assert_eq!((outcome.rows, outcome.lost), (0, 1), "not even a line end fits");

        appender.sink.space = 100;
        assert_eq!(appender.append(b"five\n", 1).rows, 1);
        assert_eq!(appender.append(b"six\n", 1).rows, 1);
        assert_eq!(appender.sink.bytes, b"one\ntw\nfive\nsix\n");
    }

    #[test]
    fn an_interrupted_write_is_made_again() {
        let mut appender = Appender::new(Disk { interruptions: 2, ..disk(100) });
        assert_eq!(appender.append(BATCH, 3).rows, 3);
        assert_eq!(appender.sink.bytes, BATCH);
    }
}
