//! How long a takeover takes. Nothing is asserted of times: `./scripts/takeover` prints them.

use rustix::process::Signal;

use crate::clients::{Patience, outage};
use crate::pair::{Pair, clients};

/// Ends the first machine's service in some way.
type End = fn(&mut Pair);

fn measure(test: &str, flags: &[&str], patience: Patience, end: End) {
    let Some(mut pair) = Pair::start_with(&format!("times::{test}"), flags) else { return };
    let clients = clients(patience);
    end(&mut pair);
    pair.second.has_address();
    clients.serves(200);
    let tallies = clients.end();
    let lost: usize = tallies.iter().map(|tally| tally.lost).sum();
    let refused: usize = tallies.iter().map(|tally| tally.refused).sum();
    let answered: usize = tallies.iter().map(|tally| tally.answers.len()).sum();
    let seconds = outage(&tallies).as_secs_f64();
    println!("takeover {test} {seconds:.2} {lost} {refused} {answered}");
}

#[test]
#[ignore = "it measures; ./scripts/takeover runs it"]
fn process_killed() {
    measure("process_killed", &[], Patience::SHORT, |pair| {
        pair.first.tidegate.signal(Signal::KILL);
    });
}

#[test]
#[ignore = "it measures; ./scripts/takeover runs it"]
fn machine_dead() {
    measure("machine_dead", &[], Patience::SHORT, |pair| pair.first.die());
}

#[test]
#[ignore = "it measures; ./scripts/takeover runs it"]
fn stopped_without_leaving() {
    measure("stopped_without_leaving", &[], Patience::SHORT, |pair| {
        pair.first.tidegate.signal(Signal::TERM);
    });
}

#[test]
#[ignore = "it measures; ./scripts/takeover runs it"]
fn stopped_with_a_delay() {
    let flags = ["--shutdown-delay", "5s"];
    measure("stopped_with_a_delay", &flags, Patience::SHORT, |pair| {
        pair.first.tidegate.signal(Signal::TERM);
    });
}

#[test]
#[ignore = "it measures; ./scripts/takeover runs it"]
fn taken_out_of_service() {
    measure("taken_out_of_service", &[], Patience::USUAL, |pair| {
        pair.first.leave().ended();
    });
}
