//! What the CSV will say of a request, gathered while it happens.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attempt::{Attempt, AttemptId, MAX_ATTEMPTS};
use crate::balance::{BackendId, Balancer, Reason};
use crate::endpoint::Client;
use crate::journal::{Hedge, Record};
use crate::proxy::decisions::{self, Decided};
use crate::proxy::fault::Fault;

/// Bytes of a request line that are kept of a head that could not be parsed.
const UNPARSED_LINE_BYTES: usize = 2048;

/// The facts of one request.
#[derive(Debug, Default)]
pub(super) struct RequestRecord {
    /// When its first byte arrived.
    pub(super) arrived: Option<Instant>,
    /// The client that a trusted proxy asks for, if it told.
    pub(super) client: Option<SocketAddr>,
    /// Method, then target.
    line: Vec<u8>,
    method_bytes: usize,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    /// Bytes of interim responses among those that were, or are to be, sent.
    pub(super) interim_bytes: u64,
    /// What was sent to the client.
    pub(super) status: u16,
    /// The backend of the attempt that ended last: the one that won, if one did.
    pub(super) backend: Option<BackendId>,
    /// The names of the backends of attempts, by [`AttemptId`]: copied, because a backend may be
    /// gone when the row is written.
    names: [String; MAX_ATTEMPTS],
    /// The place of that attempt's name.
    named: usize,
    /// How many requests its backend had in flight when it was chosen, and why it was.
    choice: Option<(u32, Reason)>,
    /// How long it waited in the queue, as often as it did.
    queued: Option<Duration>,
    /// Since when it waits there.
    queued_since: Option<Instant>,
    /// When a backend was first chosen.
    dispatched: Option<Instant>,
    /// When the last byte of the upstream had come, or that attempt ended.
    upstream_ended: Option<Instant>,
    /// Of that attempt; `None` for a pooled connection.
    connect: Option<Duration>,
    /// Of that attempt, connecting included.
    first_byte: Option<Duration>,
    /// Connections asked for, those of hedges included.
    pub(super) attempts: u32,
    /// The choices that are to be logged.
    decisions: Vec<Decided>,
    /// What there is to say of hedges, if there was one.
    hedge: Option<Box<Hedged>>,
    pub(super) fault: Option<Fault>,
    /// Whether it only asks if the proxy is there.
    pub(super) is_probe: bool,
}

/// Attempts that were begun while another one was out.
#[derive(Debug)]
struct Hedged {
    count: u32,
    /// The one that won, else the last one.
    id: AttemptId,
    /// What became of it, if it came to that.
    outcome: Option<Hedge>,
    /// The name of its backend.
    name: String,
}

impl RequestRecord {
    /// Forgets all; the allocations stay.
    pub(super) fn clear(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let names = std::mem::take(&mut self.names);
        line.clear();
        *self = Self { line, names, ..Self::default() };
    }

    pub(super) fn name_request(&mut self, method: &[u8], target: &[u8]) {
        self.line.clear();
        self.line.extend_from_slice(method);
        self.line.extend_from_slice(target);
        self.method_bytes = method.len();
    }

    /// Whether the client was sent any of its response, interim ones aside.
    pub(super) fn is_answer_begun(&self) -> bool {
        self.response_bytes > self.interim_bytes
    }

    /// It waits in the queue from now on.
    pub(super) fn joined_queue(&mut self, now: Instant) {
        self.queued_since = Some(now);
    }

    /// When it has waited in the queue for so long, all its stays together, if it waits there.
    pub(super) fn queue_end(&self, timeout: Duration) -> Option<Instant> {
        let left = timeout.saturating_sub(self.queued.unwrap_or_default());
        self.queued_since.map(|since| since + left)
    }

    /// It does not wait in the queue, or no longer.
    pub(super) fn left_queue(&mut self, now: Instant) {
        if let Some(since) = self.queued_since.take() {
            *self.queued.get_or_insert_default() += now.duration_since(since);
        }
    }

    /// An attempt begins at a backend of this name.
    pub(super) fn attempt_begun(&mut self, id: AttemptId, name: &str, now: Instant) {
        let own = &mut self.names[id.index()];
        own.clear();
        own.push_str(name);
        self.left_queue(now);
        self.dispatched.get_or_insert(now);
    }

    /// A choice was made. It waits for the row, so that both tell the same times.
    pub(super) fn decided(&mut self, balancer: &mut Balancer) {
        self.decisions.extend(decisions::take(balancer));
    }

    /// The choices that were recorded; each is given once.
    pub(super) fn take_decisions(&mut self) -> Vec<Decided> {
        std::mem::take(&mut self.decisions)
    }

    /// It is one beside another.
    pub(super) fn hedge_sent(&mut self, id: AttemptId) {
        let (count, name) = (self.hedges() + 1, self.names[id.index()].clone());
        self.hedge = Some(Box::new(Hedged { count, id, outcome: None, name }));
    }

    /// Such a one has the answer, or won't have it.
    pub(super) fn hedge_decided(&mut self, id: AttemptId, outcome: Hedge) {
        let Some(hedged) = &mut self.hedge else { return };
        if hedged.id == id || outcome == Hedge::Won {
            hedged.name.clone_from(&self.names[id.index()]);
            (hedged.id, hedged.outcome) = (id, Some(outcome));
        }
    }

    /// How many attempts were begun beside another one.
    pub(super) fn hedges(&self) -> u32 {
        self.hedge.as_ref().map_or(0, |hedged| hedged.count)
    }

    /// An attempt has ended.
    pub(super) fn attempt_ended(&mut self, id: AttemptId, attempt: &Attempt, now: Instant) {
        self.named = id.index();
        self.choice = Some((attempt.lease.in_flight(), attempt.lease.reason()));
        self.backend = Some(attempt.lease.backend());
        self.upstream_ended = Some(now);
        self.connect = attempt.timing.connect();
        self.first_byte = attempt.timing.answer().map(|answer| answer.spent);
    }

    pub(super) fn method(&self) -> &[u8] {
        &self.line[..self.method_bytes]
    }

    /// Names a request by the first line of a head that is no valid one, as far as it goes. What
    /// stands behind that line may not have come yet, so it has no say.
    pub(super) fn name_unparsed(&mut self, raw: &[u8]) {
        let raw = &raw[..raw.len().min(UNPARSED_LINE_BYTES)];
        let line = raw.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or(raw);
        let mut words = line.split(|b| *b == b' ');
        let (method, target) = (words.next().unwrap_or(b""), words.next().unwrap_or(b""));
        self.name_request(method, target);
    }

    /// The row, as it stands at `now`, of a request of `client`.
    pub(super) fn record(&self, client: Client, now: Instant) -> Record<'_> {
        let latency = |from: Instant| self.upstream_ended.unwrap_or(now).duration_since(from);
        let (method, path) = self.line.split_at(self.method_bytes);
        Record {
            ended: now,
            client: self.client.map_or(client, Client::Ip),
            backend: self.backend.map(|_| self.names[self.named].as_str()),
            status: self.status,
            method,
            path,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            latency: self.dispatched.map(latency),
            connect: self.connect,
            first_byte: self.first_byte,
            attempts: self.attempts,
            fault: self.fault.map(Fault::label),
            is_probe: self.is_probe,
            dispatched: self.dispatched,
            in_flight: self.choice.map(|(in_flight, _)| in_flight),
            reason: self.choice.map(|(_, reason)| reason.name()),
            queue: self.queued,
            hedge: self.hedge.as_deref().and_then(|hedged| hedged.outcome),
            hedge_backend: self.hedge.as_deref().map_or("", |hedged| &hedged.name),
        }
    }
}
