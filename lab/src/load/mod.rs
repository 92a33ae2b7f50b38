//! An open-loop client: it sends requests at a fixed rate, regardless of the answers.
//!
//! A client that waits for an answer before its next request sends fewer requests while a server
//! stalls, and so hardly measures the stall (Gil Tene: "coordinated omission"). Here every request
//! has an intended start, from which its latency counts, also if it was sent later because all
//! connections were waiting.
//!
//! It runs on one thread, on the proxy's reactor.

mod answer;
mod report;
mod schedule;
mod target;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use thiserror::Error;

pub use report::Report;
pub use target::Target;

use super::ticker::Ticker;
use answer::{Answer, Answers};
use schedule::Schedule;
use tidegate::reactor::{
    Event, Key, Lists, Poller, Readiness, Received, Slots, Stream, descriptors,
};

const TICKER: Key = Key::fixed(0, 0);
const CONNECTIONS: u8 = 1;

const IDLE: usize = 0;

const EVENTS_PER_TURN: usize = 1024;

const READ_BYTES: usize = 64 * 1024;

/// How long to wait for answers after the last request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often progress is reported.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);

/// Latencies have three digits and are at most a minute.
const DIGITS: u8 = 3;
const LONGEST_US: u64 = 60_000_000;

/// What to send.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The URL.
    pub target: Target,
    /// Requests per second, at least one.
    pub per_second: u32,
    /// Connections, at least one; each has one request at a time.
    pub connections: u32,
    /// How long to send requests.
    pub seconds: u32,
}

/// The progress of a load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The time since it began.
    pub elapsed: Duration,
    /// Requests that were due so far.
    pub asked: u64,
    /// Those of them that got a status below 400.
    pub answered: u64,
    /// Those of them whose connection broke, or that got a status of 400 or more.
    pub errors: u64,
}

/// Why no request was sent.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// No connection was accepted.
    #[error("no server answers at {0}: {1}")]
    Unreachable(SocketAddr, io::Error),
    /// A system call failed.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Sends requests as planned and returns the result; `progress` is called every second, and delays
/// the load for as long as it runs.
///
/// # Errors
/// The target does not accept a connection at the start. Later failures are counted.
pub fn load(plan: &Plan, progress: &mut dyn FnMut(Progress)) -> Result<Report, LoadError> {
    descriptors::raise_limit()?;
    let address = reachable(&plan.target)?;
    Load::new(plan, address)?.run(plan, progress)
}

/// The first address that accepts a connection.
fn reachable(target: &Target) -> Result<SocketAddr, LoadError> {
    let mut failure = LoadError::NoAddress(target.authority());
    for address in target.addresses()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(address),
            Err(error) => failure = LoadError::Unreachable(address, error),
        }
    }
    Err(failure)
}

struct Load {
    poller: Poller,
    ticker: Ticker,
    address: SocketAddr,
    request: Vec<u8>,
    schedule: Schedule,
    /// Intended starts of requests that wait for a connection.
    waiting: VecDeque<Instant>,
    connections: Slots<Connection>,
    /// One list: the connections that wait for a request, the one used last at its end.
    idle: Lists,
    latencies: Histogram<u64>,
    errors: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

struct Connection {
    stream: Stream,
    answers: Answers,
    /// The intended start of the request in flight.
    asked: Option<Instant>,
    /// How many bytes of it have been sent.
    sent: usize,
}

/// The result of serving one connection.
enum Turn {
    Waits,
    Answered(Answer),
    Over,
}

impl Load {
    fn new(plan: &Plan, address: SocketAddr) -> Result<Self, LoadError> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let ticker = Ticker::new(TICKER, &poller)?;
        let schedule = Schedule::new(poller.now(), plan.per_second, plan.seconds);
        // The bounds are valid, so it can't fail.
        let latencies =
            Histogram::new_with_bounds(1, LONGEST_US, DIGITS).map_err(io::Error::other)?;
        let mut load = Self {
            poller,
            ticker,
            address,
            request: plan.target.request(),
            schedule,
            waiting: VecDeque::new(),
            connections: Slots::new(CONNECTIONS),
            idle: Lists::new(1),
            latencies,
            errors: 0,
            bytes: 0,
            buffer: vec![0; READ_BYTES],
        };
        for _ in 0..plan.connections {
            load.open()?;
        }
        load.ticker.wake_at(load.poller.now())?;
        Ok(load)
    }

    fn open(&mut self) -> io::Result<()> {
        let (poller, address) = (&self.poller, self.address);
        let key = self.connections.try_insert_with(|key| {
            let stream = Stream::connect(&address.into(), key, poller)?;
            io::Result::Ok(Connection { stream, answers: Answers::default(), asked: None, sent: 0 })
        })?;
        self.idle.push(IDLE, key);
        Ok(())
    }

    fn run(mut self, plan: &Plan, progress: &mut dyn FnMut(Progress)) -> Result<Report, LoadError> {
        let begin = self.poller.now();
        let mut next_telling = begin;
        let end = begin + Duration::from_secs(plan.seconds.into()) + PATIENCE;
        // The ticker wakes the loop while there are requests to start, this one afterwards.
        self.poller.timers().wake_at(TICKER, end);
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        while !self.is_done() {
            let now = self.poller.turn(&mut events, false)?;
            if now >= end {
                break;
            }
            if now >= next_telling {
                progress(self.progress(now - begin));
                next_telling += PROGRESS_PERIOD;
                self.poller.timers().wake_at(TICKER, next_telling);
            }
            for event in &events {
                if let Event::Ready { key, readiness } = *event
                    && key != TICKER
                {
                    self.ready(key, readiness, now)?;
                }
            }
            self.start_due(now)?;
        }
        let total = self.schedule.total();
        let unanswered = total - self.latencies.len() - self.errors;
        let took = self.poller.now() - begin;
        let Self { errors, bytes, latencies, .. } = self;
        Ok(Report { errors, unanswered, took, bytes, latencies })
    }

    fn progress(&self, elapsed: Duration) -> Progress {
        let answered = self.latencies.len();
        Progress { elapsed, asked: self.schedule.due(), answered, errors: self.errors }
    }

    fn is_done(&self) -> bool {
        self.latencies.len() + self.errors == self.schedule.total()
    }

    fn start_due(&mut self, now: Instant) -> io::Result<()> {
        let mut has_started = false;
        while let Some(start) = self.schedule.take_due(now) {
            self.waiting.push_back(start);
            has_started = true;
        }
        // If nothing was started, the ticker is still set for the next start.
        if has_started && let Some(next) = self.schedule.next() {
            self.ticker.wake_at(next)?;
        }
        while !self.waiting.is_empty()
            && let Some(key) = self.idle.pop_last(IDLE)
        {
            // A connection that was closed while idle has been replaced.
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.asked = self.waiting.pop_front();
            connection.sent = 0;
            self.advance(key, now)?;
        }
        Ok(())
    }

    fn ready(&mut self, key: Key, readiness: Readiness, now: Instant) -> io::Result<()> {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.stream.note(readiness);
            self.advance(key, now)?;
        }
        Ok(())
    }

    /// Sends and receives on one connection as much as possible.
    fn advance(&mut self, key: Key, now: Instant) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        // A connection that fails is treated like one that ends.
        let turn = connection.advance(&self.request, &mut self.buffer, &mut self.bytes);
        match turn.unwrap_or(Turn::Over) {
            Turn::Waits => Ok(()),
            Turn::Answered(answer) => {
                if let Some(asked) = connection.asked.take() {
                    self.count(answer.status, now - asked);
                }
                if answer.keep_alive {
                    self.idle.push(IDLE, key);
                    return Ok(());
                }
                self.connections.remove(key);
                self.open()
            }
            Turn::Over => {
                let was_asked = connection.asked.is_some();
                self.errors += u64::from(was_asked);
                self.connections.remove(key);
                self.idle.remove(key);
                self.open()
            }
        }
    }

    fn count(&mut self, status: u16, latency: Duration) {
        if status >= 400 {
            self.errors += 1;
        } else {
            let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(us.max(1));
        }
    }
}

impl Connection {
    /// Sends and receives as much as possible, and adds to `bytes` what it received.
    fn advance(&mut self, request: &[u8], buffer: &mut [u8], bytes: &mut u64) -> io::Result<Turn> {
        if self.asked.is_some() && self.sent < request.len() && self.stream.can_write() {
            self.sent += self.stream.write([&request[self.sent..], &[]])?.unwrap_or(0);
        }
        while self.stream.can_read() {
            match self.stream.read(buffer)? {
                Received::Nothing => break,
                Received::End => {
                    return Ok(self.answers.end().map_or(Turn::Over, Turn::Answered));
                }
                // There is no request to which these bytes could be the answer.
                Received::Bytes(_) if self.asked.is_none() => return Ok(Turn::Over),
                Received::Bytes(count) => {
                    *bytes += count as u64;
                    match self.answers.receive(&buffer[..count]) {
                        Ok(None) => {}
                        Ok(Some(answer)) => return Ok(Turn::Answered(answer)),
                        Err(_) => return Ok(Turn::Over),
                    }
                }
            }
        }
        Ok(Turn::Waits)
    }
}

#[cfg(test)]
mod tests;
