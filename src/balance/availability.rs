//! Whether a backend takes requests, and why: one state machine in one word.
//!
//! ```text
//! Up ── refused, or failures in a row ──> Ejected ── its time is over ──> Probing
//!  ^                                         ^                            │    │
//!  │                                         └── failed: twice as long ───┘    │
//!  └── answered ───────────────────────────────────────────────────────────────┘
//! any of them ── an active check failed ──> Down ── the check passed ──> Up
//! ```

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::check::Verdict;
use super::clock::{Nanos, nanos};
use super::sync::AtomicU64;

/// The least part of its weight that a backend has at the beginning of its slow start.
const LEAST_SHARE: f64 = 0.1;

/// When a backend is ejected, and for how long: `first`, then twice as long after each failed
/// probe, at most `longest`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Rules {
    pub(super) first: Duration,
    pub(super) longest: Duration,
    /// By how much a time may be shorter than that, so that many proxies don't probe together.
    pub(super) jitter_percent: u8,
    /// Failures in a row that eject a backend; `None` if failures never do.
    pub(super) eject_after: Option<u8>,
}

impl Rules {
    /// The end of an ejection. Its jitter follows from when it began, so that all see the same.
    fn due(self, since: Micros, times: u8) -> Micros {
        let doubled = 2_u32.saturating_pow(u32::from(times.saturating_sub(1)));
        let full = micros(nanos(self.first.saturating_mul(doubled).min(self.longest)));
        let mixed = since.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        let most = full / 100 * u64::from(self.jitter_percent.min(100));
        since + full - most / 1024 * mixed
    }
}

/// Whether a backend takes requests.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Availability {
    /// It takes requests.
    Up,
    /// It failed: it takes no requests until its time is over.
    Ejected,
    /// Its time is over, but it takes one request at a time only, to see whether it is back.
    Probing,
    /// It takes no requests, whatever time passes, because its check failed or it was removed.
    Down,
}

impl Availability {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Probing => "probing",
            Self::Down => "down",
        }
    }
}

/// Why a backend takes requests, or none.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Cause {
    /// Up: nothing has happened since it was added.
    Added,
    /// Up: it answered a probe.
    Answered,
    /// Up: its active check passed.
    CheckPassed,
    /// Up: the admin drained it, took it back, or ended its ejection.
    Admitted,
    /// Ejected or being probed: it could not be reached at any of its addresses.
    Refused,
    /// Ejected or being probed: it failed several times in a row.
    Failures,
    /// Ejected or being probed: the admin ejected it for a while.
    Admin,
    /// Down: its active check failed.
    CheckFailed,
    /// Down: it is draining or gone.
    Removed,
}

impl Cause {
    /// The words for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Answered => "answered",
            Self::CheckPassed => "check passed",
            Self::Admitted | Self::Admin => "admin",
            Self::Refused => "refused",
            Self::Failures => "failures",
            Self::CheckFailed => "check failed",
            Self::Removed => "removed",
        }
    }

    fn bits(self) -> u64 {
        match self {
            Self::Added => 0,
            Self::Answered => 1,
            Self::CheckPassed => 2,
            Self::Admitted => 3,
            Self::Refused => 4,
            Self::Failures => 5,
            Self::Admin => 6,
            Self::CheckFailed => 7,
            Self::Removed => 8,
        }
    }

    fn of_bits(word: u64) -> Self {
        match word & CAUSE_MASK {
            0 => Self::Added,
            1 => Self::Answered,
            2 => Self::CheckPassed,
            3 => Self::Admitted,
            4 => Self::Refused,
            5 => Self::Failures,
            6 => Self::Admin,
            7 => Self::CheckFailed,
            _ => Self::Removed,
        }
    }
}

/// The state of a backend in one word: the cause in the lowest 4 bits, a count in the next 8, and
/// since when in the rest. The count is that of failures in a row while it is up, and that of
/// failures that ejected it while it is not. An ejection by the admin has its end there instead of
/// its beginning. Zero is up from the beginning.
#[derive(Debug, Default)]
pub(super) struct Standing {
    word: AtomicU64,
    ejections: EjectionCounters,
}

/// How often a backend was taken out, by the cause: by its requests, each failed probe included
/// that prolonged it, by its active check, or by the admin.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Ejections {
    /// It could not be reached.
    pub refused: u64,
    /// It failed several times in a row.
    pub failures: u64,
    /// Its active check failed.
    pub checks: u64,
    /// The admin ejected it for a while.
    pub admin: u64,
}

impl Ejections {
    /// Adds those of another backend.
    pub fn merge(&mut self, other: Self) {
        self.refused += other.refused;
        self.failures += other.failures;
        self.checks += other.checks;
        self.admin += other.admin;
    }
}

/// They decide nothing, so a model checker need not know of them.
#[derive(Debug, Default)]
struct EjectionCounters {
    refused: AtomicU32,
    failures: AtomicU32,
    checks: AtomicU32,
    admin: AtomicU32,
}

impl EjectionCounters {
    fn count(&self, cause: Cause) {
        let counter = match cause {
            Cause::Refused => &self.refused,
            Cause::Failures => &self.failures,
            Cause::CheckFailed => &self.checks,
            Cause::Admin => &self.admin,
            Cause::Added
            | Cause::Answered
            | Cause::CheckPassed
            | Cause::Admitted
            | Cause::Removed => return,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn reset(&self) {
        for counter in [&self.refused, &self.failures, &self.checks, &self.admin] {
            counter.store(0, Relaxed);
        }
    }
}

const CAUSE_BITS: u32 = 4;
const CAUSE_MASK: u64 = (1 << CAUSE_BITS) - 1;
const COUNT_BITS: u32 = 8;

/// The causes of being up come first.
fn is_up(word: u64) -> bool {
    word & CAUSE_MASK <= Cause::Admitted.bits()
}

/// Microseconds since the epoch, of which 52 bits are enough.
type Micros = u64;

fn micros(time: Nanos) -> Micros {
    time / 1_000
}

#[derive(Copy, Clone)]
struct State {
    cause: Cause,
    count: u8,
    since: Micros,
}

impl State {
    fn unpack(word: u64) -> Self {
        let [count, ..] = (word >> CAUSE_BITS).to_le_bytes();
        Self { cause: Cause::of_bits(word), count, since: word >> (CAUSE_BITS + COUNT_BITS) }
    }

    fn pack(self) -> u64 {
        let Self { cause, count, since } = self;
        since << (CAUSE_BITS + COUNT_BITS) | u64::from(count) << CAUSE_BITS | cause.bits()
    }

    fn is_up(self) -> bool {
        is_up(self.cause.bits())
    }

    fn due(self, rules: Rules) -> Option<Micros> {
        match self.cause {
            Cause::Refused | Cause::Failures => Some(rules.due(self.since, self.count)),
            Cause::Admin => Some(self.since),
            _ => None,
        }
    }

    /// An attempt begun at `started` failed, and this was an ejection whose time was over then. It
    /// begins anew and takes twice as long. An attempt begun before that tells nothing new: a
    /// hundred requests refused at the same moment are one outage.
    fn prolonged(self, rules: Rules, cause: Cause, started: Nanos, now: Nanos) -> Option<Self> {
        self.due(rules).filter(|due| micros(started) >= *due)?;
        Some(Self { cause, count: self.count.saturating_add(1), since: micros(now) })
    }
}

impl Standing {
    fn state(&self) -> State {
        State::unpack(self.word.load(Relaxed))
    }

    fn change(&self, step: impl Fn(State) -> Option<State>) {
        let step = |word| step(State::unpack(word)).map(State::pack);
        // Declined, there is nothing to change.
        if let Ok(before) = self.word.fetch_update(Relaxed, Relaxed, step)
            && let Some(after) = step(before)
        {
            self.ejections.count(State::unpack(after).cause);
        }
    }

    /// How often it was taken out since it began.
    pub(super) fn ejections(&self) -> Ejections {
        let count = |counter: &AtomicU32| u64::from(counter.load(Relaxed));
        let EjectionCounters { refused, failures, checks, admin } = &self.ejections;
        Ejections {
            refused: count(refused),
            failures: count(failures),
            checks: count(checks),
            admin: count(admin),
        }
    }

    /// The slot has another occupant, which takes requests from now on.
    pub(super) fn begin(&self, now: Nanos) {
        let added = State { cause: Cause::Added, count: 0, since: micros(now) };
        self.ejections.reset();
        self.word.store(added.pack(), Relaxed);
    }

    /// Whether it is up, which nearly all are.
    pub(super) fn is_up(&self) -> bool {
        is_up(self.word.load(Relaxed))
    }

    pub(super) fn availability(&self, rules: Rules, now: Nanos) -> Availability {
        let state = self.state();
        match state.due(rules) {
            Some(due) if micros(now) < due => Availability::Ejected,
            Some(_) => Availability::Probing,
            None if state.is_up() => Availability::Up,
            None => Availability::Down,
        }
    }

    pub(super) fn cause(&self) -> Cause {
        self.state().cause
    }

    /// When the ejection is over, in microseconds; `None` if there is none.
    pub(super) fn due(&self, rules: Rules) -> Option<Micros> {
        self.state().due(rules)
    }

    /// The part of its weight that a backend has `slow_start` after it was added or came back, or
    /// before.
    pub(super) fn share(&self, slow_start: Nanos, now: Nanos) -> f64 {
        let age = now.saturating_sub(self.state().since.saturating_mul(1_000));
        if age >= slow_start { 1.0 } else { (age as f64 / slow_start as f64).max(LEAST_SHARE) }
    }

    /// An attempt begun at `started` got no connection: a backend that was up is ejected, because
    /// nothing listens there.
    pub(super) fn unreachable(&self, rules: Rules, started: Nanos, now: Nanos) {
        self.change(|state| {
            if state.is_up() && micros(started) >= state.since {
                Some(State { cause: Cause::Refused, count: 1, since: micros(now) })
            } else {
                state.prolonged(rules, Cause::Refused, started, now)
            }
        });
    }

    /// An attempt begun at `started` failed. Whether the backend has failed as often in a row as
    /// ejects it.
    pub(super) fn failed(&self, rules: Rules, started: Nanos, now: Nanos) -> bool {
        self.change(|state| {
            if state.is_up() {
                let is_new = micros(started) >= state.since;
                is_new.then(|| State { count: state.count.saturating_add(1), ..state })
            } else {
                state.prolonged(rules, Cause::Failures, started, now)
            }
        });
        self.has_failed_enough(rules)
    }

    fn has_failed_enough(&self, rules: Rules) -> bool {
        let state = self.state();
        state.is_up() && rules.eject_after.is_some_and(|limit| state.count >= limit)
    }

    /// Ejects a backend that has failed often enough in a row.
    pub(super) fn eject(&self, rules: Rules, now: Nanos) {
        let ejected = State { cause: Cause::Failures, count: 1, since: micros(now) };
        let is_due = |state: State| rules.eject_after.is_some_and(|limit| state.count >= limit);
        self.change(|state| (state.is_up() && is_due(state)).then_some(ejected));
    }

    /// An attempt begun at `started` was answered: an ejection is over. An answer to a request that
    /// was sent before the ejection is no proof, because a process that shuts down finishes what it
    /// has.
    pub(super) fn answered(&self, started: Nanos, now: Nanos) {
        let word = self.word.load(Relaxed);
        let state = State::unpack(word);
        let is_proof = match state.cause {
            Cause::Refused | Cause::Failures => micros(started) > state.since,
            Cause::Admin => micros(started) >= state.since,
            _ => false,
        };
        if is_proof {
            let up = State { cause: Cause::Answered, count: 0, since: micros(now) };
            // If another thread was first, it knew something newer.
            let _ = self.word.compare_exchange(word, up.pack(), Relaxed, Relaxed);
        }
    }

    /// An attempt ended well: failures before it and after it are none in a row.
    pub(super) fn succeeded(&self) {
        let word = self.word.load(Relaxed);
        let state = State::unpack(word);
        if state.is_up() && state.count > 0 {
            let none = State { count: 0, ..state }.pack();
            let _ = self.word.compare_exchange(word, none, Relaxed, Relaxed);
        }
    }

    /// The admin ejects it until then, in whatever state it is.
    pub(super) fn eject_until(&self, end: Nanos) {
        let ejected = State { cause: Cause::Admin, count: 0, since: micros(end) };
        self.word.store(ejected.pack(), Relaxed);
        self.ejections.count(Cause::Admin);
    }

    /// The admin drained it or took it back, or ends its ejection. One that a check took down stays
    /// down.
    pub(super) fn admit(&self, now: Nanos) {
        let admitted = State { cause: Cause::Admitted, count: 0, since: micros(now) };
        self.change(|state| (state.cause != Cause::CheckFailed).then_some(admitted));
    }

    /// How long it is in this state, and how long its ejection still takes.
    pub(super) fn times(&self, rules: Rules, now: Nanos) -> (Option<Duration>, Option<Duration>) {
        let (state, now) = (self.state(), micros(now));
        let since = (state.cause != Cause::Admin).then_some(state.since);
        let age = since.map(|since| Duration::from_micros(now.saturating_sub(since)));
        let left = state.due(rules).and_then(|due| due.checked_sub(now));
        (age, left.map(Duration::from_micros))
    }

    /// An active check has come to another verdict. It knows nothing of why requests fail, so one
    /// that passes ends no ejection. Nor does one that fails end that by the admin, who said until
    /// when.
    pub(super) fn checked(&self, verdict: Verdict, now: Nanos) {
        let since = micros(now);
        self.change(|state| match (verdict, state.cause) {
            (_, Cause::Admin) if since < state.since => None,
            (Verdict::Fails, _) => Some(State { cause: Cause::CheckFailed, count: 0, since }),
            (Verdict::Passes, Cause::CheckFailed) => {
                Some(State { cause: Cause::CheckPassed, count: 0, since })
            }
            (Verdict::Passes, _) => None,
        });
    }
}

#[cfg(test)]
mod tests;
