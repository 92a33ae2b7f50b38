//! Settings that change while the proxy serves.

use std::sync::mpsc::channel;
use std::time::Duration;

use tidegate::balance::Policy;

use crate::live::{Live, plan};
use support::clock::{hear, until};
use support::http::{Connection, get};
use support::origin::{Origin, ok};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 8\r\n\r\n";

#[test]
fn a_timeout_that_changes_holds_for_requests_in_flight_too() {
    let (came, comes) = channel();
    let origin = Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            came.send(()).unwrap();
        }
    });
    let mut plan = plan(&[origin.address]);
    plan.settings.timeouts.response = None;
    let proxy = Live::start(&plan);
    let mut client = Connection::connect(proxy.address);
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(&comes);
    plan.settings.timeouts.response = Some(Duration::from_millis(20));
    proxy.apply(&plan);
    assert_eq!(client.answer().status, 504);
}

#[test]
fn a_limit_that_changes_counts_for_the_next_request_and_breaks_none_in_flight() {
    let origin = Origin::echoing_targets();
    let mut plan = plan(&[origin.address]);
    let proxy = Live::start(&plan);
    let mut before = Connection::connect(proxy.address);
    before.send(format!("{POST}half"));
    until("a request in progress", || (proxy.counted().outstanding == 1).then_some(()));
    plan.settings.limits.body_bytes = Some(7);
    proxy.apply(&plan);
    until("a refusal", || {
        let mut after = Connection::connect(proxy.address);
        after.send(format!("{POST}complete"));
        (after.answer().status == 413).then_some(())
    });
    before.send("half");
    assert_eq!(before.answer().status, 200, "the length of a body is judged once");
    plan.settings.limits.body_bytes = None;
    proxy.apply(&plan);
    until("an upload", || {
        let mut again = Connection::connect(proxy.address);
        again.send(format!("{POST}complete"));
        (again.answer().status == 200).then_some(())
    });
}

#[test]
fn a_limit_of_connections_that_is_raised_lets_those_in_that_wait() {
    let origin = Origin::echoing_targets();
    let mut plan = plan(&[origin.address]);
    plan.settings.limits.connections = 1;
    let proxy = Live::start(&plan);
    let mut first = Connection::connect(proxy.address);
    // One that has sent a part of a head is not idle, so its slot is not given away.
    first.send("GET /first HTTP/1.1\r\n");
    until("the first one's head", || (proxy.counted().outstanding == 1).then_some(()));
    let mut second = Connection::connect(proxy.address);
    second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    plan.settings.limits.connections = 2;
    proxy.apply(&plan);
    assert_eq!(second.answer().text(), "/second");
    first.send("Host: a\r\n\r\n");
    assert_eq!(first.answer().text(), "/first");
}

#[test]
fn connections_that_a_smaller_pool_has_no_place_for_are_closed() {
    let (ended, ends) = channel();
    let origin = Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            connection.send(ok("done"));
        }
        ended.send(()).unwrap();
    });
    let mut plan = plan(&[origin.address]);
    let proxy = Live::start(&plan);
    assert_eq!(get(proxy.address, "/").text(), "done");
    plan.settings.limits.pool = 0;
    proxy.apply(&plan);
    hear(&ends);
}

#[test]
fn a_policy_that_changes_holds_from_the_next_request_on() {
    let answering = |text: &'static str| {
        Origin::serve(move |mut connection| {
            while connection.request().is_some() {
                connection.send(ok(text));
            }
        })
    };
    let origins = [answering("heavy"), answering("light")];
    let mut plan = plan(&origins.each_ref().map(|origin| origin.address));
    plan.backends[0].role.weight = 3;
    let proxy = Live::start(&plan);
    // Without requests in flight the heavier one is always the better one.
    for (policy, light) in [(Policy::LeastConn, 0), (Policy::RoundRobin, 2), (Policy::LeastConn, 0)]
    {
        plan.settings.policy = policy;
        proxy.apply(&plan);
        until("choices by the policy", || {
            let answers = (0..8).map(|_| get(proxy.address, "/").text().clone());
            (answers.filter(|answer| answer == "light").count() == light).then_some(())
        });
    }
}
