//! Requests that wait, and the backends, settings and workers of a running proxy.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tidegate::balance::Role;
use tidegate::proxy::settings::{Hedging, Plan};

use crate::live::{Live, plan};
use support::clock::{hear, until};
use support::http::Connection;
use support::origin::{Origin, ok};

/// Backends that take one request at a time, and give their connections to the test.
struct Limited {
    plan: Plan,
    origins: Vec<Origin>,
    asked: Receiver<(Connection, String)>,
}

fn limited(backends: usize, workers: usize) -> Limited {
    let (tell, asked) = channel();
    let origin = || {
        let tell = tell.clone();
        Origin::serve(move |mut connection| {
            if let Some((head, _)) = connection.request() {
                let target = head.split(' ').nth(1).expect("a target").to_owned();
                let _ = tell.send((connection, target));
            }
        })
    };
    let origins: Vec<_> = std::iter::repeat_with(origin).take(backends).collect();
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let mut plan = plan(&addresses);
    plan.settings.workers = Some(workers);
    plan.settings.limits.queue = 10;
    plan.settings.timeouts.queue = Duration::from_secs(3600);
    plan.backends.iter_mut().for_each(|it| it.role = limit(1));
    Limited { plan, origins, asked }
}

fn limit(limit: u32) -> Role {
    Role { max_in_flight: Some(limit), ..Role::default() }
}

fn ask(proxy: &Live, target: &str) -> Connection {
    let mut client = Connection::connect(proxy.address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

/// One more client, which waits.
fn ask_in_vain(proxy: &Live, target: &str) -> Connection {
    let before = proxy.waiting();
    let client = ask(proxy, target);
    until("its place in the queue", || (proxy.waiting() > before).then_some(()));
    client
}

/// An answer that is the last of its connection.
fn last(body: &str) -> String {
    ok(body).replacen("\r\n", "\r\nConnection: close\r\n", 1)
}

#[test]
fn requests_are_served_in_the_order_in_which_they_came_whichever_worker_has_them() {
    for workers in [1, 2, 3] {
        let limited = limited(1, workers);
        let proxy = Live::start(&limited.plan);
        let mut first = ask(&proxy, "/0");
        let (mut serving, _) = hear(&limited.asked);
        let targets = ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"];
        let mut clients = targets.map(|target| ask_in_vain(&proxy, target));
        serving.send(last("/0"));
        assert_eq!(first.answer().text(), "/0");
        for target in targets {
            let (mut serving, asked) = hear(&limited.asked);
            assert_eq!(asked, target, "{workers} workers");
            serving.send(last(&asked));
        }
        for (client, target) in clients.iter_mut().zip(targets) {
            assert_eq!(client.answer().text(), target);
        }
        assert_eq!(proxy.waiting(), 0);
        let outstanding = || (proxy.counted().total.outstanding == 0).then_some(());
        until("the end of the last lease", outstanding);
    }
}

#[test]
fn a_backend_that_joins_and_a_limit_that_is_raised_take_who_waits() {
    for joins in [false, true] {
        for workers in [1, 2] {
            let Limited { mut plan, origins, asked } = limited(2, workers);
            let second = plan.backends.remove(1);
            let proxy = Live::start(&plan);
            let mut clients = vec![ask(&proxy, "/0")];
            let mut serving = vec![hear(&asked)];
            clients.extend(["/1", "/2"].map(|target| ask_in_vain(&proxy, target)));
            if joins {
                plan.backends.push(second);
            } else {
                plan.backends[0].role = limit(2);
            }
            proxy.apply(&plan);
            serving.push(hear(&asked));
            assert_eq!((serving[1].1.as_str(), proxy.waiting()), ("/1", 1), "{workers}");
            serving[1].0.send(last("/1"));
            serving.push(hear(&asked));
            serving[2].0.send(last("/2"));
            serving[0].0.send(last("/0"));
            for (client, body) in clients.iter_mut().zip(["/0", "/1", "/2"]) {
                assert_eq!(client.answer().text(), body);
            }
            drop(origins);
        }
    }
}

#[test]
fn many_places_at_once_are_taken_by_as_many() {
    let mut limited = limited(1, 2);
    let proxy = Live::start(&limited.plan);
    let mut clients = vec![ask(&proxy, "/")];
    let mut serving = vec![hear(&limited.asked)];
    clients.extend([(); 6].map(|()| ask_in_vain(&proxy, "/")));
    limited.plan.backends[0].role = limit(5);
    proxy.apply(&limited.plan);
    serving.extend([(); 4].map(|()| hear(&limited.asked)));
    assert_eq!(proxy.waiting(), 2);
    limited.plan.backends[0].role = Role::default();
    proxy.apply(&limited.plan);
    serving.extend([(); 2].map(|()| hear(&limited.asked)));
    assert_eq!(proxy.waiting(), 0);
    for (connection, _) in &mut serving {
        connection.send(last("ok"));
    }
    for client in &mut clients {
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn when_the_backend_that_is_waited_for_is_removed_nobody_waits_for_it() {
    for workers in [1, 2] {
        let Limited { mut plan, origins, asked } = limited(2, workers);
        let proxy = Live::start(&plan);
        let mut clients = ["/0", "/1"].map(|target| ask(&proxy, target));
        let mut serving = [hear(&asked), hear(&asked)];
        let mut waiting = [ask_in_vain(&proxy, "/2"), ask_in_vain(&proxy, "/3")];
        plan.backends.remove(0);
        proxy.apply(&plan);
        assert_eq!(proxy.waiting(), 2, "the other one is full");
        plan.backends.clear();
        proxy.apply(&plan);
        for client in &mut waiting {
            assert_eq!(client.answer().status, 503);
        }
        assert_eq!(proxy.waiting(), 0);
        for (connection, target) in &mut serving {
            connection.send(last(target));
        }
        for (client, target) in clients.iter_mut().zip(["/0", "/1"]) {
            assert_eq!(client.answer().text(), target);
        }
        drop(origins);
    }
}

#[test]
fn a_queue_that_is_turned_off_lets_those_wait_that_wait() {
    let mut limited = limited(1, 1);
    let proxy = Live::start(&limited.plan);
    let mut first = ask(&proxy, "/0");
    let (mut serving, _) = hear(&limited.asked);
    let mut waiting = ask_in_vain(&proxy, "/1");
    limited.plan.settings.limits.queue = 0;
    proxy.apply(&limited.plan);
    let mut refused = until("a refusal", || {
        let client = ask(&proxy, "/2");
        until("an answer or a place", || (client.has_bytes() || proxy.waiting() > 1).then_some(()));
        client.has_bytes().then_some(client)
    });
    assert_eq!(refused.answer().status, 503);
    serving.send(last("/0"));
    assert_eq!(first.answer().text(), "/0");
    let (mut serving, target) = hear(&limited.asked);
    assert_eq!(target, "/1");
    serving.send(last("/1"));
    assert_eq!(waiting.answer().text(), "/1");
}

#[test]
fn both_backends_of_a_hedged_request_are_freed_for_those_that_wait_when_it_ends() {
    for workers in [1, 2] {
        for leaves in [false, true] {
            let Limited { mut plan, origins, asked } = limited(2, workers);
            let delay = Some(Duration::from_millis(10));
            plan.settings.hedging = Hedging { percent: Some(100), delay, ..Hedging::default() };
            let proxy = Live::start(&plan);
            let mut hedged = ask(&proxy, "/0");
            let mut serving = [hear(&asked), hear(&asked)];
            assert_eq!([&serving[0].1, &serving[1].1], ["/0", "/0"]);
            let mut waiting = ["/1", "/2"].map(|target| ask_in_vain(&proxy, target));
            if leaves {
                drop(hedged);
            } else {
                serving[1].0.send(last("/0"));
                assert_eq!(hedged.answer().text(), "/0");
            }
            // Backends that are full are not hedged to, so each is asked once more.
            let again = [hear(&asked), hear(&asked)];
            for (mut connection, target) in again {
                connection.send(last(&target));
            }
            for (client, target) in waiting.iter_mut().zip(["/1", "/2"]) {
                assert_eq!(client.answer().text(), target);
            }
            assert_eq!(proxy.waiting(), 0);
            let counted = until("the end of all", || {
                let all = proxy.counted();
                (all.total.traffic.requests() == 3 && all.total.outstanding == 0).then_some(all)
            });
            assert_eq!((counted.queue_waits.count(), counted.total.hedges), (2, 1));
            drop((serving, origins));
        }
    }
}
