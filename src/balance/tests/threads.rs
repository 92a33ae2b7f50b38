//! As good with many workers as with one.

use std::sync::Barrier;

use super::*;

const WORKERS: usize = 8;
const REQUESTS_PER_WORKER: usize = 3_000;

/// Runs `work` on as many threads as a machine might have workers, all at once, each with a
/// balancer of its own.
fn on_all_workers<T: Send>(
    membership: &mut Membership,
    work: impl Fn(usize, &mut Balancer) -> T + Sync,
) -> Vec<T> {
    let barrier = Barrier::new(WORKERS);
    std::thread::scope(|scope| {
        let spawn = |worker| {
            let (barrier, work, mut balancer) = (&barrier, &work, membership.balancer());
            scope.spawn(move || {
                barrier.wait();
                work(worker, &mut balancer)
            })
        };
        let threads: Vec<_> = (0..WORKERS).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn round_robin_is_exactly_fair_among_all_workers_together() {
    let Scene { mut membership, now, .. } = Scene::of(3, Policy::RoundRobin);
    let served = on_all_workers(&mut membership, |_, balancer| {
        let mut served = [0; 3];
        for _ in 0..REQUESTS_PER_WORKER {
            let mut lease = acquire_from(balancer, now);
            served[lease.backend().slot()] += 1;
            balancer.observe(&mut lease, Outcome::Answered, now);
            balancer.release(lease);
        }
        served
    });
    let sum = |slot| served.iter().map(|served| served[slot]).sum::<usize>();
    assert_eq!([sum(0), sum(1), sum(2)], [WORKERS * REQUESTS_PER_WORKER / 3; 3]);
}

#[test]
fn workers_that_start_together_send_one_probe_to_each_backend() {
    for _ in 0..200 {
        let mut scene = Scene::of(3, SMA);
        let now = scene.now;
        let leases =
            on_all_workers(&mut scene.membership, |_, balancer| acquire_from(balancer, now));
        let mut probed: Vec<usize> =
            leases.iter().filter(|l| is_probe(l)).map(|l| l.backend().slot()).collect();
        probed.sort_unstable();
        assert_eq!(probed, [0, 1, 2]);
        assert!(scene.in_flight().iter().all(|in_flight| *in_flight >= 2), "no stampede");
        scene.release_all(leases);
    }
}

#[test]
fn whatever_happens_at_once_nothing_stays_in_flight_and_no_probe_is_stuck() {
    let resample_after = Some(ms(1));
    for policy in Policy::ALL {
        let mut scene = Scene::with(3, Options { policy, resample_after, ..exact() });
        let start = scene.now;
        on_all_workers(&mut scene.membership, |worker, balancer| {
            let mut now = start;
            for request in 0..REQUESTS_PER_WORKER {
                now += Duration::from_micros(700);
                let mut lease = acquire_from(balancer, now);
                let outcomes: &[Outcome] = match (request * 7 + worker) % 5 {
                    0 => &[],
                    1 => &[Outcome::Unreachable],
                    2 => &[Outcome::Failed],
                    3 => &[Outcome::Answered, Outcome::Failed],
                    _ => &[Outcome::Answered],
                };
                for outcome in outcomes {
                    balancer.observe(&mut lease, *outcome, now + ms(1));
                }
                balancer.release(lease);
            }
        });
        assert_eq!(scene.in_flight(), [0, 0, 0], "{policy}");
        assert!(scene.no_probe_is_stuck(), "{policy}");
    }
}

#[test]
fn what_all_workers_observe_is_one_estimate() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::of(1, policy);
        let now = scene.now;
        on_all_workers(&mut scene.membership, |_, balancer| {
            for _ in 0..REQUESTS_PER_WORKER {
                let mut lease = acquire_from(balancer, now);
                balancer.observe(&mut lease, Outcome::Answered, now + ms(40));
                balancer.release(lease);
            }
        });
        assert_eq!(scene.estimates_ms(), [Some(40)], "{policy}");
    }
}
