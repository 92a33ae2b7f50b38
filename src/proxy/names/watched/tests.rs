//! A name that moves, in simulated time.

use super::*;
use crate::dns::{Failure, Family};

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

fn found(texts: &[&str]) -> Outcome {
    Outcome::Found(Found::new(ips(texts), None, None))
}

fn failed() -> Outcome {
    Outcome::Failed(Failure::TimedOut("10.0.0.53:53".parse().expect("an address")))
}

/// A name that was resolved to `10.0.0.1`.
struct Rig {
    watched: Watched,
    names: Names,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        let now = start();
        Self { watched: Watched::new(ips(&["10.0.0.1"]), now), names: Names::default(), now }
    }

    /// Waits until it is due, looks it up, and says how long that was and what is told of it.
    fn look(&mut self, outcome: Outcome) -> (Duration, Option<String>) {
        let due = self.watched.due().expect("it is not looked up").max(self.now);
        let waited = due - self.now;
        self.now = due;
        self.watched.begin(self.now);
        assert_eq!(self.watched.due(), None);
        (waited, self.watched.take(outcome, &self.names, 0.0, self.now))
    }

    fn has(&self, texts: &[&str]) -> bool {
        self.watched.addresses() == ips(texts)
    }
}

#[test]
fn the_next_look_up_is_after_the_ttl_or_the_interval_whichever_is_shorter() {
    for (ttl, seconds) in [(None, 10), (Some(0), 10), (Some(2), 2), (Some(3600), 10)] {
        let mut rig = Rig::new();
        let ttl = ttl.map(Duration::from_secs);
        rig.look(Outcome::Found(Found::new(ips(&["10.0.0.1"]), ttl, None)));
        assert_eq!(rig.look(failed()).0, seconds * SECOND, "{ttl:?}");
        assert_eq!(rig.look(Outcome::Absent).0, 10 * SECOND);
        assert_eq!(rig.look(failed()).0, 10 * SECOND);
    }
    let mut watched = Rig::new().watched;
    let now = start();
    watched.take(failed(), &Names::default(), 1.0, now);
    assert_eq!(watched.due(), Some(now + 9 * SECOND), "up to a tenth sooner");
}

#[test]
fn an_answer_replaces_the_one_before_and_a_failure_does_not() {
    let mut rig = Rig::new();
    assert_eq!(rig.look(found(&["10.0.0.2", "10.0.0.3"])).1, None);
    assert!(rig.has(&["10.0.0.2", "10.0.0.3"]));
    let line = rig.look(failed()).1.expect("it is told");
    assert!(line.starts_with("can't be looked up and keeps its addresses: the name server"));
    for _ in 0..1000 {
        assert_eq!(rig.look(failed()).1, None, "once");
        assert!(rig.has(&["10.0.0.2", "10.0.0.3"]));
    }
    assert_eq!(rig.look(found(&["10.0.0.3"])).1.as_deref(), Some("is found"));
    assert!(rig.has(&["10.0.0.3"]));
}

#[test]
fn a_kind_of_addresses_that_is_not_known_just_now_stays_as_it_was() {
    let mut rig = Rig::new();
    rig.look(found(&["10.0.0.1", "fd00::1"]));
    rig.look(Outcome::Found(Found::new(ips(&["10.0.0.2"]), None, Some(Family::V6))));
    assert!(rig.has(&["10.0.0.2", "fd00::1"]));
    rig.look(Outcome::Found(Found::new(ips(&["fd00::2"]), None, Some(Family::V4))));
    assert!(rig.has(&["10.0.0.2", "fd00::2"]));
    rig.look(found(&["10.0.0.2"]));
    assert!(rig.has(&["10.0.0.2"]));
}

#[test]
fn a_name_that_vanishes_keeps_its_addresses_for_a_while() {
    let mut rig = Rig::new();
    let line = rig.look(Outcome::Absent).1.expect("it is told");
    assert!(line.ends_with("keeps those that it had for 30s"), "{line}");
    for _ in 0..2 {
        assert_eq!(rig.look(Outcome::Absent).1, None);
        assert!(rig.has(&["10.0.0.1"]));
    }
    let line = rig.look(Outcome::Absent).1.expect("it is told");
    assert!(line.ends_with("it gets no requests"), "{line}");
    assert!(rig.has(&[]));
    assert_eq!(rig.look(Outcome::Absent).1, None);
    let line = rig.look(failed()).1.expect("it is told");
    assert!(line.starts_with("can't be looked up and has no address"), "{line}");
    assert_eq!(rig.look(found(&["10.0.0.9"])).1.as_deref(), Some("is found"));
    assert!(rig.has(&["10.0.0.9"]));
}

#[test]
fn it_has_vanished_only_if_nothing_else_was_said_all_the_while() {
    let mut rig = Rig::new();
    for _ in 0..20 {
        rig.look(Outcome::Absent);
        rig.look(Outcome::Absent);
        rig.look(failed());
        assert!(rig.has(&["10.0.0.1"]));
    }
    rig.names.hold = Duration::ZERO;
    rig.look(Outcome::Absent);
    assert!(rig.has(&[]), "without a time to hold it is gone at once");
}

#[test]
fn failed_connections_bring_the_look_up_forward_but_no_more_than_one_each_second() {
    let mut rig = Rig::new();
    rig.look(found(&["10.0.0.1"]));
    rig.watched.hasten(rig.now);
    assert_eq!(rig.look(found(&["10.0.0.1"])).0, SECOND);
    rig.now += 5 * SECOND;
    rig.watched.hasten(rig.now);
    assert_eq!(rig.look(found(&["10.0.0.1"])).0, Duration::ZERO);
    rig.watched.begin(rig.now);
    rig.watched.hasten(rig.now);
    assert_eq!(rig.watched.due(), None, "it is looked up already");
}

#[test]
fn a_shorter_interval_holds_at_once() {
    let mut rig = Rig::new();
    rig.names.every = 3600 * SECOND;
    rig.look(found(&["10.0.0.1"]));
    rig.names.every = SECOND;
    rig.watched.follow(&rig.names, rig.now);
    assert_eq!(rig.look(found(&["10.0.0.1"])).0, SECOND);
}
