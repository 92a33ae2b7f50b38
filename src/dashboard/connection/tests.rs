//! What a connection answers and waits for, without a socket and in simulated time.

use std::path::PathBuf;
use std::time::SystemTime;

use super::*;
use crate::dashboard::source::Source;

const GET: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection, what was sent over it, and the clock.
struct Scene {
    connection: Connection,
    cache: SnapshotCache,
    source: Source,
    hosts: Hosts,
    has_stream: bool,
    now: Instant,
    sent: String,
}

impl Scene {
    #[expect(
        clippy::disallowed_methods,
        reason = "simulated time needs some instant to start from"
    )]
    fn new() -> Self {
        let now = Instant::now();
        let source = Source::new(PathBuf::from("x.csv"), None);
        Self {
            connection: Connection::new(now),
            cache: SnapshotCache::new(&source),
            source,
            hosts: Hosts::new([127, 0, 0, 1].into(), &[]),
            has_stream: true,
            now,
            sent: String::new(),
        }
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn receive(&mut self, bytes: &[u8]) -> &mut Self {
        self.connection.receive(bytes, self.now);
        self
    }

    /// Goes on as far as it can, the client taking at most `taken` bytes at a time.
    fn go_on(&mut self, taken: usize) -> &mut Self {
        let local = [127, 0, 0, 1].into();
        let (cache, hosts, has_stream) = (&self.cache, &self.hosts, self.has_stream);
        let service = Service { cache, hosts, local, has_stream };
        while self.connection.has_pending() || self.connection.advance(service, self.now) {
            let bytes = self.connection.pending().concat();
            let count = bytes.len().min(taken);
            self.sent.push_str(str::from_utf8(&bytes[..count]).unwrap());
            self.connection.sent(count, self.now);
        }
        self
    }

    /// In how many seconds the connection is given up.
    fn patience(&self) -> Option<u64> {
        self.connection.deadline().map(|at| at.duration_since(self.now).as_secs())
    }

    fn answers(&self) -> Vec<&str> {
        self.sent.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
    }
}

#[test]
fn a_connection_that_says_nothing_has_fifteen_seconds() {
    let mut scene = Scene::new();
    assert_eq!(scene.patience(), Some(15));
    // A head that drips has no more.
    scene.wait(9).receive(&GET[..5]).go_on(99);
    assert_eq!(scene.patience(), Some(6));
    scene.wait(5).receive(b"\r\n").go_on(99);
    assert!(scene.patience().is_none_or(|seconds| seconds <= 15));
}

#[test]
fn empty_lines_do_not_renew_the_time() {
    let mut scene = Scene::new();
    for _ in 0..7 {
        scene.wait(2).receive(b"\r\n").go_on(99);
    }
    assert!(scene.answers().is_empty() || scene.answers() == ["400"]);
    assert!(scene.patience().is_some_and(|seconds| seconds <= 2));
}

#[test]
fn a_kept_connection_has_longer_until_the_next_head_begins() {
    let mut scene = Scene::new();
    scene.receive(GET).go_on(usize::MAX);
    assert_eq!((scene.answers(), scene.patience()), (vec!["200"], Some(75)));
    scene.wait(70).receive(&GET[..1]).go_on(99);
    assert_eq!(scene.patience(), Some(15));
    scene.wait(1).receive(&GET[1..]).go_on(99);
    assert_eq!((scene.answers(), scene.patience()), (vec!["200", "200"], Some(75)));
}

#[test]
fn requests_are_answered_in_turn_however_their_bytes_come() {
    let close = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".as_slice();
    let bytes = [GET, GET, close, GET].concat();
    for size in [1, 7, bytes.len()] {
        let mut scene = Scene::new();
        for piece in bytes.chunks(size) {
            scene.receive(piece).go_on(3);
        }
        assert_eq!(scene.answers(), ["200", "200", "200"], "nothing after the last");
        assert_eq!(scene.sent.matches("tidegate-dashboard\n").count(), 3);
        assert_eq!(scene.sent.matches("Connection: close").count(), 1);
        assert_eq!(scene.patience(), Some(2));
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_and_ends_the_connection() {
    for (head, status) in [
        ("GET / HTTP/1.1\nHost: localhost\n\n", "400"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", "505"),
        ("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n", "405"),
    ] {
        let mut scene = Scene::new();
        scene.receive(head.as_bytes()).go_on(99).receive(GET).go_on(99);
        assert_eq!((scene.answers(), scene.patience()), (vec![status], Some(2)), "{head}");
    }
    let mut scene = Scene::new();
    scene.receive(&vec![b'x'; HEAD_BYTES_MAX]).go_on(99);
    assert_eq!(scene.answers(), ["414"]);
    let head = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(HEAD_BYTES_MAX));
    let mut scene = Scene::new();
    scene.receive(head.as_bytes()).go_on(99);
    assert_eq!(scene.answers(), ["431"]);
}

#[test]
fn a_body_is_not_taken_for_the_next_request() {
    for body in ["Content-Length: 40", "Transfer-Encoding: chunked"] {
        let head = format!("POST /data HTTP/1.1\r\nHost: localhost\r\n{body}\r\n\r\n");
        let mut scene = Scene::new();
        scene.receive(head.as_bytes()).receive(GET).go_on(99);
        assert_eq!((scene.answers(), scene.patience()), (vec!["405"], Some(2)), "{body}");
    }
}

#[test]
fn a_stream_has_each_edition_once_and_no_deadline_unless_it_is_not_read() {
    let mut scene = Scene::new();
    scene.receive(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").go_on(999);
    scene.go_on(999);
    assert_eq!((scene.sent.matches("\ndata: ").count(), scene.patience()), (1, None));
    scene.cache.publish(&scene.source, SystemTime::UNIX_EPOCH);
    scene.wait(1).go_on(999);
    assert_eq!((scene.sent.matches("\ndata: ").count(), scene.patience()), (2, None));
    // An event that the client does not take is not followed by others.
    for _ in 0..3 {
        scene.cache.publish(&scene.source, SystemTime::UNIX_EPOCH);
        let local = [127, 0, 0, 1].into();
        let (cache, hosts) = (&scene.cache, &scene.hosts);
        let service = Service { cache, hosts, local, has_stream: true };
        if !scene.connection.has_pending() {
            assert!(scene.connection.advance(service, scene.now));
        }
        scene.now += Duration::from_secs(4);
    }
    assert_eq!(scene.patience(), Some(3));
    scene.go_on(999);
    assert!(scene.sent.contains("id: 4\n") && !scene.sent.contains("id: 3\n"), "{}", scene.sent);
}

#[test]
fn without_a_stream_to_be_had_the_connection_goes_on() {
    let mut scene = Scene::new();
    scene.has_stream = false;
    scene.receive(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").receive(GET).go_on(99);
    assert_eq!(scene.answers(), ["503", "200"]);
}

#[test]
fn only_a_connection_that_waits_for_its_client_is_idle() {
    let mut scene = Scene::new();
    assert_eq!(scene.connection.idle_since(), Some(scene.now));
    scene.receive(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").go_on(99);
    assert_eq!(scene.connection.idle_since(), None);
}
