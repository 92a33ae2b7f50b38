//! The figures as plots.

use std::collections::HashSet;

use super::Report;
use super::figure::{Figure, figures};
use super::run::{Run, Slot};
use crate::render::{Area, Bar, Curve, Ink, Line, Panel, Part, Scale, areas, bars, curves, parts};
use tidegate::balance::Policy;

/// Shorter latencies are drawn as this one, in milliseconds. A log with whole milliseconds has 0,
/// which a logarithmic scale has not.
const SHORTEST_MS: f64 = 0.05;

/// How each run is drawn in all plots: a policy has one colour, and non-persistent connections are
/// dashed. If that does not tell the runs apart, each has a colour of its own.
pub(super) fn lines(report: &Report) -> Vec<Line> {
    let style = |run: &Run| {
        let is_its = |policy: &Policy| run.routing_mode.as_deref() == Some(policy.name());
        let is_dashed = run.connection.as_deref() == Some("non-persistent");
        Some((Policy::ALL.iter().position(is_its)?, is_dashed))
    };
    let styles: Vec<_> = report.runs.iter().map(style).collect();
    let distinct: HashSet<_> = styles.iter().flatten().collect();
    let all_differ = distinct.len() == report.runs.len();
    let line = |(index, run): (usize, &Run)| {
        let style = styles[index].filter(|_| all_differ);
        let (colour, is_dashed) = style.unwrap_or((index, false));
        Line { name: run.name.clone(), ink: Ink::Series(colour), is_dashed }
    };
    report.runs.iter().enumerate().map(line).collect()
}

/// The figures by which runs are compared, side by side, two in a row.
pub(super) fn comparison(report: &Report) -> Vec<Option<String>> {
    let lines = lines(report);
    let panel = |figure: &Figure| {
        let bar = |run| {
            let value = figure.value(run)?;
            Some(Bar { value, range: None, text: (figure.words)(value) })
        };
        Panel { title: figure.title.to_owned(), bars: report.runs.iter().map(bar).collect() }
    };
    let panels: Vec<_> = figures(report).iter().map(panel).collect();
    panels.chunks(2).map(|two| bars(&lines, two)).collect()
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
    let curve = |(run, line): (&Run, Line)| {
        let curve = &run.latency.as_ref()?.curve;
        let points = curve.iter().map(|&(ms, percent)| (ms.max(SHORTEST_MS), percent)).collect();
        Some(Curve { points, ink: line.ink, opacity: 1.0, is_dashed: line.is_dashed })
    };
    let all: Vec<_> = report.runs.iter().zip(lines(report)).filter_map(curve).collect();
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

/// A run over time: median and p95, and the share of each of `backends`.
pub(super) struct OverTime<'a> {
    pub(super) run: &'a Run,
    pub(super) latency: Option<String>,
    pub(super) shares: Option<String>,
}

/// One for each run that has latencies, all of one scale.
pub(super) fn over_time<'a>(report: &'a Report, backends: &[String]) -> Vec<OverTime<'a>> {
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
    let plot = |(run, line): (&'a Run, Line)| {
        let slots = &run.latency.as_ref()?.slots;
        let curve = |opacity, of: fn(&Slot) -> f64| {
            let points = slots.iter().map(|slot| (slot.second, of(slot)));
            // The last slot has a length, too; without it a run of one slot would not be visible.
            let end = slots.last().map(|slot| (slot.second + 1.0, of(slot)));
            let points = points.chain(end).collect();
            Curve { points, ink: line.ink, opacity, is_dashed: line.is_dashed }
        };
        let both = [curve(0.45, |slot| slot.p95_ms), curve(1.0, |slot| slot.p50_ms)];
        let latency = curves(&scale, &both);
        Some(OverTime { run, latency, shares: shares_over_time(run, slots, backends, &scale) })
    };
    report.runs.iter().zip(lines(report)).filter_map(plot).collect()
}

/// The share of each of `backends` in the requests of each slot, one above the other.
fn shares_over_time(
    run: &Run,
    slots: &[Slot],
    backends: &[String],
    scale: &Scale,
) -> Option<String> {
    let end = slots.last().map(|slot| slot.second + 1.0);
    let times: Vec<_> = slots.iter().map(|slot| slot.second).chain(end).collect();
    let mut below = vec![0.0; slots.len()];
    let area = |(index, name): (usize, &String)| {
        let place = run.backends.iter().position(|backend| backend.name == *name)?;
        let edge = |(slot, below): (&Slot, &mut f64)| {
            let low = *below;
            *below += 100.0 * slot.requests[place] as f64 / slot.count as f64;
            (low, *below)
        };
        Some(Area { index, edges: slots.iter().zip(&mut below).map(edge).collect() })
    };
    let all: Vec<_> = backends.iter().enumerate().filter_map(area).collect();
    let scale = Scale { size: (400, 150), y_title: "share, %", y: (0.0, 100.0), ..scale.clone() };
    areas(&scale, &times, &all)
}
