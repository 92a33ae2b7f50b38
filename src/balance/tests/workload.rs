//! The workload that the project is about, in a simulation of discrete events: a hundred clients in
//! a closed loop, three backends with the latency profiles of the test backend.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const CLIENTS: usize = 100;
const RUN: Duration = Duration::from_secs(30);
const PROFILES_MS: [&[u64]; 3] = [&[10, 15, 20, 400, 400, 400, 10, 15, 20], &[200], &[250]];

struct Measured {
    requests: [usize; 3],
    latencies_ms: Vec<u64>,
}

impl Measured {
    fn of(policy: Policy) -> Self {
        let mut scene = Scene::of(3, policy);
        let start = scene.now;
        let mut profiles = PROFILES_MS.map(|profile| profile.iter().cycle());
        let mut measured = Self { requests: [0; 3], latencies_ms: Vec::new() };
        let mut attempts: Vec<Option<Lease>> = (0..CLIENTS).map(|_| None).collect();
        let mut events: BinaryHeap<_> =
            (0..CLIENTS).map(|client| Reverse((start, client))).collect();
        while let Some(Reverse((now, client))) = events.pop().filter(|e| e.0.0 < start + RUN) {
            scene.now = now;
            if let Some(lease) = attempts[client].take() {
                let latency = Duration::from_nanos(scene.nanos() - lease.started);
                measured.requests[lease.backend().slot()] += 1;
                measured.latencies_ms.push(u64::try_from(latency.as_millis()).unwrap());
                scene.finish(lease, Outcome::Answered);
            }
            let lease = scene.acquire();
            let latency = profiles[lease.backend().slot()].next().unwrap();
            events.push(Reverse((now + ms(*latency), client)));
            attempts[client] = Some(lease);
        }
        scene.release_all(attempts.into_iter().flatten().collect());
        measured.latencies_ms.sort_unstable();
        measured
    }

    fn total(&self) -> usize {
        self.latencies_ms.len()
    }

    fn share_percent(&self, index: usize) -> f64 {
        100.0 * self.requests[index] as f64 / self.total() as f64
    }

    fn per_second(&self) -> f64 {
        self.total() as f64 / RUN.as_secs_f64()
    }

    fn mean_ms(&self) -> f64 {
        self.latencies_ms.iter().sum::<u64>() as f64 / self.total() as f64
    }

    fn p95_ms(&self) -> u64 {
        self.latencies_ms[self.total() * 95 / 100]
    }
}

#[test]
fn round_robin_gives_each_a_third() {
    let measured = Measured::of(Policy::RoundRobin);
    for index in 0..3 {
        assert!((measured.share_percent(index) - 100.0 / 3.0).abs() < 0.2, "{measured:?}");
    }
    assert!((495.0..510.0).contains(&measured.per_second()), "{measured:?}");
    assert!((195.0..200.0).contains(&measured.mean_ms()), "{measured:?}");
    assert_eq!(measured.p95_ms(), 400);
}

#[test]
fn the_adaptive_policies_end_with_the_steady_backend_carrying_nearly_all() {
    for policy in [SMA, EWMA] {
        let measured = Measured::of(policy);
        assert!(measured.share_percent(1) > 95.0, "{policy}: {measured:?}");
        assert!(measured.requests.iter().all(|requests| *requests > 0), "each was probed");
        assert!((490.0..505.0).contains(&measured.per_second()), "{policy}: {measured:?}");
        assert!((198.0..202.0).contains(&measured.mean_ms()), "{policy}: {measured:?}");
        assert_eq!(measured.p95_ms(), 200, "{policy}: {measured:?}");
    }
}

#[test]
fn the_adaptive_policy_uses_each_backend_as_far_as_it_helps() {
    let measured = Measured::of(Policy::Adaptive);
    assert!(measured.per_second() >= 570.0, "{measured:?}");
    assert!(measured.mean_ms() < 175.0, "{measured:?}");
    assert!(measured.requests.iter().all(|requests| *requests > 1_000), "{measured:?}");
}

#[test]
fn least_conn_sends_most_to_the_backends_that_are_done_first() {
    let measured = Measured::of(Policy::LeastConn);
    // As many are in flight at each, so the shares are as 1/143 to 1/200 to 1/250: 532 a second.
    assert!((520.0..545.0).contains(&measured.per_second()), "{measured:?}");
}

/// Requests arrive at random at three backends that serve four at a time, the others wait in line:
/// after 10, 20 and 40 ms on average, exponentially distributed. Tells the 99th percentile in
/// milliseconds.
fn queueing(policy: Policy, per_second: f64) -> f64 {
    const SLOTS: usize = 4;
    const MEANS_MS: [f64; 3] = [10.0, 20.0, 40.0];
    const REQUESTS: usize = 60_000;
    let mut random = fastrand::Rng::with_seed(11);
    let mut exponential =
        |mean_ms: f64| Duration::from_secs_f64(-(1.0 - random.f64()).ln() * mean_ms / 1e3);
    let mut scene = Scene::of(3, policy);
    // When each slot is free again.
    let mut free = [[scene.now; SLOTS]; 3];
    let mut ends: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    let mut leases: Vec<Option<Lease>> = Vec::new();
    let mut latencies: Vec<Duration> = Vec::new();
    let mut next = scene.now;
    while leases.len() < REQUESTS {
        next += exponential(1e3 / per_second);
        while let Some(Reverse((now, place))) = ends.peek().copied().filter(|end| end.0.0 <= next) {
            ends.pop();
            scene.now = now;
            let lease = leases[place].take().unwrap();
            latencies.push(Duration::from_nanos(scene.nanos() - lease.started));
            scene.finish(lease, Outcome::Answered);
        }
        scene.now = next;
        let lease = scene.acquire();
        let slot = lease.backend().slot();
        let first = free[slot].iter_mut().min().unwrap();
        *first = (*first).max(next) + exponential(MEANS_MS[slot]);
        ends.push(Reverse((*first, leases.len())));
        leases.push(Some(lease));
    }
    scene.release_all(leases.into_iter().flatten().collect());
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100].as_secs_f64() * 1e3
}

/// The three backends together serve 700 requests a second.
#[test]
fn where_requests_queue_the_adaptive_policy_has_the_shortest_tail() {
    // Simulated elsewhere: 119, 122 and 163 ms against 68, 83 and 120.
    for (load, most) in [(0.5, 0.62), (0.7, 0.73), (0.9, 0.79)] {
        let [least_conn, adaptive] =
            [Policy::LeastConn, Policy::Adaptive].map(|policy| queueing(policy, load * 700.0));
        let ratio = adaptive / least_conn;
        println!("load {load}: {least_conn:.0} and {adaptive:.0} ms, {ratio:.2}");
        assert!(ratio <= 1.1 * most, "load {load}: {least_conn} and {adaptive}");
    }
}

impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rate, mean, p95) = (self.per_second(), self.mean_ms(), self.p95_ms());
        write!(f, "{:?}, {rate:.1} req/s, mean {mean:.1} ms, p95 {p95} ms", self.requests)
    }
}
