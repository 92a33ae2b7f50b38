//! What the log says of a request, and what the balancer learns from it.

use std::time::Duration;

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_row_tells_the_whole_story() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.servers[0].dials = vec![Dial::Hangs];
    let request = "POST /a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    rig.client(&request[..20]);
    rig.advance_ms(100);
    rig.client(&request[20..]);
    rig.advance_ms(400);
    rig.servers[0].dials = vec![Dial::Answers];
    rig.run();
    rig.advance_ms(30);
    rig.client("12345");
    rig.advance_ms(2);
    rig.upstream("HTTP/1.1 201 Created\r\nCont");
    rig.advance_ms(3);
    rig.upstream("ent-Length: 4\r\n\r\nab");
    rig.advance_ms(50);
    rig.client.window = 0;
    rig.upstream("cd");
    rig.advance_ms(1000);
    rig.client.window = usize::MAX;
    rig.run();
    let sent = answered("201 Created", "", "Content-Length: 4\r\n", "abcd");
    assert_eq!(rig.client_got(), sent);
    let expected = Row {
        backend: Some(0),
        status: 201,
        method: "POST".to_owned(),
        path: "/a/b?c=d".to_owned(),
        request_bytes: request.len() as u64 + 5,
        response_bytes: sent.len() as u64,
        latency: Some(ms(400 + 30 + 2 + 3 + 50)),
        connect: Some(ms(400)),
        first_byte: Some(ms(400 + 2)),
        attempts: 1,
        fault: None,
        is_probe: false,
        queue: None,
        hedge: None,
        hedge_backend: None,
    };
    assert_eq!(rig.row(), expected);
}

#[test]
fn rows_of_one_connection_have_nothing_of_each_other() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.servers[0].dials = vec![Dial::Refuses];
    rig.client("PUT /one HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    rig.advance_ms(9);
    rig.upstream("HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nxyz");
    assert_eq!((rig.row().attempts, rig.client_got().is_empty()), (2, false));
    rig.client("BREW ");
    rig.client_ends(StreamEnd::Finished);
    let reply = rig.client_got();
    let expected = Row {
        status: 400,
        method: "BREW".to_owned(),
        request_bytes: 5,
        response_bytes: reply.len() as u64,
        fault: Some("request_incomplete"),
        ..Row::default()
    };
    assert_eq!(rig.row(), expected);
}

#[test]
fn the_first_byte_is_that_of_the_final_response() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.advance_ms(1);
    rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\n");
    rig.advance_ms(2);
    rig.upstream("H");
    rig.advance_ms(4);
    rig.upstream(&OK[1..OK.len() - 1]);
    rig.advance_ms(8);
    rig.upstream(&OK[OK.len() - 1..]);
    let row = rig.row();
    assert_eq!((row.first_byte, row.latency), (Some(ms(3)), Some(ms(15))));
    assert_eq!(rig.estimate(0), Some(ms(3)), "a sample ends with the first byte");
}

#[test]
fn a_sample_holds_neither_a_slow_client_nor_a_long_body() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.advance_ms(7);
    rig.client.window = 0;
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    rig.advance_ms(5000);
    assert_eq!((rig.estimate(0), rig.in_flight(0)), (Some(ms(7)), 1));
    rig.client.window = usize::MAX;
    rig.run();
    rig.upstream("k");
    assert_eq!(rig.row().latency, Some(ms(5007)));
}

#[test]
fn failures_cost_the_response_timeout_however_fast_they_are() {
    let seconds_10 = Some(Duration::from_secs(10));
    for answer in ["HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "junk\r\n\r\n"] {
        let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
        rig.client(GET);
        rig.upstream(answer);
        assert_eq!(rig.estimate(0), seconds_10, "{answer}");
    }
    let mut rig = ExchangeHarness::with(2, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Finished);
    assert_eq!(rig.estimate(0), seconds_10, "another backend gets the request");
    for part in ["", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"] {
        let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
        rig.client(GET);
        rig.upstream(part);
        rig.upstream_ends(StreamEnd::Finished);
        assert_eq!(rig.estimate(0), seconds_10, "{part}");
    }
}

#[test]
fn a_500_is_an_answer() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.advance_ms(3);
    rig.upstream("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((rig.estimate(0), rig.row().status), (Some(ms(3)), 500));
}

#[test]
fn a_fault_of_the_client_is_no_sample() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(post);
    rig.client("x");
    assert_reply(&rig.client_got(), 400, true);
    assert_eq!((rig.row().fault, rig.estimate(0)), (Some("bad_chunk_size"), None));
}

#[test]
fn a_health_probe_is_told_from_what_a_client_asks() {
    let asked = |line: &str, fields: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let outcome = Scene::new().client(&request).upstream(OK).play();
        let row = outcome.row();
        (row.status, row.is_probe)
    };
    let mark = "uSER-aGENT: tidegate-health\r\n";
    let last = "Max-Forwards: 0\r\n";
    assert_eq!(asked("OPTIONS *", &[mark, last].concat()), (200, true));
    assert_eq!(asked("OPTIONS *", &[last, "User-Agent: curl/8.0\r\n"].concat()), (200, false));
    assert_eq!(asked("OPTIONS *", last), (200, false), "a client's own");
    assert_eq!(asked("OPTIONS *", mark), (200, false), "it goes to a backend");
    assert_eq!(asked("GET /", &[mark, last].concat()), (200, false), "so does this");
    let more = "User-Agent: tidegate-healthy\r\nX: tidegate-health\r\n";
    assert_eq!(asked("OPTIONS *", &[more, last].concat()), (200, false));
}

#[test]
fn a_request_behind_a_health_probe_counts() {
    let probe = "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\
                 User-Agent: tidegate-health\r\n\r\n";
    let outcome = Scene::new().client(probe).client(GET).upstream(OK).play();
    let probes: Vec<_> = outcome.rows.iter().map(|row| row.is_probe).collect();
    assert_eq!(probes, [true, false]);
}

#[test]
fn a_response_that_never_was_parsed_counts_as_ours() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream("HTTP/1.1 299 \r\nbroken\r\n\r\n");
    let row = rig.row();
    assert_eq!((row.status, row.response_bytes), (502, rig.client_got().len() as u64));
}

#[test]
fn long_and_strange_request_lines_are_kept_as_far_as_they_go() {
    let mut rig = ExchangeHarness::new();
    rig.client(format!("\r\nGET /{} HTTP/1.1\r\nbad\r\n\r\n", "x".repeat(5000)));
    let row = rig.row();
    assert_eq!((row.method.as_str(), row.path.len()), ("GET", 2048 - "GET ".len()));
    let mut rig = ExchangeHarness::new();
    rig.client(" \n");
    let row = rig.row();
    assert_eq!((row.method.as_str(), row.path.as_str(), row.status), ("", "", 400));
}

#[test]
fn a_request_is_not_named_by_what_stands_behind_its_fault() {
    let outcome = Scene::new().client("\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n").play_to_the_end();
    assert_reply(&outcome.client, 400, true);
    assert_eq!((outcome.row().method.as_str(), outcome.row().fault), ("", Some("bare_lf")));
}
