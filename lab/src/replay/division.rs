//! How a backend divides itself among its requests: the way under which its log is likeliest.
//!
//! Each way makes works of the latencies, see `visits`. The log is as likely as these works are,
//! which is told from others: the works of the first half give the density of those of the second,
//! and the other way round. Where requests share cores, a work goes on more slowly than time does,
//! and the density of the latency is that of the work, times that speed. The likeliest way has
//! works that depend least on what else the backend had: if waiting is taken for work, works are
//! spread further.

use super::visits::{Division, Visit, Visits};

/// Requests of which each way is tried.
const SAMPLE: usize = 5000;

/// By how much a way must be likelier than none, in logarithms,
const LEAST_GAIN: f64 = 3.0;
/// and how many times as much as what the gains of requests add up to if each is chance.
const TIMES_CHANCE: f64 = 3.0;

/// How a backend divides itself, as far as its requests tell.
pub(super) fn find(visits: &Visits, classes: usize) -> Division {
    let part = visits.part(SAMPLE);
    let (exact_us, most) = (part.exact_us(), part.most() as usize);
    let least = part.least_slots(exact_us);
    let likelihood = |division: Division| {
        Densities::of(&part, &part.works(division), classes, exact_us).likelihoods(division)
    };
    let unlimited = likelihood(Division::Unlimited);
    let mut best = (0.0f64, Division::Unlimited);
    for count in counts(most) {
        let slots = (count >= least).then_some(Division::Slots(count));
        for division in slots.into_iter().chain([Division::Cores(count)]) {
            let gains = likelihood(division).into_iter().zip(&unlimited).map(|(a, b)| a - b);
            let (gain, squares) =
                gains.fold((0.0, 0.0), |(sum, squares), gain| (sum + gain, squares + gain * gain));
            let needed = LEAST_GAIN + TIMES_CHANCE * f64::sqrt(squares);
            if gain > best.0.max(needed) {
                best = (gain, division);
            }
        }
    }
    best.1
}

/// Numbers of slots to try: each up to 16, then in steps of an eighth.
fn counts(most: usize) -> impl Iterator<Item = usize> {
    let next = |count: &usize| Some(count + (count / 8).max(1));
    std::iter::successors(Some(1), next).take_while(move |count| *count < most)
}

/// The densities of the works of each half, by class.
struct Densities<'a> {
    visits: &'a Visits,
    works: &'a [f32],
    exact_us: f64,
    halves: [Vec<Vec<f64>>; 2],
}

impl<'a> Densities<'a> {
    fn of(visits: &'a Visits, works: &'a [f32], classes: usize, exact_us: f64) -> Self {
        let half = visits.all.len() / 2;
        let mut halves = [vec![Vec::new(); classes], vec![Vec::new(); classes]];
        for (place, visit) in visits.whole() {
            let works_of_half = &mut halves[usize::from(place >= half)];
            works_of_half[usize::from(visit.class)].push(f64::from(works[place]));
        }
        halves.iter_mut().flatten().for_each(|works| works.sort_by(f64::total_cmp));
        Self { visits, works, exact_us, halves }
    }

    /// The logarithms of the densities of all latencies, those of each half by the works of the
    /// other.
    fn likelihoods(&self, division: Division) -> Vec<f64> {
        let half = self.visits.all.len() / 2;
        let of = |(place, visit): (usize, &Visit)| {
            let others = &self.halves[usize::from(place < half)][usize::from(visit.class)];
            let density = self.density(others, self.works[place].into());
            (density * self.visits.speed(place, division)).ln()
        };
        self.visits.whole().map(of).collect()
    }

    /// By the nearest of the others, and not finer than times are exact.
    fn density(&self, others: &[f64], work: f64) -> f64 {
        let Some(last) = others.len().checked_sub(1) else { return 1.0 };
        let reach = 2 + others.len().isqrt() / 4;
        let place = others.partition_point(|other| *other < work);
        let [below, above] = [place.saturating_sub(reach), place + reach];
        let [below, above] = [below, above].map(|place| others[place.min(last)]);
        let width = self.exact_us.max(work - below).max(above - work);
        let from = others.partition_point(|other| *other < work - width);
        let to = others.partition_point(|other| *other <= work + width);
        (to - from).max(1) as f64 / others.len() as f64 / (2.0 * width)
    }
}
