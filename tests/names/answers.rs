//! Name servers that fail.

use crate::scene::{Load, Server, proxy};
use support::dnsmasq::{Dnsmasq, failing_server};
use support::network::is_inside;

const APP: &str = "app.example.test";

#[test]
fn a_server_that_does_not_answer_leaves_everything_as_it_is() {
    if !is_inside("answers::a_server_that_does_not_answer_leaves_everything_as_it_is") {
        return;
    }
    let (old, new) = (Server::start("127.0.1.1"), Server::start("127.0.1.2"));
    let mut dnsmasq = Dnsmasq::start(&[("127.0.1.1", APP)], &[]);
    let mut proxy = proxy(" resolve=all", &[]);
    let load = Load::start(&proxy, "POST");
    old.is_used();
    dnsmasq.halt();
    let said = proxy.process.line("can't be looked up");
    assert!(said.contains("keeps its addresses: the name server 127.0.0.1:53 does not"), "{said}");
    load.serves(100);
    dnsmasq.go_on();
    proxy.process.line("app is found");
    dnsmasq.set(&[("127.0.1.2", APP)]);
    new.is_used();
    old.is_left();
    load.serves(100);
    load.end();
}

#[test]
fn a_server_that_answers_servfail_leaves_everything_as_it_is() {
    if !is_inside("answers::a_server_that_answers_servfail_leaves_everything_as_it_is") {
        return;
    }
    let server = Server::start("127.0.1.1");
    // What it has no record of, it asks a server that fails.
    let failing = format!("--server=/example.test/127.0.0.1#{}", failing_server());
    let mut dnsmasq = Dnsmasq::start(&[("127.0.1.1", APP)], &[&failing]);
    let mut proxy = proxy("", &[]);
    let load = Load::start(&proxy, "POST");
    server.is_used();
    dnsmasq.set(&[("127.0.9.9", "other.example.test")]);
    let said = proxy.process.line("answers SERVFAIL");
    assert!(said.contains("app can't be looked up and keeps its addresses"), "{said}");
    load.serves(100);
    dnsmasq.set(&[("127.0.1.1", APP)]);
    proxy.process.line("app is found");
    load.serves(100);
    load.end();
    assert!(!proxy.process.stderr().contains("removed"), "{}", proxy.process.stderr());
}
