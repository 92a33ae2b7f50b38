//! A scenario as it is run over sockets: in seconds, where the simulator has minutes.

use std::time::Duration;

use serde::Deserialize;

use super::{Conduct, Load, Run, Scenario, Window, duration};

/// How a scenario is run over sockets.
#[derive(Copy, Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Arena {
    /// What comes before is not measured.
    #[serde(deserialize_with = "duration")]
    pub warm_up: Duration,
    /// What is measured.
    #[serde(deserialize_with = "duration")]
    pub length: Duration,
    /// How many times as long everything takes that has a time in the file, except for services
    /// and failures. Without it, as long as lets whole periods fit into the length.
    pub time: Option<f64>,
}

impl Default for Arena {
    fn default() -> Self {
        let (warm_up, length) = (Duration::from_millis(500), Duration::from_millis(6500));
        Self { warm_up, length, time: None }
    }
}

impl Arena {
    /// What is wrong with it.
    pub(super) fn wrong(&self) -> Option<&'static str> {
        let is_time = |time| time > 0.0 && time <= 1.0;
        if self.length.is_zero() {
            Some("length is above 0")
        } else if !self.time.is_none_or(is_time) {
            Some("time is above 0, up to 1: how many times as long phases take")
        } else {
            None
        }
    }
}

impl Scenario {
    /// The scenario as it is run over sockets, in rounds that are `part` times as long as its file
    /// says, and as it is simulated beside that, with `seeds`.
    #[must_use]
    pub fn for_arena(&self, part: f64, seeds: u64) -> Self {
        let Arena { warm_up, length, time } = self.arena;
        let (warm_up, length) = (scaled(warm_up, part), scaled(length, part));
        let factor = time.map_or_else(|| self.fit(length), |time| time * part);
        let mut it = self.clone();
        (it.arena, it.run) = (Arena::default(), Run { warm_up, length, seeds });
        for group in &mut it.backends {
            for phase in &mut group.script {
                scale_window(&mut phase.window, factor);
                // No proxy is told of a member that joins: it finds a port that accepts now.
                if phase.conduct == Conduct::Absent {
                    phase.conduct = Conduct::Refuse;
                }
            }
            if let Some(drift) = &mut group.drift {
                scale(&mut drift.time, factor);
            }
        }
        it.classes.iter_mut().filter_map(|class| class.wait.as_mut()).for_each(|wait| {
            scale(wait, factor);
        });
        if let Load::Open { burst: Some(burst), .. } = &mut it.load {
            scale(&mut burst.time, factor);
        }
        it.focus.iter_mut().filter_map(|focus| focus.during.as_mut()).for_each(|window| {
            scale_window(window, factor);
        });
        scale(&mut it.proxies.response_timeout, factor);
        scale(&mut it.proxies.slow_start, factor);
        if it.stands_still_at_once() {
            it.delay_phases(warm_up);
        }
        it
    }

    /// Whether a backend stands still from the beginning. A contender that is asked whether it is
    /// ready would learn that this backend is slow.
    fn stands_still_at_once(&self) -> bool {
        let mut phases = self.backends.iter().flat_map(|group| &group.script);
        phases.any(|it| it.conduct == Conduct::Pause && it.window.contains(Duration::ZERO))
    }

    fn delay_phases(&mut self, by: Duration) {
        let phases = self.backends.iter_mut().flat_map(|group| &mut group.script);
        let focus = self.focus.iter_mut().filter_map(|focus| focus.during.as_mut());
        for window in phases.map(|phase| &mut phase.window).chain(focus) {
            window.from += by;
            window.to = window.to.map(|to| to + by);
        }
    }

    /// By what times have to be multiplied so that whole periods fit into `length`, 1 at most.
    fn fit(&self, length: Duration) -> f64 {
        let Some(period) = self.period() else { return 1.0 };
        let periods = length.as_secs_f64() / period.as_secs_f64();
        periods / periods.ceil()
    }
}

fn scale(time: &mut Duration, factor: f64) {
    *time = scaled(*time, factor);
}

fn scale_window(Window { from, to, every }: &mut Window, factor: f64) {
    [Some(from), to.as_mut(), every.as_mut()].into_iter().flatten().for_each(|time| {
        scale(time, factor);
    });
}

/// In whole microseconds, as files are written; what is not 0 stays so.
fn scaled(time: Duration, factor: f64) -> Duration {
    let least = if time.is_zero() { 0.0 } else { 1.0 };
    let micros = (time.as_secs_f64() * 1e6 * factor).round().max(least);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    Duration::from_micros(micros as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::BUILTIN;

    fn read(name: &str) -> Scenario {
        Scenario::read(name, None).expect(name)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn phases_are_shortened_so_that_whole_periods_fit() {
        let mut scenario = read("fails-fast");
        scenario.arena.length = ms(6000);
        let short = scenario.for_arena(1.0, 7);
        assert_eq!(short.run, Run { warm_up: ms(500), length: ms(6000), seeds: 7 });
        let script: Vec<_> = short.backends[0].script.iter().map(ToString::to_string).collect();
        assert_eq!(script, ["2s..4s every 6s fail 503 after 1ms"]);
        let focus = short.focus.iter().filter_map(|focus| focus.during);
        let focus: Vec<_> = focus.map(|window| window.to_string()).collect();
        assert_eq!(focus, ["2s..4s every 6s", "5s..8s every 6s"]);
        assert_eq!(short.proxies.response_timeout, ms(6000), "as the period");
        assert_eq!(short.backends[0].service, scenario.backends[0].service);
    }

    #[test]
    fn short_periods_stay_as_many_as_fit_and_are_never_made_longer() {
        let mut scenario = read("short-pauses");
        for (length, period) in [(8000, 2000), (7000, 1750), (1000, 1000), (2000, 2000)] {
            scenario.arena.length = ms(length);
            assert_eq!(scenario.for_arena(1.0, 1).period(), Some(ms(period)), "{length}");
        }
    }

    #[test]
    fn a_pause_at_the_beginning_begins_with_what_is_measured() {
        let short = read("short-pauses").for_arena(1.0, 1);
        let (script, focus) = (&short.backends[0].script[0], short.focus[0].during.expect("one"));
        assert_eq!((script.window.from, focus.from), (short.run.warm_up, short.run.warm_up));
        assert_eq!(read("joins-cold").for_arena(1.0, 1).backends[0].script[0].window.from, ms(0));
    }

    #[test]
    fn a_file_may_say_how_much_faster_its_time_goes() {
        let mut scenario = read("long-polls");
        (scenario.arena.length, scenario.arena.time) = (ms(6000), Some(0.1));
        assert_eq!(scenario.for_arena(1.0, 1).classes[2].wait, Some(ms(3000)));
        let half = scenario.for_arena(0.5, 1);
        assert_eq!((half.classes[2].wait, half.run.length), (Some(ms(1500)), ms(3000)));
        assert_eq!(half.arena, Arena::default(), "it is not shortened twice");
    }

    #[test]
    fn one_without_phases_is_only_shorter() {
        let short = read("uneven").for_arena(1.0, 2);
        let expected = Scenario { run: short.run, arena: Arena::default(), ..read("uneven") };
        assert_eq!(short, expected);
    }

    #[test]
    fn every_scenario_of_the_lab_can_be_shortened_and_written() {
        for (name, _) in BUILTIN {
            for part in [1.0, 0.25, 10.0] {
                let short = read(name).for_arena(part, 1);
                let read_again = Scenario::parse(name, &short.to_string(), None).expect(name);
                assert_eq!(read_again.to_string(), short.to_string());
            }
        }
    }
}
