//! Ports of this machine.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::clock::until;

/// Ports that were free a moment ago, all different.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Whether connections to this port of 127.0.0.1 are accepted.
pub fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Waits until no connection to these ports is accepted any more.
pub fn until_closed(ports: &[u16]) {
    for port in ports {
        until("a closed port", || (!is_open(*port)).then_some(()));
    }
}
