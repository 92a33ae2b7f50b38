//! Every wait ends in time, and exactly then.

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
const OLD: &str = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";

#[test]
fn a_head_must_be_whole_in_time_however_it_drips() {
    let mut rig = ExchangeHarness::new();
    rig.advance_ms(60_000);
    for byte in "GET /slow".chars() {
        rig.client(byte.to_string());
        rig.advance_ms(500);
    }
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(499);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 408, true);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (408, Some("header_timeout")));
    assert_eq!((row.method.as_str(), row.path.as_str()), ("GET", "/slow"));
    assert_eq!((row.request_bytes, row.attempts), (9, 0));
}

#[test]
fn the_clock_of_a_pipelined_head_starts_with_its_turn() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET.to_owned() + "GET / HT");
    rig.advance_ms(9000);
    rig.upstream(OK);
    assert_eq!((rig.client_got().as_str(), rig.row().status), (OK_FORWARDED, 200));
    rig.advance_ms(4999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 408, true);
    assert_eq!(rig.row().fault, Some("header_timeout"));
}

#[test]
fn a_body_must_progress() {
    let mut rig = ExchangeHarness::new();
    rig.settings.limits.body_rate = None;
    rig.client(POST);
    for _ in 0..3 {
        rig.advance_ms(29_999);
        rig.client("x");
    }
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(30_000);
    assert_reply(&rig.client_got(), 408, true);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (408, Some("body_timeout")));
    assert!(rig.connections[0].closed);
}

#[test]
fn a_body_that_drips_is_cut_off_once_its_patience_is_used_up() {
    let mut rig = ExchangeHarness::new();
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    let drips = (1..100).find(|_| {
        rig.advance_ms(5000);
        let cut_off = !rig.client_got().is_empty();
        if !cut_off {
            rig.client("x");
        }
        cut_off
    });
    // Each byte, at 10 a second, buys 100 ms of the 30 s.
    assert_eq!(drips, Some(7));
    assert_eq!(rig.row().fault, Some("body_timeout"));
}

#[test]
fn a_body_that_keeps_up_the_least_rate_may_take_for_ever() {
    let mut rig = ExchangeHarness::new();
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    for _ in 0..50 {
        rig.advance_ms(2000);
        rig.client("x".repeat(20));
    }
    rig.upstream(OK);
    assert_eq!(rig.row().status, 200);
}

#[test]
fn a_body_that_no_one_takes_is_not_the_clients_fault() {
    let mut rig = ExchangeHarness::new();
    rig.settings.timeouts.response = Some(Duration::from_secs(40));
    rig.client(POST);
    rig.upstream_socket().window = 0;
    rig.client("x");
    rig.advance_ms(39_999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 504, true);
    assert_eq!(rig.row().fault, Some("response_timeout"));
}

#[test]
fn a_client_that_reads_nothing_is_left() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.advance_ms(9000);
    rig.client.window = 10;
    rig.upstream(OK);
    rig.advance_ms(29_999);
    assert_eq!(rig.over, None);
    rig.advance_ms(1);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (200, Some("client_stalled")), "a part was sent");
    assert_eq!((row.response_bytes, rig.over), (10, Some(CloseMode::Reset)));
}

#[test]
fn what_is_read_only_to_be_dropped_gains_a_client_that_reads_nothing_no_time() {
    let mut rig = ExchangeHarness::new();
    rig.client(POST);
    rig.client.window = 0;
    rig.upstream("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    for _ in 0..2 {
        rig.advance_ms(14_999);
        rig.client("x");
    }
    assert_eq!((rig.over, rig.unread(Peer::Client)), (None, 0));
    rig.advance_ms(2);
    assert_eq!((rig.row().fault, rig.over), (Some("client_stalled"), Some(CloseMode::Reset)));
}

#[test]
fn a_client_that_has_read_nothing_at_all_is_as_good_as_gone() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 0;
    rig.upstream(OK);
    rig.advance_ms(30_000);
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.response_bytes), (499, Some("client_stalled"), 0));
}

#[test]
fn a_client_that_took_a_part_of_an_interim_response_has_got_no_status() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 10;
    rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\n");
    rig.advance_ms(30_000);
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.response_bytes), (499, Some("client_stalled"), 10));
}

#[test]
fn a_client_that_took_nothing_behind_an_interim_response_has_got_no_status() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 10;
    rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\n");
    rig.upstream(OK);
    rig.advance_ms(30_000);
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.response_bytes), (499, Some("client_stalled"), 10));
}

#[test]
fn a_client_that_reads_slowly_is_served() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 0;
    rig.upstream(OK);
    for _ in 0..OK_FORWARDED.len() {
        rig.advance_ms(29_999);
        rig.client.window = 1;
        rig.run();
    }
    assert_eq!((rig.client_got().as_str(), rig.row().fault), (OK_FORWARDED, None));
}

#[test]
fn a_client_that_stalls_before_an_unmarked_end_is_reset() {
    let mut rig = ExchangeHarness::new();
    rig.client(OLD);
    rig.upstream("HTTP/1.1 200 OK\r\n\r\nhello");
    rig.client.window = 0;
    rig.upstream("world");
    rig.advance_ms(30_000);
    assert_eq!((rig.row().status, rig.over), (200, Some(CloseMode::Reset)));
}

#[test]
fn an_answer_of_ours_gets_the_time_that_any_answer_gets() {
    let mut rig = ExchangeHarness::new();
    rig.client(POST);
    rig.client.window = 0;
    rig.advance_ms(30_000);
    rig.advance_ms(29_999);
    assert_eq!(rig.over, None);
    rig.client.window = usize::MAX;
    rig.run();
    assert_reply(&rig.client_got(), 408, true);
    assert_eq!(rig.row().status, 408);
}

#[test]
fn an_early_answer_gets_the_time_that_any_answer_gets() {
    let mut rig = ExchangeHarness::new();
    rig.client(POST);
    rig.client.window = 0;
    rig.advance_ms(29_000);
    rig.upstream("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    rig.advance_ms(29_999);
    assert_eq!(rig.over, None);
    rig.client.window = usize::MAX;
    rig.run();
    assert!(rig.client_got().starts_with("HTTP/1.1 413 "));
}

#[test]
fn a_silent_backend_is_a_504_and_pays_for_it() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.advance_ms(9_999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 504, false);
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.attempts), (504, Some("response_timeout"), 1));
    assert_eq!(row.latency, Some(Duration::from_secs(10)));
    assert_eq!(rig.estimate(0), Some(Duration::from_secs(10)));
    assert!(rig.connections[0].closed && !rig.is_ejected(0));
}

#[test]
fn the_backends_time_starts_when_it_has_the_request() {
    let mut rig = ExchangeHarness::new();
    rig.client(POST);
    rig.advance_ms(20_000);
    rig.client("0123456789");
    rig.advance_ms(9_999);
    assert_eq!(rig.client_got(), "");
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
}

#[test]
fn every_sign_of_life_of_a_backend_starts_its_time_anew() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    for part in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"] {
        rig.advance_ms(9_999);
        rig.upstream(part);
    }
    for _ in 0..3 {
        rig.advance_ms(9_999);
        rig.upstream("x");
    }
    assert!(rig.client_got().ends_with("\r\n\r\nxxx"));
    assert_eq!(rig.row().fault, None);
}

#[test]
fn a_backend_that_falls_silent_in_its_answer_cuts_it() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    rig.advance_ms(19_999);
    assert_eq!(rig.over, None);
    rig.advance_ms(1);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (200, Some("stream_timeout")));
    assert_eq!(rig.ending(), Some(CloseMode::Close));
    assert_eq!(rig.estimate(0), Some(Duration::from_secs(10)));
}

#[test]
fn a_client_that_ended_its_half_sees_the_cut_as_well() {
    for (request, over) in [(OLD, CloseMode::Reset), (GET, CloseMode::Close)] {
        let mut rig = ExchangeHarness::new();
        rig.settings.half_close = HalfClose::Allow;
        rig.client(request);
        rig.client_ends(StreamEnd::Finished);
        rig.upstream("HTTP/1.1 200 OK\r\n\r\nhello");
        rig.advance_ms(20_000);
        assert_eq!((rig.row().fault, rig.ending()), (Some("stream_timeout"), Some(over)));
    }
}

#[test]
fn an_event_stream_may_be_quiet_for_longer_than_an_answer_may_take() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    for _ in 0..100 {
        rig.advance_ms(19_999);
        rig.upstream(":\n\n");
    }
    rig.upstream_ends(StreamEnd::Finished);
    assert_eq!(rig.row().fault, None);
}

#[test]
fn each_wait_for_a_backend_can_be_endless() {
    let day = Duration::from_secs(24 * 3600);
    let mut rig = ExchangeHarness::new();
    let timeouts = &mut rig.settings.timeouts;
    (timeouts.response, timeouts.stream, timeouts.tunnel) = (None, None, None);
    rig.client(GET);
    rig.advance(day);
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    rig.advance(day);
    rig.upstream("ok");
    assert_eq!((rig.client_got().as_str(), rig.row().fault), (OK_FORWARDED, None));
    rig.client("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    rig.upstream("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    rig.advance(day);
    assert_eq!(rig.over, None);
}

/// RFC 9110 §10.1.1: a client that waits for a 100 need not send anything before it.
const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";

#[test]
fn a_backend_that_says_nothing_to_a_client_that_expects_a_100_is_a_504() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(EXPECTING);
    rig.advance_ms(5_000);
    rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\n");
    rig.client_got();
    rig.advance_ms(9_999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 504, true);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (504, Some("response_timeout")));
    assert_eq!(rig.estimate(0), Some(Duration::from_secs(10)));
}

#[test]
fn where_a_backend_may_take_for_ever_a_client_may_not_wait_so_long_for_its_100() {
    let mut rig = ExchangeHarness::new();
    rig.settings.timeouts.response = None;
    rig.client(EXPECTING);
    rig.advance_ms(29_999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 408, true);
    assert_eq!(rig.row().fault, Some("body_timeout"));
}

#[test]
fn a_client_that_got_its_100_or_does_not_wait_for_it_must_send() {
    for sends_first in [false, true] {
        let mut rig = ExchangeHarness::new();
        rig.client(EXPECTING);
        rig.advance_ms(5_000);
        if sends_first {
            rig.client("0");
        } else {
            rig.upstream("HTTP/1.1 100 Continue\r\n\r\n");
            rig.client_got();
        }
        rig.advance_ms(29_999);
        assert_eq!(rig.client_got(), "");
        rig.advance_ms(1);
        assert_reply(&rig.client_got(), 408, true);
        assert_eq!(rig.row().fault, Some("body_timeout"), "{sends_first}");
    }
}

#[test]
fn a_client_that_gets_its_answer_in_place_of_a_100_has_the_time_for_a_body() {
    let mut rig = ExchangeHarness::new();
    rig.client(EXPECTING);
    rig.upstream(OK);
    rig.advance_ms(30_000);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (200, Some("body_timeout")));
}

#[test]
fn a_response_head_must_be_whole_in_time_however_it_drips() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.advance_ms(9_000);
    rig.upstream("HTTP/1.1 102 Processing\r\n\r\n");
    for byte in "HTTP/1.1 ".chars() {
        rig.advance_ms(1_000);
        rig.upstream(byte.to_string());
    }
    rig.client_got();
    rig.advance_ms(999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 504, false);
    assert_eq!(rig.row().fault, Some("response_timeout"));
}

#[test]
fn a_backend_is_not_to_blame_while_the_client_does_not_read() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 0;
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    rig.advance_ms(29_000);
    rig.client.window = usize::MAX;
    rig.run();
    rig.advance_ms(9_999);
    rig.upstream("56789");
    assert_eq!(rig.row().fault, None);
}

#[test]
fn the_rest_of_an_early_answered_request_must_come_and_be_taken_in_time() {
    let mut rig = ExchangeHarness::new();
    rig.client(POST);
    rig.upstream(OK);
    rig.advance_ms(30_000);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (200, Some("body_timeout")));
    assert!(rig.client.finished && rig.connections[0].closed);

    let mut rig = ExchangeHarness::new();
    rig.client(POST);
    rig.upstream(OK);
    rig.upstream_socket().window = 0;
    rig.client("0123456789");
    rig.advance_ms(10_000);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (200, Some("response_timeout")));
}

#[test]
fn a_client_that_never_ends_is_not_waited_for_for_ever() {
    let mut rig = ExchangeHarness::new();
    rig.client("BAD\r\n\r\n");
    assert!(rig.client.finished);
    rig.advance_ms(29_999);
    assert_eq!(rig.over, None);
    rig.advance_ms(1);
    assert_eq!(rig.over, Some(CloseMode::Close));
}

#[test]
fn an_idle_connection_has_no_deadline_of_an_exchange() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!(rig.exchange.deadline(&rig.settings.timeouts), None);
}

#[test]
fn expiring_too_early_changes_nothing() {
    let mut rig = ExchangeHarness::new();
    for bytes in ["GET / HTTP/1.1\r\nHo", "st: a\r\n\r\n"] {
        rig.client(bytes);
        rig.act(Exchange::expired);
        rig.run();
    }
    rig.upstream(OK);
    assert_eq!((rig.client_got().as_str(), rig.row().fault), (OK_FORWARDED, None));
}
