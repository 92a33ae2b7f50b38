//! A client: one session after the other, at its share of the rate, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;

use super::client_session::ClientSession;
use super::clock::{Clock, Stop};
use super::judge::Claim;
use super::kind::Kind;

/// A client that is further behind its rate than this does not catch up with the rest.
const MOST_BEHIND: Duration = Duration::from_secs(1);

/// The pause after a connection that could not be made.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// One session in so many only connects.
const SILENT_ONE_IN: u32 = 50;

/// What came of a session.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What was seen of each request.
    Claims(Vec<Claim>),
    /// The proxy could not be reached.
    Unreachable { proxy: usize, error: io::Error },
}

/// What a client needs.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) clock: Clock,
    pub(super) stop: Stop,
    pub(super) rng: Rng,
    /// The proxies to choose from, each as often as it should be chosen.
    pub(super) proxies: Vec<(usize, SocketAddr)>,
    /// Between two requests.
    pub(super) interval: Duration,
    /// Counts the tokens of all clients.
    pub(super) tokens: Arc<AtomicU64>,
    pub(super) outcomes: Sender<Outcome>,
}

impl Client {
    /// # Errors
    /// There is no thread for it.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("client".to_owned()).spawn(|| self.run())
    }

    fn run(mut self) {
        let mut due = self.clock.elapsed();
        loop {
            let now = self.clock.elapsed();
            due = due.max(now.saturating_sub(MOST_BEHIND));
            if self.stop.wait(due.saturating_sub(now)) {
                return;
            }
            let requests = self.session();
            due += self.interval * requests.max(1);
        }
    }

    /// Has one session with some proxy, and tells of it: how many requests it had.
    fn session(&mut self) -> u32 {
        let proxy = self.proxies[self.rng.usize(..self.proxies.len())];
        let kind = Kind::random(&mut self.rng);
        let most = kind.length(&mut self.rng) as usize;
        let mut claims = Vec::new();
        let is_silent = self.rng.u32(..SILENT_ONE_IN) == 0;
        match ClientSession::open(proxy, self.clock, &mut self.rng, &mut claims) {
            Ok(_) if is_silent => return 1,
            Ok(session) => {
                let tokens = || Some(self.tokens.fetch_add(1, Ordering::Relaxed));
                session.run(kind, std::iter::from_fn(tokens).take(most));
            }
            Err(error) => {
                self.tell(Outcome::Unreachable { proxy: proxy.0, error });
                self.stop.wait(RETRY_PAUSE);
                return 1;
            }
        }
        let requests = claims.len();
        self.tell(Outcome::Claims(claims));
        u32::try_from(requests).unwrap_or(u32::MAX)
    }

    fn tell(&self, outcome: Outcome) {
        // It fails only if the soak was given up.
        let _ = self.outcomes.send(outcome);
    }
}
