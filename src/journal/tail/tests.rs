//! What a tail hands out, whatever happens to the file under it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::columns::header;
use super::super::lines::FileState;
use super::*;

/// A log in a folder of its own.
struct Log {
    folder: TempDir,
    path: PathBuf,
}

impl Log {
    fn with(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    fn append(&self, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).open(&self.path).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn tail(&self) -> Tail {
        Tail::open(&self.path, None).unwrap()
    }

    fn state(&self, tail: &Tail) -> FileState {
        tail.status(&self.path).unwrap().state
    }
}

const FIVE: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";

fn row(status: u16) -> String {
    format!("2026-11-23T10:11:12.000001Z,http://b:1,1.500,{status},round-robin\n")
}

/// The statuses of all rows there are, and 0 for each line that is no row.
fn statuses(tail: &mut Tail) -> Vec<u16> {
    let mut statuses = Vec::new();
    loop {
        while let Some(row) = tail.next_row() {
            statuses.push(row.map_or(0, |row| row.status.unwrap_or(1)));
        }
        if tail.read_on().unwrap() == 0 {
            return statuses;
        }
    }
}

fn only_error(lines: &str) -> LineError {
    let mut tail = Log::with(format!("{FIVE}{lines}")).tail();
    tail.read_on().unwrap();
    tail.next_row().unwrap().unwrap_err()
}

#[test]
fn rows_come_as_they_are_appended() {
    let log = Log::with(header() + &row(200) + &row(201));
    let mut tail = log.tail();
    assert_eq!(statuses(&mut tail), [200, 201]);
    assert!(statuses(&mut tail).is_empty());
    log.append(row(202));
    assert_eq!(statuses(&mut tail), [202]);
    assert_eq!(tail.offset(), fs::metadata(&log.path).unwrap().len());
}

#[test]
fn a_half_written_last_line_is_kept_until_its_end_is_there_wherever_it_was_split() {
    let line = row(204);
    for split in 0..line.len() {
        let log = Log::with(header() + &row(200) + &line[..split]);
        let mut tail = log.tail();
        assert_eq!(statuses(&mut tail), [200], "split at {split}");
        log.append(&line[split..]);
        assert_eq!(statuses(&mut tail), [204], "split at {split}");
    }
}

#[test]
fn at_the_end_a_last_line_counts_without_its_end() {
    let line = row(204);
    let mut tail = Log::with(header() + &row(200) + line.trim_end()).tail();
    assert_eq!(statuses(&mut tail), [200]);
    tail.end();
    assert_eq!(statuses(&mut tail), [204]);
    for (rest, expected) in [("", &[][..]), ("broken", &[0]), ("  ", &[])] {
        let mut tail = Log::with(header() + rest).tail();
        assert!(statuses(&mut tail).is_empty());
        tail.end();
        assert_eq!(statuses(&mut tail), expected, "{rest:?}");
    }
    let mut tail = Log::with(header() + &"x".repeat(2 * BLOCK_BYTES)).tail();
    assert_eq!(statuses(&mut tail), [0]);
    tail.end();
    assert!(statuses(&mut tail).is_empty(), "a line that was given up is no second one");
}

#[test]
fn a_foreign_log_of_five_columns_is_read_with_any_line_end() {
    let text = format!("{FIVE}2026-11-23 10:11:12.5,http://b:1,12,200,adaptive_sma\n");
    for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        let mut tail = Log::with(&text).tail();
        tail.read_on().unwrap();
        let Some(Ok(row)) = tail.next_row() else { panic!("{text}") };
        assert_eq!(row.latency, Some(std::time::Duration::from_millis(12)));
        assert_eq!(row.timestamp_us % 60_000_000, 12_500_000);
        assert_eq!((row.routing_mode, row.connection), ("adaptive_sma", None));
        assert_eq!(tail.next_row(), None);
    }
}

#[test]
fn blank_lines_are_no_rows_and_not_broken() {
    let mut tail = Log::with(header() + "\n\r\n" + &row(200) + "\n").tail();
    assert_eq!(statuses(&mut tail), [200]);
}

/// A row with all columns that are written here.
fn full_row(status: u16) -> String {
    row_of_version(3, status)
}

/// A row of the first, second or present version, which had 16, 17 and have 20 columns.
fn row_of_version(version: usize, status: u16) -> String {
    let first =
        format!("2026-11-23T10:11:12.000001Z,b,1.5,{status},x,persistent,1,,GET,/,1,1,,1.5,1,");
    let others = [",health", ",2026-11-23T10:11:11Z,2,best"];
    first + &others[..version - 1].concat() + "\n"
}

#[test]
fn a_log_of_an_older_version_may_be_without_its_header_too() {
    for version in 1..=3 {
        let log = Log::with((0..3).map(|n| row_of_version(version, 200 + n)).collect::<String>());
        assert_eq!(statuses(&mut log.tail()), [200, 201, 202]);
        let mut tail = log.tail();
        tail.read_on().unwrap();
        let row = tail.next_row().unwrap().unwrap();
        assert_eq!((row.method, row.attempts), (Some(&b"GET"[..]), Some(1)));
        assert_eq!(row.probe, (version > 1).then_some("health"));
        let choice = (row.started_us.is_some(), row.in_flight, row.reason);
        assert_eq!(
            choice,
            if version > 2 { (true, Some(2), Some("best")) } else { (false, None, None) }
        );
    }
}

#[test]
fn a_log_of_ours_that_was_cut_may_begin_without_its_header() {
    for lines in [
        [full_row(200), full_row(201), header(), full_row(202)],
        [header(), full_row(200), full_row(201), full_row(202)],
        [full_row(200), header(), full_row(201) + &header(), header() + &full_row(202)],
        [full_row(200), full_row(201), full_row(202), String::new()],
    ] {
        let log = Log::with(lines.concat());
        assert_eq!(statuses(&mut log.tail()), [200, 201, 202], "{lines:?}");
        let mut tail = log.tail();
        tail.read_on().unwrap();
        let row = tail.next_row().unwrap().unwrap();
        assert_eq!((row.method, row.probe), (Some(&b"GET"[..]), Some("health")));
    }
}

#[test]
fn behind_another_header_its_columns_hold() {
    let other = FIVE.replace("routing_mode", "routing_mode,fault");
    let text = header() + &full_row(200) + &other + "2026-11-23T10:11:12Z,b,1,502,x,reset\n";
    let mut tail = Log::with(text).tail();
    tail.read_on().unwrap();
    assert_eq!(tail.next_row().unwrap().unwrap().fault, None);
    let row = tail.next_row().unwrap().unwrap();
    assert_eq!((row.status, row.fault, row.method), (Some(502), Some("reset"), None));
}

#[test]
fn a_broken_line_costs_no_other() {
    for broken in ["x\n", ",,,,\n", "\"\n", "a,\"b\n", "\0\0\n", "\u{ff}\n"] {
        let text = header() + &row(200) + broken + &row(201);
        assert_eq!(statuses(&mut Log::with(text).tail()), [200, 0, 201], "{broken:?}");
    }
}

#[test]
fn a_broken_line_says_why() {
    let time = "2026-11-23T10:11:12Z";
    let error = only_error("yesterday,http://b,12,200,round-robin\n");
    assert_eq!(error.to_string(), "`yesterday` is no timestamp");
    assert_eq!(only_error(&format!("{time},\"http://b,12,200,x\n")), LineError::Quote);
    assert_eq!(only_error(&(",".repeat(1000) + "\n")), LineError::TooManyFields);
}

#[test]
fn a_line_longer_than_a_block_is_broken_once_however_long_it_is() {
    for length in [BLOCK_BYTES, 3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 17] {
        let long = "x".repeat(length) + "\n";
        let text = header() + &row(200) + &long + &row(201);
        assert_eq!(statuses(&mut Log::with(text).tail()), [200, 0, 201], "{length}");
    }
}

#[test]
fn reading_may_begin_near_the_end_and_then_begins_with_a_whole_row() {
    let rows: Vec<String> = (200..300).map(row).collect();
    let log = Log::with(header() + &rows.concat());
    let row_bytes = row(200).len() as u64;
    for (backlog, first) in [(0, 300), (1, 300), (row_bytes, 300), (row_bytes + 1, 299)] {
        let mut tail = Tail::open(&log.path, Some(backlog)).unwrap();
        assert_eq!(tail.skipped_bytes(), 100 * row_bytes - backlog);
        let expected: Vec<u16> = (first..300).collect();
        assert_eq!(statuses(&mut tail), expected, "{backlog} bytes");
    }
    let mut tail = Tail::open(&log.path, Some(1 << 40)).unwrap();
    assert_eq!((tail.skipped_bytes(), statuses(&mut tail).len()), (0, 100));
}

#[test]
fn two_gigabytes_are_not_read_to_see_the_last_rows() {
    const BACKLOG_BYTES: u64 = 1 << 20;
    let log = Log::with(header());
    let file = OpenOptions::new().write(true).open(&log.path).unwrap();
    // A hole: the file has this length and no such data.
    file.set_len(2 << 30).unwrap();
    log.append(String::from("\n") + &row(200) + &row(201));
    let mut tail = Tail::open(&log.path, Some(BACKLOG_BYTES)).unwrap();
    assert!(tail.offset() > (2 << 30) - BACKLOG_BYTES);
    // The hole is the rest of the line in which reading began, so it is no broken row.
    assert_eq!(statuses(&mut tail), [200, 201]);
}

#[test]
fn what_is_no_log_is_not_followed() {
    assert!(matches!(open("no,such\nx\n"), Err(TailError::NotALog(_))));
    assert!(matches!(open("\"\n"), Err(TailError::NotALog(_))));
    assert!(matches!(open("x".repeat(BLOCK_BYTES)), Err(TailError::NotALog(_))));
    assert!(matches!(open(""), Err(TailError::Empty)));
    assert!(matches!(open(&header()[..40]), Err(TailError::Empty)));
    let log = Log::with("");
    assert!(matches!(Tail::open(log.folder.path(), None), Err(TailError::NotAFile)));
    let missing = Tail::open(&log.folder.path().join("x"), None);
    assert!(
        matches!(missing, Err(TailError::Unreadable(e)) if e.kind() == io::ErrorKind::NotFound)
    );
}

fn open(text: impl AsRef<[u8]>) -> Result<Tail, TailError> {
    Tail::open(&Log::with(text).path, None)
}

#[test]
fn the_fate_of_the_file_is_seen() {
    let log = Log::with(header() + &row(200));
    let mut tail = log.tail();
    statuses(&mut tail);
    assert_eq!(log.state(&tail), FileState::Same);
    log.append(row(201));
    assert_eq!(log.state(&tail), FileState::Same);

    OpenOptions::new().write(true).open(&log.path).unwrap().set_len(10).unwrap();
    assert_eq!(log.state(&tail), FileState::Truncated);

    let tail = Tail::open(&Log::with(header()).path, None).unwrap();
    assert_eq!(log.state(&tail), FileState::Replaced);
    fs::remove_file(&log.path).unwrap();
    assert_eq!(log.state(&tail), FileState::Deleted);
}

#[test]
fn a_renamed_file_is_read_to_its_end() {
    let log = Log::with(header() + &row(200));
    let mut tail = log.tail();
    statuses(&mut tail);
    log.append(row(201));
    fs::rename(&log.path, log.folder.path().join("old.csv")).unwrap();
    fs::write(&log.path, header() + &row(300)).unwrap();
    assert_eq!(log.state(&tail), FileState::Replaced);
    assert_eq!(statuses(&mut tail), [201]);
}

proptest! {
    /// However the writer's bytes come, the rows are the same.
    #[test]
    fn any_split_of_the_bytes_gives_the_same_rows(
        kinds in prop::collection::vec(0_u8..4, 1..40),
        cuts in prop::collection::vec(0_usize..4000, 0..20),
    ) {
        let line = |(at, kind): (usize, &u8)| match kind {
            0 => "broken\n".to_owned(),
            1 => "\n".to_owned(),
            _ => row(200 + u16::try_from(at).unwrap()),
        };
        let text: String = kinds.iter().enumerate().map(line).collect();
        let mut whole = Log::with(header() + &text).tail();
        let log = Log::with(header());
        let mut tail = log.tail();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut seen = Vec::new();
        for piece in cuts.windows(2) {
            log.append(&text[piece[0]..piece[1]]);
            seen.extend(statuses(&mut tail));
        }
        prop_assert_eq!(seen, statuses(&mut whole));
    }
}
