//! Signals to the lab as a queue that can be waited on with a timeout.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

/// A signal this soon after the first is the same one: `timeout` sends it to a program and then to
/// its group.
const ECHO: Duration = Duration::from_millis(250);

/// What a signal means to a program that has children.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Notice {
    /// The lab is to stop, by this signal.
    Stop(i32),
    /// One or several children may have ended.
    ChildEnded,
}

/// The queue. Signals are kept in it until they are asked for.
pub(super) struct Signals(Receiver<Notice>);

impl Signals {
    /// Handles SIGINT, SIGTERM and SIGCHLD from now on, and SIGHUP, which is sent when the terminal
    /// is closed, unless `nohup` has it ignored.
    ///
    /// # Errors
    /// A handler could not be installed, or a thread not started.
    pub(super) fn watch() -> io::Result<Self> {
        let mut signals = iterator::Signals::new([SIGINT, SIGTERM, SIGCHLD])?;
        if !is_ignored(SIGHUP) {
            signals.add_signal(SIGHUP)?;
        }
        let (sender, receiver) = channel();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut stopping: Option<Instant> = None;
            for signal in signals.forever() {
                let notice = match stopping {
                    _ if signal == SIGCHLD => Notice::ChildEnded,
                    Some(since) if since.elapsed() < ECHO => continue,
                    _ => Notice::Stop(signal),
                };
                if notice != Notice::ChildEnded {
                    stopping.get_or_insert_with(read_clock);
                }
                if sender.send(notice).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(receiver))
    }

    /// Waits for the next notice, for at most `patience`.
    pub(super) fn wait(&self, patience: Duration) -> Option<Notice> {
        self.0.recv_timeout(patience).ok()
    }
}

/// Whether this process was started with a signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign >> (signal - 1) & 1 == 1)
}

#[expect(clippy::disallowed_methods, reason = "the lab may read the clock")]
fn read_clock() -> Instant {
    Instant::now()
}
