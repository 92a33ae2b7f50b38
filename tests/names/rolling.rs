//! What a rolling update in Kubernetes does to the pods behind a headless service: a new one is
//! there and has its record; an old one is told to stop, and loses its record a while later.

use rustix::process::Signal;
use support::process::{Backend, Proxy, backend, tidegate};

use crate::scene::{Load, PORT, Server, proxy};
use support::dnsmasq::Dnsmasq;
use support::network::is_inside;

const APP: &str = "app.example.test";

const PODS: [&str; 6] =
    ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5", "127.0.1.6"];

fn records(pods: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    pods.iter().map(|pod| (*pod, APP)).collect()
}

/// The pods lose their records first, and end when nobody is connected any more, as with a
/// `preStop` hook that waits.
#[test]
fn pods_that_are_replaced_one_by_one_fail_no_request_of_any_method() {
    if !is_inside("rolling::pods_that_are_replaced_one_by_one_fail_no_request_of_any_method") {
        return;
    }
    let mut pods: Vec<Server> = PODS[..3].iter().map(|pod| Server::start(pod)).collect();
    let mut dnsmasq = Dnsmasq::start(&records(&PODS[..3]), &[]);
    let proxy = proxy(" resolve=all", &[]);
    let load = Load::start(&proxy, "POST");
    pods.iter().for_each(Server::is_used);
    for gone in 0..3 {
        let new = Server::start(PODS[gone + 3]);
        dnsmasq.set(&records(&PODS[gone..gone + 4]));
        new.is_used();
        dnsmasq.set(&records(&PODS[gone + 1..gone + 4]));
        let old = pods.remove(0);
        old.is_left();
        drop(old);
        pods.push(new);
        load.serves(100);
    }
    println!("{} requests", load.end());
}

/// The pods end at once, while they have their records still.
#[test]
fn pods_that_end_before_their_records_fail_no_get() {
    if !is_inside("rolling::pods_that_end_before_their_records_fail_no_get") {
        return;
    }
    let start = |pod: &str| {
        let port = PORT.to_string();
        let flags = ["--listen", pod, "--port", &port, "--profile", "1"];
        Backend::spawn(&mut backend(&flags))
    };
    let mut pods: Vec<Backend> = PODS[..3].iter().map(|pod| start(pod)).collect();
    let mut dnsmasq = Dnsmasq::start(&records(&PODS[..3]), &[]);
    let mut proxy = proxy(" resolve=all", &[]);
    let load = Load::start(&proxy, "GET");
    load.serves(100);
    for gone in 0..3 {
        pods.push(start(PODS[gone + 3]));
        dnsmasq.set(&records(&PODS[gone..gone + 4]));
        proxy.process.line(&format!("added {}", PODS[gone + 3]));
        let mut old = pods.remove(0);
        old.process.signal(Signal::TERM);
        old.process.ended();
        load.serves(100);
        dnsmasq.set(&records(&PODS[gone + 1..gone + 4]));
        proxy.process.line(&format!("removed {}", PODS[gone]));
        load.serves(100);
    }
    println!("{} requests", load.end());
}

/// The pods are proxies themselves. Each is told to stop while it has its record still, and serves
/// on for its shutdown delay.
#[test]
fn proxies_that_serve_on_for_a_while_are_replaced_without_a_failed_request() {
    if !is_inside(
        "rolling::proxies_that_serve_on_for_a_while_are_replaced_without_a_failed_request",
    ) {
        return;
    }
    let origin = Server::start("127.0.2.1");
    let start = |pod: &str| {
        let (listen, upstream) = (format!("{pod}:{PORT}"), format!("http://127.0.2.1:{PORT}"));
        let flags = ["--listen", &listen, "--log", "none", "--upstream", &upstream];
        Proxy::spawn(&mut tidegate(&[&flags[..], &["--shutdown-delay", "3s"]].concat()))
    };
    let mut pods: Vec<Proxy> = PODS[..2].iter().map(|pod| start(pod)).collect();
    let mut dnsmasq = Dnsmasq::start(&records(&PODS[..2]), &[]);
    let mut front = proxy(" resolve=all", &[]);
    let load = Load::start(&front, "POST");
    origin.is_used();
    for gone in 0..2 {
        pods.push(start(PODS[gone + 2]));
        dnsmasq.set(&records(&PODS[gone..gone + 3]));
        front.process.line(&format!("added {}", PODS[gone + 2]));
        let mut old = pods.remove(0);
        old.process.signal(Signal::TERM);
        load.serves(100);
        dnsmasq.set(&records(&PODS[gone + 1..gone + 3]));
        front.process.line(&format!("removed {}", PODS[gone]));
        assert!(old.process.ended().success());
        load.serves(100);
    }
    println!("{} requests", load.end());
}
