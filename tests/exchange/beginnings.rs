//! Where a request begins, and where none does: empty lines, and bytes that are no HTTP.

use tidegate::http::MAX_EMPTY_LINES;

use super::*;

#[test]
fn what_is_no_request_is_refused_at_once() {
    for (bytes, fault, method) in [
        ("\x16\x03\x01\x02\0\x01\0\x01", "bad_request_line", "\x16"),
        ("\0", "bad_request_line", "\0"),
        ("\n", "bare_lf", ""),
        ("SSH-2.0-OpenSSH_9.6\r\n", "bad_request_line", "SSH-2.0-OpenSSH_9.6"),
        ("\r\n\r\n\0\r\nQUIT\n", "bad_request_line", "\0"),
        ("GET /old\r\n", "bad_request_line", "GET"),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n", "obs_fold", "GET"),
    ] {
        let outcome = Scene::new().client(bytes).play_to_the_end();
        assert_reply(&outcome.client, 400, true);
        let row = outcome.row();
        assert_eq!((row.status, row.fault), (400, Some(fault)), "{bytes:?}");
        assert_eq!(row.method, method, "{bytes:?}");
        assert_eq!(outcome.over, Some(CloseMode::Close));
    }
    for (line, status) in [("PRI * HTTP/2.0\r\n", 505), ("TRACE / HTTP/1.1\r\n", 405)] {
        let outcome = Scene::new().client(line).play_to_the_end();
        assert_reply(&outcome.client, status, true);
    }
}

#[test]
fn empty_lines_before_a_request_are_limited() {
    let most = "\r\n".repeat(MAX_EMPTY_LINES);
    let outcome = Scene::new().client(most.clone() + GET).upstream(OK).client(most.clone()).play();
    assert_eq!((outcome.client.as_str(), outcome.rows.len()), (OK_FORWARDED, 1));
    assert_eq!(outcome.over, None);
    let outcome = Scene::new().client(most + "\r\n").client(GET).play_to_the_end();
    assert_reply(&outcome.client, 400, true);
    let row = outcome.row();
    assert_eq!((row.status, row.fault), (400, Some("too_many_empty_lines")));
    assert_eq!((row.method.as_str(), outcome.over), ("", Some(CloseMode::Close)));
}

#[test]
fn an_idle_client_that_sends_empty_lines_is_no_more_than_idle() {
    let mut rig = ExchangeHarness::new();
    for part in ["\r", "\n", "\r\n", "\r"] {
        rig.client(part);
        assert!(rig.exchange.is_idle());
        assert_eq!(rig.exchange.deadline(&rig.settings.timeouts), None);
    }
    assert!(!rig.exchange.is_untouched(), "they are counted");
    rig.client_ends(StreamEnd::Finished);
    assert_eq!((rig.rows(), rig.over), (Vec::new(), Some(CloseMode::Close)));
}

#[test]
fn the_time_of_a_head_starts_with_its_first_byte() {
    let mut rig = ExchangeHarness::new();
    rig.client("\r");
    rig.advance_ms(4_999);
    rig.client("\nG");
    rig.advance_ms(4_999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 408, true);
}

#[test]
fn what_is_no_response_is_a_502_at_once() {
    // A TLS alert, a banner, and a mere line.
    for bytes in ["\x15\x03\x01\0\x02\x02\x46", "SSH-2.0-x\r\n", "\r\nHTTP/1.1 200 OK\r\n", "h"] {
        let outcome = Scene::new().client(GET).upstream(bytes).play();
        assert_reply(&outcome.client, 502, false);
        let row = outcome.row();
        assert_eq!((row.status, row.fault), (502, Some("response_bad_status_line")), "{bytes:?}");
    }
}
