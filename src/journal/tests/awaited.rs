//! A log that another process writes still.

use super::super::{Journal, NextRun};
use super::{logged_in, options, record};

#[test]
fn rows_that_are_kept_go_to_another_log_if_there_is_a_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let [old, new] = ["old.csv", "new.csv"].map(|name| folder.path().join(name));
    let (other, _) = Journal::start(options(Some(&old), 1)).expect("started");
    let (journal, mut senders) = Journal::start_after(options(Some(&old), 1)).expect("started");
    assert!(journal.is_awaited());
    senders[0].record(&record(b"/before"));
    journal.reopener().go_on_as(NextRun {
        path: Some(new.clone()),
        decisions: None,
        meta: String::new(),
        routing_mode: "adaptive".to_owned(),
        connection: "persistent".to_owned(),
    });
    senders[0].record(&record(b"/after"));
    let totals = journal.close();
    assert_eq!((totals.rows, totals.lost), (2, 0));
    assert_eq!(logged_in(&new), ["/before", "/after"]);
    let _ = other.close();
    assert_eq!(logged_in(&old), [""; 0]);
}
