//! Does what the exchange demands, as a worker does, and holds each demand against what it may ask.

use tidegate::balance::BackendId;
use tidegate::proxy::AddressCursor;
use tidegate::proxy::exchange::{Action, AttemptId, CloseMode, ConnectFailure, Side, Source};
use tidegate::proxy::settings::UpstreamReuse;

use crate::{Connection, ExchangeHarness, Row};

impl ExchangeHarness {
    pub(crate) fn run_actions(&mut self) -> bool {
        let mut any = false;
        while self.over.is_none()
            && let Some(action) = self.exchange.next_action()
        {
            any = true;
            self.fulfil(action);
        }
        any
    }

    fn fulfil(&mut self, action: Action) {
        match action {
            Action::Dial { attempt, backend, source } => self.dial(attempt, backend, source),
            Action::Refresh { backend } => self.refreshed.push(self.place(backend)),
            Action::CountFailure { backend, fault } => {
                self.failures.push((self.place(backend), fault.label()));
            }
            Action::Recycle { attempt, idle } => {
                let link = self.links[attempt.index()].take().expect("a connection to put back");
                let connection = &mut self.connections[link];
                connection.idle_until = Some(self.now + idle);
                let Connection { socket, backend, closed, .. } = connection;
                assert!(!socket.finished && !*closed);
                assert_eq!(self.settings.upstream_reuse, UpstreamReuse::Persistent);
                if socket.inbox.is_empty() && socket.end.is_none() {
                    self.servers[*backend].pool.push(link);
                } else {
                    *closed = true;
                }
            }
            Action::Keep { attempt, idle } => {
                let link = self.links[attempt.index()].take().expect("a connection to keep");
                assert_eq!(self.settings.upstream_reuse, UpstreamReuse::Persistent);
                self.connections[link].idle_until = Some(self.now + idle);
                self.kept = Some((link, self.demanded.expect("a backend")));
            }
            Action::CountHedge { backend, event } => {
                self.hedges.push((self.place(backend), event));
            }
            Action::Discard { attempt, .. } => {
                let link = self.links[attempt.index()].take().expect("a connection to read on");
                assert_eq!(self.settings.upstream_reuse, UpstreamReuse::Persistent);
                let Connection { socket, discarded, .. } = &mut self.connections[link];
                assert!(!socket.finished && socket.end.is_none());
                *discarded = true;
            }
            Action::Close { attempt, how } => {
                if let Some(link) = self.links[attempt.index()].take() {
                    self.connections[link].closed = true;
                    self.connections[link].reset = how == CloseMode::Reset;
                }
            }
            Action::Finish(Side::Client) => self.client.finished = true,
            Action::Finish(Side::Upstream(attempt)) => {
                let link = self.links[attempt.index()].expect("a connection to finish");
                self.connections[link].socket.finished = true;
            }
            Action::Report => self.report(),
            Action::Hangup(how) => {
                assert!(!self.owes_row, "no row before the connection ends");
                assert_eq!(self.attached(), None, "the backend's connection is forgotten");
                if let Some((own, _)) = self.kept.take() {
                    self.connections[own].closed = true;
                }
                self.over = Some(how);
            }
        }
    }

    fn dial(&mut self, attempt: AttemptId, backend: BackendId, source: Source) {
        if let Some(before) = self.links[attempt.index()].take() {
            self.connections[before].closed = true;
        }
        self.demanded = Some(backend);
        let step = match source {
            Source::After(failed) => failed.step + 1,
            Source::Fresh => 0,
            Source::Reuse => {
                let own = self.own_connection().filter(|(_, kept)| *kept == backend);
                self.kept = None;
                self.retire_idle();
                let is_pooled = self.settings.upstream_reuse == UpstreamReuse::Persistent;
                let place = self.place(backend);
                let pool = &mut self.servers[place].pool;
                let pooled = || is_pooled.then(|| pool.pop()).flatten();
                if let Some(link) = own.map(|(own, _)| own).or_else(pooled) {
                    self.links[attempt.index()] = Some(link);
                    return self.exchange.reused(attempt);
                }
                0
            }
        };
        let backend = self.place(backend);
        self.links[attempt.index()] = Some(self.connections.len());
        self.connections.push(Connection::new(backend, Some(step)));
        let is_last = step + 1 >= self.servers[backend].dials.len();
        let cursor = AddressCursor { step, index: step };
        self.exchange.dialing(attempt, (!is_last).then_some(cursor));
    }

    pub(crate) fn dial_failed(&mut self, attempt: AttemptId, failure: ConnectFailure) -> bool {
        let link = self.links[attempt.index()].take().expect("a connection being made");
        self.connections[link].closed = true;
        self.exchange.dial_failed(attempt, failure);
        true
    }

    /// The connection kept for the client, unless it said something or ended; then it is closed.
    pub(crate) fn own_connection(&mut self) -> Option<(usize, BackendId)> {
        let (own, _) = self.kept?;
        let Connection { socket, closed, idle_until, .. } = &mut self.connections[own];
        let is_due = idle_until.is_some_and(|until| until <= self.now);
        *closed = is_due || !socket.inbox.is_empty() || socket.end.is_some();
        if *closed {
            self.kept = None;
        }
        self.kept
    }

    fn report(&mut self) {
        assert!(std::mem::take(&mut self.owes_row), "a row without a request");
        let client = self.peer.client();
        let record = self.exchange.record(client, self.now);
        assert_eq!(record.ended, self.now);
        assert!(record.client == client || !self.settings.trusted.0.is_empty());
        self.client_told = Some(record.client);
        let row = Row::of(&record);
        self.act(tidegate::proxy::exchange::Exchange::reported);
        // One that was pipelined behind it may have begun.
        let is_next = Row::of(&self.exchange.record(client, self.now)) != row;
        self.owes_row |= is_next && !self.exchange.is_idle();
        self.rows.push(row);
        self.rows_written += 1;
    }
}
