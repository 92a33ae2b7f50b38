use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::balance::{Membership, Options};
use crate::endpoint::Client;
use crate::journal::Record;

#[expect(clippy::disallowed_methods, reason = "no other source of a first instant")]
fn start() -> Instant {
    Instant::now()
}

/// Counters for so many workers, and the ids of so many backends.
fn metrics(workers: usize, backends: usize) -> (Metrics, Vec<BackendId>) {
    let (metrics, ids, _) = owned(workers, backends);
    (metrics, ids)
}

/// The same with the owner of those backends.
fn owned(workers: usize, backends: usize) -> (Metrics, Vec<BackendId>, Membership) {
    let mut membership = Membership::new(Options::default(), start()).expect("valid options");
    let ids = (0..backends).map(|index| membership.add(&format!("http://b{index}")));
    let ids = ids.map(|id| id.expect("a slot")).collect();
    (Metrics::new(workers, membership.registry()), ids, membership)
}

fn record(status: u16, fault: Option<&'static str>) -> Record<'static> {
    Record {
        client: Client::Ip(([127, 0, 0, 1], 1).into()),
        status,
        method: b"GET",
        path: b"/",
        request_bytes: 10,
        response_bytes: 100,
        latency: Some(Duration::from_millis(20)),
        attempts: 1,
        fault,
        ..Record::new(start())
    }
}

#[test]
fn a_request_counts_by_its_answer_and_for_its_backend() {
    let (metrics, ids) = metrics(1, 2);
    let mut worker = metrics.worker(0);
    for status in [101, 200, 204, 304, 404, 499, 500, 502, 900] {
        worker.record(&record(status, None), Some(ids[0]));
    }
    worker.record(&Record { attempts: 3, ..record(200, None) }, Some(ids[1]));
    worker.record(&Record { latency: None, ..record(400, Some("bad_host")) }, None);
    let all = metrics.snapshot();
    let classes = [
        AnswerClass::Informational,
        AnswerClass::Success,
        AnswerClass::Redirection,
        AnswerClass::ClientError,
        AnswerClass::ServerError,
        AnswerClass::ClientGone,
    ];
    let answers = |traffic: &Traffic| classes.map(|class| traffic.answers(class));
    let total = &all.total.traffic;
    assert_eq!(answers(total), [1, 3, 1, 2, 3, 1]);
    assert_eq!((total.requests(), total.errors(), total.retries), (11, 6, 2));
    assert_eq!((total.request_bytes, total.response_bytes), (110, 1100));
    let [first, second] = [ids[0], ids[1]].map(|id| &all.backends[&id]);
    assert_eq!(answers(&first.traffic), [1, 2, 1, 1, 3, 1]);
    assert_eq!(first.latencies.count(), 8, "a tunnel has none");
    assert_eq!((second.traffic.requests(), second.traffic.retries), (1, 2));
    assert_eq!(second.latencies.sum(), Duration::from_millis(20));
}

#[test]
fn faults_count_by_their_label_and_as_errors_even_if_the_answer_had_begun_well() {
    let (metrics, ids) = metrics(2, 1);
    for index in [0, 1] {
        let mut worker = metrics.worker(index);
        worker.record(&record(200, Some("response_truncated")), Some(ids[0]));
        worker.record(&record(502, Some("upstream_closed")), Some(ids[0]));
        worker.record(&record(502, Some("upstream_closed")), Some(ids[0]));
        worker.record(&record(400, Some("bad_host")), None);
    }
    let all = metrics.snapshot();
    let faults = [("bad_host", 2), ("response_truncated", 2), ("upstream_closed", 4)];
    assert_eq!(all.total.traffic.faults, BTreeMap::from(faults));
    assert_eq!(all.total.traffic.errors(), 8);
    assert_eq!(all.backends[&ids[0]].traffic.faults, BTreeMap::from_iter(faults[1..].to_vec()));
}

#[test]
fn connections_count_from_their_opening_to_their_end() {
    let (metrics, ids, mut owner) = owned(2, 2);
    let mut balancer = owner.balancer();
    let (mut one, mut other) = (metrics.worker(0), metrics.worker(1));
    for worker in [&mut one, &mut other] {
        (0..3).for_each(|_| worker.opened(ids[0]));
        worker.opened(ids[1]);
        worker.closed(ids[0]);
        worker.accepted();
        worker.clients(5, 2);
    }
    let lease = balancer.acquire_bound(ids[0], start()).lease().expect("a member");
    let all = metrics.snapshot();
    let [first, second] = [ids[0], ids[1]].map(|id| &all.backends[&id]);
    let counts = |of: &BackendSnapshot| [of.opened, of.open, of.outstanding, of.idle()];
    assert_eq!(counts(first), [6, 4, 1, 3]);
    assert_eq!(counts(second), [2, 2, 0, 2]);
    assert_eq!(counts(&all.total), [8, 6, 1, 5]);
    assert_eq!((all.accepted, all.clients, all.outstanding), (2, 10, 4));
    balancer.release(lease);
}

#[test]
fn what_was_counted_of_a_backend_goes_with_it_and_stays_in_the_total() {
    let (metrics, ids, mut owner) = owned(1, 2);
    let mut worker = metrics.worker(0);
    worker.record(&record(200, None), Some(ids[0]));
    worker.record(&record(200, Some("response_truncated")), Some(ids[0]));
    worker.record(&record(200, None), Some(ids[1]));
    worker.opened(ids[0]);
    worker.closed(ids[0]);
    let before = metrics.snapshot();
    owner.drain(ids[0]);
    assert_eq!(owner.collect(), [ids[0]]);
    metrics.retire(&[]);
    let after = metrics.snapshot();
    assert_eq!(after.total, before.total);
    assert_eq!(after.total.traffic.requests(), 3);
    assert_eq!(after.backends.keys().collect::<Vec<_>>(), [&ids[1]]);
    // A client reads for as long as it likes, so a row may come when its backend is gone; and not
    // every part of a worker has met that backend.
    let mut late = metrics.worker(0);
    late.record(&record(200, None), Some(ids[0]));
    worker.record(&record(200, None), Some(ids[0]));
    for _ in 0..2 {
        let all = metrics.snapshot();
        assert_eq!(all.total.traffic.requests(), 5);
        assert_eq!(all.backends.keys().collect::<Vec<_>>(), [&ids[1]]);
        metrics.retire(&[]);
    }
    drop((worker, late));
    metrics.retire(&[]);
    assert_eq!(metrics.snapshot().total.traffic.requests(), 5);
}

#[test]
fn any_thread_reads_while_workers_count_and_nothing_goes_back() {
    const WORKERS: usize = 2;
    const REQUESTS: u64 = 20_000;
    let ((metrics, ids), done) = (metrics(WORKERS, 3), AtomicBool::new(false));
    thread::scope(|scope| {
        let workers = (0..WORKERS).map(|index| {
            let (mut worker, ids) = (metrics.worker(index), &ids);
            scope.spawn(move || {
                for request in 0..REQUESTS {
                    let fault = (request % 100 == 0).then_some("upstream_closed");
                    let backend = usize::try_from(request % 3).expect("small");
                    worker.record(&record(200, fault), Some(ids[backend]));
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        let reader = scope.spawn(|| {
            let mut before = 0;
            while !done.load(Ordering::Relaxed) {
                let requests = metrics.snapshot().total.traffic.requests();
                assert!(before <= requests && requests <= REQUESTS * WORKERS as u64);
                before = requests;
            }
        });
        for worker in workers {
            worker.join().expect("a worker");
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("a reader");
    });
    let all = metrics.snapshot();
    let requests = REQUESTS * WORKERS as u64;
    let total = &all.total.traffic;
    assert_eq!((total.requests(), total.errors()), (requests, requests / 100));
    let of_backends = all.backends.values().map(|backend| backend.traffic.requests());
    assert_eq!(of_backends.sum::<u64>(), requests);
    let latencies = all.backends.values().map(|backend| backend.latencies.count());
    assert_eq!(latencies.sum::<u64>(), requests);
}

#[test]
fn checks_are_counted_by_themselves_and_stay_in_the_totals() {
    let (metrics, ids, mut membership) = owned(2, 2);
    let mut checks = metrics.checks();
    for result in [Ok(()), Err("status"), Err("connect_refused"), Err("status"), Ok(())] {
        checks.checked(ids[0], result);
    }
    checks.not_checked(ids[1]);
    let expected = BackendSnapshot {
        checks: 5,
        failed_checks: BTreeMap::from([("connect_refused", 1), ("status", 2)]),
        ..BackendSnapshot::default()
    };
    let all = metrics.snapshot();
    assert_eq!(all.backends[&ids[0]], expected, "and nothing else");
    assert_eq!(all.backends[&ids[1]].unmade_checks, 1);
    assert_eq!(all.total, BackendSnapshot { unmade_checks: 1, ..expected.clone() });
    membership.drain(ids[0]);
    assert_eq!(membership.collect(), [ids[0]]);
    metrics.retire(&[]);
    checks.forget_gone();
    metrics.retire(&[]);
    let all = metrics.snapshot();
    assert!(!all.backends.contains_key(&ids[0]));
    assert_eq!(all.total, BackendSnapshot { unmade_checks: 1, ..expected });
}

#[test]
fn what_a_removed_backend_counted_goes_on_as_that_of_the_one_with_its_name() {
    let (metrics, ids, mut owner) = owned(2, 3);
    let [first, second, third] = ids[..] else { panic!("{ids:?}") };
    let (mut worker, mut other) = (metrics.worker(0), metrics.worker(1));
    let leave = |owner: &mut Membership, id, heir| {
        owner.drain(id);
        assert_eq!(owner.collect(), [id]);
        metrics.retire(&[Gone { id, heir }]);
    };
    let requests = |id| metrics.snapshot().backends.get(&id).map(|it| it.traffic.requests());
    worker.record(&record(200, None), Some(first));
    other.record(&record(200, None), Some(first));
    other.record(&record(200, None), Some(second));
    leave(&mut owner, first, Some(second));
    assert_eq!((requests(first), requests(second)), (None, Some(3)));
    // A row may come late, and one worker may let go of it before another one does.
    worker.record(&record(200, None), Some(first));
    worker.forget_gone();
    metrics.retire(&[]);
    assert_eq!(requests(second), Some(4));
    leave(&mut owner, second, Some(third));
    other.record(&record(200, None), Some(first));
    assert_eq!((requests(second), requests(third)), (None, Some(5)));
    drop((worker, other));
    metrics.retire(&[]);
    assert_eq!(requests(third), Some(5));
    leave(&mut owner, third, None);
    assert_eq!((requests(third), metrics.snapshot().total.traffic.requests()), (None, 5));
}

#[test]
fn choices_connections_and_turns_are_counted() {
    let (metrics, ids) = metrics(2, 2);
    let mut worker = metrics.worker(1);
    for reason in [Reason::Best, Reason::Tie, Reason::Best] {
        worker.chosen(ids[0], reason);
    }
    worker.connected(ids[1], Duration::from_millis(3));
    worker.clients(7, 0);
    worker.turned();
    worker.turned();
    worker.timer_fired(Duration::from_secs(2));
    let all = metrics.snapshot();
    let choices = |reason| all.backends[&ids[0]].choices[reason as usize];
    assert_eq!([Reason::Best, Reason::Tie, Reason::Turn].map(choices), [2, 1, 0]);
    let connects = &all.backends[&ids[1]].connects;
    assert_eq!((connects.count(), connects.sum), (1, Duration::from_millis(3)));
    assert_eq!(all.total.choices, all.backends[&ids[0]].choices);
    assert_eq!(all.workers[0], WorkerSnapshot::default());
    let worker = &all.workers[1];
    assert_eq!((worker.clients, worker.turns, worker.timer_lag.count()), (7, 2, 1));
}
