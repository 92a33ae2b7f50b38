//! What policies learn, and whose request is a probe: how a client spends its time does not count
//! against a backend, nor keep others from it.
use super::*;

const POST_FIVE: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const CHUNKED_POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const EWMA: Policy = Policy::AdaptiveEwma { alpha: 1.0 };

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Plays one request and tells the estimate and the row's `first_byte`, which are the same.
fn sample(play: impl FnOnce(&mut ExchangeHarness)) -> Duration {
    let mut rig = ExchangeHarness::with(1, EWMA);
    play(&mut rig);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (200, None));
    assert_eq!(row.first_byte, rig.estimate(0), "the log says what policies learn");
    rig.estimate(0).expect("a sample")
}

#[test]
fn a_sample_counts_from_the_last_byte_of_the_request() {
    let upload = |rig: &mut ExchangeHarness, parts: &[&str]| {
        for part in parts {
            rig.client(part);
            rig.advance_ms(400);
        }
        rig.advance_ms(7);
        rig.upstream(OK);
    };
    let whole = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n01234";
    assert_eq!(sample(|rig| upload(rig, &[whole])), ms(407));
    assert_eq!(sample(|rig| upload(rig, &[POST_FIVE, "0", "1", "2", "3", "4"])), ms(407));
    let chunks = ["5\r\nhello\r\n", "0\r\nX-T: y\r\n", "\r\n"];
    assert_eq!(sample(|rig| upload(rig, &[&[CHUNKED_POST], &chunks[..]].concat())), ms(407));
}

#[test]
fn the_time_to_connect_is_the_backends() {
    let took = sample(|rig| {
        rig.servers[0].dials = vec![Dial::Hangs];
        rig.client(POST_FIVE);
        rig.advance_ms(30);
        rig.servers[0].dials = vec![Dial::Answers];
        rig.run();
        rig.advance_ms(2000);
        rig.client("01234");
        rig.advance_ms(10);
        rig.upstream(OK);
    });
    assert_eq!(took, ms(40));
}

#[test]
fn a_backend_that_takes_a_request_slowly_is_measured_from_when_it_has_it() {
    let took = sample(|rig| {
        rig.client(POST_FIVE);
        rig.upstream_socket().window = 1;
        rig.client("01234");
        for _ in 0..4 {
            rig.advance_ms(100);
            rig.upstream_socket().window = 1;
            rig.run();
        }
        rig.advance_ms(9);
        rig.upstream(OK);
    });
    assert_eq!(took, ms(9));
}

#[test]
fn an_answer_before_the_last_byte_counts_from_the_start_without_the_waits_for_the_client() {
    let took = sample(|rig| {
        rig.client(POST_FIVE);
        rig.advance_ms(1000);
        // The backend lets the byte lie, and answers while the next one is awaited.
        rig.upstream_socket().window = 0;
        rig.client("0");
        rig.advance_ms(20);
        rig.upstream_socket().window = usize::MAX;
        rig.run();
        rig.advance_ms(3000);
        rig.upstream("HTTP/1.1 100 Continue\r\n\r\n");
        rig.advance_ms(3000);
        rig.upstream(OK);
        rig.client("1234");
    });
    assert_eq!(took, ms(20));
}

#[test]
fn an_interim_response_is_no_sample() {
    let took = sample(|rig| {
        rig.client(GET);
        rig.advance_ms(5);
        rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\n");
        rig.advance_ms(5);
        rig.upstream(OK);
    });
    assert_eq!(took, ms(10));
}

/// Whether a request that comes now would be the one sent to learn of backend 0.
fn is_free(rig: &mut ExchangeHarness) -> bool {
    let choice = rig.balancer.acquire(&Tried::default(), rig.now);
    let Choice::Go(lease) = choice else { panic!("a backend") };
    let free =
        lease.backend() == rig.ids[0] && matches!(lease.reason(), Reason::First | Reason::Trial);
    rig.balancer.release(lease);
    free
}

#[test]
fn a_probe_that_waits_for_its_client_leaves_its_place_to_the_next() {
    for policy in [EWMA, Policy::AdaptiveSma { window: 3 }] {
        let mut rig = ExchangeHarness::with(1, policy);
        rig.servers[0].dials = vec![Dial::Hangs];
        rig.client(POST_FIVE);
        assert!(!is_free(&mut rig), "the connection is awaited");
        rig.servers[0].dials = vec![Dial::Answers];
        rig.run();
        assert!(is_free(&mut rig), "the body is awaited");
        rig.client("01234");
        rig.upstream(OK);
        assert!(rig.estimate(0).is_some(), "what it learns counts all the same");
    }
}

#[test]
fn a_probe_of_a_backend_that_was_away_leaves_its_place_as_well() {
    let mut rig = ExchangeHarness::new();
    rig.servers[0].dials = vec![Dial::Refuses];
    rig.client(GET);
    rig.client_got();
    rig.rows();
    rig.servers[0].dials = vec![Dial::Answers];
    rig.advance_ms(500);
    rig.client(POST_FIVE);
    assert!(is_free(&mut rig));
    rig.client("01234");
    rig.upstream(OK);
    assert!(!rig.is_ejected(0));
}

#[test]
fn a_client_that_expects_a_100_is_not_waited_for_before_it() {
    let mut rig = ExchangeHarness::with(1, EWMA);
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert!(!is_free(&mut rig));
    rig.upstream("HTTP/1.1 100 Continue\r\n\r\n");
    assert!(is_free(&mut rig));
}

#[test]
fn a_probe_that_is_not_answered_in_time_leaves_its_place() {
    let mut rig = ExchangeHarness::with(1, EWMA);
    rig.client(GET);
    rig.advance_ms(4_999);
    assert!(!is_free(&mut rig));
    rig.advance_ms(1);
    assert!(is_free(&mut rig));
}
