//! When a backend became faster or slower, told from how long it worked on requests.
//!
//! Intervals of doubling length, each overlapping the next by a half, are looked at from the
//! shortest on. One is cut where the means of both sides differ most, if that is more than chance
//! makes, and no shorter one was cut inside it (narrowest over threshold, Baranowski et al. 2019,
//! with the intervals of Kovács et al. 2023). So a short phase among long usual times is found,
//! too. A cut too many costs nothing, because cuts only say which requests are compared with each
//! other.

use super::works::Work;

/// The shortest interval, and the least part of it on one side of a cut.
const SHORTEST: usize = 16;
const LEAST: usize = 3;

/// How much more than chance, in logarithms of the number of works.
const THRESHOLD: f64 = 2.0;

/// The places at which the works change; they are in the order of time.
pub(super) fn find(works: &[Work]) -> Vec<usize> {
    let values: Vec<f64> = works.iter().map(|work| f64::from(work.took_us.max(1.0)).ln()).collect();
    let mut sums = vec![0.0];
    sums.extend(values.iter().scan(0.0, |sum, value| {
        *sum += value;
        Some(*sum)
    }));
    let threshold = THRESHOLD * (works.len().max(2) as f64).ln() * variance(&values);
    let mut cuts: Vec<usize> = Vec::new();
    let mut length = SHORTEST;
    while length < 2 * works.len() {
        let mut found = Vec::new();
        for from in (0..works.len()).step_by(length / 2) {
            let to = (from + length).min(works.len());
            let next = cuts.partition_point(|cut| *cut <= from);
            let is_cut = cuts.get(next).is_some_and(|cut| *cut < to)
                || found.last().is_some_and(|last| *last > from);
            if !is_cut
                && let Some((gain, cut)) = best(&sums, from, to)
                && gain > threshold
            {
                found.push(cut);
            }
        }
        cuts.extend(found);
        cuts.sort_unstable();
        length *= 2;
    }
    cuts
}

/// Of the values around their neighbours, so that a change of the mean hardly counts.
fn variance(values: &[f64]) -> f64 {
    let squares: f64 = values.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    (squares / 2.0 / values.len().max(2) as f64).max(1e-4)
}

/// Where to cut, and by how much the squares within both sides are fewer then.
fn best(sums: &[f64], from: usize, to: usize) -> Option<(f64, usize)> {
    let mean = |from: usize, to: usize| (sums[to] - sums[from]) / (to - from) as f64;
    let gain = |cut: usize| {
        let (a, b) = ((cut - from) as f64, (to - cut) as f64);
        (mean(from, cut) - mean(cut, to)).powi(2) * a * b / (a + b)
    };
    let places = (from + LEAST)..(to + 1).saturating_sub(LEAST);
    places.map(|cut| (gain(cut), cut)).max_by(|a, b| a.0.total_cmp(&b.0))
}
