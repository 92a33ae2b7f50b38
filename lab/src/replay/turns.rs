//! Works that come in turn: a backend that answers after 10, 15, 400, 10, 15, 400 ms … whatever it
//! is asked, as those of the experiment do.

/// The longest turn that is looked for, and the requests that are looked at.
const MOST: usize = 64;
const SAMPLE: usize = 5000;

/// Works are the same if they differ by less than this part.
const SAME: f64 = 0.05;

/// So many are to be as those a turn before,
const LEAST_SAME: f64 = 0.8;
/// and no more than so many as the one just before, else they are all alike.
const MOST_ALIKE: f64 = 0.6;

/// The works of one turn; `works` are in the order in which the requests came.
pub(super) fn find(works: &[f32]) -> Option<Vec<f32>> {
    let works = &works[..works.len().min(SAMPLE)];
    if works.len() < 4 * MOST || same(works, 1) > MOST_ALIKE {
        return None;
    }
    let length = (2..=MOST).find(|length| same(works, *length) >= LEAST_SAME)?;
    let of_place = |place: usize| {
        let mut values: Vec<f32> = works.iter().skip(place).step_by(length).copied().collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f32::total_cmp).1
    };
    Some((0..length).map(of_place).collect())
}

/// The part of works that are as those so many places before.
fn same(works: &[f32], distance: usize) -> f64 {
    let pairs = works.iter().zip(&works[distance..]);
    let is_same = |(a, b): &(&f32, &f32)| (f64::from(**a) / f64::from(**b)).ln().abs() < SAME;
    pairs.filter(is_same).count() as f64 / (works.len() - distance) as f64
}
