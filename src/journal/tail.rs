//! Follows a log while it is written, and returns its rows as they come.
//!
//! A tail reads in blocks of one size, so that it needs the same memory for any file, and may begin
//! near the end of a long one. A file that is compressed with gzip is read as a whole. The log is
//! opened for reading only, without a lock, and reading never waits. Its user decides which file to
//! follow, and what to do when it was truncated, replaced or deleted.

use std::fs::{self, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::columns::Row;
use super::dialect::{Dialect, NotALog, is_passed_over};
use super::input::Input;
use super::layout::Layout;
use super::line::{BLOCK_BYTES, LineError, Splitter};

/// A log that is open for reading, and the position up to which it was read.
#[derive(Debug)]
pub struct Tail {
    input: Input,
    layout: Layout,
    skipped_bytes: u64,
    block: Box<[u8]>,
    /// The part of `block` that was read from the file and not returned yet.
    unread: Range<usize>,
    /// Whether the bytes up to the next line end are to be discarded.
    discarding: bool,
    splitter: Splitter,
}

/// Why a file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is a folder, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Its first line has not been written to its end yet.
    #[error("it has no header yet")]
    Empty,
    /// It is not a log.
    #[error(transparent)]
    NotALog(#[from] NotALog),
}

/// What has happened to a file that is being followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is where it was.
    Same,
    /// It is shorter than what was already read of it.
    Truncated,
    /// Its path leads to another file.
    Replaced,
    /// Its path leads nowhere.
    Deleted,
}

/// The state of a file that is being followed.
#[derive(Clone, Copy, Debug)]
pub struct FileStatus {
    /// What has happened to it.
    pub state: FileState,
    /// Its length in bytes.
    pub length: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl Tail {
    /// Opens a log and reads its header. Of the rows that are there already, those in the last
    /// `backlog_bytes` are read, or all if that is `None`.
    ///
    /// # Errors
    /// When there is no log at `path`, or not yet.
    pub fn open(path: &Path, backlog_bytes: Option<u64>) -> Result<Self, TailError> {
        // Opening a pipe would wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Err(TailError::NotAFile);
        }
        let mut input = Input::open(path)?;
        let mut block = vec![0; BLOCK_BYTES].into_boxed_slice();
        let length = input.fill(&mut block)?;
        let Some(dialect) = Dialect::of(&block[..length])? else {
            let is_full = length == BLOCK_BYTES;
            return Err(if is_full { NotALog::found(&block).into() } else { TailError::Empty });
        };
        let rows_begin = dialect.rows_begin as u64;
        // A position in a packed file is only known after unpacking it.
        let begin = match backlog_bytes.filter(|_| !input.is_packed()) {
            Some(bytes) => input.metadata()?.len().saturating_sub(bytes).max(rows_begin),
            None => rows_begin,
        };
        input.go_to(begin)?;
        Ok(Self {
            input,
            layout: dialect.layout,
            skipped_bytes: begin - rows_begin,
            block,
            unread: 0..0,
            discarding: begin > rows_begin,
            splitter: Splitter::new(dialect.separator),
        })
    }

    /// How much of the log lies before the place where reading began, its header aside.
    #[must_use]
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Up to where the log was read, in bytes from its start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// Reads on, and tells how many bytes came: 0 at the end of what is written so far. To be
    /// called when [`Tail::next_row`] has nothing more.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_on(&mut self) -> io::Result<usize> {
        self.block.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let count = self.input.read(&mut self.block[self.unread.end..])?;
        self.unread.end += count;
        Ok(count)
    }

    /// The row in the next whole line that was read; `None` if there is no such line. A last line
    /// without its end is kept until the rest is there. Blank lines and comments are skipped.
    ///
    /// # Errors
    /// When the line is not a row. The next call continues with the line after it.
    pub fn next_row(&mut self) -> Option<Result<Row<'_>, LineError>> {
        loop {
            let line = match self.next_line()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let text = &self.block[line.clone()];
            if is_passed_over(text) {
                continue;
            }
            if let Some(layout) = header_in_between(text, &mut self.splitter) {
                self.layout = layout.days_first(self.layout.has_days_first());
            } else {
                return Some(self.row(line));
            }
        }
    }

    fn row(&mut self, line: Range<usize>) -> Result<Row<'_>, LineError> {
        let line = self.splitter.split(&self.block[line])?;
        Ok(Row::parse(&self.layout, line)?)
    }

    /// Ends the log: a last line without its end is returned, too. To be called when
    /// [`Tail::read_on`] found nothing more.
    pub fn end(&mut self) {
        // A full block without a line end would have been discarded as too long.
        if let Some(free) = self.block.get_mut(self.unread.end) {
            *free = b'\n';
            self.unread.end += 1;
        }
    }

    /// The range of the next whole line in the block, its end included.
    fn next_line(&mut self) -> Option<Result<Range<usize>, LineError>> {
        loop {
            let start = self.unread.start;
            let Some(length) = memchr::memchr(b'\n', &self.block[self.unread.clone()]) else {
                let full = self.unread.len() == self.block.len();
                if full || self.discarding {
                    self.unread = 0..0;
                }
                let news = full && !self.discarding;
                self.discarding |= full;
                return news.then_some(Err(LineError::TooLong));
            };
            self.unread.start = start + length + 1;
            if !std::mem::take(&mut self.discarding) {
                return Some(Ok(start..self.unread.start));
            }
        }
    }

    /// Compares the file with the one that `path`, from which it was opened, leads to now.
    ///
    /// # Errors
    /// When the operating system returns one.
    pub fn status(&self, path: &Path) -> io::Result<FileStatus> {
        let open = self.input.metadata()?;
        let state = match fs::metadata(path) {
            Ok(named) if identity(&named) != identity(&open) => FileState::Replaced,
            Ok(_) if open.len() < self.offset() => FileState::Truncated,
            Ok(_) => FileState::Same,
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileState::Deleted,
            Err(error) => return Err(error),
        };
        Ok(FileStatus { state, length: open.len(), modified: open.modified()? })
    }
}

/// The layout of a header between rows: of a log that was truncated, or of another log appended to
/// the first.
fn header_in_between(line: &[u8], splitter: &mut Splitter) -> Option<Layout> {
    // Nearly all lines are rows, and those begin with a digit.
    if line.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Layout::find(&splitter.split(line).ok()?)
}

/// Identifies a file on this machine.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests;
