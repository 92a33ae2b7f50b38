//! The figures of small logs, computed by hand.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::journal::{LineError, Row};

use super::super::series::LINES_MAX;
use super::super::source::Source;
use super::super::tests::row;
use super::*;

mod decisions;

const SECOND_US: i64 = 1_000_000;

/// The snapshot as it is sent, of a log that is being written.
fn snapshot<'a>(rows: impl IntoIterator<Item = Row<'a>>, window: Window) -> Value {
    let mut model = Model::new(None);
    for row in rows {
        model.feed(Ok(row));
    }
    of(&model, &live(), window)
}

/// Long after all rows.
const LATER_US: i64 = 1_000_000 * SECOND_US;

fn of(model: &Model, status: &Status, window: Window) -> Value {
    at(model, status, window, LATER_US)
}

fn at(model: &Model, status: &Status, window: Window, now_us: i64) -> Value {
    serde_json::to_value(Snapshot::new(model, status, Some("x"), window, now_us)).unwrap()
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
    // The window has 60 seconds, of which the last is that of the last row.
    assert_eq!((&window["from_ms"], &window["to_ms"]), (&json!(50_000), &json!(109_000)));
    assert_eq!((&window["end"], &window["requests_per_s"]), (&json!("last_row"), &json!(1.695)));
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
    let mut model = Model::new(None);
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

/// A hundred requests in each of ten seconds.
fn ten_seconds() -> Model {
    let mut model = Model::new(None);
    for n in 0..1000 {
        model.feed(Ok(row(n * SECOND_US / 100, "a", ms(1))));
    }
    model
}

#[test]
fn windows_end_now_as_long_as_the_last_row_is_younger_than_they_are_long() {
    let model = ten_seconds();
    let figures = |window, second| at(&model, &live(), window, second * SECOND_US);
    let minute = figures(Window::Minute, 24);
    let window = &minute["window"];
    assert_eq!((&window["end"], &window["requests"]), (&json!("now"), &json!(1000)));
    assert_eq!((&window["requests_per_s"], &window["to_ms"]), (&json!(41.667), &json!(24_000)));
    assert_eq!(minute["requests_per_s"], 0.0);
    let per_second = minute["series"]["requests"].as_array().unwrap();
    assert_eq!((per_second.len(), &per_second[9], &per_second[24]), (25, &json!(100), &json!(0)));
    // What is older than the window is not in it.
    let minute = figures(Window::Minute, 66);
    assert_eq!(
        (&minute["window"]["end"], &minute["window"]["requests"]),
        (&json!("now"), &json!(300))
    );
    assert_eq!(minute["window"]["from_ms"], 7000);
    // An old log has its figures.
    for (window, second) in [(Window::Minute, 69), (Window::FiveMinutes, 309), (Window::All, 309)] {
        let window = figures(window, second)["window"].take();
        assert_eq!((&window["end"], &window["requests"]), (&json!("last_row"), &json!(1000)));
        assert_eq!((&window["to_ms"], &window["requests_per_s"]), (&json!(9990), &json!(100.1)));
    }
    let all = figures(Window::All, 100);
    assert_eq!(
        (&all["window"]["end"], &all["window"]["requests_per_s"]),
        (&json!("now"), &json!(10.0))
    );
    assert_eq!(all["series"]["requests"].as_array().unwrap().len(), 10);
}

#[test]
fn the_windows_of_a_proxy_that_runs_end_now_however_long_it_is_idle() {
    let mut status = live();
    status.state = State::Idle;
    let minute = at(&ten_seconds(), &status, Window::Minute, 5000 * SECOND_US);
    let window = &minute["window"];
    assert_eq!((&window["end"], &window["requests"]), (&json!("now"), &json!(0)));
    assert_eq!((&window["requests_per_s"], &window["mean_ms"]), (&json!(0.0), &Value::Null));
    assert_eq!(
        (&minute["series"]["requests"], &minute["backends"][0]["requests"]),
        (&json!(vec![0; 60]), &json!(0))
    );
    assert_eq!(
        (&minute["since"]["requests"], &minute["backends"][0]["share_since"]),
        (&json!(1000), &json!(1.0))
    );
}

#[test]
fn where_now_tells_nothing_of_the_rows_windows_end_with_the_last_of_them() {
    let model = ten_seconds();
    let mut status = live();
    // By the clock of the log it is later than here.
    assert_eq!(at(&model, &status, Window::Minute, 5 * SECOND_US)["window"]["end"], "last_row");
    status.state = State::Reading;
    let figures = at(&model, &status, Window::Minute, 11 * SECOND_US);
    assert_eq!(
        (&figures["window"]["end"], &figures["requests_per_s"]),
        (&json!("last_row"), &json!(100.0))
    );
}

fn description(policy: &str) -> Description {
    let backends = ["http://b", "http://idle"].map(|url| json!({ "url": url }));
    let text = json!({ "policy": policy, "parameters": { "window": 2 }, "backends": backends,
        "failure_sample_ms": 500 });
    serde_json::from_value(text).unwrap()
}

/// A row of a proxy of ours.
fn own_row<'a>(backend: &'a str, reason: &'a str) -> Row<'a> {
    let (worker, in_flight) = (Some(0), Some(2));
    Row { worker, in_flight, reason: Some(reason), ..row(0, backend, ms(5)) }
}

#[test]
fn what_the_proxy_wrote_beside_its_log_is_used() {
    let mut model = Model::new(Some(description("adaptive_sma")));
    for backend in ["http://b", "http://a", "http://b"] {
        model.feed(Ok(own_row(backend, "best")));
    }
    let figures = of(&model, &live(), Window::Minute);
    assert_eq!(figures["description"]["parameters"]["window"], 2);
    let backends = figures["backends"].as_array().unwrap();
    let told: Vec<_> = backends.iter().map(|it| (&it["label"], &it["requests"])).collect();
    let (a, b, idle) = (json!("a"), json!("b"), json!("idle"));
    assert_eq!(told, [(&a, &json!(1)), (&b, &json!(2)), (&idle, &json!(0))]);
    assert_eq!(figures["series"]["backends"][2]["name"], "http://idle");
}

#[test]
fn a_log_of_ours_tells_reasons_and_no_averages_are_made_up() {
    let rows = [("http://a", "best"), ("http://a", "tie"), ("http://a", "best")];
    let figures = snapshot(rows.map(|(backend, reason)| own_row(backend, reason)), Window::Minute);
    assert_eq!(figures["estimates"], Value::Null);
    let backend = &figures["backends"][0];
    assert_eq!(backend["reasons"], json!({ "best": 2, "tie": 1 }));
    assert_eq!((&backend["sma_ms"], &backend["ewma_ms"]), (&Value::Null, &Value::Null));
    let newest = &figures["latest"][0];
    assert_eq!((&newest["reason"], &newest["in_flight"]), (&json!("best"), &json!(2)));
    assert_eq!(newest["sma_ms"], Value::Null);
}

#[test]
fn a_request_that_had_a_second_attempt_tells_what_became_of_it() {
    let hedged = Row {
        hedge: Some("lost"),
        hedge_backend_url: Some("http://b"),
        ..own_row("http://a", "best")
    };
    let figures = snapshot([hedged], Window::Minute);
    let newest = &figures["latest"][0];
    assert_eq!((&newest["hedge"], &newest["hedge_backend"]), (&json!("lost"), &json!("http://b")));
}

#[test]
fn averages_of_a_log_of_another_tool_are_said_to_be_recomputed() {
    let figures = snapshot([10, 400].map(|n| row(0, "http://a", ms(n))), Window::Minute);
    let label = "recomputed from the log, the policy's parameters are unknown";
    let expected = json!({ "label": label, "sma_window": 3, "ewma_alpha": 0.2 });
    assert_eq!(figures["estimates"], expected);
    let backend = &figures["backends"][0];
    assert_eq!((&backend["sma_ms"], &backend["ewma_ms"]), (&json!(205.0), &json!(88.0)));
    assert_eq!(backend["reasons"], json!({}));
}

#[test]
fn of_many_backends_the_busiest_have_lines_and_all_are_listed() {
    let names: Vec<String> = (0..40).map(|n| format!("http://b{n:02}")).collect();
    let rows = names.iter().enumerate().flat_map(|(at, name)| {
        let requests = if at % 2 == 1 { 3 } else { 1 };
        (0..requests).map(move |_| row(0, name, ms(1)))
    });
    let figures = snapshot(rows, Window::Minute);
    let names = |of: &Value| -> Vec<String> {
        let all = of.as_array().unwrap().iter();
        all.map(|backend| backend["name"].as_str().unwrap().to_owned()).collect()
    };
    let (listed, lines) = (names(&figures["backends"]), names(&figures["series"]["backends"]));
    assert_eq!((listed.len(), lines.len()), (40, LINES_MAX));
    assert!(lines.is_sorted() && listed.iter().skip(1).step_by(2).all(|it| lines.contains(it)));
}

#[test]
fn a_proxy_that_gets_nothing_but_probes_is_idle() {
    let mut model = Model::new(Some(description("adaptive_sma")));
    model.feed(Ok(row(0, "http://b", ms(1))));
    // The file was written just now.
    let mut status = live();
    assert_eq!(at(&model, &status, Window::Minute, 14 * SECOND_US)["source"]["state"], "live");
    status.is_held = Some(true);
    let at = |second| at(&model, &status, Window::Minute, second * SECOND_US)["source"].take();
    assert_eq!(at(2)["state"], "live");
    let source = at(14);
    let message = "no request has ended for 14 s; its proxy is running";
    assert_eq!((&source["state"], &source["message"]), (&json!("idle"), &json!(message)));
    assert_eq!(source["silent_s"], 14);
}

#[test]
fn what_was_written_beside_a_log_of_another_policy_is_not() {
    let mut model = Model::new(Some(description("round-robin")));
    model.feed(Ok(row(0, "http://a", ms(1))));
    let figures = of(&model, &live(), Window::Minute);
    assert_eq!(figures["description"], Value::Null);
    assert_eq!(figures["other_policy"], "round-robin");
    assert_eq!(figures["backends"].as_array().unwrap().len(), 1);
}

#[test]
fn what_was_written_at_a_change_of_the_policy_is_used_from_its_first_row_on() {
    let mut model = Model::new(Some(description("round-robin")));
    let other = Row { routing_mode: "round_robin", ..row(0, "http://a", ms(1)) };
    let told = |model: &Model| {
        let figures = of(model, &live(), Window::Minute);
        let backends = figures["backends"].as_array().unwrap().len();
        (backends, figures["description"]["policy"].clone(), figures["other_policy"].clone())
    };
    assert_eq!(told(&model), (0, Value::Null, Value::Null));
    for row in [row(0, "http://a", ms(1)), other] {
        model.feed(Ok(row));
    }
    assert_eq!(told(&model), (3, json!("round-robin"), Value::Null));
    // The next one was not written.
    model.feed(Ok(row(0, "http://a", ms(1))));
    assert_eq!(told(&model), (3, json!("round-robin"), json!("round-robin")));
}

#[test]
fn nothing_is_told_as_nothing() {
    let figures = snapshot([], Window::FiveMinutes);
    for field in ["mode", "connection", "description", "last_broken_row"] {
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
          "error": true, "fault": "no_backend", "latency_ms": null, "connect_ms": null,
          "first_byte_ms": null, "attempts": null, "worker": null, "reason": null,
          "in_flight": null, "hedge": null, "hedge_backend": null,
          "queue_ms": null, "started_ms": null, "name": null, "sma_ms": null, "ewma_ms": null },
        { "time_ms": 1.5, "backend": "http://a", "method": "", "path": "", "status": 200,
          "error": false, "fault": "", "latency_ms": 10.0, "connect_ms": null,
          "first_byte_ms": null, "attempts": null, "worker": null, "reason": null,
          "in_flight": null, "hedge": null, "hedge_backend": null,
          "queue_ms": null, "started_ms": null, "name": null, "sma_ms": 10.0, "ewma_ms": 10.0 },
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
fn rows_with_odd_times_are_in_no_window_and_told() {
    let day_us = 86_400 * SECOND_US;
    let odd = [0, 900 * day_us].map(|time_us| row(time_us, "a", ms(1)));
    let rows = (0..60).map(|n| row(300 * day_us + n * SECOND_US, "a", ms(1)));
    for window in [Window::Minute, Window::FiveMinutes, Window::All] {
        let figures = snapshot(odd.iter().copied().chain(rows.clone()), window);
        assert_eq!(
            (&figures["outlier_rows"], &figures["since"]["requests"]),
            (&json!(2), &json!(62))
        );
        assert_eq!(
            (&figures["window"]["requests"], &figures["series"]["step_ms"]),
            (&json!(60), &json!(1000))
        );
        assert_eq!(figures["since"]["from_ms"], 300 * day_us / 1000);
    }
}

#[test]
fn a_broken_row_is_counted_and_told() {
    let mut model = Model::new(None);
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
    let mut model = Model::new(None);
    model.feed(Ok(named));
    let figures = Snapshot::new(&model, &live(), Some("x_persistent"), Window::All, LATER_US);
    assert_eq!(figures.connection.as_deref(), Some("non-persistent"));
}
