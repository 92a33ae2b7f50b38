//! What a connection gives out and waits for, without a socket and in simulated time.

use super::*;
use crate::balance::tests::epoch;
use crate::hosts::Hosts;
use proptest::prelude::*;

/// A connection, and what was sent over it.
struct Scene {
    connection: Connection,
    now: Instant,
    asked: Vec<Request>,
    sent: String,
}

impl Scene {
    fn over_tcp() -> Self {
        let local: IpAddr = "127.0.0.1".parse().expect("an address");
        Self::new(Access::ReadOnly(Hosts::new(local, &[])), Some(local))
    }

    fn over_unix() -> Self {
        Self::new(Access::All, None)
    }

    fn new(access: Access, local: Option<IpAddr>) -> Self {
        let now = epoch();
        let connection = Connection::new(access, local, now);
        Self { connection, now, asked: Vec::new(), sent: String::new() }
    }

    /// Receives bytes, answers what is asked with its path, and sends what is pending.
    fn receive(&mut self, bytes: &[u8]) -> &mut Self {
        self.connection.receive(bytes, self.now);
        loop {
            if let Some(request) = self.connection.take_request(self.now) {
                let answer = Answer::of(200, "text/plain", request.path.clone() + "\n");
                self.connection.answer(answer, self.now);
                self.asked.push(request);
            }
            let pending = self.connection.pending().to_vec();
            if pending.is_empty() {
                return self;
            }
            self.sent += &String::from_utf8(pending.clone()).expect("text");
            self.connection.sent(pending.len(), self.now);
        }
    }

    fn statuses(&self) -> Vec<&str> {
        let lines = self.sent.lines();
        lines.filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)).collect()
    }

    fn waits(&self) -> Option<Duration> {
        self.connection.deadline().map(|at| at.duration_since(self.now))
    }
}

/// The statuses of the answers to these bytes, and the bodies of the requests.
fn answered(mut scene: Scene, bytes: &[u8], step: usize) -> (Vec<String>, Vec<Vec<u8>>) {
    for part in bytes.chunks(step) {
        scene.receive(part);
    }
    let statuses = scene.statuses().into_iter().map(str::to_owned).collect();
    (statuses, scene.asked.into_iter().map(|request| request.body).collect())
}

const PUT: &str = "PUT /backends HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
const CHUNKED: &str = "PUT /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                       2\r\nab\r\n1;x\r\nc\r\n0\r\nT: x\r\n\r\n";
const GET: &str = "GET /health?n=3 HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn requests_are_given_out_whole_and_in_order_however_they_are_cut() {
    let bytes = [PUT, GET, CHUNKED, PUT].concat();
    for step in 1..=bytes.len() {
        let (statuses, bodies) = answered(Scene::over_unix(), bytes.as_bytes(), step);
        assert_eq!(statuses, ["200"; 4], "{step}");
        assert_eq!(bodies, [b"abc".to_vec(), Vec::new(), b"abc".to_vec(), b"abc".to_vec()]);
    }
}

#[test]
fn a_request_has_its_path_and_its_parameters() {
    let mut scene = Scene::over_unix();
    scene.receive(b"GET /explain?n=20&x=y HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n");
    let [request] = scene.asked.as_slice() else { panic!("{:?}", scene.asked) };
    assert_eq!((request.path.as_str(), request.parameter("n")), ("/explain", Some("20")));
    assert!(
        request.accept.contains("json") && request.may_change && request.parameter("m").is_none()
    );
    let mut scene = Scene::over_tcp();
    scene.receive(b"GET http://localhost/a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!scene.asked[0].may_change && scene.asked[0].path == "/a");
}

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
    for (bytes, status) in [
        ("\u{16}\u{3}\u{1}\r\n", "400"),
        ("GET /\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\n\r\n", "505"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", "413"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400"),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000)), "431"),
        (&format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000)), "414"),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(70)), "431"),
    ] {
        let mut scene = Scene::over_unix();
        scene.receive(bytes.as_bytes()).receive(GET.as_bytes());
        assert_eq!(scene.statuses(), [status], "{bytes}");
        assert!(scene.sent.contains("Connection: close\r\n"), "{bytes}");
        assert_eq!(scene.waits(), Some(CLOSE_TIMEOUT), "{bytes}");
    }
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut scene = Scene::over_unix();
    scene.receive((head.to_owned() + &chunk).as_bytes()).receive(b"1\r\nx\r\n");
    assert_eq!(scene.statuses(), ["413"]);
}

#[test]
fn no_page_of_a_browser_is_answered_and_no_host_of_another_site() {
    let ask = |mut scene: Scene, fields: &str| {
        scene.receive(format!("GET /backends HTTP/1.1\r\n{fields}\r\n").as_bytes());
        scene.statuses().concat()
    };
    for host in ["localhost", "localhost:9091", "127.0.0.1:1", "[::1]:9091", "x.localhost"] {
        assert_eq!(ask(Scene::over_tcp(), &format!("Host: {host}\r\n")), "200", "{host}");
    }
    for host in ["example", "127.0.0.1.example", "192.0.2.1", ""] {
        assert_eq!(ask(Scene::over_tcp(), &format!("Host: {host}\r\n")), "421", "{host}");
        assert_eq!(ask(Scene::over_unix(), &format!("Host: {host}\r\n")), "200", "{host}");
    }
    for origin in ["http://localhost", "null", ""] {
        let fields = format!("Host: localhost\r\nOrigin: {origin}\r\n");
        assert_eq!(ask(Scene::over_tcp(), &fields), "403", "{origin}");
        assert_eq!(ask(Scene::over_unix(), &fields), "403", "{origin}");
    }
}

#[test]
fn an_answer_that_takes_its_time_is_waited_for_and_nothing_is_read_meanwhile() {
    let mut scene = Scene::over_unix();
    scene.connection.receive(PUT.as_bytes(), scene.now);
    assert!(scene.connection.take_request(scene.now).is_some());
    assert_eq!((scene.waits(), scene.connection.takes_bytes()), (None, false));
    assert!(scene.connection.idle_since().is_none() && scene.connection.pending().is_empty());
    scene.connection.answer(Answer::error(409, "no"), scene.now);
    assert_eq!(scene.waits(), Some(SEND_TIMEOUT));
    scene.receive(b"");
    assert_eq!(scene.statuses(), ["409"]);
    assert_eq!((scene.waits(), scene.connection.takes_bytes()), (Some(KEEP_TIMEOUT), true));
}

#[test]
fn a_request_has_one_time_from_its_first_byte_to_its_last() {
    let mut scene = Scene::over_unix();
    assert_eq!(scene.waits(), Some(REQUEST_TIMEOUT));
    scene.receive(GET.as_bytes());
    assert_eq!(scene.waits(), Some(KEEP_TIMEOUT));
    scene.now += Duration::from_secs(60);
    scene.receive(&PUT.as_bytes()[..1]);
    let end = scene.connection.deadline();
    assert_eq!(scene.waits(), Some(REQUEST_TIMEOUT));
    scene.now += Duration::from_secs(9);
    scene.receive(&PUT.as_bytes()[1..PUT.len() - 1]);
    assert_eq!(scene.connection.deadline(), end, "a drip does not prolong it");
}

#[test]
fn the_body_that_waits_for_permission_is_asked_for() {
    let mut scene = Scene::over_unix();
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    scene.receive(head.as_bytes());
    assert_eq!(scene.statuses(), ["100"]);
    scene.receive(b"x");
    assert_eq!(scene.statuses(), ["100", "200"]);
}

#[test]
fn the_answer_to_head_has_no_body_and_close_is_the_last_one() {
    let mut scene = Scene::over_unix();
    scene.receive(b"HEAD /abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(scene.sent.contains("Content-Length: 5\r\n") && scene.sent.ends_with("\r\n\r\n"));
    scene.receive(GET.as_bytes());
    assert_eq!(scene.asked.len(), 1);
}

proptest! {
    /// Whatever comes is answered in the same way, however it is cut.
    #[test]
    fn any_bytes_are_answered_alike_however_they_are_cut(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(PUT.as_bytes().to_vec()),
                Just(GET.as_bytes().to_vec()),
                Just(CHUNKED.as_bytes().to_vec()),
                Just(b"Origin: x\r\n\r\n".to_vec()),
                Just(b"\r\n".to_vec()),
                prop::collection::vec(any::<u8>(), 0..40),
            ],
            0..6,
        ),
        step in 1_usize..50,
    ) {
        let bytes = pieces.concat();
        let whole = answered(Scene::over_unix(), &bytes, bytes.len().max(1));
        prop_assert_eq!(answered(Scene::over_unix(), &bytes, step), whole);
    }
}
