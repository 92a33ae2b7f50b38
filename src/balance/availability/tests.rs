use super::*;

const MS: Nanos = 1_000_000;

const RULES: Rules = Rules {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(5),
    jitter_percent: 0,
    eject_after: Some(3),
};

/// For how long the backend is ejected after each of `count` failures, each probe sent when due.
fn ejections_ms(rules: Rules, count: usize) -> Vec<u64> {
    let standing = Standing::default();
    let mut now = 7_000;
    let mut ejection = || {
        standing.unreachable(rules, now, now);
        let due = 1_000 * standing.due(rules).unwrap();
        assert_eq!(standing.availability(rules, due), Availability::Probing);
        if due > now {
            assert_eq!(standing.availability(rules, due - 1), Availability::Ejected);
        }
        (due - std::mem::replace(&mut now, due)) / MS
    };
    (0..count).map(|_| ejection()).collect()
}

fn due_ms(standing: &Standing) -> Option<u64> {
    standing.due(RULES).map(|due| due / 1_000)
}

#[test]
fn doubles_up_to_the_limit() {
    assert_eq!(ejections_ms(RULES, 6), [500, 1000, 2000, 4000, 5000, 5000]);
    assert_eq!(ejections_ms(RULES, 600).last(), Some(&5000));
    let limit_below_first = Rules { longest: Duration::from_millis(100), ..RULES };
    assert_eq!(ejections_ms(limit_below_first, 3), [100, 100, 100]);
}

#[test]
fn jitter_makes_an_ejection_shorter_by_at_most_its_part() {
    let rules = Rules { jitter_percent: 10, ..RULES };
    let spans: Vec<u64> = (0..1000)
        .map(|n| {
            let standing = Standing::default();
            let now = n * 7 * MS;
            standing.unreachable(rules, now, now);
            standing.due(rules).unwrap() - micros(now)
        })
        .collect();
    assert!(spans.iter().all(|span| (450_000..=500_000).contains(span)), "{spans:?}");
    // Spread evenly, each tenth of the range has about a hundred of them.
    for tenth in 0..10 {
        let from = 450_000 + 5_000 * tenth;
        let count = spans.iter().filter(|span| (from..from + 5_000).contains(*span)).count();
        assert!((80..=120).contains(&count), "{count} from {from}");
    }
}

#[test]
fn no_time_and_endless_time_are_times() {
    let none = Rules { first: Duration::ZERO, longest: Duration::ZERO, ..RULES };
    assert_eq!(ejections_ms(none, 3), [0, 0, 0]);
    let endless = Rules { first: Duration::MAX, longest: Duration::MAX, ..RULES };
    let standing = Standing::default();
    let late = u64::MAX >> 11;
    standing.unreachable(endless, late, late);
    assert_eq!(standing.availability(endless, u64::MAX), Availability::Ejected);
}

#[test]
fn an_answer_ends_the_ejection_and_forgets_how_often_it_failed() {
    let standing = Standing::default();
    standing.unreachable(RULES, 0, 0);
    standing.unreachable(RULES, 500 * MS, 500 * MS);
    standing.answered(1500 * MS, 1500 * MS);
    assert_eq!((standing.due(RULES), standing.cause()), (None, Cause::Answered));
    standing.unreachable(RULES, 1600 * MS, 1600 * MS);
    assert_eq!((due_ms(&standing), standing.cause()), (Some(2100), Cause::Refused));
}

#[test]
fn what_began_before_the_ejection_neither_prolongs_nor_ends_it() {
    let standing = Standing::default();
    standing.unreachable(RULES, 10 * MS, 20 * MS);
    for started in [0, 10 * MS, 20 * MS] {
        standing.unreachable(RULES, started, 30 * MS);
        standing.failed(RULES, started, 600 * MS);
        standing.answered(started, 600 * MS);
        assert_eq!(due_ms(&standing), Some(520), "{started}");
    }
    standing.answered(20 * MS + 1_000, 600 * MS);
    assert_eq!(standing.due(RULES), None);
}

#[test]
fn a_failure_prolongs_an_ejection() {
    let standing = Standing::default();
    assert!(!standing.failed(RULES, 0, 0));
    assert_eq!(standing.due(RULES), None);
    standing.unreachable(RULES, 0, 0);
    assert!(!standing.failed(RULES, 500 * MS, 600 * MS));
    assert_eq!((due_ms(&standing), standing.cause()), (Some(1600), Cause::Failures));
}

#[test]
fn so_many_failures_in_a_row_eject_and_what_ends_well_begins_another_row() {
    let standing = Standing::default();
    assert_eq!([(); 2].map(|()| standing.failed(RULES, 0, MS)), [false, false]);
    standing.succeeded();
    assert_eq!([(); 3].map(|()| standing.failed(RULES, 0, MS)), [false, false, true]);
    assert_eq!(standing.availability(RULES, MS), Availability::Up, "it may not be ejected");
    assert!(standing.failed(RULES, 0, MS), "and is asked for again");
    standing.eject(RULES, 2 * MS);
    assert_eq!((due_ms(&standing), standing.cause()), (Some(502), Cause::Failures));
    standing.eject(RULES, 3 * MS);
    standing.succeeded();
    assert_eq!(due_ms(&standing), Some(502), "it is ejected once");
    let never = Rules { eject_after: None, ..RULES };
    let standing = Standing::default();
    assert!((0..1000).all(|_| !standing.failed(never, 0, MS)));
}

#[test]
fn a_failure_of_a_request_sent_before_the_backend_came_back_is_old_news() {
    let standing = Standing::default();
    standing.unreachable(RULES, 0, 0);
    standing.answered(500 * MS, 510 * MS);
    for _ in 0..3 {
        assert!(!standing.failed(RULES, 509 * MS, 520 * MS));
    }
    standing.unreachable(RULES, 509 * MS, 520 * MS);
    assert_eq!(standing.availability(RULES, 520 * MS), Availability::Up);
}

#[test]
fn a_check_that_fails_takes_a_backend_down_until_it_passes() {
    let standing = Standing::default();
    standing.checked(Verdict::Passes, MS);
    assert_eq!(standing.cause(), Cause::Added, "nothing new");
    standing.unreachable(RULES, MS, MS);
    standing.checked(Verdict::Passes, 2 * MS);
    assert_eq!(standing.cause(), Cause::Refused, "a check that passes ends no ejection");
    standing.checked(Verdict::Fails, 3 * MS);
    standing.answered(4 * MS, 5 * MS);
    standing.unreachable(RULES, 4 * MS, 5 * MS);
    assert!(!standing.failed(RULES, 4 * MS, 5 * MS));
    assert_eq!(standing.availability(RULES, 3_600_000 * MS), Availability::Down);
    standing.checked(Verdict::Passes, 6 * MS);
    assert_eq!(standing.availability(RULES, 6 * MS), Availability::Up);
    assert_eq!(standing.cause(), Cause::CheckPassed);
}

#[test]
fn a_slow_start_raises_the_share_from_a_tenth_to_all() {
    let standing = Standing::default();
    standing.begin(1_000 * MS);
    // In percent.
    let share = |at_ms| format!("{:.0}", 100.0 * standing.share(10_000 * MS, at_ms * MS));
    // max(0.1, age / 10 s), at the ages of 0, 0.5, 1, 2.5, 10 and 20 s.
    let shares = [1_000, 1_500, 2_000, 3_500, 11_000, 21_000].map(share);
    assert_eq!(shares, ["10", "10", "10", "25", "100", "100"]);
    assert!(standing.share(0, 1_000 * MS) >= 1.0, "there is none");
    standing.unreachable(RULES, 30_000 * MS, 30_000 * MS);
    standing.answered(31_000 * MS, 31_000 * MS);
    assert_eq!([31_000, 36_000].map(share), ["10", "50"], "one that is back starts slowly, too");
}
