//! A stop, whenever it comes.

use std::thread;

use crate::live::{Live, bound, plan, senders};
use support::http::{Connection, get};
use support::origin::Origin;

#[test]
fn a_stop_before_the_start_is_not_lost() {
    let mut plan = plan(&[Origin::echoing_targets().address]);
    plan.settings.workers = Some(3);
    let (bound, controller, _) = bound(&plan);
    controller.stop();
    bound.start(senders(&plan)).expect("workers").join().expect("an end");
}

#[test]
fn a_stop_while_it_starts_is_not_lost() {
    let origin = Origin::echoing_targets();
    let mut plan = plan(&[origin.address]);
    plan.settings.workers = Some(2);
    for _ in 0..20 {
        let (bound, controller, _) = bound(&plan);
        let stopping = thread::spawn(move || controller.stop());
        bound.start(senders(&plan)).expect("workers").join().expect("an end");
        stopping.join().unwrap();
    }
}

#[test]
fn settings_and_a_stop_can_follow_one_another_in_any_order() {
    let origin = Origin::echoing_targets();
    let plan = plan(&[origin.address]);
    let mut proxy = Live::start(&plan);
    assert_eq!(get(proxy.address, "/a").text(), "/a");
    let mut idle = Connection::connect(proxy.address);
    for _ in 0..1000 {
        proxy.apply(&plan);
    }
    assert_eq!(idle.get("/b").text(), "/b");
    proxy.stop();
    assert_eq!(idle.rest(), b"");
}
