//! Many requests on one connection: in order, one at a time, until somebody has enough.

use super::*;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn paths(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.path.as_str()).collect()
}

#[test]
fn one_request_after_the_other_on_one_connection_each() {
    let outcome = Scene::new()
        .client(get("/1"))
        .upstream(OK)
        .client("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        .upstream(OK)
        .client(get("/3"))
        .upstream(OK)
        .client_ends(StreamEnd::Finished)
        .play();
    assert_eq!(outcome.client, OK_FORWARDED.repeat(3));
    assert_eq!(outcome.upstreams.len(), 1);
    assert_eq!(paths(&outcome.rows), ["/1", "/2", "/3"]);
    assert_eq!(outcome.over, Some(CloseMode::Close));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let post =
        "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let outcome = Scene::new()
        .client(get("/1") + post + &get("/3"))
        .upstream("HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\n")
        .upstream("HTTP/1.1 202 B\r\nContent-Length: 0\r\n\r\n")
        .upstream("HTTP/1.1 203 C\r\nContent-Length: 0\r\n\r\n")
        .play();
    let expected = ["201 A", "202 B", "203 C"];
    let expected = expected.map(|line| answered(line, "", "Content-Length: 0\r\n", ""));
    assert_eq!(outcome.client, expected.concat());
    assert_eq!(paths(&outcome.rows), ["/1", "/2", "/3"]);
    let sent = read::requests(&outcome.upstreams[0]);
    assert_eq!(sent.iter().filter(|request| request.is_whole).count(), 3);
}

#[test]
fn a_pipelined_request_waits_for_the_answer_before_it() {
    let mut rig = ExchangeHarness::new();
    rig.client(get("/1") + &get("/2"));
    assert!(rig.upstream_got().starts_with("GET /1 "));
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    assert_eq!(rig.upstream_got(), "");
    rig.upstream("k");
    assert!(rig.upstream_got().starts_with("GET /2 "));
    rig.upstream(OK);
    assert_eq!((rig.client_got(), rig.rows().len()), (OK_FORWARDED.repeat(2), 2));
}

#[test]
fn a_hundred_pipelined_requests_get_a_hundred_answers() {
    let mut rig = ExchangeHarness::new();
    rig.client((0..100).map(|index| get(&format!("/{index}"))).collect::<String>());
    for _ in 0..100 {
        rig.upstream(OK);
    }
    assert_eq!(rig.client_got(), OK_FORWARDED.repeat(100));
    let rows = rig.rows();
    assert!(rows.iter().enumerate().all(|(index, row)| row.path == format!("/{index}")));
    assert_eq!((rows.len(), rig.connections.len()), (100, 1));
}

#[test]
fn more_requests_than_a_block_holds_are_held_back_and_served() {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(15_000));
    let mut rig = ExchangeHarness::new();
    rig.client(request.repeat(20));
    assert!(rig.unread(Peer::Client) > 10 * request.len());
    for _ in 0..20 {
        rig.upstream(OK);
    }
    assert_eq!(rig.client_got(), OK_FORWARDED.repeat(20));
    assert_eq!(rig.rows().len(), 20);
}

#[test]
fn a_request_to_close_is_the_last_and_what_follows_it_is_dropped() {
    let closing = "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let outcome = Scene::new()
        .client(closing.to_owned() + &get("/2"))
        .upstream(OK)
        .client(get("/3"))
        .client_ends(StreamEnd::Finished)
        .play_to_the_end();
    let answer = answered("200 OK", "", "Content-Length: 2\r\nConnection: close\r\n", "ok");
    assert_eq!(outcome.client, answer);
    assert!(outcome.finished, "what follows is read before the connection is closed");
    assert_eq!(paths(&outcome.rows), ["/1"]);
    assert_eq!(outcome.upstreams.len(), 1);
    assert!(!outcome.upstreams[0].contains("Connection"), "the backend's connection is kept");
}

#[test]
fn an_invalid_request_is_refused_after_the_ones_before_it_and_ends_the_connection() {
    let outcome = Scene::new()
        .client(get("/1") + "BAD\r\n\r\n" + &get("/2"))
        .upstream(OK)
        .client_ends(StreamEnd::Finished)
        .play_to_the_end();
    let reply = outcome.client.strip_prefix(OK_FORWARDED).expect("the answer comes first");
    assert_reply(reply, 400, true);
    assert_eq!((outcome.rows.len(), outcome.rows[1].status), (2, 400));
    assert_eq!(outcome.upstreams, [forwarded("GET /1 HTTP/1.1", "", "", "")]);
}

#[test]
fn empty_lines_between_requests_are_no_requests() {
    let outcome = Scene::new()
        .client("\r\n\r\n".to_owned() + GET)
        .upstream(OK)
        .client("\r\n")
        .client(GET)
        .upstream(OK)
        .client("\r\n\r\n")
        .client_ends(StreamEnd::Finished)
        .play();
    assert_eq!(outcome.client, OK_FORWARDED.repeat(2));
    assert_eq!((outcome.rows.len(), outcome.over), (2, Some(CloseMode::Close)));
}

#[test]
fn an_empty_line_starts_no_clock() {
    let mut rig = ExchangeHarness::new();
    rig.client("\r");
    rig.client("\n");
    rig.advance_ms(100_000);
    assert_eq!((rig.over, rig.rows()), (None, Vec::new()));
    assert!(rig.exchange.is_idle());
}

#[test]
fn http_10_connections_are_kept_when_asked_and_told_so() {
    let asking = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let outcome = Scene::new().client(asking.repeat(2)).upstream(OK).upstream(OK).play();
    let answer = answered("200 OK", "", "Content-Length: 2\r\nConnection: keep-alive\r\n", "ok");
    assert_eq!((outcome.client, outcome.over), (answer.repeat(2), None));
}

#[test]
fn a_connection_without_a_request_leaves_no_row() {
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        let outcome = Scene::new().client_ends(how).play();
        assert_eq!((outcome.rows, outcome.over), (Vec::new(), Some(CloseMode::Close)));
    }
}

#[test]
fn a_refused_request_that_was_whole_leaves_the_connection_usable() {
    fn refuse(rig: &mut ExchangeHarness) {
        rig.servers[0].dials = vec![Dial::Refuses];
    }
    let outcome = Scene::new().set(refuse).client(GET.repeat(2)).play();
    let reply = &outcome.client[..outcome.client.len() / 2];
    assert_reply(reply, 503, false);
    assert_eq!(outcome.client, reply.repeat(2));
    assert_eq!((outcome.rows.len(), outcome.over), (2, None));
}

#[test]
fn without_keep_alive_each_connection_serves_one_request() {
    fn non_persistent(rig: &mut ExchangeHarness) {
        rig.settings.upstream_reuse = UpstreamReuse::NonPersistent;
        rig.pool(0);
    }
    let outcome = Scene::new().set(non_persistent).client(GET).upstream(OK).play();
    let answer = answered("200 OK", "", "Content-Length: 2\r\nConnection: close\r\n", "ok");
    assert_eq!(outcome.client, answer);
    let sent = forwarded("GET / HTTP/1.1", "", "Connection: close\r\n", "");
    assert_eq!(outcome.upstreams, [String::new(), sent]);
    assert_eq!(outcome.over, Some(CloseMode::Close));
}

#[test]
fn the_last_bytes_take_the_end_of_the_stream_with_them_and_no_others_do() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx";
    let last_post = post.replace("Host", "Connection: close\r\nHost");
    for (request, answer, is_last) in [
        (GET, OK, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", OK, true),
        ("GET / HTTP/1.0\r\n\r\n", OK, true),
        ("GET / HTTP/1.1\r\n\r\n", "", true),
        // The rest of the request is still on its way to the backend.
        (post, OK, false),
        (last_post.as_str(), OK, false),
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(request);
        if !answer.is_empty() {
            rig.upstream(answer);
        }
        assert!(!rig.client_got().is_empty());
        assert_eq!(rig.client.ended_by_bytes, is_last, "{request}");
    }
}

#[test]
fn what_leaves_behind_the_body_comes_before_the_end() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let chunks = "3\r\nabc\r\n0\r\nEtag: x\r\n\r\n";
    let answer = ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunks].concat();
    let outcome = Scene::new().client(request).upstream(&answer).play();
    assert!(outcome.client.ends_with(chunks), "{}", outcome.client);
    assert_eq!(outcome.over, Some(CloseMode::Close));
}
