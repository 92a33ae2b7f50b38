//! The log as a file: claimed by a lock, begun with a header, an older one moved aside.
//!
//! Rows of two runs are never mixed and no file is ever overwritten. A path may also be standard
//! output, a pipe or a device; those are written as they are: not locked, not moved, not cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Access, FlockOperation, OFlags, access};
use rustix::io::Errno;

use super::error::JournalError;
use super::medium::Medium;
use super::schema::{COLUMNS, CONTRACT_COLUMNS, header};

/// Standard output by its usual name. Opening that name would write over what is already there if
/// it is a file, and fails if it is a socket; so its descriptor is taken instead.
const STDOUT: &str = "/dev/stdout";

/// A log that is ours to write.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    kind: Kind,
    moved_aside: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file of our own under a name: locked, and cut back after a short write.
    Regular,
    /// Standard output, a pipe or a device.
    Stream,
}

/// What stands in a file that is to become our log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    Nothing,
    OurHeader,
    OurRows,
    /// Rows of another version of this format, or of another tool.
    OtherRows,
    SomethingElse,
}

impl LogFile {
    /// Opens the log of a new run, makes its folders and writes its header.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub(super) fn create(path: &Path) -> Result<Self, JournalError> {
        let log = if path == Path::new(STDOUT) {
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            let file = File::from(stdout.map_err(|source| unwritable(path, source))?);
            Self::new(path, file, Kind::Stream, None)
        } else if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            Self::new(path, open_stream(path)?, Kind::Stream, None)
        } else {
            let (file, moved_aside) = open_fresh(path)?;
            Self::new(path, file, Kind::Regular, moved_aside)
        };
        // A stream may have a reader that is slow; waiting for it is for the thread that writes.
        if log.kind == Kind::Regular {
            log.begin_file().map_err(|source| unwritable(path, source))?;
        }
        Ok(log)
    }

    fn new(path: &Path, file: File, kind: Kind, moved_aside: Option<PathBuf>) -> Self {
        Self { path: path.to_owned(), file, kind, moved_aside }
    }

    /// Where the log of an earlier run went.
    pub(super) fn moved_aside(&self) -> Option<&Path> {
        self.moved_aside.as_deref()
    }

    /// Writes what has to stand before the first row: a header, or the end of a torn last line.
    fn begin_file(&self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let mut last = [b'\n'];
        if self.kind == Kind::Regular && length > 0 {
            self.file.read_at(&mut last, length - 1)?;
            return if last == *b"\n" { Ok(()) } else { (&self.file).write_all(b"\n") };
        }
        (&self.file).write_all(header().as_bytes())
    }

    fn take_back(&self, count: u64) -> io::Result<()> {
        if self.kind == Kind::Stream {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // Asked anew, for the file may have been cut by another program meanwhile.
        self.file.set_len(self.file.metadata()?.len().saturating_sub(count))
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for LogFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.kind == Kind::Stream { self.begin_file() } else { Ok(()) }
    }

    fn take_back(&mut self, count: u64) -> io::Result<()> {
        LogFile::take_back(self, count)
    }

    fn reopen(&mut self) -> Result<(), JournalError> {
        if self.kind == Kind::Stream {
            return Ok(());
        }
        let failed = |source| unwritable(&self.path, source);
        // Our own lock is in the way of a second one on the same file.
        if is_at(&self.file, &self.path) {
            return self.begin_file().map_err(failed);
        }
        let file = open_locked(&self.path)?;
        if !matches!(
            contents(&file).map_err(failed)?,
            Contents::Nothing | Contents::OurHeader | Contents::OurRows
        ) {
            return Err(JournalError::NotALog { path: self.path.clone() });
        }
        let reopened = Self::new(&self.path, file, Kind::Regular, None);
        reopened.begin_file().map_err(failed)?;
        *self = reopened;
        Ok(())
    }
}

/// Looks whether a log could be written at `path`, and leaves everything as it is.
///
/// # Errors
/// See [`JournalError`]. What only the attempt would show, such as a full disk, is not found, and a
/// log that another process is writing now is none, for that one may end before this run begins.
pub fn check(path: &Path) -> Result<(), JournalError> {
    if path == Path::new(STDOUT) {
        return Ok(());
    }
    let failed = |source| unwritable(path, source);
    let denied = |errno: Errno| failed(errno.into());
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed)?;
            match contents(&file).map_err(failed)? {
                Contents::SomethingElse => Err(JournalError::NotALog { path: path.to_owned() }),
                _ => Ok(()),
            }
        }
        Ok(found) if found.is_dir() => Err(denied(Errno::ISDIR)),
        Ok(_) => access(path, Access::WRITE_OK).map_err(denied),
        Err(_) => {
            // The folders between the last one that exists and the file would be made.
            let folders = path.ancestors().skip(1).map(|folder| match folder.as_os_str().len() {
                0 => Path::new("."),
                _ => folder,
            });
            let there =
                folders.into_iter().find_map(|folder| Some((folder, fs::metadata(folder).ok()?)));
            let (folder, found) = there.ok_or_else(|| denied(Errno::NOENT))?;
            if !found.is_dir() {
                return Err(denied(Errno::NOTDIR));
            }
            access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(denied)
        }
    }
}

fn unwritable(path: &Path, source: io::Error) -> JournalError {
    JournalError::Unwritable { path: path.to_owned(), source }
}

/// Opens what is no regular file. A pipe that nothing reads is refused rather than waited for.
fn open_stream(path: &Path) -> Result<File, JournalError> {
    let failed = |source| unwritable(path, source);
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().write(true).custom_flags(nonblocking).open(path);
    let file = opened.map_err(|source| {
        let is_pipe = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NXIO) if is_pipe => JournalError::NoReader { path: path.to_owned() },
            _ => failed(source),
        }
    })?;
    // From here on the thread may wait for a slow reader; the rings count what it misses.
    let blocking = rustix::fs::fcntl_getfl(&file).map(|flags| flags.difference(OFlags::NONBLOCK));
    let set = blocking.and_then(|flags| rustix::fs::fcntl_setfl(&file, flags));
    set.map_err(|errno| failed(errno.into()))?;
    Ok(file)
}

/// Opens a log without rows, moving one that has rows aside.
fn open_fresh(path: &Path) -> Result<(File, Option<PathBuf>), JournalError> {
    let failed = |source| unwritable(path, source);
    let file = open_locked(path)?;
    match contents(&file).map_err(failed)? {
        Contents::Nothing | Contents::OurHeader => Ok((file, None)),
        Contents::SomethingElse => Err(JournalError::NotALog { path: path.to_owned() }),
        Contents::OurRows | Contents::OtherRows => {
            // The lock is held until the new file has its own.
            let aside = move_aside(&file, path).map_err(failed)?;
            Ok((open_locked(path)?, Some(aside)))
        }
    }
}

/// Opens or makes the file at `path`, with its folders, and takes the writer's lock on it.
fn open_locked(path: &Path) -> Result<File, JournalError> {
    let failed = |source| unwritable(path, source);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    loop {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = opened.map_err(failed)?;
        // A file system that knows no locks must not keep us from writing.
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            == Err(Errno::WOULDBLOCK)
        {
            return Err(JournalError::Locked { path: path.to_owned() });
        }
        // Whoever held the lock just now may have moved the file away.
        if is_at(&file, path) {
            return Ok(file);
        }
    }
}

/// Whether `path` still names the open file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn contents(file: &File) -> io::Result<Contents> {
    let (header, contract) = (header(), COLUMNS[..CONTRACT_COLUMNS].join(","));
    // One byte more than the header tells whether rows follow it.
    let mut start = vec![0; header.len() + 1];
    let length = read_start(file, &mut start)?;
    start.truncate(length);
    Ok(match start.strip_prefix(header.as_bytes()) {
        _ if start.is_empty() => Contents::Nothing,
        Some([]) => Contents::OurHeader,
        Some(_) => Contents::OurRows,
        None if start.starts_with(contract.as_bytes()) => Contents::OtherRows,
        None => Contents::SomethingElse,
    })
}

fn read_start(file: &File, start: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    loop {
        match file.read_at(&mut start[length..], length as u64)? {
            0 => return Ok(length),
            count => length += count,
        }
    }
}

/// Renames a log after the date of its last row, beside its old place, and never over another file.
fn move_aside(file: &File, path: &Path) -> io::Result<PathBuf> {
    let modified = file.metadata()?.modified()?;
    // A link stays where it is, and its target is moved.
    let path = fs::canonicalize(path)?;
    let mut taken = 0;
    loop {
        let aside = aside_name(&path, modified, taken);
        if fs::symlink_metadata(&aside).is_err() {
            fs::rename(&path, &aside)?;
            return Ok(aside);
        }
        taken += 1;
    }
}

/// `logs/x.csv` becomes `logs/x.2026-11-23T10-11-12Z.csv`, or `…Z-1.csv` if that name is taken.
fn aside_name(path: &Path, modified: SystemTime, taken: u32) -> PathBuf {
    let date = jiff::Timestamp::try_from(modified).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(date.strftime(".%Y-%m-%dT%H-%M-%SZ").to_string());
    if taken > 0 {
        name.push(format!("-{taken}"));
    }
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
