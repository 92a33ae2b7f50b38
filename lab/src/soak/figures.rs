//! Descriptors and memory of a process over time, and whether memory grows.

use procfs::ProcError;
use procfs::process::Process;

/// By so many bytes memory may grow between the second quarter of a soak and its last, because of a
/// moment that was busier than any before.
const SLACK_BYTES: u64 = 4 * 1024 * 1024;

/// By such a part of what it was it may grow in addition.
const SLACK_PART: u64 = 5;

/// What a process has at a moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Figures {
    pub(super) descriptors: usize,
    pub(super) resident_bytes: u64,
}

impl Figures {
    /// # Errors
    /// The process has ended.
    pub(super) fn of(pid: u32) -> Result<Self, ProcError> {
        let process = Process::new(pid.cast_signed())?;
        let resident_bytes = process.status()?.vmrss.unwrap_or(0) * 1024;
        Ok(Self { descriptors: process.fd_count()?, resident_bytes })
    }
}

/// The figures of one process, sampled at equal intervals.
#[derive(Debug, Default)]
pub(super) struct Samples {
    samples: Vec<Figures>,
}

impl Samples {
    pub(super) fn add(&mut self, figures: Figures) {
        self.samples.push(figures);
    }

    pub(super) fn most_descriptors(&self) -> usize {
        self.samples.iter().map(|figures| figures.descriptors).max().unwrap_or(0)
    }

    /// The median resident memory in the second quarter of the time, when all caches are warm, and
    /// in the last one.
    pub(super) fn warm_and_late_bytes(&self) -> (u64, u64) {
        let quarter = self.samples.len().div_ceil(4);
        let mut quarters = self.samples.chunks(quarter.max(1)).map(median_bytes);
        let warm = quarters.nth(1).unwrap_or(0);
        (warm, quarters.next_back().unwrap_or(warm))
    }

    /// Whether memory grew by more than a busy moment explains.
    pub(super) fn grows(&self) -> bool {
        let (warm, late) = self.warm_and_late_bytes();
        late > warm + warm / SLACK_PART + SLACK_BYTES
    }
}

fn median_bytes(samples: &[Figures]) -> u64 {
    let mut bytes: Vec<u64> = samples.iter().map(|figures| figures.resident_bytes).collect();
    bytes.sort_unstable();
    bytes.get(bytes.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn samples(bytes: impl IntoIterator<Item = u64>) -> Samples {
        let samples = bytes.into_iter();
        let samples = samples.map(|bytes| Figures { descriptors: 9, resident_bytes: bytes });
        Samples { samples: samples.collect() }
    }

    #[test]
    fn memory_that_grows_with_time_is_found() {
        assert!(samples((0..100).map(|second| (20 + second) * MIB)).grows());
        assert!(!samples([20 * MIB; 100]).grows());
        assert!(!samples((0..100).map(|second| (20 + second % 3) * MIB)).grows());
    }

    #[test]
    fn warming_up_is_no_growth_and_one_busy_moment_neither() {
        let warming = (0..100).map(|second| second.min(20) * MIB);
        assert!(!samples(warming).grows());
        let busy = (0..100).map(|second| if second == 90 { 500 * MIB } else { 20 * MIB });
        assert!(!samples(busy).grows());
    }

    #[test]
    fn a_few_samples_tell_what_they_can() {
        assert_eq!(samples([]).warm_and_late_bytes(), (0, 0));
        assert_eq!(samples([5, 6]).warm_and_late_bytes(), (6, 6));
        assert_eq!(samples([1, 2, 3, 4]).warm_and_late_bytes(), (2, 4));
        assert!(!samples([]).grows());
    }

    #[test]
    fn a_process_that_runs_has_figures() {
        let own = Figures::of(std::process::id()).unwrap();
        assert!(own.descriptors > 2 && own.resident_bytes > 0, "{own:?}");
    }
}
