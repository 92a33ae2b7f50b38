//! Follows the decision log that lies beside the log of requests, if there is one.
//!
//! It may come later, be moved aside for a new one, be cut, or be deleted. What can't be read tells
//! nothing, and is tried again later.

use std::path::{Path, PathBuf};

use super::description::Description;
use crate::journal::{FileState, Lines};

/// Of a file that is there already, so much is read: the end, because it tells of the requests that
/// the page lists.
pub(super) const BACKLOG_BYTES: u64 = 16 << 20;

/// The file is looked for at every tenth turn.
const TURNS_PER_LOOK: u32 = 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    /// It names the file.
    description: Option<Description>,
    followed: Option<Followed>,
    turns: u32,
}

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    lines: Lines,
}

impl Decisions {
    /// The file that this description of a log names.
    pub(super) fn new(description: Option<Description>) -> Self {
        Self { description, ..Self::default() }
    }

    /// Reads a block. Returns whether anything came. To be called when [`Decisions::next_line`] has
    /// nothing more.
    pub(super) fn read_on(&mut self) -> bool {
        let looks = self.turns.is_multiple_of(TURNS_PER_LOOK);
        self.turns = self.turns.wrapping_add(1);
        if looks && let Some(path) = self.next_file() {
            let lines = Lines::open(&path, Some(BACKLOG_BYTES)).ok();
            self.followed = lines.map(|lines| Followed { path, lines }).or(self.followed.take());
        }
        let followed = self.followed.as_mut();
        followed.is_some_and(|followed| followed.lines.read_on().is_ok_and(|count| count > 0))
    }

    /// The next whole line; those that are too long are passed over.
    pub(super) fn next_line(&mut self) -> Option<&[u8]> {
        let lines = &mut self.followed.as_mut()?.lines;
        while let Some(line) = lines.next_line() {
            if let Ok(range) = line {
                return Some(lines.at(range));
            }
        }
        None
    }

    /// The file that is to be read instead of the one that is followed.
    fn next_file(&self) -> Option<PathBuf> {
        let path = self.description.as_ref()?.decisions()?;
        let is_followed = self.followed.as_ref().is_some_and(|followed| followed.goes_on(path));
        (!is_followed).then(|| path.to_owned())
    }
}

impl Followed {
    /// Whether there may be more to read here, although the log is at `path` now.
    fn goes_on(&self, path: &Path) -> bool {
        let Ok(file) = self.lines.status(&self.path) else { return false };
        match file.state {
            FileState::Truncated => false,
            // What was written before it was moved aside is read first.
            FileState::Replaced => self.lines.offset() < file.length,
            FileState::Same | FileState::Deleted => self.path == path,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    /// A log's description that names a decision log, which need not be there.
    struct Scene {
        folder: TempDir,
        decisions: Decisions,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("x.csv");
            let settings = json!({ "decisions": "/nowhere/choices.jsonl" });
            let text = json!({ "policy": "adaptive", "settings": settings }).to_string();
            fs::write(folder.path().join("x.csv.meta.json"), text).unwrap();
            Self { folder, decisions: Decisions::new(Description::of(&log)) }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("choices.jsonl")
        }

        fn append(&self, text: &str) {
            let mut file = OpenOptions::new().create(true).append(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn move_aside(&self) {
            fs::rename(self.path(), self.folder.path().join("older.jsonl")).unwrap();
        }

        /// The lines that came, after so many turns that the file was looked for twice.
        fn lines(&mut self) -> Vec<String> {
            let mut all = Vec::new();
            for _ in 0..2 * TURNS_PER_LOOK {
                self.decisions.read_on();
                while let Some(line) = self.decisions.next_line() {
                    all.push(String::from_utf8_lossy(line).trim_end().to_owned());
                }
            }
            all
        }
    }

    #[test]
    fn a_file_that_comes_later_is_read_as_it_grows() {
        let mut scene = Scene::new();
        assert!(scene.lines().is_empty());
        scene.append("one\n");
        assert_eq!(scene.lines(), ["one"]);
        scene.append("two\nthr");
        assert_eq!(scene.lines(), ["two"]);
        scene.append("ee\n");
        assert_eq!(scene.lines(), ["three"]);
        assert!(Decisions::new(None).next_file().is_none(), "no description names a file");
    }

    #[test]
    fn a_file_that_was_moved_aside_is_read_to_its_end_before_the_next_one() {
        let mut scene = Scene::new();
        scene.append("one\n");
        assert_eq!(scene.lines(), ["one"]);
        scene.append("two\n");
        scene.move_aside();
        assert!(!scene.path().exists());
        assert_eq!(scene.lines(), ["two"]);
        scene.append("three\n");
        assert_eq!(scene.lines(), ["three"]);
        // The next one may be there before the last line was read.
        scene.append("four\n");
        scene.move_aside();
        scene.append("five\n");
        assert_eq!(scene.lines(), ["four", "five"]);
    }

    #[test]
    fn a_file_that_was_cut_is_read_from_its_start() {
        let mut scene = Scene::new();
        scene.append("one\ntwo\n");
        assert_eq!(scene.lines(), ["one", "two"]);
        fs::write(scene.path(), "three\n").unwrap();
        assert_eq!(scene.lines(), ["three"]);
        fs::remove_file(scene.path()).unwrap();
        assert!(scene.lines().is_empty());
        scene.append("four\n");
        assert_eq!(scene.lines(), ["four"]);
    }

    #[test]
    fn of_a_long_file_the_end_is_read_and_a_line_that_is_too_long_passed_over() {
        let mut scene = Scene::new();
        scene.append("first\n");
        let file = OpenOptions::new().write(true).open(scene.path()).unwrap();
        // A hole: the file has this length and no such data.
        file.set_len(2 * BACKLOG_BYTES).unwrap();
        scene.append(&format!("\n{}\nlast\n", "x".repeat(1 << 20)));
        let mut lines = Vec::new();
        for _ in 0..1_000 {
            lines.extend(scene.lines());
        }
        assert_eq!(lines, ["last"]);
    }
}
