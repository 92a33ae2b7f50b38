//! The median and the range of a few rounds.

/// The median of some rounds, with the lowest and the highest of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The lowest.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// The spread of `values`; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { min, median, max })
    }

    /// This median as a multiple of another one.
    #[must_use]
    pub fn ratio_to(self, other: Self) -> f64 {
        self.median / other.median
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        let spread = Spread::of([3.0, 1.0, 2.0]).expect("values");
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 3.0));
        let spread = Spread::of([4.0, 1.0, 2.0, 30.0]).expect("values");
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 3.0, 30.0));
        let spread = Spread::of([7.5]).expect("a value");
        assert_eq!((spread.min, spread.median, spread.max), (7.5, 7.5, 7.5));
    }

    #[test]
    fn of_nothing_there_is_no_spread() {
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_ratio_is_that_of_the_medians() {
        let of = |values: [f64; 3]| Spread::of(values).expect("values");
        let ratio = of([1.0, 30.0, 100.0]).ratio_to(of([20.0, 20.0, 1.0]));
        assert!((ratio - 1.5).abs() < 1e-9);
    }
}
