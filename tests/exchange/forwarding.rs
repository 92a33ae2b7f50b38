//! Heads on their way: what a backend gets of a request, and a client of a response.

use super::*;

#[test]
fn a_get_and_its_answer_pass() {
    let outcome = Scene::new().client(GET).upstream(OK).play();
    assert_eq!(outcome.upstreams, [GET_FORWARDED]);
    assert_eq!(outcome.client, OK_FORWARDED);
    assert_eq!((outcome.over, outcome.finished), (None, false));
    assert_eq!(outcome.row().status, 200);
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let outcome = Scene::new()
        .client("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        .upstream("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        .client(GET)
        .upstream(OK)
        .play();
    let head = answered("200 OK", "", "Content-Length: 1000\r\n", "");
    assert_eq!(outcome.client, head + OK_FORWARDED);
    assert_eq!(outcome.rows.len(), 2);
}

#[test]
fn statuses_without_a_body_end_with_their_head() {
    for (line, framing, passed_on) in [
        ("204 No Content", "", ""),
        ("204 No Content", "Content-Length: 0\r\n", ""),
        ("304 Not Modified", "", ""),
        ("304 Not Modified", "Content-Length: 5\r\n", "Content-Length: 5\r\n"),
    ] {
        let outcome = Scene::new()
            .client(GET)
            .upstream(format!("HTTP/1.1 {line}\r\n{framing}\r\n"))
            .client(GET)
            .upstream(OK)
            .play();
        assert_eq!(outcome.client, answered(line, "", passed_on, "") + OK_FORWARDED);
        assert_eq!(outcome.upstreams.len(), 1, "{line} leaves the connection usable");
    }
}

#[test]
fn what_concerns_one_connection_stays_behind() {
    let outcome = Scene::new()
        .client(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one, keep-alive\r\nX-One: 1\r\n\
             Keep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: close\r\nX-Two: 2\r\n\r\n",
        )
        .upstream(
            "HTTP/1.1 200 OK\r\nConnection: X-Three\r\nX-Three: 3\r\nKeep-Alive: 5\r\nX-Four: 4\r\n\
             Content-Length: 0\r\n\r\n",
        )
        .play();
    assert_eq!(outcome.upstreams, [forwarded("GET / HTTP/1.1", "X-Two: 2\r\n", "", "")]);
    let answer = answered("200 OK", "X-Four: 4\r\n", "Content-Length: 0\r\n", "");
    assert_eq!(outcome.client, answer);
}

#[test]
fn what_a_stranger_says_of_the_way_of_its_request_is_not_passed_on() {
    let outcome = Scene::new()
        .client(
            "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 x\r\nX-Forwarded-For: 198.51.100.1\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
             Forwarded: for=198.51.100.1\r\n\r\n",
        )
        .upstream(OK)
        .play();
    let sent = read::request(&outcome.upstreams[0]);
    assert_eq!(sent.values("x-forwarded-for"), [b"192.0.2.7"]);
    assert!(sent.values("forwarded").is_empty());
    assert_eq!(sent.values("x-forwarded-proto"), [b"http"]);
    assert_eq!(sent.values("x-forwarded-host"), [b"a"]);
    assert_eq!(sent.values("via"), [b"1.0 x, 1.1 tidegate"]);
}

#[test]
fn a_request_that_comes_back_is_refused_and_its_connection_goes_on() {
    let mut rig = ExchangeHarness::new();
    for method in ["GET", "POST", "OPTIONS"] {
        rig.client(format!(
            "{method} /x HTTP/1.1\r\nHost: a\r\nVia: 1.1 tidegate, 1.0 x\r\nMax-Forwards: 0\r\n\r\n"
        ));
        assert_reply(&rig.client_got(), 508, false);
        let row = rig.row();
        assert_eq!((row.status, row.fault, row.attempts), (508, Some("loop"), 0));
        assert_eq!((row.method.as_str(), row.path.as_str()), (method, "/x"));
    }
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    rig.rows();
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nVia: 1.1 tidegate\r\nContent-Length: 5\r\n\r\nhel");
    assert_reply(&rig.client_got(), 508, true);
    assert_eq!(rig.row().fault, Some("loop"));
    assert_eq!(rig.connections.len(), 1, "none of it reached a backend");
}

#[test]
fn a_backend_that_leads_in_a_circle_does_not_look_fast() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.advance_ms(1);
    rig.upstream("HTTP/1.1 508 Loop Detected\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(rig.row().status, 508);
    assert!(rig.estimate(0) > Some(std::time::Duration::from_secs(1)));
}

#[test]
fn an_absolute_target_names_the_host() {
    let outcome =
        Scene::new().client("GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n").upstream(OK).play();
    let sent = read::request(&outcome.upstreams[0]);
    assert_eq!((sent.target.as_slice(), sent.values("host")), (&b"/x?y"[..], vec![&b"b:81"[..]]));
    assert_eq!(outcome.row().path, "/x?y");
}

#[test]
fn a_date_is_added_where_there_is_none() {
    let dated =
        "HTTP/1.1 200 OK\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
    let outcome = Scene::new().client(GET).upstream(dated).play();
    assert_eq!(outcome.client, dated);
}

#[test]
fn an_http_10_request_goes_on_as_http_11_with_a_host() {
    let outcome = Scene::new().client("GET / HTTP/1.0\r\n\r\n").upstream(OK).play();
    let sent = read::request(&outcome.upstreams[0]);
    assert_eq!(sent.values("host"), [b"b:8081"]);
    assert_eq!(sent.values("via"), [b"1.0 tidegate"]);
    let answer = answered("200 OK", "", "Content-Length: 2\r\nConnection: close\r\n", "ok");
    assert_eq!(outcome.client, answer);
    assert_eq!(outcome.over, Some(CloseMode::Close));
}

#[test]
fn interim_responses_pass_before_the_final_one() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let outcome = Scene::new()
        .client(GET)
        .upstream(format!("HTTP/1.1 100 Continue\r\n\r\n{hints}{OK}"))
        .client(GET)
        .upstream(OK)
        .play();
    let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{hints}");
    assert_eq!(outcome.client, interim + OK_FORWARDED + OK_FORWARDED);
    assert_eq!((outcome.rows[0].status, outcome.rows[1].status), (200, 200));
}

#[test]
fn an_http_10_client_gets_no_interim_response() {
    let outcome = Scene::new()
        .client("GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
        .upstream(format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"))
        .play();
    assert!(!outcome.upstreams[0].contains("Expect"));
    assert!(outcome.client.starts_with("HTTP/1.1 200 OK\r\n"), "{}", outcome.client);
    assert_eq!(outcome.row().fault, None);
}

#[test]
fn interim_responses_without_end_are_refused() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    let few = interim.repeat(100) + OK;
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream(few);
    assert_eq!(rig.client_got(), interim.repeat(100) + OK_FORWARDED);
    assert_eq!(rig.row().status, 200);
    rig.client(GET);
    rig.upstream(interim.repeat(100));
    rig.upstream(interim);
    let got = rig.client_got();
    assert_reply(got.trim_start_matches(interim), 502, false);
    assert_eq!(got.matches(interim).count(), 100);
    assert_eq!(rig.row().fault, Some("too_many_interim"));
}

#[test]
fn a_client_that_expects_a_100_gets_it_from_the_backend() {
    let expecting =
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let outcome = Scene::new()
        .client(expecting)
        .upstream("HTTP/1.1 100 Continue\r\n\r\n")
        .client("abc")
        .upstream(OK)
        .play();
    let passed = ("Expect: 100-continue\r\n", "Content-Length: 3\r\n");
    assert_eq!(outcome.upstreams, [forwarded("POST / HTTP/1.1", passed.0, passed.1, "abc")]);
    assert_eq!(outcome.client, "HTTP/1.1 100 Continue\r\n\r\n".to_owned() + OK_FORWARDED);
}

#[test]
fn a_backend_that_ends_its_connection_does_not_end_the_clients() {
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let outcome = Scene::new().client(GET).upstream(closing).client(GET).upstream(OK).play();
    assert_eq!(outcome.client, OK_FORWARDED.repeat(2));
    assert_eq!(outcome.upstreams, [GET_FORWARDED, GET_FORWARDED]);
}

#[test]
fn invalid_heads_are_refused_and_never_reach_a_backend() {
    for (head, status, fault) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, "missing_host"),
        ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, "bare_lf"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "unsupported_version"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400, "bad_field"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400, "obs_fold"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "length_and_coding",
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "unknown_coding"),
    ] {
        let outcome = Scene::new().client(head).play_to_the_end();
        assert_reply(&outcome.client, status, true);
        assert_eq!(outcome.upstreams, [""; 0], "{head}");
        let row = outcome.row();
        assert_eq!((row.status, row.fault, row.backend), (status, Some(fault), None), "{head}");
        assert!(head.starts_with(&format!("{} {} ", row.method, row.path)), "{row:?}");
    }
}

#[test]
fn a_refused_head_request_gets_no_content_either() {
    for head in ["HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/3.0\r\n\r\n", "\r\nHEAD / HTTP/1.1\n"] {
        let outcome = Scene::new().client(head).play_to_the_end();
        assert!(outcome.client.contains("\r\nContent-Length: "), "{}", outcome.client);
        assert!(outcome.client.ends_with("\r\n\r\n"), "{}", outcome.client);
        assert_eq!(outcome.row().method, "HEAD");
    }
    let unknown = Scene::new().client("HEADER / HTTP/1.1\r\n\r\n").play_to_the_end();
    assert_reply(&unknown.client, 400, true);
}

#[test]
fn heads_beyond_the_limit_are_refused_before_they_end() {
    let mut rig = ExchangeHarness::new();
    rig.client("GET /".to_owned() + &"a".repeat(16 * 1024));
    assert_reply(&rig.client_got(), 414, true);
    assert_eq!(rig.row().fault, Some("uri_too_long"));
    let mut rig = ExchangeHarness::new();
    rig.client("GET / HTTP/1.1\r\nX: ".to_owned() + &"a".repeat(16 * 1024));
    assert_reply(&rig.client_got(), 431, true);
    assert_eq!(rig.row().fault, Some("head_too_large"));
}

#[test]
fn a_refused_response_head_is_a_502_that_names_the_cause_and_its_connection_is_dropped() {
    let cookies = format!("Set-Cookie: a={}\r\n", "b".repeat(100)).repeat(180);
    let fields = "X: y\r\n".repeat(150);
    for (head, fault, words) in [
        ("HTTP/1.1 000 No\r\n\r\n", "bad_status_line", "the status line is malformed"),
        ("HTTP/2.0 200 OK\r\n\r\n", "unsupported_version", "only HTTP/1"),
        ("HTTP/x.1 200 OK\r\n\r\n", "bad_version", "version"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "bad_status_line", "status line"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", "bad_length", "Content-Length"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "length_and_coding",
            "both Content-Length and Transfer-Encoding",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "unknown_coding", "chunked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: a b\r\n\r\n", "bad_coding", "is invalid"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "coding_in_http10", "1.0"),
        ("HTTP/1.1 200 OK\r\nX: y\n\r\n", "bare_lf", "without CR LF"),
        ("HTTP/1.1 200 OK\r\nX: y\r\r\n\r\n", "bare_cr", "carriage return"),
        ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "obs_fold", "continued on the next line"),
        ("HTTP/1.1 200 OK\r\nX y\r\n\r\n", "bad_field", "a header field is malformed"),
        (
            &format!("HTTP/1.1 200 OK\r\n{cookies}\r\n"),
            "head_too_large",
            ": the response head is above --max-head-bytes",
        ),
        (
            &format!("HTTP/1.1 200 OK\r\n{fields}\r\n"),
            "too_many_headers",
            ": the response has more fields than --max-headers",
        ),
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.upstream(head);
        let got = rig.client_got();
        assert_reply(&got, 502, false);
        assert!(got.contains(words), "{got}");
        assert!(rig.connections[0].closed);
        let row = rig.row();
        let fault = format!("response_{fault}");
        assert_eq!((row.status, row.fault, row.backend), (502, Some(&*fault), Some(0)), "{head}");
    }
    let outcome = Scene::new().client(GET).upstream("HTTP/1.1 200 OK\r\nX: y\n\r\n").play();
    assert_eq!(outcome.row().fault, Some("response_bare_lf"));
}

#[test]
fn options_that_may_go_no_further_are_answered_here() {
    let options = "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n";
    let outcome = Scene::new().client(options).client(GET).upstream(OK).play();
    let (own, rest) = outcome.client.split_at(outcome.client.len() - OK_FORWARDED.len());
    assert_reply(own, 200, false);
    assert!(own.contains("\r\nAllow: GET, "), "{own}");
    assert_eq!(rest, OK_FORWARDED);
    assert_eq!(outcome.upstreams, [GET_FORWARDED]);
    assert_eq!((outcome.rows[0].backend, outcome.rows[0].fault), (None, None));
}
