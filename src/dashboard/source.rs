//! Where the rows come from: one log, or the newest of a folder.
//!
//! A source decides which file is followed, and when that ends: it was cut, replaced, or a newer
//! run began. Whatever is wrong with the file system becomes a sentence for the page, and is looked
//! at again later; nothing here ends the dashboard.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::description::Description;
use crate::journal::{Fate, Sight, Tail, TailError, is_held};

/// A log at most this old counts as being written.
const LIVE_S: u64 = 3;

/// With more than this to read, what is shown is of the past.
const BEHIND_BYTES: u64 = 1 << 20;

/// A folder is searched in every so many looks.
const LOOKS_PER_SEARCH: u32 = 10;

/// How the source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// There is no log yet.
    Waiting,
    /// There is a log without a row.
    Empty,
    /// There is far more to read than comes in a moment.
    Reading,
    /// Rows come.
    Live,
    /// No row has come for some seconds, and a proxy holds the log.
    Idle,
    /// No row has come for some seconds, and the proxy that wrote the log holds it no more.
    Ended,
    /// No row has come for some seconds, and nothing is known of who writes.
    Silent,
    /// The log was deleted.
    Deleted,
    /// The log cannot be read, or is none.
    Unreadable,
}

/// Why reading began where it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Beginning {
    /// It is the first log.
    Opened,
    /// The log was cut, and is read from its start.
    Cut,
    /// Another file took its place.
    Replaced,
    /// A newer log appeared in the folder.
    Newer,
}

/// What the page says of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Status {
    pub(super) state: State,
    /// The state as a sentence.
    pub(super) message: String,
    /// The log that is followed.
    pub(super) path: Option<String>,
    pub(super) beginning: Beginning,
    /// Whether a proxy holds the log; `None` where that does not matter or is not to be known.
    pub(super) is_held: Option<bool>,
    /// For how many seconds the log has not been written.
    pub(super) silent_s: Option<u64>,
    pub(super) size_bytes: u64,
    /// How much of the log is still to be read.
    pub(super) behind_bytes: u64,
    /// How much was left out before the place where reading began.
    pub(super) skipped_bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    /// What was asked for: a file or a folder, which need not exist.
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
    /// Whether a proxy holds the log; `None` where that does not matter or is not to be known.
    is_held: Option<bool>,
}

impl Source {
    /// Follows `place`, leaving out all but the last `backlog_bytes` of a log that is there.
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

    /// Looks at the file system. Says whether another log, or the same one anew, is followed from
    /// now on, so that what was counted is of the past.
    pub(super) fn look(&mut self, now: SystemTime) -> bool {
        let searches = self.looks.is_multiple_of(LOOKS_PER_SEARCH);
        self.looks = self.looks.wrapping_add(1);
        let Some(followed) = &mut self.followed else { return searches && self.begin(now) };
        let sight = match followed.tail.look(&followed.path) {
            Ok(sight) => sight,
            Err(error) => {
                let why = format!("cannot look at {}: {error}", followed.path.display());
                self.status.say(State::Unreadable, why);
                return false;
            }
        };
        let quiet = silence(&sight, now) >= LIVE_S;
        if !quiet && followed.description.is_none() {
            followed.is_held = None;
        } else if searches || followed.is_held.is_none() {
            followed.is_held = is_held(&followed.path);
        }
        self.status = followed.status(&sight, now);
        let (path, beginning) = (followed.path.clone(), followed.beginning);
        let is_described_anew =
            searches && sight.fate == Fate::Kept && Description::of(&path) != followed.description;
        let read_up = followed.tail.offset() >= sight.length;
        let renewed = match sight.fate {
            Fate::Cut => self.reopen(&path, Beginning::Cut, now),
            Fate::Replaced if read_up => self.reopen(&path, Beginning::Replaced, now),
            // The backends and the policy that it names are known from the first row on.
            _ if is_described_anew => self.reopen(&path, beginning, now),
            _ => false,
        };
        renewed || (searches && quiet && self.find_newer(sight.modified, now))
    }

    /// Follows the first log there is.
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

    /// Goes over to a log that was written after the one that is followed fell silent.
    fn find_newer(&mut self, than: SystemTime, now: SystemTime) -> bool {
        if !self.place.is_dir() {
            return false;
        }
        match newest_log(&self.place, Some(than), self.backlog_bytes) {
            Ok(Found { log: Some((path, tail)), .. }) => {
                self.follow(path, tail, Beginning::Newer, now)
            }
            // The log that is followed is still good if its folder is not.
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
        if let Ok(sight) = followed.tail.look(&followed.path) {
            self.status = followed.status(&sight, now);
        }
        self.followed = Some(followed);
        true
    }
}

impl Followed {
    fn status(&self, sight: &Sight, now: SystemTime) -> Status {
        let silent_s = silence(sight, now);
        let behind_bytes = sight.length.saturating_sub(self.tail.offset());
        let path = self.path.display().to_string();
        let (state, message) = match sight.fate {
            Fate::Deleted => (State::Deleted, format!("log file deleted: {path}")),
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
            size_bytes: sight.length,
            behind_bytes,
            skipped_bytes: self.tail.skipped_bytes(),
        }
    }

    /// What is known of a log to which nothing has come for a `span`.
    fn silent(&self, span: &str) -> (State, String) {
        match self.is_held {
            Some(true) => (State::Idle, idle(span)),
            // Only a proxy of ours locks its log, and describes it.
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

/// For how many seconds a log has not been written.
fn silence(sight: &Sight, now: SystemTime) -> u64 {
    now.duration_since(sight.modified).map_or(0, |silent| silent.as_secs())
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

    /// The same of the log of a proxy to which no request came for so long. The file tells only
    /// when it was written last, and that may have been the row of a probe.
    pub(super) fn without_requests(&self, seconds: u64) -> Self {
        let mut status = self.clone();
        let may_be_idle = matches!(self.state, State::Live | State::Idle);
        if seconds >= LIVE_S && may_be_idle && self.is_held == Some(true) {
            status.say(State::Idle, idle(&span(seconds)));
            status.silent_s = Some(seconds);
        }
        status
    }

    /// The same of a log that turned out to have no row yet.
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

/// What is not there yet is taken for a file if its name has an extension.
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
        // A file that goes away meanwhile is none.
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
