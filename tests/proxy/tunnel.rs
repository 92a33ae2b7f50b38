//! Upgraded connections: bytes are forwarded unchanged, in each direction until its own end.

use std::io::Write;
use std::thread;

use support::http::Connection;
use support::origin::Origin;
use support::process::Proxy;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An origin that switches protocols and then acts.
fn switching(act: impl Fn(Connection) + Send + Sync + 'static) -> Origin {
    Origin::serve(move |mut connection| {
        let head = connection.head().expect("a request");
        assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nSec-WebSocket-Key: "), "{head}");
        connection.send(SWITCHING);
        act(connection);
    })
}

fn open(proxy: &Proxy) -> Connection {
    let mut connection = Connection::connect(proxy.address());
    connection.send(UPGRADE);
    let head = connection.head().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nSec-WebSocket-Accept: "), "{head}");
    connection
}

fn echo(mut connection: Connection) {
    let mut block = [0; 4096];
    loop {
        let count = connection.read(&mut block);
        if count == 0 {
            return connection.finish();
        }
        connection.send(&block[..count]);
    }
}

#[test]
fn what_one_side_sends_the_other_receives() {
    let origin = switching(echo);
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = open(&proxy);
    for message in [&b"\x81\x05hello"[..], b"\0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"] {
        connection.send(message);
        assert_eq!(connection.take(message.len()), message);
    }
    connection.finish();
    assert_eq!(connection.rest(), b"");
}

#[test]
fn after_the_clients_end_the_origins_bytes_still_arrive() {
    let origin = switching(|mut connection| {
        let said = connection.rest();
        connection.send([b"after the end: ".as_slice(), &said].concat());
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = open(&proxy);
    connection.send("last words");
    connection.finish();
    assert_eq!(connection.rest(), b"after the end: last words");
}

#[test]
fn after_the_origins_end_the_clients_bytes_still_arrive() {
    let (sender, heard) = std::sync::mpsc::channel();
    let origin = switching(move |mut connection| {
        connection.send("goodbye");
        connection.finish();
        sender.send(connection.rest()).unwrap();
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = open(&proxy);
    assert_eq!(connection.rest(), b"goodbye");
    connection.send("and to you");
    connection.finish();
    assert_eq!(heard.recv().unwrap(), b"and to you");
}

#[test]
fn much_is_forwarded_both_ways_at_once() {
    const BYTES: usize = 8 << 20;
    let origin = switching(echo);
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = open(&proxy);
    let mut writer = connection.stream().try_clone().unwrap();
    let pattern: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
    let sent = pattern.clone();
    let sender = thread::spawn(move || writer.write_all(&sent).unwrap());
    assert!(connection.take(BYTES) == pattern, "bytes were changed");
    sender.join().unwrap();
}
