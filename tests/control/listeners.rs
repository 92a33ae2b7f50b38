//! Listeners that change before the proxy serves, or while it is about to stop.

use std::net::SocketAddr;
use std::thread;

use tidegate::endpoint::Endpoint;
use tidegate::proxy::settings::Listen;

use crate::live::{bound, plan, senders};
use support::clock::until;
use support::http::get;
use support::origin::Origin;
use support::ports::{free_ports, is_open};

fn at(port: u16) -> Listen {
    Endpoint::from(SocketAddr::from(([127, 0, 0, 1], port))).into()
}

#[test]
fn listeners_that_change_before_the_start_are_those_of_the_start() {
    let origin = Origin::echoing_targets();
    let mut plan = plan(&[origin.address]);
    plan.settings.workers = Some(2);
    let [first, second] = free_ports();
    plan.settings.listen = vec![at(first)];
    let (bound, controller, _) = bound(&plan);
    let mut next = plan.clone();
    next.settings.listen = vec![at(second)];
    let applied = {
        let controller = controller.clone();
        // It waits until the workers have closed what is to be closed.
        thread::spawn(move || controller.apply(next).expect("a plan that can be applied"))
    };
    let server = bound.start(senders(&plan)).expect("workers");
    let changes = applied.join().unwrap();
    let said = format!(
        "listens on http://127.0.0.1:{second}; no longer listens on http://127.0.0.1:{first}"
    );
    assert_eq!(changes.to_string(), said);
    until("the other listener alone", || (!is_open(first)).then_some(()));
    assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], second)), "/a").text(), "/a");
    controller.stop();
    server.join().expect("an end");
    assert!(!is_open(second));
}

#[test]
fn whatever_listeners_do_a_stop_ends_all_of_them() {
    let origin = Origin::echoing_targets();
    let mut plan = plan(&[origin.address]);
    plan.settings.workers = Some(2);
    let [first, second] = free_ports();
    plan.settings.listen = vec![at(first)];
    for _ in 0..20 {
        let (bound, controller, _) = bound(&plan);
        let server = bound.start(senders(&plan)).expect("workers");
        let stopping = {
            let controller = controller.clone();
            thread::spawn(move || controller.stop())
        };
        let mut next = plan.clone();
        for listen in [vec![at(second)], vec![at(first), at(second)], vec![at(first)]] {
            next.settings.listen = listen;
            // It may be too late.
            let _ = controller.apply(next.clone());
        }
        stopping.join().unwrap();
        server.join().expect("an end");
        assert!(!is_open(first) && !is_open(second));
    }
}
