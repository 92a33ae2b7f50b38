//! Appending whole rows to something that may take only part of them.
//!
//! A disk that fills takes as much as it has room for. What it took of the last row is taken back,
//! so that the log always ends with a whole row. This file knows no paths and no threads.

use std::io::{self, Write};

use super::error::JournalError;

/// Where rows go: the log file, or a stand-in of a test.
pub(super) trait Medium: Write {
    /// What to call it in a message.
    fn name(&self) -> String;

    /// Takes back the last `count` bytes that were written.
    fn take_back(&mut self, count: u64) -> io::Result<()>;

    /// Goes on in the file that now has the name; keeps to the old one if that fails.
    fn reopen(&mut self) -> Result<(), JournalError>;
}

/// Appends rows, and knows whether the last one is whole.
#[derive(Debug)]
pub(super) struct Appender<M> {
    medium: M,
    /// Part of a row stands at the end and could not be taken back.
    torn: bool,
}

/// How much of a batch is in the log.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) rows: u64,
    pub(super) lost: u64,
    /// Why rows were lost.
    pub(super) error: Option<io::Error>,
}

impl<M: Medium> Appender<M> {
    pub(super) fn new(medium: M) -> Self {
        Self { medium, torn: false }
    }

    /// Appends a batch of whole rows, each of one line, with one write unless it falls short.
    pub(super) fn append(&mut self, batch: &[u8]) -> Appended {
        let (written, error) = self.write(batch);
        let whole = memchr::memrchr(b'\n', &batch[..written]).map_or(0, |at| at + 1);
        if whole < written {
            self.torn = self.medium.take_back((written - whole) as u64).is_err();
        }
        Appended { rows: lines(&batch[..whole]), lost: lines(&batch[whole..]), error }
    }

    /// See [`Medium::reopen`].
    pub(super) fn reopen(&mut self) -> Result<(), JournalError> {
        self.medium.reopen()
    }

    /// Writes as much as goes; a torn row before it is ended first, so that only it is unreadable.
    fn write(&mut self, batch: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn {
            if let (_, Some(error)) = write_as_much(&mut self.medium, b"\n") {
                return (0, Some(error));
            }
            self.torn = false;
        }
        write_as_much(&mut self.medium, batch)
    }
}

fn write_as_much(out: &mut impl Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
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

fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
