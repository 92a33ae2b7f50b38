//! A log that another process writes still, and is about to leave.

use super::*;

#[test]
fn what_follows_a_process_keeps_its_rows_until_that_one_has_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let (first, mut old) = Journal::start(options(Some(&path), 1)).expect("started");
    let refused = Journal::start(options(Some(&path), 1)).expect_err("it is locked");
    assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
    let (second, mut new) = Journal::start_after(options(Some(&path), 1)).expect("started");
    assert!(second.is_awaited() && !first.is_awaited());
    for _ in 0..100 {
        new[0].record(&record(b"/new"));
        old[0].record(&record(b"/old"));
    }
    // Neither is torn nor forgotten by what happens meanwhile.
    second.reopener().reopen();
    poll_until("the rows of the first", || logged_in(&path).len() == 100);
    assert_eq!(first.close(), Totals { requests: 100, errors: 0, rows: 100, lost: 0 });
    poll_until("the rows of the second", || {
        // For a moment there is no file of this name.
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.contains("/new") && logged(&text) == ["/new"; 100]
    });
    assert!(!second.is_awaited());
    new[0].record(&record(b"/new"));
    assert_eq!(second.close(), Totals { requests: 101, errors: 0, rows: 101, lost: 0 });
    let aside = fs::read_dir(folder.path()).expect("a folder").flatten().map(|it| it.path());
    let aside: Vec<PathBuf> = aside.filter(|file| *file != path).collect();
    assert_eq!(aside.iter().map(|it| logged_in(it).len()).collect::<Vec<_>>(), [100]);
}

#[test]
fn one_that_ends_while_it_waits_writes_its_rows_as_soon_as_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let (first, _old) = Journal::start(options(Some(&path), 1)).expect("started");
    let (second, mut new) = Journal::start_after(options(Some(&path), 1)).expect("started");
    new[0].record(&record(b"/new"));
    let closing = thread::spawn(move || second.close());
    drop(first);
    let totals = closing.join().expect("closed");
    assert_eq!(totals, Totals { requests: 1, errors: 0, rows: 1, lost: 0 });
    assert_eq!(logged_in(&path), ["/new"]);
}
