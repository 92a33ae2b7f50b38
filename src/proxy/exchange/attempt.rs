//! One try at one backend, and the few of them that an exchange may have out at once.

use std::time::Instant;

use super::action::{ConnectFailure, StreamEnd};
use super::timing::Timing;
use super::waits::UpstreamWait;
use crate::balance::{Lease, PARKED_AFTER};
use crate::buffer::Buffer;
use crate::http::HeadSearch;
use crate::proxy::budget::RetryToken;
use crate::proxy::pipe::Cursor;
use crate::proxy::resolver::AddressCursor;

/// Most attempts that an exchange has out at once.
pub const MAX_ATTEMPTS: usize = 4;

/// Names an attempt among those that its exchange has out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AttemptId(u8);

impl AttemptId {
    /// Every one there may be.
    pub const ALL: [Self; MAX_ATTEMPTS] = [Self(0), Self(1), Self(2), Self(3)];

    /// Its place among [`AttemptId::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One try at one backend.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) lease: Lease,
    pub(super) role: Role,
    pub(super) link: Link,
    pub(super) timing: Timing,
    pub(super) answer: Answer,
    /// What was received of the answer. The winner's is the response's body from then on.
    pub(super) buffer: Buffer,
    /// How much of the request it has sent.
    pub(super) sent: Cursor,
    pub(super) reuse: Reuse,
    /// What was paid for sending the request again, in this attempt.
    pub(super) paid: Option<RetryToken>,
    /// How its upstream's stream ended, until that is worked on.
    pub(super) end: Option<StreamEnd>,
    /// When it last made progress, or began to be waited for.
    pub(super) moved: Instant,
    /// What it was waiting for after the last event.
    pub(super) awaited: Option<UpstreamWait>,
    /// When its lease may next be parked. A lease that is parked, or a tunnel's, is not.
    pub(super) parks_at: Option<Instant>,
    /// If it is silent until then, a hedge may begin; if its answer is a failure that is held back,
    /// it is sent then.
    pub(super) overdue_at: Option<Instant>,
}

/// Why an attempt was begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// The first one, or one that follows because another failed.
    Own,
    /// One beside another that was silent.
    Hedge,
}

/// The upstream connection as the exchange sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// Asked for, or being made to an address.
    Connecting {
        /// That address, if the backend has another one behind it.
        more: Option<AddressCursor>,
    },
    /// It was not made, which is to be worked on.
    Failed {
        failure: ConnectFailure,
        more: Option<AddressCursor>,
    },
    Open(Origin),
    /// Takes no more bytes, but may still have an answer.
    WriteClosed(Origin),
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// It was made for this attempt.
    New,
    /// It had served another request before, so its backend may have given it up before this one
    /// reached it.
    Reused,
}

/// How far the answer to an attempt has come, before it is the response.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its head is awaited, behind so many interim ones.
    Awaited { search: HeadSearch, interim: u32 },
    /// The head of a failure, up to `end`, which is passed on only if no other attempt does better
    /// in time.
    Held { end: usize },
    /// It is the response.
    Won,
}

impl Answer {
    fn none() -> Self {
        Self::Awaited { search: HeadSearch::response(), interim: 0 }
    }
}

/// Whether the connection can serve another request after this one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reuse {
    No,
    /// As far as the head of the response says, which may announce for how many seconds it may rest
    /// unused before that.
    Yes {
        idle_seconds: Option<u64>,
    },
}

impl Attempt {
    fn new(lease: Lease, role: Role, paid: Option<RetryToken>, now: Instant) -> Self {
        Self {
            lease,
            role,
            link: Link::Connecting { more: None },
            timing: Timing::start(now),
            answer: Answer::none(),
            buffer: Buffer::default(),
            sent: Cursor::default(),
            reuse: Reuse::No,
            paid,
            end: None,
            moved: now,
            awaited: None,
            parks_at: Some(now + PARKED_AFTER),
            overdue_at: None,
        }
    }

    /// Begins again over another connection.
    pub(super) fn restart(&mut self, now: Instant) {
        self.timing = Timing::start(now);
        self.answer = Answer::none();
        self.buffer.clear();
        self.sent = Cursor::default();
        self.end = None;
        self.parks_at = Some(now + PARKED_AFTER);
        self.overdue_at = None;
    }

    /// Whether the connection had served another request before.
    pub(super) fn is_reused(&self) -> bool {
        matches!(self.link, Link::Open(Origin::Reused) | Link::WriteClosed(Origin::Reused))
    }

    /// Whether bytes can be received.
    pub(super) fn is_readable(&self) -> bool {
        self.end.is_none() && matches!(self.link, Link::Open(_) | Link::WriteClosed(_))
    }

    /// Whether bytes can be sent. The first ones prove that the connection was made.
    pub(super) fn is_writable(&self) -> bool {
        matches!(self.link, Link::Connecting { .. } | Link::Open(_))
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.answer, Answer::Held { .. })
    }

    /// Whether nothing of an answer has come, not even an interim one.
    pub(super) fn is_silent(&self) -> bool {
        self.buffer.raw_len() == 0 && matches!(self.answer, Answer::Awaited { interim: 0, .. })
    }
}

/// Those that are out.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    slots: [Option<Attempt>; MAX_ATTEMPTS],
    out: AttemptIds,
    winner: Option<AttemptId>,
}

/// A set of names, of which most operations find one or none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AttemptIds(u8);

impl AttemptIds {
    /// Every name there may be.
    const ALL: Self = Self((1 << MAX_ATTEMPTS) - 1);

    fn of(id: AttemptId) -> Self {
        Self(1 << id.0)
    }

    fn minus(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// All but one.
    #[must_use]
    pub fn without(self, id: AttemptId) -> Self {
        self.minus(Self::of(id))
    }

    /// Adds one.
    pub fn insert(&mut self, id: AttemptId) {
        self.0 |= Self::of(id).0;
    }

    /// Takes one out.
    pub fn remove(&mut self, id: AttemptId) {
        *self = self.without(id);
    }
}

#[expect(clippy::copy_iterator, reason = "it is a byte, and each user has its own")]
impl Iterator for AttemptIds {
    type Item = AttemptId;

    fn next(&mut self) -> Option<AttemptId> {
        if self.0 == 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a byte has eight bits")]
        let first = self.0.trailing_zeros() as u8;
        self.0 &= self.0 - 1;
        Some(AttemptId(first))
    }
}

/// How far attempts have come, as [`super::state`] needs to know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    None,
    /// At least one is out, and none has the head of the final response.
    Racing,
    /// One has it and is the only one left.
    Won,
}

impl Attempts {
    pub(super) fn standing(&self) -> Standing {
        match self.winner {
            Some(_) => Standing::Won,
            None if self.is_empty() => Standing::None,
            None => Standing::Racing,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out == AttemptIds::default()
    }

    pub(super) fn len(&self) -> usize {
        self.out.0.count_ones() as usize
    }

    pub(super) fn ids(&self) -> AttemptIds {
        self.out
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Attempt> {
        self.out.filter_map(|id| self.get(id))
    }

    pub(super) fn get(&self, id: AttemptId) -> Option<&Attempt> {
        self.slots[id.index()].as_ref()
    }

    pub(super) fn get_mut(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.slots[id.index()].as_mut()
    }

    /// Gives an attempt a name, if one is free.
    pub(super) fn insert(
        &mut self,
        lease: Lease,
        role: Role,
        paid: Option<RetryToken>,
        now: Instant,
    ) -> Result<AttemptId, Lease> {
        let Some(id) = AttemptIds::ALL.minus(self.out).next() else { return Err(lease) };
        self.slots[id.index()] = Some(Attempt::new(lease, role, paid, now));
        self.out.insert(id);
        Ok(id)
    }

    pub(super) fn remove(&mut self, id: AttemptId) -> Option<Attempt> {
        self.out.remove(id);
        self.winner = self.winner.filter(|winner| *winner != id);
        self.slots[id.index()].take()
    }

    /// One has the head of the final response. The others are gone by now.
    pub(super) fn win(&mut self, id: AttemptId) {
        debug_assert!(self.len() == 1 && self.get(id).is_some());
        self.winner = Some(id);
    }

    pub(super) fn winner(&self) -> Option<AttemptId> {
        self.winner
    }

    /// Whether another one is out whose answer may be the better one.
    pub(super) fn has_better_hope_than(&self, id: AttemptId) -> bool {
        let mut others = self.out.without(id);
        others.any(|other| self.get(other).is_some_and(|other| !other.is_held()))
    }

    /// If all have failed whose answers were held back, the first of them.
    pub(super) fn first_in_vain(&self) -> Option<AttemptId> {
        let first = self.ids().next()?;
        self.all().all(Attempt::is_held).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_names_is_walked_in_order() {
        let mut ids = AttemptIds(0b1011);
        assert_eq!(ids.collect::<Vec<_>>(), [0, 1, 3].map(|place| AttemptId::ALL[place]));
        ids = ids.without(AttemptId::ALL[0]).without(AttemptId::ALL[2]);
        assert_eq!(ids.map(AttemptId::index).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(AttemptIds::default().next(), None);
        assert_eq!(AttemptIds::ALL.collect::<Vec<_>>(), AttemptId::ALL, "there are no more names");
    }
}
