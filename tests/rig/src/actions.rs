//! Does what the exchange demands, as a worker does, and holds each demand against what it may ask.

use tidegate::balance::BackendId;
use tidegate::proxy::exchange::{Action, ConnectFailure, Exchange};
use tidegate::proxy::settings::UpstreamReuse;

use crate::{Connection, ExchangeHarness, Row};

impl ExchangeHarness {
    pub(crate) fn run_actions(&mut self) -> bool {
        let mut any = false;
        while self.over.is_none()
            && let Some(demand) = self.exchange.next_action()
        {
            any = true;
            self.fulfil(demand);
        }
        any
    }

    fn fulfil(&mut self, demand: Action) {
        match demand {
            Action::Connect { backend, fresh } => {
                assert_eq!(self.attached, None, "one connection at a time");
                self.demanded = Some(backend);
                let own = self.own_connection().filter(|(_, kept)| *kept == backend && !fresh);
                self.kept = None;
                let backend = self.place(backend);
                let pooled = self.settings.upstream_reuse == UpstreamReuse::Persistent && !fresh;
                self.retire_idle();
                let mut from_pool = || self.servers[backend].pool.pop();
                let own = own.map(|(own, _)| own);
                match own.or_else(|| pooled.then(&mut from_pool).flatten()) {
                    None => self.open(backend, 0),
                    Some(connection) => {
                        self.attached = Some(connection);
                        self.act(Exchange::reused_connection);
                    }
                }
            }
            Action::ConnectExpired => {
                self.connect_failed(ConnectFailure::TimedOut);
            }
            Action::Recycle { idle } => {
                let attached = self.attached.take().expect("a connection to put back");
                let connection = &mut self.connections[attached];
                connection.idle_until = Some(self.now + idle);
                let Connection { socket, backend, closed, .. } = connection;
                assert!(!socket.finished && !*closed);
                assert_eq!(self.settings.upstream_reuse, UpstreamReuse::Persistent);
                if socket.inbox.is_empty() && socket.end.is_none() {
                    self.servers[*backend].pool.push(attached);
                } else {
                    *closed = true;
                }
            }
            Action::Keep { idle } => {
                let attached = self.attached.take().expect("a connection to keep");
                assert_eq!(self.settings.upstream_reuse, UpstreamReuse::Persistent);
                self.connections[attached].idle_until = Some(self.now + idle);
                self.kept = Some((attached, self.demanded.expect("a backend")));
            }
            Action::Discard => {
                if let Some(attached) = self.attached.take() {
                    self.connections[attached].closed = true;
                }
            }
            Action::Reset => {
                let attached = self.attached.take().expect("a connection to reset");
                let connection = &mut self.connections[attached];
                (connection.closed, connection.reset) = (true, true);
            }
            Action::FinishUpstream => self.upstream_socket().finished = true,
            Action::FinishClient => self.client.finished = true,
            Action::Report => self.report(),
            Action::Hangup(how) => {
                assert!(!self.owes_row, "no row before the connection ends");
                assert_eq!(self.attached, None, "the backend's connection is forgotten");
                if let Some((own, _)) = self.kept.take() {
                    self.connections[own].closed = true;
                }
                self.over = Some(how);
            }
        }
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
        assert!(record.client == client || !self.settings.trusted.origins().is_empty());
        self.client_told = Some(record.client);
        let row = Row::of(&record);
        let is_ended = self.client.ended;
        self.act(|exchange, context| exchange.reported(is_ended, context));
        // One that was pipelined behind it may have begun.
        let is_next = Row::of(&self.exchange.record(client, self.now)) != row;
        self.owes_row |= is_next && !self.exchange.is_idle();
        self.rows.push(row);
        self.rows_written += 1;
    }
}
