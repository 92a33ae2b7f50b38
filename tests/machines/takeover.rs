//! The address moves from one machine to the other.

use rustix::process::Signal;

use crate::clients::{
    Patience, assert_nothing_failed, assert_one_outage, assert_only_what_was_in_flight_is_lost,
};
use crate::pair::{Pair, clients};

#[test]
fn when_a_proxy_is_killed_the_other_machine_takes_over_and_keeps_the_address() {
    let name = "when_a_proxy_is_killed_the_other_machine_takes_over_and_keeps_the_address";
    let Some(mut pair) = Pair::start(&format!("takeover::{name}")) else { return };
    let clients = clients(Patience::SHORT);
    pair.first.tidegate.signal(Signal::KILL);
    pair.first.keepalived.line("Entering FAULT STATE");
    pair.second.has_address();
    clients.serves(200);
    // It waits when it is back, because another move would cost all connections again.
    pair.first.restart_tidegate();
    pair.first.is_ready();
    clients.serves(200);
    // A client may lose more than one: while the system closes the sockets of the process one after
    // the other, connections are still made at those that listen.
    assert_one_outage(&clients.end());
    assert!(!pair.first.keepalived.has_ended());
}

#[test]
fn when_a_machine_dies_the_other_one_takes_over() {
    let name = "when_a_machine_dies_the_other_one_takes_over";
    let Some(mut pair) = Pair::start(&format!("takeover::{name}")) else { return };
    let clients = clients(Patience::SHORT);
    pair.first.die();
    pair.second.has_address();
    clients.serves(200);
    let tallies = clients.end();
    assert_one_outage(&tallies);
    assert_only_what_was_in_flight_is_lost(&tallies);
}

#[test]
fn a_machine_that_is_taken_out_of_service_fails_no_request() {
    let name = "a_machine_that_is_taken_out_of_service_fails_no_request";
    let Some(mut pair) = Pair::start(&format!("takeover::{name}")) else { return };
    let clients = clients(Patience::USUAL);
    let mut leaving = pair.first.leave();
    assert!(leaving.ended().success(), "{}", leaving.stderr());
    assert!(pair.first.tidegate.ended().success());
    assert!(pair.first.keepalived.ended().success());
    pair.second.has_address();
    clients.serves(200);
    assert_nothing_failed(&clients.end());
}
