//! The records of choices.

use super::super::{Decision, Part, Recorded, Recording};
use super::*;

const ALL: Recording = Recording { every: 1, kept: 9 };

fn recording(mut scene: Scene, recording: Recording) -> Scene {
    scene.balancer.record(Some(recording));
    scene
}

impl Scene {
    fn decisions(&mut self) -> Vec<Decision> {
        self.balancer.decisions(99, self.now)
    }

    fn last(&mut self) -> Decision {
        self.decisions()[0].clone()
    }

    /// The reasons of what is recorded of so many choices, the oldest first, and why it is.
    fn recorded(&mut self, choices: usize) -> Vec<(Reason, Recorded)> {
        let mut recorded = Vec::new();
        for _ in 0..choices {
            let lease = self.acquire();
            let taken = self.balancer.take_decision();
            recorded.extend(taken.map(|(decision, _)| (decision.reason, decision.recorded)));
            self.finish(lease, Outcome::Answered);
        }
        recorded
    }
}

fn parts(decision: &Decision) -> Vec<Part> {
    decision.backends.iter().map(|backend| backend.part).collect()
}

#[test]
fn nothing_is_recorded_unless_somebody_may_want_it() {
    let mut scene = Scene::of(2, Policy::LeastConn);
    let lease = scene.acquire();
    assert!(scene.decisions().is_empty() && scene.balancer.take_decision().is_none());
    scene.finish(lease, Outcome::Answered);
    scene.balancer.record(Some(ALL));
    assert_eq!(scene.recorded(2).len(), 2);
    scene.balancer.record(None);
    assert!(scene.recorded(2).is_empty() && scene.decisions().is_empty());
}

#[test]
fn the_last_choices_are_kept_with_what_they_were_made_from_the_newest_first() {
    let mut scene = recording(Scene::of(2, Policy::LeastConn), Recording { every: 1, kept: 3 });
    let leases = [(); 4].map(|()| {
        scene.pass(10);
        scene.acquire()
    });
    let kept = scene.decisions();
    let ages: Vec<_> = kept.iter().map(|it| scene.now - it.at).collect();
    assert_eq!(ages, [0, 10, 20].map(ms));
    assert_eq!(scene.balancer.decisions(2, scene.now), kept[..2]);
    for (kept, lease) in kept.iter().zip(leases.iter().rev()) {
        assert_eq!((kept.chosen, kept.reason), (lease.backend(), lease.reason()));
        let listed: Vec<_> = kept.backends.iter().map(|it| it.id).collect();
        assert_eq!((listed, kept.more), (scene.ids(), 0));
    }
    assert_eq!(kept[1].backends.iter().map(|it| it.in_flight).sum::<u32>(), 2);
    for lease in leases {
        scene.finish(lease, Outcome::Answered);
    }
}

#[test]
fn every_so_many_are_recorded_and_after_a_question_all_for_a_minute() {
    let mut scene = recording(Scene::measured(SMA, [10, 20, 30]), Recording { every: 4, kept: 1 });
    let best = |recorded| (Reason::Best, recorded);
    assert_eq!(scene.recorded(9), [best(Recorded::Sample); 3]);
    assert_eq!(scene.decisions().len(), 1);
    // Those are for who asks, and not for the log.
    assert_eq!(scene.recorded(3), []);
    assert_eq!(scene.last().recorded, Recorded::Asked);
    assert_eq!(scene.recorded(2), [best(Recorded::Sample)]);
    scene.pass(60_000);
    assert!(scene.recorded(2).is_empty());
    scene.balancer.record(Some(Recording { every: 1, kept: 1 }));
    assert_eq!(scene.recorded(2), [best(Recorded::Sample); 2]);
}

#[test]
fn all_that_is_unusual_is_recorded_and_so_is_the_first_choice_after_an_ejection() {
    let seldom = Recording { every: 1000, kept: 1 };
    let mut scene = recording(Scene::of(3, SMA), seldom);
    assert_eq!(scene.recorded(1), [(Reason::First, Recorded::Sample)]);
    assert_eq!(scene.recorded(4), [(Reason::First, Recorded::Unusual); 2]);
    // One is refused: the next choice tells of it, and those after it are as ever.
    scene.refuse(0);
    scene.balancer.take_decision();
    let next = scene.recorded(5);
    assert_eq!((next.len(), next[0].1), (1, Recorded::Unusual), "{next:?}");
    scene.refuse(1);
    scene.balancer.take_decision();
    assert_eq!(scene.recorded(3), [(Reason::Only, Recorded::Unusual); 3]);
    scene.pass(10_000);
    assert_eq!(scene.recorded(1), [(Reason::Trial, Recorded::Unusual)]);
}

#[test]
fn the_choice_for_a_request_that_has_waited_is_recorded() {
    let seldom = Recording { every: 1000, kept: 1 };
    let mut scene = recording(Scene::measured(SMA, [10, 20, 30]), seldom);
    assert_eq!(scene.recorded(2).len(), 1);
    let was_due = scene.balancer.record_next();
    assert_eq!(scene.recorded(1), [(Reason::Best, Recorded::Unusual)]);
    scene.balancer.keep_due(was_due);
    assert_eq!(scene.recorded(2), []);
}

#[test]
fn that_a_request_has_waited_is_no_reason_to_record_the_choice_for_another_one() {
    let seldom = Recording { every: 1000, kept: 1 };
    let mut scene = recording(Scene::measured(SMA, [10, 20, 30]), seldom);
    scene.recorded(1);
    // Both look for a backend in vain. The second one does so after an ejection.
    let was_due = scene.balancer.record_next();
    scene.balancer.keep_due(was_due);
    assert_eq!(scene.recorded(2), []);
    scene.refuse(0);
    scene.balancer.take_decision();
    let was_due = scene.balancer.record_next();
    scene.balancer.keep_due(was_due);
    let next = scene.recorded(3);
    assert_eq!((next.len(), next[0].1), (1, Recorded::Unusual), "{next:?}");
}

#[test]
fn that_there_is_one_backend_is_not_unusual() {
    let mut scene = recording(Scene::of(1, SMA), Recording { every: 3, kept: 1 });
    assert_eq!(scene.recorded(1), [(Reason::First, Recorded::Sample)]);
    assert_eq!(scene.recorded(6), [(Reason::Only, Recorded::Sample); 2]);
}

#[test]
fn a_record_has_what_the_choice_went_by() {
    let scene = Scene::measured(Policy::Adaptive, [10, 20, 30]);
    let mut scene = recording(scene, ALL);
    scene.pass(5);
    let lease = scene.acquire();
    let decision = scene.last();
    let ids = scene.ids();
    assert_eq!((decision.policy, decision.chosen), (Policy::Adaptive, ids[0]));
    assert_eq!((decision.reason, decision.runner_up), (Reason::Best, Some(ids[1])));
    assert_eq!(decision.probability, None);
    let estimates: Vec<_> = decision.backends.iter().map(|it| it.estimate.unwrap()).collect();
    assert_eq!(Some(estimates[0]), scene.balancer.estimate(ids[0]));
    for (backend, estimate) in decision.backends.iter().zip(&estimates) {
        // With nothing in flight and one usually, the score is the latency.
        assert_eq!((backend.in_flight, backend.usual, backend.weight), (0, Some(1.0), 1.0));
        assert!((backend.score.unwrap() - estimate.as_secs_f64() * 1e3).abs() < 1e-5);
        assert_eq!(backend.part, Part::Up);
    }
    assert_eq!(decision.backends[2].estimate_age, Some(ms(5)));
    scene.finish(lease, Outcome::Answered);
}

#[test]
fn what_was_forgotten_of_a_slow_backend_is_in_the_record() {
    let mut scene = recording(Scene::measured(Policy::Adaptive, [10, 10, 1000]), ALL);
    let slow = scene.ids()[2];
    for _ in 0..50 {
        let lease = scene.acquire();
        scene.answer_after(10, lease);
    }
    scene.pass(20_000);
    let lease = scene.acquire();
    let backend = scene.last().backends[2].clone();
    let expected = backend.estimate.unwrap();
    assert!(expected < scene.balancer.estimate(slow).unwrap(), "{expected:?}");
    let usual = backend.usual.unwrap();
    let score = expected.as_secs_f64() * 1e3 / usual.sqrt();
    assert!((backend.score.unwrap() - score).abs() < 1e-3, "the score it was judged by");
    scene.finish(lease, Outcome::Answered);
}

#[test]
fn of_many_backends_the_first_are_listed_and_the_chosen_one() {
    let mut scene = recording(Scene::of(40, Policy::RoundRobin), Recording { every: 1, kept: 40 });
    for _ in 0..40 {
        let lease = scene.acquire();
        scene.finish(lease, Outcome::Answered);
    }
    for kept in scene.decisions() {
        assert!(kept.backends.iter().any(|it| it.id == kept.chosen), "{kept:?}");
        assert_eq!(kept.backends.len() + kept.more, 40);
        assert!(kept.backends.len() <= 17 && kept.backends[0].score.is_none());
        assert_eq!(kept.runner_up, None);
    }
}

#[test]
fn a_first_measurement_has_no_scores_and_a_backend_that_left_is_still_named() {
    let mut scene = recording(Scene::of(2, Policy::Adaptive), ALL);
    let lease = scene.acquire();
    let id = lease.backend();
    scene.finish(lease, Outcome::Answered);
    scene.membership.drain(id);
    let roster = scene.membership.roster();
    scene.balancer.set_roster(roster);
    let kept = scene.last();
    assert_eq!((kept.reason, kept.chosen), (Reason::First, id));
    assert!(kept.backends.iter().all(|it| it.score.is_none() && it.estimate.is_none()));
}

#[test]
fn each_backend_tells_why_it_could_not_be_chosen() {
    let role = Role::default();
    let full = Role { max_in_flight: Some(1), ..role };
    let backup = Role { tier: Tier::Backup, ..role };
    let drained = Role { admission: crate::balance::Admission::Drained, ..role };
    let scene = Scene::with_roles(exact(), &[role, role, full, backup, drained, role]);
    let mut scene = recording(scene, ALL);
    let ids = scene.ids();
    let busy = scene.acquire_only(2);
    scene.refuse(1);
    scene.pass(100);
    let lease = scene.acquire_other(&tried([ids[5]])).unwrap();
    let decision = scene.last();
    let ejected = Part::Out(Availability::Ejected, super::super::Cause::Refused);
    let expected = [Part::Up, ejected, Part::Full, Part::Backup, Part::Drained, Part::Tried];
    assert_eq!(parts(&decision), expected);
    assert_eq!((decision.chosen, decision.reason), (ids[0], Reason::Retry));
    let out = &decision.backends[1];
    assert_eq!((out.since, out.ejected_for), (Some(ms(100)), Some(ms(400))));
    assert_eq!(decision.backends[2].in_flight, 1);
    scene.release_all(vec![busy, lease]);
}

#[test]
fn a_probe_and_a_last_resort_are_chosen_from_those_that_are_out() {
    let mut scene = recording(Scene::of(2, Policy::RoundRobin), ALL);
    scene.refuse(0);
    scene.refuse(1);
    let lease = scene.acquire();
    let decision = scene.last();
    let refused = |availability| Part::Out(availability, super::super::Cause::Refused);
    assert_eq!(decision.reason, Reason::Cooling);
    assert_eq!(parts(&decision), [refused(Availability::Ejected); 2]);
    assert_eq!(decision.backends.iter().map(|it| it.in_flight).sum::<u32>(), 0);
    scene.release_all(vec![lease]);
    scene.pass(500);
    let probe = scene.acquire();
    let decision = scene.last();
    assert_eq!(decision.reason, Reason::Trial);
    assert_eq!(parts(&decision), [refused(Availability::Probing); 2]);
    scene.release_all(vec![probe]);
}

#[test]
fn chance_is_told_where_it_decides_between_equal_backends_for_a_hedge() {
    let options = Options { policy: Policy::Adaptive, hedges: true, ..exact() };
    let mut scene = Scene::measured_with(options, [10, 10, 10]);
    for _ in 0..9 {
        let lease = scene.acquire();
        scene.answer_after(10, lease);
    }
    let first = scene.acquire();
    let mut scene = recording(scene, ALL);
    let tried = tried([first.backend()]);
    let hedge = scene.balancer.acquire_hedge(&tried, scene.now).lease().expect("a hedge");
    let decision = scene.last();
    assert_eq!((decision.reason, decision.chosen), (Reason::Hedge, hedge.backend()));
    let others = decision.backends.iter().filter(|it| it.part == Part::Up);
    let scores: Vec<_> = others.map(|it| it.score.unwrap()).collect();
    let equal = scores.iter().filter(|score| **score <= scores[0]).count();
    assert_eq!(decision.probability, (equal > 1 && scores[1] <= scores[0]).then_some(0.5));
    scene.release_all(vec![first, hedge]);
}

#[test]
fn a_backend_that_is_down_is_told_so_although_it_could_be_chosen_in_need() {
    for ejected in [0, 1] {
        let mut scene = recording(Scene::of(3, Policy::RoundRobin), ALL);
        (0..ejected).for_each(|slot| scene.refuse(slot));
        for id in &scene.ids()[ejected..] {
            scene.membership.checked(*id, Verdict::Fails, scene.now);
        }
        let lease = scene.acquire();
        let decision = scene.last();
        assert_eq!(decision.reason, Reason::Cooling);
        let is_out = |part: &Part| matches!(part, Part::Out(..));
        assert!(parts(&decision).iter().all(is_out), "{:?}", parts(&decision));
        scene.finish(lease, Outcome::Answered);
    }
}
