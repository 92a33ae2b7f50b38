//! A client: one conversation after the other, at its share of the rate, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;

use super::clock::{Clock, Stop};
use super::judge::Claim;
use super::kind::Kind;
use super::talk::Talk;

/// A client that is this far behind its rate gives up catching up.
const MOST_BEHIND: Duration = Duration::from_secs(1);

/// After a connection that could not be made.
const PAUSE: Duration = Duration::from_millis(200);

/// One conversation in so many only connects.
const SILENT_ONE_IN: u32 = 50;

/// What clients tell.
#[derive(Debug)]
pub(super) enum Told {
    Claims(Vec<Claim>),
    /// A proxy could not be reached.
    Unreachable {
        proxy: usize,
        error: io::Error,
    },
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
    pub(super) told: Sender<Told>,
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
            if self.stop.rest(due.saturating_sub(now)) {
                return;
            }
            let requests = self.converse();
            due += self.interval * requests.max(1);
        }
    }

    /// Has one conversation with some proxy, and tells of it: how many requests it had.
    fn converse(&mut self) -> u32 {
        let place = self.proxies[self.rng.usize(..self.proxies.len())];
        let kind = Kind::random(&mut self.rng);
        let most = kind.length(&mut self.rng) as usize;
        let mut claims = Vec::new();
        let is_silent = self.rng.u32(..SILENT_ONE_IN) == 0;
        match Talk::open(place, self.clock, &mut self.rng, &mut claims) {
            Ok(_) if is_silent => return 1,
            Ok(talk) => {
                let tokens = || Some(self.tokens.fetch_add(1, Ordering::Relaxed));
                talk.play(kind, std::iter::from_fn(tokens).take(most));
            }
            Err(error) => {
                self.tell(Told::Unreachable { proxy: place.0, error });
                self.stop.rest(PAUSE);
                return 1;
            }
        }
        let requests = claims.len();
        self.tell(Told::Claims(claims));
        u32::try_from(requests).unwrap_or(u32::MAX)
    }

    fn tell(&self, told: Told) {
        // Nobody listens any more only when the soak was given up.
        let _ = self.told.send(told);
    }
}
