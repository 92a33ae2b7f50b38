//! One look-up: both kinds of addresses of one host name, asked of one server after the other.
//!
//! The caller sends what [`Lookup::ask`] gives, each message over a socket of its own, so that its
//! port is as hard to guess as its id; it reports what comes back, or that nothing can be sent, and
//! calls [`Lookup::expired`] at the deadline. An answer that is none is passed over. A name that a
//! server says does not exist is looked for in the next domain of the search list; but if a server
//! fails, the search ends, because the same name in another domain is another host.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::message::{self, Family, Rcode, Reply};
use super::name::Name;
use super::resolv_conf::ResolvConf;

/// Addresses of one name at most; the others are dropped.
const MAX_ADDRESSES: usize = 1024;

/// What came of a look-up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The name has addresses.
    Found(Found),
    /// There is no such name, or it has no address.
    Absent,
    /// Nobody said whether it has any.
    Failed(Failure),
}

/// The addresses of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// At least one, each once, in their natural order: servers change theirs each time.
    pub addresses: Vec<IpAddr>,
    /// How long they may be used without asking again, if a server said it.
    pub ttl: Option<Duration>,
    /// The kind of which it is not known whether there are addresses, because only the question for
    /// the other one was answered.
    pub unknown: Option<Family>,
}

impl Found {
    /// What was found in this order, with repetitions.
    #[must_use]
    pub fn new(mut addresses: Vec<IpAddr>, ttl: Option<Duration>, unknown: Option<Family>) -> Self {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_ADDRESSES);
        Self { addresses, ttl, unknown }
    }
}

/// Why nothing is known of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// A server was asked last, and did not answer in time.
    TimedOut(SocketAddr),
    /// A server was asked last, and did not want to or could not answer.
    Refused(SocketAddr, Rcode),
    /// A server can't be reached.
    Unreachable(SocketAddr),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(server) => write!(f, "the name server {server} does not answer"),
            Self::Refused(server, code) => write!(f, "the name server {server} answers {code}"),
            Self::Unreachable(server) => write!(f, "the name server {server} can't be reached"),
        }
    }
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Via {
    /// By one datagram, answered by one.
    Udp,
    /// Over a connection, because the answer is longer than a datagram.
    Tcp,
}

/// A message that is to be sent. It replaces the one before of the same family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    /// Which kind of addresses it asks for.
    pub family: Family,
    /// Where it goes.
    pub server: SocketAddr,
    /// How it goes there.
    pub via: Via,
    /// Its bytes, without the length in front.
    pub message: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Lookup {
    conf: Arc<ResolvConf>,
    /// The name that is asked for; none if no message can carry the host name.
    name: Option<Name>,
    /// The names that are tried after it.
    candidates: std::vec::IntoIter<Name>,
    queries: [Query; 2],
    ids: Rng,
    outcome: Option<Outcome>,
}

/// The question for one kind of addresses.
#[derive(Debug)]
struct Query {
    family: Family,
    stage: Stage,
    id: u16,
    via: Via,
    /// How often a server did not answer.
    failures: usize,
}

#[derive(Debug)]
enum Stage {
    ToAsk,
    Asked { until: Instant },
    Found(Vec<IpAddr>, Duration),
    Absent,
    Failed(Failure),
}

impl Query {
    fn new(family: Family) -> Self {
        Self { family, stage: Stage::ToAsk, id: 0, via: Via::Udp, failures: 0 }
    }

    fn server(&self, conf: &ResolvConf) -> SocketAddr {
        conf.servers[self.failures % conf.servers.len()]
    }

    /// Asks the next server, if there is one.
    fn fail(&mut self, failure: Failure, conf: &ResolvConf) {
        self.failures += 1;
        self.via = Via::Udp;
        let is_last = self.failures >= conf.servers.len() * conf.attempts;
        self.stage = if is_last { Stage::Failed(failure) } else { Stage::ToAsk };
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::ToAsk | Stage::Asked { .. })
    }
}

impl Lookup {
    /// Begins to look up a host name; `ids` are for its messages.
    #[must_use]
    pub fn new(host: &str, conf: Arc<ResolvConf>, ids: Rng) -> Self {
        let candidates = conf.candidates(host).into_iter();
        let mut lookup = Self {
            conf,
            name: None,
            candidates,
            queries: Family::ALL.map(Query::new),
            ids,
            outcome: None,
        };
        lookup.next_name();
        lookup
    }

    /// What is to be sent next, if anything.
    pub fn ask(&mut self, now: Instant) -> Option<Ask> {
        let Self { conf, name: Some(name), queries, ids, outcome: None, .. } = self else {
            return None;
        };
        let query = queries.iter_mut().find(|query| matches!(query.stage, Stage::ToAsk))?;
        query.id = ids.u16(..);
        query.stage = Stage::Asked { until: now + conf.timeout };
        let (family, server, via) = (query.family, query.server(conf), query.via);
        Some(Ask { family, server, via, message: message::query(query.id, name, family) })
    }

    /// A message came over the socket of the last question of this family.
    pub fn received(&mut self, family: Family, message: &[u8]) {
        let Self { conf, name: Some(name), queries, .. } = self else { return };
        let query = &mut queries[family as usize];
        let Stage::Asked { .. } = query.stage else { return };
        let Some(reply) = message::read(message, query.id, name, family) else { return };
        let server = query.server(conf);
        match (reply, query.via) {
            (Reply::Addresses(addresses, ttl), _) => query.stage = Stage::Found(addresses, ttl),
            (Reply::Absent, _) => query.stage = Stage::Absent,
            (Reply::Truncated, Via::Udp) => {
                query.via = Via::Tcp;
                query.stage = Stage::ToAsk;
            }
            (Reply::Truncated, Via::Tcp) => query.fail(Failure::Unreachable(server), conf),
            (Reply::Refused(code), _) => query.fail(Failure::Refused(server, code), conf),
        }
        self.settle();
    }

    /// The last question of this family can't be sent, or its connection ended.
    pub fn unreachable(&mut self, family: Family) {
        let Self { conf, queries, .. } = self;
        let query = &mut queries[family as usize];
        if let Stage::Asked { .. } = query.stage {
            let server = query.server(conf);
            query.fail(Failure::Unreachable(server), conf);
            self.settle();
        }
    }

    /// When [`Lookup::expired`] is to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = self.queries.iter().filter_map(|query| match query.stage {
            Stage::Asked { until } => Some(until),
            _ => None,
        });
        deadlines.min()
    }

    /// Time has passed.
    pub fn expired(&mut self, now: Instant) {
        let Self { conf, queries, .. } = self;
        let is_found = queries.iter().any(|query| matches!(query.stage, Stage::Found(..)));
        for query in queries {
            if let Stage::Asked { until } = query.stage
                && until <= now
            {
                let failure = Failure::TimedOut(query.server(conf));
                // Some servers never answer the question for IPv6. What the other one brought is
                // not kept waiting for long.
                if is_found {
                    query.stage = Stage::Failed(failure);
                } else {
                    query.fail(failure, conf);
                }
            }
        }
        self.settle();
    }

    /// Waits no longer: what is known by now is the outcome.
    pub fn give_up(&mut self) {
        let Self { conf, queries, .. } = self;
        for query in queries.iter_mut().filter(|query| query.is_open()) {
            query.stage = Stage::Failed(Failure::TimedOut(query.server(conf)));
        }
        self.settle();
    }

    /// What came of it, once that is known.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Draws the conclusion if no question is open any more.
    fn settle(&mut self) {
        if self.outcome.is_some() || self.queries.iter().any(Query::is_open) {
            return;
        }
        let (mut addresses, mut ttl) = (Vec::new(), Duration::MAX);
        let (mut failure, mut unknown) = (None, None);
        for query in &mut self.queries {
            match &mut query.stage {
                Stage::Found(found, its_ttl) => {
                    addresses.append(found);
                    ttl = ttl.min(*its_ttl);
                }
                Stage::Failed(reason) => {
                    (failure, unknown) = (Some(reason.clone()), Some(query.family));
                }
                _ => {}
            }
        }
        if !addresses.is_empty() {
            self.outcome = Some(Outcome::Found(Found::new(addresses, Some(ttl), unknown)));
        } else if let Some(failure) = failure {
            self.outcome = Some(Outcome::Failed(failure));
        } else {
            self.next_name();
        }
    }

    /// Looks for the next name that the host name may stand for.
    fn next_name(&mut self) {
        self.name = self.candidates.next();
        self.queries = Family::ALL.map(Query::new);
        if self.name.is_none() {
            self.outcome = Some(Outcome::Absent);
        }
    }
}

#[cfg(test)]
mod tests;
