//! A moving average of one backend that many threads update without losing a sample.

use std::sync::atomic::Ordering::Relaxed;

use super::sync::AtomicU64;

/// A number of nanoseconds, or nothing yet. Kept as the bits of an `f64`, because a small weight
/// moves an average by less than a nanosecond, and rounding would stop it for good.
#[derive(Debug)]
pub(super) struct Average(AtomicU64);

impl Average {
    pub(super) fn unknown() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }

    /// The average in nanoseconds; `None` before the first update.
    pub(super) fn nanos(&self) -> Option<f64> {
        known(self.0.load(Relaxed))
    }

    /// Replaces the average by `next` of it. Of updates at the same time each sees the other's
    /// result: one of them runs `next` again.
    pub(super) fn update(&self, next: impl Fn(Option<f64>) -> f64) {
        let step = |bits| Some(next(known(bits)).to_bits());
        // The closure never declines, so the update can't fail.
        let _ = self.0.fetch_update(Relaxed, Relaxed, step);
    }

    /// Begins anew. No update may be under way.
    pub(super) fn forget(&self) {
        self.0.store(f64::NAN.to_bits(), Relaxed);
    }
}

fn known(bits: u64) -> Option<f64> {
    Some(f64::from_bits(bits)).filter(|nanos| !nanos.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_unknown_until_the_first_update() {
        let average = Average::unknown();
        assert_eq!(average.nanos(), None);
        average.update(|before| before.map_or(7.0, |_| unreachable!()));
        average.update(|before| before.map_or_else(|| unreachable!(), |nanos| nanos + 0.25));
        assert_eq!(average.nanos(), Some(7.25));
    }

    #[test]
    fn begins_anew_when_told_to() {
        let average = Average::unknown();
        average.update(|_| 7.0);
        average.forget();
        assert_eq!(average.nanos(), None);
    }

    #[test]
    fn no_update_of_many_threads_is_lost() {
        let average = Average::unknown();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..20_000).for_each(|_| average.update(|n| n.unwrap_or(0.0) + 1.0));
                });
            }
        });
        assert_eq!(average.nanos(), Some(80_000.0));
    }
}
