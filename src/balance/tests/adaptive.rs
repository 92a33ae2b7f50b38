//! What holds of the adaptive policy whatever the requests are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;
use crate::balance::policy::{Adaptive, Times};

/// Times that are so many times as long. A power of two, so that numbers are rounded alike.
const SCALE: u32 = 1_024;

fn adaptive() -> Options {
    Options {
        policy: Policy::Adaptive,
        resample_after: Policy::Adaptive.resample_after(),
        ..exact()
    }
}

fn micros(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// A client that asks again as soon as it has its answer, at backends that take so long.
fn one_by_one(scene: &mut Scene, latencies: &[Duration], requests: usize) -> Vec<usize> {
    let mut slots = Vec::new();
    for _ in 0..requests {
        let lease = scene.acquire();
        let slot = lease.backend().slot();
        scene.now += latencies[slot];
        scene.finish(lease, Outcome::Answered);
        slots.push(slot);
    }
    slots
}

/// So many clients that do so together, for so many requests.
fn together(
    scene: &mut Scene,
    latencies: &[Duration],
    clients: usize,
    requests: usize,
) -> Vec<usize> {
    together_with(scene, clients, requests, |slot| (latencies[slot], Outcome::Answered))
}

/// The same at backends with these latencies and outcomes.
fn together_with(
    scene: &mut Scene,
    clients: usize,
    requests: usize,
    backend: impl Fn(usize) -> (Duration, Outcome),
) -> Vec<usize> {
    let mut slots = Vec::new();
    let mut out: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    let mut leases: Vec<Option<Lease>> = Vec::new();
    while slots.len() < requests {
        if out.len() == clients
            && let Some(Reverse((due, place))) = out.pop()
            && let Some(lease) = leases[place].take()
        {
            scene.now = scene.now.max(due);
            let (_, outcome) = backend(lease.backend().slot());
            scene.finish(lease, outcome);
        }
        let lease = scene.acquire();
        slots.push(lease.backend().slot());
        out.push(Reverse((scene.now + backend(lease.backend().slot()).0, leases.len())));
        leases.push(Some(lease));
    }
    scene.release_all(leases.into_iter().flatten().collect());
    slots
}

#[derive(Clone, Debug)]
enum Event {
    Send,
    /// The end of one of those that are out, after so many microseconds.
    End {
        which: prop::sample::Index,
        outcome: Outcome,
        after: u64,
    },
}

fn events(count: usize) -> impl Strategy<Value = Vec<Event>> {
    let outcome = prop::sample::select(vec![
        Outcome::Answered,
        Outcome::Answered,
        Outcome::Answered,
        Outcome::Declined,
        Outcome::Failed,
        Outcome::Abandoned,
    ]);
    let end = (any::<prop::sample::Index>(), outcome, 0..300_000_u64)
        .prop_map(|(which, outcome, after)| Event::End { which, outcome, after });
    prop::collection::vec(prop_oneof![Just(Event::Send), end], count)
}

/// Plays events, all times being `scale` times as long, and tells each choice.
fn play(scene: &mut Scene, events: &[Event], scale: u32) -> Vec<(usize, Reason)> {
    let (mut out, mut chosen) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::End { which, outcome, after } if !out.is_empty() => {
                scene.now += scale * micros(*after);
                let lease = out.swap_remove(which.index(out.len()));
                scene.finish(lease, *outcome);
            }
            _ => {
                let lease = scene.acquire();
                chosen.push((lease.backend().slot(), lease.reason()));
                out.push(lease);
            }
        }
    }
    scene.release_all(out);
    chosen
}

fn scaled(scale: u32) -> Scene {
    let base = adaptive();
    let options = Options {
        resample_after: base.resample_after.map(|time| scale * time),
        cooldown: scale * base.cooldown,
        cooldown_max: scale * base.cooldown_max,
        probe_timeout: scale * base.probe_timeout,
        ..base
    };
    let mut scene = Scene::with(3, options);
    let factor = f64::from(scale);
    let times = Times {
        memory: factor * Times::DEFAULT.memory,
        idle: u64::from(scale) * Times::DEFAULT.idle,
        forgetting: factor * Times::DEFAULT.forgetting,
        shortest: factor * Times::DEFAULT.shortest,
    };
    scene.membership.set_ranking(|slots| Adaptive::new(slots, times));
    scene.balancer.set_roster(scene.membership.roster());
    scene
}

proptest! {
    #[test]
    fn times_that_are_all_longer_by_a_factor_change_no_choice(events in events(150)) {
        let [short, long] = [1, SCALE].map(|scale| play(&mut scaled(scale), &events, scale));
        prop_assert_eq!(short, long);
    }

    #[test]
    fn a_backend_that_is_as_fast_again_is_noticed_within_a_minute_or_a_hundred_requests(
        usual in 1_000..200_000_u64,
        times_slower in 2..200_u64,
        clients in 1..20_usize,
        slow_requests in 1..50_usize,
    ) {
        let mut scene = Scene::with(3, adaptive());
        let latencies = |times: u64| [usual, usual * 11 / 10, times * usual].map(micros);
        together(&mut scene, &latencies(1), clients, 200);
        for _ in 0..slow_requests {
            let lease = scene.acquire_only(2);
            scene.now += latencies(times_slower)[2];
            scene.finish(lease, Outcome::Answered);
        }
        // It recovers. Whichever is later: a minute, or a hundred requests.
        let (from, mut sent) = (scene.now, 0);
        let mut noticed = false;
        while !noticed && (scene.now < from + Duration::from_secs(60) || sent < 100) {
            // One request more shows what was probed at the end of the minute.
            noticed = together(&mut scene, &latencies(1), clients, clients + 1).contains(&2);
            sent += clients + 1;
        }
        let last = together(&mut scene, &latencies(1), clients, 2 * clients + 1);
        prop_assert!(noticed || last.contains(&2));
    }

    #[test]
    fn a_burst_gives_no_backend_more_than_its_share_and_one_for_each_worker(
        workers in prop::sample::select(vec![1_usize, 8]),
        backends in 2..10_usize,
        burst in 1..300_usize,
        latency in 100..1_000_000_u64,
    ) {
        let mut scene = Scene::with(backends, adaptive());
        one_by_one(&mut scene, &vec![micros(latency); backends], 4 * backends);
        // At the least, each worker sees only what was there before the others began.
        let now = scene.now;
        let mut others: Vec<Balancer> = (0..workers).map(|_| scene.membership.balancer()).collect();
        let leases: Vec<Lease> = (0..burst)
            .map(|request| acquire_from(&mut others[request % workers], now))
            .collect();
        let most = scene.in_flight().into_iter().max().unwrap() as usize;
        scene.release_all(leases);
        prop_assert!(most <= burst.div_ceil(backends) + workers, "{} of {}", most, burst);
    }

    #[test]
    fn a_client_that_leaves_can_only_raise_an_estimate_and_by_no_more_than_it_waited(
        events in events(60),
        waits in prop::collection::vec(0..5_000_000_u64, 1..10),
    ) {
        let mut scene = Scene::with(2, adaptive());
        play(&mut scene, &events, 1);
        for wait in waits {
            let answered = scene.acquire_only(0);
            scene.answer_after(10, answered);
            let lease = scene.acquire_only(0);
            let id = lease.backend();
            let before = scene.balancer.estimate(id);
            scene.now += micros(wait);
            // What is forgotten meanwhile is not the client's doing.
            let forgotten = micros(wait) > Duration::from_secs(1);
            scene.finish(lease, Outcome::Abandoned);
            let after = scene.balancer.estimate(id);
            prop_assert_eq!(before.is_some(), after.is_some());
            if let (Some(before), Some(after)) = (before, after) {
                let most = before.max(micros(wait).min(5 * before));
                prop_assert!(after >= before || forgotten, "{:?}, then {:?}", before, after);
                prop_assert!(after <= most + Duration::from_nanos(1), "{:?} > {:?}", after, most);
            }
        }
    }

    #[test]
    fn the_order_of_the_backends_does_not_matter(
        latencies in prop::collection::hash_set(1_000..900_000_u64, 4),
        requests in prop::collection::vec(0..200_000_u64, 1..150),
    ) {
        let latencies: Vec<u64> = latencies.into_iter().collect();
        let run = |order: [usize; 4]| {
            let mut scene = Scene::with(4, adaptive());
            // Each is measured alone and in the same order, whatever its place is.
            for (backend, latency) in latencies.iter().enumerate() {
                let place = order.iter().position(|other| *other == backend).unwrap();
                let lease = scene.acquire_only(place);
                scene.now += micros(*latency);
                scene.finish(lease, Outcome::Answered);
            }
            let mut chosen = Vec::new();
            let mut out: Vec<(Instant, Lease)> = Vec::new();
            for gap in &requests {
                scene.now += micros(*gap);
                out.sort_by_key(|(due, _)| *due);
                while out.first().is_some_and(|(due, _)| *due <= scene.now) {
                    let (due, mut lease) = out.remove(0);
                    scene.balancer.observe(&mut lease, Outcome::Answered, due);
                    scene.balancer.release(lease);
                }
                let lease = scene.acquire();
                let backend = order[lease.backend().slot()];
                chosen.push(backend);
                out.push((scene.now + micros(latencies[backend] + chosen.len() as u64), lease));
            }
            scene.release_all(out.into_iter().map(|(_, lease)| lease).collect());
            chosen
        };
        prop_assert_eq!(run([0, 1, 2, 3]), run([3, 1, 0, 2]));
    }
}

#[test]
fn a_lone_client_looks_again_after_a_minute() {
    let mut scene = Scene::with(2, adaptive());
    one_by_one(&mut scene, &[ms(10), ms(900)], 2);
    let fast = [ms(10), ms(10)];
    let slots = one_by_one(&mut scene, &fast, 5_990);
    assert!(!slots.contains(&1), "59.9 s");
    assert!(one_by_one(&mut scene, &fast, 20).contains(&1));
}

#[test]
fn where_requests_are_rare_each_backend_is_looked_at_in_turn() {
    let mut scene = Scene::with(3, adaptive());
    one_by_one(&mut scene, &[ms(10), ms(900), ms(900)], 3);
    let mut slots = Vec::new();
    for _ in 0..6 {
        scene.pass(61_000);
        slots.extend(one_by_one(&mut scene, &[ms(10); 3], 1));
    }
    assert_eq!(slots, [0, 1, 2, 0, 1, 2], "the one that was looked at least recently");
}

#[test]
fn a_backend_that_failed_comes_back() {
    // With and without ejection: what the policy alone does is enough.
    for eject_after in [Some(3), None] {
        let mut scene = Scene::with(3, Options { eject_after, ..adaptive() });
        let latencies = [ms(20); 3];
        together(&mut scene, &latencies, 12, 600);
        let failing = |slot| match slot {
            1 => (ms(1), Outcome::Failed),
            slot => (latencies[slot], Outcome::Answered),
        };
        // Three seconds of 600 requests each, or a little less with two backends.
        let share = |slots: &[usize]| slots.iter().filter(|slot| **slot == 1).count();
        let while_it_fails = share(&together_with(&mut scene, 12, 1_800, failing));
        assert!(while_it_fails < 40, "{while_it_fails} of 1800");
        together(&mut scene, &latencies, 12, 6_000);
        let later = share(&together(&mut scene, &latencies, 12, 3_000));
        assert!((700..1_200).contains(&later), "{later} of 3000, a third is fair");
    }
}
