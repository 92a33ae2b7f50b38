use super::*;
use crate::reactor::DEFAULT_MODE;
use rustix::net::sockopt::tcp_nodelay;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

const LISTENER: Key = Key::fixed(1, 0);
const LOOPBACK: Endpoint = Endpoint::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));

/// A connection from a peer with an address.
fn from_ip(listener: &Listener) -> TcpStream {
    let Endpoint::Tcp(address) = listener.endpoint() else { panic!("{listener:?}") };
    TcpStream::connect(address).unwrap()
}

#[test]
fn an_accepted_socket_has_inherited_nodelay_and_names_its_peer() {
    let (mut listener, deadline) = listener(&LOOPBACK);
    assert!(!listener.has_waiting() && listener.accept().unwrap().is_none(), "nobody waits yet");
    let peer = from_ip(&listener);
    let (transport, from) = accept(&mut listener, deadline);
    assert!(tcp_nodelay(&transport).unwrap());
    assert_eq!(transport.local_ip().unwrap(), Ipv4Addr::LOCALHOST);
    assert_eq!(from, Client::Ip(peer.local_addr().unwrap()));
}

#[test]
fn a_taken_port_is_refused_to_one_and_to_a_group_and_also_where_a_group_has_it() {
    let group = Listener::bind_group(&LOOPBACK, DEFAULT_MODE, 2).unwrap();
    let single = Listener::bind(&LOOPBACK).unwrap();
    for taken in [group[0].endpoint(), single.endpoint()] {
        assert_eq!(Listener::bind(taken).unwrap_err().kind(), ErrorKind::AddrInUse);
        for count in [1, 3] {
            let refusal = Listener::bind_group(taken, DEFAULT_MODE, count).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::AddrInUse);
        }
    }
}

#[test]
fn a_group_shares_one_port_and_every_member_gets_connections() {
    let mut turning = Loop::new();
    let mut group = Listener::bind_group(&LOOPBACK, DEFAULT_MODE, 3).unwrap();
    let endpoint = group[0].endpoint().clone();
    assert_ne!(endpoint, LOOPBACK);
    for (index, member) in (0..).zip(&group) {
        assert_eq!(*member.endpoint(), endpoint);
        member.register(Key::fixed(1, index), &turning.poller).unwrap();
    }
    let mut peers = Vec::new();
    let mut reached = BTreeSet::new();
    while reached.len() < group.len() {
        assert!(peers.len() < 1000, "only {reached:?} get connections");
        peers.push(connected(&endpoint));
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
fn a_group_shares_one_unix_socket_and_every_member_s_loop_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = unix(&folder, "socket");
    let mut group = Listener::bind_group(&endpoint, DEFAULT_MODE, 3).unwrap();
    let mut loops: Vec<_> = (0..group.len()).map(|_| Loop::new()).collect();
    for (member, turning) in group.iter().zip(&loops) {
        assert_eq!(*member.endpoint(), endpoint);
        member.register(LISTENER, &turning.poller).unwrap();
    }
    let mut peers = Vec::new();
    for (member, turning) in group.iter_mut().zip(&mut loops) {
        peers.push(connected(&endpoint));
        turning.until("the connection", |_, event| {
            matches!(event, Event::Ready { key: LISTENER, .. }).then_some(())
        });
        let (transport, from) = member.accept().unwrap().expect("a connection");
        assert_eq!((from, transport.local_ip().is_ok()), (Client::Unix, false));
        assert!(!member.has_waiting());
    }
}

#[test]
fn the_file_of_a_unix_socket_has_the_mode_that_is_asked_for_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = unix(&folder, "socket");
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let _group = Listener::bind_group(&endpoint, mode, 2).unwrap();
        let metadata = fs::symlink_metadata(folder.path().join("socket")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
    }
    let _listener = Listener::bind(&endpoint).unwrap();
    let metadata = fs::symlink_metadata(folder.path().join("socket")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, DEFAULT_MODE);
}

#[test]
fn the_file_goes_with_the_last_of_its_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut group = Listener::bind_group(&unix(&folder, "socket"), DEFAULT_MODE, 2).unwrap();
    group.pop();
    assert!(path.exists());
    group.pop();
    assert!(!path.exists());
}

#[test]
fn a_withdrawn_unix_socket_lets_in_those_who_wait_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = unix(&folder, "socket");
    let (turning, (mut listener, deadline)) = (Loop::new(), listener(&endpoint));
    let _waiting = connected(&endpoint);
    listener.withdraw(&turning.poller);
    let Endpoint::Unix(name) = &endpoint else { panic!("{endpoint}") };
    let late = UnixStream::connect(name.path().unwrap()).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotFound);
    accept(&mut listener, deadline);
    // What is there now is another's.
    let _other = Listener::bind(&endpoint).unwrap();
    listener.withdraw(&turning.poller);
    drop(listener);
    assert!(name.path().unwrap().exists());
}

#[test]
fn a_file_is_replaced_if_nobody_listens_there_and_left_alone_if_somebody_does() {
    let folder = tempfile::tempdir().unwrap();
    let (endpoint, path) = (unix(&folder, "socket"), folder.path().join("socket"));
    drop(UnixListener::bind(&path).unwrap());
    let inode = || fs::symlink_metadata(&path).unwrap().ino();
    let first = Listener::bind(&endpoint).unwrap();
    let own = inode();
    assert_eq!(Listener::bind(&endpoint).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(inode(), own);
    drop(first);
    let datagrams = UnixDatagram::bind(&path).unwrap();
    assert_eq!(Listener::bind(&endpoint).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(datagrams);
    drop(Listener::bind(&endpoint).unwrap());
    assert!(!path.exists());
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let refused = |what: &str| {
        let refusal = Listener::bind(&unix(&folder, "socket")).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::AlreadyExists, "{what}");
    };
    fs::write(&path, "precious").unwrap();
    refused("a file");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused("a folder");
    fs::remove_dir(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    refused("a link");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
}

#[test]
fn an_abstract_name_is_taken_while_it_is_listened_on_and_is_no_file() {
    let endpoint: Endpoint = format!("unix:@tidegate-test-{}", std::process::id()).parse().unwrap();
    let (turning, (mut first, deadline)) = (Loop::new(), listener(&endpoint));
    assert_eq!(Listener::bind(&endpoint).unwrap_err().kind(), ErrorKind::AddrInUse);
    let _stream = Stream::connect(&endpoint, LISTENER, &turning.poller).unwrap();
    assert_eq!(accept(&mut first, deadline).1, Client::Unix);
    drop(first);
    drop(Listener::bind(&endpoint).unwrap());
}

#[test]
fn the_wildcard_of_ipv6_takes_ipv4_and_shows_it_as_such() {
    let Ok(mut any) = Listener::bind(&"[::]:0".parse().unwrap()) else {
        assert!(!std::path::Path::new("/proc/net/if_inet6").exists(), "IPv6 is there");
        return;
    };
    let (_, deadline) = listener(&LOOPBACK);
    let Endpoint::Tcp(address) = any.endpoint() else { panic!("{any:?}") };
    let peer = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
    let (_, from) = accept(&mut any, deadline);
    assert_eq!(from, Client::Ip(peer.local_addr().unwrap()));
    assert!(matches!(from, Client::Ip(SocketAddr::V4(_))));
}

#[test]
fn an_address_that_is_not_ours_is_refused() {
    let foreign = "192.0.2.1:0".parse().unwrap();
    assert_eq!(Listener::bind(&foreign).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn a_loop_that_has_left_a_shared_socket_is_not_woken_in_place_of_another() {
    let endpoint: Endpoint = format!("unix:@tidegate-left-{}", std::process::id()).parse().unwrap();
    let group = Listener::bind_group(&endpoint, DEFAULT_MODE, 2).unwrap();
    let [left, mut stays] = <[Listener; 2]>::try_from(group).unwrap();
    let (mut leaves, mut turning) = (Loop::new(), Loop::new());
    left.register(LISTENER, &leaves.poller).unwrap();
    stays.register(LISTENER, &turning.poller).unwrap();
    left.withdraw(&leaves.poller);
    let waker = leaves.poller.waker();
    let waits = std::thread::spawn(move || {
        leaves.until("the end", |_, event| {
            assert!(!matches!(event, Event::Ready { .. }), "{event:?}");
            (event == Event::Woken).then_some(())
        });
    });
    for _ in 0..20 {
        let _client = connected_to_abstract(&endpoint);
        turning.until("a client", |_, event| matches!(event, Event::Ready { .. }).then_some(()));
        assert!(stays.accept().unwrap().is_some() && stays.accept().unwrap().is_none());
    }
    waker.wake().unwrap();
    waits.join().unwrap();
}

fn connected_to_abstract(endpoint: &Endpoint) -> UnixStream {
    let Endpoint::Unix(name) = endpoint else { panic!("{endpoint}") };
    let name = name.to_string();
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name["unix:@".len()..]);
    UnixStream::connect_addr(&address.unwrap()).unwrap()
}
