//! The backends of a log, as far as it tells: how each divides itself, how long it worked on
//! requests, and what happened when.

use std::sync::Arc;
use std::time::Duration;

use super::division;
use super::outages::{self, Outage, Outages};
use super::pauses::Pauses;
use super::stalls::{self, Stall, Watch};
use super::trace::{End, Member, Row, Trace, UNKNOWN_BACKEND};
use super::turns;
use super::visits::{Division, Visit, Visits};
use super::waits;
use super::works::{LEAST_OF_CLASS, Uses, Work, Works};
use crate::scenario::{Conduct, Group, Phase as Scripted, Service, Window};

/// Longer than any log, and short enough for the simulator.
const FOREVER_US: u64 = u64::MAX / 4000;

/// One backend.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) division: Division,
    /// By class.
    pub(super) works: Arc<[Works]>,
    /// Those that come in turn instead, if they do.
    turns: Arc<[f32]>,
    stalls: Vec<Stall>,
    outages: Outages,
    /// Requests whose work is known.
    pub(crate) samples: usize,
    /// The requests that were there when one came, itself included: the median, the 99th percentile
    /// and the most.
    pub(crate) levels: [u32; 3],
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) backends: Vec<Backend>,
    /// The classes that are long polls, with how long they wait.
    pub(crate) waits: Vec<Option<Duration>>,
    /// Where each request is among those around it, 0 to 1; not a number if that is unknown.
    pub(crate) ranks: Vec<f32>,
    /// When the proxies stood still.
    pub(super) pauses: Pauses,
    /// What is known repeats after so many microseconds.
    pub(super) period_us: u64,
}

impl Model {
    /// What the requests say that were dispatched before `until_us`, if that is given. What comes
    /// later is taken to be as they were, from the first one on.
    pub(crate) fn fit(trace: &Trace, until_us: Option<u64>) -> Self {
        let until_us = until_us.unwrap_or(FOREVER_US);
        let count = trace.rows.partition_point(|row| row.start_us < until_us);
        let rows = &trace.rows[..count];
        let waits = waits::find(rows, trace.classes.len());
        let mut by_backend: Vec<Vec<Visit>> = vec![Vec::new(); trace.backends.len()];
        for (index, row) in (0..).zip(rows) {
            let is_worked_on = matches!(row.end, End::Answered | End::Left);
            let is_wait = waits[usize::from(row.class)].is_some();
            if row.backend != UNKNOWN_BACKEND && is_worked_on && !is_wait {
                by_backend[usize::from(row.backend)].push(visit(index, row));
            }
        }
        let pauses = Pauses::find(rows, trace.proxies.count);
        for visits in &mut by_backend {
            pauses.correct(visits, rows);
        }
        let mut ranks = vec![f32::NAN; trace.rows.len()];
        let usual = usual(&by_backend, trace.classes.len());
        let outages = outages::find(rows, trace.backends.len());
        let backends = by_backend
            .into_iter()
            .zip(outages)
            .map(|(visits, outages)| Backend::fit(visits, outages, &usual, &mut ranks));
        let mut backends: Vec<Backend> = backends.collect();
        // Where nothing is known, something has to stand; predictions that need it are refused.
        let known = backends.iter().max_by_key(|backend| backend.samples);
        let works = known.map(|known| Arc::clone(&known.works)).unwrap_or_default();
        for backend in backends.iter_mut().filter(|backend| backend.samples == 0) {
            backend.works = Arc::clone(&works);
        }
        Self { backends, waits, ranks, pauses, period_us: until_us }
    }

    /// The works of each backend, none of which is taken yet.
    pub(super) fn uses(&self) -> Vec<Arc<Uses>> {
        let uses = |Backend { works, turns, .. }: &Backend| {
            Uses::new(Arc::clone(works), Arc::clone(turns), self.period_us)
        };
        self.backends.iter().map(|backend| Arc::new(uses(backend))).collect()
    }

    /// The backends for the simulator.
    pub(crate) fn groups(&self, members: &[Member]) -> Vec<Group> {
        let group = |(backend, member): (&Backend, &Member)| Group {
            weight: member.weight,
            max_in_flight: member.max_in_flight,
            backup: member.is_backup,
            ..backend.group(self.period_us)
        };
        self.backends.iter().zip(members).map(group).collect()
    }
}

fn visit(index: u32, row: &Row) -> Visit {
    let (came_us, to) = (row.attempt_start_us(), row.end_us() as f64);
    let is_whole = row.end == End::Answered;
    Visit {
        from: came_us as f64,
        to,
        ended_us: row.end_us(),
        row: index,
        class: row.class,
        is_whole,
    }
}

/// The mean logarithm of the time in the backend, by class, whatever the backend.
fn usual(by_backend: &[Vec<Visit>], classes: usize) -> Vec<f64> {
    let mut means = vec![Mean::default(); classes];
    for visit in by_backend.iter().flatten().filter(|visit| visit.is_whole) {
        means[usize::from(visit.class)].add((visit.to - visit.from).max(1.0).ln());
    }
    means.iter().map(|mean| mean.value()).collect()
}

#[derive(Copy, Clone, Debug, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn value(self) -> f64 {
        self.sum / self.count.max(1.0)
    }
}

impl Backend {
    fn fit(visits: Vec<Visit>, outages: Outages, usual: &[f64], ranks: &mut [f32]) -> Self {
        let (visits, division, stalls, turns) = divide(visits, usual.len());
        let took = visits.works(division);
        let mut of_class: Vec<Vec<Work>> = vec![Vec::new(); usual.len()];
        for (visit, took_us) in visits.all.iter().zip(took) {
            if visit.is_whole && took_us > 0.0 {
                // Shared cores begin at once.
                let ago = match division {
                    Division::Cores(_) => visit.to - visit.from,
                    Division::Unlimited | Division::Slots(_) => took_us.into(),
                };
                let at_us = visit.ended_us.saturating_sub(whole(ago));
                of_class[usize::from(visit.class)].push(Work { at_us, took_us, row: visit.row });
            }
        }
        let samples = of_class.iter().map(Vec::len).sum();
        let works = works(of_class, usual, ranks);
        let levels = levels(&visits);
        Self { division, works: works.into(), turns, stalls, outages, samples, levels }
    }

    /// Without what is configured.
    fn group(&self, period_us: u64) -> Group {
        // Its times come from the log.
        let mut group = Group::new(Service::Fixed(Duration::from_millis(1)));
        match self.division {
            Division::Unlimited => {}
            Division::Slots(count) => group.slots = Some(count),
            Division::Cores(count) => group.cores = Some(count),
        }
        let stalls =
            self.stalls.iter().map(|stall| (whole(stall.from), whole(stall.to), Conduct::Pause));
        let outages = self.outages.all.iter();
        let outages =
            outages.map(|Outage { from_us, to_us, conduct }| (*from_us, *to_us, *conduct));
        let scripted = stalls.chain(outages).filter_map(|(from_us, to_us, conduct)| {
            let [from, to, every] =
                [from_us, to_us.min(period_us), period_us].map(Duration::from_micros);
            let window = Window { from, to: Some(to), every: Some(every) };
            (from < to).then_some(Scripted { window, conduct })
        });
        group.script = scripted.collect();
        let (failures, answers) = (self.outages.chance_failures, self.outages.answers);
        group.errors = failures as f64 / (failures + answers).max(1) as f64;
        group
    }

    /// The mean time that it works on a request.
    pub(crate) fn mean_ms(&self) -> f64 {
        let own = || self.works.iter().filter(|works| works.count > 0);
        let count: usize = own().map(|works| works.count).sum();
        own().map(|works| works.mean_us() * works.count as f64).sum::<f64>()
            / count.max(1) as f64
            / 1e3
    }

    /// What happened to it, in numbers: stalls, outages.
    pub(crate) fn changes(&self) -> [usize; 2] {
        [self.stalls.len(), self.outages.all.len()]
    }
}

/// How a backend divides itself, and when it stood still.
fn divide(visits: Vec<Visit>, classes: usize) -> (Visits, Division, Vec<Stall>, Arc<[f32]>) {
    let plain = Visits::new(visits.clone(), &Watch::default());
    // One that answers in turn delays nothing, and its long answers are no stalls.
    if let Some(turns) = turns::find(&plain.works(Division::Unlimited)) {
        return (plain, Division::Unlimited, Vec::new(), turns.into());
    }
    let stalls = stalls::find(&plain);
    if !stalls.is_empty() {
        let with_stalls = Visits::new(visits, &Watch::new(&stalls));
        let division = division::find(&with_stalls, classes);
        if division != Division::Slots(1) {
            return (with_stalls, division, stalls, Arc::default());
        }
    }
    let division = division::find(&plain, classes);
    (plain, division, Vec::new(), Arc::default())
}

/// The works of each class. One with too few requests has those of all, as much longer or shorter
/// as it is at all backends.
fn works(of_class: Vec<Vec<Work>>, usual: &[f64], ranks: &mut [f32]) -> Vec<Works> {
    let is_few = |works: &Vec<Work>| works.len() < LEAST_OF_CLASS;
    let mut all = Vec::new();
    if of_class.iter().any(is_few) {
        for (works, usual) in of_class.iter().zip(usual) {
            let scaled = |work: &Work| Work {
                took_us: (f64::from(work.took_us) / usual.exp()) as f32,
                ..*work
            };
            all.extend(works.iter().map(scaled));
        }
    }
    let all = Works::new(all, ranks);
    let of = |(works, usual): (Vec<Work>, &f64)| {
        if is_few(&works) {
            return all.scaled(usual.exp(), works.len());
        }
        Works::new(works, ranks)
    };
    of_class.into_iter().zip(usual).map(of).collect()
}

fn levels(visits: &Visits) -> [u32; 3] {
    let mut levels = visits.levels.clone();
    levels.sort_unstable();
    let at = |part: usize| levels.get(levels.len() * part / 100).copied().unwrap_or(0);
    [at(50), at(99), visits.most()]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
fn whole(us: f64) -> u64 {
    us.max(0.0) as u64
}
