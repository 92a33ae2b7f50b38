use super::*;
use crate::balance::Role;
use crate::proxy::settings::{Address, Resolve};
use crate::proxy::worker::tests::settings;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Connecting may take 300 ms per address, and the check a second.
fn checked_settings() -> Settings {
    let mut settings = settings();
    settings.timeouts.connect = ms(300);
    settings.checks.path = Some("/healthz".to_owned());
    settings.checks.timeout = ms(1_000);
    settings.limits.head_bytes = 1_000;
    settings
}

#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

/// A conversation at this instant, whose request was sent to a backend.
fn asked(now: Instant) -> Conversation {
    let backend = Backend::tcp("10.0.0.7", 8080);
    let mut conversation = Conversation::new(&backend, &checked_settings(), now);
    conversation.dialling(now);
    conversation.sent(conversation.pending().len());
    conversation
}

/// What an answer in pieces of this size comes to, and with how many bytes of it.
fn answered_by(answer: &[u8], size: usize) -> (Option<Finding>, usize) {
    let mut conversation = asked(start());
    for (count, piece) in answer.chunks(size).enumerate() {
        if let Some(finding) = conversation.receive(piece) {
            return (Some(finding), answer.len().min((count + 1) * size));
        }
    }
    (None, answer.len())
}

/// What an answer comes to, in one piece, byte by byte and in two pieces cut anywhere.
fn finding(answer: impl AsRef<[u8]>) -> Option<Finding> {
    let answer = answer.as_ref();
    let (found, _) = answered_by(answer, usize::MAX);
    for size in 1..answer.len().min(80) {
        assert_eq!(answered_by(answer, size).0, found, "{} by {size}", answer.escape_ascii());
    }
    found
}

fn faulty(error: HeadError) -> Finding {
    Finding::Faulty(Fault::ResponseHead(error))
}

#[test]
fn the_request_names_the_host_of_the_backend_and_asks_to_close() {
    let request_of = |url: &str, address: Address| {
        let backend =
            Backend { url: url.to_owned(), address, role: Role::default(), resolve: Resolve::One };
        let bytes = request("/healthz?full=1", &backend);
        String::from_utf8(bytes).expect("text")
    };
    let tcp = Address::Tcp { host: "::1".to_owned(), port: 80 };
    assert_eq!(
        request_of("http://[::1]", tcp),
        "GET /healthz?full=1 HTTP/1.1\r\nHost: [::1]\r\nUser-Agent: tidegate-check\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    let unix = request_of("unix:/run/app.sock", Address::Unix("/run/app.sock".into()));
    assert!(unix.contains("\r\nHost: localhost\r\n"), "{unix}");
}

#[test]
fn the_status_decides_as_soon_as_the_head_is_whole() {
    for (status, found) in [
        ("200 OK", Finding::Passed),
        ("204 No Content", Finding::Passed),
        ("301 Moved", Finding::Passed),
        ("399", Finding::Passed),
        ("400 Bad", Finding::Status(400)),
        ("503 Busy", Finding::Status(503)),
        ("999 Odd", Finding::Status(999)),
    ] {
        for version in ["1.0", "1.1"] {
            let head = format!("HTTP/{version} {status}\r\nContent-Length: 9\r\n\r\n");
            assert_eq!(finding(&head), Some(found), "{status}");
            assert_eq!(answered_by(head.as_bytes(), 1).1, head.len(), "no byte earlier");
            assert_eq!(finding(head + "some of "), Some(found), "the body does not matter");
        }
    }
}

#[test]
fn which_statuses_are_expected_is_a_setting() {
    let mut settings = checked_settings();
    settings.checks.statuses = "404,500-599".parse().expect("statuses");
    for (status, found) in
        [(200, Finding::Status(200)), (404, Finding::Passed), (503, Finding::Passed)]
    {
        let mut conversation = Conversation::new(&Backend::tcp("localhost", 1), &settings, start());
        conversation.sent(1);
        let answer = format!("HTTP/1.1 {status} \r\n\r\n");
        assert_eq!(conversation.receive(answer.as_bytes()), Some(found));
    }
}

#[test]
fn interim_responses_come_before_the_answer() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    assert_eq!(finding(early), None);
    assert_eq!(finding([early, early, "HTTP/1.1 200 OK\r\n\r\n"].concat()), Some(Finding::Passed));
    assert_eq!(finding(early.repeat(100)), Some(faulty(HeadError::HeadTooLarge)), "not for ever");
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    assert_eq!(finding(switching), Some(faulty(HeadError::UnaskedUpgrade)));
}

#[test]
fn what_could_not_be_passed_on_is_no_pass() {
    for (answer, error) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", HeadError::BadStatusLine),
        ("\x15\x03\x01", HeadError::BadStatusLine),
        ("hello", HeadError::BadStatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", HeadError::UnsupportedVersion),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", HeadError::BareLineFeed),
        ("HTTP/1.1 200 OK\r\nno field\r\n\r\n", HeadError::BadField),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", HeadError::BadLength),
    ] {
        assert_eq!(finding(answer), Some(faulty(error)), "{answer}");
    }
    let endless = "HTTP/1.1 200 OK\r\n".to_owned() + &"X: y\r\n".repeat(1_000);
    assert_eq!(finding(endless), Some(faulty(HeadError::HeadTooLarge)));
}

#[test]
fn an_end_is_a_failure_until_the_head_is_whole() {
    let closed = Some(Finding::Faulty(Fault::UpstreamClosed));
    for answer in ["", "HTTP", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let mut conversation = asked(start());
        assert_eq!(conversation.receive(answer.as_bytes()), None);
        assert_eq!(conversation.ended(), closed, "{answer}");
        assert!(conversation.is_over());
    }
    let mut conversation = asked(start());
    assert!(conversation.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").is_some());
    assert_eq!(conversation.ended(), None, "a body that breaks off does not matter");
    assert!(conversation.is_over());
}

#[test]
fn a_body_is_dropped_up_to_a_limit() {
    let block = [b'x'; 1_024];
    let mut conversation = asked(start());
    assert_eq!(conversation.receive(b"HTTP/1.1 200 OK\r\n\r\n"), Some(Finding::Passed));
    for _ in 1..DROPPED_BYTES_MAX / block.len() {
        assert_eq!(conversation.receive(&block), None);
        assert!(!conversation.is_over());
    }
    assert_eq!(conversation.receive(&block), None);
    assert!(conversation.is_over());
    let mut conversation = asked(start());
    let all_at_once = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &block.repeat(64)].concat();
    assert!(all_at_once.len() > DROPPED_BYTES_MAX);
    assert_eq!(conversation.receive(&all_at_once), Some(Finding::Passed));
    assert!(conversation.is_over());
}

#[test]
fn an_answer_that_comes_byte_by_byte_has_the_time_of_the_whole_check() {
    let now = start();
    let mut conversation = asked(now);
    assert_eq!(conversation.deadline(), now + ms(1_000));
    for (byte, at) in b"HTTP/1.1 200 OK\r".iter().zip(1..) {
        assert_eq!(conversation.receive(&[*byte]), None);
        assert_eq!(conversation.expire(now + ms(60 * at)), Expiry::NotYet);
    }
    assert_eq!(conversation.expire(now + ms(999)), Expiry::NotYet);
    assert_eq!(conversation.expire(now + ms(1_000)), Expiry::Failed(Fault::ResponseTimeout));
    assert!(conversation.is_over());
    assert_eq!(conversation.receive(b"\n\r\n"), None, "too late");
}

#[test]
fn a_body_that_hangs_is_no_failure() {
    let now = start();
    let mut conversation = asked(now);
    assert!(conversation.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").is_some());
    assert_eq!(conversation.expire(now + ms(999)), Expiry::NotYet);
    assert_eq!(conversation.expire(now + ms(1_000)), Expiry::Over);
    assert!(conversation.is_over());
}

#[test]
fn each_address_has_a_time_of_its_own_within_that_of_the_check() {
    let now = start();
    let backend = Backend::tcp("localhost", 1);
    let mut conversation = Conversation::new(&backend, &checked_settings(), now);
    for address in 0..3 {
        let begun = now + ms(300 * address);
        conversation.dialling(begun);
        assert_eq!(conversation.deadline(), begun + ms(300));
        assert_eq!(conversation.expire(begun + ms(299)), Expiry::NotYet);
        assert_eq!(conversation.expire(begun + ms(300)), Expiry::Connect);
    }
    conversation.dialling(now + ms(900));
    assert_eq!(conversation.deadline(), now + ms(1_000));
    assert_eq!(conversation.expire(now + ms(1_000)), Expiry::Failed(Fault::ConnectTimeout));
}

#[test]
fn the_first_byte_that_is_taken_proves_the_connection() {
    let now = start();
    let backend = Backend::tcp("localhost", 1);
    let mut conversation = Conversation::new(&backend, &checked_settings(), now);
    conversation.dialling(now);
    let length = conversation.pending().len();
    conversation.sent(0);
    assert!(conversation.is_connecting());
    conversation.sent(1);
    assert!(!conversation.is_connecting());
    assert_eq!(conversation.pending().len(), length - 1);
    assert_eq!(conversation.expire(now + ms(300)), Expiry::NotYet, "it is connected");
}
