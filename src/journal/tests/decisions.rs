//! The log of choices beside that of requests.

use super::sender::DECISIONS_MAX;
use super::*;
use crate::decision::{Decision, Told};

const TEXT: &str = r#""chosen":"http://b:2","reason":"best""#;

fn both(rows: &Path, decisions: &Path, workers: usize) -> Options {
    Options { decisions: Some(decisions.to_owned()), ..options(Some(rows), workers) }
}

#[derive(Debug)]
struct Known(Decision<'static>);

impl Told for Known {
    fn decision(&self) -> Decision<'_> {
        self.0.clone()
    }
}

fn decided(record: &Record<'_>) -> Decided {
    let started = record.dispatched.unwrap_or(record.ended);
    let (chosen, reason) = ("http://b:2".into(), "best".into());
    let told = Box::new(Known(Decision { chosen, reason, ..Decision::default() }));
    Decided { at: started, started, client: record.client, told }
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("a log");
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn places(folder: &tempfile::TempDir) -> [PathBuf; 2] {
    ["x.csv", "x.jsonl"].map(|name| folder.path().join(name))
}

#[test]
fn a_choice_is_a_line_and_its_name_is_that_of_the_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let [rows, decisions] = places(&folder);
    let (journal, mut senders) = Journal::start(both(&rows, &decisions, 3)).expect("started");
    let ended = now();
    let dispatched = ended.checked_sub(Duration::from_micros(1_600));
    let record = Record { ended, dispatched, ..record(b"/") };
    senders[2].decide(decided(&record));
    senders[2].record(&record);
    let watcher = journal.decisions_watcher().expect("there is one");
    drop(senders);
    assert_eq!(journal.close().rows, 1);
    assert_eq!((watcher.rows(), watcher.lost()), (1, 0));

    let text = fs::read_to_string(&rows).expect("a log");
    let cells: Vec<&str> = text.lines().nth(1).expect("a row").split(',').collect();
    let cell = |name: &str| cells[COLUMNS.iter().position(|it| it.name == name).expect(name)];
    let name = [cell("started"), cell("worker"), cell("client")].join("/");
    let lines = lines(&decisions);
    assert_eq!((lines.len(), &lines[0]["request"]), (1, &serde_json::json!(name)));
    assert_eq!(lines[0]["time"], cell("started"));
    assert_eq!((&lines[0]["worker"], &lines[0]["reason"]), (&2.into(), &"best".into()));
    assert!(!beside::meta_path(&decisions).exists(), "only rows need a description");
}

#[test]
fn without_a_log_of_choices_they_cost_nothing_and_without_rows_there_are_choices() {
    let folder = tempfile::tempdir().expect("a folder");
    let [rows, decisions] = places(&folder);
    let (journal, mut senders) = Journal::start(options(Some(&rows), 1)).expect("started");
    senders[0].decide(decided(&record(b"/")));
    assert!(journal.decisions_watcher().is_none());
    drop(journal);
    let none = Options { path: None, ..both(&rows, &decisions, 1) };
    let (journal, mut senders) = Journal::start(none).expect("started");
    senders[0].decide(decided(&record(b"/")));
    senders[0].record(&record(b"/"));
    let watcher = journal.decisions_watcher().expect("there is one");
    assert_eq!(journal.close(), Totals { requests: 1, errors: 0, rows: 0, lost: 0 });
    assert_eq!((watcher.rows(), lines(&decisions).len()), (1, 1));
}

#[test]
fn both_logs_are_moved_aside_locked_and_never_taken_for_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let [rows, decisions] = places(&folder);
    for _ in 0..2 {
        let (journal, mut senders) = Journal::start(both(&rows, &decisions, 1)).expect("started");
        senders[0].decide(decided(&record(b"/")));
        senders[0].record(&record(b"/"));
        let locked = Journal::start(Options { path: None, ..both(&rows, &decisions, 1) });
        let refusal = locked.expect_err("it is being written").to_string();
        assert!(
            refusal.contains("--decisions") && refusal.contains("another process"),
            "{refusal}"
        );
        let moved = journal.moved_aside().len();
        assert_eq!(journal.close().rows, 1);
        assert!([0, 2].contains(&moved), "{moved}");
        assert_eq!(lines(&decisions).len(), 1);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 4);
    for (options, flag) in [
        (both(&folder.path().join("new.csv"), &rows, 1), "--decisions"),
        (both(&decisions, &folder.path().join("new.jsonl"), 1), "--log"),
    ] {
        let refusal = Journal::start(options).expect_err("the other form").to_string();
        assert!(refusal.contains("no log of this format") && refusal.contains(flag), "{refusal}");
    }
}

#[test]
fn a_rotation_and_another_run_move_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let [rows, decisions] = places(&folder);
    let (journal, mut senders) = Journal::start(both(&rows, &decisions, 1)).expect("started");
    let mut say = |count: u64| {
        senders[0].decide(decided(&record(b"/")));
        senders[0].record(&record(b"/"));
        let watcher = journal.decisions_watcher().expect("there is one");
        poll_until("the choice", || watcher.rows() == count);
    };
    say(1);
    let renamed = folder.path().join("x.jsonl.1");
    fs::rename(&decisions, &renamed).expect("renamed");
    journal.reopener().reopen();
    poll_until("a new file", || decisions.exists());
    say(2);
    assert_eq!((lines(&renamed).len(), lines(&decisions).len()), (1, 1));
    let next = folder.path().join("next.jsonl");
    journal.reopener().go_on_as(NextRun {
        path: Some(rows.clone()),
        decisions: Some(next.clone()),
        meta: "next".to_owned(),
        routing_mode: "least-conn".to_owned(),
        connection: "persistent".to_owned(),
    });
    poll_until("the next file", || next.exists());
    say(3);
    assert_eq!((lines(&decisions).len(), lines(&next).len()), (1, 1));
    drop(senders);
    assert_eq!(journal.close().rows, 3);
    assert_eq!(logged_in(&rows).len(), 3, "the rows stayed where they were");
}

#[test]
fn a_slow_or_full_disk_loses_choices_and_each_is_counted() {
    let gated = Gated::default();
    gated.set_shut(true);
    let capacity = Capacity { entries: 100, text_bytes: 4096 };
    let (journal, mut senders) =
        Journal::start_on(None, Some(gated.clone()), options(None, 1), capacity).expect("started");
    let mut say = || senders[0].decide(decided(&record(b"/")));
    say();
    poll_until("the thread to be held up", || gated.is_waiting());
    for _ in 0..DECISIONS_MAX + 250 {
        say();
    }
    let watcher = journal.decisions_watcher().expect("there is one");
    gated.set_shut(false);
    drop(senders);
    drop(journal);
    let written = gated.text().matches(TEXT).count() as u64;
    assert_eq!(
        (watcher.rows(), watcher.rows() + watcher.lost()),
        (written, DECISIONS_MAX as u64 + 251)
    );
    assert!(watcher.lost() > 0);

    let full = Options { decisions: Some("/dev/full".into()), ..options(None, 1) };
    let (journal, mut senders) = Journal::start(full).expect("started all the same");
    senders[0].decide(decided(&record(b"/")));
    let watcher = journal.decisions_watcher().expect("there is one");
    drop(senders);
    drop(journal);
    assert_eq!((watcher.rows(), watcher.lost()), (0, 1));
}

#[test]
fn rows_come_before_choices_where_both_do_not_fit() {
    let gated = [Gated::default(), Gated::default()];
    gated[0].set_shut(true);
    let [rows, decisions] = gated.clone();
    let capacity = Capacity { entries: 100, text_bytes: 1 << 20 };
    let (journal, mut senders) =
        Journal::start_on(Some(rows), Some(decisions), options(None, 1), capacity)
            .expect("started");
    senders[0].record(&record(b"/"));
    poll_until("the thread to be held up", || gated[0].is_waiting());
    for _ in 0..DECISIONS_MAX + 90 {
        senders[0].decide(decided(&record(b"/")));
    }
    for _ in 0..40 {
        senders[0].record(&record(b"/"));
    }
    gated[0].set_shut(false);
    drop(senders);
    assert_eq!(journal.close(), Totals { requests: 41, errors: 0, rows: 41, lost: 0 });
}

#[test]
fn what_follows_a_process_keeps_its_choices_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let [rows, decisions] = places(&folder);
    for path in [Some(rows.clone()), None] {
        let both = || Options { path: path.clone(), ..both(&rows, &decisions, 1) };
        let (first, mut old) = Journal::start(both()).expect("started");
        let (second, mut new) = Journal::start_after(both()).expect("started");
        assert!(second.is_awaited() && !first.is_awaited());
        for (sender, count) in [(&mut old[0], 1), (&mut new[0], 2)] {
            for _ in 0..count {
                sender.decide(decided(&record(b"/")));
                sender.record(&record(b"/"));
            }
        }
        let [before, after] = [&first, &second].map(|it| it.decisions_watcher().expect("one"));
        poll_until("the choice of the first", || lines(&decisions).len() == 1);
        second.reopener().reopen();
        let closing = thread::spawn(move || second.close());
        let logged = u64::from(path.is_some());
        assert_eq!((first.close().rows, before.rows(), before.lost()), (logged, 1, 0));
        let totals = closing.join().expect("closed");
        assert_eq!((totals.rows, after.rows(), after.lost()), (2 * logged, 2, 0));
        assert_eq!(lines(&decisions).len(), 2);
    }
}

#[test]
fn choices_of_a_log_that_takes_nothing_any_more_are_lost_wherever_they_wait() {
    let gated = Gated::default();
    gated.set_shut(true);
    let (journal, mut senders) =
        Journal::start_on(None, Some(gated.clone()), options(None, 1), sender::CAPACITY)
            .expect("started");
    senders[0].decide(decided(&record(b"/")));
    poll_until("the thread to be held up", || gated.is_waiting());
    for _ in 0..5 {
        senders[0].decide(decided(&record(b"/")));
    }
    let watcher = journal.decisions_watcher().expect("there is one");
    drop(journal);
    assert_eq!((watcher.rows(), watcher.lost()), (0, 6));
    gated.set_shut(false);
}

#[test]
fn a_log_that_is_refused_leaves_the_other_one_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let [rows, decisions] = places(&folder);
    let (journal, mut senders) = Journal::start(both(&rows, &decisions, 1)).expect("started");
    senders[0].record(&record(b"/"));
    assert_eq!(journal.close().rows, 1);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("letter.txt"), "Dear Sir\n").expect("written");
    fs::create_dir(path("folder")).expect("made");
    let (pipe, mode) = (path("pipe"), rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a pipe");
    let locked = Options { decisions: Some(path("locked.jsonl")), ..options(None, 1) };
    let (_other, _) = Journal::start(locked).expect("started");
    let count = || fs::read_dir(folder.path()).expect("a folder").count();
    let before = count();
    for name in ["letter.txt", "folder", "pipe", "locked.jsonl"] {
        Journal::start(both(&rows, &path(name), 1)).expect_err(name);
        assert_eq!(count(), before, "{name}: nothing was moved");
    }
    assert_eq!(logged_in(&rows), ["/"]);
    let (journal, _) = Journal::start(both(&rows, &decisions, 1)).expect("started");
    assert_eq!(journal.moved_aside().len(), 1);
}

#[test]
fn one_file_under_two_names_is_not_both_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let there = path("there.csv");
    fs::write(&there, "").expect("written");
    fs::hard_link(&there, path("hard.csv")).expect("a link");
    std::os::unix::fs::symlink(&there, path("soft.csv")).expect("a link");
    std::os::unix::fs::symlink(path("other.csv"), path("dangling.csv")).expect("a link");
    fs::create_dir(path("folder")).expect("made");
    for (log, decisions) in [
        ("there.csv", "hard.csv"),
        ("soft.csv", "there.csv"),
        ("new.csv", "folder/../new.csv"),
        ("dangling.csv", "other.csv"),
    ] {
        let (log, decisions) = (path(log), path(decisions));
        for start in [Journal::start, Journal::start_after] {
            let refusal = start(both(&log, &decisions, 1)).expect_err("one file").to_string();
            let named = format!(
                "--log `{}` and --decisions `{}` are the same file; name two files",
                log.display(),
                decisions.display()
            );
            assert_eq!(refusal, named);
        }
    }
    let device = Path::new("/dev/null");
    Journal::start(both(device, device, 1)).expect("what goes nowhere may go there together");
}

#[test]
fn names_of_one_file_are_recognised_before_there_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(folder.path(), path("here")).expect("a link");
    let check =
        |log: &str, decisions: &str| check_distinct(Some(&path(log)), Some(&path(decisions)));
    check("here/a/x", "a/x").expect_err("one file");
    check("./x", "x").expect_err("one file");
    check("x", "y").expect("two files");
    check_distinct(Some(&path("x")), None).expect("one log");
}
