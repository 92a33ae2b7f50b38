//! The client's event loop: it starts requests when they are due, over as many connections as they
//! need, and tells what became of each.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use super::super::ticker::Ticker;
use super::answer::{Answer, Answers};
use tidegate::endpoint::Endpoint;
use tidegate::reactor::{
    Event, Key, Lists, Poller, Readiness, Received, Slots, Stream, Waker, descriptors,
};

const TICKER: Key = Key::fixed(0, 0);
const CONNECTIONS: u8 = 1;

const EVENTS_PER_TURN: usize = 1024;

const READ_BYTES: usize = 64 * 1024;

/// What is to be requested, and what becomes of it.
pub(crate) trait Traffic {
    /// Names a request that has begun.
    type Ticket;

    /// The intended start of the next request; `None` if there is none for now.
    fn next_start(&self) -> Option<Instant>;

    /// Takes the next request, whose `start` has come; also the index of its target.
    fn take(&mut self, start: Instant) -> (usize, Self::Ticket);

    /// Adds the bytes of a request that is sent now.
    fn send(&mut self, ticket: &Self::Ticket, now: Instant, bytes: &mut Vec<u8>);

    /// A request has ended.
    fn ended(&mut self, ticket: Self::Ticket, end: End, now: Instant);

    /// Is called when all that has happened was told: until when it need not be called again,
    /// unless something happens. `None` ends the load.
    fn settle(&mut self, now: Instant) -> Option<Instant>;
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// It has a whole answer with this status.
    Answered(u16),
    /// No connection could be made.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection was closed before the answer was whole.
    Closed,
    /// What came is no answer.
    Invalid,
    /// It had no answer when the load was over.
    Unanswered,
}

impl End {
    /// Of a connection that has failed.
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Reset,
        }
    }
}

/// See the module. Each target has connections of its own, each with one request at a time.
pub(crate) struct Engine<T: Traffic> {
    poller: Poller,
    ticker: Ticker,
    /// For when the ticker is set.
    armed: Option<Instant>,
    targets: Vec<Target<T::Ticket>>,
    connections: Slots<Connection<T::Ticket>>,
    /// The idle connections of each target, the one used last at the end.
    idle: Lists,
    bytes: u64,
    buffer: Vec<u8>,
}

struct Target<T> {
    endpoint: Endpoint,
    /// Connections that it may have, beside those that it has.
    left: usize,
    /// Requests that wait for a connection.
    waiting: VecDeque<T>,
}

struct Connection<T> {
    stream: Stream,
    target: usize,
    answers: Answers,
    /// The request in flight.
    ticket: Option<T>,
    /// Its bytes, and how many of them have been sent.
    request: Vec<u8>,
    sent: usize,
}

/// The result of serving one connection.
enum Turn {
    Waits,
    Answered(Answer),
    Over(End),
}

impl<T: Traffic> Engine<T> {
    /// With so many connections to each target at most; a request beyond them waits.
    pub(crate) fn new(targets: &[SocketAddr], connections: usize) -> io::Result<Self> {
        descriptors::raise_limit()?;
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let ticker = Ticker::new(TICKER, &poller)?;
        let target = |address: &SocketAddr| Target {
            endpoint: (*address).into(),
            left: connections,
            waiting: VecDeque::new(),
        };
        Ok(Self {
            poller,
            ticker,
            armed: None,
            targets: targets.iter().map(target).collect(),
            connections: Slots::new(CONNECTIONS),
            idle: Lists::new(targets.len()),
            bytes: 0,
            buffer: vec![0; READ_BYTES],
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.poller.now()
    }

    /// What ends the load from another thread.
    pub(crate) fn stopper(&self) -> Waker {
        self.poller.waker()
    }

    /// Bytes received.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Runs until the traffic is over, and tells of what is unanswered then; or until the stopper
    /// is used: whether it is over.
    pub(crate) fn run(&mut self, traffic: &mut T) -> io::Result<bool> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        let mut now = self.poller.now();
        loop {
            self.start_due(traffic, now)?;
            let Some(look) = traffic.settle(now) else {
                self.abandon(traffic, now);
                return Ok(true);
            };
            self.arm(traffic.next_start().map_or(look, |start| start.min(look)), now)?;
            now = self.poller.turn(&mut events, false)?;
            for event in &events {
                match *event {
                    Event::Woken => return Ok(false),
                    Event::Ready { key, readiness } if key != TICKER => {
                        self.ready(key, readiness, traffic, now)?;
                    }
                    _ => {}
                }
            }
        }
    }

    /// Sets the ticker, unless it is set already.
    fn arm(&mut self, at: Instant, now: Instant) -> io::Result<()> {
        if self.armed.is_none_or(|armed| armed != at || armed <= now) {
            // This turn has taken a part of the time until then.
            self.ticker.set(at.saturating_duration_since(read_clock()))?;
            self.armed = Some(at);
        }
        Ok(())
    }

    fn start_due(&mut self, traffic: &mut T, now: Instant) -> io::Result<()> {
        while let Some(start) = traffic.next_start().filter(|start| *start <= now) {
            let (target, ticket) = traffic.take(start);
            self.targets[target].waiting.push_back(ticket);
            self.dispatch(target, traffic, now)?;
        }
        Ok(())
    }

    fn abandon(&mut self, traffic: &mut T, now: Instant) {
        let waiting = self.targets.iter_mut().flat_map(|target| target.waiting.drain(..));
        let connections = self.connections.keys().collect::<Vec<_>>().into_iter();
        let sent = connections.filter_map(|key| self.connections.remove(key)?.ticket);
        waiting.chain(sent).for_each(|ticket| traffic.ended(ticket, End::Unanswered, now));
    }

    /// Gives requests that wait to connections that are idle or may be made.
    fn dispatch(&mut self, target: usize, traffic: &mut T, now: Instant) -> io::Result<()> {
        while !self.targets[target].waiting.is_empty() {
            let key = match self.idle.pop_last(target) {
                Some(key) => key,
                None if self.targets[target].left > 0 => self.open(target)?,
                None => break,
            };
            if let Some(connection) = self.connections.get_mut(key)
                && let Some(ticket) = self.targets[target].waiting.pop_front()
            {
                connection.ask(ticket, traffic, now);
                self.advance(key, traffic, now);
            }
        }
        Ok(())
    }

    fn open(&mut self, target: usize) -> io::Result<Key> {
        let (poller, to) = (&self.poller, &mut self.targets[target]);
        to.left -= 1;
        self.connections.try_insert_with(|key| {
            let stream = Stream::connect(&to.endpoint, key, poller)?;
            let (answers, request) = (Answers::default(), Vec::new());
            Ok(Connection { stream, target, answers, ticket: None, request, sent: 0 })
        })
    }

    fn ready(
        &mut self,
        key: Key,
        readiness: Readiness,
        traffic: &mut T,
        now: Instant,
    ) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        connection.stream.note(readiness);
        let target = connection.target;
        self.advance(key, traffic, now);
        self.dispatch(target, traffic, now)
    }

    /// Sends and receives on one connection as much as possible.
    fn advance(&mut self, key: Key, traffic: &mut T, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let turn = connection.advance(&mut self.buffer, &mut self.bytes);
        let (end, is_kept) = match turn.unwrap_or_else(|error| Turn::Over(End::of(&error))) {
            Turn::Waits => return,
            Turn::Answered(answer) => (End::Answered(answer.status), answer.keep_alive),
            Turn::Over(end) => (end, false),
        };
        let (target, ticket) = (connection.target, connection.ticket.take());
        if is_kept {
            self.idle.push(target, key);
        } else {
            self.connections.remove(key);
            self.idle.remove(key);
            self.targets[target].left += 1;
        }
        if let Some(ticket) = ticket {
            traffic.ended(ticket, end, now);
        }
    }
}

impl<T> Connection<T> {
    fn ask(&mut self, ticket: T, traffic: &mut impl Traffic<Ticket = T>, now: Instant) {
        self.request.clear();
        self.sent = 0;
        traffic.send(&ticket, now, &mut self.request);
        self.ticket = Some(ticket);
    }

    /// Sends and receives as much as possible, and adds to `bytes` what it received.
    fn advance(&mut self, buffer: &mut [u8], bytes: &mut u64) -> io::Result<Turn> {
        if self.ticket.is_some() && self.sent < self.request.len() && self.stream.can_write() {
            self.sent += self.stream.write([&self.request[self.sent..], &[]])?.unwrap_or(0);
        }
        while self.stream.can_read() {
            match self.stream.read(buffer)? {
                Received::Nothing => break,
                Received::End => {
                    return Ok(self.answers.end().map_or(Turn::Over(End::Closed), Turn::Answered));
                }
                // There is no request to which these bytes could be the answer.
                Received::Bytes(_) if self.ticket.is_none() => return Ok(Turn::Over(End::Invalid)),
                Received::Bytes(count) => {
                    *bytes += count as u64;
                    match self.answers.receive(&buffer[..count]) {
                        Ok(None) => {}
                        Ok(Some(answer)) => return Ok(Turn::Answered(answer)),
                        Err(_) => return Ok(Turn::Over(End::Invalid)),
                    }
                }
            }
        }
        Ok(Turn::Waits)
    }
}

#[expect(clippy::disallowed_methods, reason = "the lab may read the clock")]
fn read_clock() -> Instant {
    Instant::now()
}
