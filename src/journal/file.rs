//! The file rows go to: opened without ever mixing two runs, written whole row by whole row.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::error::JournalError;
use super::row::HEADER;

/// An open log.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether it can be cut back, locked and moved aside.
    regular: bool,
}

impl LogFile {
    /// Starts a log at `path`. Folders are made, and a log of an earlier run is moved aside.
    pub(super) fn start(path: &Path) -> Result<Self, JournalError> {
        let refuse = |source| JournalError::Open { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(refuse)?;
        }
        match fs::metadata(path) {
            Ok(found) if found.file_type().is_fifo() => return Self::open_pipe(path),
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().append(true).open(path).map_err(refuse)?;
                let mut log = Self { path: path.to_owned(), file, regular: false };
                log.put_header().map_err(refuse)?;
                return Ok(log);
            }
            _ => {}
        }
        let earlier = Self::open_locked(path)?;
        if !earlier.holds_rows().map_err(refuse)? {
            return earlier.with_header();
        }
        // The lock is held until the file has its new name, so no other proxy writes to it.
        let aside = free_name(path, &earlier.file).map_err(refuse)?;
        fs::rename(path, aside).map_err(refuse)?;
        Self::open_locked(path)?.with_header()
    }

    /// Opens the path again, after a rotation; `None` if the file there is the one already open.
    pub(super) fn reopen(&self) -> Result<Option<Self>, JournalError> {
        let refuse = |source| JournalError::Open { path: self.path.clone(), source };
        if !self.regular {
            return Ok(None);
        }
        let ours = self.file.metadata().map_err(refuse)?;
        match fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => Ok(None),
            _ => Self::open_locked(&self.path)?.with_header().map(Some),
        }
    }

    fn open_locked(path: &Path) -> Result<Self, JournalError> {
        let refuse = |source| JournalError::Open { path: path.to_owned(), source };
        let file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(refuse)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), file, regular: true }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path: path.to_owned() }),
            // A file system without locks has to do without.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Self { path: path.to_owned(), file, regular: true })
            }
            Err(TryLockError::Error(error)) => Err(refuse(error)),
        }
    }

    /// A pipe is opened without waiting for a reader, and written with waiting: the ring in front of
    /// the writer takes what a slow reader leaves.
    fn open_pipe(path: &Path) -> Result<Self, JournalError> {
        let refuse = |source| JournalError::Open { path: path.to_owned(), source };
        let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let opened = OpenOptions::new().append(true).custom_flags(no_wait).open(path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
                JournalError::NoReader { path: path.to_owned() }
            }
            _ => refuse(error),
        })?;
        rustix::fs::fcntl_setfl(&file, OFlags::APPEND).map_err(|error| refuse(error.into()))?;
        let mut log = Self { path: path.to_owned(), file, regular: false };
        log.put_header().map_err(refuse)?;
        Ok(log)
    }

    fn with_header(mut self) -> Result<Self, JournalError> {
        let empty = self.file.metadata().map(|found| found.len() == 0);
        let written = empty.and_then(|empty| if empty { self.put_header() } else { Ok(()) });
        written.map_err(|source| JournalError::Open { path: self.path.clone(), source })?;
        Ok(self)
    }

    fn put_header(&mut self) -> io::Result<()> {
        self.file.write_all(format!("{HEADER}\n").as_bytes())
    }

    /// Whether there is more in it than our header.
    fn holds_rows(&self) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        let header = format!("{HEADER}\n");
        if length != header.len() as u64 {
            return Ok(length > 0);
        }
        Ok(fs::read(&self.path)? != header.as_bytes())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes whole rows, each ended by a line feed. A write that comes up short is cut back to the
    /// last whole row.
    ///
    /// # Errors
    /// What the system said, and how many rows of this batch are in the file all the same.
    pub(super) fn write(&mut self, rows: &[u8]) -> Result<(), (u64, io::Error)> {
        let mut written = 0;
        while written < rows.len() {
            match self.file.write(&rows[written..]) {
                Ok(0) => {
                    return Err((self.cut_back(rows, written), io::ErrorKind::WriteZero.into()));
                }
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((self.cut_back(rows, written), error)),
            }
        }
        Ok(())
    }

    /// The last `written` bytes of the file end somewhere in `rows`: removes the row that was begun.
    /// Returns how many rows stay.
    fn cut_back(&self, rows: &[u8], written: usize) -> u64 {
        let whole = memchr::memrchr(b'\n', &rows[..written]).map_or(0, |at| at + 1);
        let begun = (written - whole) as u64;
        if begun > 0 && self.regular {
            let cut = self.file.metadata().map(|found| found.len().saturating_sub(begun));
            // If even that fails the reader finds one broken row, which it counts.
            let _ = cut.and_then(|length| self.file.set_len(length));
        }
        memchr::memchr_iter(b'\n', &rows[..whole]).count() as u64
    }
}

/// A name for an earlier log that no file has: `x.csv` becomes `x.2026-11-23T10-11-12.csv`, by the
/// time of its last row.
fn free_name(path: &Path, file: &File) -> io::Result<PathBuf> {
    let modified = jiff::Timestamp::try_from(file.metadata()?.modified()?).unwrap_or_default();
    let date = modified.strftime("%Y-%m-%dT%H-%M-%S").to_string();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension =
        path.extension().map_or(String::new(), |text| format!(".{}", text.to_string_lossy()));
    let mut name = path.with_file_name(format!("{stem}.{date}{extension}"));
    for count in 1.. {
        if !name.exists() {
            break;
        }
        name = path.with_file_name(format!("{stem}.{date}-{count}{extension}"));
    }
    Ok(name)
}
