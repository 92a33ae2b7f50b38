//! Where the rows come from: one log, or the newest of a folder.
//!
//! A source decides which file is followed, and until when: it may be truncated or replaced, or a
//! newer run may begin. An error of the file system becomes a sentence on the page, and the source
//! tries again later; nothing here ends the dashboard.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::description::Description;
use crate::journal::{FileState, FileStatus, Tail, TailError, is_held};

/// A log at most this old counts as being written.
const LIVE_S: u64 = 3;

/// With more than this to read, the figures are not those of the present yet.
const BEHIND_BYTES: u64 = 1 << 20;

/// A folder is searched at every tenth look.
const LOOKS_PER_SEARCH: u32 = 10;

/// How the source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// There is no log yet.
    Waiting,
    /// There is a log without a row.
    Empty,
    /// The log is being read up to the present.
    Reading,
    /// Rows come.
    Live,
    /// No row has come for some seconds, and a proxy has the log locked.
    Idle,
    /// No row has come for some seconds, and the proxy that wrote the log has it locked no more.
    Ended,
    /// No row has come for some seconds, and nothing is known of the writer.
    Silent,
    /// The log was deleted.
    Deleted,
    /// The log cannot be read, or is not a log.
    Unreadable,
}

/// Why this log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Beginning {
    /// It is the first log.
    Opened,
    /// The log was truncated, and is read from its start.
    Cut,
    /// Another file took its place.
    Replaced,
    /// A newer log appeared in the folder.
    Newer,
}

/// The state of the source, for the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Status {
    pub(super) state: State,
    /// The state as a sentence.
    pub(super) message: String,
    /// The log that is followed.
    pub(super) path: Option<String>,
    pub(super) beginning: Beginning,
    /// Whether a proxy has the log locked; `None` if that does not matter or is unknown.
    pub(super) is_held: Option<bool>,
    /// How many seconds ago the log was last written.
    pub(super) silent_s: Option<u64>,
    pub(super) size_bytes: u64,
    /// How much of the log is still to be read.
    pub(super) behind_bytes: u64,
    /// How much was skipped before the position where reading began.
    pub(super) skipped_bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    /// The file or folder that was named, which need not exist.
    place: PathBuf,
    backlog_bytes: Option<u64>,
    followed: Option<Followed>,
    looks: u32,
    status: Status,
}

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    tail: Tail,
    beginning: Beginning,
    description: Option<Description>,
    /// Whether a proxy has the log locked; `None` if that does not matter or is unknown.
    is_held: Option<bool>,
}

impl Source {
    /// Follows `place`; of an existing log the last `backlog_bytes` are read.
    pub(super) fn new(place: PathBuf, backlog_bytes: Option<u64>) -> Self {
        let status = Status::without_log(State::Waiting, waiting_for(&place));
        Self { place, backlog_bytes, followed: None, looks: 0, status }
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    /// The log that is followed.
    pub(super) fn tail(&mut self) -> Option<&mut Tail> {
        self.followed.as_mut().map(|followed| &mut followed.tail)
    }

    /// What the proxy wrote beside the log that is followed.
    pub(super) fn description(&self) -> Option<Description> {
        self.followed.as_ref()?.description.clone()
    }

    /// The name of the file that is followed, without its extension.
    pub(super) fn stem(&self) -> Option<String> {
        let stem = self.followed.as_ref()?.path.file_stem()?;
        Some(stem.to_string_lossy().into_owned())
    }

    /// Looks at the file system. Returns whether another log, or the same one from its start, is
    /// followed from now on, so that counting has to begin anew.
    pub(super) fn look(&mut self, now: SystemTime) -> bool {
        let searches = self.looks.is_multiple_of(LOOKS_PER_SEARCH);
        self.looks = self.looks.wrapping_add(1);
        let Some(followed) = &mut self.followed else { return searches && self.begin(now) };
        let file = match followed.tail.status(&followed.path) {
            Ok(file) => file,
            Err(error) => {
                let why = format!("cannot look at {}: {error}", followed.path.display());
                self.status.say(State::Unreadable, why);
                return false;
            }
        };
        let quiet = silence(&file, now) >= LIVE_S;
        if !quiet && followed.description.is_none() {
            followed.is_held = None;
        } else if searches || followed.is_held.is_none() {
            followed.is_held = is_held(&followed.path);
        }
        self.status = followed.status(&file, now);
        let (path, beginning) = (followed.path.clone(), followed.beginning);
        let is_described_anew = searches
            && file.state == FileState::Same
            && Description::of(&path) != followed.description;
        let read_up = followed.tail.offset() >= file.length;
        let renewed = match file.state {
            FileState::Truncated => self.reopen(&path, Beginning::Cut, now),
            FileState::Replaced if read_up => self.reopen(&path, Beginning::Replaced, now),
            // The backends and the policy that it names are known from the first row on.
            _ if is_described_anew => self.reopen(&path, beginning, now),
            _ => false,
        };
        renewed || (searches && quiet && self.find_newer(file.modified, now))
    }

    /// Begins to follow a log if there is one.
    fn begin(&mut self, now: SystemTime) -> bool {
        if !self.place.is_dir() {
            let path = self.place.clone();
            return self.reopen(&path, Beginning::Opened, now);
        }
        match newest_log(&self.place, None, self.backlog_bytes) {
            Ok(Found { log: Some((path, tail)), .. }) => {
                self.follow(path, tail, Beginning::Opened, now)
            }
            Ok(Found { files: 0, .. }) => self.wait(waiting_for(&self.place)),
            Ok(Found { files, .. }) => {
                let which = if files == 1 { "its CSV file is none" } else { "no CSV file is one" };
                self.wait(format!("waiting for a log in {}: {which}", folder(&self.place)))
            }
            Err(error) => {
                let message = format!("cannot read {}: {error}", self.place.display());
                self.status = Status::without_log(State::Unreadable, message);
                false
            }
        }
    }

    /// Changes to a log that was written after the last row of the present one.
    fn find_newer(&mut self, than: SystemTime, now: SystemTime) -> bool {
        if !self.place.is_dir() {
            return false;
        }
        match newest_log(&self.place, Some(than), self.backlog_bytes) {
            Ok(Found { log: Some((path, tail)), .. }) => {
                self.follow(path, tail, Beginning::Newer, now)
            }
            // The log that is followed can still be read if its folder cannot.
            Ok(Found { log: None, .. }) | Err(_) => false,
        }
    }

    fn reopen(&mut self, path: &Path, beginning: Beginning, now: SystemTime) -> bool {
        match Tail::open(path, self.backlog_bytes) {
            Ok(tail) => self.follow(path.to_owned(), tail, beginning, now),
            Err(TailError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.wait(waiting_for(path))
            }
            Err(TailError::Empty) => {
                self.status.say(State::Empty, format!("no rows yet in {}", path.display()));
                false
            }
            Err(TailError::Unreadable(error)) => {
                let why = format!("cannot read {}: {error}", path.display());
                self.status.say(State::Unreadable, why);
                false
            }
            Err(error @ (TailError::NotAFile | TailError::NotALog(_))) => {
                let why = format!("{} is no log: {error}", path.display());
                self.status.say(State::Unreadable, why);
                false
            }
        }
    }

    fn wait(&mut self, message: String) -> bool {
        self.status.say(State::Waiting, message);
        false
    }

    fn follow(&mut self, path: PathBuf, tail: Tail, beginning: Beginning, now: SystemTime) -> bool {
        let description = Description::of(&path);
        let followed = Followed { path, tail, beginning, description, is_held: None };
        if let Ok(file) = followed.tail.status(&followed.path) {
            self.status = followed.status(&file, now);
        }
        self.followed = Some(followed);
        true
    }
}

impl Followed {
    fn status(&self, file: &FileStatus, now: SystemTime) -> Status {
        let silent_s = silence(file, now);
        let behind_bytes = file.length.saturating_sub(self.tail.offset());
        let path = self.path.display().to_string();
        let (state, message) = match file.state {
            FileState::Deleted => (State::Deleted, format!("log file deleted: {path}")),
            _ if behind_bytes > BEHIND_BYTES => {
                let megabytes = behind_bytes.div_ceil(1_000_000);
                (State::Reading, format!("reading {path}: {megabytes} MB to go"))
            }
            _ if silent_s >= LIVE_S => self.silent(&span(silent_s)),
            _ => (State::Live, format!("following {path}")),
        };
        Status {
            state,
            message,
            path: Some(path),
            beginning: self.beginning,
            is_held: self.is_held,
            silent_s: Some(silent_s),
            size_bytes: file.length,
            behind_bytes,
            skipped_bytes: self.tail.skipped_bytes(),
        }
    }

    /// The state of a log without new rows for a `span`.
    fn silent(&self, span: &str) -> (State, String) {
        match self.is_held {
            Some(true) => (State::Idle, idle(span)),
            // Only our proxy locks its log and writes a description.
            Some(false) if self.description.is_some() => {
                (State::Ended, format!("its proxy has ended; the last row came {span} ago"))
            }
            _ => (State::Silent, format!("no rows for {span}")),
        }
    }
}

fn idle(span: &str) -> String {
    format!("no request has ended for {span}; its proxy is running")
}

/// How many seconds ago a log was last written.
fn silence(file: &FileStatus, now: SystemTime) -> u64 {
    now.duration_since(file.modified).map_or(0, |silent| silent.as_secs())
}

impl Status {
    fn without_log(state: State, message: String) -> Self {
        Self {
            state,
            message,
            path: None,
            beginning: Beginning::Opened,
            is_held: None,
            silent_s: None,
            size_bytes: 0,
            behind_bytes: 0,
            skipped_bytes: 0,
        }
    }

    fn say(&mut self, state: State, message: String) {
        self.state = state;
        self.message = message;
    }

    /// The same for a log whose last request ended so many seconds ago. The file may have been
    /// written later, with the row of a health check.
    pub(super) fn without_requests(&self, seconds: u64) -> Self {
        let mut status = self.clone();
        let may_be_idle = matches!(self.state, State::Live | State::Idle);
        if seconds >= LIVE_S && may_be_idle && self.is_held == Some(true) {
            status.say(State::Idle, idle(&span(seconds)));
            status.silent_s = Some(seconds);
        }
        status
    }

    /// The same for a log that has no row yet.
    pub(super) fn without_rows(&self) -> Self {
        let mut status = self.clone();
        match (self.state, &self.path) {
            (State::Live | State::Idle | State::Silent, Some(path)) => {
                status.say(State::Empty, format!("no rows yet in {path}"));
            }
            (State::Ended, Some(path)) => {
                status.say(State::Ended, format!("its proxy has ended without a request: {path}"));
            }
            _ => {}
        }
        status
    }
}

/// A place that does not exist yet is taken for a file if its name has an extension.
fn waiting_for(place: &Path) -> String {
    if place.is_dir() || place.extension().is_none() {
        format!("waiting for a log in {}", folder(place))
    } else {
        format!("waiting for {}", place.display())
    }
}

/// A folder's name, which ends in a slash.
fn folder(place: &Path) -> String {
    place.join("").display().to_string()
}

/// A number of seconds in the largest unit that keeps it above 1.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What was found in a folder.
struct Found {
    log: Option<(PathBuf, Tail)>,
    /// How many CSV files were looked at.
    files: usize,
}

/// Opens the log of a folder that was written last, of those written after `than`.
fn newest_log(
    folder: &Path,
    than: Option<SystemTime>,
    backlog_bytes: Option<u64>,
) -> io::Result<Found> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_csv = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv"));
        // The file may be deleted meanwhile.
        if let (true, Ok(file)) = (is_csv, fs::metadata(&path))
            && file.is_file()
        {
            files.push((file.modified()?, path));
        }
    }
    files.retain(|(modified, _)| than.is_none_or(|than| *modified > than));
    files.sort();
    let count = files.len();
    let mut newest_first = files.into_iter().rev();
    let log = newest_first.find_map(|(_, path)| {
        let tail = Tail::open(&path, backlog_bytes).ok()?;
        Some((path, tail))
    });
    Ok(Found { log, files: count })
}

#[cfg(test)]
mod tests;
