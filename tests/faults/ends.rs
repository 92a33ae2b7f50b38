//! Ends of streams: what follows an answer does not destroy a part of it, and what was broken off
//! does not look complete.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use support::clock::hear;
use support::http::Connection;
use support::log::{Logged, endings, rows};
use support::origin::{Origin, ok};

/// Fits into the proxy's send buffer in the kernel, and not into the client's receive buffer.
const LARGE: usize = 300_000;

fn serving_much() -> Origin {
    Origin::serve(|mut connection| {
        while connection.request().is_some() {
            connection.send(ok(&"x".repeat(LARGE)));
        }
    })
}

/// A client with a small receive buffer.
fn narrow(address: SocketAddr) -> Connection {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    Connection::new(TcpStream::from(socket))
}

#[track_caller]
fn gets_all(client: &mut Connection) {
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.len()), (200, LARGE));
    assert_eq!(client.rest(), b"", "an orderly end");
}

#[test]
fn a_late_byte_loses_nothing_of_the_last_answer() {
    let origin = serving_much();
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (flags, request) in [
        (&[][..], "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        (&[], "GET / HTTP/1.0\r\n\r\n"),
        (&["--connections", "non-persistent"], plain),
    ] {
        for late in ["\r\n", plain] {
            let proxy = Logged::start(&[origin.address], flags);
            let mut client = narrow(proxy.address());
            client.send(request);
            // By then the proxy has sent everything and could close the connection.
            proxy.has_rows(1);
            client.send(late);
            gets_all(&mut client);
            assert_eq!(endings(&proxy.rows()), [("200", "", "1")]);
        }
    }
}

#[test]
fn a_late_request_loses_nothing_of_an_answer_before_the_idle_timeout() {
    let origin = serving_much();
    let flags = ["--client-idle-timeout", "200ms", "--workers", "1"];
    let proxy = Logged::start(&[origin.address], &flags);
    let mut client = narrow(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    proxy.has_rows(1);
    // The idle timeout of a client that is answered later expires later.
    let mut clock = Connection::connect(proxy.address());
    assert_eq!(clock.get("/").status, 200);
    assert_eq!(clock.rest(), b"");
    client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_all(&mut client);
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 2]);
}

#[test]
fn clients_that_do_not_close_do_not_delay_the_end() {
    let origin = Origin::echoing_targets();
    let mut proxy = Logged::start(&[origin.address], &["--drain-timeout", "5m"]);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.rest(), b"");
    proxy.proxy.process.signal(Signal::TERM);
    assert!(proxy.proxy.process.ended().success());
    assert_eq!(endings(&rows(&proxy.path())), [("200", "", "1")]);
}

/// What was received over a connection, and how it ended.
type Seen = (Vec<u8>, Result<(), ErrorKind>);

/// An origin that switches protocols, sends `first` when the test says so, reads to the end, and
/// reports what it received.
fn switching(first: &'static str) -> (Origin, Sender<()>, Receiver<Seen>) {
    let ((go, goes), (tell, told)) = (channel::<()>(), channel());
    let goes = Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        connection.head().unwrap();
        let fields = "Connection: Upgrade\r\nUpgrade: x";
        connection.send(format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n\r\n"));
        hear(&goes.lock().unwrap());
        connection.send(first);
        tell.send(connection.end()).unwrap();
    });
    (origin, go, told)
}

fn open(address: SocketAddr) -> Connection {
    let mut client = Connection::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    client
}

#[test]
fn a_tunnel_that_the_client_resets_is_reset_for_the_backend() {
    let (origin, go, told) = switching("half");
    let proxy = Logged::start(&[origin.address], &[]);
    let mut client = open(proxy.address());
    client.send("half of it");
    go.send(()).unwrap();
    assert_eq!(client.take(4), b"half");
    client.reset();
    assert_eq!(hear(&told).1, Err(ErrorKind::ConnectionReset));
    assert_eq!(endings(&proxy.rows()), [("499", "client_gone", "1")]);
}

#[test]
fn a_tunnel_that_the_backend_resets_is_reset_for_the_client() {
    let origin = Origin::serve(|mut connection| {
        connection.head().unwrap();
        connection.send("HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhalf");
        assert_eq!(connection.take(4), b"more");
        connection.reset();
    });
    let proxy = Logged::start(&[origin.address], &[]);
    let mut client = open(proxy.address());
    assert_eq!(client.take(4), b"half");
    client.send("more");
    assert_eq!(client.end().1, Err(ErrorKind::ConnectionReset));
    assert_eq!(endings(&proxy.rows()), [("101", "upstream_closed", "1")]);
}

#[test]
fn a_tunnel_that_times_out_with_bytes_unread_is_reset_on_both_sides() {
    let (origin, go, told) = switching("");
    let proxy = Logged::start(&[origin.address], &["--tunnel-timeout", "500ms"]);
    let mut client = open(proxy.address());
    let mut stream = client.stream().try_clone().unwrap();
    // Until the timeout, because the backend does not read.
    let sent = std::thread::spawn(move || while stream.write_all(&[b'x'; 4096]).is_ok() {});
    proxy.has_rows(1);
    sent.join().unwrap();
    go.send(()).unwrap();
    assert_eq!(hear(&told).1, Err(ErrorKind::ConnectionReset));
    assert_eq!(client.end().0, b"");
    assert_eq!(endings(&proxy.rows()), [("101", "upstream_stalled", "1")]);
}

#[test]
fn a_tunnel_that_times_out_with_nothing_unread_is_closed_in_order() {
    let (origin, go, told) = switching("hello");
    let proxy = Logged::start(&[origin.address], &["--tunnel-timeout", "300ms"]);
    let mut client = open(proxy.address());
    client.send("all of it");
    go.send(()).unwrap();
    assert_eq!(client.rest(), b"hello");
    assert_eq!(hear(&told), (b"all of it".to_vec(), Ok(())));
    assert_eq!(endings(&proxy.rows()), [("101", "tunnel_timeout", "1")]);
}

#[test]
fn a_tunnel_is_reset_on_both_sides_when_the_drain_timeout_expires() {
    let (origin, go, told) = switching("half");
    let mut proxy = Logged::start(&[origin.address], &["--drain-timeout", "200ms"]);
    let mut client = open(proxy.address());
    client.send("half of it");
    go.send(()).unwrap();
    assert_eq!(client.take(4), b"half");
    proxy.proxy.process.signal(Signal::TERM);
    assert_eq!(client.end().1, Err(ErrorKind::ConnectionReset));
    assert_eq!(hear(&told).1, Err(ErrorKind::ConnectionReset));
    assert!(proxy.proxy.process.ended().success());
    assert_eq!(endings(&rows(&proxy.path())), [("101", "stopped", "1")]);
}
