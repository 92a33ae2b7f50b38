//! Whether logs could be written, found out without changing anything.

use std::fs::{self, Metadata, OpenOptions};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::error::JournalError;
use super::file::{LOCK_PAUSE, STANDARD_OUTPUT, are_one, contents, is_held, unwritable};
use super::form::{Contents, Form};
use crate::sandbox::real;

/// How often the lock is tried before a running proxy refuses to go on in another log.
const NEXT_TRIES: u32 = 50;

/// Checks whether a log could be written at `path`, without changing anything.
///
/// # Errors
/// See [`JournalError`]. What only an attempt would show, such as a full disk, is not found. A log
/// that another process is writing is not an error, because that process may end before this run
/// begins.
pub fn check(path: &Path, form: Form) -> Result<(), JournalError> {
    check_writable(path, form, false)
}

/// `is_own`: this process writes the log and goes on, so that nothing is moved.
fn check_writable(path: &Path, form: Form, is_own: bool) -> Result<(), JournalError> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(());
    }
    let failed = |source| unwritable(path, form, source);
    let denied = |errno: Errno| failed(errno.into());
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed)?;
            match contents(&file, form).map_err(failed)? {
                Contents::SomethingElse => {
                    Err(JournalError::NotALog { path: path.to_owned(), form })
                }
                Contents::Nothing | Contents::OurHeader => Ok(()),
                _ if is_own => Ok(()),
                // It would be moved aside in its folder.
                Contents::OurRows | Contents::OtherRows => {
                    let real = real(path);
                    let folder = real.parent().unwrap_or(Path::new("/"));
                    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(denied)
                }
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

/// As [`check`], for a log that is to follow the one at `now`, which this process writes. Unless it
/// is the same file, no other process may write it; if one does, that is waited for a little,
/// because this process may itself still be about to leave the file.
///
/// # Errors
/// See [`JournalError`].
pub fn check_next(now: &Path, next: &Path, form: Form) -> Result<(), JournalError> {
    // Neither a pipe nor a device is locked.
    let regular = |path| fs::metadata(path).ok().filter(Metadata::is_file);
    let [own, found] = [now, next].map(regular);
    let is_one = own.zip(found.as_ref()).is_some_and(|(own, found)| are_one(&own, found));
    let is_own = now == next || is_one;
    check_writable(next, form, is_own)?;
    if is_own || found.is_none() {
        return Ok(());
    }
    for _ in 0..NEXT_TRIES {
        if is_held(next) != Some(true) {
            return Ok(());
        }
        thread::park_timeout(LOCK_PAUSE);
    }
    Err(JournalError::Locked { path: next.to_owned(), form })
}

/// Checks that rows and choices would not be in one file, which may have several names.
///
/// # Errors
/// They would.
pub fn check_distinct(log: Option<&Path>, decisions: Option<&Path>) -> Result<(), JournalError> {
    let (Some(log), Some(decisions)) = (log, decisions) else { return Ok(()) };
    let is_one = match (fs::metadata(log), fs::metadata(decisions)) {
        // Both may go to one character device, such as /dev/null or a terminal.
        (Ok(one), Ok(_)) if one.file_type().is_char_device() => false,
        (Ok(one), Ok(other)) => are_one(&one, &other),
        _ => real(log) == real(decisions),
    };
    if is_one {
        let [log, decisions] = [log, decisions].map(Path::to_owned);
        return Err(JournalError::OneFile { log, decisions });
    }
    Ok(())
}
