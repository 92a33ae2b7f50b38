use super::*;
use crate::reactor::{Received, Slots};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixListener;
use std::{fs, thread};

const KEY: Key = Key::fixed(1, 0);
const PEER: Key = Key::fixed(1, 1);

/// Has `test` done with an accepted stream and its blocking peer, over each kind of transport.
fn over_each(test: impl Fn(Loop, Stream, Socket)) {
    over_tcp(&test);
    over_unix(&test);
}

fn over_tcp(test: impl FnOnce(Loop, Stream, Socket)) {
    over(&"127.0.0.1:0".parse().unwrap(), test);
}

fn over_unix(test: impl FnOnce(Loop, Stream, Socket)) {
    let folder = tempfile::tempdir().unwrap();
    over(&unix(&folder, "socket"), test);
}

fn over(endpoint: &Endpoint, test: impl FnOnce(Loop, Stream, Socket)) {
    let (turning, (mut listener, deadline)) = (Loop::new(), listener(endpoint));
    let peer = connected(listener.endpoint());
    let (transport, _) = accept(&mut listener, deadline);
    let stream = Stream::accepted(transport, KEY, &turning.poller).unwrap();
    test(turning, stream, peer);
}

/// A socket that holds a port and does not listen on it.
fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn an_accepted_stream_is_written_at_once_and_read_when_an_event_says_so() {
    over_each(|mut turning, mut stream, mut peer| {
        assert!(!stream.can_read() && stream.can_write() && !stream.failed());
        peer.write_all(b"hello").unwrap();
        turning.watch("bytes", KEY, &mut stream, |stream, _| stream.can_read());
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).unwrap(), Received::Bytes(5));
        assert_eq!(&buffer[..5], b"hello");
    });
}

#[test]
fn a_full_read_leaves_the_stream_readable_and_a_short_one_does_not() {
    over_each(|mut turning, mut stream, mut peer| {
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Nothing);
        peer.write_all(b"123456").unwrap();
        turning.watch("bytes", KEY, &mut stream, |stream, _| stream.can_read());
        let mut buffer = [0; 4];
        assert_eq!(stream.read(&mut buffer).unwrap(), Received::Bytes(4));
        assert!(stream.can_read());
        assert_eq!(stream.read(&mut buffer).unwrap(), Received::Bytes(2));
        assert!(!stream.can_read());
    });
}

#[test]
fn a_read_into_no_room_is_neither_an_end_nor_a_drain() {
    over_each(|mut turning, mut stream, mut peer| {
        peer.write_all(b"1").unwrap();
        turning.watch("bytes", KEY, &mut stream, |stream, _| stream.can_read());
        assert_eq!(stream.read(&mut []).unwrap(), Received::Nothing);
        assert!(stream.can_read());
    });
}

#[test]
fn an_end_that_comes_with_bytes_is_read_on_to() {
    over_each(|mut turning, mut stream, mut peer| {
        peer.write_all(b"bye").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        turning.watch("the end", KEY, &mut stream, |_, event| event.read_closed);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Bytes(3));
        assert!(stream.can_read(), "that edge will not come again");
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::End);
        assert!(!stream.can_read() && !stream.failed());
        assert_eq!(stream.write([b"still", b" open"]).unwrap(), Some(10));
        let mut got = [0; 10];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"still open");
    });
}

#[test]
fn bytes_behind_an_urgent_one_are_read_on_to_and_the_urgent_one_is_none() {
    over_each(|mut turning, mut stream, mut peer| {
        let mut buffer = [0; 16];
        for round in ["the first", "and again, for it may come more than once"] {
            peer.write_all(b"be").unwrap();
            match peer.send_out_of_band(b"!") {
                // Of Unix sockets, only those of newer systems know urgent bytes.
                Err(error) if error.kind() == ErrorKind::Unsupported => return,
                sent => assert_eq!(sent.unwrap(), 1),
            }
            peer.write_all(b"hind").unwrap();
            let mut got = Vec::new();
            while got != b"behind" {
                if !stream.can_read() {
                    // In vain if there was an event for all of it before.
                    turning.watch(round, KEY, &mut stream, |stream, _| stream.can_read());
                }
                if let Received::Bytes(count) = stream.read(&mut buffer).unwrap() {
                    got.extend_from_slice(&buffer[..count]);
                }
                assert!(b"behind".starts_with(&got), "{round}: {}", got.escape_ascii());
            }
        }
    });
}

#[test]
fn once_all_is_read_an_urgent_byte_of_the_past_costs_nothing() {
    over_tcp(|mut turning, mut stream, mut peer| {
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        turning.watch("the urgent byte", KEY, &mut stream, |_, event| event.urgent);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Nothing);
        peer.write_all(b"plain").unwrap();
        turning.watch("bytes", KEY, &mut stream, |stream, _| stream.can_read());
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Bytes(5));
        assert!(!stream.can_read());
    });
}

#[test]
fn a_reset_shows_as_failed_and_as_the_error_of_the_next_read() {
    over_tcp(|mut turning, mut stream, peer| {
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Nothing);
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        turning.watch("the reset", KEY, &mut stream, |stream, _| stream.failed());
        assert!(stream.can_read() && stream.can_write(), "an operation is to meet the error");
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_told_to_a_write_is_no_end_to_the_reads_after_it() {
    over_tcp(|mut turning, mut stream, mut peer| {
        peer.write_all(b"part").unwrap();
        SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        turning.watch("the reset", KEY, &mut stream, |stream, _| stream.failed());
        assert_eq!(stream.write([b"more", b""]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Bytes(4));
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn an_end_is_one_to_the_reads_after_a_failed_write_too() {
    over_tcp(|mut turning, mut stream, mut peer| {
        stream.write([b"unread", b""]).unwrap();
        peer.write_all(b"whole").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        turning.watch("the end", KEY, &mut stream, |_, event| event.read_closed);
        drop(peer);
        turning.watch("the reset", KEY, &mut stream, |stream, _| stream.failed());
        assert!(stream.write([b"more", b""]).is_err());
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Bytes(5));
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::End);
    });
}

#[test]
fn an_error_without_further_notice_is_met_by_either_operation() {
    over_each(|_turning, mut stream, peer| {
        let full = vec![0; 1 << 20];
        while stream.can_write() {
            stream.write([&full, b""]).unwrap();
        }
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Nothing);
        stream.note(Readiness { failed: true, ..Readiness::default() });
        assert!(stream.failed() && stream.can_read() && stream.can_write());
        drop(peer);
    });
}

#[test]
fn both_parts_of_a_write_arrive_in_order_and_an_empty_one_is_no_matter() {
    over_each(|_turning, mut stream, mut peer| {
        for (parts, whole) in [
            ([&b"head"[..], &b"body"[..]], &b"headbody"[..]),
            ([b"head", b""], b"head"),
            ([b"", b"body"], b"body"),
            ([b"", b""], b""),
        ] {
            assert_eq!(stream.write(parts).unwrap(), Some(whole.len()));
            assert!(stream.can_write());
            let mut got = vec![0; whole.len()];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(got, whole);
        }
    });
}

#[test]
fn behind_the_last_bytes_the_stream_ends_and_reading_goes_on() {
    over_each(|mut turning, mut stream, mut peer| {
        assert_eq!(stream.write_last([b"the ", b"last"]).unwrap(), Some(8));
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"the last");
        peer.write_all(b"answer").unwrap();
        turning.watch("bytes", KEY, &mut stream, |stream, _| stream.can_read());
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Bytes(6));
    });
}

#[test]
fn the_last_bytes_arrive_though_the_peer_s_are_never_read() {
    over_each(|turning, mut stream, mut peer| {
        peer.write_all(b"more than was asked for").unwrap();
        assert_eq!(stream.write_last([b"the last", b""]).unwrap(), Some(8));
        drop((stream, turning));
        let mut got = [0; 8];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"the last");
    });
}

#[test]
fn last_bytes_that_find_no_room_do_not_end_the_stream() {
    over_each(|mut turning, mut stream, mut peer| {
        let most = vec![b'x'; 64 << 20];
        let taken = stream.write_last([&most, b""]).unwrap().unwrap();
        assert!(taken < most.len());
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut got = Vec::new();
                peer.read_to_end(&mut got).map(|_| got.len())
            });
            let mut left = &most[taken..];
            while !left.is_empty() {
                turning.watch("room", KEY, &mut stream, |stream, _| stream.can_write());
                left = &left[stream.write_last([left, b""]).unwrap().unwrap_or(0)..];
            }
            assert_eq!(reader.join().unwrap().unwrap(), most.len());
        });
    });
}

#[test]
fn a_write_that_comes_up_short_waits_for_an_event() {
    over_each(|mut turning, mut stream, mut peer| {
        let megabyte = vec![7; 1 << 20];
        let mut sent = 0;
        while stream.can_write() {
            let taken = stream.write([&megabyte, &megabyte]).unwrap();
            assert_eq!(
                stream.can_write(),
                taken == Some(2 << 20),
                "a short write clears writability"
            );
            sent += taken.unwrap_or(0);
        }
        assert_eq!(stream.write([&megabyte, b""]).unwrap(), None);
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; sent];
            peer.read_exact(&mut got).map(|()| peer)
        });
        turning.watch("room", KEY, &mut stream, |stream, _| stream.can_write());
        assert!(stream.write([b"on", b""]).unwrap().is_some());
        reader.join().unwrap().unwrap();
    });
}

#[test]
fn a_fresh_connection_takes_its_first_write_without_an_event() {
    let folder = tempfile::tempdir().unwrap();
    for endpoint in ["127.0.0.1:0".parse().unwrap(), unix(&folder, "socket")] {
        let (mut turning, (mut listener, deadline)) = (Loop::new(), listener(&endpoint));
        let mut stream = Stream::connect(listener.endpoint(), KEY, &turning.poller).unwrap();
        assert!(stream.can_write() && !stream.can_read() && !stream.is_busy());
        if stream.write([b"first", b""]).unwrap().is_none() {
            turning.watch("the connection", KEY, &mut stream, |stream, _| stream.can_write());
            assert_eq!(stream.write([b"first", b""]).unwrap(), Some(5));
        }
        let (transport, _) = accept(&mut listener, deadline);
        let mut peer = Stream::accepted(transport, PEER, &turning.poller).unwrap();
        turning.watch("its bytes", PEER, &mut peer, |peer, _| peer.can_read());
        let mut got = [0; 8];
        assert_eq!(peer.read(&mut got).unwrap(), Received::Bytes(5));
        assert_eq!(&got[..5], b"first");
    }
}

#[test]
fn a_refused_connection_says_why() {
    let mut turning = Loop::new();
    let (_bound, address) = bound();
    let mut stream = Stream::connect(&address.into(), KEY, &turning.poller).unwrap();
    turning.watch("the refusal", KEY, &mut stream, |stream, _| stream.failed());
    assert_eq!(stream.write([b"first", b""]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_unix_socket_refuses_at_once_and_says_why() {
    let (turning, folder) = (Loop::new(), tempfile::tempdir().unwrap());
    let endpoint = unix(&folder, "socket");
    let why = || Stream::connect(&endpoint, KEY, &turning.poller).map(drop).unwrap_err().kind();
    assert_eq!(why(), ErrorKind::NotFound);
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(why(), ErrorKind::ConnectionRefused, "its listener has left it behind");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "no socket").unwrap();
    assert_eq!(why(), ErrorKind::ConnectionRefused);
    assert_eq!(fs::read(&path).unwrap(), b"no socket");
}

#[test]
fn a_unix_socket_at_which_too_many_wait_is_busy_until_one_is_accepted() {
    let (mut turning, folder) = (Loop::new(), tempfile::tempdir().unwrap());
    let endpoint = unix(&folder, "socket");
    let Endpoint::Unix(name) = &endpoint else { panic!("{endpoint}") };
    let backend = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    backend.bind(&SockAddr::unix(name.path().unwrap()).unwrap()).unwrap();
    backend.listen(0).unwrap();
    let mut waiting = Vec::new();
    let mut busy = loop {
        let stream = Stream::connect(&endpoint, KEY, &turning.poller).unwrap();
        if stream.is_busy() {
            break stream;
        }
        waiting.push(stream);
        assert!(waiting.len() < 64, "as many as want to wait may");
    };
    assert!(!busy.can_write() && !busy.can_read() && !busy.failed());
    assert_eq!(busy.write([b"early", b""]).unwrap(), None);
    busy.connect_again(&endpoint, KEY, &turning.poller).unwrap();
    assert!(busy.is_busy() && !busy.can_write());
    for _ in 0..waiting.len() {
        backend.accept().unwrap();
    }
    busy.connect_again(&endpoint, KEY, &turning.poller).unwrap();
    assert!(!busy.is_busy() && busy.can_write());
    assert_eq!(busy.write([b"late", b""]).unwrap(), Some(4));
    let (mut peer, _) = backend.accept().unwrap();
    peer.write_all(b"there").unwrap();
    turning.watch("an answer", KEY, &mut busy, |stream, _| stream.can_read());
    assert_eq!(busy.read(&mut [0; 8]).unwrap(), Received::Bytes(5));
}

#[test]
fn a_busy_unix_socket_that_is_left_refuses_the_next_try() {
    let (turning, folder) = (Loop::new(), tempfile::tempdir().unwrap());
    let endpoint = unix(&folder, "socket");
    let Endpoint::Unix(name) = &endpoint else { panic!("{endpoint}") };
    let backend = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    backend.bind(&SockAddr::unix(name.path().unwrap()).unwrap()).unwrap();
    backend.listen(0).unwrap();
    let mut streams = (0..64).map(|_| Stream::connect(&endpoint, KEY, &turning.poller).unwrap());
    let waiting: Vec<_> = streams.by_ref().take_while(|stream| !stream.is_busy()).collect();
    let mut busy = streams.next().expect("another");
    assert!(busy.is_busy());
    drop(backend);
    let refusal = busy.connect_again(&endpoint, KEY, &turning.poller).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::ConnectionRefused);
    drop(waiting);
}

#[test]
fn a_unix_socket_is_reset_by_its_end_and_by_what_its_peer_leaves_unread() {
    over_unix(|_turning, stream, mut peer| {
        stream.reset();
        let mut rest = Vec::new();
        assert_eq!(peer.read_to_end(&mut rest).unwrap(), 0, "there is no reset to tell of");
    });
    over_unix(|mut turning, mut stream, peer| {
        stream.write([b"unread", b""]).unwrap();
        drop(peer);
        turning.watch("the reset", KEY, &mut stream, |stream, _| stream.failed());
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
    over_unix(|mut turning, mut stream, mut peer| {
        peer.write_all(b"whole").unwrap();
        drop(peer);
        turning.watch("the end", KEY, &mut stream, |_, event| event.read_closed);
        assert_eq!(stream.write([b"more", b""]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Bytes(5));
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::End);
    });
}

#[test]
fn a_write_before_the_handshake_waits_for_it() {
    let turning = Loop::new();
    let (listener, address) = bound();
    listener.listen(0).unwrap();
    // Nobody accepts, so the queue fills up and the kernel leaves further handshakes unanswered.
    let mut streams = Slots::new(1);
    let unanswered = (0..64).find_map(|_| {
        let key = streams
            .try_insert_with(|key| Stream::connect(&address.into(), key, &turning.poller))
            .unwrap();
        let stream = streams.get_mut(key).unwrap();
        stream.write([b"early", b""]).unwrap().is_none().then_some(key)
    });
    let stream = streams.get_mut(unanswered.expect("a handshake left unanswered")).unwrap();
    assert!(!stream.can_write() && !stream.failed());
}

#[test]
fn finishing_ends_our_side_only() {
    over_each(|mut turning, mut stream, mut peer| {
        stream.finish().unwrap();
        let mut rest = Vec::new();
        assert_eq!(peer.read_to_end(&mut rest).unwrap(), 0);
        peer.write_all(b"answer").unwrap();
        drop(peer);
        turning.watch("the end", KEY, &mut stream, |_, event| event.read_closed);
        assert!(!stream.failed(), "two orderly ends are no failure");
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::Bytes(6));
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), Received::End);
    });
}

#[test]
fn a_reset_of_ours_is_one_to_the_peer_and_a_drop_is_an_orderly_end() {
    over_tcp(|_turning, stream, mut peer| {
        stream.reset();
        assert_eq!(peer.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
    over_each(|_turning, stream, mut peer| {
        drop(stream);
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn an_event_for_a_stream_that_has_been_replaced_finds_nobody() {
    let mut turning = Loop::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().into();
    let mut streams = Slots::new(1);
    let old =
        streams.try_insert_with(|key| Stream::connect(&endpoint, key, &turning.poller)).unwrap();
    let stale = turning.until("the connection", |_, event| match event {
        Event::Ready { key, .. } => Some(key),
        _ => None,
    });
    assert_eq!(stale, old);
    drop(streams.remove(old));
    let new =
        streams.try_insert_with(|key| Stream::connect(&endpoint, key, &turning.poller)).unwrap();
    assert_eq!(new.index(), old.index());
    assert!(streams.get(stale).is_none() && streams.get(new).is_some());
}
