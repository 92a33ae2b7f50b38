//! Follows a file while it is written, and returns its lines as they come.
//!
//! It is read in blocks of one size, so that this needs the same memory for any file, and may begin
//! near the end of a long one. A file that is compressed with gzip is read as a whole. The file is
//! opened for reading only, without a lock, and reading never waits.

use std::fs::{self, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::input::Input;
use super::line::{BLOCK_BYTES, LineError};
use super::tail::TailError;

/// A file that is open for reading, and the position up to which it was read.
#[derive(Debug)]
pub struct Lines {
    input: Input,
    block: Box<[u8]>,
    /// The part of `block` that was read from the file and not returned yet.
    unread: Range<usize>,
    /// Whether the bytes up to the next line end are to be discarded.
    discarding: bool,
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

impl Lines {
    /// Opens a file. Of the lines that are there already, those in the last `backlog_bytes` are
    /// read, or all if that is `None`.
    ///
    /// # Errors
    /// When there is no regular file at `path`, or it cannot be read.
    pub fn open(path: &Path, backlog_bytes: Option<u64>) -> Result<Self, TailError> {
        // Opening a pipe would wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Err(TailError::NotAFile);
        }
        let block = vec![0; BLOCK_BYTES].into_boxed_slice();
        let mut lines = Self { input: Input::open(path)?, block, unread: 0..0, discarding: false };
        lines.begin(0, backlog_bytes)?;
        Ok(lines)
    }

    /// The first block of the file, from which reading goes on behind it.
    pub(super) fn first_block(&mut self) -> io::Result<&[u8]> {
        let length = self.input.fill(&mut self.block)?;
        Ok(&self.block[..length])
    }

    /// Begins with the line at `first`, or near the end if there is more behind it than
    /// `backlog_bytes`. Returns how many bytes are left out.
    pub(super) fn begin(&mut self, first: u64, backlog_bytes: Option<u64>) -> io::Result<u64> {
        // A position in a packed file is only known after unpacking it.
        let begin = match backlog_bytes.filter(|_| !self.input.is_packed()) {
            Some(bytes) => self.input.metadata()?.len().saturating_sub(bytes).max(first),
            None => first,
        };
        self.input.go_to(begin)?;
        self.unread = 0..0;
        self.discarding = begin > first;
        Ok(begin - first)
    }

    /// Up to where the file was read, in bytes from its start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// Reads on, and tells how many bytes came: 0 at the end of what is written so far. To be
    /// called when [`Lines::next_line`] has nothing more.
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

    /// Where the next whole line is that was read, its end included; `None` if there is none. A
    /// last line without its end is kept until the rest is there.
    ///
    /// # Errors
    /// When the line is too long. The next call continues with the line after it.
    pub fn next_line(&mut self) -> Option<Result<Range<usize>, LineError>> {
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

    /// The line at this place, until more is read.
    #[must_use]
    pub fn at(&self, range: Range<usize>) -> &[u8] {
        &self.block[range]
    }

    /// Ends the file: a last line without its end is returned, too. To be called when
    /// [`Lines::read_on`] found nothing more.
    pub(super) fn end(&mut self) {
        // A full block without a line end would have been discarded as too long.
        if let Some(free) = self.block.get_mut(self.unread.end) {
            *free = b'\n';
            self.unread.end += 1;
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

/// Identifies a file on this machine.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
