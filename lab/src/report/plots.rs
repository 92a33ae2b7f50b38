//! The figures as plots.

use super::Report;
use super::run::{Latency, Run, Slot};
use super::verdict;
use super::written::{millis, per_second};
use crate::render::{Bar, Curve, Ink, Line, Panel, Part, Scale, bars, curves, parts};

/// Shorter latencies are drawn as this one, in milliseconds. A log with whole milliseconds has 0,
/// which a logarithmic scale has not.
const SHORTEST_MS: f64 = 0.05;

/// Each run has the same colour in all plots.
pub(super) fn ink(index: usize) -> Ink {
    Ink::Series(index)
}

fn lines(report: &Report) -> Vec<Line> {
    let line = |(index, run): (usize, &Run)| Line { name: run.name.clone(), ink: ink(index) };
    report.runs.iter().enumerate().map(line).collect()
}

/// Requests per second, mean and p95 side by side.
pub(super) fn comparison(report: &Report) -> Option<String> {
    let panel = |title: &str, figure: &dyn Fn(&Run) -> Option<f64>, words: fn(f64) -> String| {
        let bar = |run| figure(run).map(|value| Bar { value, range: None, text: words(value) });
        Panel { title: title.to_owned(), bars: report.runs.iter().map(bar).collect() }
    };
    let latency = |of: fn(&Latency) -> f64| move |run: &Run| run.latency.as_ref().map(of);
    let throughput = verdict::throughput(report);
    let throughput_of = |run: &Run| (throughput.of)(run).map(|estimate| estimate.value);
    let panels = [
        panel(throughput.title(), &throughput_of, per_second),
        panel("mean latency, ms", &latency(|it| it.mean_ms), millis),
        panel("p95 latency, ms", &latency(|it| it.p95_ms), millis),
    ];
    bars(&lines(report), &panels)
}

/// The share of each of `backends`, in each run.
pub(super) fn distribution(report: &Report, backends: &[String]) -> Option<String> {
    let share = |run: &Run, (index, name): (usize, &String)| {
        let share = run.backend(name).map_or(0.0, |backend| run.share(backend.requests));
        Part { share, index }
    };
    let wholes = report.runs.iter();
    let wholes = wholes.map(|run| backends.iter().enumerate().map(|it| share(run, it)).collect());
    parts(&lines(report), &wholes.collect::<Vec<_>>())
}

/// The distribution of latencies: the percentage of requests that took at most so long.
pub(super) fn cumulative(report: &Report) -> Option<String> {
    let latencies = || report.runs.iter().filter_map(|run| run.latency.as_ref());
    let shortest = latencies().filter_map(|it| it.curve.first()).map(|point| point.0);
    let shortest = shortest.reduce(f64::min)?.max(SHORTEST_MS);
    let longest = latencies().map(|it| it.max_ms).fold(shortest, f64::max);
    let curve = |(index, run): (usize, &Run)| {
        let curve = &run.latency.as_ref()?.curve;
        let points = curve.iter().map(|&(ms, percent)| (ms.max(SHORTEST_MS), percent)).collect();
        Some(Curve { points, ink: ink(index), opacity: 1.0 })
    };
    let all: Vec<_> = report.runs.iter().enumerate().filter_map(curve).collect();
    let scale = Scale {
        size: (1040, 380),
        x_title: "latency, ms (logarithmic)",
        y_title: "% of requests that took no longer",
        x: (shortest * 0.9, longest * 1.1),
        y: (0.0, 100.0),
        is_logarithmic: true,
    };
    curves(&scale, &all)
}

/// One plot per run that has latencies, all of one scale: median and p95 by time.
pub(super) fn over_time(report: &Report) -> Vec<(&Run, Option<String>)> {
    let slots =
        || report.runs.iter().filter_map(|run| run.latency.as_ref()).flat_map(|it| &it.slots);
    let highest = slots().map(|slot| slot.p95_ms).fold(SHORTEST_MS, f64::max);
    let last = slots().map(|slot| slot.second).fold(0.0, f64::max) + 1.0;
    let scale = Scale {
        size: (400, 240),
        x_title: "seconds under load",
        y_title: "latency, ms",
        x: (0.0, last),
        y: (0.0, highest * 1.05),
        is_logarithmic: false,
    };
    let plot = |(index, run): (usize, &Run)| {
        let slots = &run.latency.as_ref()?.slots;
        let curve = |opacity, of: fn(&Slot) -> f64| {
            let points = slots.iter().map(|slot| (slot.second, of(slot)));
            // The last slot has a length, too; without it a run of one slot would not be visible.
            let end = slots.last().map(|slot| (slot.second + 1.0, of(slot)));
            Curve { points: points.chain(end).collect(), ink: ink(index), opacity }
        };
        let both = [curve(0.45, |slot| slot.p95_ms), curve(1.0, |slot| slot.p50_ms)];
        curves(&scale, &both)
    };
    let runs = report.runs.iter().enumerate();
    runs.filter(|(_, run)| run.latency.is_some()).map(|it| (it.1, plot(it))).collect()
}
