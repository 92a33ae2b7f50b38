//! What is measured of a run, and of several together.

use hdrhistogram::Histogram;

use crate::fleet::time::Time;

/// The latencies, errors and backends of some requests.
#[derive(Clone, Debug)]
pub struct Tally {
    latencies: Histogram<u64>,
    /// In nanoseconds; the histogram would round.
    sum: f64,
    errors: u64,
    /// Attempts by backend.
    pub(crate) sent: Vec<u64>,
}

/// Values are exact to a thousandth.
const DIGITS: u8 = 3;

impl Tally {
    pub(crate) fn new(backends: usize) -> Result<Self, hdrhistogram::CreationError> {
        let latencies = Histogram::new(DIGITS)?;
        Ok(Self { latencies, sum: 0.0, errors: 0, sent: vec![0; backends] })
    }

    pub(crate) fn record(&mut self, latency: Time, is_error: bool) {
        let _ = self.latencies.record(latency);
        self.sum += latency as f64;
        self.errors += u64::from(is_error);
    }

    fn add(&mut self, other: &Self) {
        // Both grow as needed, so there is no value that fits into one and not into the other.
        let _ = self.latencies.add(&other.latencies);
        self.sum += other.sum;
        self.errors += other.errors;
        self.sent.iter_mut().zip(&other.sent).for_each(|(sum, sent)| *sum += sent);
    }

    /// Requests that ended.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.latencies.len()
    }

    /// The mean latency in milliseconds.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        self.sum / self.requests().max(1) as f64 / 1e6
    }

    /// The latency, in milliseconds, that this part of the requests did not exceed.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e6
    }

    /// The part of the requests that ended in an error.
    #[must_use]
    pub fn error_part(&self) -> f64 {
        self.errors as f64 / self.requests().max(1) as f64
    }

    /// Attempts per request.
    #[must_use]
    pub fn attempts(&self) -> f64 {
        self.sent.iter().sum::<u64>() as f64 / self.requests().max(1) as f64
    }

    /// The part of the attempts that each backend got.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let total = self.sent.iter().sum::<u64>().max(1) as f64;
        self.sent.iter().map(|sent| *sent as f64 / total).collect()
    }
}

/// What is measured of all requests, and of each focus.
#[derive(Clone, Debug)]
pub struct Measured {
    /// All that came after the warm-up.
    pub all: Tally,
    /// Those of each focus, in the order of the scenario.
    pub focus: Vec<Tally>,
    /// What was measured, in seconds.
    pub seconds: f64,
    /// The p99 of each seed, in milliseconds.
    pub p99_ms: Vec<f64>,
}

impl Measured {
    pub(super) fn new(
        backends: usize,
        focuses: usize,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let all = Tally::new(backends)?;
        let focus = vec![all.clone(); focuses];
        Ok(Self { all, focus, seconds: 0.0, p99_ms: Vec::new() })
    }

    /// An attempt of a request of these focuses goes to this backend.
    pub(super) fn sent(&mut self, backend: usize, focus: u64) {
        self.each(focus, |tally| tally.sent[backend] += 1);
    }

    /// A request of these focuses has ended.
    pub(super) fn ended(&mut self, latency: Time, is_error: bool, focus: u64) {
        self.each(focus, |tally| tally.record(latency, is_error));
    }

    fn each(&mut self, focus: u64, mut act: impl FnMut(&mut Tally)) {
        act(&mut self.all);
        for (index, tally) in self.focus.iter_mut().enumerate() {
            if focus >> index & 1 == 1 {
                act(tally);
            }
        }
    }

    /// Adds another run of the same scenario.
    pub(super) fn add(&mut self, run: &Self) {
        self.all.add(&run.all);
        self.focus.iter_mut().zip(&run.focus).for_each(|(sum, tally)| sum.add(tally));
        self.seconds += run.seconds;
        self.p99_ms.push(run.all.quantile_ms(0.99));
    }

    /// Requests that ended per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.all.requests() as f64 / self.seconds
    }

    /// Half of the range of the seeds' p99, as a part of the p99 of all.
    #[must_use]
    pub fn p99_spread(&self) -> f64 {
        let least = self.p99_ms.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.p99_ms.iter().copied().fold(0.0, f64::max);
        (most - least) / 2.0 / self.all.quantile_ms(0.99).max(f64::MIN_POSITIVE)
    }
}
