//! What those are told who watch.

use super::*;

#[test]
fn an_ejection_counts_whenever_a_backend_is_taken_out() {
    let options = Options { eject_after: Some(2), max_ejected_percent: 100, ..Options::default() };
    let mut membership = Membership::new(options, epoch()).expect("valid options");
    let id = membership.add("http://a:1").expect("a slot");
    let mut balancer = membership.balancer();
    let mut now = epoch() + Duration::from_secs(1);
    let counted = |membership: &Membership| {
        let Ejections { refused, failures, checks, .. } = membership.registry().ejections(id);
        [refused, failures, checks]
    };
    let mut attempt = |outcome, now: Instant| {
        let mut lease = balancer.acquire_bound(id, now).lease().expect("a member");
        balancer.observe(&mut lease, outcome, now + Duration::from_millis(1));
        balancer.release(lease);
    };
    attempt(Outcome::Unreachable, now);
    assert_eq!(counted(&membership), [1, 0, 0]);
    attempt(Outcome::Unreachable, now);
    assert_eq!(counted(&membership), [1, 0, 0], "it is out already");
    now += Duration::from_secs(3600);
    attempt(Outcome::Failed, now);
    assert_eq!(counted(&membership), [1, 1, 0], "the probe failed");
    now += Duration::from_secs(3600);
    attempt(Outcome::Answered, now);
    now += Duration::from_secs(1);
    attempt(Outcome::Failed, now);
    assert_eq!(counted(&membership), [1, 1, 0]);
    attempt(Outcome::Failed, now);
    assert_eq!(counted(&membership), [1, 2, 0], "the second in a row");
    membership.checked(id, Verdict::Fails, now);
    assert_eq!(counted(&membership), [1, 2, 1]);
    membership.checked(id, Verdict::Passes, now);
    assert_eq!(counted(&membership), [1, 2, 1]);
    membership.eject(id, Duration::from_secs(1), now);
    membership.admit(id, now);
    assert_eq!((counted(&membership), membership.registry().ejections(id).admin), ([1, 2, 1], 1));
}

#[test]
fn the_next_backend_of_a_slot_has_no_ejections() {
    let mut membership = Membership::with_slots(1, Options::default(), epoch()).expect("valid");
    let first = membership.add("http://a:1").expect("a slot");
    membership.checked(first, Verdict::Fails, epoch());
    membership.drain(first);
    assert_eq!(membership.collect(), [first]);
    assert_eq!(membership.registry().ejections(first).checks, 1, "it stays until then");
    let second = membership.add("http://b:1").expect("its slot");
    let registry = membership.registry();
    assert_eq!(registry.ejections(second), Ejections::default());
    assert_eq!(registry.ejections(first), Ejections::default());
}

#[test]
fn the_scores_are_those_of_the_choice_and_asking_changes_nothing() {
    let now = epoch() + Duration::from_secs(1);
    for policy in Policy::ALL {
        let options = Options { policy, ..Options::default() };
        let mut membership = Membership::new(options, epoch()).expect("valid options");
        let ids = [1, 2].map(|port| membership.add(&format!("http://a:{port}")).expect("a slot"));
        let mut balancer = membership.balancer();
        let scores = |membership: &Membership, now| {
            let scores = membership.scores(now);
            assert_eq!(scores.iter().map(|it| it.id).collect::<Vec<_>>(), ids);
            scores.iter().map(|it| it.score).collect::<Vec<_>>()
        };
        let is_adaptive = !matches!(policy, Policy::RoundRobin | Policy::LeastConn);
        assert_eq!(scores(&membership, now)[0].is_none(), is_adaptive, "{policy}: unmeasured");
        for (id, ms) in [(ids[0], 40), (ids[1], 10)] {
            let mut lease = balancer.acquire_bound(id, now).lease().expect("a member");
            balancer.observe(&mut lease, Outcome::Answered, now + Duration::from_millis(ms));
            balancer.release(lease);
        }
        let now = now + Duration::from_millis(50);
        let told = scores(&membership, now);
        assert_eq!(told, scores(&membership, now));
        let (first, second) = (told[0].expect("measured"), told[1].expect("measured"));
        assert_eq!(first > second, is_adaptive, "{policy}: {told:?}");
        if is_adaptive {
            let lease = balancer.acquire(&Tried::default(), now).lease().expect("a backend");
            assert_eq!(lease.backend(), ids[1], "the least one");
            balancer.release(lease);
            assert!((0.009..0.05).contains(&second), "{policy}: {second} s");
        }
    }
}
