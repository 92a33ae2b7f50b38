//! Moves bytes between an exchange and its peers, as a worker does in a round.

use tidegate::proxy::exchange::{AttemptId, ConnectFailure, Exchange, Side, StreamEnd};

use crate::{Dial, ExchangeHarness, MANY_ROUNDS, Socket};

impl ExchangeHarness {
    /// Moves everything that can be moved.
    pub fn run(&mut self) {
        for _ in 0..MANY_ROUNDS {
            if !self.round() {
                return;
            }
        }
        panic!("it never rests");
    }

    /// One round of the worker; whether anything moved.
    pub fn round(&mut self) -> bool {
        if self.over.is_some() {
            return false;
        }
        let left = match self.client.end {
            Some(StreamEnd::Finished) => self.exchange.ends_with_client(&self.settings),
            end => end == Some(StreamEnd::Reset),
        };
        let received = if left {
            self.exchange.closed(Side::Client, StreamEnd::Reset);
            true
        } else {
            let client = self.receive(Side::Client);
            self.linked().fold(client, |any, (id, _)| any | self.receive(Side::Upstream(id)))
        };
        if received {
            self.act(Exchange::work);
        }
        let acted = self.run_actions();
        let sent = self.over.is_none() && self.send_all();
        if acted || sent {
            self.act(Exchange::work);
            self.run_actions();
        }
        if self.client.ended_by_bytes {
            assert!(self.client.finished || self.over.is_some(), "ended without being told to");
        }
        let called = self.take_calls();
        let moved = received || acted || sent || called;
        if self.over.is_none() && !moved {
            self.act(Exchange::begin_waits);
        }
        if self.over.is_none() && self.exchange.is_untouched() && !moved {
            // A worker keeps no exchange for an idle client.
            self.exchange.reset();
            self.exchange.release_buffers(&mut self.free);
            assert_eq!(self.exchange.held_bytes(), 0, "an idle client costs memory");
        }
        moved
    }

    /// The exchange is told that its turn in the queue has come; whether it was.
    fn take_calls(&mut self) -> bool {
        let calls = self.queues[0].take_calls();
        for call in &calls {
            self.act(|exchange, context| exchange.called(*call, context));
            self.run_actions();
        }
        !calls.is_empty()
    }

    fn link(&self, side: Side) -> Option<usize> {
        match side {
            Side::Client => None,
            Side::Upstream(attempt) => self.links[attempt.index()],
        }
    }

    fn socket(&mut self, side: Side) -> Option<&mut Socket> {
        match side {
            Side::Client => Some(&mut self.client),
            Side::Upstream(attempt) => {
                let connection = &mut self.connections[self.links[attempt.index()]?];
                connection.step.is_none().then_some(&mut connection.socket)
            }
        }
    }

    fn receive(&mut self, side: Side) -> bool {
        let nothing_new = |socket: &Socket| socket.inbox.is_empty() && socket.end.is_none();
        if self.socket(side).is_none_or(|socket| nothing_new(socket)) {
            return false;
        }
        let is_idle = self.exchange.is_idle();
        let own = if side == Side::Client && is_idle { self.own_connection() } else { None };
        let link = self.link(side);
        let space = self.exchange.space(side, &mut self.free);
        if space.is_empty() {
            return false;
        }
        let (socket, log) = match link.map(|link| &mut self.connections[link]) {
            Some(connection) => (&mut connection.socket, Some(&mut connection.answered)),
            None => (&mut self.client, None),
        };
        let count = space.len().min(socket.inbox.len());
        for (byte, sent) in space.iter_mut().zip(socket.inbox.drain(..count)) {
            *byte = sent;
        }
        if let Some(log) = log {
            log.extend(self.rows_written, &space[..count]);
        }
        if count > 0 {
            if let Some((_, backend)) = own {
                self.exchange.kept(backend);
            }
            self.exchange.received(side, count);
        } else if let Some(how) = socket.end {
            if how == StreamEnd::Finished {
                // An end is read once, an error as often as one asks.
                (socket.end, socket.ended) = (None, true);
            }
            self.exchange.closed(side, how);
        }
        true
    }

    fn send_all(&mut self) -> bool {
        let upstreams = self.linked().fold(false, |any, (id, _)| any | self.send_upstream(id));
        upstreams | self.send(Side::Client)
    }

    fn send(&mut self, side: Side) -> bool {
        let most = self.write_bytes;
        let Some(window) = self.socket(side).map(|socket| socket.window) else { return false };
        let [first, second] = self.exchange.pending(side);
        let count = (first.len() + second.len()).min(most).min(window);
        let of_first = count.min(first.len());
        let bytes = [&first[..of_first], &second[..count - of_first]].concat();
        let is_all = count == first.len() + second.len();
        let ended_by_bytes = is_all && side == Side::Client && self.exchange.ends_client();
        let Some(socket) = self.socket(side).filter(|_| count > 0) else { return false };
        let is_ended = socket.finished || socket.ended_by_bytes;
        assert!(!is_ended, "{side:?} is sent bytes behind the end");
        if std::mem::take(&mut socket.broken) {
            self.exchange.closed(side, StreamEnd::WriteFailed);
            return true;
        }
        socket.ended_by_bytes = ended_by_bytes;
        socket.received.extend_from_slice(&bytes);
        if socket.window != usize::MAX {
            socket.window -= count;
        }
        if let Some(link) = self.link(side) {
            self.connections[link].asked.extend(self.rows_written, &bytes);
        }
        self.exchange.sent(side, count, self.now);
        true
    }

    /// The first byte that a new connection takes proves that it was made.
    fn send_upstream(&mut self, attempt: AttemptId) -> bool {
        let Some(link) = self.links[attempt.index()] else { return false };
        let connection = &mut self.connections[link];
        if let Some(step) = connection.step {
            // An address that went while others were tried has nobody behind it.
            let dials = &self.servers[connection.backend].dials;
            let failure = match dials.get(step).copied().unwrap_or(Dial::Refuses) {
                // Until it has taken a byte, a connection can't be told from one not yet made.
                Dial::Answers if connection.socket.window > 0 => {
                    connection.step = None;
                    return self.send(Side::Upstream(attempt));
                }
                Dial::Answers | Dial::Hangs => return false,
                Dial::Refuses => ConnectFailure::Refused,
                Dial::NoRoute => ConnectFailure::Unreachable,
                Dial::NoResources => ConnectFailure::ResourceExhausted,
            };
            return self.dial_failed(attempt, failure);
        }
        self.send(Side::Upstream(attempt))
    }
}
