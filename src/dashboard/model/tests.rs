//! What is known after which rows.

use std::time::Duration;

use super::super::tests::row;
use super::*;

const SECOND_US: i64 = 1_000_000;

fn fed<'a>(rows: impl IntoIterator<Item = Row<'a>>) -> Model {
    let mut model = Model::new(None);
    for row in rows {
        model.feed(Ok(row));
    }
    model
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The requests per second in a lane, over all seconds known.
fn requests(timeline: &Timeline, lane: usize) -> Vec<u64> {
    let (_, slots) = timeline.newest(i64::MAX);
    let cell = |slot: Option<&super::super::timeline::Slot>| {
        slot.and_then(|slot| slot.cell(lane)).map_or(0, |cell| cell.requests)
    };
    slots.into_iter().map(cell).collect()
}

#[test]
fn backends_are_those_the_rows_name_in_the_order_they_first_appear() {
    let model = fed(["x", "y", "x", "http://[::1]:80"].map(|name| row(0, name, ms(1))));
    let known: Vec<_> = model.backends.iter().map(|it| (&*it.name, it.requests)).collect();
    assert_eq!(known, [("x", 2), ("y", 1), ("http://[::1]:80", 1)]);
}

#[test]
fn more_backends_than_a_proxy_can_have_are_counted_together() {
    let count = MAX_BACKENDS + 100;
    let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    let model = fed(names.iter().map(|name| row(0, name, ms(1))));
    assert_eq!(model.backends.len(), MAX_BACKENDS + 1);
    let last = model.backends.last().unwrap();
    assert_eq!((&*last.name, last.requests), (MORE_BACKENDS, 100));
}

#[test]
fn requests_are_counted_also_those_that_no_backend_got() {
    let refused = Row { backend_url: None, latency: None, status: Some(503), ..row(0, "", ms(0)) };
    let model = fed([row(0, "a", ms(5)), refused, Row { fault: Some("x"), ..row(0, "a", ms(5)) }]);
    assert_eq!((model.requests, model.errors), (3, 2));
    assert_eq!((model.backends[0].requests, model.backends[0].errors), (2, 1));
    assert_eq!(requests(&model.recent, NOT_DISPATCHED), [1]);
    assert_eq!(requests(&model.whole, 1), [2]);
    assert_eq!(model.latest_mean_us(), Some(5000.0));
}

#[test]
fn probes_are_in_no_count_no_span_and_no_estimate() {
    let probe = Row { probe: Some("health"), ..row(99 * SECOND_US, "b", ms(900)) };
    let other = Row { probe: Some("0"), ..row(SECOND_US, "a", ms(20)) };
    let model = fed([probe, row(0, "a", ms(10)), probe, other, probe]);
    assert_eq!((model.requests, model.each.len(), model.backends.len()), (2, 2, 1));
    assert_eq!(model.span_us(), Some((0, SECOND_US)));
    assert_eq!(model.backends[0].averages().sma_ms, Some(15.0));
    assert_eq!(requests(&model.whole, 1), [1, 1]);
}

#[test]
fn the_latest_requests_are_remembered_with_their_averages() {
    let count = LATEST_REQUESTS as u64 + 50;
    let model = fed((0..count).map(|n| row(0, "a", ms(n))));
    assert_eq!(model.each.len(), LATEST_REQUESTS + 50);
    let newest = model.each.latest().next().unwrap();
    assert_eq!(newest.averages.sma_ms, Some(count as f64 - 2.0));
    assert_eq!(newest.averages, model.backends[0].averages());
    let mean_ms = (50 + count - 1) as f64 / 2.0;
    assert_eq!(model.latest_mean_us(), Some(mean_ms * 1000.0));
}

/// A row of a proxy of ours.
fn own_row(reason: Option<&str>) -> Row<'_> {
    Row { worker: Some(0), in_flight: Some(3), reason, ..row(0, "a", ms(7)) }
}

#[test]
fn reasons_are_counted_per_backend_as_the_rows_tell_them() {
    let reasons = [Some("best"), Some("tie"), Some("best"), None];
    let model = fed(reasons.map(own_row));
    let counts: Vec<_> = model.backends[0].reasons.iter().map(|(word, n)| (&**word, *n)).collect();
    assert_eq!(counts, [("best", 2), ("tie", 1)]);
    let told: Vec<_> = model.each.latest().map(|it| (&*it.reason, it.in_flight)).collect();
    assert_eq!(told, [("", Some(3)), ("best", Some(3)), ("tie", Some(3)), ("best", Some(3))]);
    assert_eq!(model.reasons, ["best", "tie"]);
}

#[test]
fn reasons_that_no_proxy_of_ours_knows_take_no_more_than_some_memory() {
    let words: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let long = "x".repeat(1000);
    let model = fed(words.iter().chain([&long]).map(|word| own_row(Some(word))));
    let reasons = &model.backends[0].reasons;
    assert_eq!((reasons.len(), reasons.values().sum::<u64>()), (REASONS_MAX + 1, 1001));
    assert_eq!(reasons[MORE_REASONS], 1001 - REASONS_MAX as u64);
}

#[test]
fn averages_are_of_logs_that_tell_no_reasons_because_they_are_of_other_tools() {
    let foreign = fed([row(0, "a", ms(10)), row(0, "a", ms(20))]);
    assert_eq!((foreign.is_foreign(), foreign.backends[0].averages().sma_ms), (true, Some(15.0)));
    for reason in [Some("best"), None] {
        let own = fed([own_row(reason)]);
        assert_eq!((own.is_foreign(), own.backends[0].averages()), (false, Averages::default()));
    }
    assert!(!Model::new(None).is_foreign(), "nothing is known of a log without rows");
}

#[test]
fn remembered_text_is_cut_and_its_memory_used_again() {
    let long = "é".repeat(10_000);
    let path = Row { path: Some(long.as_bytes()), ..row(0, "a", ms(1)) };
    let plain = Row { path: Some(b"/\xff"), ..row(0, &long, ms(1)) };
    let model = fed([path, plain]);
    let paths: Vec<_> = model.each.latest().map(|it| &*it.path).collect();
    assert_eq!((paths[0], paths[1].chars().count()), ("/\u{fffd}", TEXT_CHARS_MAX));
    assert_eq!(model.backends[1].name.chars().count(), TEXT_CHARS_MAX);
    let again = fed([row(0, &long, ms(1)), row(0, &long, ms(1))]);
    assert_eq!(again.backends.len(), 1);
}

#[test]
fn the_mode_is_that_of_the_last_row() {
    let first = Row { routing_mode: "round-robin", connection: Some("x"), ..row(0, "a", ms(1)) };
    let model = fed([first, row(0, "a", ms(1))]);
    assert_eq!((&*model.routing_mode, model.connection.as_deref()), ("adaptive_sma", None));
}

/// An hour of rows, one each second, as many as the windows show of it.
fn assert_shows(rows: impl IntoIterator<Item = i64>, whole: u64, recent: u64, outliers: u64) {
    let model = fed(rows.into_iter().map(|time_us| row(time_us, "a", ms(1))));
    assert_eq!(requests(&model.whole, 1).iter().sum::<u64>(), whole);
    assert_eq!(requests(&model.recent, 1).iter().sum::<u64>(), recent);
    assert_eq!((model.requests, model.outlier_rows()), (whole + outliers, outliers));
}

fn hour() -> impl DoubleEndedIterator<Item = i64> + Clone {
    (0..3600).map(|second| (100_000_000 + second) * SECOND_US)
}

#[test]
fn all_rows_count_in_whatever_order_they_come() {
    assert_shows(hour(), 3600, 300, 0);
    assert_shows(hour().rev(), 3600, 300, 0);
    // A host whose clock is ten minutes ahead.
    let two = hour().flat_map(|time_us| [time_us + 600 * SECOND_US, time_us]);
    assert_shows(two, 7200, 300, 0);
    // One run behind another in one file, the later one first.
    let later = hour().map(|time_us| time_us + 7200 * SECOND_US);
    assert_shows(later.chain(hour()), 7200, 300, 0);
}

#[test]
fn a_log_that_is_written_now_is_shown_where_it_is_now() {
    let days_us = 3 * 86_400 * SECOND_US;
    let later = hour().take(600).map(|time_us| time_us + days_us);
    let times = hour().chain([7]).chain(later);
    let mut model = fed(times.map(|time_us| row(time_us, "a", ms(1))));
    assert_eq!((model.outlier_rows(), model.span_us().unwrap().0), (601, 100_000_000 * SECOND_US));
    let now_us = 100_000_600 * SECOND_US + days_us;
    model.settle(now_us);
    assert_eq!(model.outlier_rows(), 3601);
    assert_eq!(model.span_us(), Some((100_000_000 * SECOND_US + days_us, now_us - SECOND_US)));
    assert_eq!(requests(&model.recent, 1), [1; 300]);
    model.feed(Ok(row(now_us, "a", ms(1))));
    assert_eq!((model.outlier_rows(), model.span_us().unwrap().1), (3601, now_us));
    model.settle(now_us + days_us);
    assert_eq!(model.outlier_rows(), 602, "nobody writes it any more");
}

#[test]
fn rows_with_odd_times_are_told_and_take_no_place() {
    for odd in [7, 100_000_000 * SECOND_US * 20] {
        assert_shows([odd].into_iter().chain(hour()), 3600, 300, 1);
        assert_shows(hour().chain([odd, odd]), 3600, 300, 2);
        let mut rows: Vec<i64> = hour().collect();
        rows.insert(1800, odd);
        assert_shows(rows, 3600, 300, 1);
    }
}

#[test]
fn broken_lines_are_counted_and_the_last_is_kept() {
    let mut model = Model::new(None);
    model.feed(Err(LineError::Quote));
    model.feed(Err(LineError::TooLong));
    assert_eq!((model.broken_lines, model.requests), (2, 0));
    assert_eq!(model.last_broken, Some(LineError::TooLong));
}
