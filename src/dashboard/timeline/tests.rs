//! Timelines: what is counted where, and what happens at their limits.

use super::*;

/// The requests in lane 0 of each slot, from the first on, and when that begins.
fn requests(timeline: &Timeline, count: i64) -> (i64, Vec<u64>) {
    let (start, slots) = timeline.newest(count);
    let of = |slot: Option<&Slot>| slot.and_then(|slot| slot.cell(0)).map_or(0, |c| c.requests);
    (start, slots.into_iter().map(of).collect())
}

fn timeline(span: i64, when_full: WhenFull, seconds: &[i64]) -> Timeline {
    let mut timeline = Timeline::new(span, when_full);
    for (at, second) in seconds.iter().enumerate() {
        let known = &seconds[..=at];
        timeline.show(*known.iter().min().unwrap()..=*known.iter().max().unwrap());
        timeline.add(*second, 0, Counted::default());
    }
    timeline
}

#[test]
fn what_is_not_shown_takes_no_place_and_may_be_shown_later() {
    let shown: Vec<i64> = (1000..1100).collect();
    for when_full in [WhenFull::Forget, WhenFull::Widen] {
        for odd in [7, 900, 1_000_000] {
            let mut line = Timeline::new(100, when_full);
            line.show(odd..=odd);
            line.add(odd, 0, Counted::default());
            for second in &shown {
                line.show(1000..=*second);
                line.add(*second, 0, Counted::default());
            }
            assert_eq!(requests(&line, 100), (1000, vec![1; 100]), "{odd}");
            line.show(odd..=odd);
            assert_eq!(requests(&line, 100), (odd, vec![1]));
        }
    }
}

#[test]
fn of_many_that_are_not_shown_some_are_forgotten_unless_they_are_about_to_be_the_rule() {
    let odd = |per_second: u64| {
        let mut line = Timeline::new(10, WhenFull::Widen);
        line.show(1_000_000..=1_000_000);
        (0..1000).for_each(|_| line.add(1_000_000, 0, Counted::default()));
        for second in (0..500).map(|n| n * 10) {
            (0..per_second).for_each(|_| line.add(second, 0, Counted::default()));
        }
        assert!(line.slots.len() <= 11);
        line.show(0..=5000);
        requests(&line, 10).1.iter().sum::<u64>()
    };
    assert_eq!(odd(1), 10);
    assert_eq!(odd(30), 500 * 30);
}

#[test]
fn requests_are_counted_in_the_second_they_belong_to_in_whatever_order_they_come() {
    let line = timeline(100, WhenFull::Forget, &[10, 10, 13, 12, 10, 9]);
    assert_eq!(requests(&line, 100), (9, vec![1, 3, 0, 1, 1]));
    assert_eq!(requests(&line, 2), (12, vec![1, 1]));
    assert_eq!(requests(&Timeline::new(9, WhenFull::Widen), 9), (0, vec![]));
}

#[test]
fn what_is_looked_at_may_end_after_the_newest_slot_or_before_it() {
    let line = timeline(100, WhenFull::Forget, &[10, 10, 13]);
    let until = |second, count| {
        let (start, slots) = line.until(second, count);
        (start, slots.iter().map(Option::is_some).collect::<Vec<_>>())
    };
    assert_eq!(until(15, 6), (10, vec![true, false, false, true, false, false]));
    assert_eq!(until(15, 5), (11, vec![false, false, true, false, false]));
    assert_eq!(until(12, 5), (10, vec![true, false, false]));
    assert_eq!(until(99, 5), (95, vec![false; 5]), "a silence is seen");
    assert_eq!(until(3, 5), (3, vec![false]), "before the first row there is none");
}

#[test]
fn the_oldest_slots_are_forgotten() {
    let line = timeline(3, WhenFull::Forget, &[1, 2, 3, 4]);
    assert_eq!(requests(&line, 100), (2, vec![1, 1, 1]));
    // What is older than that is not counted, and a jump ahead forgets all.
    let line = timeline(3, WhenFull::Forget, &[1, 2, 3, 4, 1]);
    assert_eq!(requests(&line, 100), (2, vec![1, 1, 1]));
    let jumped = timeline(3, WhenFull::Forget, &[1, 2, 1000]);
    assert_eq!(requests(&jumped, 9), (998, vec![0, 0, 1]));
}

#[test]
fn slots_are_widened_and_no_request_is_forgotten() {
    let line = timeline(4, WhenFull::Widen, &[0, 1, 2, 3]);
    assert_eq!((line.slot_seconds(), requests(&line, 9)), (1, (0, vec![1, 1, 1, 1])));
    let line = timeline(4, WhenFull::Widen, &[0, 1, 2, 3, 4]);
    assert_eq!((line.slot_seconds(), requests(&line, 9)), (2, (0, vec![2, 2, 1])));
    let line = timeline(4, WhenFull::Widen, &[7, 8, 9, 1_000_000, 5]);
    assert_eq!(requests(&line, 99).1.iter().sum::<u64>(), 5);
    assert_eq!(line.slot_seconds(), 262_144);
    let line = timeline(4, WhenFull::Widen, &[-5, -4, -1]);
    assert_eq!((line.slot_seconds(), requests(&line, 9)), (2, (-6, vec![1, 1, 1])));
}

#[test]
fn the_number_of_slots_is_limited_whatever_comes() {
    for when_full in [WhenFull::Forget, WhenFull::Widen] {
        let mut line = Timeline::new(50, when_full);
        for n in 0..10_000 {
            line.show(0..=5_003);
            line.add((n * 7919) % 5_003, 0, Counted { latency_us: Some(1), ..Counted::default() });
        }
        assert!(line.slots.len() <= 50, "{when_full:?}: {}", line.slots.len());
        assert!(line.newest(i64::MAX).1.len() <= 50);
    }
}

#[test]
fn lanes_are_counted_apart_and_keep_their_latencies_when_slots_are_joined() {
    let mut line = Timeline::new(2, WhenFull::Widen);
    line.show(0..=2);
    line.add(0, 2, Counted { latency_us: Some(100), is_error: false, ..Counted::default() });
    line.add(1, 2, Counted { latency_us: Some(300), is_error: true, ..Counted::default() });
    line.add(1, 0, Counted { latency_us: None, is_error: true, ..Counted::default() });
    line.add(2, 1, Counted { latency_us: Some(7), is_error: false, ..Counted::default() });
    let (_, slots) = line.newest(2);
    let first = slots[0].unwrap();
    assert_eq!(first.cell(1), None);
    let cell = first.cell(2).unwrap();
    assert_eq!((cell.requests, cell.errors, cell.mean_us()), (2, 1, Some(200.0)));
    assert_eq!(cell.latencies.quantile_us(1.0), Some(300));
    assert_eq!(first.cell(0).unwrap().mean_us(), None);
}
