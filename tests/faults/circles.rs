//! Requests that come back to the proxy that forwarded them.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use support::http::{Connection, get};
use support::log::{Logged, column, endings};
use support::origin::{Origin, ok};

/// Another hop, which sends every request back to the proxy.
fn mirror() -> (Origin, Arc<OnceLock<SocketAddr>>) {
    let back = Arc::new(OnceLock::new());
    let target = Arc::clone(&back);
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, body)) = connection.request() {
            let mut proxy = Connection::connect(*target.get().unwrap());
            proxy.send([head.as_bytes(), &body].concat());
            let answer = proxy.answer();
            connection.send([answer.head.as_bytes(), &answer.body].concat());
        }
    });
    (origin, back)
}

#[test]
fn a_request_that_comes_back_is_answered_508_and_not_forwarded_again() {
    let (origin, back) = mirror();
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    back.set(proxy.address()).unwrap();
    let answer = get(proxy.address(), "/round");
    assert_eq!(answer.status, 508);
    assert!(answer.text().contains("passed through this proxy before"), "{}", answer.text());
    let mut client = Connection::connect(proxy.address());
    client.send("POST /round HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.answer().status, 508);
    drop(client);
    let rows = proxy.rows();
    assert_eq!(column(&rows, "path"), ["/round"; 4]);
    let (second, first) = (("508", "loop", "0"), ("508", "", "1"));
    assert_eq!(endings(&rows), [second, first, second, first], "one row for each passage");
}

#[test]
fn two_proxies_one_behind_the_other_are_no_loop() {
    let origin = Origin::serve(|mut connection| {
        while let Some((head, _)) = connection.request() {
            connection.send(ok(&head));
        }
    });
    let behind = Logged::start(&[origin.address], &[]);
    let before = Logged::start(&[behind.address()], &[]);
    let answer = get(before.address(), "/");
    assert_eq!(answer.status, 200);
    let via = support::http::field(&answer.text(), "via").unwrap();
    let names: Vec<&str> = via.split(", ").map(|hop| hop.strip_prefix("1.1 ").unwrap()).collect();
    assert!(names.len() == 2 && names[0] != names[1], "{via}");
    assert!(names.iter().all(|name| name.starts_with("tidegate-")), "{via}");
}
