//! Each configuration against the baseline: by how much a figure differs, whether that may be
//! chance, and why two configurations can't be compared.

use std::collections::BTreeSet;

use super::Report;
use super::configuration::{Configuration, configurations};
use super::estimate::{Change, Estimate, RUNS_MIN};
use super::figure::{Figure, figures};
use super::run::Run;
use super::written::percent;
use crate::render::{Row, Table, thousands};

/// A share of errors from which on latencies are not compared: a request that fails is often
/// answered sooner or later than the others.
const ERRORS_MAX: f64 = 0.01;

/// A configuration against the baseline.
pub(super) struct Comparison<'a> {
    pub(super) name: &'a str,
    /// Why they can't be compared; empty if they can.
    pub(super) obstacles: Vec<String>,
    /// The figures both have.
    pub(super) figures: Vec<Compared>,
}

/// A figure of a configuration and of the baseline.
pub(super) struct Compared {
    pub(super) figure: Figure,
    pub(super) own: Estimate,
    pub(super) base: Estimate,
    /// `None` if the runs are too short to tell how exact it is.
    pub(super) change: Option<Change>,
}

/// The name of the baseline, and each other configuration against it. Empty if there is only one.
pub(super) fn comparisons(report: &Report) -> (&str, Vec<Comparison<'_>>) {
    let all = configurations(report);
    let is_base = |it: &&Configuration<'_>| Some(it.name) == report.baseline.as_deref();
    let Some(base) = all.iter().find(is_base).or(all.first()) else { return ("", Vec::new()) };
    let figures = figures(report);
    let others = all.iter().filter(|other| other.name != base.name);
    (base.name, others.map(|other| compare(other, base, &figures)).collect())
}

fn compare<'a>(
    own: &Configuration<'a>,
    base: &Configuration<'_>,
    figures: &[Figure],
) -> Comparison<'a> {
    let compared = |figure: &Figure| {
        let (own, base) = (figure.of(own)?, figure.of(base)?);
        Some(Compared { figure: *figure, own, base, change: own.change_from(base) })
    };
    Comparison {
        name: own.name,
        obstacles: obstacles(own, base),
        figures: figures.iter().filter_map(compared).collect(),
    }
}

/// Why two configurations can't be compared.
fn obstacles(own: &Configuration<'_>, base: &Configuration<'_>) -> Vec<String> {
    let mut obstacles = Vec::new();
    for configuration in [own, base] {
        let name = configuration.name;
        let runs = || configuration.runs.iter();
        if runs().any(|run| run.is_mixed) {
            obstacles.push(format!("{name} has rows of more than one configuration"));
        }
        let (errors, requests) = runs()
            .fold((0, 0), |(errors, requests), run| (errors + run.errors, requests + run.requests));
        let share = errors as f64 / requests.max(1) as f64;
        if share > ERRORS_MAX {
            obstacles.push(format!("{} of the requests of {name} failed", percent(share)));
        }
    }
    let mut differ = |what: &str, of: fn(&Run) -> String| {
        let [own, base] = [own, base].map(|it| it.runs.iter().map(|run| of(run)).collect());
        obstacles.extend(difference(what, &own, &base));
    };
    differ("the load", |run| without_addresses(&run.setup.load));
    differ("the machine", |run| run.setup.machine.clone());
    differ("the backends", |run| {
        run.setup.backends.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    });
    obstacles
}

/// That something differs, unless it is not known of one of them.
fn difference(what: &str, own: &BTreeSet<String>, base: &BTreeSet<String>) -> Option<String> {
    let is_known = |it: &BTreeSet<String>| it.iter().all(|text| !text.is_empty());
    let words = |it: &BTreeSet<String>| it.iter().cloned().collect::<Vec<_>>().join(" and ");
    (is_known(own) && is_known(base) && own != base)
        .then(|| format!("{what} differs: {} against {}", words(own), words(base)))
}

/// A command without the address, which may differ.
fn without_addresses(load: &str) -> String {
    load.split(' ').filter(|word| !word.contains("://")).collect::<Vec<_>>().join(" ")
}

/// The changes of all configurations.
pub(super) fn table(report: &Report) -> Option<Table> {
    let (base, comparisons) = comparisons(report);
    if comparisons.is_empty() {
        return None;
    }
    let figures = figures(report);
    let row = |comparison: &Comparison<'_>| {
        let cell = |figure: &Figure| {
            if !comparison.obstacles.is_empty() {
                return "not compared".to_owned();
            }
            let found = comparison.figures.iter().find(|it| it.figure.key == figure.key);
            found.map_or_else(|| "–".to_owned(), Compared::cell)
        };
        let cells = std::iter::once(comparison.name.to_owned()).chain(figures.iter().map(cell));
        Row { cells: cells.collect(), is_marked: false }
    };
    let titles = figures.iter().map(|figure| figure.title.to_owned());
    Some(Table {
        caption: format!("Change against {base}, with its 95 % interval; ≈ may be chance"),
        heads: std::iter::once(format!("against {base}")).chain(titles).collect(),
        rows: comparisons.iter().map(row).collect(),
    })
}

impl Compared {
    fn cell(&self) -> String {
        match self.change {
            Some(change) => {
                let mark = if change.is_certain() { "" } else { "≈ " };
                let [by, from, to] = [change.by, change.from, change.to].map(signed);
                format!("{mark}{by} % ({from} to {to})")
            }
            None => format!("{} % (±?)", signed(self.own.value / self.base.value - 1.0)),
        }
    }

    /// As in "p95 latency 201 ms instead of 401 ms, 49.9 % less (49.7 to 50.1 %)".
    fn words(&self, change: Change) -> String {
        let Figure { title, words, .. } = self.figure;
        let (own, base) = (words(self.own.value), words(self.base.value));
        let direction = if change.by < 0.0 { "less" } else { "more" };
        let mut ends = [change.from, change.to].map(|end| end * change.by.signum());
        ends.sort_by(f64::total_cmp);
        let [from, to] = ends.map(|end| digits(end * 100.0));
        let by = digits(change.by.abs() * 100.0);
        format!("{title} {own} instead of {base}, {by} % {direction} ({from} to {to} %)")
    }
}

/// A share in percent with its sign, and a digit after the point where that says something.
fn signed(share: f64) -> String {
    let text = digits(share.abs() * 100.0);
    let is_nothing = text.chars().all(|digit| "0.".contains(digit));
    let sign = if is_nothing {
        "±"
    } else if share < 0.0 {
        "−"
    } else {
        "+"
    };
    format!("{sign}{text}")
}

fn digits(percent: f64) -> String {
    if percent.abs() < 100.0 { format!("{percent:.1}") } else { thousands(percent) }
}

/// What the comparisons say, a sentence or two for each configuration, and on what that is based.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let (base, comparisons) = comparisons(report);
    let mut sentences: Vec<_> = comparisons.iter().map(|it| sentence(it, base)).collect();
    if comparisons.iter().any(|it| it.figures.iter().any(|figure| figure.change.is_some())) {
        sentences.push(basis(report));
    }
    sentences
}

fn sentence(comparison: &Comparison<'_>, base: &str) -> String {
    let name = comparison.name;
    if !comparison.obstacles.is_empty() {
        return format!(
            "No verdict on {name} against {base}: {}.",
            comparison.obstacles.join("; ")
        );
    }
    let known = || comparison.figures.iter().filter_map(|it| Some((it, it.change?)));
    if known().next().is_none() {
        return format!("No verdict on {name} against {base}: the runs are too short to tell.");
    }
    let (certain, chance): (Vec<_>, Vec<_>) = known().partition(|(_, it)| it.is_certain());
    let certain: Vec<_> = certain.into_iter().map(|(it, change)| it.words(change)).collect();
    let chance: Vec<_> = chance.into_iter().map(|(it, _)| it.figure.title).collect();
    match (certain.is_empty(), chance.is_empty()) {
        (false, true) => format!("{name} against {base}: {}.", certain.join("; ")),
        (true, _) => format!("{name} against {base}: no difference that is more than chance."),
        (false, false) => format!(
            "{name} against {base}: {}; {} {} by no more than chance.",
            certain.join("; "),
            listed(&chance),
            if chance.len() == 1 { "differs" } else { "differ" }
        ),
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}

/// From what the intervals are computed.
fn basis(report: &Report) -> String {
    let all = configurations(report);
    let is_repeated = |it: &Configuration<'_>| it.runs.len() >= RUNS_MIN;
    let from = match (all.iter().any(is_repeated), all.iter().all(is_repeated)) {
        (_, true) => "from the runs of each configuration",
        (true, false) => {
            "from the runs of a configuration that was run three times or more, else from up to \
             20 blocks of time of each run, in which what changes from run to run is not"
        }
        (false, false) => {
            "from up to 20 blocks of time of each run; what changes from run to run is not in \
             them, so repeat the runs to know more (--repeat of `scenarios`)"
        }
    };
    format!(
        "In brackets is the interval that holds the true difference with 95 % confidence, computed \
         {from}. A difference is more than chance if its interval does not hold 0 and it is more \
         than 1 %; of twenty figures that do not differ, one seems to."
    )
}
