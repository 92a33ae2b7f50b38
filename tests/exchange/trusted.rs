//! Proxies in front of this one: what they say of where a request comes from goes on, and into the
//! log.

use tidegate::proxy::trusted::TrustedProxies;

use super::*;

/// The rig's client, 192.0.2.7, is such a proxy, and so are those of 10.0.0.0/8.
fn trusting(rig: &mut ExchangeHarness) {
    let networks = ["192.0.2.0/28", "10.0.0.0/8"].map(|text| text.parse().expect("a network"));
    rig.settings.trusted = TrustedProxies(networks.to_vec());
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn a_terminator_of_tls_reaches_the_application() {
    let outcome = Scene::new()
        .set(trusting)
        .client(get("X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: shop.example\r\n"))
        .upstream(OK)
        .play();
    let sent = read::request(&outcome.upstreams[0]);
    assert_eq!(sent.values("x-forwarded-for"), [b"198.51.100.1, 192.0.2.7"]);
    assert_eq!(sent.values("x-forwarded-proto"), [b"https"]);
    assert_eq!(sent.values("x-forwarded-host"), [b"shop.example"]);
    assert_eq!(sent.values("host"), [b"a"]);
}

#[test]
fn the_row_names_the_last_hop_that_is_not_trusted() {
    let mut rig = ExchangeHarness::new();
    trusting(&mut rig);
    for (chain, client) in [
        ("X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\n", "198.51.100.1:0"),
        ("X-Forwarded-For: 198.51.100.1:50\r\nX-Forwarded-For: 10.0.0.9\r\n", "198.51.100.1:50"),
        ("X-Forwarded-For: [2001:db8::1]:50, 10.0.0.9\r\n", "[2001:db8::1]:50"),
        ("X-Forwarded-For: 198.51.100.1, unknown\r\n", "192.0.2.7:4711"),
        ("X_Forwarded_For: 198.51.100.1\r\n", "192.0.2.7:4711"),
        ("", "192.0.2.7:4711"),
    ] {
        rig.client(get(chain));
        rig.upstream(OK);
        assert_eq!(rig.client_told.map(|client| client.to_string()).as_deref(), Some(client));
        rig.row();
    }
}

#[test]
fn a_stranger_names_nobody_but_itself() {
    let mut rig = ExchangeHarness::new();
    trusting(&mut rig);
    rig.peer = rig::peer("192.0.2.77:4711");
    rig.client(get("X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n"));
    let got = rig.upstream_got();
    let sent = read::request(&got);
    assert_eq!(sent.values("x-forwarded-for"), [b"192.0.2.77"]);
    assert_eq!(sent.values("x-forwarded-proto"), [b"http"]);
    rig.upstream(OK);
    assert_eq!(rig.client_told, "192.0.2.77:4711".parse().ok());
}
