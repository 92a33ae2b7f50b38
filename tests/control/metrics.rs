//! What a running proxy counts.

use std::time::Duration;

use tidegate::proxy::metrics::AnswerClass;

use crate::live::{Live, plan};
use support::clock::until;
use support::http::Connection;
use support::origin::{Origin, Silent, ok};

#[test]
fn requests_connections_and_latencies_are_counted_while_it_runs() {
    let origin = Origin::echoing_targets();
    let mut plan = plan(&[origin.address]);
    plan.settings.workers = Some(2);
    let mut proxy = Live::start(&plan);
    let mut clients: Vec<Connection> = (0..4).map(|_| Connection::connect(proxy.address)).collect();
    for client in &mut clients {
        for _ in 0..5 {
            assert_eq!(client.get("/x").text(), "/x");
        }
    }
    // A row is made when the answer is sent, which a client may see first.
    let all = until("all requests", || {
        let all = proxy.counted();
        (all.total.traffic.requests() == 20 && all.outstanding == 0).then_some(all)
    });
    assert_eq!(
        (all.total.traffic.answers(AnswerClass::Success), all.total.traffic.errors()),
        (20, 0)
    );
    assert_eq!((all.accepted, all.clients), (4, 4));
    let backend = all.backends.values().next().expect("the backend");
    assert_eq!(all.backends.len(), 1);
    assert_eq!((backend.traffic.requests(), backend.latencies.count()), (20, 20));
    assert!(backend.latencies.quantile(1.0) < Some(Duration::from_secs(30)));
    let opened = origin.accepted() as u64;
    assert_eq!((backend.opened, backend.open, backend.idle()), (opened, opened, opened));
    assert_eq!(&all.total, backend);
    assert_eq!((backend.connects.count(), backend.choices.iter().sum::<u64>()), (opened, 20));
    assert!(all.workers.iter().all(|worker| worker.turns > 0), "{:?}", all.workers);
    assert_eq!(all.workers.iter().map(|worker| worker.clients).sum::<u64>(), 4);
    let row_bytes = all.total.traffic.request_bytes;
    assert_eq!(row_bytes, 20 * "GET /x HTTP/1.1\r\nHost: test\r\n\r\n".len() as u64);
    drop(clients);
    until("their ends", || (proxy.counted().clients == 0).then_some(()));
    proxy.stop();
    let all = proxy.counted();
    assert_eq!((all.total.opened, all.total.open), (opened, 0));
    assert_eq!(all.total.traffic.requests(), 20, "what was counted outlasts the workers");
}

#[test]
fn retries_and_faults_are_counted_for_the_backend_that_was_tried_last() {
    let (origin, silent) = (
        Origin::serve(|mut connection| {
            while let Some((head, _)) = connection.request() {
                if head.starts_with("GET /broken") {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
                    return;
                }
                connection.send(ok("whole"));
            }
        }),
        Silent::reserve(),
    );
    let proxy = Live::start(&plan(&[silent.address, origin.address]));
    let mut client = Connection::connect(proxy.address);
    assert_eq!(client.get("/").text(), "whole");
    client.send("GET /broken HTTP/1.1\r\nHost: a\r\n\r\n");
    client.end().1.expect("an end, too early");
    let all = until("both requests", || {
        let all = proxy.counted();
        (all.total.traffic.requests() == 2).then_some(all)
    });
    assert_eq!((all.total.traffic.retries, all.total.traffic.errors()), (1, 1));
    assert_eq!(all.total.traffic.faults.get("response_truncated"), Some(&1));
    let mut requests: Vec<u64> =
        all.backends.values().map(|backend| backend.traffic.requests()).collect();
    requests.sort_unstable();
    assert_eq!(requests, [0, 2], "one was only dialled");
    let failed = all.backends.values().filter(|backend| backend.traffic.requests() == 0);
    let failed: Vec<_> = failed.flat_map(|backend| backend.failed_attempts.clone()).collect();
    assert_eq!(failed, [("connect_refused", 1)], "that is counted where it happened");
    let ejections = all.backends.values().map(|backend| (backend.traffic.requests(), backend));
    let ejections: Vec<_> = ejections.map(|(count, it)| (count, it.ejections.refused)).collect();
    assert!(ejections.contains(&(0, 1)) && ejections.contains(&(2, 0)), "{ejections:?}");
}
