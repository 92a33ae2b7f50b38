//! Whether a port is free, and which process listens on it if not.
//!
//! This is checked before anything is started, so that a stack starts whole or not at all. A
//! program whose port is taken just after the check says so itself.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};
use procfs::process::{FDTarget, Process, all_processes};

/// A process that listens.
#[derive(Debug, Eq, PartialEq)]
pub struct Owner {
    /// Its id.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.program, self.pid)
    }
}

/// Checks that `address` is free, by listening on it.
///
/// # Errors
/// [`ErrorKind::AddrInUse`] if it is taken; others, such as a privileged port, as they come.
pub fn probe(address: SocketAddr) -> io::Result<()> {
    TcpListener::bind(address).map(drop)
}

/// Checks that this port of `localhost` is free, over IPv4 and IPv6.
///
/// # Errors
/// As [`probe`] does; a machine without IPv6 is none.
pub fn probe_localhost(port: u16) -> io::Result<()> {
    probe(SocketAddr::from(([127, 0, 0, 1], port)))?;
    match probe(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))) {
        Err(error) if error.kind() != ErrorKind::AddrInUse => Ok(()),
        result => result,
    }
}

/// The process that listens on `port`; `None` if it can't be seen, as another user's can't.
#[must_use]
pub fn owner(port: u16) -> Option<Owner> {
    let sockets = [tcp(), tcp6()].into_iter().flatten().flatten();
    let listens = |socket: &TcpNetEntry| {
        socket.local_address.port() == port && socket.state == TcpState::Listen
    };
    let inodes: Vec<u64> = sockets.filter(listens).map(|socket| socket.inode).collect();
    let holds = |process: &Process| {
        let files = process.fd().into_iter().flatten().flatten();
        let is_it = |target| matches!(target, FDTarget::Socket(inode) if inodes.contains(&inode));
        files.map(|file| file.target).any(is_it)
    };
    let process = all_processes().ok()?.flatten().find(holds)?;
    // The kernel cuts a process's name off after 15 bytes, but not that of its program's file.
    let file = process.exe().ok();
    let program = match file.as_deref().and_then(|file| file.file_name()?.to_str()) {
        Some(name) => name.trim_end_matches(" (deleted)").to_owned(),
        None => process.stat().ok()?.comm,
    };
    Some(Owner { pid: process.pid().cast_unsigned(), program })
}

/// The next `count` ports above `port` + 10,000, or from there on again, that can be had now.
#[must_use]
pub fn free_above(port: u16, count: usize) -> Vec<u16> {
    const FIRST: u16 = 1024;
    let start = port.checked_add(10_000).unwrap_or(FIRST);
    let candidates = (start..=u16::MAX).chain(FIRST..start);
    candidates.filter(|port| probe_localhost(*port).is_ok()).take(count).collect()
}

/// Ports of the loopback that were free a moment ago.
pub(crate) fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // All are held until the last is found, so that they are different.
    let held = (0..count).map(bind).collect::<io::Result<Vec<_>>>()?;
    held.iter().map(TcpListener::local_addr).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_found_with_its_owner_over_either_family() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().expect("bound").port();
            let error = probe_localhost(port).expect_err("taken");
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{address}");
            let owner = owner(port).expect("own processes can be seen");
            assert_eq!(owner.pid, std::process::id(), "{address}");
            let own = std::env::current_exe().expect("a program");
            assert_eq!(own.file_name().and_then(|name| name.to_str()), Some(&*owner.program));
            assert!(owner.to_string().contains(&format!("(pid {})", owner.pid)));
        }
    }

    #[test]
    fn other_ports_are_suggested_only_if_they_are_free() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let taken = listener.local_addr().expect("bound").port();
        let free = free_above(taken.wrapping_sub(10_000).max(1), 3);
        assert_eq!(free.len(), 3);
        assert!(!free.contains(&taken), "{free:?}");
        assert_eq!(free_above(u16::MAX, 1).len(), 1, "there are ports below, too");
    }

    #[test]
    fn a_free_port_is_free_and_has_no_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        assert!(probe_localhost(address.port()).is_ok());
        assert_eq!(owner(address.port()), None);
    }

    #[test]
    fn a_connection_owns_no_port() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let connection = std::net::TcpStream::connect(address).expect("connected");
        assert_eq!(owner(connection.local_addr().expect("an address").port()), None);
    }
}
