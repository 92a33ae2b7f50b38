//! Whether a port can be had, and who has it if not.
//!
//! Asked before anything is started, so that a stack never comes up in halves. The answer can be
//! stale the moment it is given; a program that loses that race says so itself.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

/// A process as `/proc` shows it.
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

/// Finds out by listening whether `address` can be listened on.
///
/// # Errors
/// [`ErrorKind::AddrInUse`] if it is taken; others, such as a privileged port, as they come.
pub fn probe(address: SocketAddr) -> io::Result<()> {
    TcpListener::bind(address).map(drop)
}

/// Finds out by listening whether nobody is found at `localhost` and this port, over IPv4 or IPv6.
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

/// Who listens on `port`; `None` if that can't be seen, as with another user's process.
#[must_use]
pub fn owner(port: u16) -> Option<Owner> {
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        sockets.extend(listening_inodes(&table, port).map(|inode| format!("socket:[{inode}]")));
    }
    let holds = |pid: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
    };
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pid = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(holds)?;
    // What the kernel calls a process is cut off after 15 bytes; its program's file is not.
    let file = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let name = file.and_then(|file| file.file_name()?.to_str().map(str::to_owned));
    let program = match name {
        Some(name) => name.trim_end_matches(" (deleted)").to_owned(),
        None => fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned(),
    };
    Some(Owner { pid, program })
}

/// The next `count` ports above `port` + 10,000, or from there on again, that can be had now.
#[must_use]
pub fn free_above(port: u16, count: usize) -> Vec<u16> {
    const FIRST: u16 = 1024;
    let start = port.checked_add(10_000).unwrap_or(FIRST);
    let candidates = (start..=u16::MAX).chain(FIRST..start);
    candidates.filter(|port| probe_localhost(*port).is_ok()).take(count).collect()
}

/// The inodes of listening sockets on `port` in the text of `/proc/net/tcp` (proc(5)).
fn listening_inodes(table: &str, port: u16) -> impl Iterator<Item = &str> {
    /// State 10 of a TCP socket, in the table's hexadecimal.
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        let inode = fields.nth(5)?;
        (local.ends_with(&suffix) && state == LISTEN).then_some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7001 1
   1: 0100007F:1F91 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 7002 1
   2: 00000000:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7003 1
   3: broken";

    #[test]
    fn the_table_tells_listeners_from_connections_and_ports_apart() {
        assert_eq!(listening_inodes(TABLE, 8081).collect::<Vec<_>>(), ["7001"]);
        assert_eq!(listening_inodes(TABLE, 9090).collect::<Vec<_>>(), ["7003"]);
        assert_eq!(listening_inodes(TABLE, 80).count(), 0);
    }

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
    fn a_free_port_is_free_and_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        assert!(probe_localhost(address.port()).is_ok());
        assert_eq!(owner(address.port()), None);
    }
}
