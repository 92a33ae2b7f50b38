//! Urgent bytes: the kernel takes them out of the stream, and a read stops where one was.

use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::Signal;
use socket2::SockRef;

use support::clock::{hear, pause, until};
use support::http::Connection;
use support::log::{Logged, endings};
use support::origin::Origin;
use support::process::Proxy;

/// Sends an urgent byte after what was sent. The kernel takes out only the last one that arrived,
/// so of two at once the first would stay in the stream.
fn interject(connection: &Connection) {
    assert_eq!(SockRef::from(connection.stream()).send_out_of_band(b"!").unwrap(), 1);
}

#[test]
fn a_request_with_an_urgent_byte_is_served_at_once_without_it() {
    let origin = Origin::echoing_targets();
    // Far longer than a test may take, so that a wait for it would fail.
    let proxy = Logged::start(&[origin.address], &["--workers", "1", "--header-timeout", "10m"]);
    let mut client = Connection::connect(proxy.address());
    for turn in 0..3 {
        assert_eq!(client.get("/before").text(), "/before");
        // The proxy sees everything at once.
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
fn an_answer_with_an_urgent_byte_is_forwarded_at_once_without_it() {
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
fn urgent_bytes_alone_do_not_keep_a_connection_open() {
    let origin = Origin::echoing_targets();
    let flags = ["--header-timeout", "1s", "--client-idle-timeout", "1s"];
    let proxy = Proxy::start(&[origin.address], &flags);
    let asking = |mut client: Connection| {
        assert_eq!(client.get("/").text(), "/");
        client
    };
    let connect = || Connection::connect(proxy.address());
    for client in [connect(), asking(connect())] {
        // Each is an event, and none is a request.
        until("the end", || {
            pause(Duration::from_millis(20));
            let is_taken = SockRef::from(client.stream()).send_out_of_band(b"!").is_ok();
            (!is_taken || client.has_bytes()).then_some(())
        });
    }
}
