//! What the CSV will say of a request, gathered while it happens.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::fault::Fault;
use crate::balance::{BackendId, Lease, Reason};
use crate::endpoint::Client;
use crate::journal::Record;

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
    /// The backend tried last.
    pub(super) backend: Option<BackendId>,
    /// Its name, copied because the backend may be gone when the row is written.
    backend_name: String,
    /// How many requests it had in flight when it was chosen, and why it was.
    choice: Option<(u32, Reason)>,
    /// When a backend was first chosen.
    dispatched: Option<Instant>,
    /// When the last byte of the upstream had come, or the last attempt ended.
    pub(super) upstream_ended: Option<Instant>,
    /// Of the last attempt; `None` for a pooled connection.
    pub(super) connect: Option<Duration>,
    /// Of the last attempt, connecting included.
    pub(super) first_byte: Option<Duration>,
    pub(super) attempts: u32,
    pub(super) fault: Option<Fault>,
    /// Whether it only asks if the proxy is there.
    pub(super) is_probe: bool,
}

impl RequestRecord {
    /// Forgets all; the allocations stay.
    pub(super) fn clear(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let mut backend_name = std::mem::take(&mut self.backend_name);
        line.clear();
        backend_name.clear();
        *self = Self { line, backend_name, ..Self::default() };
    }

    /// A backend of this name was chosen for an attempt.
    pub(super) fn dispatched_to(&mut self, lease: &Lease, name: &str, now: Instant) {
        self.backend = Some(lease.backend());
        self.backend_name.clear();
        self.backend_name.push_str(name);
        self.choice = Some((lease.in_flight(), lease.reason()));
        self.dispatched.get_or_insert(now);
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

    /// The row, as it stands at `now`, of a request that came from `client`.
    pub(super) fn record(&self, client: Client, now: Instant) -> Record<'_> {
        let latency = |from: Instant| self.upstream_ended.unwrap_or(now).duration_since(from);
        let (method, path) = self.line.split_at(self.method_bytes);
        Record {
            ended: now,
            client: self.client.map_or(client, Client::Ip),
            backend: self.backend.map(|_| self.backend_name.as_str()),
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
        }
    }
}
