//! Requests that wait because all backends are at their limits, in the order in which they came.
//!
//! All workers share one queue. It has no sockets and no clock, and it finds no backends: it calls
//! the request whose turn it is, whose worker then asks the balancer. While nobody waits it costs
//! one load of an atomic per choice, and one behind a fence per lease that is given back; only
//! requests that wait, and those that free something while one waits, take its lock.
//!
//! **Order.** A request that finds others waiting joins behind them, so an arrival never takes what
//! was freed for another one. A request that was sent before and failed stands before those that
//! were never sent, and looks before it joins. The first that is not called yet is called if there
//! are more places than calls. So none of those that wait overtakes another, but two that are
//! called at once, because two places are free, may look in either order: their workers run side by
//! side.
//!
//! **No call is lost.** A call ends in one of these ways, each under the lock.
//! - The request goes. If there are still more places than calls, the next one is called: so one
//!   call is enough where a whole backend joined.
//! - The request leaves the queue. Whoever is first now is called.
//! - It finds no place, and something was freed meanwhile that called nobody: it looks again.
//! - It finds no place because it can't go to every backend: the next one behind it is called, or
//!   looks once more if it is called already.
//! - It finds no place, and nobody else would.
//!
//! **No wake-up is lost.** Something is freed, as a lease that is given back or an ejection that
//! ends, then the number of those that wait is read. A request joins, which raises that number, and
//! only then looks once more. Between the two steps of each is a sequentially consistent fence. If
//! the one that frees comes to its fence first, then the other one finds what was freed. Else it
//! finds that somebody waits, and the lock decides who is called. One that joins behind others need
//! not look: these were there before, so all that is freed since then takes the lock. It looks if
//! those before it can't go everywhere, because they may not want what is free.
//!
//! **Time frees too.** An ejection ends without anybody noticing. So the first in line, when it has
//! looked in vain, has a timer for that ([`Turn::Watches`]), and it alone, because it passes on
//! what it can't use. Whatever begins an ejection has it look again. If it leaves while a backend
//! is out, the next one is called, looks in vain, and watches from then on.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, PoisonError};

use crate::balance::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, fence};

/// Has a worker look for calls.
pub trait Wake: Debug + Send + Sync {
    /// A request of this worker was called by another thread.
    fn wake(&self, worker: usize);
}

/// See the module's description.
#[derive(Debug)]
pub struct Queue {
    /// How many wait.
    len: AtomicUsize,
    /// Whether there are calls for a worker, so that it need not lock to see that there are none.
    is_called: Box<[AtomicBool]>,
    content: Mutex<Content>,
    wake: Arc<dyn Wake>,
}

#[derive(Debug, Default)]
struct Content {
    entries: BTreeMap<Rank, Entry>,
    /// Requests that joined so far.
    joined: u64,
    /// How many are called and have not come to an end of that.
    called: usize,
    /// Something was freed, and nobody was called for it.
    is_missed: bool,
    /// The calls that workers have not taken.
    calls: Box<[Vec<Call>]>,
}

/// A place in the order; the least is the first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    class: Class,
    number: u64,
}

/// What stands before what.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// The request was sent before.
    Again,
    /// It was not.
    First,
}

/// Where a request may go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// To any backend.
    All,
    /// Not to some, which it has tried, or only to the one that it is bound to.
    Some,
}

#[derive(Debug)]
struct Entry {
    worker: usize,
    client: u64,
    scope: Scope,
    turn: Turn,
    /// Something that one before it can't use was freed while it looked.
    looks_again: bool,
}

/// Whether a request may look for a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It waits until it is called.
    Waits,
    /// It waits as the first in line, and has others called when a time has come at which a backend
    /// may take a request.
    Watches,
    /// It is to look now.
    Called,
}

/// A request's turn has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call {
    /// The client, as it was named when it joined.
    pub client: u64,
    rank: Rank,
}

impl Queue {
    /// An empty queue for so many workers.
    #[must_use]
    pub fn new(workers: usize, wake: Arc<dyn Wake>) -> Self {
        let calls = std::iter::repeat_with(Vec::new).take(workers).collect();
        Self {
            len: AtomicUsize::new(0),
            is_called: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            content: Mutex::new(Content { calls, ..Content::default() }),
            wake,
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Backends may take requests that took none before. This thread is no worker, and knows no
    /// more.
    pub fn freed(&self) {
        fence(SeqCst);
        if !self.is_empty() {
            let mut content = self.lock();
            let called = content.call_if(true);
            self.tell(content, called, None);
        }
    }

    /// A request of the worker `called` was called by `from`.
    fn tell(&self, content: MutexGuard<'_, Content>, called: Option<usize>, from: Option<usize>) {
        if let Some(worker) = called {
            self.is_called[worker].store(true, Relaxed);
            drop(content);
            if from != Some(worker) {
                self.wake.wake(worker);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Calls the first that waits, if there is a place that is nobody's yet; its worker, if there
    /// is one.
    fn call_if(&mut self, has_place: bool) -> Option<usize> {
        let called = if has_place { self.call_next(None) } else { None };
        self.is_missed |= called.is_none() && self.called > 0;
        called
    }

    /// Calls the first that waits, `behind` a place if one is given.
    fn call_next(&mut self, behind: Option<Rank>) -> Option<usize> {
        let is_behind = |rank: &Rank| behind.is_none_or(|behind| *rank > behind);
        let mut waiting = self.entries.iter_mut();
        let next = waiting.find(|(rank, entry)| is_behind(rank) && entry.turn != Turn::Called);
        let (rank, entry) = next?;
        entry.turn = Turn::Called;
        self.called += 1;
        self.calls[entry.worker].push(Call { client: entry.client, rank: *rank });
        Some(entry.worker)
    }

    /// What one can't use is for the next one behind it, which is called, or looks once more.
    fn pass_on(&mut self, from: Rank) -> Option<usize> {
        let behind = (Bound::Excluded(from), Bound::Unbounded);
        let (_, next) = self.entries.range_mut(behind).next()?;
        if next.turn == Turn::Called {
            next.looks_again = true;
            return None;
        }
        self.call_next(Some(from))
    }

    /// Whether the first in line neither looks nor has a timer.
    fn is_unwatched(&self) -> bool {
        self.entries.first_key_value().is_some_and(|(_, first)| first.turn == Turn::Waits)
    }

    /// One leaves; what its turn was.
    fn remove(&mut self, rank: Rank) -> Option<Turn> {
        let Entry { turn, .. } = self.entries.remove(&rank)?;
        if turn == Turn::Called {
            self.called -= 1;
        }
        self.is_missed &= self.called > 0;
        Some(turn)
    }
}

/// The queue as a worker has it.
#[derive(Clone, Debug)]
pub struct WorkerQueue {
    queue: Arc<Queue>,
    worker: usize,
}

impl WorkerQueue {
    /// The queue for the worker of this number.
    #[must_use]
    pub fn new(queue: Arc<Queue>, worker: usize) -> Self {
        Self { queue, worker }
    }

    /// Whether nobody waits, in all workers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Backends may take requests that took none before; `places` says how many do now. The first
    /// that waits is called.
    #[inline]
    pub fn freed(&self, places: impl FnOnce() -> usize) {
        fence(SeqCst);
        if !self.is_empty() {
            let mut content = self.queue.lock();
            // Where nothing is free, as after an ejection, one finds out what it waits for now.
            let has_place = content.called == 0 || places() > content.called;
            let called = content.call_if(has_place);
            self.queue.tell(content, called, Some(self.worker));
        }
    }

    /// A request of `client` waits from now on, unless so many do already. Whether it is to look
    /// for a backend at once.
    #[must_use]
    pub fn join(
        &self,
        client: u64,
        class: Class,
        scope: Scope,
        limit: usize,
    ) -> Option<(Ticket, Turn)> {
        let mut content = self.queue.lock();
        if content.entries.len() >= limit {
            return None;
        }
        content.joined += 1;
        let rank = Rank { class, number: content.joined };
        let mut before = content.entries.range(..rank);
        let looks = before.all(|(_, it)| it.scope == Scope::Some && it.turn != Turn::Called);
        let turn = if looks { Turn::Called } else { Turn::Waits };
        content.called += usize::from(looks);
        let entry = Entry { worker: self.worker, client, scope, turn, looks_again: false };
        content.entries.insert(rank, entry);
        // The one that was the first has a timer for what it knew when it was.
        let behind = content.entries.range_mut((Bound::Excluded(rank), Bound::Unbounded)).next();
        if let Some((_, next)) = behind.filter(|(_, next)| next.turn == Turn::Watches) {
            next.turn = Turn::Waits;
        }
        self.queue.len.store(content.entries.len(), Relaxed);
        drop(content);
        fence(SeqCst);
        Some((Ticket { own: self.clone(), rank }, turn))
    }

    /// Whether there are calls for this worker.
    #[must_use]
    pub fn is_called(&self) -> bool {
        self.queue.is_called[self.worker].load(Relaxed)
    }

    /// The calls for this worker, in their order.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        if !self.is_called() {
            return Vec::new();
        }
        let mut content = self.queue.lock();
        self.queue.is_called[self.worker].store(false, Relaxed);
        std::mem::take(&mut content.calls[self.worker])
    }
}

/// The place of one request. It leaves the queue when this is dropped.
#[derive(Debug)]
pub struct Ticket {
    own: WorkerQueue,
    rank: Rank,
}

impl Ticket {
    /// Whether this is the request that is called.
    #[must_use]
    pub fn is_meant_by(&self, call: Call) -> bool {
        call.rank == self.rank
    }

    /// Whether the request may look for a backend.
    #[must_use]
    pub fn turn(&self) -> Turn {
        let content = self.own.queue.lock();
        content.entries.get(&self.rank).map_or(Turn::Waits, |entry| entry.turn)
    }

    /// The request was called and has found a backend. It leaves the queue. `places` says how many
    /// others would find one now, and `is_out` whether a backend is out for some time.
    pub fn goes(&self, places: impl FnOnce() -> usize, is_out: impl FnOnce() -> bool) {
        let queue = &self.own.queue;
        let mut content = queue.lock();
        content.remove(self.rank);
        queue.len.store(content.entries.len(), Relaxed);
        let is_next = !content.entries.is_empty()
            && (places() > content.called || content.is_unwatched() && is_out());
        let called = if is_next { content.call_next(None) } else { None };
        queue.tell(content, called, Some(self.own.worker));
    }

    /// The request was called and has found none. Whether it goes on waiting, or looks once more.
    #[must_use]
    pub fn stays(&self) -> Turn {
        let mut content = self.own.queue.lock();
        let is_first = content.entries.first_key_value().is_some_and(|(it, _)| *it == self.rank);
        let is_missed = std::mem::take(&mut content.is_missed);
        let Some(entry) = content.entries.get_mut(&self.rank) else { return Turn::Waits };
        if std::mem::take(&mut entry.looks_again) || is_missed {
            return Turn::Called;
        }
        let turn = if is_first { Turn::Watches } else { Turn::Waits };
        entry.turn = turn;
        let scope = entry.scope;
        content.called -= 1;
        let called = if scope == Scope::Some { content.pass_on(self.rank) } else { None };
        self.own.queue.tell(content, called, Some(self.own.worker));
        turn
    }
}

impl Drop for Ticket {
    /// Whatever ends the request, it leaves the queue, and its call or its timer is another one's.
    fn drop(&mut self) {
        let queue = &self.own.queue;
        let mut content = queue.lock();
        let Some(turn) = content.remove(self.rank) else { return };
        queue.len.store(content.entries.len(), Relaxed);
        let is_next = match turn {
            Turn::Waits => false,
            Turn::Watches => content.is_unwatched(),
            Turn::Called => true,
        };
        let called = if is_next { content.call_next(None) } else { None };
        queue.tell(content, called, Some(self.own.worker));
    }
}

#[cfg(test)]
mod tests;
