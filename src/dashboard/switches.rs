//! When the policy of a log changed: a proxy may be given another one while it runs.

use std::collections::VecDeque;

/// How many are remembered.
const SWITCHES_MAX: usize = 50;

/// Rows of several workers are mixed for so long when the policy changes.
const MIXED_US: u64 = 2_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Switches {
    all: VecDeque<Switch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Switch {
    pub(super) at_us: i64,
    pub(super) from: String,
    pub(super) to: String,
}

impl Switches {
    /// A row with another policy than the row before it. The first row of a log has none before.
    pub(super) fn add(&mut self, at_us: i64, from: &str, to: &str) {
        if from.is_empty() {
            return;
        }
        // A row that was late takes back the switch before it, which the next row makes anew.
        let is_back = |last: &Switch| last.from == to && at_us.abs_diff(last.at_us) < MIXED_US;
        if self.all.back().is_some_and(is_back) {
            self.all.pop_back();
            return;
        }
        if self.all.len() == SWITCHES_MAX {
            self.all.pop_front();
        }
        self.all.push_back(Switch { at_us, from: from.to_owned(), to: to.to_owned() });
    }

    /// Those between two times.
    pub(super) fn between(&self, from_us: i64, to_us: i64) -> impl Iterator<Item = &Switch> {
        self.all.iter().filter(move |switch| (from_us..=to_us).contains(&switch.at_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn told(changes: &[(i64, &str)]) -> Vec<(i64, String)> {
        let (mut switches, mut present) = (Switches::default(), "");
        for (at_us, to) in changes {
            switches.add(*at_us, present, to);
            present = to;
        }
        switches.between(i64::MIN, i64::MAX).map(|it| (it.at_us, it.to.clone())).collect()
    }

    #[test]
    fn the_first_policy_is_no_switch_and_each_other_is() {
        assert_eq!(told(&[(0, "a")]), []);
        let seen = told(&[(0, "a"), (SECOND_US, "b"), (9 * SECOND_US, "a")]);
        assert_eq!(seen, [(SECOND_US, "b".to_owned()), (9 * SECOND_US, "a".to_owned())]);
    }

    #[test]
    fn rows_of_several_workers_that_are_mixed_make_one_switch() {
        let mixed =
            [(0, "a"), (1_000, "b"), (1_500, "a"), (2_000, "b"), (2_100, "a"), (2_200, "b")];
        assert_eq!(told(&mixed), [(2_200, "b".to_owned())]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let changes: Vec<_> =
            (0..99).map(|at| (at * 9 * SECOND_US, if at % 2 == 0 { "a" } else { "b" })).collect();
        let seen = told(&changes);
        assert_eq!((seen.len(), seen[0].0), (SWITCHES_MAX, 49 * 9 * SECOND_US));
    }
}
