//! Urgent bytes: the system takes them out of the stream, and a read stops where one was.

use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::Signal;
use socket2::SockRef;

use crate::support::clock::{hear, pause, until};
use crate::support::http::Connection;
use crate::support::log::{Logged, endings};
use crate::support::origin::Origin;
use crate::support::process::Proxy;

/// Sends an urgent byte behind what was sent. The system takes out the last one that came, so two
/// on their way at once would leave the first in the stream.
fn interject(connection: &Connection) {
    assert_eq!(SockRef::from(connection.stream()).send_out_of_band(b"!").unwrap(), 1);
}

#[test]
fn a_request_with_an_urgent_byte_in_it_is_served_at_once_and_without_it() {
    let origin = Origin::echoing_targets();
    // Far longer than a test may take: nothing may wait for it.
    let proxy = Logged::start(&[origin.address], &["--workers", "1", "--header-timeout", "10m"]);
    let mut client = Connection::connect(proxy.address());
    for turn in 0..3 {
        assert_eq!(client.get("/before").text(), "/before");
        // All of it is there when the proxy looks.
        proxy.proxy.process.halt();
        client.send("GET /wh");
        interject(&client);
        client.send("ole HTTP/1.1\r\nHost: a\r\n\r\n");
        proxy.proxy.process.signal(Signal::CONT);
        assert_eq!(client.answer().text(), "/whole", "{turn}");
    }
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 6]);
}

#[test]
fn an_answer_with_an_urgent_byte_in_it_is_passed_on_at_once_and_without_it() {
    let ((asked, is_asked), (go, goes)) = (channel(), channel::<()>());
    let goes = std::sync::Mutex::new(goes);
    let (sent, is_sent) = channel();
    let origin = Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            asked.send(()).unwrap();
            hear(&goes.lock().unwrap());
            connection.send("HTTP/1.1 200 OK\r\nContent-Le");
            interject(&connection);
            connection.send("ngth: 5\r\n\r\nwhole");
            sent.send(()).unwrap();
        }
    });
    let proxy = Logged::start(&[origin.address], &["--workers", "1", "--response-timeout", "10m"]);
    let mut client = Connection::connect(proxy.address());
    for turn in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(&is_asked);
        proxy.proxy.process.halt();
        go.send(()).unwrap();
        hear(&is_sent);
        proxy.proxy.process.signal(Signal::CONT);
        assert_eq!(client.answer().text(), "whole", "{turn}");
    }
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 3]);
}

#[test]
fn urgent_bytes_alone_keep_no_connection() {
    let origin = Origin::echoing_targets();
    let flags = ["--header-timeout", "1s", "--client-idle-timeout", "1s"];
    let proxy = Proxy::start(&[origin.address], &flags);
    let asking = |mut client: Connection| {
        assert_eq!(client.get("/").text(), "/");
        client
    };
    let connect = || Connection::connect(proxy.address());
    for client in [connect(), asking(connect())] {
        // Each is an event, and none of them a request.
        until("the end", || {
            pause(Duration::from_millis(20));
            let is_taken = SockRef::from(client.stream()).send_out_of_band(b"!").is_ok();
            (!is_taken || client.has_bytes()).then_some(())
        });
    }
}
