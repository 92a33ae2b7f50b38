//! Follows a log while it is written, and returns its rows as they come.
//!
//! Its user decides which file to follow, and what to do when it was truncated, replaced or
//! deleted.

use std::io;
use std::ops::Range;
use std::path::Path;

use super::columns::Row;
use super::dialect::{Dialect, NotALog, is_passed_over};
use super::layout::Layout;
use super::line::{BLOCK_BYTES, LineError, Splitter};
use super::lines::{FileStatus, Lines};

/// A log that is open for reading, and the position up to which it was read.
#[derive(Debug)]
pub struct Tail {
    lines: Lines,
    layout: Layout,
    skipped_bytes: u64,
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

impl Tail {
    /// Opens a log and reads its header. Of the rows that are there already, those in the last
    /// `backlog_bytes` are read, or all if that is `None`.
    ///
    /// # Errors
    /// When there is no log at `path`, or not yet.
    pub fn open(path: &Path, backlog_bytes: Option<u64>) -> Result<Self, TailError> {
        let mut lines = Lines::open(path, None)?;
        let block = lines.first_block()?;
        let Some(dialect) = Dialect::of(block)? else {
            let is_full = block.len() == BLOCK_BYTES;
            return Err(if is_full { NotALog::found(block).into() } else { TailError::Empty });
        };
        let skipped_bytes = lines.begin(dialect.rows_begin as u64, backlog_bytes)?;
        let splitter = Splitter::new(dialect.separator);
        Ok(Self { lines, layout: dialect.layout, skipped_bytes, splitter })
    }

    /// How much of the log lies before the place where reading began, its header aside.
    #[must_use]
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Up to where the log was read, in bytes from its start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// Reads on, and tells how many bytes came: 0 at the end of what is written so far. To be
    /// called when [`Tail::next_row`] has nothing more.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_on(&mut self) -> io::Result<usize> {
        self.lines.read_on()
    }

    /// The row in the next whole line that was read; `None` if there is no such line. A last line
    /// without its end is kept until the rest is there. Blank lines and comments are skipped.
    ///
    /// # Errors
    /// When the line is not a row. The next call continues with the line after it.
    pub fn next_row(&mut self) -> Option<Result<Row<'_>, LineError>> {
        loop {
            let line = match self.lines.next_line()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let text = self.lines.at(line.clone());
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
        let line = self.splitter.split(self.lines.at(line))?;
        Ok(Row::parse(&self.layout, line)?)
    }

    /// Ends the log: a last line without its end is returned, too. To be called when
    /// [`Tail::read_on`] found nothing more.
    pub fn end(&mut self) {
        self.lines.end();
    }

    /// Compares the file with the one that `path`, from which it was opened, leads to now.
    ///
    /// # Errors
    /// When the operating system returns one.
    pub fn status(&self, path: &Path) -> io::Result<FileStatus> {
        self.lines.status(path)
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

#[cfg(test)]
mod tests;
