//! What other threads tell running backends.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use tidegate::reactor::Waker;

/// A command to running backends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Command {
    /// Scripts begin at this time; drifting speeds are drawn by this seed.
    Begin(SystemTime, u64),
    Stop,
}

/// Tells running backends what to do, from other threads.
#[derive(Clone, Debug)]
pub struct Remote {
    sender: Sender<Command>,
    waker: Waker,
}

impl Remote {
    pub(super) fn new(waker: Waker) -> (Self, Receiver<Command>) {
        let (sender, receiver) = channel();
        (Self { sender, waker }, receiver)
    }

    /// Sets time zero of scripts and counts. Speeds that drift do so by `seed`.
    ///
    /// # Errors
    /// They can't be woken.
    pub fn begin(&self, at: SystemTime, seed: u64) -> io::Result<()> {
        self.send(Command::Begin(at, seed))
    }

    /// Makes `run` return.
    ///
    /// # Errors
    /// They can't be woken.
    pub fn stop(&self) -> io::Result<()> {
        self.send(Command::Stop)
    }

    fn send(&self, command: Command) -> io::Result<()> {
        // Backends that have ended need no command.
        let _ = self.sender.send(command);
        self.waker.wake()
    }
}
