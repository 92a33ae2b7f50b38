use super::*;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// Accepts one connection, which the kernel already has or is about to queue.
fn accept(listener: &mut Listener, deadline: Instant) -> (mio::net::TcpStream, SocketAddr) {
    #[expect(clippy::disallowed_methods, reason = "a test may look at the clock to give up")]
    while Instant::now() < deadline {
        if let Some(accepted) = listener.accept().unwrap() {
            return accepted;
        }
    }
    panic!("no connection to accept");
}

#[test]
fn an_accepted_socket_has_inherited_nodelay_and_names_its_peer() {
    let (mut listener, deadline) = listener();
    assert_eq!(listener.accept().unwrap().map(|(_, peer)| peer), None, "nothing waits yet");
    let peer = TcpStream::connect(listener.local_addr()).unwrap();
    let (socket, from) = accept(&mut listener, deadline);
    assert!(socket.nodelay().unwrap());
    assert_eq!(from, peer.local_addr().unwrap());
}

#[test]
fn a_taken_port_is_refused_to_one_and_to_a_group_and_also_where_a_group_has_it() {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let group = Listener::bind_group(loopback, 2).unwrap();
    let single = Listener::bind(loopback).unwrap();
    for taken in [group[0].local_addr(), single.local_addr()] {
        assert_eq!(Listener::bind(taken).unwrap_err().kind(), ErrorKind::AddrInUse);
        for count in [1, 3] {
            let refusal = Listener::bind_group(taken, count).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::AddrInUse);
        }
    }
}

#[test]
fn a_group_shares_one_port_and_every_member_gets_connections() {
    let mut turning = Loop::new();
    let mut group = Listener::bind_group(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 3).unwrap();
    let address = group[0].local_addr();
    assert_ne!(address.port(), 0);
    for (index, member) in (0..).zip(&mut group) {
        assert_eq!(member.local_addr(), address);
        member.register(Key::fixed(1, index), &turning.poller).unwrap();
    }
    let mut peers = Vec::new();
    let mut reached = BTreeSet::new();
    while reached.len() < group.len() {
        assert!(peers.len() < 1000, "only {reached:?} get connections");
        peers.push(TcpStream::connect(address).unwrap());
        turning.until("the connection", |_, event| match event {
            Event::Ready { key, readiness } => {
                assert!(readiness.readable);
                assert!(group[key.index() as usize].accept().unwrap().is_some());
                reached.insert(key.index());
                Some(())
            }
            _ => None,
        });
    }
}

#[test]
fn the_wildcard_of_ipv6_takes_ipv4_and_shows_it_as_such() {
    let Ok(mut listener) = Listener::bind("[::]:0".parse().unwrap()) else {
        assert!(!std::path::Path::new("/proc/net/if_inet6").exists(), "IPv6 is there");
        return;
    };
    let (_, deadline) = super::listener();
    let port = listener.local_addr().port();
    let peer = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (_, from) = accept(&mut listener, deadline);
    assert_eq!(from, peer.local_addr().unwrap());
    assert!(from.is_ipv4());
}

#[test]
fn an_address_that_is_not_ours_is_refused() {
    let foreign = "192.0.2.1:0".parse().unwrap();
    assert_eq!(Listener::bind(foreign).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
}
