//! A client that sends what a script says and keeps every byte it receives.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::patience::{AWAIT_CONTINUE, AWAIT_RESPONSE, is_any, is_final, quiet, reader, whole};
use crate::script::Step;
use crate::wire::{self, Pace};
use strict::{Ending, Responses, responses};
use support::clock::{now, pause};

/// What was received.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Received {
    pub bytes: Vec<u8>,
    pub ending: Option<Ending>,
}

/// What was received so far, and when the last byte arrived.
struct Progress {
    received: Received,
    changed: Instant,
}

/// See the module's description.
pub struct Client<'a> {
    case: &'a Case,
    stream: Arc<TcpStream>,
    progress: Arc<(Mutex<Progress>, Condvar)>,
    listener: JoinHandle<()>,
}

impl<'a> Client<'a> {
    pub fn connect(address: SocketAddr, case: &'a Case) -> Self {
        let stream = Arc::new(TcpStream::connect(address).expect("the proxy accepts"));
        stream.set_nodelay(true).unwrap();
        let nothing = Progress { received: Received::default(), changed: now() };
        let progress = Arc::new((Mutex::new(nothing), Condvar::new()));
        let listener = {
            let (stream, progress) = (Arc::clone(&stream), Arc::clone(&progress));
            thread::spawn(move || listen(&stream, &progress))
        };
        Self { case, stream, progress, listener }
    }

    /// Plays the case, waits for its responses, and returns what was received; `None` if the script
    /// resets the connection.
    pub fn play(self, pace: Pace) -> Option<Received> {
        let mut responses_due = 0;
        let mut skipping = false;
        for step in &self.case.request {
            match step {
                Step::Else => skipping = false,
                _ if skipping => {}
                // The proxy may have closed the connection; what it sent counts.
                Step::Send(bytes) => drop(wire::send(&self.stream, bytes, pace)),
                Step::Drip(bytes, interval) => drop(wire::drip(&self.stream, bytes, *interval)),
                Step::Finish => drop(self.stream.shutdown(Shutdown::Write)),
                Step::Pause(duration) => pause(*duration),
                Step::AwaitResponse => {
                    responses_due += 1;
                    self.wait(AWAIT_RESPONSE, |seen| whole(seen) >= responses_due);
                }
                Step::AwaitContinue => {
                    self.wait(AWAIT_CONTINUE, is_any);
                    skipping = is_final(&self.seen());
                }
                Step::Reset => {
                    self.reset();
                    return None;
                }
                other => panic!("a client can't do {other:?}"),
            }
        }
        self.wait_for_end();
        let received = self.progress.0.lock().unwrap().received.clone();
        let _ = self.stream.shutdown(Shutdown::Both);
        Some(received)
    }

    fn seen(&self) -> Responses {
        let Received { bytes, ending } = &self.progress.0.lock().unwrap().received;
        responses(bytes, reader(self.case, *ending))
    }

    /// Waits until `enough` was received, the stream ended or `limit` is over.
    fn wait(&self, limit: Duration, enough: impl Fn(&Responses) -> bool) {
        let deadline = now() + limit;
        let (progress, changed) = &*self.progress;
        let mut guard = progress.lock().unwrap();
        let is_enough = |received: &Received| {
            received.ending.is_some()
                || enough(&responses(&received.bytes, reader(self.case, None)))
        };
        while !is_enough(&guard.received) {
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return;
            }
            guard = changed.wait_timeout(guard, left).unwrap().0;
        }
    }

    /// Waits until the stream ended, or until nothing came for as long as the responses require.
    fn wait_for_end(&self) {
        let deadline = now() + self.case.wait;
        let (progress, changed) = &*self.progress;
        let mut guard = progress.lock().unwrap();
        while guard.received.ending.is_none() {
            let seen = responses(&guard.received.bytes, reader(self.case, None));
            let quiet_enough = quiet(self.case, &seen).map(|quiet| guard.changed + quiet);
            let until = quiet_enough.map_or(deadline, |quiet| quiet.min(deadline));
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return;
            }
            guard = changed.wait_timeout(guard, left).unwrap().0;
        }
    }

    /// Resets the connection, for which every handle of it has to be dropped.
    fn reset(self) {
        wire::reset_on_drop(&self.stream);
        let _ = self.stream.shutdown(Shutdown::Read);
        self.listener.join().unwrap();
    }
}

fn listen(mut stream: &TcpStream, progress: &(Mutex<Progress>, Condvar)) {
    let mut block = [0; 16 * 1024];
    loop {
        let result = stream.read(&mut block);
        let mut guard = progress.0.lock().unwrap();
        match result {
            Ok(0) => guard.received.ending = Some(Ending::Finished),
            Ok(count) => guard.received.bytes.extend(&block[..count]),
            Err(_) => guard.received.ending = Some(Ending::Reset),
        }
        guard.changed = now();
        progress.1.notify_all();
        if guard.received.ending.is_some() {
            return;
        }
    }
}
