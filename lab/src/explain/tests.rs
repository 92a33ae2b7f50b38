use std::fs;
use std::path::Path;

use tidegate::decision::{Candidate, Decision};

use super::*;

const HEADER: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode,worker,client,\
                      method,path,attempts,fault,started,in_flight,reason";
const FIRST: &str = "2026-11-28T14:03:17.000001Z/0/127.0.0.1:5";
const SECOND: &str = "2026-11-28T14:03:18.000000Z/1/127.0.0.1:6";

/// Two requests for `/a`, and one that was sent nowhere.
fn csv() -> String {
    let row = |id: &str, status: u16, reason: &str| {
        let [started, worker, client] = id.split('/').collect::<Vec<_>>()[..] else { panic!() };
        format!(
            "2026-11-28T14:03:19.000000Z,http://b,8.250,{status},adaptive,{worker},{client},GET,/a,\
             1,,{started},3,{reason}"
        )
    };
    let nowhere =
        "2026-11-28T14:03:20.000000Z,,,503,adaptive,0,127.0.0.1:7,GET,/n,0,backends_full,,,";
    [HEADER, &row(FIRST, 200, "best"), &row(SECOND, 200, "only"), nowhere, ""].join("\n")
}

fn choice(request: &str, reason: &str) -> String {
    let candidate = |url: &'static str, score| Candidate {
        url: url.into(),
        state: "up".into(),
        estimate_ms: Some(8.2),
        in_flight: 2,
        weight: 1.0,
        score: Some(score),
        ..Candidate::default()
    };
    let decision = Decision {
        policy: "adaptive".into(),
        chosen: "http://b".into(),
        reason: reason.into(),
        candidates: vec![candidate("http://a", 15.9), candidate("http://b", 12.1)],
        ..Decision::default()
    };
    let time = "2026-11-28T14:03:17.000001Z".into();
    let logged = Logged { time, worker: 0, request: request.into(), decision };
    serde_json::to_string(&logged).expect("JSON") + "\n"
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("x.csv"), csv()).expect("written");
        let torn = &choice(SECOND, "best")[..40];
        let choices = [&choice(FIRST, "best"), "{}\n", torn].concat();
        fs::write(folder.path().join("x.jsonl"), choices).expect("written");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn rows(&self) -> Logs {
        Logs { rows: Some(self.path("x.csv")), decisions: None }
    }

    fn choices(&self) -> Logs {
        Logs { rows: None, decisions: Some(self.path("x.jsonl")) }
    }

    fn both(&self) -> Logs {
        Logs { decisions: Some(self.path("x.jsonl")), ..self.rows() }
    }
}

fn refusal(wanted: &str, logs: &Logs) -> String {
    explain(wanted, logs).expect_err(wanted).to_string()
}

const SENTENCE: &str = "14:03:17.000 http://b, because its score 12.1 was the least: it usually \
                        answers in 8.2 ms and it had 2 in flight; http://a's was 15.9 (8.2 ms, 2 \
                        in flight).";

#[test]
fn a_request_is_told_with_its_choice_by_name_row_and_path() {
    let folder = Folder::new();
    let first = format!("{FIRST}  GET /a: 200 in 8.250 ms from http://b\n  {SENTENCE}\n");
    for wanted in [FIRST, "1", "2026-11-28T14:03:17"] {
        assert_eq!(explain(wanted, &folder.both()).unwrap(), first, "{wanted}");
    }
    let all = explain("/a", &folder.both()).unwrap();
    assert!(all.starts_with(&first) && all.contains(SECOND), "{all}");
    assert!(
        all.contains(
            "  http://b, because no other backend took requests, or its client was bound to it; it \
             had 3 in flight, this request included. No choice was recorded of it"
        ),
        "{all}"
    );
}

#[test]
fn with_rows_alone_it_says_what_it_can_not_tell() {
    let folder = Folder::new();
    let told = explain(FIRST, &folder.rows()).unwrap();
    assert_eq!(
        told,
        format!(
            "{FIRST}  GET /a: 200 in 8.250 ms from http://b\n  http://b, because the policy \
             expected it to answer first; it had 3 in flight, this request included. There is no \
             decision log (--decisions); so the other backends, and what was expected of each, are \
             not known.\n"
        )
    );
    let nowhere = explain("/n", &folder.rows()).unwrap();
    assert_eq!(nowhere, "(no name)  GET /n: 503 (backends_full)\n  It was sent to no backend.\n");
}

#[test]
fn with_choices_alone_it_says_where_the_rest_is() {
    let folder = Folder::new();
    let told = explain("2026-11-28T14:03", &folder.choices()).unwrap();
    let rest = "What became of them is in the CSV log (--log): status, latency, fault, method and \
                path.\n";
    assert_eq!(told, format!("{FIRST}\n  {SENTENCE}\n{rest}"));
    assert!(refusal("1", &folder.choices()).contains("--log"));
}

#[test]
fn a_log_of_five_columns_has_no_reason() {
    let folder = Folder::new();
    let five = "timestamp,backend_url,latency_ms,status_code,routing_mode\n\
                2026-11-28T14:03:19Z,http://b,8.25,200,adaptive\n";
    fs::write(folder.path("x.csv"), five).unwrap();
    let told = explain("1", &folder.rows()).unwrap();
    assert!(told.contains("This log has no column that says why."), "{told}");
}

#[test]
fn the_description_beside_a_log_names_its_choices() {
    let folder = Folder::new();
    let named = folder.path("x.jsonl");
    let meta = serde_json::json!({ "settings": { "decisions": named } }).to_string();
    fs::write(folder.path("x.csv.meta.json"), meta).unwrap();
    assert!(explain(FIRST, &folder.rows()).unwrap().contains(SENTENCE));
}

#[test]
fn what_is_not_there_is_said() {
    let folder = Folder::new();
    let gone = "2026-11-29";
    assert!(refusal(gone, &folder.both()).starts_with("no request `2026-11-29` in /"));
    assert!(refusal("4", &folder.rows()).contains("no request `4`"));
    assert!(refusal(gone, &Logs::default()).contains("--decisions FILE"));
    let nowhere = Logs { decisions: Some(Path::new("/nowhere/x.jsonl").into()), rows: None };
    assert!(refusal(gone, &nowhere).contains("/nowhere/x.jsonl: No such file"));
    let nowhere = Logs { rows: Some(Path::new("/nowhere/x.csv").into()), decisions: None };
    assert!(refusal(gone, &nowhere).contains("/nowhere/x.csv: No such file"));
}

#[test]
fn many_requests_are_counted() {
    let folder = Folder::new();
    let row = csv().lines().nth(1).unwrap().to_owned() + "\n";
    fs::write(folder.path("x.csv"), format!("{HEADER}\n{}", row.repeat(30))).unwrap();
    let told = explain("/a", &folder.rows()).unwrap();
    assert!(told.ends_with("and 10 more requests, which a longer name would tell apart\n"));
}
