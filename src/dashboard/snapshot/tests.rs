//! The figures of small logs, computed by hand.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::journal::{LineError, Row};

use super::super::source::Source;
use super::super::tests::row;
use super::*;

const SECOND_US: i64 = 1_000_000;

/// The snapshot as it is sent, of a log that is being written.
fn snapshot<'a>(rows: impl IntoIterator<Item = Row<'a>>, window: Window) -> Value {
    let mut model = Model::new();
    for row in rows {
        model.feed(Ok(row));
    }
    of(&model, &live(), window)
}

fn of(model: &Model, status: &Status, window: Window) -> Value {
    serde_json::to_value(Snapshot::new(model, status, Some("x"), window)).unwrap()
}

fn live() -> Status {
    let mut status = Source::new(PathBuf::from("x.csv"), None).status().clone();
    status.state = State::Live;
    status.path = Some("x.csv".to_owned());
    status
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_figures_of_a_window_are_those_of_its_rows() {
    let old = (0..10).map(|_| row(0, "http://old", ms(900)));
    let new = (1..=100_u32).map(|n| {
        let backend = if n % 4 == 0 { "http://b" } else { "http://a" };
        let status = if n <= 3 { 503 } else { 200 };
        Row {
            status: Some(status),
            ..row((100 + i64::from(n % 10)) * SECOND_US, backend, ms(n.into()))
        }
    });
    let rows: Vec<_> = old.chain(new).collect();
    let minute = snapshot(rows.clone(), Window::Minute);
    let window = &minute["window"];
    assert_eq!(window["requests"], 100);
    assert_eq!((&window["errors"], &window["error_share"]), (&json!(3), &json!(0.03)));
    // The window has 60 slots, of which the first with a row is the 100th second.
    assert_eq!((&window["from_ms"], &window["to_ms"]), (&json!(100_000), &json!(109_000)));
    assert_eq!(window["requests_per_s"], 11.111);
    assert_eq!(window["mean_ms"], 50.5);
    for (name, exact_ms) in [("p50_ms", 50.0), ("p95_ms", 95.0), ("p99_ms", 99.0)] {
        assert_eq!(window[name], exact_ms, "{name}");
    }
    assert_eq!(minute["since"], json!({ "from_ms": 0, "requests": 110, "errors": 3 }));
    let all = snapshot(rows, Window::All);
    assert_eq!((&all["window"]["requests"], &all["window"]["from_ms"]), (&json!(110), &json!(0)));
}

#[test]
fn backends_are_in_the_order_of_their_names_with_their_shares() {
    let rows = ["http://b", "http://a", "http://a", "http://a"].map(|name| row(0, name, ms(7)));
    let figures = snapshot(rows, Window::Minute);
    let of = |field: &str| -> Value {
        let backends = figures["backends"].as_array().unwrap();
        backends.iter().map(|backend| backend[field].clone()).collect()
    };
    assert_eq!(of("name"), json!(["http://a", "http://b"]));
    assert_eq!(of("label"), json!(["a", "b"]));
    assert_eq!(of("share"), json!([0.75, 0.25]));
    assert_eq!(of("share_since"), json!([0.75, 0.25]));
    assert_eq!(of("mean_ms"), json!([7.0, 7.0]));
    let lines = figures["series"]["backends"].as_array().unwrap();
    assert_eq!(
        lines.iter().map(|l| l["name"].clone()).collect::<Value>(),
        json!(["http://a", "http://b"])
    );
}

#[test]
fn lines_have_a_value_per_slot_and_none_where_nothing_happened() {
    let rows = [(5, "a", 10), (5, "a", 30), (7, "b", 20)];
    let rows = rows.map(|(second, name, latency)| row(second * SECOND_US, name, ms(latency)));
    let series = snapshot(rows, Window::Minute)["series"].take();
    assert_eq!((&series["start_ms"], &series["step_ms"]), (&json!(5000), &json!(1000)));
    assert_eq!(series["requests"], json!([2, 0, 1]));
    let ([a, b], [null, value]) = (
        [&series["backends"][0]["p50_ms"], &series["backends"][1]["p95_ms"]],
        [Value::Null, json!(20.0)],
    );
    assert_eq!((&a[1], &a[2], &b[0], &b[1]), (&null, &null, &null, &null));
    assert!((b[2].as_f64().unwrap() - value.as_f64().unwrap()).abs() <= 0.04);
    assert!((a[0].as_f64().unwrap() - 10.0).abs() <= 0.02);
}

#[test]
fn the_present_rate_is_that_of_the_last_whole_seconds() {
    let per_second = [100, 8, 10, 10, 10, 12, 3];
    let rows = per_second.iter().enumerate().flat_map(|(second, count)| {
        let second = i64::try_from(second).unwrap();
        (0..*count).map(move |_| row(second * SECOND_US, "a", ms(1)))
    });
    let rows: Vec<_> = rows.collect();
    let rate = |rows: &[Row<'static>]| {
        snapshot(rows.iter().copied(), Window::Minute)["requests_per_s"].clone()
    };
    assert_eq!(rate(&rows), 10.0);
    // Two seconds of which one is over, and a log in its first second.
    assert_eq!(rate(&rows[..108]), 100.0);
    assert_eq!(rate(&rows[..40]), 40.0);
    assert_eq!(rate(&[]), 0.0);
    // A gap counts as seconds without rows.
    let gap = [row(0, "a", ms(1)), row(100 * SECOND_US, "a", ms(1))];
    assert_eq!(rate(&gap), 0.0);
}

#[test]
fn a_log_that_is_silent_has_no_present_rate_and_keeps_its_figures() {
    let mut model = Model::new();
    for n in 0..30 {
        model.feed(Ok(row(n * SECOND_US / 10, "a", ms(1))));
    }
    let mut status = live();
    assert_eq!(of(&model, &status, Window::Minute)["requests_per_s"], 10.0);
    (status.state, status.message) = (State::Silent, "no rows for 12 s".to_owned());
    let figures = of(&model, &status, Window::Minute);
    assert_eq!(figures["requests_per_s"], 0.0);
    assert_eq!(figures["window"]["requests"], 30);
    assert_eq!(figures["message"], "no rows for 12 s");
}

#[test]
fn nothing_is_told_as_nothing() {
    let figures = snapshot([], Window::FiveMinutes);
    for field in ["mode", "connection", "choice", "last_broken_row"] {
        assert_eq!(figures[field], Value::Null, "{field}");
    }
    assert_eq!(figures["source"]["state"], "empty");
    assert_eq!(figures["message"], "no rows yet in x.csv");
    assert_eq!(figures["window"]["mean_ms"], Value::Null);
    assert_eq!(figures["window"]["name"], "5m");
    assert_eq!((&figures["backends"], &figures["latest"]), (&json!([]), &json!([])));
}

#[test]
fn the_latest_requests_come_newest_first_with_what_they_were() {
    let first = row(1_500, "http://a", ms(10));
    let second = Row {
        backend_url: None,
        latency: None,
        status: Some(503),
        method: Some(b"GET"),
        path: Some(b"/x"),
        fault: Some("no_backend"),
        ..row(2_000, "", ms(0))
    };
    let figures = snapshot([first, second], Window::Minute);
    let expected = json!([
        { "time_ms": 2.0, "backend": null, "method": "GET", "path": "/x", "status": 503,
          "error": true, "fault": "no_backend", "latency_ms": null, "sma_ms": null,
          "ewma_ms": null },
        { "time_ms": 1.5, "backend": "a", "method": "", "path": "", "status": 200,
          "error": false, "fault": "", "latency_ms": 10.0, "sma_ms": 10.0, "ewma_ms": 10.0 },
    ]);
    assert_eq!(figures["latest"], expected);
    assert_eq!(figures["not_dispatched"], json!({ "requests": 1, "requests_since": 1 }));
    assert_eq!(figures["backends"][0]["share"], 1.0);
    assert_eq!(figures["recent"], json!({ "requests": 2, "mean_ms": 10.0 }));
    let many = snapshot((0..1000).map(|n| row(n, "a", ms(1))), Window::Minute);
    assert_eq!(many["latest"].as_array().unwrap().len(), LISTED_REQUESTS);
    assert_eq!(many["recent"]["requests"], LATEST_REQUESTS);
}

#[test]
fn a_broken_row_is_counted_and_told() {
    let mut model = Model::new();
    model.feed(Err(LineError::Quote));
    let figures = of(&model, &live(), Window::Minute);
    assert_eq!(figures["broken_rows"], 1);
    assert_eq!(figures["last_broken_row"], "a quote is not closed");
}

#[test]
fn the_name_of_a_log_without_the_column_tells_the_connection() {
    for (stem, connection) in [
        ("adaptive_ewma_persistent", Some("persistent")),
        ("adaptive_ewma_non_persistent", Some("non-persistent")),
        ("Round-Robin-Non-Persistent-2", Some("non-persistent")),
        ("proxy_log", None),
    ] {
        assert_eq!(connection_of(stem).as_deref(), connection, "{stem}");
    }
    let named = Row { connection: Some("non-persistent"), ..row(0, "a", ms(1)) };
    let mut model = Model::new();
    model.feed(Ok(named));
    let figures = Snapshot::new(&model, &live(), Some("x_persistent"), Window::All);
    assert_eq!(figures.connection.as_deref(), Some("non-persistent"));
}
