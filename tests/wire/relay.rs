//! Shows that the cases can fail: played through a relay that forwards every byte unchanged, they
//! do.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::backend::Backend;
use crate::common_cases;
use crate::lanes::play_once;

/// Forwards bytes between clients and `upstream` without parsing, so nothing is refused or changed.
fn relay(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let Ok(server) = TcpStream::connect(upstream) else { continue };
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || copy(client, server));
            thread::spawn(move || copy(back.0, back.1));
        }
    });
    address
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Cases, and a reason for which each has to fail here.
const DIRTY: [(&str, &str); 16] = [
    ("rl-lf-only", "upstream: bare LF in a head"),
    ("rl-http10-own-version", "upstream has \" HTTP/1.0\""),
    ("hs-sp-colon", "upstream: a malformed field line: \"X-A : b\""),
    ("hs-cr-smuggle-hdr", "upstream: bare CR, bare LF or NUL"),
    ("host-dup-diff", "upstream: 2 Host lines"),
    ("cl-plus", "upstream: Content-Length \"+5\""),
    ("te-chunked-twice", "upstream: chunked twice"),
    ("clte-tecl", "upstream: both Content-Length and Transfer-Encoding"),
    ("clte-classic", "upstream has \"re:content-length:.*transfer-encoding:\""),
    ("ch-data-xx", "upstream: no CR LF after the data of a chunk"),
    ("pipe-after-close", "2 requests upstream of 1"),
    ("hop-named", "upstream has \"x-foo: bar\""),
    ("resp-hdr-nul", "client: bare CR, bare LF or NUL"),
    ("rdes-204-body", "client: a 204 with Content-Length"),
    ("rdes-head-body", "client has \"hello\""),
    ("rdes-extra-same-seg", "client has \"EVIL\""),
];

#[test]
fn a_blind_relay_fails() {
    let mut backend = Backend::open();
    let address = relay(backend.address());
    let cases = common_cases();
    for (id, reason) in DIRTY {
        let case = cases.iter().find(|case| case.id == id).unwrap();
        let why = play_once(case, address, &mut backend);
        assert!(why.iter().any(|why| why.contains(reason)), "{id}: {why:#?}");
    }
}
