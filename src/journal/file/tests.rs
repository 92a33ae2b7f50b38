use super::*;
use crate::journal::{check, header};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{CWD, FileType, Mode};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| format!("{}: {error}", path.display()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Gives a file the date 2026-11-23T10:11:12Z.
fn date(path: &Path) {
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_672);
    File::options().append(true).open(path).expect("a file").set_modified(date).expect("a date");
}

fn with_row(row: &str) -> String {
    header() + row + "\n"
}

#[test]
fn folders_are_made_and_the_header_written() {
    let folder = folder();
    let path = folder.path().join("a/b/x.csv");
    let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
    assert_eq!(log.moved_aside(), None);
    assert_eq!(text(&path), header());
}

#[test]
fn a_log_without_rows_is_used_again() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    for before in [String::new(), header()] {
        fs::write(&path, before).expect("written");
        let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
        assert_eq!(log.moved_aside(), None);
        assert_eq!(text(&path), header());
    }
    assert_eq!(names(folder.path()), ["x.csv"]);
}

#[test]
fn readers_that_look_whether_a_log_is_locked_keep_no_writer_from_it() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    drop(LogFile::create(&path, Form::Rows, None).expect("a log"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                let file = File::open(&path).expect("a log");
                let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
                drop(file);
                thread::park_timeout(Duration::from_millis(1));
            }
        });
        let opened: Vec<_> =
            (0..500).map(|_| LogFile::create(&path, Form::Rows, None).map(drop)).collect();
        is_over.store(true, Relaxed);
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    });
}

#[test]
fn a_log_with_rows_is_moved_aside_with_its_date_and_never_over_another() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    for (run, aside) in [
        "x.2026-11-23T10-11-12Z.csv",
        "x.2026-11-23T10-11-12Z-1.csv",
        "x.2026-11-23T10-11-12Z-2.csv",
    ]
    .iter()
    .enumerate()
    {
        let rows = with_row(&format!("row of run {run}"));
        fs::write(&path, &rows).expect("written");
        date(&path);
        let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
        let aside = folder.path().join(aside);
        assert_eq!(log.moved_aside(), Some(fs::canonicalize(&aside).expect("moved")));
        assert_eq!((text(&aside), text(&path)), (rows, header()));
    }
    assert_eq!(names(folder.path()).len(), 4);
}

#[test]
fn what_stands_beside_a_log_moves_with_it() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    for run in ["first", "second"] {
        let mut log = LogFile::create(&path, Form::Rows, Some(run.to_owned())).expect("a log");
        log.write_all(b"row\n").expect("written");
        date(&path);
    }
    let beside = |log: &str| text(&beside::meta_path(&folder.path().join(log)));
    assert_eq!(
        (beside("x.csv").as_str(), beside("x.2026-11-23T10-11-12Z.csv").as_str()),
        ("second", "first")
    );
    LogFile::create(Path::new("/dev/null"), Form::Rows, Some("nowhere".to_owned()))
        .expect("a device");
    assert!(!Path::new("/dev/null.meta.json").exists());
}

#[test]
fn rows_of_other_tools_are_moved_aside_too() {
    let folder = folder();
    let path = folder.path().join("x");
    let rows = "timestamp,backend_url,latency_ms,status_code,routing_mode\r\nrow\r\n";
    fs::write(&path, rows).expect("written");
    date(&path);
    LogFile::create(&path, Form::Rows, None).expect("a log");
    assert_eq!(names(folder.path()), ["x", "x.2026-11-23T10-11-12Z"]);
    assert_eq!(text(&folder.path().join("x.2026-11-23T10-11-12Z")), rows);
}

#[test]
fn a_link_stays_and_its_target_is_moved() {
    let folder = folder();
    let (target, link) = (folder.path().join("disk/x.csv"), folder.path().join("link.csv"));
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    fs::create_dir(folder.path().join("disk")).expect("a folder");
    fs::write(&target, with_row("old")).expect("written");
    let mut log = LogFile::create(&link, Form::Rows, None).expect("a log");
    assert_eq!(text(&log.moved_aside().expect("moved")), with_row("old"));
    assert_eq!(text(&target), header());
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
}

#[test]
fn a_file_that_is_no_log_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("thesis.txt");
    fs::write(&path, "years of work").expect("written");
    let refused = LogFile::create(&path, Form::Rows, None).expect_err("no log");
    assert!(matches!(refused, JournalError::NotALog { .. }));
    assert!(refused.to_string().contains("thesis.txt"));
    assert_eq!(text(&path), "years of work");
    assert_eq!(names(folder.path()), ["thesis.txt"]);
}

#[test]
fn a_second_writer_is_refused_and_moves_nothing() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
    log.write_all(b"row\n").expect("written");
    let refused = LogFile::create(&path, Form::Rows, None).expect_err("locked");
    assert!(matches!(refused, JournalError::Locked { .. }));
    assert!(refused.to_string().contains("x.csv"));
    assert_eq!((names(folder.path()), text(&path)), (vec!["x.csv".to_owned()], with_row("row")));

    drop(log);
    LogFile::create(&path, Form::Rows, None).expect("the first writer is gone");
    assert_eq!(names(folder.path()).len(), 2);
}

#[test]
fn a_log_that_cannot_be_made_is_named_with_a_way_out() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    for path in [folder.path().to_owned(), file.join("x.csv"), PathBuf::from("/proc/x.csv")] {
        let refused = LogFile::create(&path, Form::Rows, None).expect_err("unwritable");
        assert!(matches!(refused, JournalError::Unwritable { .. }), "{refused}");
        let message = refused.to_string();
        assert!(message.contains(path.to_str().expect("text")) && message.contains("--log"));
    }
}

#[test]
fn a_disk_that_is_full_at_start_takes_no_rows_and_is_no_error() {
    let mut log =
        LogFile::create(Path::new("/dev/full"), Form::Rows, None).expect("a log all the same");
    let refused = log.write_all(b"row\n").expect_err("full");
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_log_for_which_there_was_no_room_is_made_later() {
    let folder = folder();
    let path = folder.path().join("a/x.csv");
    let mut log = LogFile::new((&path, Form::Rows), None, None, Kind::Regular);
    log.write_all(b"row\n").expect("there is room now");
    assert_eq!(text(&path), with_row("row"));
    assert!(LogFile::create(&path, Form::Rows, None).is_err(), "it is locked");
}

#[test]
fn rows_of_ours_without_a_header_are_a_log_and_so_is_a_torn_header() {
    let row = "2026-11-23T10:11:12.000345Z,,,400,x,y,0,unix:,,,0,0,,,0,,,,,\n";
    for before in [row, &header()[..40]] {
        let folder = folder();
        let path = folder.path().join("x.csv");
        fs::write(&path, before).expect("written");
        check(&path, Form::Rows).expect("a log");
        let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
        assert_eq!(text(&log.moved_aside().expect("moved")), before);
        assert_eq!(text(&path), header());
    }
}

#[test]
fn a_device_is_written_as_it_is() {
    let mut log = LogFile::create(Path::new("/dev/null"), Form::Rows, None).expect("a device");
    log.write_all(b"row\n").expect("written");
    assert!(LogSink::truncate_tail(&mut log, 1).is_err());
    log.reopen(None).expect("nothing to do");
    LogFile::create(Path::new("/dev/null"), Form::Rows, None).expect("no lock on a device");
}

#[test]
fn a_check_finds_what_stands_in_the_way_and_changes_nothing() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("log.csv"), with_row("a")).expect("written");
    fs::write(path("letter.txt"), "Dear Sir\n").expect("written");
    let before = names(folder.path());
    for name in ["new.csv", "a/b/new.csv", "log.csv"] {
        check(&path(name), Form::Rows).expect(name);
    }
    check(Path::new("new.csv"), Form::Rows).expect("the folder we are in");
    check(Path::new("/dev/null"), Form::Rows).expect("a device");
    let refused = |path: &Path| check(path, Form::Rows).expect_err("no log").to_string();
    assert!(refused(&path("letter.txt")).contains("is no log of this format"));
    assert!(refused(folder.path()).contains("Is a directory"));
    assert!(refused(&path("letter.txt/new.csv")).contains("Not a directory"));
    assert_eq!(names(folder.path()), before);
}

fn pipe_in(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    path
}

#[test]
fn a_pipe_without_a_reader_is_refused_at_once() {
    let folder = folder();
    let refused =
        LogFile::create(&pipe_in(folder.path()), Form::Rows, None).expect_err("nobody reads");
    assert!(matches!(refused, JournalError::NoReader { .. }), "{refused}");
}

#[test]
fn a_pipe_with_a_reader_is_written_and_waited_for() {
    let folder = folder();
    let path = pipe_in(folder.path());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::read_to_string(path).expect("read")
    });
    let mut log = loop {
        match LogFile::create(&path, Form::Rows, None) {
            Err(JournalError::NoReader { .. }) => std::thread::yield_now(),
            log => break log.expect("a log"),
        }
    };
    // More than a pipe holds: a write that did not wait would fall short.
    let rows = "row\n".repeat(100_000);
    log.write_all(rows.as_bytes()).expect("written");
    drop(log);
    assert_eq!(reader.join().expect("reader"), header() + &rows);
}

#[test]
fn what_is_taken_back_is_gone_from_the_end() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
    log.write_all(b"row\nro").expect("written");
    LogSink::truncate_tail(&mut log, 2).expect("cut");
    log.write_all(b"next\n").expect("written");
    assert_eq!(text(&path), with_row("row\nnext"));
}

#[test]
fn a_file_emptied_by_others_is_not_filled_with_zeros() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
    log.write_all(b"row\n").expect("written");
    File::options().write(true).open(&path).expect("a file").set_len(0).expect("emptied");
    log.write_all(b"row\nro").expect("written");
    LogSink::truncate_tail(&mut log, 2).expect("cut");
    assert_eq!(text(&path), with_row("row"));
    // Emptied between the two, which must not be forgotten.
    log.write_all(b"ro").expect("written");
    File::options().write(true).open(&path).expect("a file").set_len(0).expect("emptied");
    LogSink::truncate_tail(&mut log, 2).expect("cut");
    log.write_all(b"next\n").expect("written");
    assert_eq!(text(&path), with_row("next"));
}

/// What is left of a log of 30 rows, on which another program puts `left`, after one more row.
fn cut_to(left: &str) -> String {
    let folder = folder();
    let path = folder.path().join("x.csv");
    let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
    log.write_all("a row\n".repeat(30).as_bytes()).expect("written");
    let other = File::options().write(true).open(&path).expect("a file");
    other.set_len(0).expect("emptied");
    (&other).write_all(left.as_bytes()).expect("written");
    log.write_all(b"next\n").expect("written");
    text(&path)
}

#[test]
fn a_file_that_was_cut_has_its_header_again() {
    assert_eq!(cut_to(""), with_row("next"));
    assert_eq!(cut_to("row\nrow\n"), "row\nrow\n".to_owned() + &with_row("next"));
    assert_eq!(cut_to("row\nro"), "row\nro\n".to_owned() + &with_row("next"));
    assert_eq!(cut_to(&with_row("row")), with_row("row\nnext"));
    assert_eq!(cut_to(&(with_row("row") + "ro")), with_row("row\nro\nnext"));
}

#[test]
fn the_header_is_there_before_the_next_row() {
    let folder = folder();
    let path = folder.path().join("x.csv");
    let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
    File::options().write(true).open(&path).expect("a file").set_len(0).expect("emptied");
    LogSink::begin(&mut log).expect("begun");
    assert_eq!(text(&path), header());
}

mod reopening {
    use super::*;

    /// A log with one row whose file was then renamed.
    fn rotated(folder: &Path) -> (LogFile, PathBuf, PathBuf) {
        let (path, old) = (folder.join("x.csv"), folder.join("old.csv"));
        let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
        log.write_all(b"first\n").expect("written");
        fs::rename(&path, &old).expect("renamed");
        (log, path, old)
    }

    #[test]
    fn goes_on_in_a_new_file_with_a_header() {
        let folder = folder();
        let (mut log, path, old) = rotated(folder.path());
        log.reopen(None).expect("reopened");
        log.write_all(b"second\n").expect("written");
        assert_eq!((text(&old), text(&path)), (with_row("first"), with_row("second")));
        assert!(LogFile::create(&path, Form::Rows, None).is_err(), "the new file is locked");
        assert!(LogFile::create(&old, Form::Rows, None).is_ok(), "the old one is not");
    }

    #[test]
    fn takes_no_renamed_file_after_another_process_has_left_it_while_the_disk_was_full() {
        let folder = folder();
        let [path, old] = ["x.csv", "old.csv"].map(|name| folder.path().join(name));
        // Opened when the other process had ended, but there was no space for the header.
        let file = open_log(&path, Form::Rows, 1).expect("a log");
        let mut log = LogFile::new((&path, Form::Rows), None, Some(file), Kind::Awaited);
        fs::rename(&path, &old).expect("renamed");
        log.reopen(None).expect("reopened");
        assert!(log.is_awaited(), "rows are kept");
        LogSink::begin(&mut log).expect("there is space now");
        assert!(!log.is_awaited());
        log.write_all(b"row\n").expect("written");
        assert_eq!((text(&path), text(&old)), (with_row("row"), String::new()));
    }

    #[test]
    fn makes_the_folder_again() {
        let outer = folder();
        let inner = outer.path().join("logs");
        fs::create_dir(&inner).expect("a folder");
        let (mut log, path, _) = rotated(&inner);
        fs::remove_dir_all(&inner).expect("removed");
        log.reopen(None).expect("reopened");
        assert_eq!(text(&path), header());
    }

    #[test]
    fn appends_to_a_log_that_is_there() {
        for (there, after) in [
            (String::new(), with_row("second")),
            (header(), with_row("second")),
            (with_row("before"), with_row("before\nsecond")),
            (with_row("before") + "torn", with_row("before\ntorn\nsecond")),
        ] {
            let folder = folder();
            let (mut log, path, _) = rotated(folder.path());
            fs::write(&path, there).expect("written");
            log.reopen(None).expect("reopened");
            log.write_all(b"second\n").expect("written");
            assert_eq!(text(&path), after);
        }
    }

    #[test]
    fn goes_on_at_another_place_or_where_it_was_if_there_is_none() {
        let folder = folder();
        let [first, second] = ["first.csv", "second.csv"].map(|name| folder.path().join(name));
        let at =
            |path: &Path, meta: &str| Some(Place { path: path.into(), meta: Some(meta.into()) });
        let mut log = LogFile::create(&first, Form::Rows, Some("1".to_owned())).expect("a log");
        log.write_all(b"one\n").expect("written");
        log.reopen(at(&second, "2")).expect("another file");
        log.write_all(b"two\n").expect("written");
        fs::write(folder.path().join("other"), "no log\n").expect("written");
        log.reopen(at(&folder.path().join("other"), "3")).expect_err("no log");
        log.reopen(at(&second, "4")).expect("the same file");
        log.write_all(b"three\n").expect("written");
        assert_eq!(text(&second), with_row("two\nthree"));
        assert_eq!([&first, &second].map(|log| text(&crate::journal::meta_path(log))), ["1", "4"]);
        assert!(
            LogFile::create(&first, Form::Rows, None).is_ok(),
            "the first one is not locked any more"
        );
    }

    #[test]
    fn another_name_of_the_same_file_is_the_same_log() {
        let folder = folder();
        let [path, other] = ["x.csv", "other.csv"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&path, &other).expect("a link");
        let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
        log.write_all(b"one\n").expect("written");
        log.reopen(Some(Place { path: other.clone(), meta: Some(String::new()) }))
            .expect("the same");
        assert_eq!(LogSink::name(&log), other.display().to_string());
        log.write_all(b"two\n").expect("written");
        assert_eq!(text(&path), with_row("one\ntwo"));
    }

    #[test]
    fn does_nothing_if_the_file_is_still_the_same() {
        let folder = folder();
        let path = folder.path().join("x.csv");
        let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
        log.write_all(b"row\n").expect("written");
        log.reopen(None).expect("reopened");
        assert_eq!(text(&path), with_row("row"));
        assert!(LogFile::create(&path, Form::Rows, None).is_err(), "still locked");
    }

    #[test]
    fn writes_the_header_anew_if_the_same_file_was_emptied() {
        let folder = folder();
        let path = folder.path().join("x.csv");
        let mut log = LogFile::create(&path, Form::Rows, None).expect("a log");
        log.write_all(b"row\n").expect("written");
        File::options().write(true).open(&path).expect("a file").set_len(0).expect("emptied");
        log.reopen(None).expect("reopened");
        log.write_all(b"row\n").expect("written");
        assert_eq!(text(&path), with_row("row"));
    }

    #[test]
    fn keeps_the_old_file_if_the_new_one_cannot_be_had() {
        let folder = folder();
        let (mut log, path, old) = rotated(folder.path());
        fs::write(&path, "something else").expect("written");
        assert!(matches!(log.reopen(None), Err(JournalError::NotALog { .. })));
        fs::remove_file(&path).expect("removed");

        let other = LogFile::create(&path, Form::Rows, None).expect("another writer");
        assert!(matches!(log.reopen(None), Err(JournalError::Locked { .. })));
        drop(other);

        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("a folder");
        assert!(matches!(log.reopen(None), Err(JournalError::Unwritable { .. })));

        log.write_all(b"second\n").expect("written");
        assert_eq!(text(&old), with_row("first\nsecond"));
    }
}
