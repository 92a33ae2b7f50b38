//! Plays cases without sockets and in simulated time: the scripts of client and backend against
//! one exchange, their bytes cut at any place.
//!
//! Events of the same instant happen in a fixed order: first the proxy, as far as it can, then the
//! backend, then the client.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rig::{Dial, ExchangeHarness};
use strict::{Ending, Responses, responses};
use tidegate::proxy::exchange::{CloseMode, StreamEnd};
use tidegate::proxy::settings::HalfClose;

use crate::case::Case;
use crate::client::Received;
use crate::conversation::{CONTINUE, Conversation, INVALID, Listening, Turn};
use crate::judge::Evidence;
use crate::patience::{AWAIT_CONTINUE, AWAIT_RESPONSE, is_any, is_final, quiet, reader, whole};
use crate::script::Step;

/// Moves after which a case counts as endless.
const MANY_MOVES: usize = 1_000_000;

/// How one side's bytes are cut.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cut {
    #[default]
    Whole,
    /// Into pieces of so many bytes.
    Pieces(usize),
    /// After so many of the bytes that it sends.
    At(usize),
}

/// Cuts one side's bytes.
#[derive(Default)]
struct Cutter {
    cut: Cut,
    /// Bytes sent so far.
    sent: usize,
}

impl Cutter {
    fn pieces<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let start = self.sent;
        self.sent += bytes.len();
        match self.cut {
            Cut::Pieces(size) => bytes.chunks(size).collect(),
            Cut::At(at) if start < at && at < self.sent => {
                let (first, second) = bytes.split_at(at - start);
                vec![first, second]
            }
            Cut::Whole | Cut::At(_) => vec![bytes],
        }
    }
}

/// What a client waits for.
#[derive(Clone, Copy)]
enum Wait {
    Pause,
    /// So many complete responses.
    Responses(usize),
    Continue,
}

/// The client's part of a case.
struct Client {
    steps: VecDeque<Step>,
    cutter: Cutter,
    wait: Option<(Wait, Instant)>,
    responses_due: usize,
    skipping: bool,
    is_gone: bool,
    /// When the script was over.
    done: Option<Instant>,
    /// How many bytes were received, and when the last ones arrived.
    seen_bytes: usize,
    changed: Instant,
}

/// The backend's part of one connection.
#[derive(Default)]
struct Server {
    conversation: Conversation,
    steps: VecDeque<Step>,
    until: Option<Instant>,
    /// Bytes received when the current reply began.
    received_before: usize,
    /// Bytes received that were sent back.
    echoed: Option<usize>,
    is_done: bool,
}

struct Stage<'a> {
    case: &'a Case,
    rig: ExchangeHarness,
    listening: Listening,
    client: Client,
    servers: Vec<Server>,
    cutter: Cutter,
    served: usize,
}

/// What was received, and how many bytes each side sent.
pub struct Played {
    pub evidence: Evidence,
    pub client_bytes: usize,
    pub backend_bytes: usize,
}

/// Plays a case.
pub fn play(case: &Case, client: Cut, backend: Cut) -> Played {
    let mut stage = Stage::new(case, client, backend);
    for _ in 0..MANY_MOVES {
        stage.rig.run();
        stage.note_changes();
        if stage.backend_moves() || stage.client_moves() {
            continue;
        }
        let Some(at) = stage.next_event() else { return stage.end() };
        stage.rig.advance(at.saturating_duration_since(stage.rig.now));
    }
    panic!("{} does not end", case.id);
}

/// Steps in which each byte that is sent with pauses is one step.
fn undripped(steps: &[Step]) -> VecDeque<Step> {
    let plain = |step: &Step| match step {
        Step::Drip(bytes, interval) => {
            let byte = |byte: &u8| [Step::Send(vec![*byte]), Step::Pause(*interval)];
            bytes.iter().flat_map(byte).collect()
        }
        other => vec![other.clone()],
    };
    steps.iter().flat_map(plain).collect()
}

impl<'a> Stage<'a> {
    fn new(case: &'a Case, client: Cut, backend: Cut) -> Self {
        let mut rig = ExchangeHarness::new();
        let timeouts = &mut rig.settings.timeouts;
        // Those of `lanes::FLAGS`.
        let two = Duration::from_secs(2);
        (timeouts.header, timeouts.body) = (two, two);
        (timeouts.response, timeouts.stream) = (Some(two), Some(two));
        timeouts.client_idle = Duration::from_secs(6);
        rig.settings.half_close = HalfClose::Allow;
        rig.peer = rig::peer("127.0.0.1:4711");
        let listening = Listening::of(&case.replies);
        if listening == Listening::Refuses {
            rig.servers[0].dials = vec![Dial::Refuses];
        }
        let client = Client {
            steps: undripped(&case.request),
            cutter: Cutter { cut: client, sent: 0 },
            wait: None,
            responses_due: 0,
            skipping: false,
            is_gone: false,
            done: None,
            seen_bytes: 0,
            changed: rig.now,
        };
        let cutter = Cutter { cut: backend, sent: 0 };
        Self { case, rig, listening, client, servers: Vec::new(), cutter, served: 0 }
    }

    fn ending(&self) -> Option<Ending> {
        match self.rig.over {
            // A close with bytes unread is a reset.
            Some(CloseMode::Close) if self.rig.client.inbox.is_empty() => Some(Ending::Finished),
            _ if self.rig.client.finished => Some(Ending::Finished),
            Some(_) => Some(Ending::Reset),
            None => None,
        }
    }

    fn seen(&self) -> Responses {
        responses(&self.rig.client.received, reader(self.case, self.ending()))
    }

    fn note_changes(&mut self) {
        let bytes = self.rig.client.received.len();
        if bytes != self.client.seen_bytes {
            (self.client.seen_bytes, self.client.changed) = (bytes, self.rig.now);
        }
    }

    /// Plays the client's next step, if it is due.
    fn client_moves(&mut self) -> bool {
        if let Some((wait, until)) = self.client.wait {
            let is_over = self.rig.now >= until
                || match wait {
                    Wait::Pause => false,
                    _ if self.ending().is_some() => true,
                    Wait::Responses(due) => whole(&self.seen()) >= due,
                    Wait::Continue => is_any(&self.seen()),
                };
            if !is_over {
                return false;
            }
            self.client.wait = None;
            self.client.skipping = matches!(wait, Wait::Continue) && is_final(&self.seen());
        }
        let Some(step) = self.client.steps.pop_front() else {
            self.client.done.get_or_insert(self.rig.now);
            return false;
        };
        let mut wait = |wait, duration| self.client.wait = Some((wait, self.rig.now + duration));
        match step {
            Step::Else => self.client.skipping = false,
            _ if self.client.skipping => {}
            Step::Send(bytes) => {
                for piece in self.client.cutter.pieces(&bytes) {
                    self.rig.client(piece);
                }
            }
            Step::Pause(duration) => wait(Wait::Pause, duration),
            Step::AwaitResponse => {
                self.client.responses_due += 1;
                wait(Wait::Responses(self.client.responses_due), AWAIT_RESPONSE);
            }
            Step::AwaitContinue => wait(Wait::Continue, AWAIT_CONTINUE),
            Step::Finish => self.rig.client_ends(StreamEnd::Finished),
            Step::Reset => {
                self.rig.client_ends(StreamEnd::Reset);
                self.client.is_gone = true;
            }
            other => panic!("a client can't do {other:?}"),
        }
        true
    }

    /// Plays the next step of each of the backend's connections, if it is due.
    fn backend_moves(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.rig.connections.len() {
            if index == self.servers.len() {
                self.servers.push(Server::default());
                self.servers[index].steps.extend(match self.listening {
                    Listening::Closes => Some(Step::Close),
                    Listening::Resets => Some(Step::Reset),
                    Listening::Accepts | Listening::Refuses => None,
                });
            }
            // Connections that the proxy has ended or not made yet do nothing.
            let connection = &self.rig.connections[index];
            if !connection.closed && connection.step.is_none() {
                any |= self.server_moves(index);
            }
        }
        any
    }

    fn server_moves(&mut self, index: usize) -> bool {
        let server = &mut self.servers[index];
        if server.is_done || server.until.is_some_and(|until| self.rig.now < until) {
            return false;
        }
        server.until = None;
        let socket = &self.rig.connections[index].socket;
        let received = &socket.received;
        if let Some(echoed) = &mut server.echoed {
            let fresh = received[*echoed..].to_vec();
            *echoed = received.len();
            if fresh.is_empty() {
                return socket.finished && self.close(index, StreamEnd::Finished);
            }
            return self.send(index, &fresh);
        }
        let Some(step) = server.steps.pop_front() else {
            let turn = server.conversation.turn(received, &self.case.replies, &mut self.served);
            return match turn {
                Turn::Read => false,
                Turn::Continue => self.send(index, CONTINUE),
                Turn::Refuse => self.send(index, INVALID) && self.close(index, StreamEnd::Finished),
                Turn::Reply(steps) => {
                    server.received_before = received.len();
                    server.steps = undripped(&steps);
                    true
                }
            };
        };
        match step {
            Step::Send(bytes) => self.send(index, &bytes),
            Step::Pause(duration) => {
                server.until = Some(self.rig.now + duration);
                true
            }
            Step::Echo => {
                server.echoed = Some(server.received_before);
                true
            }
            Step::Finish => {
                self.end_stream(index, StreamEnd::Finished);
                true
            }
            Step::Close => self.close(index, StreamEnd::Finished),
            Step::Reset => self.close(index, StreamEnd::Reset),
            Step::OnHead | Step::Hold => true,
            other => panic!("a backend can't do {other:?}"),
        }
    }

    fn send(&mut self, index: usize, bytes: &[u8]) -> bool {
        for piece in self.cutter.pieces(bytes) {
            self.rig.connections[index].socket.inbox.extend(piece);
            self.rig.notice_idle();
            self.rig.run();
        }
        true
    }

    fn end_stream(&mut self, index: usize, how: StreamEnd) {
        self.rig.connections[index].socket.end = Some(how);
        self.rig.notice_idle();
    }

    fn close(&mut self, index: usize, how: StreamEnd) -> bool {
        self.end_stream(index, how);
        self.servers[index].is_done = true;
        true
    }

    /// When the next event is; none if the case is over.
    fn next_event(&self) -> Option<Instant> {
        let servers = self.servers.iter().filter(|server| !server.is_done);
        let timers = servers.filter_map(|server| server.until).filter(|at| *at > self.rig.now);
        let deadline = self.rig.exchange.deadline(&self.rig.settings.timeouts);
        let deadline = deadline.filter(|_| self.rig.over.is_none());
        let next = timers.chain(deadline).chain(self.client.wait.map(|(_, until)| until)).min();
        let Some(done) = self.client.done else { return next };
        let given_up = done + self.case.wait;
        let silence = quiet(self.case, &self.seen()).map(|quiet| self.client.changed + quiet);
        let end = silence.map_or(given_up, |silence| silence.min(given_up));
        let is_open = self.ending().is_none() && !self.client.is_gone;
        next.filter(|at| is_open && *at <= end)
    }

    fn end(self) -> Played {
        let received = Received { bytes: self.rig.client.received.clone(), ending: self.ending() };
        let upstream = self.rig.connections.iter().map(|c| c.socket.received.clone()).collect();
        Played {
            evidence: Evidence { upstream, client: (!self.client.is_gone).then_some(received) },
            client_bytes: self.client.cutter.sent,
            backend_bytes: self.cutter.sent,
        }
    }
}
