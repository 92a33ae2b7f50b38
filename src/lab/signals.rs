//! Signals to the lab as a queue that can be waited on with a deadline.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator;

/// What a signal means to a tool that minds child processes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Notice {
    /// Somebody wants the lab to stop, by this signal.
    Stop(i32),
    /// Some child may have ended; several endings can share one notice.
    ChildEnded,
}

/// The queue. Signals that arrive before it is asked for are kept.
pub(super) struct Signals(Receiver<Notice>);

impl Signals {
    /// Takes over SIGINT, SIGTERM and SIGCHLD for the rest of the process's life.
    ///
    /// # Errors
    /// No handler could be installed, or no thread started.
    pub(super) fn watch() -> io::Result<Self> {
        let mut signals = iterator::Signals::new([SIGINT, SIGTERM, SIGCHLD])?;
        let (sender, receiver) = channel();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let notice =
                    if signal == SIGCHLD { Notice::ChildEnded } else { Notice::Stop(signal) };
                if sender.send(notice).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(receiver))
    }

    /// Waits for the next notice; `None` if none came within `patience`.
    pub(super) fn wait(&self, patience: Duration) -> Option<Notice> {
        self.0.recv_timeout(patience).ok()
    }
}
