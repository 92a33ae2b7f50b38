//! Second attempts, and the backends and counters of a running proxy.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tidegate::proxy::settings::{Hedging, Plan};

use crate::live::{Live, plan};
use support::clock::{hear, until};
use support::http::Connection;
use support::origin::{Origin, ok};

/// A backend that gives its connections to the test, once they have a request.
fn backend() -> (Origin, Receiver<Connection>) {
    let (tell, asked) = channel();
    let origin = Origin::serve(move |mut connection| {
        if connection.request().is_some() {
            let _ = tell.send(connection);
        }
    });
    (origin, asked)
}

/// A hedge is always allowed, and soon.
fn hedging() -> Hedging {
    let delay = Some(Duration::from_millis(10));
    Hedging { percent: Some(100), delay, ..Hedging::default() }
}

/// A proxy that hedges after a moment, and a request that both backends have.
struct Race {
    plan: Plan,
    proxy: Live,
    client: Connection,
    asked: [Connection; 2],
    _origins: [Origin; 2],
}

fn race() -> Race {
    let [(one, asked_one), (two, asked_two)] = [(); 2].map(|()| backend());
    let mut plan = plan(&[one.address, two.address]);
    plan.settings.hedging = hedging();
    let proxy = Live::start(&plan);
    let mut client = Connection::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let asked = [hear(&asked_one), hear(&asked_two)];
    Race { plan, proxy, client, asked, _origins: [one, two] }
}

#[test]
fn hedges_and_those_that_won_are_counted_for_their_backends() {
    for winner in [0, 1] {
        let mut race = race();
        race.asked[winner].send(ok("first"));
        assert_eq!(race.client.answer().text(), "first");
        let counted = until("the row", || {
            let counted = race.proxy.counted();
            (counted.total.traffic.requests() == 1).then_some(counted)
        });
        let mut hedges: Vec<_> =
            counted.backends.values().map(|backend| (backend.hedges, backend.hedges_won)).collect();
        hedges.sort_unstable();
        assert_eq!(hedges, [(0, 0), (1, u64::from(winner == 1))]);
        assert_eq!((counted.total.hedges, counted.total.outstanding), (1, 0));
    }
}

#[test]
fn when_the_backend_of_one_attempt_is_removed_the_other_goes_on() {
    for removed in [0, 1] {
        let mut race = race();
        race.plan.settings.timeouts.backend_drain = Duration::ZERO;
        race.plan.backends.remove(removed);
        race.proxy.apply(&race.plan);
        assert!(race.asked[removed].is_closed());
        race.asked[1 - removed].send(ok("left"));
        assert_eq!(race.client.answer().text(), "left");
        until("its end", || (race.proxy.controller.draining() == 0).then_some(()));
    }
}

#[test]
fn a_backend_that_lost_can_leave_before_its_answer() {
    let mut race = race();
    race.asked[1].send(ok("first"));
    assert_eq!(race.client.answer().text(), "first");
    race.plan.backends.remove(0);
    race.proxy.apply(&race.plan);
    assert!(race.asked[0].is_closed());
    until("its end", || (race.proxy.controller.draining() == 0).then_some(()));
}

#[test]
fn it_is_turned_on_while_the_proxy_runs() {
    let (tell, asked) = channel();
    let origins = [(); 2].map(|()| {
        let tell = tell.clone();
        Origin::serve(move |mut connection| {
            if connection.request().is_some() {
                let _ = tell.send(connection);
            }
        })
    });
    let mut plan = plan(&origins.each_ref().map(|origin| origin.address));
    let proxy = Live::start(&plan);
    let ask = || {
        let mut client = Connection::connect(proxy.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        (client, hear(&asked))
    };
    let (mut before, mut first) = ask();
    plan.settings.hedging = hedging();
    proxy.apply(&plan);
    let (mut after, _silent) = ask();
    assert_eq!(proxy.counted().total.hedges, 0, "the other backend has a request");
    first.send(ok("before"));
    assert_eq!(before.answer().text(), "before");
    assert!(first.request().is_some(), "it has none now");
    first.send(ok("after"));
    assert_eq!(after.answer().text(), "after");
    assert_eq!(proxy.counted().total.hedges, 1);
}
