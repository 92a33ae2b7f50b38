use super::*;
use crate::backend::answers::{Answers, Behaviour};
use crate::fleet::OK;
use crate::scenario::Group;
use std::num::NonZeroU64;
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn behaviour() -> Behaviour {
    let group = Group::new("fixed:1ms".parse().unwrap());
    Behaviour { body_size: Some(2), ..Behaviour::new("A", group) }
}

fn answers() -> Answers {
    Answers::new(&behaviour())
}

/// Answers all that is asked, as a backend does that works on nothing.
fn answer(conversation: &mut Conversation, answers: &mut Answers) -> usize {
    let mut count = 0;
    while conversation.asked().is_some() {
        let number = answers.count();
        let (reply, closes) = answers.reply(number, OK, Duration::ZERO);
        conversation.answer(reply, closes);
        count += 1;
    }
    count
}

fn ok(connection: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 2\r\n{connection}\r\nHe"
    )
}

/// Sends all that is pending, `most` bytes at a time, and answers what is asked meanwhile.
fn send(conversation: &mut Conversation, answers: &mut Answers, most: usize) -> String {
    let mut sent = Vec::new();
    loop {
        answer(conversation, answers);
        let [first, second] = conversation.pending();
        let count = most.min(first.len() + second.len());
        if count == 0 {
            return String::from_utf8(sent).unwrap();
        }
        sent.extend(first.iter().chain(second).take(count));
        conversation.sent(count);
    }
}

/// Passes pieces on as an owner would.
fn converse<'p>(answers: &mut Answers, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut conversation = Conversation::new();
    let mut outcome = Outcome::default();
    for piece in pieces {
        if !conversation.wants_bytes() {
            break;
        }
        conversation.receive(piece);
        outcome.answered += answer(&mut conversation, answers);
        outcome.sent += &send(&mut conversation, answers, 3);
    }
    outcome.ending = conversation.ending();
    outcome
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    sent: String,
    answered: usize,
    ending: Option<Ending>,
}

/// Passes `bytes` whole, byte by byte and cut at every place, and expects the same every time.
fn everyhow(bytes: &str, expected: &Outcome) {
    let bytes = bytes.as_bytes();
    assert_eq!(converse(&mut answers(), [bytes]), *expected);
    assert_eq!(converse(&mut answers(), bytes.chunks(1)), *expected);
    for cut in 1..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(converse(&mut answers(), [first, second]), *expected, "cut at {cut}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nGET / HTTP/\
        PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\nX: y\r\n\r\n\
        HEAD / HTTP/1.1\r\nHost: a\r\n\r\n\
        GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\
        OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n\
        GET / HTTP/1.0\r\n\r\n";
    let head = ok("");
    let sent = [
        ok(""),
        ok(""),
        ok(""),
        head.trim_end_matches("He").to_owned(),
        ok("Connection: keep-alive\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ok("Connection: close\r\n"),
    ]
    .concat();
    let ending = Some(Ending::Lingering);
    everyhow(requests, &Outcome { sent, answered: 6, ending });
}

#[test]
fn a_request_is_asked_once_the_one_before_it_has_been_answered() {
    let mut answers = answers();
    let mut conversation = Conversation::new();
    conversation.receive("GET /?cost=2 HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes());
    assert!(!conversation.wants_bytes());
    conversation.receive(GET.as_bytes());
    let cost = |conversation: &Conversation| conversation.asked().map(|asked| asked.query.cost);
    assert_eq!(cost(&conversation), Some(Some(2.0)));
    assert_eq!(conversation.pending(), [b"", b""]);
    conversation.answer(answers.reply(1, OK, Duration::ZERO).0, false);
    assert_eq!(cost(&conversation), Some(None));
    assert_eq!(send(&mut conversation, &mut answers, 5), ok("").repeat(2));
}

#[test]
fn it_is_idle_between_a_whole_answer_and_the_next_byte() {
    let mut answers = answers();
    let mut conversation = Conversation::new();
    assert!(conversation.is_idle());
    let (first, rest) = GET.as_bytes().split_at(1);
    for bytes in [first, rest] {
        conversation.receive(bytes);
        assert!(!conversation.is_idle());
    }
    answer(&mut conversation, &mut answers);
    assert!(!conversation.is_idle());
    send(&mut conversation, &mut answers, 5);
    assert!(conversation.is_idle());
}

#[test]
fn answers_to_a_pipeline_without_delays_go_out_together() {
    let mut answers = answers();
    let mut conversation = Conversation::new();
    conversation.receive(GET.repeat(100).as_bytes());
    answer(&mut conversation, &mut answers);
    assert_eq!(conversation.pending()[0], ok("").repeat(100).as_bytes());
}

#[test]
fn continue_is_sent_before_a_body_is_expected() {
    let mut answers = answers();
    let mut conversation = Conversation::new();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    conversation.receive(head.as_bytes());
    answer(&mut conversation, &mut answers);
    assert_eq!(send(&mut conversation, &mut answers, 5), "HTTP/1.1 100 Continue\r\n\r\n");
    conversation.receive(b"abc");
    answer(&mut conversation, &mut answers);
    assert_eq!(send(&mut conversation, &mut answers, 5), ok(""));
    let bodiless = head.replace('3', "0");
    conversation.receive(bodiless.as_bytes());
    answer(&mut conversation, &mut answers);
    assert_eq!(send(&mut conversation, &mut answers, 5), ok(""), "there is nothing to continue");
}

#[test]
fn nonsense_is_answered_400_and_ends_the_conversation_after_the_answers_before_it() {
    let refused = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let ending = Some(Ending::Lingering);
    let outcome = |sent, answered| Outcome { sent, answered, ending };
    everyhow(&format!("{GET}\u{1}"), &outcome(ok("") + refused, 1));
    let broken = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX";
    everyhow(broken, &outcome(refused.to_owned(), 0));
}

#[test]
fn a_head_without_end_is_answered_431() {
    let mut answers = answers();
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    let outcome = converse(&mut answers, endless.as_bytes().chunks(1000));
    assert!(outcome.sent.starts_with("HTTP/1.1 431 ") && outcome.sent.ends_with("\r\n\r\n"));
    assert_eq!(outcome.ending, Some(Ending::Lingering));
}

#[test]
fn nothing_is_answered_after_a_closing_answer() {
    let mut answers = answers();
    let closing = GET.replace("Host", "Connection: close\r\nHost");
    let both = closing + GET;
    let outcome = converse(&mut answers, [both.as_bytes()]);
    assert_eq!(outcome.sent, ok("Connection: close\r\n"));
    assert_eq!(outcome.ending, Some(Ending::Lingering));
}

#[test]
fn the_behaviour_closes_when_it_is_to() {
    let close_every = NonZeroU64::new(2);
    let mut answers = Answers::new(&Behaviour { close_every, ..behaviour() });
    let outcome = converse(&mut answers, [GET.as_bytes(), GET.as_bytes(), GET.as_bytes()]);
    assert_eq!(outcome.sent, ok("") + &ok("Connection: close\r\n"));
    assert_eq!(outcome.ending, Some(Ending::Lingering));
}

#[test]
fn a_request_broken_off_gets_no_answer() {
    for part in ["", "GET / HT", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab"] {
        let mut conversation = Conversation::new();
        conversation.receive(part.as_bytes());
        conversation.end();
        assert_eq!(conversation.asked(), None);
        assert_eq!(conversation.pending(), [b"", b""]);
        assert_eq!(conversation.ending(), Some(Ending::Plain));
    }
}

#[test]
fn a_body_of_any_size_is_passed_over_and_not_kept() {
    let mut answers = answers();
    let mut conversation = Conversation::new();
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n";
    conversation.receive(head.as_bytes());
    answer(&mut conversation, &mut answers);
    let piece = vec![b'x'; 1_000_000];
    for _ in 0..10_000 {
        assert_eq!(conversation.pending(), [b"", b""]);
        assert!(conversation.wants_bytes());
        conversation.receive(&piece);
        answer(&mut conversation, &mut answers);
        assert_eq!(conversation.held.capacity(), 0);
    }
    assert_eq!(send(&mut conversation, &mut answers, usize::MAX), ok(""));
}

#[test]
fn a_client_that_does_not_read_is_given_a_bounded_amount() {
    let mut answers = answers();
    let mut conversation = Conversation::new();
    let mut requests = 0;
    while conversation.wants_bytes() {
        conversation.receive(GET.repeat(100).as_bytes());
        answer(&mut conversation, &mut answers);
        requests += 100;
        assert!(requests < 1000, "no end to it");
    }
    assert!(conversation.pending()[0].len() < 40_000);
    assert!(!conversation.held.is_empty(), "the rest waits its turn");
    let sent = send(&mut conversation, &mut answers, 1000);
    assert_eq!(sent, ok("").repeat(requests), "and has it");
    assert!(conversation.wants_bytes());
}

#[test]
fn a_large_body_takes_no_memory_and_holds_the_next_answer_back() {
    let size = 1 << 30;
    let mut answers = Answers::new(&Behaviour { body_size: Some(size), ..behaviour() });
    let mut conversation = Conversation::new();
    conversation.receive(GET.repeat(2).as_bytes());
    for _ in 0..2 {
        assert_eq!(answer(&mut conversation, &mut answers), 1);
        let [head, _] = conversation.pending();
        let head_bytes = head.len();
        assert!(head.starts_with(b"HTTP/1.1 200 OK") && head_bytes < 200);
        let mut left = head_bytes as u64 + size - 12;
        while left > 0 {
            let count: usize = conversation.pending().iter().map(|part| part.len()).sum();
            assert!(count > 0 && !conversation.wants_bytes());
            left = left.saturating_sub(count as u64);
            conversation.sent(count);
        }
    }
    assert_eq!(conversation.pending(), [b"", b""]);
    assert!(conversation.wants_bytes());
}
