//! What the service manager that started this program is told, as `sd_notify(3)` of systemd says.
//! The environment names its socket; if there is none, nothing is told.
//!
//! A manager that does not read delays nothing: what its socket does not take at once is sent
//! later, in order, by a thread that waits for it.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// How many messages may wait for the manager. The oldest ones are dropped, because the last ones
/// tell how it is now.
const WAITING_MAX: usize = 64;

/// What has to be sent before anything else. `None` if no thread sends.
static WAITING: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// The program serves by a plan that is in force.
pub fn ready(status: &impl Display) {
    tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// The configuration file is about to be read again. [`ready`] has to follow, with the result.
pub fn reloading() {
    // From the time systemd knows which of its requests this answers.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The program accepts no more clients and is about to end.
pub fn stopping(status: &impl Display) {
    tell(&[NotifyState::Stopping, NotifyState::Status(&line(status))]);
}

/// All workers turn. If it can't be sent at once it is dropped, because the next one follows soon.
pub(super) fn alive() {
    if waiting().is_none() {
        let _ = Manager::find().map(|manager| manager.send(&text(&[NotifyState::Watchdog])));
    }
}

/// The time within which the manager wants to hear [`alive`], if it wants to.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

/// Sends this now, or after what waits. A manager that is gone is told nothing.
fn tell(states: &[NotifyState]) {
    let text = text(states);
    let mut waiting = waiting();
    if let Some(queue) = &mut *waiting {
        if queue.len() >= WAITING_MAX {
            queue.pop_front();
        }
        queue.push_back(text);
        return;
    }
    let Some(manager) = Manager::find() else { return };
    if manager.send(&text).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
        let thread = thread::Builder::new().name("manager".to_owned());
        if thread.spawn(move || manager.send_waiting()).is_ok() {
            *waiting = Some(VecDeque::from([text]));
        }
    }
}

fn waiting() -> MutexGuard<'static, Option<VecDeque<String>>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The socket of the manager.
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    fn find() -> Option<Self> {
        let address = address(&env::var_os("NOTIFY_SOCKET")?).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, address })
    }

    /// Fails with [`io::ErrorKind::WouldBlock`] if the socket is full.
    fn send(&self, text: &str) -> io::Result<usize> {
        self.socket.send_to_addr(text.as_bytes(), &self.address)
    }

    /// Sends all that waits, however long that takes.
    fn send_waiting(&self) {
        let _ = self.socket.set_nonblocking(false);
        while let Some(text) = next_waiting() {
            let _ = self.send(&text);
        }
    }
}

/// The next message for the thread, which ends if there is none.
fn next_waiting() -> Option<String> {
    let mut waiting = waiting();
    let next = waiting.as_mut().and_then(VecDeque::pop_front);
    if next.is_none() {
        *waiting = None;
    }
    next
}

/// A path, or an abstract name behind an `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn text(states: &[NotifyState]) -> String {
    states.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A message as one line, because each line of a datagram is a state of its own.
fn line(status: &impl Display) -> String {
    status.to_string().trim().replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_whatever_is_in_it() {
        assert_eq!(line(&"a\nREADY=1\r\n"), "a READY=1");
    }

    #[test]
    fn a_socket_has_a_path_or_an_abstract_name() {
        let path = address("/run/notify".as_ref()).unwrap();
        assert_eq!(path.as_pathname(), Some("/run/notify".as_ref()));
        assert_eq!(address("@a/b".as_ref()).unwrap().as_abstract_name(), Some(&b"a/b"[..]));
    }
}
