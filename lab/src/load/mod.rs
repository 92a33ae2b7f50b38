//! An open-loop client: it sends requests at a fixed rate, regardless of the answers.
//!
//! A client that waits for an answer before its next request sends fewer requests while a server
//! stalls, and so hardly measures the stall (Gil Tene: "coordinated omission"). Here every request
//! has an intended start, from which its latency counts, also if it was sent later because all
//! connections were waiting.
//!
//! It runs on one thread, on the proxy's reactor. What it sends, and when, is up to a `Traffic`:
//! here the same request at a fixed rate, in the arena the load of a scenario.

mod answer;
mod engine;
mod report;
mod schedule;
mod target;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use thiserror::Error;

pub use report::Report;
pub use target::Target;

pub(crate) use engine::{End, Engine, Traffic};
use schedule::Schedule;

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
    /// Connections at most, at least one; each has one request at a time.
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
    let address = reachable(&plan.target)?;
    let mut engine = Engine::new(&[address], plan.connections as usize)?;
    let begin = engine.now();
    let mut steady = Steady::new(plan, begin, progress)?;
    engine.run(&mut steady)?;
    let Steady { schedule, errors, latencies, .. } = steady;
    let unanswered = schedule.total() - latencies.len() - errors;
    let (took, bytes) = (engine.now() - begin, engine.bytes());
    Ok(Report { errors, unanswered, took, bytes, latencies })
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

/// The same request at a fixed rate.
struct Steady<'a> {
    request: Vec<u8>,
    schedule: Schedule,
    begin: Instant,
    /// When to give up.
    end: Instant,
    progress: &'a mut dyn FnMut(Progress),
    next_telling: Instant,
    latencies: Histogram<u64>,
    errors: u64,
}

impl<'a> Steady<'a> {
    fn new(
        plan: &Plan,
        begin: Instant,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        // The bounds are valid, so it can't fail.
        let latencies =
            Histogram::new_with_bounds(1, LONGEST_US, DIGITS).map_err(io::Error::other)?;
        let mut steady = Self {
            request: plan.target.request(),
            schedule: Schedule::new(begin, plan.per_second, plan.seconds),
            begin,
            end: begin + Duration::from_secs(plan.seconds.into()) + PATIENCE,
            progress,
            next_telling: begin,
            latencies,
            errors: 0,
        };
        steady.tell(begin);
        Ok(steady)
    }

    /// Tells the progress, if it is time.
    fn tell(&mut self, now: Instant) {
        if now >= self.next_telling {
            let (asked, answered) = (self.schedule.taken(), self.latencies.len());
            let elapsed = now - self.begin;
            (self.progress)(Progress { elapsed, asked, answered, errors: self.errors });
            self.next_telling += PROGRESS_PERIOD;
        }
    }
}

impl Traffic for Steady<'_> {
    /// The intended start.
    type Ticket = Instant;

    fn next_start(&self) -> Option<Instant> {
        self.schedule.next()
    }

    fn take(&mut self, start: Instant) -> (usize, Instant) {
        self.schedule.advance();
        (0, start)
    }

    fn send(&mut self, _: &Instant, _: Instant, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.request);
    }

    fn ended(&mut self, start: Instant, end: End, now: Instant) {
        match end {
            End::Answered(..400) => {
                let us = u64::try_from((now - start).as_micros()).unwrap_or(u64::MAX);
                self.latencies.saturating_record(us.max(1));
            }
            End::Unanswered => {}
            _ => self.errors += 1,
        }
    }

    fn settle(&mut self, now: Instant) -> Option<Instant> {
        self.tell(now);
        let is_over = self.latencies.len() + self.errors == self.schedule.total();
        (!is_over && now < self.end).then(|| self.next_telling.min(self.end))
    }
}

#[cfg(test)]
mod tests;
