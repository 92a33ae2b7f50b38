//! What `/data` tells of logs that are written, cut, rotated and deleted.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use tidegate::journal::header;

use super::scene::{FIVE_COLUMNS, Scene};

const OURS: &str = "adaptive_ewma_persistent.csv";

/// A row of our own format, of the second of an hour.
fn row(second: u32, port: u16, latency_ms: f64, status: u16) -> String {
    let (minute, second) = (second / 60, second % 60);
    format!(
        "2026-11-23T10:{minute:02}:{second:02}.000000Z,http://localhost:{port},{latency_ms:.3},\
         {status},adaptive_ewma,persistent,0,127.0.0.1:40000,GET,/,78,203,0.100,{latency_ms:.3},\
         1,,,2026-11-23T10:{minute:02}:{second:02}.000000Z,2,best\n"
    )
}

#[test]
fn a_log_of_ours_is_told_in_figures() {
    let scene = Scene::new();
    let rows = [row(0, 8081, 10.0, 200), row(1, 8082, 200.0, 200), row(2, 8081, 20.0, 404)];
    scene.write(OURS, header() + &rows.concat());
    let scene = scene.start(&[]);
    let figures = scene.until_rows(3);
    assert_eq!(figures["mode"], "adaptive_ewma");
    assert_eq!(figures["connection"], "persistent");
    assert_eq!(figures["recent"], json!({ "requests": 3, "mean_ms": 76.667 }));
    assert_eq!(figures["window"]["errors"], 1);
    assert_eq!(figures["backends"][0]["name"], "http://localhost:8081");
    assert_eq!(figures["backends"][0]["reasons"], json!({ "best": 2 }));
    assert_eq!(figures["estimates"], Value::Null);
    let newest = &figures["latest"][0];
    assert_eq!((&newest["status"], &newest["reason"]), (&json!(404), &json!("best")));
    assert_eq!(newest["backend"], "http://localhost:8081");
    assert_eq!(figures["source"]["beginning"], "opened");
}

#[test]
fn a_foreign_log_of_five_columns_is_told_in_the_same_figures() {
    let scene = Scene::new();
    let rows = "2026-11-23 10:00:00.100000,http://localhost:8081,10,200,adaptive_sma\n\
        2026-11-23 10:00:00.200000,http://localhost:8081,400,200,adaptive_sma\n\
        2026-11-23T10:00:01,http://b.example,200,500,adaptive_sma\n";
    scene.write("adaptive_sma_non_persistent.csv", format!("{FIVE_COLUMNS}{rows}"));
    let scene = scene.start(&[]);
    let figures = scene.until_rows(3);
    assert_eq!(
        (&figures["mode"], &figures["connection"]),
        (&json!("adaptive_sma"), &json!("non-persistent"))
    );
    let names: Value =
        figures["backends"].as_array().unwrap().iter().map(|b| b["label"].clone()).collect();
    assert_eq!(names, json!(["b.example", "localhost:8081"]));
    assert_eq!(figures["backends"][1]["sma_ms"], 205.0);
    assert_eq!(figures["backends"][1]["ewma_ms"], 88.0);
    let label = "recomputed from the log, the policy's parameters are unknown";
    assert_eq!(figures["estimates"]["label"], label);
    assert_eq!(figures["latest"][0]["reason"], Value::Null);
    assert_eq!(figures["since"]["errors"], 1);
    assert_eq!(figures["broken_rows"], 0);
}

/// A log of another tool, from `tests/fixtures/logs`, as the dashboard's folder has it.
fn foreign(name: &str) -> Scene {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logs");
    let scene = Scene::new();
    fs::copy(fixtures.join(name), scene.path("foreign.csv")).unwrap();
    scene.start(&[])
}

#[test]
fn foreign_logs_are_told_whatever_their_form_and_order() {
    for name in ["decimal_comma.csv", "newest_first.csv", "no_header.csv", "packed.csv.gz"] {
        let scene = foreign(name);
        scene.until_rows(5);
        let figures = scene.data("?window=all");
        let window = &figures["window"];
        assert_eq!((&window["requests"], &window["errors"]), (&json!(5), &json!(2)), "{name}");
        assert_eq!(
            (&window["p50_ms"], &figures["outlier_rows"]),
            (&json!(25.0), &json!(0)),
            "{name}"
        );
        assert_eq!(figures["backends"][1]["requests_since"], 2, "{name}");
    }
}

#[test]
fn rows_with_odd_times_are_told_and_in_no_window() {
    let scene = foreign("odd_time.csv");
    let figures = scene.until_rows(7);
    assert_eq!(figures["outlier_rows"], 2);
    for window in ["1m", "5m", "all"] {
        let figures = scene.data(&format!("?window={window}"));
        assert_eq!(figures["window"]["requests"], 5, "{window}");
        assert_eq!(figures["series"]["step_ms"], 1000, "{window}");
    }
}

#[test]
fn rows_are_told_as_they_are_appended_and_broken_ones_are_counted() {
    let scene = Scene::started();
    let waiting = scene.data("");
    assert_eq!(waiting["source"]["state"], "waiting");
    assert!(waiting["message"].as_str().unwrap().starts_with("waiting for a log in "));
    scene.write(OURS, header());
    scene.until(|figures| figures["source"]["state"] == "empty");
    let whole = row(0, 8081, 1.0, 200);
    let (begin, rest) = whole.split_at(40);
    scene.append(OURS, row(0, 8081, 1.0, 200) + begin);
    scene.until_rows(1);
    scene.append(OURS, rest);
    scene.until_rows(2);
    scene.append(OURS, "not,a,row\n\"\n");
    let figures = scene.until(|figures| figures["broken_rows"] == 2);
    assert_eq!(figures["last_broken_row"], "a quote is not closed");
    assert_eq!((&figures["message"], &figures["source"]["state"]), (&Value::Null, &json!("live")));
}

#[test]
fn what_a_proxy_wrote_beside_its_log_is_told() {
    let scene = Scene::new();
    scene.write(OURS, header() + &row(0, 8081, 10.0, 200) + &row(1, 8081, 5.0, 502));
    let description = json!({ "format": 1, "policy": "adaptive_ewma",
        "parameters": { "alpha": 0.5 }, "failure_sample_ms": 4000, "workers": 2,
        "backends": [{ "url": "http://localhost:8082" }, { "url": "http://localhost:8081" }] });
    scene.write(&format!("{OURS}.meta.json"), description.to_string());
    let scene = scene.start(&[]);
    let figures = scene.until_rows(2);
    assert_eq!(figures["description"]["parameters"]["alpha"], 0.5);
    assert_eq!(figures["backends"][1]["name"], "http://localhost:8082");
    assert_eq!(figures["backends"][1]["requests_since"], 0);
    assert_eq!(figures["description"]["policy"], "adaptive_ewma");
    // The log has no writer, and was described by one.
    let figures = scene.until(|figures| figures["source"]["state"] == "ended");
    assert!(figures["message"].as_str().unwrap().starts_with("its proxy has ended; "));
    let writer = fs::File::open(scene.path(OURS)).unwrap();
    rustix::fs::flock(&writer, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let figures = scene.until(|figures| figures["source"]["state"] == "idle");
    assert!(figures["message"].as_str().unwrap().ends_with("; its proxy is running"));
}

#[test]
fn windows_are_chosen_by_the_query() {
    let scene = Scene::new();
    let rows: String = (0..600).map(|second| row(second, 8081, 5.0, 200)).collect();
    scene.write(OURS, header() + &rows);
    let scene = scene.start(&[]);
    scene.until_rows(600);
    let requests = |query: &str| scene.data(query)["window"]["requests"].clone();
    assert_eq!(requests(""), 60);
    assert_eq!(requests("?window=1m"), 60);
    assert_eq!(requests("?x=y&window=5m"), 300);
    assert_eq!(requests("?window=all"), 600);
    assert_eq!(scene.data("?window=all")["series"]["step_ms"], 2000);
    // 2026-11-23T10:09:00Z and ten seconds from there.
    assert_eq!(requests("?from=1795428540000&to=1795428549999"), 10);
}

#[test]
fn requests_are_listed_by_what_is_asked_for() {
    let scene = Scene::new();
    let rows: String = (0..300_u32)
        .map(|second| {
            let status = if second % 100 == 7 { 503 } else { 200 };
            row(second, if second < 150 { 8081 } else { 8082 }, f64::from(second), status)
        })
        .collect();
    scene.write(OURS, header() + &rows);
    let scene = scene.start(&[]);
    scene.until_rows(300);
    let matching = |query: &str| scene.json(&format!("/requests{query}"))["matching"].clone();
    assert_eq!(matching(""), 300);
    assert_eq!(matching("?errors=1"), 3);
    assert_eq!(matching("?slower=290"), 10);
    assert_eq!(matching("?backend=http%3A%2F%2Flocalhost%3A8082&errors=1"), 1);
    let newest = scene.json("/requests?errors=1")["requests"][0].clone();
    assert_eq!((&newest["status"], &newest["latency_ms"]), (&json!(503), &json!(207.0)));
    assert_eq!(newest["backend"], "http://localhost:8082");
    let answer = scene.get("/requests?slowest=1");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("no such filter"), "{}", answer.text());
    let groups = scene.data("?window=all")["incidents"].clone();
    assert_eq!(groups.as_array().unwrap().len(), 3);
}

#[test]
fn recorded_choices_are_told_if_their_log_lies_beside_that_of_requests() {
    let name = "2026-11-23T10:00:00.000000Z/0/127.0.0.1:40000";
    let choice = json!({ "time": "2026-11-23T10:00:00.000000Z", "worker": 0, "request": name,
        "policy": "adaptive_ewma", "chosen": "http://localhost:8081", "reason": "turn",
        "recorded": "sample", "runner_up": null, "probability": null, "candidates": [],
        "more_candidates": 0 });
    let description = json!({ "policy": "adaptive_ewma",
        "settings": { "decisions": "/elsewhere/choices.jsonl" } });
    let scene = Scene::new();
    scene.write("choices.jsonl", format!("{choice}\n"));
    scene.write(&format!("{OURS}.meta.json"), description.to_string());
    scene.write(OURS, header() + &row(0, 8081, 10.0, 200));
    let scene = scene.start(&[]);
    let figures = scene.until_rows(1);
    assert_eq!(figures["description"]["has_decisions"], true);
    assert_eq!(figures["latest"][0]["name"], name);
    let explained = scene.json(&format!("/explain?request={}", name.replace('/', "%2F")));
    assert_eq!(explained["choices"][0]["chosen"], "http://localhost:8081");
    let told = explained["choices"][0]["told"].as_str().unwrap();
    assert!(told.starts_with("http://localhost:8081, because"), "{told}");
    assert_eq!(scene.json("/explain?request=another"), json!({ "choices": [] }));
    assert_eq!(scene.get("/explain").status, 400);
}

#[test]
fn a_log_that_is_cut_rotated_or_deleted_is_followed_on() {
    let scene = Scene::new();
    scene.write(OURS, header() + &row(0, 8081, 1.0, 200).repeat(5));
    let scene = scene.start(&[]);
    scene.until_rows(5);

    scene.write(OURS, header() + &row(0, 8082, 1.0, 200));
    let figures = scene.until_rows(1);
    assert_eq!(figures["source"]["beginning"], "cut");
    assert_eq!(figures["backends"][0]["label"], "localhost:8082");

    fs::rename(scene.path(OURS), scene.path("moved.txt")).unwrap();
    scene.write(OURS, header() + &row(0, 8083, 1.0, 200).repeat(2));
    let figures = scene.until_rows(2);
    assert_eq!(figures["source"]["beginning"], "replaced");

    fs::remove_file(scene.path(OURS)).unwrap();
    let figures = scene.until(|figures| figures["source"]["state"] == "deleted");
    assert!(figures["message"].as_str().unwrap().starts_with("log file deleted: "));
    assert_eq!(figures["since"]["requests"], 2);

    scene.write("round-robin_persistent.csv", header() + &row(0, 8081, 1.0, 200).repeat(3));
    // It is written after the deleted one, but that has to be silent for a while first.
    let figures = scene.until_rows(3);
    assert_eq!(figures["source"]["beginning"], "newer");
}

#[test]
fn a_log_of_two_gigabytes_is_begun_near_its_end() {
    let scene = Scene::new();
    scene.write(OURS, header());
    // A hole: the file has this length and no such data.
    OpenOptions::new().write(true).open(scene.path(OURS)).unwrap().set_len(2 << 30).unwrap();
    scene.append(OURS, String::from("\n") + &row(0, 8081, 1.0, 200));
    let scene = scene.start(&[]);
    let figures = scene.until_rows(1);
    assert!(figures["source"]["skipped_bytes"].as_u64().unwrap() > 2_000_000_000);
    assert_eq!(
        (&figures["source"]["behind_bytes"], &figures["broken_rows"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn memory_does_not_follow_the_length_of_the_log() {
    const ROWS: u64 = 70_000;
    let scene = Scene::new();
    let mut log = std::io::BufWriter::new(fs::File::create(scene.path(OURS)).unwrap());
    log.write_all(header().as_bytes()).unwrap();
    let path = format!("/{}", "x".repeat(2000));
    for at in 0..ROWS {
        let second = u32::try_from(at % 3600).unwrap();
        let line = row(second, 8081, at as f64 / 10.0, 200);
        log.write_all(line.replace(",/,", &format!(",{path},")).as_bytes()).unwrap();
    }
    log.flush().unwrap();
    assert!(fs::metadata(scene.path(OURS)).unwrap().len() > 128 << 20);
    let scene = scene.start(&["--from-start"]);
    let figures = scene.until_rows(ROWS);
    assert_eq!(figures["source"]["skipped_bytes"], 0);
    let peak_kib = scene.process().status().vmhwm.unwrap();
    assert!(peak_kib < 48 << 10, "{peak_kib} KiB");
}

#[test]
fn the_log_is_only_read() {
    let scene = Scene::new();
    let text = header() + &row(0, 8081, 1.0, 200) + "half a row";
    scene.write(OURS, &text);
    let before = fs::metadata(scene.path(OURS)).unwrap().modified().unwrap();
    let scene = scene.start(&[]);
    scene.until_rows(1);
    assert_eq!(fs::read_to_string(scene.path(OURS)).unwrap(), text);
    assert_eq!(fs::metadata(scene.path(OURS)).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(scene.path("")).unwrap().count(), 1);
}
