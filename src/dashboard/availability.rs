//! What a backend was over time.
//!
//! Recorded choices tell it, and why. They are a sample, so what one of them tells holds for a
//! while, unless rows show that it is over. For the rest there are the rows: they tell that a
//! backend answered, failed, or got no requests, and whether failures were the cause of that.
//!
//! A row names the backend that answered last. If that took a second attempt, the failure of the
//! first is seen only by the row's reason, so a backend that fails at once gets no rows, and others
//! have requests that were sent again. What rows cannot tell is not told: a backend that drains, is
//! down by its checks, or is not wanted by the policy has no requests, and that is all.

use serde::Serialize;

/// Without requests for less than this, a backend is what it was before.
const QUIET_SECONDS: i64 = 5;

/// What a recorded choice tells holds for so long without another one.
const HELD_MS: i64 = 15_000;

/// What is known of a backend in one slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) failures: u64,
    /// Requests to see whether it is back.
    pub(super) trials: u64,
    /// Requests to other backends, and those of them that had been sent elsewhere before.
    pub(super) others: u64,
    pub(super) others_retries: u64,
    /// What recorded choices tell of it, and how many do.
    pub(super) standing: Option<Standing>,
    pub(super) choices: u64,
}

/// What a recorded choice tells of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: Availability,
    pub(super) cause: Option<Cause>,
}

/// Why a backend takes no requests, in the words of the decision log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    Refused,
    Failures,
    #[serde(rename = "check failed")]
    CheckFailed,
    Admin,
    Removed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Availability {
    Up,
    /// Some of its requests failed.
    Degraded,
    /// All of them failed.
    Failing,
    /// It got none, after failures of its own, or from when others were sent what had failed.
    Ejected,
    /// It got those to see whether it is back.
    Probing,
    /// It got none, and nothing failed.
    Quiet,
    /// No backend got any.
    Idle,
    /// This and what follows is known from recorded choices only.
    Down,
    Drained,
    /// It had as many requests as it may have.
    Full,
    /// It gets none as long as others take some.
    Backup,
}

/// Slots in which a backend was the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stretch {
    pub(super) state: Availability,
    /// Why, if that was recorded.
    cause: Option<Cause>,
    /// How many recorded choices tell of it.
    choices: u64,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    requests: u64,
    failures: u64,
    trials: u64,
    /// Requests that others got because an attempt elsewhere had failed.
    others_retries: u64,
}

/// What a backend was, from the first slot on. `has_failed` tells whether its last request before
/// these slots failed, if there was one.
pub(super) fn stretches(
    [start_ms, step_ms]: [i64; 2],
    slots: &[Seen],
    has_failed: Option<bool>,
) -> Vec<Stretch> {
    let slots = &held(slots, step_ms)[..];
    let mut all: Vec<Stretch> = Vec::new();
    let mut failed = has_failed;
    let mut at = 0;
    while let Some(seen) = slots.get(at) {
        let length = length_of_gap(&slots[at..]).max(1);
        let here = &slots[at..at + length];
        let before = all.last().map(|it| it.state);
        let recorded = seen.standing.filter(|it| it.tells_more(*seen));
        let cause = recorded.and_then(|it| it.cause);
        let state = if let Some(recorded) = recorded {
            recorded.state
        } else if seen.requests == 0 {
            let around = [at.checked_sub(1).and_then(|at| slots.get(at)), slots.get(at + length)];
            let first = if seen.others > 0 { Availability::Quiet } else { Availability::Idle };
            gap(here, around, step_ms, failed).or(before).unwrap_or(first)
        } else {
            busy(*seen, failed == Some(true))
        };
        if seen.requests > 0 {
            failed = Some(seen.failures == seen.requests);
        }
        let from_ms = start_ms + step_ms * i64::try_from(at).unwrap_or(0);
        let to_ms = from_ms + step_ms * i64::try_from(length).unwrap_or(0);
        if all.last().is_none_or(|last| !last.goes_on(state, cause)) {
            all.push(Stretch::new(state, from_ms));
        }
        if let Some(stretch) = all.last_mut() {
            stretch.add(here, to_ms);
            stretch.cause = stretch.cause.or(cause);
        }
        at += length;
    }
    all
}

/// The slots, of which each is told what was recorded a while before it.
fn held(slots: &[Seen], step_ms: i64) -> Vec<Seen> {
    let longest = HELD_MS / step_ms;
    let mut last: Option<(Standing, i64)> = None;
    let told = |seen: &Seen| {
        last = match (seen.standing, last) {
            (Some(standing), _) => Some((standing, 0)),
            (None, Some((standing, slots))) => Some((standing, slots + 1)),
            (None, None) => None,
        };
        last = last.filter(|(standing, slots)| {
            // It got requests, so this is over.
            let is_over = *slots > 0 && seen.requests > 0 && standing.state != Availability::Up;
            *slots <= longest && !is_over
        });
        let is_idle = seen.requests + seen.others == 0;
        let held = last.map(|(standing, _)| standing).filter(|_| !is_idle);
        // It may be ejected from now on.
        last =
            last.filter(|(standing, _)| seen.failures == 0 || standing.state != Availability::Up);
        Seen { standing: seen.standing.or(held), ..*seen }
    };
    slots.iter().map(told).collect()
}

impl Standing {
    /// Whether it says more than the rows of a slot. Requests that succeeded tell that it was up
    /// for a part of it, at least; a backend that is full has some, too.
    fn tells_more(self, seen: Seen) -> bool {
        match self.state {
            Availability::Full => true,
            Availability::Up => seen.requests == 0,
            _ => seen.requests <= seen.failures + seen.trials,
        }
    }
}

fn length_of_gap(slots: &[Seen]) -> usize {
    let is_alike = |seen: &&Seen| {
        let is_empty = seen.requests == 0 && seen.standing.is_none();
        is_empty && (seen.others == 0) == (slots[0].others == 0)
    };
    slots.iter().take_while(is_alike).count()
}

fn busy(seen: Seen, had_failed: bool) -> Availability {
    match (seen.failures, seen.trials) {
        (_, trials) if trials == seen.requests && (had_failed || seen.failures > 0) => {
            Availability::Probing
        }
        (0, _) => Availability::Up,
        (failures, _) if failures == seen.requests => Availability::Failing,
        _ => Availability::Degraded,
    }
}

/// What slots without requests mean, between these two; `None` if nothing.
///
/// What had to be sent again elsewhere had failed here only if this backend got requests before,
/// and got none from then on.
fn gap(
    slots: &[Seen],
    [previous, next]: [Option<&Seen>; 2],
    step_ms: i64,
    has_failed: Option<bool>,
) -> Option<Availability> {
    let seconds = i64::try_from(slots.len()).unwrap_or(0) * step_ms / 1000;
    let is_long = seconds >= QUIET_SECONDS;
    if slots[0].others == 0 {
        return is_long.then_some(Availability::Idle);
    }
    let is_tried_next = next.is_some_and(|next| next.trials > 0);
    let mut begin = previous.into_iter().chain(&slots[..1]);
    let has_cause = has_failed.is_some_and(|it| it || begin.any(|seen| seen.others_retries > 0));
    match (is_long, has_cause) {
        (_, true) if is_long || is_tried_next => Some(Availability::Ejected),
        (true, _) => Some(Availability::Quiet),
        _ => None,
    }
}

impl Stretch {
    fn new(state: Availability, from_ms: i64) -> Self {
        let [choices, requests, failures, trials, others_retries] = [0; 5];
        let to_ms = from_ms;
        let cause = None;
        Self { state, cause, choices, from_ms, to_ms, requests, failures, trials, others_retries }
    }

    /// Whether a slot is a part of it. Rows tell no cause.
    fn goes_on(&self, state: Availability, cause: Option<Cause>) -> bool {
        let is_same = self.cause.is_none() || cause.is_none() || self.cause == cause;
        self.state == state && is_same
    }

    fn add(&mut self, slots: &[Seen], to_ms: i64) {
        self.to_ms = to_ms;
        for seen in slots {
            self.requests += seen.requests;
            self.failures += seen.failures;
            self.trials += seen.trials;
            self.others_retries += seen.others_retries;
            self.choices += seen.choices;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Availability::{
        Degraded, Drained, Ejected, Failing, Full, Idle, Probing, Quiet, Up,
    };
    use super::*;

    /// A slot of a second: requests, failures and trials of the backend, while others got ten.
    fn seen([requests, failures, trials]: [u64; 3]) -> Seen {
        Seen { requests, failures, trials, others: 10, ..Seen::default() }
    }

    /// The same with two choices that tell this of it.
    fn recorded(of: [u64; 3], state: Availability, cause: Option<Cause>) -> Seen {
        Seen { standing: Some(Standing { state, cause }), choices: 2, ..seen(of) }
    }

    fn told(slots: &[Seen], had_failed: bool) -> Vec<(Availability, i64, i64)> {
        let all = stretches([0, 1000], slots, Some(had_failed));
        all.iter().map(|it| (it.state, it.from_ms / 1000, it.to_ms / 1000)).collect()
    }

    const GOOD: [u64; 3] = [5, 0, 0];
    const NONE: [u64; 3] = [0, 0, 0];

    fn slots(parts: &[([u64; 3], usize)]) -> Vec<Seen> {
        parts.iter().flat_map(|(slot, count)| vec![seen(*slot); *count]).collect()
    }

    #[test]
    fn a_backend_that_answers_is_up_and_a_short_silence_changes_nothing() {
        assert_eq!(told(&slots(&[(GOOD, 3), (NONE, 4), (GOOD, 2)]), false), [(Up, 0, 9)]);
        assert_eq!(told(&slots(&[(NONE, 2), (GOOD, 2)]), false), [(Quiet, 0, 2), (Up, 2, 4)]);
        assert_eq!(told(&[], false), []);
    }

    #[test]
    fn one_that_fails_is_ejected_probed_and_up_again() {
        let life = [(GOOD, 5), ([3, 3, 0], 1), (NONE, 2), ([1, 1, 1], 1), (NONE, 4)];
        let life = [&life[..], &[([1, 0, 1], 1), (GOOD, 3)]].concat();
        let expected = [
            (Up, 0, 5),
            (Failing, 5, 6),
            (Ejected, 6, 8),
            (Probing, 8, 9),
            (Ejected, 9, 13),
            (Probing, 13, 14),
            (Up, 14, 17),
        ];
        assert_eq!(told(&slots(&life), false), expected);
        let some = told(&slots(&[(GOOD, 1), ([5, 1, 0], 2), (GOOD, 1)]), false);
        assert_eq!(some, [(Up, 0, 1), (Degraded, 1, 3), (Up, 3, 4)]);
    }

    #[test]
    fn failures_that_others_made_good_are_known_by_their_retries() {
        let mut gap = slots(&[(GOOD, 2), (NONE, 6), (GOOD, 1)]);
        assert_eq!(told(&gap, false), [(Up, 0, 2), (Quiet, 2, 8), (Up, 8, 9)]);
        for first in [1, 2] {
            let mut gap = gap.clone();
            gap[first].others_retries = 3;
            assert_eq!(told(&gap, false), [(Up, 0, 2), (Ejected, 2, 8), (Up, 8, 9)]);
        }
        gap[2].others_retries = 3;
        assert_eq!(stretches([0, 1000], &gap, Some(false))[1].others_retries, 3);
    }

    #[test]
    fn what_failed_elsewhere_is_not_laid_to_a_backend_that_got_nothing_before_or_for_long() {
        let mut all = slots(&[(GOOD, 1), (NONE, 9)]);
        all[5].others_retries = 3;
        assert_eq!(told(&all, false), [(Up, 0, 1), (Quiet, 1, 10)]);
        let mut never = slots(&[(NONE, 9)]);
        never[0].others_retries = 3;
        let states = stretches([0, 1000], &never, None);
        assert_eq!(states.iter().map(|it| it.state).collect::<Vec<_>>(), [Quiet]);
    }

    #[test]
    fn what_was_before_is_known_and_one_that_is_measured_anew_is_up() {
        assert_eq!(told(&slots(&[(NONE, 9)]), true), [(Ejected, 0, 9)]);
        assert_eq!(told(&slots(&[([1, 0, 1], 1), (GOOD, 1)]), false), [(Up, 0, 2)]);
    }

    #[test]
    fn a_short_gap_at_the_beginning_is_told_as_what_it_is() {
        assert_eq!(told(&slots(&[(NONE, 4)]), false), [(Quiet, 0, 4)]);
        assert_eq!(told(&[Seen::default(); 4], false), [(Idle, 0, 4)]);
    }

    #[test]
    fn when_nobody_asks_nobody_is_ejected() {
        let mut all = slots(&[(GOOD, 1), (NONE, 6), (GOOD, 1)]);
        all[1..7].iter_mut().for_each(|seen| seen.others = 0);
        assert_eq!(told(&all, true), [(Up, 0, 1), (Idle, 1, 7), (Up, 7, 8)]);
    }

    #[test]
    fn recorded_choices_tell_why_a_backend_gets_no_requests() {
        let all = [
            seen(GOOD),
            recorded([3, 3, 0], Up, None),
            recorded(NONE, Ejected, Some(Cause::Failures)),
            seen(NONE),
            recorded([1, 0, 1], Probing, Some(Cause::Failures)),
            recorded(GOOD, Up, None),
            recorded(NONE, Drained, None),
        ];
        let expected = [
            (Up, 0, 1),
            (Failing, 1, 2),
            (Ejected, 2, 4),
            (Probing, 4, 5),
            (Up, 5, 6),
            (Drained, 6, 7),
        ];
        assert_eq!(told(&all, false), expected);
        let ejected = &stretches([0, 1000], &all, None)[2];
        assert_eq!((ejected.cause, ejected.choices), (Some(Cause::Failures), 2));
    }

    #[test]
    fn what_succeeded_and_what_failed_since_tell_more_than_what_was_recorded() {
        let failures = Some(Cause::Failures);
        // A long slot, in which it was ejected for a moment.
        let all = [recorded([90, 3, 1], Ejected, failures), recorded(GOOD, Full, None)];
        assert_eq!(told(&all, false), [(Degraded, 0, 1), (Full, 1, 2)]);
        assert_eq!(stretches([0, 1000], &all, None)[0].cause, None);
        // It failed after it was found up, and no later choice tells of it.
        let mut all = vec![recorded([3, 3, 0], Up, None)];
        all.extend(slots(&[(NONE, 9)]));
        assert_eq!(told(&all, false), [(Failing, 0, 1), (Ejected, 1, 10)]);
        // What a slot is longer than holds for that slot only.
        let all = [recorded(NONE, Drained, None), seen(NONE)];
        let states = stretches([0, 16_000], &all, Some(false));
        assert_eq!(states.iter().map(|it| it.state).collect::<Vec<_>>(), [Drained, Quiet]);
    }

    #[test]
    fn what_was_recorded_holds_for_a_while_unless_rows_show_that_it_is_over() {
        let mut all = vec![recorded(NONE, Drained, None)];
        all.extend(slots(&[(NONE, 40)]));
        assert_eq!(told(&all, false), [(Drained, 0, 16), (Quiet, 16, 41)]);
        all[5] = seen(GOOD);
        assert_eq!(told(&all, false), [(Drained, 0, 5), (Up, 5, 6), (Quiet, 6, 41)]);
        // Others were preferred to one that could be chosen.
        let unwanted: Vec<_> = (0..20).map(|_| recorded(NONE, Up, None)).collect();
        assert_eq!(told(&unwanted, false), [(Up, 0, 20)]);
        // What is recorded of the time in which nobody asks is nothing.
        all[5] = seen(NONE);
        all[1..].iter_mut().for_each(|seen| seen.others = 0);
        assert_eq!(told(&all, false), [(Drained, 0, 1), (Idle, 1, 41)]);
    }

    #[test]
    fn another_cause_is_another_stretch_and_rows_that_tell_none_are_not() {
        let by = |cause| recorded(NONE, Ejected, cause);
        let all = [by(None), by(Some(Cause::Refused)), by(None), by(Some(Cause::Admin))];
        assert_eq!(told(&all, true), [(Ejected, 0, 3), (Ejected, 3, 4)]);
    }
}
