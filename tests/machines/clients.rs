//! Clients that ask on and on, and count what becomes of their requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::clock::{now, pause, until};

/// Clients that ask at the same time.
pub(crate) const CLIENTS: usize = 8;

/// A POST, because it is not sent again by anyone.
const REQUEST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// How long clients wait.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For an answer.
    pub(crate) answer: Duration,
}

impl Patience {
    /// They give up soon and ask again, so that they notice at once when the service is back.
    pub(crate) const SHORT: Self =
        Self { connect: Duration::from_millis(250), answer: Duration::from_secs(4) };
    /// They wait as any client does.
    pub(crate) const USUAL: Self =
        Self { connect: Duration::from_secs(30), answer: Duration::from_secs(30) };
}

/// What became of one client's requests.
#[derive(Default)]
pub(crate) struct Tally {
    /// When each answer with status 200 came.
    pub(crate) answers: Vec<Instant>,
    /// Requests that were sent and got no whole answer.
    pub(crate) lost: usize,
    /// Attempts to connect that failed.
    pub(crate) refused: usize,
    /// Other answers.
    pub(crate) wrong: Vec<String>,
    /// How often that began, after a request that was answered.
    outages: usize,
    is_served: bool,
}

/// Where the next connection is to be made.
type Choose = dyn Fn() -> SocketAddr + Send + Sync;

/// Clients, each with a connection that it keeps as long as it may.
pub(crate) struct Clients {
    threads: Vec<JoinHandle<Tally>>,
    ends: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
}

impl Clients {
    pub(crate) fn start(
        choose: impl Fn() -> SocketAddr + Send + Sync + 'static,
        patience: Patience,
    ) -> Self {
        let (ends, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let choose: Arc<Choose> = Arc::new(choose);
        let threads = (0..CLIENTS).map(|_| {
            let (choose, ends, served) =
                (Arc::clone(&choose), Arc::clone(&ends), Arc::clone(&served));
            thread::spawn(move || {
                let mut tally = Tally::default();
                let mut connection = None;
                while !ends.load(Ordering::Relaxed) {
                    connection = tally.ask(connection, &*choose, patience);
                    served.fetch_add(usize::from(connection.is_some()), Ordering::Relaxed);
                }
                tally
            })
        });
        Self { threads: threads.collect(), ends, served }
    }

    /// Waits until so many more requests have been answered on connections that are kept.
    pub(crate) fn serves(&self, more: usize) {
        let before = self.served.load(Ordering::Relaxed);
        until("more requests", || {
            (self.served.load(Ordering::Relaxed) >= before + more).then_some(())
        });
    }

    /// What became of the requests of each, once they have ended.
    pub(crate) fn end(self) -> Vec<Tally> {
        self.ends.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

impl Tally {
    /// Makes one request, on this connection or a new one; gives the connection if it is kept.
    fn ask(
        &mut self,
        kept: Option<TcpStream>,
        choose: &Choose,
        patience: Patience,
    ) -> Option<TcpStream> {
        let connect = || TcpStream::connect_timeout(&choose(), patience.connect).ok();
        let Some(mut connection) = kept.or_else(connect) else {
            self.refused += 1;
            return self.failed();
        };
        connection.set_read_timeout(Some(patience.answer)).unwrap();
        let Some(answer) = exchange(&mut connection) else {
            self.lost += 1;
            return self.failed();
        };
        if !answer.starts_with("http/1.1 200 ") {
            self.wrong.push(answer);
            return self.failed();
        }
        self.is_served = true;
        self.answers.push(now());
        (!answer.contains("\r\nconnection: close\r\n")).then_some(connection)
    }

    fn failed(&mut self) -> Option<TcpStream> {
        self.outages += usize::from(self.is_served);
        self.is_served = false;
        // As a client that tries again does.
        pause(Duration::from_millis(5));
        None
    }
}

/// Sends the request, and reads its whole answer, which is given in lower case.
fn exchange(connection: &mut TcpStream) -> Option<String> {
    connection.write_all(REQUEST.as_bytes()).ok()?;
    let (mut text, mut block) = (String::new(), [0; 4096]);
    loop {
        let count = connection.read(&mut block).ok().filter(|count| *count > 0)?;
        text.push_str(&String::from_utf8_lossy(&block[..count]).to_ascii_lowercase());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split_once("\r\ncontent-length: ")?.1;
            let length: usize = length.lines().next()?.parse().ok()?;
            if body.len() >= length {
                return Some(text);
            }
        }
    }
}

/// That requests failed only while nobody was served, and no answer was a wrong one.
pub(crate) fn assert_one_outage(tallies: &[Tally]) {
    for tally in tallies {
        assert!(tally.outages <= 1, "a client is not served {} times", tally.outages);
        assert!(tally.wrong.is_empty(), "{:?}", tally.wrong);
    }
}

/// That each client lost what it had in flight in one moment at most.
pub(crate) fn assert_only_what_was_in_flight_is_lost(tallies: &[Tally]) {
    for tally in tallies {
        assert!(tally.lost <= 1, "{} requests of a client are lost", tally.lost);
    }
}

/// That all requests were answered, and all connections made.
pub(crate) fn assert_nothing_failed(tallies: &[Tally]) {
    for tally in tallies {
        assert_eq!((tally.lost, tally.refused), (0, 0), "lost and refused of a client");
        assert!(tally.wrong.is_empty(), "{:?}", tally.wrong);
    }
}

/// The longest time in which no client was answered.
pub(crate) fn outage(tallies: &[Tally]) -> Duration {
    let mut answers: Vec<_> = tallies.iter().flat_map(|tally| tally.answers.clone()).collect();
    answers.sort();
    let gaps = answers.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}
