//! Upgrades: from the 101 on, bytes pass as they are, until both ends are done.

use super::*;

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

fn upgrade_forwarded() -> String {
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    forwarded("GET /chat HTTP/1.1", "", upgrade, "")
}

fn open() -> ExchangeHarness {
    let mut rig = ExchangeHarness::new();
    rig.client(UPGRADE);
    assert_eq!(rig.upstream_got(), upgrade_forwarded());
    rig.upstream(SWITCHING);
    assert_eq!(rig.client_got(), SWITCHING);
    rig
}

#[test]
fn bytes_pass_both_ways_as_they_are() {
    let outcome = Scene::new()
        .client(UPGRADE)
        .upstream(SWITCHING)
        .client("GET / not HTTP\n")
        .upstream("\r\n\r\nneither")
        .client_ends(StreamEnd::Finished)
        .upstream("more")
        .upstream_ends(StreamEnd::Finished)
        .play();
    assert_eq!(outcome.client, SWITCHING.to_owned() + "\r\n\r\nneithermore");
    assert_eq!(outcome.upstreams, [upgrade_forwarded() + "GET / not HTTP\n"]);
    let row = outcome.row();
    assert_eq!((row.status, row.fault), (101, None));
    assert_eq!(row.request_bytes, (UPGRADE.len() + "GET / not HTTP\n".len()) as u64);
    assert_eq!(row.response_bytes, outcome.client.len() as u64);
    assert_eq!(outcome.over, Some(CloseMode::Close));
}

#[test]
fn a_tunnel_that_ended_in_order_is_no_reason_for_a_reset() {
    let mut rig = open();
    rig.upstream_ends(StreamEnd::Finished);
    rig.client("last words");
    rig.client_ends(StreamEnd::Finished);
    let connection = &rig.connections[0];
    assert_eq!((connection.closed, connection.reset), (true, false));
}

#[test]
fn bytes_sent_early_are_part_of_the_tunnel() {
    let outcome = Scene::new()
        .client(UPGRADE.to_owned() + "early")
        .upstream(SWITCHING.to_owned() + "first")
        .client(" late")
        .play();
    assert_eq!(outcome.upstreams, [upgrade_forwarded() + "early late"]);
    assert_eq!(outcome.client, SWITCHING.to_owned() + "first");
}

#[test]
fn bytes_sent_early_wait_for_nothing_but_the_switch() {
    let mut rig = ExchangeHarness::new();
    rig.client(UPGRADE.to_owned() + "early");
    assert_eq!(rig.upstream_got(), upgrade_forwarded());
    rig.upstream(SWITCHING.to_owned() + "first");
    assert_eq!(rig.upstream_got(), "early");
    assert_eq!(rig.client_got(), SWITCHING.to_owned() + "first");
}

#[test]
fn a_body_may_come_before_the_tunnel() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\
                   Content-Length: 4\r\n\r\nbody";
    let outcome = Scene::new()
        .client(request)
        .upstream("HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        .client("tunnel")
        .play();
    assert!(outcome.upstreams[0].ends_with("\r\n\r\nbodytunnel"));
}

#[test]
fn each_half_ends_on_its_own() {
    let mut rig = open();
    rig.client("last words");
    rig.client_ends(StreamEnd::Finished);
    assert!(rig.upstream_socket().finished);
    assert_eq!((rig.upstream_got().as_str(), rig.over), ("last words", None));
    rig.upstream("answer");
    assert_eq!(rig.client_got(), "answer");
    rig.upstream_ends(StreamEnd::Finished);
    assert_eq!((rig.row().fault, rig.over), (None, Some(CloseMode::Close)));

    let mut rig = open();
    rig.upstream("last words");
    rig.upstream_ends(StreamEnd::Finished);
    assert!(rig.client.finished);
    assert_eq!((rig.client_got().as_str(), rig.over), ("last words", None));
    rig.client("answer");
    assert_eq!(rig.upstream_got(), "answer");
    rig.client_ends(StreamEnd::Finished);
    assert_eq!((rig.row().fault, rig.over), (None, Some(CloseMode::Close)));
    assert!(rig.connections[0].socket.finished);
}

#[test]
fn an_end_waits_for_the_bytes_before_it() {
    let mut rig = open();
    rig.upstream_socket().window = 2;
    rig.client("hello");
    rig.client_ends(StreamEnd::Finished);
    assert!(!rig.upstream_socket().finished);
    rig.upstream_socket().window = usize::MAX;
    rig.run();
    assert!(rig.upstream_socket().finished);
    assert_eq!(rig.upstream_got(), "hello");
    rig.client.window = 2;
    rig.upstream("hello");
    rig.upstream_ends(StreamEnd::Finished);
    assert!(!rig.client.finished && rig.over.is_none());
    rig.client.window = usize::MAX;
    rig.run();
    assert_eq!((rig.client_got().as_str(), rig.row().fault), ("hello", None));
}

#[test]
fn a_backend_that_resets_resets_the_client() {
    let mut rig = open();
    rig.upstream("hel");
    rig.upstream_ends(StreamEnd::Reset);
    assert_eq!(rig.client_got(), "hel");
    let row = rig.row();
    assert_eq!((row.status, row.fault), (101, Some("upstream_closed")));
    assert_eq!(rig.over, Some(CloseMode::Reset));
}

#[test]
fn a_backend_that_resets_behind_its_end_resets_the_client_too() {
    let mut rig = open();
    rig.upstream_ends(StreamEnd::Finished);
    rig.upstream_ends(StreamEnd::Reset);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (101, Some("upstream_closed")));
    assert_eq!(rig.over, Some(CloseMode::Reset));
}

#[test]
fn a_backend_that_takes_no_more_breaks_the_tunnel_off() {
    let mut rig = open();
    rig.upstream_ends(StreamEnd::WriteFailed);
    rig.client("x");
    assert_eq!((rig.row().fault, rig.over), (Some("upstream_closed"), Some(CloseMode::Reset)));
    assert!(rig.connections[0].reset);
}

#[test]
fn a_client_that_breaks_a_tunnel_off_resets_the_backend() {
    for how in [StreamEnd::Reset, StreamEnd::WriteFailed] {
        let mut rig = open();
        rig.client("half of it");
        rig.client_ends(how);
        if how == StreamEnd::WriteFailed {
            rig.upstream("x");
        }
        let row = rig.row();
        assert_eq!((row.status, row.fault), (499, Some("client_gone")));
        assert!(rig.connections[0].reset, "an orderly end would look whole");
    }
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let mut rig = open();
    rig.advance_ms(74_999);
    rig.client("x");
    rig.advance_ms(74_999);
    rig.upstream("y");
    rig.advance_ms(74_999);
    assert_eq!(rig.over, None);
    rig.advance_ms(1);
    let row = rig.row();
    assert_eq!(
        (row.status, row.fault, rig.ending()),
        (101, Some("tunnel_timeout"), Some(CloseMode::Close))
    );
    assert_eq!(row.latency, Some(std::time::Duration::from_millis(3 * 74_999 + 1)));
    assert_eq!((rig.connections[0].closed, rig.connections[0].reset), (true, false));
}

#[test]
fn a_client_that_reads_nothing_of_a_tunnel_is_no_orderly_end_of_it() {
    for (window, status) in [(0, 499), (SWITCHING.len() + 2, 101)] {
        let mut rig = ExchangeHarness::new();
        rig.client.window = window;
        rig.client(UPGRADE);
        rig.upstream(SWITCHING.to_owned() + "hello");
        rig.advance_ms(75_000);
        let row = rig.row();
        assert_eq!((row.status, row.fault), (status, Some("client_stalled")), "{window}");
        assert_eq!(rig.over, Some(CloseMode::Reset), "{window}");
        assert!(rig.connections[0].reset);
    }
}

#[test]
fn a_backend_that_reads_nothing_of_a_tunnel_is_no_orderly_end_of_it() {
    let mut rig = open();
    rig.upstream_socket().window = 2;
    rig.client("hello");
    rig.advance_ms(75_000);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (101, Some("upstream_stalled")));
    assert_eq!((rig.over, rig.connections[0].reset), (Some(CloseMode::Reset), true));
    assert_eq!(rig.upstream_got(), "he");
}

#[test]
fn a_reset_behind_an_end_breaks_a_tunnel_off_all_the_same() {
    let mut rig = open();
    rig.client_ends(StreamEnd::Finished);
    rig.upstream("half of it");
    rig.client_ends(StreamEnd::Reset);
    assert_eq!(rig.row().fault, Some("client_gone"));
    assert!(rig.connections[0].reset);

    let mut rig = open();
    rig.client_ends(StreamEnd::Finished);
    rig.upstream_ends(StreamEnd::Reset);
    assert_eq!((rig.row().fault, rig.over), (Some("upstream_closed"), Some(CloseMode::Reset)));
}

#[test]
fn a_half_open_tunnel_has_the_same_time() {
    let mut rig = open();
    rig.upstream_ends(StreamEnd::Finished);
    rig.upstream_socket().window = 0;
    rig.client("x");
    rig.advance_ms(74_999);
    assert_eq!(rig.over, None);
    rig.advance_ms(1);
    assert_eq!((rig.row().fault, rig.over), (Some("upstream_stalled"), Some(CloseMode::Reset)));
    assert!(rig.connections[0].reset);

    let mut rig = open();
    rig.client_ends(StreamEnd::Finished);
    rig.advance_ms(74_999);
    assert_eq!(rig.over, None);
    rig.advance_ms(1);
    assert_eq!((rig.row().fault, rig.ending()), (Some("tunnel_timeout"), Some(CloseMode::Close)));
}

#[test]
fn a_tunnel_holds_back_who_sends_too_much() {
    let mut rig = open();
    let much = "x".repeat(200_000);
    rig.client.window = 0;
    rig.upstream(&much);
    assert!(rig.unread(Peer::Upstream) > 100_000);
    rig.upstream_socket().window = 0;
    rig.client(&much);
    assert!(rig.unread(Peer::Client) > 100_000);
    rig.client.window = usize::MAX;
    rig.upstream_socket().window = usize::MAX;
    rig.run();
    assert_eq!((rig.client_got().len(), rig.upstream_got().len()), (200_000, 200_000));
}

#[test]
fn an_upgrade_may_be_declined() {
    let outcome = Scene::new().client(UPGRADE).upstream(OK).client(GET).upstream(OK).play();
    assert_eq!(outcome.client, OK_FORWARDED.repeat(2));
    assert_eq!(outcome.upstreams, [upgrade_forwarded() + GET_FORWARDED]);
}

#[test]
fn a_protocol_nobody_asked_for_is_a_502() {
    let other = SWITCHING.replace("websocket", "other");
    let h2c = UPGRADE.replace("websocket", "h2c");
    for (request, answer) in
        [(GET, SWITCHING), (UPGRADE, other.as_str()), (h2c.as_str(), SWITCHING)]
    {
        let outcome = Scene::new().client(request).upstream(answer).play();
        assert_reply(&outcome.client, 502, false);
        assert_eq!(outcome.row().fault, Some("response_unasked_upgrade"));
    }
}

#[test]
fn a_switch_before_the_body_ended_is_a_502() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Content-Length: 4\r\n\r\nbo";
    let outcome = Scene::new().client(request).upstream(SWITCHING).play();
    assert_reply(&outcome.client, 502, true);
    assert_eq!(outcome.row().fault, Some("early_upgrade"));
}

#[test]
fn a_tunnel_is_cut_when_the_proxy_stops() {
    for ended in [None, Some(Peer::Client), Some(Peer::Upstream)] {
        let mut rig = open();
        if let Some(peer) = ended {
            rig.ends(peer, StreamEnd::Finished);
        }
        rig.act(Exchange::stop);
        rig.run();
        assert_eq!((rig.row().fault, rig.over), (Some("stopped"), Some(CloseMode::Reset)));
        assert!(rig.connections[0].reset);
    }
}

#[test]
fn a_sign_of_life_on_either_side_keeps_a_tunnel() {
    for peer in [Peer::Client, Peer::Upstream] {
        let mut rig = open();
        rig.client.window = 0;
        rig.upstream_socket().window = 0;
        for wait_ms in [0, 74_999] {
            rig.advance_ms(wait_ms);
            rig.arrive(peer, b"x");
            rig.run();
        }
        rig.advance_ms(74_999);
        assert_eq!(rig.over, None);
        rig.advance_ms(1);
        assert_eq!((rig.row().status, rig.over), (101, Some(CloseMode::Reset)));
    }
}

#[test]
fn an_offer_is_forgotten_with_its_request() {
    let mut rig = ExchangeHarness::new();
    rig.client(UPGRADE);
    rig.upstream(OK);
    rig.rows();
    rig.client_got();
    rig.client(GET);
    rig.upstream(SWITCHING);
    assert_reply(&rig.client_got(), 502, false);
}
