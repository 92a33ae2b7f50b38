//! A client that sends what a script says and keeps every byte it is answered.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::script::Step;
use crate::support::clock::{now, pause};
use crate::wire::{self, Pace};
use strict::{Ending, Extent, Reader, Responses, responses};

/// How long `{{wait}}` waits for a response, and `{{wait100}}` for any.
const AWAIT_RESPONSE: Duration = Duration::from_secs(3);
const AWAIT_CONTINUE: Duration = Duration::from_millis(1500);

/// Silence after the last response that is due: nothing else may come.
const QUIET: Duration = Duration::from_millis(150);

/// Silence after a response when more are due: they are given up.
const QUIET_BEFORE_NEXT: Duration = Duration::from_millis(1500);

/// Silence in a tunnel.
const QUIET_TUNNEL: Duration = Duration::from_millis(400);

/// What came back so far.
#[derive(Clone)]
pub struct Received {
    pub bytes: Vec<u8>,
    pub ending: Option<Ending>,
    changed: Instant,
}

/// See the module's description.
pub struct Client<'a> {
    case: &'a Case,
    stream: Arc<TcpStream>,
    received: Arc<(Mutex<Received>, Condvar)>,
    listener: JoinHandle<()>,
}

impl<'a> Client<'a> {
    pub fn connect(address: SocketAddr, case: &'a Case) -> Self {
        let stream = Arc::new(TcpStream::connect(address).expect("the proxy accepts"));
        stream.set_nodelay(true).unwrap();
        let nothing = Received { bytes: Vec::new(), ending: None, changed: now() };
        let received = Arc::new((Mutex::new(nothing), Condvar::new()));
        let listener = {
            let (stream, received) = (Arc::clone(&stream), Arc::clone(&received));
            thread::spawn(move || listen(&stream, &received))
        };
        Self { case, stream, received, listener }
    }

    /// Plays the case, waits for what it leads to, and says what came; `None` if the script resets
    /// the connection.
    pub fn play(self, pace: Pace) -> Option<Received> {
        let mut responses_due = 0;
        let mut skipping = false;
        for step in &self.case.request {
            match step {
                Step::Else => skipping = false,
                _ if skipping => {}
                // The proxy may have closed the connection: what it said counts.
                Step::Send(bytes) => drop(wire::send(&self.stream, bytes, pace)),
                Step::Drip(bytes, interval) => drop(wire::drip(&self.stream, bytes, *interval)),
                Step::Finish => drop(self.stream.shutdown(Shutdown::Write)),
                Step::Pause(duration) => pause(*duration),
                Step::AwaitResponse => {
                    responses_due += 1;
                    self.wait(AWAIT_RESPONSE, |seen| whole(seen) >= responses_due);
                }
                Step::AwaitContinue => {
                    let any = |seen: &Responses| !seen.interims.is_empty() || is_final(seen);
                    self.wait(AWAIT_CONTINUE, any);
                    skipping = is_final(&self.seen());
                }
                Step::Reset => {
                    self.reset();
                    return None;
                }
                other => panic!("no client can {other:?}"),
            }
        }
        self.wait_for_end();
        let received = self.received.0.lock().unwrap().clone();
        let _ = self.stream.shutdown(Shutdown::Both);
        Some(received)
    }

    fn reader(&self, ending: Option<Ending>) -> Reader<'_> {
        Reader { methods: &self.case.methods, ending, is_http10: self.case.is_http10 }
    }

    fn seen(&self) -> Responses {
        let received = self.received.0.lock().unwrap();
        responses(&received.bytes, self.reader(received.ending))
    }

    /// Waits until `enough` was seen, the stream ended or `limit` is over.
    fn wait(&self, limit: Duration, enough: impl Fn(&Responses) -> bool) {
        let deadline = now() + limit;
        let (received, changed) = &*self.received;
        let mut guard = received.lock().unwrap();
        while guard.ending.is_none() && !enough(&responses(&guard.bytes, self.reader(None))) {
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return;
            }
            guard = changed.wait_timeout(guard, left).unwrap().0;
        }
    }

    /// Waits until the stream ended, or until it was quiet for as long as what was seen demands.
    fn wait_for_end(&self) {
        let deadline = now() + self.case.wait;
        let (received, changed) = &*self.received;
        let mut guard = received.lock().unwrap();
        while guard.ending.is_none() {
            let seen = responses(&guard.bytes, self.reader(None));
            let quiet_enough = self.quiet(&seen).map(|quiet| guard.changed + quiet);
            let until = quiet_enough.map_or(deadline, |quiet| quiet.min(deadline));
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return;
            }
            guard = changed.wait_timeout(guard, left).unwrap().0;
        }
    }

    /// How long a silence means that nothing more will come. A connection that has to be closed is
    /// waited for.
    fn quiet(&self, seen: &Responses) -> Option<Duration> {
        let last = seen.finals.last()?;
        if self.case.expect.closes == Some(true) {
            None
        } else if last.extent == Extent::Tunnel {
            Some(QUIET_TUNNEL)
        } else if whole(seen) >= self.case.methods.len() {
            Some(QUIET)
        } else {
            last.is_whole.then_some(QUIET_BEFORE_NEXT)
        }
    }

    /// Resets the connection, which takes that nobody holds it any more.
    fn reset(self) {
        wire::reset_on_drop(&self.stream);
        let _ = self.stream.shutdown(Shutdown::Read);
        self.listener.join().unwrap();
    }
}

fn whole(seen: &Responses) -> usize {
    seen.finals.iter().filter(|response| response.is_whole).count()
}

fn is_final(seen: &Responses) -> bool {
    seen.finals.iter().any(|response| response.status.is_some())
}

fn listen(mut stream: &TcpStream, received: &(Mutex<Received>, Condvar)) {
    let mut block = [0; 16 * 1024];
    loop {
        let result = stream.read(&mut block);
        let mut guard = received.0.lock().unwrap();
        match result {
            Ok(0) => guard.ending = Some(Ending::Finished),
            Ok(count) => guard.bytes.extend(&block[..count]),
            Err(_) => guard.ending = Some(Ending::Reset),
        }
        guard.changed = now();
        received.1.notify_all();
        if guard.ending.is_some() {
            return;
        }
    }
}
