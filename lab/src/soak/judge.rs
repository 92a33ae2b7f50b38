//! Compares what the clients saw with what the log says, request by request.
//!
//! A claim is what a client saw of one request, an entry is its row. They are joined by the
//! request's token, whichever comes first, and dropped once they are compared; a bit per token
//! remains, so that a second row is found. A claim or an entry that is left at the end lacks its
//! counterpart.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::kind::Kind;
use super::outages::{Excuse, Failure, Outages};
use super::pattern::Token;
use super::request::Expected;
use tidegate::journal::Hedge;

/// Findings whose text is kept; more are only counted.
const QUOTED_FINDINGS: usize = 20;

/// How long the proxy may still work on a request after its client left.
const AFTER_LEAVING: Duration = Duration::from_secs(1);

/// What a client saw of the response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// It was whole, and every byte of it right.
    Response(u16),
    /// The connection ended before it was whole.
    Broken,
    /// The client closed the connection first.
    Left {
        /// Whether the proxy must have read a part of the request.
        was_read: bool,
    },
    /// The connection ended with an earlier request, so this one must not be served.
    Ignored,
    /// It was another request's response, or none at all.
    Wrong(String),
}

/// What a client saw of one request.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) token: Token,
    /// Which proxy was asked.
    pub(super) proxy: usize,
    pub(super) kind: Kind,
    /// Whether the proxy could always send it again.
    pub(super) can_be_resent: bool,
    pub(super) expected: Expected,
    pub(super) seen: Seen,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// One row of a log, as far as it can be checked.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) token: Token,
    /// The proxy in whose log it is.
    pub(super) proxy: usize,
    pub(super) status: u16,
    pub(super) fault: Option<String>,
    /// The backend that was tried last.
    pub(super) backend: Option<usize>,
    /// Without the hedge, if there was one.
    pub(super) attempts: u32,
    pub(super) hedge: Option<Hedge>,
}

/// How the requests of one kind ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Count {
    pub(super) requests: u64,
    pub(super) as_expected: u64,
    pub(super) excused: u64,
    pub(super) left: u64,
    pub(super) ignored: u64,
}

/// An error that is no finding: status, fault, whether it could be sent again, and the excuse.
type Excused = (u16, String, bool, Excuse);

/// The result of a soak.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) kinds: BTreeMap<Kind, Count>,
    /// Rows by status.
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) excused: BTreeMap<Excused, u64>,
    /// Requests without a row whose client may have been gone before they were read.
    pub(super) unread: u64,
    pub(super) rows: u64,
    /// Rows of requests that got a hedge, and of those that it won.
    pub(super) hedged: u64,
    pub(super) hedges_won: u64,
    pub(super) findings: Findings,
}

/// What is wrong.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) count: u64,
    pub(super) quoted: Vec<String>,
}

impl Findings {
    pub(super) fn add(&mut self, finding: String) {
        self.count += 1;
        if self.quoted.len() < QUOTED_FINDINGS {
            self.quoted.push(finding);
        }
    }
}

/// A claim or an entry that came before its counterpart.
#[derive(Debug)]
enum Half {
    Claim(Claim),
    Entry(Entry),
}

/// Claims and entries that wait for their counterparts, and the result for all others.
#[derive(Debug, Default)]
pub(super) struct Judge {
    waiting: HashMap<Token, Half>,
    settled: Tokens,
    tally: Tally,
}

impl Judge {
    pub(super) fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    pub(super) fn claim(&mut self, claim: Claim, outages: &Outages) {
        let count = self.tally.kinds.entry(claim.kind).or_default();
        count.requests += 1;
        match &claim.seen {
            Seen::Wrong(why) => {
                let finding = format!("request {} {why}", claim.token);
                self.tally.findings.add(finding);
            }
            Seen::Ignored => {
                count.ignored += 1;
                self.settled.insert(claim.token);
                if let Some(Half::Entry(entry)) = self.waiting.remove(&claim.token) {
                    self.second(&entry);
                }
                return;
            }
            Seen::Response(_) | Seen::Broken | Seen::Left { .. } => {}
        }
        match self.waiting.remove(&claim.token) {
            Some(Half::Entry(entry)) => self.join(&claim, &entry, outages),
            _ => {
                self.waiting.insert(claim.token, Half::Claim(claim));
            }
        }
    }

    pub(super) fn entry(&mut self, entry: Entry, outages: &Outages) {
        self.tally.rows += 1;
        self.tally.hedged += u64::from(entry.hedge.is_some());
        self.tally.hedges_won += u64::from(entry.hedge == Some(Hedge::Won));
        *self.tally.statuses.entry(entry.status).or_default() += 1;
        if self.settled.contains(entry.token) {
            return self.second(&entry);
        }
        match self.waiting.remove(&entry.token) {
            Some(Half::Claim(claim)) => self.join(&claim, &entry, outages),
            Some(first @ Half::Entry(_)) => {
                self.waiting.insert(entry.token, first);
                self.second(&entry);
            }
            None => {
                self.waiting.insert(entry.token, Half::Entry(entry));
            }
        }
    }

    /// There are no more claims and no more rows.
    pub(super) fn close(mut self) -> Tally {
        for (token, half) in self.waiting {
            match half {
                Half::Claim(Claim { seen: Seen::Left { was_read: false }, kind, .. }) => {
                    self.tally.unread += 1;
                    self.tally.kinds.entry(kind).or_default().left += 1;
                }
                Half::Claim(Claim { kind, seen, .. }) => {
                    let kind = kind.name();
                    self.tally
                        .findings
                        .add(format!("request {token} ({kind}, {seen:?}) has no row"));
                }
                Half::Entry(entry) => {
                    let finding = format!("a row for {token}, which no client sent: {entry:?}");
                    self.tally.findings.add(finding);
                }
            }
        }
        self.tally
    }

    fn second(&mut self, entry: &Entry) {
        let finding = format!("a row too many for request {}: {entry:?}", entry.token);
        self.tally.findings.add(finding);
    }

    fn join(&mut self, claim: &Claim, entry: &Entry, outages: &Outages) {
        self.settled.insert(claim.token);
        if claim.proxy != entry.proxy {
            let finding = format!("{claim:?} is in the log of another proxy: {entry:?}");
            self.tally.findings.add(finding);
        }
        match verdict(claim, entry, outages) {
            Ok(None) => {
                let count = self.tally.kinds.entry(claim.kind).or_default();
                let is_left = matches!(claim.seen, Seen::Left { .. });
                *if is_left { &mut count.left } else { &mut count.as_expected } += 1;
            }
            Ok(Some(excuse)) => {
                self.tally.kinds.entry(claim.kind).or_default().excused += 1;
                let fault = entry.fault.clone().unwrap_or_default();
                let excused = (entry.status, fault, claim.can_be_resent, excuse);
                *self.tally.excused.entry(excused).or_default() += 1;
            }
            Err(why) => self.tally.findings.add(format!("{why}: {claim:?} and {entry:?}")),
        }
    }
}

/// Whether a claim and its row agree, and if the request failed, what excuses it.
fn verdict(claim: &Claim, entry: &Entry, outages: &Outages) -> Result<Option<Excuse>, String> {
    let fault = entry.fault.as_deref().unwrap_or_default();
    let excused = |to| {
        let (backend, attempts, can_be_resent) =
            (entry.backend, entry.attempts, claim.can_be_resent);
        let failure = Failure { fault, backend, attempts, can_be_resent, from: claim.from, to };
        outages.excuse(failure).map(Some).ok_or_else(|| format!("{fault:?} without a reason"))
    };
    match claim.seen {
        Seen::Response(status) if status != entry.status => {
            Err(format!("the client saw {status}, its row says {}", entry.status))
        }
        Seen::Response(502)
            if claim.expected == Expected::Response(502) && fault == "upstream_closed" =>
        {
            Ok(Some(Excuse::AsTold))
        }
        Seen::Response(status) if claim.expected == Expected::Response(status) && status != 502 => {
            // A refusal has a fault; what the backend answered has none.
            if fault.is_empty() || status >= 400 {
                Ok(None)
            } else {
                Err(format!("a whole response with the fault {fault:?}"))
            }
        }
        Seen::Response(502) | Seen::Broken
            if claim.expected == Expected::Cut && fault == "response_truncated" =>
        {
            Ok(Some(Excuse::AsTold))
        }
        Seen::Response(_) | Seen::Broken => excused(claim.to),
        Seen::Left { .. } => match fault {
            "" | "client_gone" | "request_incomplete" => Ok(None),
            _ if claim.expected == Expected::Cut && fault == "response_truncated" => Ok(None),
            _ => excused(claim.to + AFTER_LEAVING),
        },
        // It is a finding already, or has no row.
        Seen::Wrong(_) | Seen::Ignored => Ok(None),
    }
}

/// A set of tokens, which are dense: a bit for each.
#[derive(Debug, Default)]
struct Tokens(Vec<u64>);

impl Tokens {
    fn insert(&mut self, token: Token) {
        let (word, bit) = place(token);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn contains(&self, token: Token) -> bool {
        let (word, bit) = place(token);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

fn place(token: Token) -> (usize, u64) {
    // Tokens are counted up from 0, so they fit long before the memory ends.
    (usize::try_from(token / 64).unwrap_or(usize::MAX), 1 << (token % 64))
}

#[cfg(test)]
mod tests;
