//! When something happens to which backends, and what.

use std::time::Duration;

use crate::scenario::{Group, Phase, Scenario};

/// More would be a pattern, not phases.
const MOST_TIMES: usize = 100;

/// Something that happens to the backends of a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    /// To which backends, counted from 1.
    pub(super) backends: String,
    /// What, such as `slow 10`.
    pub(super) what: String,
    /// When, as in the file.
    pub(super) when: String,
    /// From when to when in seconds, each time that it is within the run.
    pub(super) times: Vec<(f64, f64)>,
}

/// The numbers of the backends of each group, counted from 1, such as `2–5`.
pub(super) fn groups(scenario: &Scenario) -> impl Iterator<Item = (String, &Group)> {
    let mut next = 1;
    scenario.backends.iter().map(move |group| {
        let (first, last) = (next, next + group.count.max(1) - 1);
        next = last + 1;
        let numbers = if first == last { first.to_string() } else { format!("{first}–{last}") };
        (numbers, group)
    })
}

/// All that happens during a run of this length, in the order of the file.
pub(super) fn events(scenario: &Scenario) -> Vec<Event> {
    let length = scenario.run.warm_up + scenario.run.length;
    let of_group = |(backends, group): (String, &Group)| {
        let event = |phase: &Phase| {
            let (when, written) = (phase.window.to_string(), phase.to_string());
            let what = written.strip_prefix(&when).unwrap_or(&written).trim().to_owned();
            Event { backends: backends.clone(), what, when, times: times(phase, length) }
        };
        group.script.iter().map(event).collect::<Vec<_>>()
    };
    groups(scenario).flat_map(of_group).collect()
}

fn times(phase: &Phase, length: Duration) -> Vec<(f64, f64)> {
    let window = phase.window;
    let step = window.every.unwrap_or(Duration::MAX);
    let starts = std::iter::successors(Some(window.from), |from| from.checked_add(step));
    let span = |from: Duration| {
        let lasts = window.to.map(|to| to.saturating_sub(window.from));
        let to = lasts.map_or(length, |lasts| (from + lasts).min(length));
        (from.as_secs_f64(), to.as_secs_f64())
    };
    starts.take_while(|from| *from < length).take(MOST_TIMES).map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(script: &str) -> Scenario {
        let text = format!(
            "about = \"x\"\n[[backend]]\nservice = \"exp:1ms\"\n[[backend]]\ncount = 3\n\
             service = \"exp:1ms\"\nscript = {script}\n[load]\nrate = 9\n[run]\n\
             warm-up = \"4s\"\nlength = \"6s\"\n"
        );
        Scenario::parse("own.toml", &text, None).expect("a scenario")
    }

    #[test]
    fn a_phase_is_shown_each_time_that_it_is_within_the_run() {
        let events = events(&scenario("[\"1s..2s every 4s slow 10\", \"8s..20s hang\"]"));
        assert_eq!((events[0].backends.as_str(), events[0].what.as_str()), ("2–4", "slow 10"));
        assert_eq!(events[0].when, "1s..2s every 4s");
        assert_eq!(events[0].times, [(1.0, 2.0), (5.0, 6.0), (9.0, 10.0)]);
        assert_eq!(events[1].times, [(8.0, 10.0)], "it is cut at the end");
    }

    #[test]
    fn one_without_an_end_lasts_and_one_after_the_run_is_never_seen() {
        let events = events(&scenario("[\"3s.. slow 2\", \"30s.. refuse\"]"));
        assert_eq!((&events[0].times[..], &events[1].times[..]), (&[(3.0, 10.0)][..], &[][..]));
    }

    #[test]
    fn groups_are_named_by_the_numbers_of_their_backends() {
        let scenario = scenario("[]");
        let names: Vec<String> = groups(&scenario).map(|(name, _)| name).collect();
        assert_eq!(names, ["1", "2–4"]);
    }
}
