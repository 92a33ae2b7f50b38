//! What must hold of a worker's tables between two turns. Debug builds check it, so that tests and
//! soaks fail where it does not.

use super::super::connection::Upstream;
use super::super::exchange::AttemptId;
use super::{ANSWERED, IDLE, LEAVING, READY, Worker};
use crate::reactor::Key;

/// With more connections than this nothing is checked, because each check looks at all of them.
const MOST_CHECKED: usize = 128;

impl Worker {
    /// # Panics
    /// In debug builds, if a connection, its timer or its place in a list is inconsistent.
    pub(super) fn check(&self) {
        if cfg!(debug_assertions) && self.clients.len() + self.upstreams.len() <= MOST_CHECKED {
            self.clients.keys().for_each(|key| self.check_client(key));
            self.upstreams.keys().for_each(|link| self.check_upstream(link));
            assert!(self.order.is_empty(ANSWERED), "an answer is left lying");
            assert!(self.order.len(IDLE) + self.order.len(LEAVING) <= self.clients.len());
        }
    }

    fn check_client(&self, key: Key) {
        let Some(client) = self.clients.get(key) else { return };
        let list = self.order.list_of(key);
        let Some(in_flight) = &client.in_flight else {
            assert!(matches!(list, Some(IDLE | READY)), "{key:?} asks nothing and is in {list:?}");
            assert!(list == Some(READY) || self.has_timer(key), "{key:?} may stay");
            return;
        };
        if list == Some(READY) {
            return;
        }
        assert!(self.has_timer(key), "{key:?} is waited for without end");
        let exchange = &in_flight.exchange;
        if exchange.is_idle() {
            assert_eq!(list, Some(IDLE), "{key:?} asks nothing");
        } else {
            let waits = if exchange.is_lingering() { Some(LEAVING) } else { None };
            assert_eq!(list, waits, "{key:?} waits for an event");
        }
        for attempt in AttemptId::ALL {
            let has_link = in_flight.links.get(attempt).is_some();
            assert_eq!(has_link, exchange.lease(attempt).is_some(), "{attempt:?} of {key:?}");
        }
        for (_, link) in in_flight.links.iter() {
            let serves = self.upstreams.get(link).and_then(Upstream::client);
            assert_eq!(serves, Some(key), "{link:?} serves another");
        }
    }

    fn has_timer(&self, key: Key) -> bool {
        let deadline = self.client_deadline(key);
        deadline.is_none_or(|deadline| self.client_timers.covers(deadline, key))
    }

    fn check_upstream(&self, link: Key) {
        let Some(upstream) = self.upstreams.get(link) else { return };
        let is_pooled = self.pool.contains(link);
        let Some(client) = upstream.client() else {
            let mut clients = self.clients.keys().filter_map(|key| self.clients.get(key));
            let is_bound = clients.any(|client| client.bound == Some(link));
            assert_ne!(is_pooled, is_bound, "{link:?} rests");
            assert!(self.upstream_timers.covers(upstream.idle_until, link), "{link:?} may stay");
            return;
        };
        assert!(!is_pooled, "{link:?} serves {client:?}");
        let in_flight = self.clients.get(client).and_then(|client| client.in_flight.as_ref());
        let attempt = in_flight.and_then(|it| it.links.attempt_of(link));
        assert!(attempt.is_some(), "{client:?} does not know of {link:?}");
    }
}
