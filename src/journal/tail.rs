//! Follows a log while it is written, and hands out its rows as they come.
//!
//! A tail reads in blocks of one size, so that it needs the same memory for any file, and may begin
//! near the end of one that is too long to read whole. One that is compressed with gzip is read
//! whole. It opens the log for reading only, takes no lock and never waits. Which file to follow,
//! and what it means that one was cut, replaced or deleted, is for its user to decide.

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

/// A log that is open for reading, and the place up to which it was read.
#[derive(Debug)]
pub struct Tail {
    input: Input,
    layout: Layout,
    skipped_bytes: u64,
    block: Box<[u8]>,
    /// The part of `block` that was read from the file and not handed out.
    unread: Range<usize>,
    /// Whether what comes next, up to a line end, belongs to a line that is not wanted.
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
    #[error("it is no regular file")]
    NotAFile,
    /// Its first line has not been written to its end yet.
    #[error("it has no header yet")]
    Empty,
    /// It begins as no log does.
    #[error(transparent)]
    NotALog(#[from] NotALog),
}

/// What has become of a file that is being followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is where it was.
    Kept,
    /// It is shorter than what was already read of it.
    Cut,
    /// Its path names another file.
    Replaced,
    /// Its path names nothing.
    Deleted,
}

/// A look at a file that is being followed.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// What has become of it.
    pub fate: Fate,
    /// Its length in bytes.
    pub length: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl Tail {
    /// Opens a log and reads its header. Of rows that are there already only those in its last
    /// `backlog_bytes` are read, or all if that is `None`.
    ///
    /// # Errors
    /// When there is no log at `path`, or not yet.
    pub fn open(path: &Path, backlog_bytes: Option<u64>) -> Result<Self, TailError> {
        // Opening a pipe would wait for its writer, so it is asked first.
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
        // Where something begins in what is packed is not known before it is unpacked.
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
    /// without its end is kept until the rest is there. Blank lines and comments are passed over.
    ///
    /// # Errors
    /// When the line is no row. The next one is tried at the next call.
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

    /// Takes the log for ended: a last line without its end is handed out, too. To be called when
    /// [`Tail::read_on`] found nothing more.
    pub fn end(&mut self) {
        // A full block without a line end would have been given up as too long.
        if let Some(free) = self.block.get_mut(self.unread.end) {
            *free = b'\n';
            self.unread.end += 1;
        }
    }

    /// Where the next whole line stands in the block, its end included.
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

    /// Looks at the file, and at what `path`, from which it was opened, names now.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn look(&self, path: &Path) -> io::Result<Sight> {
        let open = self.input.metadata()?;
        let fate = match fs::metadata(path) {
            Ok(named) if identity(&named) != identity(&open) => Fate::Replaced,
            Ok(_) if open.len() < self.offset() => Fate::Cut,
            Ok(_) => Fate::Kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Fate::Deleted,
            Err(error) => return Err(error),
        };
        Ok(Sight { fate, length: open.len(), modified: open.modified()? })
    }
}

/// The layout that a line tells which is no row but a header: of a log that was cut, or of one log
/// behind another.
fn header_in_between(line: &[u8], splitter: &mut Splitter) -> Option<Layout> {
    // Nearly all lines are rows, and those begin with a digit.
    if line.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Layout::find(&splitter.split(line).ok()?)
}

/// Tells files of one machine apart.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests;
