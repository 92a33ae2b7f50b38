//! A contender over time: its p99, and the share of each backend, through what the script does.

use super::super::results::{Entry, Measured, Slice};
use super::phases::{Event, events, groups};
use super::tails::plain;
use crate::bench::Spread;
use crate::render::{Canvas, Font, Ink, LogAxis, Side};
use crate::scenario::Group;

const WIDTH: f64 = 400.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = WIDTH - 16.0;
/// The panel of latencies, the panel of shares, and the axis of time.
const LATENCY: (f64, f64) = (20.0, 142.0);
const SHARES: (f64, f64) = (160.0, 240.0);
const HEIGHT: f64 = 268.0;
/// How wide a letter of a name is, about.
const LETTER: f64 = 6.2;

/// The scales that all contenders of a scenario have in common.
pub(super) struct Scales {
    latency: LogAxis,
    seconds: f64,
    warm_up: f64,
    events: Vec<Event>,
    /// The colour of each backend.
    inks: Vec<Ink>,
}

/// The rounds of a contender as one.
struct Step {
    from_s: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    errors: u64,
    received: Vec<u64>,
}

/// A group's colour: those to which something happens stand out, unless it happens to all.
pub(super) fn group_inks(groups: &[Group]) -> Vec<Ink> {
    let quiet = |group: &Group| group.script.is_empty();
    let is_told = groups.iter().any(|group| !quiet(group));
    let ink = |(index, group): (usize, &Group)| {
        if is_told && !quiet(group) { Ink::Series(1 + index) } else { Ink::Part(index) }
    };
    groups.iter().enumerate().map(ink).collect()
}

impl Scales {
    /// `None` if no contender has a latency.
    pub(super) fn of(measured: &Measured) -> Option<Self> {
        let scenario = &measured.scenario;
        let steps = measured.entries.iter().flat_map(steps);
        let latencies = steps.flat_map(|step| [step.p50_ms, step.p99_ms]).flatten();
        let latency = LogAxis::of(latencies, (LATENCY.1, LATENCY.0))?;
        let inks = group_inks(&scenario.backends);
        let inks = groups(scenario).zip(inks);
        let inks = inks.flat_map(|((_, group), ink)| std::iter::repeat_n(ink, group.count));
        let warm_up = scenario.run.warm_up.as_secs_f64();
        let seconds = warm_up + scenario.run.length.as_secs_f64();
        let (inks, events) = (inks.collect(), events(scenario));
        Some(Self { latency, seconds, warm_up, events, inks })
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (second / self.seconds).clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// The picture of one contender; `None` if it has no round.
    pub(super) fn picture(&self, entry: &Entry) -> Option<String> {
        let steps = steps(entry);
        let first = steps.first()?;
        let length = steps.get(1).map_or(self.seconds, |second| second.from_s - first.from_s);
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        self.background(&mut canvas);
        self.axes(&mut canvas);
        self.shares(&mut canvas, &steps, length);
        for (of, width, opacity) in [
            ((|step: &Step| step.p50_ms) as fn(&Step) -> Option<f64>, 1.5, 0.55),
            (|step: &Step| step.p99_ms, 2.0, 1.0),
        ] {
            for line in self.lines(&steps, length, of) {
                canvas.line(&line, width, opacity, Ink::Series(0));
            }
        }
        for step in steps.iter().filter(|step| step.errors > 0) {
            let (from, to) = (self.x(step.from_s), self.x(step.from_s + length));
            let area = [from, LATENCY.1 - 5.0, (to - from).max(1.5), 5.0];
            canvas.rectangle(area, 0.0, Ink::Bad);
        }
        Some(canvas.end())
    }

    /// The warm-up, and the times at which something happens, with their names where there is room.
    fn background(&self, canvas: &mut Canvas) {
        let height = SHARES.1 - LATENCY.0;
        let warm = [LEFT, LATENCY.0, self.x(self.warm_up) - LEFT, height];
        canvas.rectangle(warm, 0.0, Ink::Page);
        let mut free = LEFT;
        let mut label = |canvas: &mut Canvas, (from, to): (f64, f64), name: &str| {
            let width = LETTER * name.chars().count() as f64;
            let middle = from.midpoint(to).clamp(LEFT + width / 2.0, RIGHT - width / 2.0);
            if middle - width / 2.0 >= free {
                canvas.text((middle, 13.0), Font::new(12.0, Side::Middle), Ink::Quiet, name);
                free = middle + width / 2.0 + 8.0;
            }
        };
        for event in &self.events {
            for (from, to) in &event.times {
                let (from, to) = (self.x(*from), self.x(*to));
                let area = [from, LATENCY.0, (to - from).max(1.0), height];
                canvas.rectangle(area, 0.0, Ink::Phase);
                canvas.line(&[(from, LATENCY.0), (from, SHARES.1)], 1.0, 1.0, Ink::Card);
                let name = format!("{}: {}", event.backends, event.what);
                label(canvas, (from, to), &name);
            }
        }
    }

    fn axes(&self, canvas: &mut Canvas) {
        let small = Font::new(12.0, Side::Left);
        for tick in self.latency.ticks(16.0) {
            let y = self.latency.at(tick);
            canvas.line(&[(LEFT, y), (RIGHT, y)], 1.0, 1.0, Ink::Grid);
            canvas.text((LEFT - 5.0, y + 4.0), small, Ink::Quiet, &plain(tick));
        }
        for (share, text) in [(0.0, "0"), (0.5, "50"), (1.0, "100")] {
            let y = SHARES.1 - share * (SHARES.1 - SHARES.0);
            canvas.line(&[(LEFT - 3.0, y), (LEFT, y)], 1.0, 1.0, Ink::Grid);
            canvas.text((LEFT - 5.0, y + 4.0), small, Ink::Quiet, text);
        }
        let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
        let step = step.into_iter().find(|step| self.seconds / step <= 8.0).unwrap_or(1e4);
        let seconds = (0..9u8).map(|n| f64::from(n) * step);
        for second in seconds.take_while(|second| *second <= self.seconds) {
            let x = self.x(second);
            canvas.line(&[(x, SHARES.1), (x, SHARES.1 + 4.0)], 1.0, 1.0, Ink::Grid);
            let font = Font::new(12.0, Side::Middle);
            canvas.text((x, SHARES.1 + 18.0), font, Ink::Quiet, &format!("{second} s"));
        }
    }

    /// A line for each time without a gap.
    fn lines(
        &self,
        steps: &[Step],
        length: f64,
        of: fn(&Step) -> Option<f64>,
    ) -> Vec<Vec<(f64, f64)>> {
        let parts = steps.split(|step| of(step).is_none());
        let point = |step: &Step| {
            let ms = of(step)?;
            Some((self.x(step.from_s + length / 2.0), self.latency.at(ms)))
        };
        let line = |part: &[Step]| part.iter().filter_map(point).collect::<Vec<_>>();
        parts.map(line).filter(|line| !line.is_empty()).collect()
    }

    /// The backends' shares, one above the other; a time in which nothing came is left empty.
    fn shares(&self, canvas: &mut Canvas, steps: &[Step], length: f64) {
        let total = |step: &Step| step.received.iter().sum::<u64>();
        for part in steps.split(|step| total(step) == 0).filter(|part| !part.is_empty()) {
            for (backend, ink) in self.inks.iter().enumerate() {
                let edge = |backends: usize| {
                    let point = move |step: &Step| {
                        let below: u64 = step.received.iter().take(backends).sum();
                        let share = below as f64 / total(step) as f64;
                        let y = SHARES.1 - share * (SHARES.1 - SHARES.0);
                        [(self.x(step.from_s), y), (self.x(step.from_s + length), y)]
                    };
                    part.iter().flat_map(point).collect::<Vec<_>>()
                };
                let (mut outline, upper) = (edge(backend), edge(backend + 1));
                outline.extend(upper.into_iter().rev());
                canvas.area(&outline, *ink);
            }
        }
    }
}

/// The rounds of a contender, slice by slice: the median of latencies, the sum of counts.
fn steps(entry: &Entry) -> Vec<Step> {
    let longest = entry.rounds.iter().map(|round| round.series.len()).max().unwrap_or(0);
    let step = |index: usize| {
        let slices = || entry.rounds.iter().filter_map(move |round| round.series.get(index));
        let first = slices().next()?;
        let median = |of: fn(&Slice) -> f64| {
            let counted = slices().filter(|slice| slice.requests > 0).map(of);
            Some(Spread::of(counted.filter(|ms| ms.is_finite()))?.median)
        };
        let mut received = vec![0; first.received.len()];
        for slice in slices() {
            received.iter_mut().zip(&slice.received).for_each(|(sum, count)| *sum += count);
        }
        Some(Step {
            from_s: first.from_s,
            p50_ms: median(|slice| slice.p50_ms),
            p99_ms: median(|slice| slice.p99_ms),
            errors: slices().map(|slice| slice.errors).sum(),
            received,
        })
    };
    (0..longest).filter_map(step).collect()
}
