//! The log as a file: locked, begun with a header, an older one moved aside.
//!
//! Rows of two runs are never mixed and no file is ever overwritten. A path may also be standard
//! output, a pipe or a device; those are written as they are: not locked, moved or truncated.
//!
//! Other programs may truncate the file while it is written, as a log rotation by copying does. So
//! a file is *begun* whenever it is shorter than it was left: with a header, unless it has one.
//! What could not be begun because the disk was full is begun later.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::beside;
use super::error::JournalError;
use super::form::{Contents, Form};
use super::line::BLOCK_BYTES;
use super::sink::{LogSink, Place, write_as_much};

/// Standard output by its usual name. Opening that name would overwrite a file and fails for a
/// socket, so its descriptor is duplicated instead.
pub const STANDARD_OUTPUT: &str = "/dev/stdout";

/// How often the lock is tried, and the pause in between. A dashboard that checks whether the log
/// has a writer holds it for a moment.
const LOCK_TRIES: u32 = 5;
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A log that this process writes.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    form: Form,
    /// The text of the file beside it.
    meta: Option<String>,
    /// Why that file could not be written, until it is reported.
    warning: Option<String>,
    /// `None` as long as the disk is full, or another process writes it.
    file: Option<File>,
    kind: Kind,
    /// The length of the file after the last write; `None` if it has not been begun.
    length: Option<u64>,
    moved_aside: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A regular file: locked, and truncated after a short write.
    Regular,
    /// One that another process writes, which is about to end.
    Awaited,
    /// Standard output, a pipe or a device.
    Stream,
}

impl Kind {
    /// One that is awaited is tried in every round.
    fn lock_tries(self) -> u32 {
        if self == Self::Awaited { 1 } else { LOCK_TRIES }
    }
}

impl LogFile {
    /// Opens the log of a new run, makes its folders and locks it, or finds that this can't be
    /// done. What is in it stays until [`LogFile::start`]. If the disk is full, it is opened later.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub(super) fn open(
        path: &Path,
        form: Form,
        meta: Option<String>,
    ) -> Result<Self, JournalError> {
        let (kind, opened) = if path == Path::new(STANDARD_OUTPUT) {
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            (Kind::Stream, stdout.map(File::from).map_err(|source| unwritable(path, form, source)))
        } else if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            (Kind::Stream, open_stream(path, form))
        } else {
            (Kind::Regular, open_log(path, form, LOCK_TRIES))
        };
        Ok(Self::new((path, form), meta, or_later(opened)?, kind))
    }

    /// As [`LogFile::open`], but if another process writes the log, waits for its end. Until then
    /// nothing can be written.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub(super) fn open_after(
        path: &Path,
        form: Form,
        meta: Option<String>,
    ) -> Result<Self, JournalError> {
        match Self::open(path, form, meta.clone()) {
            Err(JournalError::Locked { .. }) => {
                Ok(Self::new((path, form), meta, None, Kind::Awaited))
            }
            opened => opened,
        }
    }

    /// Moves an earlier log aside, and writes the header.
    ///
    /// # Errors
    /// See [`JournalError`]. If the disk is full, that is done later.
    pub(super) fn start(&mut self) -> Result<(), JournalError> {
        // A stream may have a slow reader. Only the writer thread may wait for it.
        if self.kind != Kind::Regular {
            return Ok(());
        }
        if let Some(file) = self.file.take() {
            self.file = or_later(self.without_rows(file))?;
        }
        or_later(self.try_to_begin()).map(drop)
    }

    /// [`LogFile::open`], then [`LogFile::start`].
    fn create(path: &Path, form: Form, meta: Option<String>) -> Result<Self, JournalError> {
        let mut log = Self::open(path, form, meta)?;
        log.start().map(|()| log)
    }

    fn new(
        (path, form): (&Path, Form),
        meta: Option<String>,
        file: Option<File>,
        kind: Kind,
    ) -> Self {
        let (path, length, moved_aside) = (path.to_owned(), None, None);
        Self { path, form, meta, warning: None, file, kind, length, moved_aside }
    }

    /// The log itself if it has no rows, else a new one in its place.
    fn without_rows(&mut self, file: File) -> Result<File, JournalError> {
        let (path, form) = (&self.path, self.form);
        let failed = |source| unwritable(path, form, source);
        match contents(&file, form).map_err(failed)? {
            Contents::Nothing | Contents::OurHeader | Contents::SomethingElse => Ok(file),
            Contents::OurRows | Contents::OtherRows => {
                // The old file stays locked until the new one is.
                let aside = move_aside(&file, path).map_err(failed)?;
                beside::move_aside(path, &aside);
                self.moved_aside = Some(aside);
                open_log(path, form, self.kind.lock_tries())
            }
        }
    }

    /// Opens the file if necessary, and begins it unless it is as long as it was left.
    fn try_to_begin(&mut self) -> Result<(), JournalError> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let file = open_log(&self.path, self.form, self.kind.lock_tries())?;
            self.without_rows(file)?
        };
        let file = self.file.insert(file);
        let begun = match (self.kind, self.length) {
            (Kind::Stream, Some(_)) => return Ok(()),
            (Kind::Stream, None) => file.write_all(self.form.header().as_bytes()).map(|()| 0),
            (Kind::Regular | Kind::Awaited, length) => begin(file, &self.form.header(), length),
        };
        let is_new = self.length.is_none() && self.kind != Kind::Stream;
        self.length = Some(begun.map_err(|source| unwritable(&self.path, self.form, source))?);
        if self.kind == Kind::Awaited {
            self.kind = Kind::Regular;
        }
        if let (true, Some(meta)) = (is_new, &self.meta)
            && let Err(error) = beside::put(&self.path, meta)
        {
            let name = beside::meta_path(&self.path);
            self.warning = Some(format!("has no `{}` beside it: {error}", name.display()));
        }
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        let (Some(file), Some(length)) = (&mut self.file, &mut self.length) else {
            return Err(io::Error::other(JournalError::Locked {
                path: self.path.clone(),
                form: self.form,
            }));
        };
        let count = file.write(bytes)?;
        *length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogSink for LogFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn begin(&mut self) -> io::Result<()> {
        let begun = match self.try_to_begin() {
            Err(JournalError::Locked { .. }) if self.is_awaited() => Ok(()),
            begun => begun,
        };
        begun.map_err(|error| match error {
            JournalError::Unwritable { source, .. } => source,
            error => io::Error::other(error),
        })
    }

    fn is_awaited(&self) -> bool {
        self.kind == Kind::Awaited
    }

    fn warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    fn moved_aside(&mut self) -> Option<PathBuf> {
        self.moved_aside.take()
    }

    fn truncate_tail(&mut self, count: u64) -> io::Result<()> {
        let (Some(file), Kind::Regular) = (&self.file, self.kind) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // Its length now, because another program may have truncated it meanwhile.
        file.set_len(file.metadata()?.len().saturating_sub(count))?;
        self.length = self.length.map(|length| length.saturating_sub(count));
        Ok(())
    }

    fn reopen(&mut self, place: Option<Place>) -> Result<(), JournalError> {
        if let Some(Place { path, meta }) = place {
            // Another name of the same file is no other log: it could not be locked again.
            if path != self.path && !self.file.as_ref().is_some_and(|file| is_at(file, &path)) {
                *self = Self::create(&path, self.form, meta)?;
                return Ok(());
            }
            (self.path, self.meta) = (path, meta);
        }
        match self.kind {
            Kind::Stream => return Ok(()),
            // It is opened by its path in the next round. If it was opened already and the disk was
            // full, that file may have been renamed.
            Kind::Awaited => {
                self.file = None;
                return Ok(());
            }
            Kind::Regular => {}
        }
        // The lock that is held would prevent a second one on the same file.
        if self.file.as_ref().is_none_or(|file| is_at(file, &self.path)) {
            self.length = None;
            return self.try_to_begin();
        }
        let failed = |source| unwritable(&self.path, self.form, source);
        let file = open_locked(&self.path, self.form, LOCK_TRIES)?;
        if !matches!(
            contents(&file, self.form).map_err(failed)?,
            Contents::Nothing | Contents::OurHeader | Contents::OurRows
        ) {
            return Err(JournalError::NotALog { path: self.path.clone(), form: self.form });
        }
        let mut reopened =
            Self::new((&self.path, self.form), self.meta.clone(), Some(file), Kind::Regular);
        reopened.try_to_begin()?;
        *self = reopened;
        Ok(())
    }
}

/// Writes what must stand before the next row of a file that was left `left` bytes long, and
/// returns its length. Nothing is written unless the file was truncated or is new. Otherwise a torn
/// last line gets its end, and the file a header if it does not begin with one. Rows that were
/// written after the truncation and before this call are above the header.
fn begin(file: &mut File, header: &str, left: Option<u64>) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if left.is_some_and(|left| length >= left) {
        return Ok(length);
    }
    let mut start = vec![0; header.len()];
    let count = read_start(file, &mut start)?;
    let mut text = String::new();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_at(&mut last, length - 1)?;
    }
    if last != *b"\n" {
        text.push('\n');
    }
    if start[..count] != *header.as_bytes() {
        text.push_str(header);
    }
    match write_as_much(file, text.as_bytes()) {
        (_, None) => Ok(length + text.len() as u64),
        (_, Some(error)) => {
            // Part of a header would not be recognised.
            file.set_len(length)?;
            Err(error)
        }
    }
}

/// Nothing if there was no space, because that may change.
fn or_later<T>(done: Result<T, JournalError>) -> Result<Option<T>, JournalError> {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match done {
        Err(JournalError::Unwritable { source, .. })
            if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge) =>
        {
            Ok(None)
        }
        done => done.map(Some),
    }
}

pub(super) fn unwritable(path: &Path, form: Form, source: io::Error) -> JournalError {
    JournalError::Unwritable { path: path.to_owned(), form, source }
}

/// Opens what is not a regular file. A pipe without a reader is refused rather than waited for.
fn open_stream(path: &Path, form: Form) -> Result<File, JournalError> {
    let failed = |source| unwritable(path, form, source);
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().write(true).custom_flags(nonblocking).open(path);
    let file = opened.map_err(|source| {
        let is_pipe = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NXIO) if is_pipe => JournalError::NoReader { path: path.to_owned(), form },
            _ => failed(source),
        }
    })?;
    // From here on only the writer thread waits for a slow reader; rows that do not fit into the
    // rings meanwhile are counted as lost.
    let blocking = rustix::fs::fcntl_getfl(&file).map(|flags| flags.difference(OFlags::NONBLOCK));
    let set = blocking.and_then(|flags| rustix::fs::fcntl_setfl(&file, flags));
    set.map_err(|errno| failed(errno.into()))?;
    Ok(file)
}

/// Opens and locks a log, which may have rows.
fn open_log(path: &Path, form: Form, lock_tries: u32) -> Result<File, JournalError> {
    let file = open_locked(path, form, lock_tries)?;
    match contents(&file, form).map_err(|source| unwritable(path, form, source))? {
        Contents::SomethingElse => Err(JournalError::NotALog { path: path.to_owned(), form }),
        _ => Ok(file),
    }
}

/// Whether a writer holds the lock on the log at `path`; `None` if that cannot be found out.
///
/// If the lock is free it is taken for a moment, as a shared one, so that two processes that check
/// do not take each other for a writer. A writer that begins in this moment tries again.
#[must_use]
pub fn is_held(path: &Path) -> Option<bool> {
    let file = File::open(path).ok()?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Some(false),
        Err(Errno::WOULDBLOCK) => Some(true),
        Err(_) => None,
    }
}

/// Opens or makes the file at `path`, with its folders, and takes the writer's lock on it.
fn open_locked(path: &Path, form: Form, lock_tries: u32) -> Result<File, JournalError> {
    let failed = |source| unwritable(path, form, source);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut tries_left = lock_tries;
    loop {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = opened.map_err(failed)?;
        // A file system without locks must not prevent writing.
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            == Err(Errno::WOULDBLOCK)
        {
            tries_left -= 1;
            if tries_left == 0 {
                return Err(JournalError::Locked { path: path.to_owned(), form });
            }
            thread::park_timeout(LOCK_PAUSE);
            continue;
        }
        // The process that held the lock before may have moved the file away.
        if is_at(&file, path) {
            return Ok(file);
        }
    }
}

/// Whether `path` still names the open file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    are_one(&open, &named)
}

pub(super) fn are_one(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

pub(super) fn contents(file: &File, form: Form) -> io::Result<Contents> {
    let mut start = vec![0; BLOCK_BYTES];
    let length = read_start(file, &mut start)?;
    Ok(form.contents(&start[..length]))
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
