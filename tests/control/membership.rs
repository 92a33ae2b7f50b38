//! Backends that come and go while the proxy serves.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use tidegate::balance::BackendId;
use tidegate::proxy::metrics::AnswerClass;

use crate::live::{Live, backend, plan};
use support::clock::{hear, until};
use support::http::{Connection, get};
use support::origin::{Origin, ok};

/// Removes a backend, and waits until nothing refers to it.
fn remove(proxy: &mut Live, id: BackendId) {
    assert!(proxy.backends().drain(id));
    proxy.backends().publish();
    until("the end of a backend", || (proxy.backends().collect() == [id]).then_some(()));
}

fn add(proxy: &mut Live, origin: &Origin) -> BackendId {
    let id = proxy.backends().add(&backend(origin.address)).unwrap();
    proxy.backends().publish();
    id
}

#[test]
fn no_request_fails_while_a_thousand_backends_are_added_and_removed() {
    const CHANGES: usize = 1000;
    const CLIENTS: usize = 4;
    let origins: Vec<Origin> = (0..8).map(|_| Origin::echoing_targets()).collect();
    let mut plan = plan(&[]);
    plan.settings.workers = Some(2);
    let mut proxy = Live::start(&plan);
    let mut active: VecDeque<BackendId> =
        origins[..2].iter().map(|origin| add(&mut proxy, origin)).collect();
    let (address, is_over, requests) = (proxy.address, AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Connection::connect(address);
                while !is_over.load(Ordering::Relaxed) {
                    let answer = client.get("/x");
                    assert_eq!((answer.status, answer.text().as_str()), (200, "/x"));
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for change in 0..CHANGES {
            let origin = &origins[change % origins.len()];
            active.push_back(proxy.backends().add(&backend(origin.address)).unwrap());
            let removed = active.pop_front().unwrap();
            assert!(proxy.backends().drain(removed));
            proxy.backends().publish();
            proxy.backends().collect();
            // Each has its part in the load.
            let before = requests.load(Ordering::Relaxed);
            until("a request", || (requests.load(Ordering::Relaxed) > before).then_some(()));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for id in active {
        proxy.backends().drain(id);
    }
    proxy.backends().publish();
    let all = until("the end of all backends", || {
        proxy.backends().collect();
        let all = proxy.counted();
        (all.backends.is_empty() && all.total.open == 0).then_some(all)
    });
    let requests = requests.into_inner();
    let total = &all.total.traffic;
    assert_eq!((total.requests(), total.errors(), total.retries), (requests, 0, 0));
    assert_eq!(total.answers(AnswerClass::Success), requests);
}

#[test]
fn a_backend_that_is_removed_finishes_what_it_has_and_its_idle_connections_close() {
    let ((came, comes), (ended, ends), (go, goes)) = (channel(), channel(), channel::<()>());
    let goes = Mutex::new(goes);
    let leaving = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET /slow") {
                came.send(()).unwrap();
                goes.lock().unwrap().recv().unwrap();
            }
            connection.send(ok("leaving"));
        }
        ended.send(()).unwrap();
    });
    let staying = Origin::echoing_targets();
    let mut proxy = Live::start(&plan(&[]));
    let id = add(&mut proxy, &leaving);
    assert_eq!(get(proxy.address, "/").text(), "leaving");
    let mut slow = Connection::connect(proxy.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(&comes);
    // Over a connection of its own, because the first one is busy.
    assert_eq!(get(proxy.address, "/").text(), "leaving");
    until("an idle connection", || (proxy.counted().total.idle() == 1).then_some(()));

    assert!(proxy.backends().drain(id));
    add(&mut proxy, &staying);
    hear(&ends);
    assert_eq!(get(proxy.address, "/next").text(), "/next");
    assert_eq!(proxy.backends().collect(), [], "a request is in flight");
    go.send(()).unwrap();
    assert_eq!(slow.answer().text(), "leaving");
    hear(&ends);
    until("its end", || (proxy.backends().collect() == [id]).then_some(()));
    assert_eq!(slow.get("/next").text(), "/next", "its client goes on elsewhere");
    until("all rows", || (proxy.counted().total.traffic.requests() == 5).then_some(()));
}

#[test]
fn a_client_whose_bound_connection_went_with_its_backend_is_balanced_as_any_other() {
    let serve = |name: &'static str| {
        Origin::serve(move |mut connection| {
            while connection.request().is_some() {
                connection.send(ok(name));
            }
        })
    };
    let [first, second] = ["first", "second"].map(serve);
    let mut proxy = Live::start(&plan(&[]));
    let id = add(&mut proxy, &first);
    let mut client = Connection::connect(proxy.address);
    let bound = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n\r\n";
    client.send(bound);
    assert_eq!(client.answer().text(), "first");
    add(&mut proxy, &second);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "first", "it is bound to that one");
    }
    remove(&mut proxy, id);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "second");
    }
}

#[test]
fn the_next_backend_in_a_slot_gets_none_of_the_connections_of_the_one_before() {
    let [old, new] = [(); 2].map(|()| Origin::echoing_targets());
    let mut proxy = Live::start(&plan(&[]));
    // All slots are used in turn, so this one is the first to be used again.
    let first = add(&mut proxy, &old);
    assert_eq!(get(proxy.address, "/old").text(), "/old");
    remove(&mut proxy, first);
    let mut id = add(&mut proxy, &old);
    while id.slot() != first.slot() {
        proxy.backends().drain(id);
        proxy.backends().collect();
        id = proxy.backends().add(&backend(new.address)).unwrap();
    }
    proxy.backends().publish();
    until("the new one", || {
        assert_eq!(get(proxy.address, "/x").status, 200);
        (new.accepted() > 0).then_some(())
    });
    assert_eq!(proxy.counted().backends[&id].opened, new.accepted() as u64);
}

#[test]
fn without_a_backend_requests_are_refused_until_there_is_one() {
    let origin = Origin::echoing_targets();
    let mut proxy = Live::start(&plan(&[]));
    assert_eq!(get(proxy.address, "/").status, 503);
    add(&mut proxy, &origin);
    until("the first answer", || (get(proxy.address, "/").status == 200).then_some(()));
}
