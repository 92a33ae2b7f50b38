//! As good with many workers as with one.

use std::sync::Barrier;

use super::*;

const WORKERS: usize = 8;
const REQUESTS_PER_WORKER: usize = 3_000;

/// Runs `work` on as many threads as a machine might have workers, all at once.
fn on_all_workers<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(WORKERS);
    std::thread::scope(|scope| {
        let spawn = |worker| {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(worker)
            })
        };
        let threads: Vec<_> = (0..WORKERS).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn round_robin_is_exactly_fair_among_all_workers_together() {
    let scene = Scene::of(3, Policy::RoundRobin);
    let served = on_all_workers(|_| {
        let mut served = [0; 3];
        for _ in 0..REQUESTS_PER_WORKER {
            let lease = scene.acquire();
            served[lease.backend().index()] += 1;
            scene.finish(lease, Outcome::Answered);
        }
        served
    });
    let sum = |index| served.iter().map(|served| served[index]).sum::<usize>();
    assert_eq!([sum(0), sum(1), sum(2)], [WORKERS * REQUESTS_PER_WORKER / 3; 3]);
}

#[test]
fn workers_that_start_together_send_one_probe_to_each_backend() {
    for _ in 0..200 {
        let scene = Scene::of(3, SMA);
        let leases = on_all_workers(|_| scene.acquire());
        let mut probed: Vec<usize> =
            leases.iter().filter(|l| l.is_probe()).map(|l| l.backend().index()).collect();
        probed.sort_unstable();
        assert_eq!(probed, [0, 1, 2]);
        assert!(scene.outstanding().iter().all(|outstanding| *outstanding >= 2), "no stampede");
        scene.release_all(leases);
    }
}

#[test]
fn whatever_happens_at_once_nothing_stays_outstanding_and_no_probe_is_stuck() {
    let resample_after = Some(ms(1));
    for policy in Policy::ALL {
        let scene = Scene::with(3, Options { policy, resample_after, ..Options::default() });
        on_all_workers(|worker| {
            let mut now = scene.now;
            for request in 0..REQUESTS_PER_WORKER {
                now += Duration::from_micros(700);
                let mut lease = scene.balancer.acquire(Tried::EMPTY, now).unwrap();
                let outcomes: &[Outcome] = match (request * 7 + worker) % 5 {
                    0 => &[],
                    1 => &[Outcome::Unreachable],
                    2 => &[Outcome::Failed],
                    3 => &[Outcome::Answered, Outcome::Failed],
                    _ => &[Outcome::Answered],
                };
                for outcome in outcomes {
                    scene.balancer.observe(&mut lease, *outcome, now + ms(1));
                }
                scene.balancer.release(lease);
            }
        });
        assert_eq!(scene.outstanding(), [0, 0, 0], "{policy}");
        assert!(scene.no_probe_is_stuck(), "{policy}");
    }
}

#[test]
fn what_all_workers_observe_is_one_estimate() {
    for policy in [SMA, EWMA] {
        let scene = Scene::of(1, policy);
        on_all_workers(|_| {
            for _ in 0..REQUESTS_PER_WORKER {
                let mut lease = scene.acquire();
                scene.balancer.observe(&mut lease, Outcome::Answered, scene.now + ms(40));
                scene.balancer.release(lease);
            }
        });
        assert_eq!(scene.estimates_ms(), [Some(40)], "{policy}");
    }
}
