//! Bodies of any size, streamed at the pace of the slower side; and pipelined requests.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::clock::{pause, until};
use support::http::{Connection, field};
use support::origin::{Origin, ok};
use support::process::{Backend, Proxy};

const LARGE: usize = 64 << 20;

/// The memory that the proxy may take, in KiB.
const MEMORY_KIB: u64 = 32 * 1024;

/// More than the socket buffers on both sides of the proxy hold together.
const IN_SOCKETS: usize = 32 << 20;

const BLOCK: [u8; 4096] = [b'x'; 4096];

fn peak_memory(proxy: &Proxy) -> u64 {
    proxy.process.status().vmhwm.unwrap()
}

#[test]
fn a_large_response_body_takes_no_memory() {
    let size = LARGE.to_string();
    let backend = Backend::start(&["--profile", "0", "--body-size", &size]);
    let proxy = Proxy::start(&[backend.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = connection.head().unwrap();
    assert_eq!(field(&head, "content-length"), Some(size));
    let mut received = 0;
    let mut block = BLOCK;
    while received < LARGE {
        let wanted = block.len().min(LARGE - received);
        received += connection.read(&mut block[..wanted]);
    }
    assert!(peak_memory(&proxy) < MEMORY_KIB, "{} KiB", peak_memory(&proxy));
    connection.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(connection.head().unwrap().starts_with("HTTP/1.1 200"), "the connection is kept");
}

/// Reads and counts a body of known length, then answers with its size.
fn count_body(mut connection: Connection) {
    while let Some(head) = connection.head() {
        let length: usize = field(&head, "content-length").unwrap().parse().unwrap();
        let mut block = [0; 64 * 64];
        let mut received = 0;
        while received < length {
            let count = connection.read(&mut block);
            assert!(block[..count].iter().all(|byte| *byte == b'x'));
            received += count;
        }
        connection.send(ok(&received.to_string()));
    }
}

#[test]
fn a_large_request_body_takes_no_memory() {
    let origin = Origin::serve(count_body);
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    connection.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
    for _ in 0..LARGE / BLOCK.len() {
        connection.send(BLOCK);
    }
    assert_eq!(connection.answer().text(), LARGE.to_string());
    assert!(peak_memory(&proxy) < MEMORY_KIB, "{} KiB", peak_memory(&proxy));
}

/// Writes until nothing is accepted for a while, or `limit` is reached; counts what was accepted.
fn fill(mut stream: &TcpStream, taken: &AtomicUsize, limit: usize) {
    while taken.load(Ordering::Relaxed) < limit {
        match stream.write(&BLOCK) {
            Ok(count) => taken.fetch_add(count, Ordering::Relaxed),
            Err(_) => return,
        };
    }
}

/// Waits until a count no longer changes.
fn settled(count: &AtomicUsize) -> usize {
    let mut last = usize::MAX;
    until("a stream that is blocked", || {
        let now = count.load(Ordering::Relaxed);
        pause(std::time::Duration::from_millis(200));
        (std::mem::replace(&mut last, now) == now && now > 0).then_some(now)
    })
}

#[test]
fn a_client_that_reads_nothing_stops_the_origin() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let origin = Origin::serve(move |mut connection| {
        while connection.head().is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            connection.send(head);
            fill(connection.stream(), &count, LARGE);
        }
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut slow = Connection::connect(proxy.address());
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let held = settled(&taken);
    assert!(held < IN_SOCKETS, "{held} bytes are in no buffer");
    assert!(peak_memory(&proxy) < MEMORY_KIB, "{} KiB", peak_memory(&proxy));
    // Once it reads, everything arrives.
    assert!(slow.head().is_some());
    assert_eq!(slow.take(LARGE).len(), LARGE);
}

#[test]
fn an_origin_that_reads_nothing_stops_the_client() {
    let (go, goes) = std::sync::mpsc::channel();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |connection| {
        goes.lock().unwrap().recv().unwrap();
        count_body(connection);
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    connection.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
    let taken = Arc::new(AtomicUsize::new(0));
    let (count, stream) = (Arc::clone(&taken), connection.stream().try_clone().unwrap());
    let sender = thread::spawn(move || fill(&stream, &count, LARGE));
    let held = settled(&taken);
    assert!(held < IN_SOCKETS, "{held} bytes are in no buffer");
    assert!(peak_memory(&proxy) < MEMORY_KIB, "{} KiB", peak_memory(&proxy));
    go.send(()).unwrap();
    sender.join().unwrap();
    assert_eq!(connection.answer().text(), LARGE.to_string());
}

#[test]
fn chunks_are_forwarded_as_they_arrive_with_their_trailers() {
    let origin = Origin::serve(|mut connection| {
        let head = connection.head().unwrap();
        assert_eq!(field(&head, "transfer-encoding").as_deref(), Some("chunked"));
        assert_eq!(field(&head, "trailer").as_deref(), Some("X-Sum"));
        // The first chunk arrives before the client sends the second.
        assert_eq!(connection.take(10), b"5\r\nhello\r\n");
        connection.send("HTTP/1.1 103 Go on\r\n\r\n");
        assert_eq!(connection.take(11), b"6\r\n world\r\n");
        assert_eq!(connection.take(16), b"0\r\nX-Sum: 42\r\n\r\n");
        connection.send(ok("thanks"));
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    connection.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         5\r\nhello\r\n",
    );
    assert_eq!(connection.answer().status, 103);
    connection.send("6\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n");
    assert_eq!(connection.answer().text(), "thanks");
}

#[test]
fn an_answer_is_forwarded_as_it_is_produced() {
    let origin = Origin::serve(|mut connection| {
        let _ = connection.head();
        connection.send("HTTP/1.1 200 OK\r\n\r\nfirst");
        // It continues once the client has what was sent so far.
        let _ = connection.head();
        connection.send("last");
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = connection.head().unwrap();
    assert_eq!(field(&head, "transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(connection.take(10), b"5\r\nfirst\r\n");
}

#[test]
fn a_hundred_requests_sent_at_once_are_answered_in_order() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    let requests: Vec<String> =
        (0..100).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    connection.send(requests.concat());
    for n in 0..100 {
        assert_eq!(connection.answer().text(), format!("/{n}"));
    }
}

#[test]
fn the_answer_to_a_refused_upload_arrives() {
    let origin = Origin::serve(|mut connection| {
        let _ = connection.head();
        connection.send("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    let length = LARGE / 4;
    connection.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    for _ in 0..length / BLOCK.len() {
        // The proxy reads and drops it, because a reset could destroy the answer.
        connection.send(BLOCK);
    }
    let answer = connection.answer();
    assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    assert!(answer.head.contains("\r\nConnection: close\r\n"), "{}", answer.head);
    assert_eq!(connection.rest(), b"");
}

#[test]
fn what_follows_a_response_of_any_length_is_dropped() {
    // Sizes at which a read may end exactly with the response.
    const BLOCKS: [usize; 2] = [16 * 1024, 64 * 1024];
    let origin = Origin::serve(|mut connection| {
        while let Some(head) = connection.head() {
            let length: usize = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
            connection.send(ok(&"x".repeat(length)) + &ok("evil"));
        }
    });
    let proxy = Proxy::start(&[origin.address], &["--workers", "1"]);
    let mut connection = Connection::connect(proxy.address());
    for length in BLOCKS.into_iter().flat_map(|block| block - 128..=block) {
        let body = connection.get(&format!("/{length}")).body;
        assert!(body.len() == length && body.iter().all(|byte| *byte == b'x'), "{length}");
    }
    assert_eq!(origin.accepted(), 2 * 129, "no connection was reused");
}
