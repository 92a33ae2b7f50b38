//! A service manager, as far as the proxy knows it: it passes sockets, and is told what happens.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use rustix::io::{FdFlags, fcntl_setfd};
use tempfile::TempDir;

use support::clock::{PATIENCE, until};
use support::process::Process;
use support::programs::program;

/// The socket at which it is told.
pub(crate) struct Told {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Told {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    /// Has a program tell this.
    pub(crate) fn listens_to(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
    }

    /// The next thing it is told: lines of `NAME=value`.
    pub(crate) fn next(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let count = self.socket.recv(&mut message).expect("a message");
        let text = std::str::from_utf8(&message[..count]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Sends to the socket until it takes no more.
    pub(crate) fn fill(&self) {
        let is_taken = || {
            // A socket of its own for each, because what a socket may send is limited as well.
            let sender = UnixDatagram::unbound().unwrap();
            sender.set_nonblocking(true).unwrap();
            sender.send_to(b"FILLER=1", self.folder.path().join("notify")).is_ok()
        };
        while is_taken() {}
    }

    /// The next message that [`Told::fill`] did not send.
    pub(crate) fn next_behind(&self) -> Vec<String> {
        until("another message", || Some(self.next()).filter(|it| it[0] != "FILLER=1"))
    }

    /// All that waits.
    pub(crate) fn waiting(&self) -> usize {
        self.socket.set_nonblocking(true).unwrap();
        let mut count = 0;
        while self.socket.recv(&mut [0; 4096]).is_ok() {
            count += 1;
        }
        self.socket.set_nonblocking(false).unwrap();
        count
    }
}

/// The proxy with these flags, which is not to begin with sockets.
pub(crate) fn alone(flags: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate"));
    command.env("TIDEGATE_POLICY", "round-robin").args(flags);
    command
}

/// Starts the proxy with these flags and sockets, as `sd_listen_fds(3)` says.
pub(crate) fn pass(sockets: &[&dyn AsFd], flags: &[&str], more: &[(&str, &Path)]) -> Process {
    /// Two programs at a time would each get the sockets of the other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    /// Puts descriptors where they belong, and becomes the program, whose number stays.
    const PUT: &str = "n=3; for fd in $PASSED; do eval \"exec $n<&$fd\"; n=$((n + 1)); done; \
                       for fd in $PASSED; do [ $fd -lt $n ] || eval \"exec $fd<&-\"; done; \
                       export LISTEN_PID=$$; exec \"$@\"";
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // High numbers, so that none is where another belongs.
    let copies = sockets.iter().map(|it| rustix::io::fcntl_dupfd_cloexec(it.as_fd(), 100).unwrap());
    let copies: Vec<_> = copies.collect();
    for copy in &copies {
        fcntl_setfd(copy, FdFlags::empty()).unwrap();
    }
    let numbers: Vec<String> = copies.iter().map(|it| it.as_raw_fd().to_string()).collect();
    let mut command = Command::new("bash");
    command.args(["-c", PUT, "pass"]).arg(program("tidegate")).args(flags);
    command.envs(more.iter().copied()).env("TIDEGATE_POLICY", "round-robin");
    command.env("PASSED", numbers.join(" ")).env("LISTEN_FDS", sockets.len().to_string());
    Process::spawn(&mut command)
}
