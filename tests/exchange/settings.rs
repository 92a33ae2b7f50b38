//! Settings that change while a request is on its way.

use super::*;

const REQUEST_HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const REQUEST_BODY: &str = "3\r\nabc\r\n4\r\ndefg\r\n0\r\nT: u\r\n\r\n";
const RESPONSE: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2\r\nok\r\n0\r\nT: u\r\n\r\n";

const REQUEST_BYTES: usize = REQUEST_HEAD.len() + REQUEST_BODY.len();
const ALL_BYTES: usize = REQUEST_BYTES + RESPONSE.len();

/// Plays an upload and its answer byte by byte, and changes the settings before the byte at `at`.
fn played(at: usize, change: impl Fn(&mut ExchangeHarness)) -> ExchangeHarness {
    let mut rig = ExchangeHarness::new();
    let bytes = [REQUEST_HEAD, REQUEST_BODY, RESPONSE].concat().into_bytes();
    for (place, byte) in bytes.into_iter().enumerate() {
        if place == at {
            change(&mut rig);
        }
        if place < REQUEST_BYTES {
            rig.client([byte]);
        } else if rig.attached().is_some() {
            rig.upstream([byte]);
        }
    }
    rig
}

#[test]
fn a_request_on_its_way_is_waited_for_by_the_new_timeouts() {
    let short = Duration::from_millis(10);
    for at in 0..ALL_BYTES {
        let mut rig = played(at, |rig| {
            let timeouts = &mut rig.settings.timeouts;
            (timeouts.connect, timeouts.header, timeouts.body) = (short, short, short);
            (timeouts.response, timeouts.stream) = (Some(short), Some(short));
            let due = rig.exchange.deadline(&rig.settings.timeouts);
            // Bytes of a body have earned their client its patience already.
            let has_patience = (REQUEST_HEAD.len()..REQUEST_BYTES).contains(&at);
            assert!(has_patience || due.is_none_or(|due| due <= rig.now + short), "at {at}");
        });
        let row = rig.row();
        assert_eq!((row.status, row.fault), (200, None), "at {at}");
        assert!(rig.client_got().ends_with("2\r\nok\r\n0\r\nT: u\r\n\r\n"), "at {at}");
    }
}

#[test]
fn limits_that_shrink_refuse_what_is_still_to_be_judged_and_break_nothing() {
    let of = |at| {
        let mut rig = played(at, |rig| {
            let limits = &mut rig.settings.limits;
            (limits.head_bytes, limits.body_bytes) = (8, Some(4));
            (limits.attempts, limits.body_rate) = (1, None);
            rig.budget.set_percent(0);
        });
        rig.advance_ms(120_000);
        rig.row().status
    };
    // In the request line, in the rest of the head, in the body, in the response's head, behind it.
    let mut statuses: Vec<u16> = (0..ALL_BYTES).map(of).collect();
    statuses.dedup();
    assert_eq!(statuses, [414, 431, 413, 502, 200]);
}
