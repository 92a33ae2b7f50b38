//! The whole journal: senders, thread and log together.

mod after;
mod alone;
mod awaited;
mod decisions;

use super::*;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::endpoint::Client;

const LINES: Says = Says { rows: false, decisions: false, lines: true };

/// Longer than any of these tests takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "a test has to give up some time")]
fn now() -> Instant {
    Instant::now()
}

fn poll_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !done() {
        assert!(now() < deadline, "waited in vain for {what}");
        thread::yield_now();
    }
}

fn options(path: Option<&Path>, workers: usize) -> Options {
    Options {
        path: path.map(Path::to_owned),
        decisions: None,
        meta: None,
        routing_mode: "round-robin".to_owned(),
        connection: "persistent".to_owned(),
        workers,
        verbose: false,
        console: Console::standard(),
    }
}

fn record(path: &[u8]) -> Record<'_> {
    Record {
        client: Client::Ip(([127, 0, 0, 1], 1).into()),
        backend: Some("http://b:2"),
        status: 200,
        method: b"GET",
        path,
        request_bytes: 10,
        response_bytes: 20,
        latency: Some(Duration::from_micros(1_500)),
        first_byte: Some(Duration::from_millis(1)),
        attempts: 1,
        ..Record::new(now())
    }
}

/// The paths in a log, in order. Fails unless every line is a whole row.
fn logged(text: &str) -> Vec<String> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    let mut log = Tail::open(file.path(), None).expect("a header");
    let mut paths = Vec::new();
    while log.read_on().expect("a log") > 0 {
        while let Some(row) = log.next_row() {
            let row = row.expect("a whole row");
            assert_eq!((row.attempts, row.fault), (Some(1), None), "the last columns are there");
            paths.push(String::from_utf8(row.path.expect("a path").to_vec()).expect("text"));
        }
    }
    assert_eq!(text.matches('\n').count(), paths.len() + 1, "one header, one line a row");
    paths
}

/// Those in a file, which is read once: more rows may come in at any time.
fn logged_in(path: &Path) -> Vec<String> {
    logged(&fs::read_to_string(path).expect("a log"))
}

/// A log in memory whose writes wait while the gate is shut.
#[derive(Clone, Default)]
struct Gated(Arc<Gate>);

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    shut: bool,
    waiting: bool,
    bytes: Vec<u8>,
}

impl Gated {
    fn set_shut(&self, shut: bool) {
        self.0.state.lock().expect("gate").shut = shut;
        self.0.changed.notify_all();
    }

    fn is_waiting(&self) -> bool {
        self.0.state.lock().expect("gate").waiting
    }

    fn text(&self) -> String {
        let bytes = self.0.state.lock().expect("gate").bytes.clone();
        header() + &String::from_utf8(bytes).expect("text")
    }
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock().expect("gate");
        state.waiting = state.shut;
        let mut state = self.0.changed.wait_while(state, |state| state.shut).expect("gate");
        state.waiting = false;
        state.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogSink for Gated {
    fn name(&self) -> String {
        "gated".to_owned()
    }

    fn truncate_tail(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn reopen(&mut self, _place: Option<sink::Place>) -> Result<(), JournalError> {
        Ok(())
    }
}

#[test]
fn senders_can_go_to_their_workers() {
    fn is_send<T: Send>() {}
    is_send::<RecordSender>();
}

#[test]
fn a_record_becomes_a_row_of_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let before = SystemTime::now();
    let (journal, mut senders) = Journal::start(options(Some(&path), 3)).expect("started");
    let record = record(b"/a,b");
    senders[2].record(&Record {
        dispatched: record.ended.checked_sub(Duration::from_micros(1_600)),
        in_flight: Some(3),
        reason: Some("best"),
        queue: Some(Duration::from_millis(5)),
        hedge: Some(Hedge::Lost),
        hedge_backend: "http://b:1",
        ..record
    });
    drop(senders);
    let totals = journal.close();
    assert_eq!(totals, Totals { requests: 1, errors: 0, rows: 1, lost: 0 });

    let text = fs::read_to_string(&path).expect("a log");
    let row = text.strip_prefix(&header()).expect("a header");
    let (timestamp, row) = row.split_once(',').expect("columns");
    let (row, dispatch) = row.split_at(row.find("Z,").expect("another time") - 26);
    assert_eq!(
        row,
        "http://b:2,1.500,200,round-robin,persistent,2,127.0.0.1:1,GET,\"/a,b\",10,20,,1.000,1,,,"
    );
    let (started, choice) = dispatch.split_once(',').expect("columns");
    assert_eq!(choice, "3,best,5.000,lost,http://b:1\n");
    let time = |text: &str| text.parse::<jiff::Timestamp>().expect("a timestamp");
    assert_eq!(time(timestamp).duration_since(time(started)).as_micros(), 1_600);
    let timestamp: SystemTime = time(timestamp).into();
    // Between the two clocks lies the rounding to microseconds.
    assert!(timestamp >= before - Duration::from_millis(1) && timestamp <= SystemTime::now());
}

#[test]
fn a_request_that_was_never_dispatched_has_no_backend() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let (journal, mut senders) = Journal::start(options(Some(&path), 1)).expect("started");
    senders[0].record(&Record { backend: None, latency: None, status: 400, ..record(b"/") });
    let totals = journal.close();
    assert_eq!(totals, Totals { requests: 1, errors: 1, rows: 1, lost: 0 });
    let text = fs::read_to_string(&path).expect("a log");
    assert!(text.contains("Z,,,400,round-robin,"), "{text}");
}

#[test]
fn rows_are_in_the_log_before_it_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let (_journal, mut senders) = Journal::start(options(Some(&path), 1)).expect("started");
    for number in 0..3 {
        senders[0].record(&record(b"/"));
        poll_until("the row", || logged_in(&path).len() == number + 1);
    }
}

#[test]
fn dropping_the_journal_writes_everything_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let (journal, mut senders) = Journal::start(options(Some(&path), 1)).expect("started");
    senders[0].record(&record(b"/last"));
    drop(journal);
    assert_eq!(logged_in(&path), ["/last"]);
    let (_journal, _senders) = Journal::start(options(Some(&path), 1)).expect("the lock is free");
}

#[test]
fn errors_are_4xx_5xx_and_faults_per_sender_and_in_all() {
    let (journal, mut senders) = Journal::start(options(None, 2)).expect("started");
    for (status, fault) in
        [(200, None), (399, None), (400, None), (503, None), (200, Some("truncated"))]
    {
        senders[0].record(&Record { status, fault, ..record(b"/") });
    }
    senders[1].record(&Record { status: 499, ..record(b"/") });
    assert_eq!((senders[0].counters().requests(), senders[0].counters().errors()), (5, 3));
    assert_eq!((senders[1].counters().requests(), senders[1].counters().errors()), (1, 1));
    assert_eq!(journal.close(), Totals { requests: 6, errors: 4, rows: 0, lost: 0 });
}

#[test]
fn without_a_log_and_lines_there_is_no_thread() {
    let (journal, _senders) = Journal::start(options(None, 1)).expect("started");
    assert!(journal.thread.is_none());
    journal.reopener().reopen();
    let verbose = Options { verbose: true, ..options(None, 1) };
    let (journal, mut senders) = Journal::start(verbose).expect("started");
    assert!(journal.thread.is_some());
    senders[0].record(&record(b"/"));
    assert_eq!(journal.close(), Totals { requests: 1, errors: 0, rows: 0, lost: 0 });
}

#[test]
fn long_methods_and_paths_are_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let (journal, mut senders) = Journal::start(options(Some(&path), 1)).expect("started");
    let long = vec![b'x'; 100_000];
    senders[0].record(&Record { method: &long, ..record(&long) });
    assert_eq!(journal.close().rows, 1);
    let mut written = Tail::open(&path, None).expect("a log");
    written.read_on().expect("a file that can be read");
    let row = written.next_row().expect("a row").expect("a whole one");
    assert_eq!(row.method.map(<[u8]>::len), Some(METHOD_BYTES_MAX));
    assert_eq!(row.path.map(<[u8]>::len), Some(PATH_BYTES_MAX));
}

#[test]
fn a_log_that_takes_nothing_any_more_does_not_keep_the_program_from_its_end() {
    let gated = Gated::default();
    gated.set_shut(true);
    let (journal, mut senders) =
        Journal::start_on(Some(gated.clone()), None, options(None, 1), sender::CAPACITY)
            .expect("started");
    for _ in 0..3 {
        senders[0].record(&record(b"/"));
    }
    poll_until("the thread to be held up", || gated.is_waiting());
    assert_eq!(journal.close(), Totals { requests: 3, errors: 0, rows: 0, lost: 3 });
    gated.set_shut(false);
}

#[test]
fn what_finds_the_ring_full_is_counted_and_the_rest_is_written() {
    let gated = Gated::default();
    gated.set_shut(true);
    let capacity = Capacity { entries: 100, text_bytes: 10_000 };
    let (journal, mut senders) =
        Journal::start_on(Some(gated.clone()), None, options(None, 1), capacity).expect("started");
    senders[0].record(&record(b"/first"));
    poll_until("the thread to be held up", || gated.is_waiting());
    for _ in 0..250 {
        senders[0].record(&record(b"/next"));
    }
    gated.set_shut(false);
    poll_until("capacity in the ring", || logged(&gated.text()).len() == 101);
    senders[0].record(&record(b"/last"));
    drop(senders);
    assert_eq!(journal.close(), Totals { requests: 252, errors: 0, rows: 102, lost: 150 });
    let paths = logged(&gated.text());
    assert_eq!((paths[0].as_str(), paths[101].as_str()), ("/first", "/last"));
}

#[test]
fn rows_and_lost_are_all_requests_however_slow_the_disk() {
    const WORKERS: usize = 4;
    const REQUESTS: usize = 20_000;
    let gated = Gated::default();
    let capacity = Capacity { entries: 256, text_bytes: 4096 };
    let (journal, senders) =
        Journal::start_on(Some(gated.clone()), None, options(None, WORKERS), capacity)
            .expect("started");
    let workers: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(worker, mut sender)| {
            let gated = gated.clone();
            thread::spawn(move || {
                for request in 0..REQUESTS {
                    gated.set_shut(request % 1000 > 800);
                    sender.record(&record(format!("/{worker}/{request:05}").as_bytes()));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("worker");
    }
    gated.set_shut(false);
    let totals = journal.close();
    assert_eq!(totals.requests, (WORKERS * REQUESTS) as u64);
    assert_eq!(totals.rows + totals.lost, totals.requests);
    assert!(totals.rows > 0 && totals.lost > 0, "both ways were taken: {totals:?}");

    let paths = logged(&gated.text());
    assert_eq!(paths.len() as u64, totals.rows);
    for worker in 0..WORKERS {
        let own = paths.iter().filter(|path| path.starts_with(&format!("/{worker}/")));
        assert!(own.is_sorted_by(|one, next| one < next), "in order, none twice");
    }
}

#[test]
fn senders_may_be_dropped_in_any_order() {
    for reversed in [false, true] {
        let gated = Gated::default();
        let (journal, mut senders) =
            Journal::start_on(Some(gated.clone()), None, options(None, 5), sender::CAPACITY)
                .expect("started");
        if reversed {
            senders.reverse();
        }
        while !senders.is_empty() {
            for sender in &mut senders {
                sender.record(&record(b"/"));
            }
            senders.remove(0);
        }
        assert_eq!(journal.close(), Totals { requests: 15, errors: 0, rows: 15, lost: 0 });
        assert_eq!(logged(&gated.text()).len(), 15);
    }
}

#[test]
fn rows_are_of_the_run_that_is_going_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = ["first.csv", "second.csv"].map(|name| folder.path().join(name));
    let (journal, mut senders) = Journal::start(options(Some(&first), 1)).expect("started");
    senders[0].record(&record(b"/one"));
    let next = NextRun {
        path: Some(second.clone()),
        decisions: None,
        meta: "next".to_owned(),
        routing_mode: "least-conn".to_owned(),
        connection: "non-persistent".to_owned(),
    };
    journal.reopener().go_on_as(next);
    poll_until("the next log", || second.exists());
    senders[0].record(&record(b"/two"));
    assert_eq!(journal.close(), Totals { requests: 2, errors: 0, rows: 2, lost: 0 });
    let [first, second] = [first, second].map(|path| fs::read_to_string(path).expect("a log"));
    assert!(first.contains("/one") && !first.contains("least-conn"), "{first}");
    assert!(second.contains("/two") && second.contains("least-conn"), "{second}");
}

#[test]
fn reopening_under_load_loses_and_doubles_no_row() {
    const ROTATIONS: u64 = 20;
    /// Few enough that no ring fills up, whatever the machine does meanwhile.
    // A worker that was starved may have all of its requests to make at once: they fit a ring.
    const REQUESTS_PER_ROTATION: u64 = 500;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    let (journal, senders) = Journal::start(options(Some(&path), 2)).expect("started");
    let rotations = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(worker, mut sender)| {
            let rotations = Arc::clone(&rotations);
            thread::spawn(move || {
                while sender.counters().requests() < ROTATIONS * REQUESTS_PER_ROTATION {
                    let started = rotations.load(Ordering::Relaxed) + 1;
                    if sender.counters().requests() < started * REQUESTS_PER_ROTATION {
                        sender.record(&record(
                            format!("/{worker}/{}", sender.counters().requests()).as_bytes(),
                        ));
                    }
                    thread::yield_now();
                }
            })
        })
        .collect();
    for rotation in 0..ROTATIONS {
        poll_until("rows", || fs::metadata(&path).is_ok_and(|log| log.len() > 500));
        fs::rename(&path, folder.path().join(format!("{rotation}.csv"))).expect("renamed");
        journal.reopener().reopen();
        // Only then more, or all of it could go to the old file and none be left for the new one.
        poll_until("the new file", || path.exists());
        rotations.store(rotation + 1, Ordering::Relaxed);
    }
    for worker in workers {
        worker.join().expect("worker");
    }
    let totals = journal.close();

    let requests = 2 * ROTATIONS * REQUESTS_PER_ROTATION;
    assert_eq!(totals, Totals { requests, errors: 0, rows: requests, lost: 0 });
    let files = fs::read_dir(folder.path()).expect("a folder");
    let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len() as u64, ROTATIONS + 1);
    let rows: Vec<String> = files.iter().flat_map(|file| logged_in(file)).collect();
    let distinct: BTreeSet<&String> = rows.iter().collect();
    assert_eq!((rows.len() as u64, distinct.len() as u64), (requests, requests));
}

#[test]
fn lines_are_not_even_formatted_unless_verbose() {
    struct Costly;
    impl std::fmt::Display for Costly {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            unreachable!("formatted for nobody")
        }
    }
    let gated = Gated::default();
    let (_journal, mut senders) =
        Journal::start_on(Some(gated), None, options(None, 1), sender::CAPACITY).expect("started");
    senders[0].log_line(format_args!("{Costly}"));
}

#[test]
fn a_line_is_cut_between_characters() {
    let (mut sender, consumer) = RecordSender::new(LINES, sender::CAPACITY);
    let long = "ü".repeat(LINE_BYTES_MAX);
    sender.log_line(format_args!("x{long}{long}"));
    sender.log_line(format_args!("{}", 2));
    let mut consumer = consumer.expect("a verbose sender has one");
    let mut scratch = Vec::new();
    let mut line = || consumer.entries.take(&mut scratch, |_, [line, ..]| line.to_vec());
    let cut = format!("x{}", "ü".repeat(LINE_BYTES_MAX / 2 - 1));
    assert_eq!(line().map(String::from_utf8), Some(Ok(cut)));
    assert_eq!(line().map(String::from_utf8), Some(Ok("2".to_owned())));
    assert_eq!(line(), None);
}

#[test]
fn lines_leave_half_of_the_ring_to_rows() {
    let capacity = Capacity { entries: 8, text_bytes: 1000 };
    let (mut sender, consumer) = RecordSender::new(Says { rows: true, ..LINES }, capacity);
    for _ in 0..8 {
        sender.log_line(format_args!("line"));
    }
    let lines = consumer.as_ref().expect("another end").entries.len();
    for _ in 0..8 - lines {
        sender.record(&record(b"/"));
    }
    assert!((4..8).contains(&lines), "{lines}");
    assert_eq!(consumer.expect("another end").entries.len(), 8);
    assert_eq!(sender.counters().dropped(), 0);
}
