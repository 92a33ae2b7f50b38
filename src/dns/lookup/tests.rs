//! Look-ups in simulated time.

use std::collections::VecDeque;

use super::*;
use crate::dns::message::tests::{answer, record};

const NO_SUCH_NAME: u16 = 3;
const SERVFAIL: u16 = 2;
const TRUNCATED: u16 = 0x0200;

#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

/// What a server does with a question.
enum Conduct {
    Records(&'static [&'static str]),
    Says(u16),
    Silent,
    Gone,
}

use Conduct::{Gone, Records, Says, Silent};

/// A look-up, the servers that it asks, and what they are asked.
struct Rig {
    lookup: Lookup,
    now: Instant,
    began: Instant,
    asked: Vec<String>,
}

impl Rig {
    fn new(host: &str, conf: &str) -> Self {
        let (conf, now) = (Arc::new(ResolvConf::parse(conf)), start());
        let lookup = Lookup::new(host, conf, Rng::with_seed(1));
        Self { lookup, now, began: now, asked: Vec::new() }
    }

    /// Plays it to its end: a server's conduct towards a question such as `1 A web` or
    /// `2 AAAA web`, where the number is the last of its address, and TCP has a `!` behind it.
    fn play(&mut self, conduct: impl Fn(&str) -> Conduct) -> Outcome {
        loop {
            let mut asks = VecDeque::new();
            while let Some(ask) = self.lookup.ask(self.now) {
                asks.push_back(ask);
            }
            while let Some(ask) = asks.pop_front() {
                let name = self.lookup.name.as_ref().expect("a name").to_string();
                let server = ask.server.to_string();
                let server = server.trim_end_matches(":53").rsplit('.').next().expect("a number");
                let kind = if ask.family == Family::V4 { "A" } else { "AAAA" };
                let tcp = if ask.via == Via::Tcp { "!" } else { "" };
                let question = format!("{server} {kind} {name}{tcp}");
                match conduct(&question) {
                    Records(data) => {
                        let records: Vec<_> =
                            data.iter().map(|data| record(&name, 60, data)).collect();
                        self.lookup.received(ask.family, b"nonsense");
                        self.lookup.received(ask.family, &answer(&ask.message, 0, &records));
                    }
                    Says(flags) => {
                        self.lookup.received(ask.family, &answer(&ask.message, flags, &[]));
                    }
                    Silent => {}
                    Gone => self.lookup.unreachable(ask.family),
                }
                self.asked.push(question);
            }
            if let Some(outcome) = self.lookup.outcome() {
                return outcome.clone();
            }
            if let Some(deadline) = self.lookup.deadline() {
                self.now = self.now.max(deadline);
                self.lookup.expired(self.now);
            }
        }
    }

    fn seconds(&self) -> u64 {
        (self.now - self.began).as_secs()
    }
}

fn found(addresses: &[&str], unknown: Option<Family>) -> Outcome {
    let addresses = addresses.iter().map(|text| text.parse().expect(text)).collect();
    Outcome::Found(Found { addresses, ttl: Some(Duration::from_secs(60)), unknown })
}

const TWO: &str = "nameserver 10.0.0.1\nnameserver 10.0.0.2\n";

#[test]
fn both_kinds_are_asked_for_at_once_and_come_in_one_order() {
    let mut rig = Rig::new("web", TWO);
    let outcome = rig.play(|question| match question {
        "1 A web" => Records(&["10.0.1.2", "10.0.1.1", "10.0.1.2"]),
        "1 AAAA web" => Records(&["fd00::1"]),
        other => panic!("{other}"),
    });
    assert_eq!(outcome, found(&["10.0.1.1", "10.0.1.2", "fd00::1"], None));
    assert_eq!(rig.asked, ["1 A web", "1 AAAA web"]);
}

#[test]
fn a_server_that_is_silent_gone_or_fails_is_followed_by_the_next() {
    for (failing, seconds) in
        [(&(|| Silent) as &dyn Fn() -> Conduct, 5), (&|| Gone, 0), (&|| Says(SERVFAIL), 0)]
    {
        let mut rig = Rig::new("web", TWO);
        let outcome = rig.play(|question| match question {
            "2 A web" => Records(&["10.0.1.1"]),
            "2 AAAA web" => Records(&[]),
            _ => failing(),
        });
        assert_eq!(outcome, found(&["10.0.1.1"], None));
        assert_eq!(rig.seconds(), seconds);
    }
}

#[test]
fn when_no_server_answers_the_look_up_fails_after_all_attempts() {
    let servers = ["10.0.0.1:53", "10.0.0.2:53"].map(|text| text.parse().expect(text));
    let mut rig = Rig::new("web", &format!("{TWO}search a b\noptions timeout:1 attempts:3\n"));
    assert_eq!(rig.play(|_| Silent), Outcome::Failed(Failure::TimedOut(servers[1])));
    assert_eq!((rig.seconds(), rig.asked.len()), (6, 12));
    assert!(rig.asked.iter().all(|question| question.ends_with("web.a")), "no other domain");
    let mut rig = Rig::new("web", TWO);
    let outcome = rig.play(|_| Says(SERVFAIL));
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.to_string(), "the name server 10.0.0.2:53 answers SERVFAIL");
    let outcome = Rig::new("web", TWO).play(|_| Gone);
    assert_eq!(outcome, Outcome::Failed(Failure::Unreachable(servers[1])));
}

#[test]
fn a_name_that_does_not_exist_is_looked_for_in_the_next_domain() {
    let mut rig = Rig::new("web", "nameserver 10.0.0.1\nsearch a b\n");
    let outcome = rig.play(|question| match question {
        "1 A web.b" => Records(&["10.0.1.1"]),
        "1 AAAA web.b" | "1 A web.a" => Records(&[]),
        "1 AAAA web.a" => Says(NO_SUCH_NAME),
        other => panic!("{other}"),
    });
    assert_eq!(outcome, found(&["10.0.1.1"], None));
    assert_eq!(Rig::new("web", TWO).play(|_| Says(NO_SUCH_NAME)), Outcome::Absent);
    assert_eq!(Rig::new("web", TWO).play(|_| Records(&[])), Outcome::Absent);
    assert_eq!(Rig::new("a..b", TWO).play(|_| Silent), Outcome::Absent);
}

#[test]
fn an_answer_that_is_too_long_comes_over_a_connection_to_the_same_server() {
    let mut rig = Rig::new("web", TWO);
    let outcome = rig.play(|question| match question {
        "1 A web" => Says(TRUNCATED),
        "1 A web!" => Records(&["10.0.1.1"]),
        "1 AAAA web" => Records(&[]),
        other => panic!("{other}"),
    });
    assert_eq!(outcome, found(&["10.0.1.1"], None));
    let mut rig = Rig::new("web", TWO);
    let outcome = rig.play(|question| match question {
        "1 A web" => Says(TRUNCATED),
        "1 A web!" => Gone,
        "2 A web" => Records(&["10.0.1.2"]),
        _ => Records(&[]),
    });
    assert_eq!(outcome, found(&["10.0.1.2"], None), "by a datagram again");
}

#[test]
fn addresses_of_one_kind_do_not_wait_long_for_the_other() {
    let mut rig = Rig::new("web", TWO);
    let one = |question: &str| if question == "1 A web" { Records(&["10.0.1.1"]) } else { Silent };
    assert_eq!(rig.play(one), found(&["10.0.1.1"], Some(Family::V6)));
    assert_eq!((rig.seconds(), rig.asked.len()), (5, 2));
}

#[test]
fn who_waits_no_longer_takes_what_is_known() {
    let mut rig = Rig::new("web", TWO);
    let asks: Vec<_> = std::iter::from_fn(|| rig.lookup.ask(rig.now)).collect();
    let records = [record("web", 60, "10.0.1.1")];
    rig.lookup.received(Family::V4, &answer(&asks[0].message, 0, &records));
    assert_eq!(rig.lookup.outcome(), None);
    rig.lookup.give_up();
    assert_eq!(rig.lookup.outcome(), Some(&found(&["10.0.1.1"], Some(Family::V6))));
    let mut rig = Rig::new("web", TWO);
    rig.lookup.give_up();
    assert!(matches!(rig.lookup.outcome(), Some(Outcome::Failed(Failure::TimedOut(_)))));
    assert_eq!(rig.lookup.ask(rig.now), None);
}

#[test]
fn an_answer_to_an_earlier_question_is_passed_over() {
    let mut rig = Rig::new("web", TWO);
    let first = rig.lookup.ask(rig.now).expect("a question");
    rig.lookup.ask(rig.now).expect("the other one");
    rig.now = rig.lookup.deadline().expect("a deadline");
    rig.lookup.expired(rig.now);
    let second = rig.lookup.ask(rig.now).expect("the next server's");
    assert_ne!(first.message[..2], second.message[..2], "another id");
    let records = [record("web", 60, "10.0.1.1")];
    rig.lookup.received(Family::V4, &answer(&first.message, 0, &records));
    assert!(rig.lookup.queries[0].is_open());
    rig.lookup.received(Family::V4, &answer(&second.message, 0, &records));
    assert!(!rig.lookup.queries[0].is_open());
}

#[test]
fn a_thousand_addresses_of_a_name_are_enough() {
    let addresses = (0..3000_u32).rev().map(|n| std::net::Ipv4Addr::from(n).into()).collect();
    let found = Found::new(addresses, None, None);
    assert_eq!(found.addresses.len(), MAX_ADDRESSES);
    assert!(found.addresses.is_sorted());
}
