//! Which log is followed, and what is said of it, at times that the test makes up.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::*;
use crate::journal::header;

/// A folder with logs, a source over it, and a clock.
struct Scene {
    folder: TempDir,
    source: Source,
    now: SystemTime,
}

impl Scene {
    /// A source over this file of the folder, or over the folder if it is empty.
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::new(folder.path().join(name), None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        Self { folder, source, now }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Appends to a file now, by the clock of the scene.
    fn append(&self, name: &str, text: &str) {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_modified(self.now).unwrap();
    }

    /// Looks until a folder would be searched, too, and says whether a log was begun.
    fn look(&mut self) -> bool {
        self.now += Duration::from_secs(1);
        (0..LOOKS_PER_SEARCH).fold(false, |begun, _| self.source.look(self.now) || begun)
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn state(&self) -> State {
        self.source.status().state
    }

    /// What is said, with the folder's name taken out.
    fn message(&self) -> String {
        let folder = self.folder.path().display().to_string();
        self.source.status().message.replace(&folder, "logs")
    }

    /// The statuses of the rows that came.
    fn rows(&mut self) -> Vec<u16> {
        let tail = self.source.tail().unwrap();
        let mut rows = Vec::new();
        while tail.read_on().unwrap() > 0 {
            while let Some(Ok(row)) = tail.next_row() {
                rows.push(row.status.unwrap_or(0));
            }
        }
        rows
    }
}

fn row(status: u16) -> String {
    format!("2026-11-23T10:11:12Z,http://b:1,1.5,{status},round-robin\n")
}

#[test]
fn a_log_that_is_not_there_yet_is_waited_for() {
    let mut scene = Scene::new("x.csv");
    assert!(!scene.look());
    assert_eq!((scene.state(), &*scene.message()), (State::Waiting, "waiting for logs/x.csv"));
    scene.append("x.csv", "");
    assert!(!scene.look());
    assert_eq!((scene.state(), &*scene.message()), (State::Empty, "no rows yet in logs/x.csv"));
    scene.append("x.csv", &(header() + &row(200)));
    assert!(scene.look());
    assert_eq!((scene.state(), scene.rows()), (State::Live, vec![200]));
    assert_eq!(scene.message(), "following logs/x.csv");
    assert!(!scene.look());
}

#[test]
fn a_folder_that_is_not_there_yet_is_waited_for() {
    let mut scene = Scene::new("later");
    assert!(!scene.look());
    assert_eq!(scene.message(), "waiting for a log in logs/later/");
    fs::create_dir(scene.path("later")).unwrap();
    scene.append("later/x.csv", &(header() + &row(200)));
    assert!(scene.look());
}

#[test]
fn a_log_without_rows_is_called_so() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &header());
    scene.look();
    let status = scene.source.status().without_rows();
    assert_eq!(status.state, State::Empty);
    assert!(status.message.starts_with("no rows yet in "));
    scene.append("x.csv.meta.json", r#"{"policy":"round-robin"}"#);
    scene.wait(9);
    scene.look();
    let status = scene.source.status().without_rows();
    assert_eq!(status.state, State::Ended);
    assert!(status.message.starts_with("its proxy has ended without a request: "));
}

#[test]
fn silence_is_told_by_its_length() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &(header() + &row(200)));
    assert!(scene.look());
    scene.rows();
    for (seconds, message) in [
        (12, "no rows for 12 s"),
        (119, "no rows for 119 s"),
        (120, "no rows for 2 min"),
        (7200, "no rows for 2 h"),
        (400_000, "no rows for 4 days"),
    ] {
        let now = fs::metadata(scene.path("x.csv")).unwrap().modified().unwrap();
        assert!(!scene.source.look(now + Duration::from_secs(seconds)));
        assert_eq!((scene.state(), &*scene.message()), (State::Silent, message));
        assert_eq!(scene.source.status().silent_s, Some(seconds));
    }
}

#[test]
fn a_proxy_that_runs_is_told_from_one_that_has_ended() {
    const DESCRIPTION: &str = r#"{"format":1,"policy":"round-robin","backends":[{"url":"a"}]}"#;
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &(header() + &row(200)));
    scene.append("x.csv.meta.json", DESCRIPTION);
    let writer = File::open(scene.path("x.csv")).unwrap();
    flock(&writer, FlockOperation::LockExclusive).unwrap();
    scene.look();
    scene.rows();
    scene.wait(12);
    assert!(!scene.look());
    let said = "no request has ended for 14 s; its proxy is running";
    assert_eq!((scene.state(), &*scene.message()), (State::Idle, said));
    drop(writer);
    assert!(!scene.look());
    let said = "its proxy has ended; the last row came 15 s ago";
    assert_eq!((scene.state(), &*scene.message()), (State::Ended, said));
    // The lock is not kept: the next proxy gets it.
    let writer = File::open(scene.path("x.csv")).unwrap();
    flock(&writer, FlockOperation::NonBlockingLockExclusive).unwrap();
    scene.append("x.csv", &row(200));
    scene.look();
    assert_eq!(scene.state(), State::Live);
}

#[test]
fn nothing_is_said_of_the_writer_of_a_log_that_no_proxy_describes() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &(header() + &row(200)));
    scene.look();
    scene.wait(12);
    scene.look();
    assert_eq!((scene.state(), &*scene.message()), (State::Silent, "no rows for 14 s"));
}

#[test]
fn a_log_that_is_described_anew_is_read_anew() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &(header() + &row(200)));
    assert!(scene.look());
    assert_eq!((scene.rows(), scene.source.description()), (vec![200], None));
    scene.append("x.csv.meta.json", r#"{"policy":"round-robin","backends":[{"url":"a"}]}"#);
    assert!(scene.look());
    assert_eq!(scene.source.status().beginning, Beginning::Opened);
    assert_eq!(scene.rows(), [200]);
    assert_eq!(scene.source.description().unwrap().backends[0].url, "a");
    assert!(!scene.look());
}

#[test]
fn what_is_no_log_is_refused_with_the_reason_until_it_becomes_one() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", "a,b\n1,2\n");
    assert!(!scene.look());
    assert_eq!(scene.state(), State::Unreadable);
    let message = scene.message();
    assert!(message.starts_with("logs/x.csv is no log: expected the columns "), "{message}");
    assert!(message.ends_with("its first line is `a,b`"), "{message}");
    fs::write(scene.path("x.csv"), header() + &row(200)).unwrap();
    assert!(scene.look());
}

#[test]
fn a_log_that_is_cut_is_read_from_its_start() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &(header() + &row(200) + &row(201)));
    assert!(scene.look());
    scene.rows();
    File::create(scene.path("x.csv")).unwrap();
    assert!(!scene.look());
    assert_eq!(scene.state(), State::Empty);
    scene.append("x.csv", &(header() + &row(300)));
    assert!(scene.look());
    assert_eq!(scene.source.status().beginning, Beginning::Cut);
    assert_eq!(scene.rows(), [300]);
}

#[test]
fn a_rotated_log_is_read_to_its_end_before_the_new_one_is() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &(header() + &row(200)));
    assert!(scene.look());
    scene.rows();
    scene.append("x.csv", &row(201));
    fs::rename(scene.path("x.csv"), scene.path("x.old")).unwrap();
    scene.append("x.csv", &(header() + &row(300)));
    assert!(!scene.look());
    assert_eq!(scene.rows(), [201]);
    assert!(scene.look());
    assert_eq!(scene.source.status().beginning, Beginning::Replaced);
    assert_eq!(scene.rows(), [300]);
}

#[test]
fn a_deleted_log_is_called_so_until_there_is_one_again() {
    let mut scene = Scene::new("x.csv");
    scene.append("x.csv", &(header() + &row(200)));
    assert!(scene.look());
    scene.rows();
    fs::remove_file(scene.path("x.csv")).unwrap();
    assert!(!scene.look());
    assert_eq!(
        (scene.state(), &*scene.message()),
        (State::Deleted, "log file deleted: logs/x.csv")
    );
    scene.append("x.csv", &(header() + &row(300)));
    assert!(scene.look());
    assert_eq!((scene.state(), scene.rows()), (State::Live, vec![300]));
}

#[test]
fn of_a_folder_the_log_that_was_written_last_is_followed() {
    let mut scene = Scene::new("");
    assert!(!scene.look());
    assert_eq!(scene.message(), "waiting for a log in logs/");
    scene.append("foreign.csv", "a,b\n");
    scene.append("notes.txt", &header());
    fs::create_dir(scene.path("folder.csv")).unwrap();
    assert!(!scene.look());
    assert!(scene.message().ends_with("its CSV file is none"), "{}", scene.message());
    scene.append("old.csv", &(header() + &row(200)));
    scene.wait(10);
    scene.append("new.CSV", &(header() + &row(300)));
    scene.wait(10);
    scene.append("newest.csv", "no log\n");
    assert!(scene.look());
    assert_eq!(scene.source.stem().as_deref(), Some("new"));
    assert_eq!(scene.rows(), [300]);
}

#[test]
fn of_a_folder_a_newer_run_is_followed_once_the_older_one_is_silent() {
    let mut scene = Scene::new("");
    scene.append("a.csv", &(header() + &row(200)));
    assert!(scene.look());
    // Another program may write beside it; as long as rows come, that is no newer run.
    scene.append("b.csv", &(header() + &row(300)));
    assert!(!scene.look());
    scene.append("a.csv", &row(201));
    assert!(!scene.look());
    assert_eq!(scene.rows(), [200, 201]);
    scene.wait(LIVE_S);
    assert!(!scene.look(), "nothing was written after the log that is followed");
    scene.append("b.csv", &row(301));
    assert!(scene.look());
    assert_eq!(scene.source.status().beginning, Beginning::Newer);
    assert_eq!(scene.rows(), [300, 301]);
}

#[test]
fn a_log_that_is_read_is_told_from_one_that_is_followed() {
    let mut scene = Scene::new("x.csv");
    let rows = usize::try_from(BEHIND_BYTES).unwrap() / row(200).len() + 1;
    scene.append("x.csv", &(header() + &row(200).repeat(rows)));
    assert!(scene.look());
    assert_eq!(
        (scene.state(), &*scene.message()),
        (State::Reading, "reading logs/x.csv: 2 MB to go")
    );
    assert_eq!(scene.rows().len(), rows);
    scene.look();
    assert_eq!((scene.state(), scene.source.status().behind_bytes), (State::Live, 0));
}
