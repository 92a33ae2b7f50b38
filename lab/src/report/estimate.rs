//! A figure with its error.
//!
//! The error of a figure of one run is computed from *blocks*: equal parts of its time, of which
//! each has a value of the figure (the method of batch means; Law, *Simulation Modeling and
//! Analysis*, 5th ed., section 9.5.3). The error of a figure of a configuration that was run three
//! times or more is computed from the values of the runs. Intervals are those of Student's t, two
//! estimates are compared as Welch does (*Biometrika* 34, 1947).

/// From fewer values no error is computed.
pub(super) const VALUES_MIN: usize = 5;

/// From so many runs on, they are the values.
pub(super) const RUNS_MIN: usize = 3;

/// A smaller difference, as a share of the figure, is not significant: a machine may be slower for
/// minutes, which the parts of one run do not show.
const LEAST_DIFFERENCE: f64 = 0.01;

/// A figure and its error, if that can be computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// The figure.
    pub(super) value: f64,
    /// Its error.
    pub(super) error: Option<Error>,
}

/// How exact a figure is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Error {
    /// The standard error, in the unit of the figure.
    pub(super) standard: f64,
    /// The degrees of freedom: of how many values, less one.
    pub(super) freedom: f64,
}

/// How far a figure is from that of the baseline, as shares of the latter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) by: f64,
    /// The ends of the 95 % interval.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Error {
    /// The standard error of the mean of `values`.
    pub(super) fn of_mean(values: &[f64], least: usize) -> Option<Self> {
        if values.len() < least.max(2) {
            return None;
        }
        let count = values.len() as f64;
        let mean = mean(values);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self { standard: (squares / (count - 1.0) / count).sqrt(), freedom: count - 1.0 })
    }

    /// The same error of a figure that is `factor` times as large.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { standard: self.standard * factor, ..self }
    }

    /// Of a sum or a difference.
    pub(super) fn with(self, other: Self) -> Self {
        let (a, b) = (self.standard.powi(2), other.standard.powi(2));
        let parts = a.powi(2) / self.freedom + b.powi(2) / other.freedom;
        let freedom = if parts > 0.0 { (a + b).powi(2) / parts } else { self.freedom };
        Self { standard: (a + b).sqrt(), freedom }
    }

    /// Half the length of the 95 % interval.
    pub(super) fn half(self) -> f64 {
        self.standard * student(self.freedom)
    }
}

impl Estimate {
    /// Whether the difference to another is more than chance; `None` if that is not known.
    pub(super) fn differs(self, other: Self) -> Option<bool> {
        let error = self.error?.with(other.error?).half();
        let least = self.value.abs().max(other.value.abs()) * LEAST_DIFFERENCE;
        Some((self.value - other.value).abs() > error.max(least))
    }

    /// How far it is from `base`; `None` if that is not known.
    pub(super) fn change_from(self, base: Self) -> Option<Change> {
        let ratio = self.value / base.value;
        if !ratio.is_finite() {
            return None;
        }
        // To the first order, relative errors of a ratio add up like the errors of a difference.
        let (own, of_base) = (self.error?.times(1.0 / base.value), base.error?);
        let half = own.with(of_base.times(ratio / base.value)).half();
        Some(Change { by: ratio - 1.0, from: ratio - 1.0 - half, to: ratio - 1.0 + half })
    }
}

impl Change {
    /// Whether it is more than chance.
    pub(super) fn is_certain(self) -> bool {
        (self.from > 0.0 || self.to < 0.0) && self.by.abs() > LEAST_DIFFERENCE
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The 97.5th percentile of Student's t with 1 to 13 degrees of freedom.
const STUDENT: [f64; 13] =
    [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160];

/// The same for any number of degrees, rounded down; beyond the table by the first terms of the
/// expansion about the normal distribution (Abramowitz and Stegun, 26.7.5), exact to 0.001.
fn student(freedom: f64) -> f64 {
    const NORMAL: f64 = 1.959_964;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
    let whole = freedom.max(1.0) as usize;
    if let Some(value) = STUDENT.get(whole - 1) {
        return *value;
    }
    let (z, freedom) = (NORMAL, whole as f64);
    z + (z.powi(3) + z) / (4.0 * freedom)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom.powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, standard: f64) -> Estimate {
        Estimate { value, error: Some(Error { standard, freedom: 1000.0 }) }
    }

    #[test]
    fn a_difference_within_chance_or_a_hundredth_is_none() {
        for (a, b, differs) in [
            (estimate(100.0, 0.0), estimate(101.0, 0.0), false),
            (estimate(100.0, 0.0), estimate(102.0, 0.0), true),
            // The error of the difference is 5, so 9.8 may be chance.
            (estimate(100.0, 3.0), estimate(109.7, 4.0), false),
            (estimate(100.0, 3.0), estimate(109.9, 4.0), true),
            (estimate(0.0, 0.0), estimate(0.0, 0.0), false),
        ] {
            assert_eq!(a.differs(b), Some(differs), "{a:?} {b:?}");
            assert_eq!(b.differs(a), Some(differs), "{b:?} {a:?}");
        }
        let unknown = Estimate { value: 100.0, error: None };
        assert_eq!(unknown.differs(estimate(200.0, 1.0)), None);
        assert_eq!(unknown.change_from(estimate(200.0, 1.0)), None);
    }

    #[test]
    fn the_standard_error_is_that_of_a_mean() {
        // Mean 5, squared deviations 4 + 1 + 0 + 1 + 4: variance 2.5, of the mean 0.5.
        let error = Error::of_mean(&[3.0, 4.0, 5.0, 6.0, 7.0], VALUES_MIN).expect("enough");
        let Error { standard, freedom } = error;
        assert!((standard - 0.5_f64.sqrt()).abs() < 1e-12 && (freedom - 4.0).abs() < 1e-12);
        assert!((error.half() - 2.776 * 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(Error::of_mean(&[1.0; 4], VALUES_MIN), None);
        assert_eq!(Error::of_mean(&[1.0], 0), None);
    }

    #[test]
    fn a_change_has_an_interval() {
        // 5 % of the error are the base's and 3 % its own: 2.97 % and 5 % of .99 make 5.8 %.
        let change = estimate(99.0, 3.0).change_from(estimate(100.0, 5.0)).expect("known");
        let half = 1.962 * 0.03_f64.hypot(0.05 * 0.99);
        assert!((change.by + 0.01).abs() < 1e-12);
        assert!((change.to - change.by - half).abs() < 1e-4, "{change:?}");
        assert!(!change.is_certain());
        let change = estimate(50.0, 1.0).change_from(estimate(100.0, 1.0)).expect("known");
        assert!(change.is_certain() && change.to < -0.4, "{change:?}");
        assert_eq!(estimate(1.0, 0.0).change_from(estimate(0.0, 0.0)), None);
    }

    #[test]
    fn students_t_is_that_of_the_tables() {
        for (freedom, table) in
            [(1.0, 12.706), (4.9, 2.776), (13.0, 2.160), (19.0, 2.093), (60.0, 2.000), (1e6, 1.960)]
        {
            assert!((student(freedom) - table).abs() < 1e-3, "{freedom}: {}", student(freedom));
        }
        assert!((student(0.2) - 12.706).abs() < 1e-12);
    }
}
