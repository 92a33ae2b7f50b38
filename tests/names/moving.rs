//! A backend whose name gets other addresses.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use support::clock::{hear, until};
use support::http::{Connection, get};
use support::origin::{Silent, ok};

use crate::scene::{Load, PORT, Server, answers, proxy};
use support::dnsmasq::Dnsmasq;
use support::network::is_inside;

const APP: &str = "app.example.test";

#[test]
fn a_server_that_moves_is_followed_under_load_and_its_connections_are_closed() {
    if !is_inside(
        "moving::a_server_that_moves_is_followed_under_load_and_its_connections_are_closed",
    ) {
        return;
    }
    let (old, new) = (Server::start("127.0.1.1"), Server::start("127.0.1.2"));
    let mut dnsmasq = Dnsmasq::start(&[("127.0.1.1", APP)], &[]);
    let mut proxy = proxy("", &[]);
    let load = Load::start(&proxy, "POST");
    old.is_used();
    load.serves(100);
    dnsmasq.set(&[("127.0.1.2", APP)]);
    let said = proxy.process.line("added");
    assert!(said.ends_with("added 127.0.1.2:8080; removed 127.0.1.1:8080\n"), "{said}");
    old.is_left();
    new.is_used();
    let accepted = old.accepted();
    load.serves(100);
    assert!(load.end() >= 200);
    assert_eq!(old.accepted(), accepted, "it gets no connection any more");
}

#[test]
fn a_request_in_flight_at_an_address_that_vanishes_is_answered_from_there() {
    if !is_inside("moving::a_request_in_flight_at_an_address_that_vanishes_is_answered_from_there")
    {
        return;
    }
    let ((came, comes), (go, goes), (ended, ends)) = (channel(), channel::<()>(), channel());
    let goes = Mutex::new(goes);
    let address = ([127, 0, 1, 1], PORT).into();
    let _slow = Silent::reserve_on(address).serve(move |mut connection| {
        while connection.request().is_some() {
            came.send(()).unwrap();
            let _ = goes.lock().unwrap().recv();
            connection.send(ok("slow"));
        }
        ended.send(()).unwrap();
    });
    let _other = Server::start("127.0.1.2");
    for options in ["", " resolve=all"] {
        let mut dnsmasq = Dnsmasq::start(&[("127.0.1.1", APP)], &[]);
        let mut proxy = proxy(options, &[]);
        let mut waiting = Connection::connect(proxy.address());
        waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(&comes);
        dnsmasq.set(&[("127.0.1.2", APP)]);
        proxy.process.line("removed 127.0.1.1:8080");
        assert_eq!(get(proxy.address(), "/").text(), "127.0.1.2");
        go.send(()).unwrap();
        assert_eq!(waiting.answer().text(), "slow");
        // The connection is not kept for another request.
        hear(&ends);
        assert_eq!(waiting.get("/").text(), "127.0.1.2");
    }
}

#[test]
fn a_request_in_flight_at_an_address_that_vanishes_is_cut_in_the_end() {
    if !is_inside("moving::a_request_in_flight_at_an_address_that_vanishes_is_cut_in_the_end") {
        return;
    }
    let (came, comes) = channel();
    let address = ([127, 0, 1, 1], PORT).into();
    let _silent = Silent::reserve_on(address).serve(move |mut connection| {
        if connection.request().is_some() {
            came.send(()).unwrap();
            connection.rest();
        }
    });
    let _other = Server::start("127.0.1.2");
    for options in ["", " resolve=all"] {
        let mut dnsmasq = Dnsmasq::start(&[("127.0.1.1", APP)], &[]);
        let mut proxy = proxy(options, &["--backend-drain-timeout", "200ms"]);
        let mut waiting = Connection::connect(proxy.address());
        waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(&comes);
        dnsmasq.set(&[("127.0.1.2", APP)]);
        proxy.process.line("removed 127.0.1.1:8080");
        assert_eq!(waiting.answer().status, 503);
        assert_eq!(waiting.get("/").text(), "127.0.1.2");
    }
}

#[test]
fn with_resolve_all_each_address_is_a_backend_in_whatever_order_they_come() {
    if !is_inside("moving::with_resolve_all_each_address_is_a_backend_in_whatever_order_they_come")
    {
        return;
    }
    let servers = ["127.0.1.1", "127.0.1.2", "127.0.1.3"].map(Server::start);
    let records = [("127.0.1.1", APP), ("127.0.1.2", APP), ("127.0.1.3", APP)];
    // It gives them in another order each time.
    let mut dnsmasq = Dnsmasq::start(&records[..2], &[]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let mut proxy = proxy(" resolve=all", &["--workers", "1", "--log", log.to_str().unwrap()]);
    let mut client = Connection::connect(proxy.address());
    let mut ask = || [(); 4].map(|()| client.get("/").text());
    assert_eq!(ask(), ["127.0.1.1", "127.0.1.2", "127.0.1.1", "127.0.1.2"]);
    dnsmasq.set(&records);
    until("the third", || ask().contains(&"127.0.1.3".to_owned()).then_some(()));
    dnsmasq.set(&records[1..]);
    servers[0].is_left();
    assert!(!ask().contains(&"127.0.1.1".to_owned()));
    // Neither the order nor many answers made connections of any other.
    assert_eq!(servers.each_ref().map(Server::accepted), [1, 1, 1]);
    let rows = {
        support::log::stop(&mut proxy);
        support::log::rows(&log)
    };
    let urls = support::log::column(&rows, "backend_url");
    assert_eq!(urls[..2], ["http://127.0.1.1:8080", "http://127.0.1.2:8080"]);
}

#[test]
fn a_name_that_does_not_exist_at_the_start_is_used_once_it_does() {
    if !is_inside("moving::a_name_that_does_not_exist_at_the_start_is_used_once_it_does") {
        return;
    }
    let _server = Server::start("127.0.1.1");
    for options in ["", " resolve=all"] {
        let mut dnsmasq = Dnsmasq::start(&[("127.0.9.9", "other.example.test")], &[]);
        let mut proxy = proxy(options, &[]);
        let said = proxy.process.line("have no address");
        assert!(said.contains("answered 503 until one has"), "{said}");
        assert_eq!(get(proxy.address(), "/").status, 503);
        dnsmasq.set(&[("127.0.1.1", APP)]);
        answers(&proxy, "127.0.1.1");
    }
}

#[test]
fn a_name_that_vanishes_keeps_its_addresses_for_a_while() {
    if !is_inside("moving::a_name_that_vanishes_keeps_its_addresses_for_a_while") {
        return;
    }
    let _server = Server::start("127.0.1.1");
    let mut dnsmasq = Dnsmasq::start(&[("127.0.1.1", APP)], &[]);
    let mut proxy = proxy("", &["--resolve-hold", "1s"]);
    answers(&proxy, "127.0.1.1");
    dnsmasq.set(&[("127.0.9.9", "other.example.test")]);
    proxy.process.line("it keeps those that it had for 1s");
    proxy.process.line("app does not exist or has no address; it gets no requests");
    until("no backend", || (get(proxy.address(), "/").status == 503).then_some(()));
    dnsmasq.set(&[("127.0.1.1", APP)]);
    answers(&proxy, "127.0.1.1");
}
