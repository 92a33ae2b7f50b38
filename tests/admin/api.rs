//! What is told, what is changed, and what is refused.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use support::clock::until;
use support::http::{Connection, get};
use support::origin::Silent;
use support::process::Proxy;
use support::programs::program;

use crate::scene::{Scene, answering, json, request, url};

#[test]
fn backends_are_told_of_with_their_state_and_their_figures() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let mut client = Connection::connect(scene.proxy.address());
    for _ in 0..10 {
        assert_eq!(client.get("/").status, 200);
    }
    // A request is counted when its row is made, a moment after its answer.
    let list = until("ten requests", || {
        let list = scene.get("/backends");
        let told = list["backends"].as_array().unwrap().iter();
        let requests: u64 = told.map(|backend| backend["requests"].as_u64().unwrap()).sum();
        (requests == 10).then_some(list)
    });
    assert_eq!(list["policy"], "round-robin");
    assert_eq!(list["queue"], json!({"length": 0, "limit": 0}));
    let backend = scene.backend(first.address);
    for (key, value) in [
        ("id", json!("0.0")),
        ("url", json!(url(first.address))),
        ("weight", json!(1)),
        ("max-in-flight", json!(null)),
        ("backup", json!(false)),
        ("drained", json!(false)),
        ("state", json!("up")),
        ("reason", json!("added")),
        ("in_flight", json!(0)),
        ("tunnels", json!(0)),
        ("estimate_ms", json!(null)),
        ("requests", json!(5)),
        ("errors", json!(0)),
        ("connections", json!(1)),
        ("idle_connections", json!(1)),
    ] {
        assert_eq!(backend[key], value, "{key}: {backend}");
    }
    assert!(backend["since_seconds"].as_f64().unwrap() >= 0.0);
    assert!(list["lately_seconds"].as_f64().unwrap() > 0.0);
    let one = scene.get("/backends/0.0");
    assert_eq!((&one["url"], &one["requests"]), (&backend["url"], &backend["requests"]));
    assert_eq!(scene.get(&format!("/backends/{}", url(second.address)))["id"], "1.0");
}

#[test]
fn the_last_seconds_have_shares_latencies_and_an_estimate() {
    let origin = answering("x");
    let scene = Scene::start(&[origin.address], &["adaptive"]);
    for _ in 0..5 {
        assert_eq!(get(scene.proxy.address(), "/").status, 200);
    }
    let backend = until("an estimate and latencies", || {
        let backend = scene.backend(origin.address);
        (!backend["lately"]["p99_ms"].is_null()).then_some(backend)
    });
    for key in ["estimate_ms", "estimate_age_seconds"] {
        assert!(backend[key].as_f64().unwrap() >= 0.0, "{backend}");
    }
    assert_eq!(backend["lately"]["share"], 1.0);
    assert!(backend["lately"]["requests_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_backend_that_joins_gets_requests_and_one_that_leaves_gets_none() {
    let (first, second) = (answering("first"), answering("second"));
    let scene = Scene::start(&[first.address], &[]);
    let body = json!({ "url": url(second.address), "weight": 2 }).to_string();
    let changed = scene.change("PUT", "/backends", &body);
    assert_eq!(changed["added"], json!([url(second.address)]));
    assert_eq!(scene.backend(second.address)["weight"], 2);
    let asked = |text: &str| {
        until("an answer", || (get(scene.proxy.address(), "/").text() == text).then_some(()));
    };
    asked("second");
    let changed = scene.change("DELETE", &format!("/backends/{}", url(first.address)), "");
    assert_eq!(changed["changes"], format!("removed {}", url(first.address)));
    until("its end", || scene.find(first.address).is_none().then_some(()));
    for _ in 0..4 {
        assert_eq!(get(scene.proxy.address(), "/").text(), "second");
    }
}

#[test]
fn weight_limit_and_tier_change_and_null_is_the_default() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let set = |fields: &str| {
        let changed = scene.change("PATCH", "/backends/1.0", fields);
        assert_eq!(changed["adjusted"], json!([url(second.address)]));
        scene.backend(second.address)
    };
    let told = set(r#"{ "weight": 7, "max-in-flight": 3 }"#);
    assert_eq!((&told["weight"], &told["max-in-flight"]), (&json!(7), &json!(3)));
    let told = set(r#"{ "max-in-flight": null, "backup": true }"#);
    assert_eq!((&told["weight"], &told["max-in-flight"]), (&json!(7), &json!(null)));
    assert_eq!(told["backup"], true);
    assert_eq!(
        scene.change("PATCH", "/backends/1.0", r#"{ "weight": 7 }"#)["changes"],
        "nothing changed"
    );
}

#[test]
fn a_drained_backend_gets_nothing_until_it_is_taken_back() {
    let (first, second) = (answering("first"), answering("second"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let asked = || [(); 4].map(|()| get(scene.proxy.address(), "/").text());
    scene.change("PATCH", "/backends/0.0", r#"{ "drained": true }"#);
    until("another one", || (asked() == ["second"; 4]).then_some(()));
    let told = scene.backend(first.address);
    assert_eq!((&told["state"], &told["reason"]), (&json!("drained"), &json!("admin")));
    assert_eq!((&told["in_flight"], &told["connections"]), (&json!(0), &json!(0)));
    scene.change("PATCH", "/backends/0.0", r#"{ "drained": false }"#);
    until("it again", || asked().contains(&"first".to_owned()).then_some(()));
    assert_eq!(scene.backend(first.address)["state"], "up");
}

#[test]
fn an_ejection_lasts_as_long_as_it_was_told_or_until_it_is_ended() {
    let (first, second) = (answering("first"), answering("second"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let asked = || [(); 4].map(|()| get(scene.proxy.address(), "/").text());
    let changed = scene.change("PATCH", "/backends/0.0", r#"{ "eject": "1h" }"#);
    assert_eq!(changed["changes"], format!("ejected {}", url(first.address)));
    assert_eq!(asked(), ["second"; 4]);
    let told = scene.backend(first.address);
    assert_eq!((&told["state"], &told["reason"]), (&json!("ejected"), &json!("admin")));
    assert!(told["ejected_for_seconds"].as_f64().unwrap() > 3500.0, "{told}");
    let changed = scene.change("PATCH", "/backends/0.0", r#"{ "eject": "off" }"#);
    assert_eq!(changed["admitted"], json!([url(first.address)]));
    assert!(asked().contains(&"first".to_owned()));
    assert_eq!(scene.backend(first.address)["reason"], "admin");
    scene.change("PATCH", "/backends/0.0", r#"{ "eject": "1ms" }"#);
    until("it again", || asked().contains(&"first".to_owned()).then_some(()));
    until("its answer", || (scene.backend(first.address)["reason"] == "answered").then_some(()));
}

#[test]
fn what_can_t_be_is_refused_and_says_why() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let first_url = url(first.address);
    let again = json!({ "url": first_url }).to_string();
    let admin = json!({ "url": unix(&scene) }).to_string();
    for (method, path, body, status, why) in [
        ("GET", "/nothing", "", 404, "there is no /nothing; there are\nGET, HEAD  /backends"),
        ("POST", "/backends", "", 405, "/backends takes GET, HEAD, PUT"),
        ("PUT", "/reload", "", 405, "/reload takes POST"),
        ("GET", "/backends/9.9", "", 404, "there is no backend 9.9"),
        ("PUT", "/backends", "", 400, "give a JSON object such as"),
        ("PUT", "/backends", "[]", 400, "give a JSON object such as"),
        ("PUT", "/backends", "{}", 400, "`url` is missing"),
        ("PUT", "/backends", "{\"url\": \"http://a/x\"}", 400, "`/x` can't be part of it"),
        ("PUT", "/backends", &again, 409, "a backend at http://127.0.0.1"),
        ("PUT", "/backends", &admin, 422, "is this proxy itself"),
        ("PUT", "/backends", "{\"url\": \"http://nowhere.invalid\"}", 422, "nowhere.invalid"),
        ("PATCH", "/backends/0.0", "{}", 400, "nothing to change"),
        ("PATCH", "/backends/0.0", "{\"weight\": 0}", 400, "weight: give a number from 1 to 1000"),
        ("PATCH", "/backends/0.0", "{\"max-in-flight\": 0}", 400, "max-in-flight: give a number"),
        ("PATCH", "/backends/0.0", "{\"wieght\": 3}", 400, "did you mean weight?"),
        ("PATCH", "/backends/0.0", "{\"eject\": \"3 s\"}", 400, "eject: `3 s` is not a duration"),
        ("PATCH", "/backends/9.9", "{\"weight\": 3}", 404, "there is no backend 9.9"),
        ("DELETE", "/backends/9.9", "", 404, "there is no backend 9.9"),
    ] {
        let answer = scene.ask(method, path, body);
        let said = format!("{method} {path} {body}: {} {}", answer.status, answer.text());
        assert_eq!(answer.status, status, "{said}");
        let text = match status {
            404 if path == "/nothing" => answer.text(),
            _ => json(&answer)["error"].as_str().unwrap().to_owned(),
        };
        assert!(text.contains(why), "{said}");
    }
    let answer = scene.ask("PUT", "/health", "");
    assert_eq!(answer.header("Allow"), Some("GET, HEAD"));
    assert_eq!(scene.get("/backends")["backends"].as_array().unwrap().len(), 2);
    scene.change("DELETE", "/backends/1.0", "");
    for (method, body) in [("DELETE", ""), ("PATCH", r#"{ "drained": true }"#)] {
        let answer = scene.ask(method, "/backends/0.0", body);
        assert_eq!(answer.status, 409);
        assert!(answer.text().contains("is the last backend that gets requests"));
    }
    assert_eq!(get(scene.proxy.address(), "/").status, 200);
}

fn unix(scene: &Scene) -> String {
    support::unix::name(&scene.socket())
}

#[test]
fn the_settings_in_force_are_told_as_a_file_and_as_json() {
    let origin = answering("x");
    let scene = Scene::start(&[origin.address], &["--body-timeout", "7s"]);
    scene.change("PATCH", "/backends/0.0", r#"{ "weight": 3 }"#);
    let answer = scene.ask("GET", "/config", "");
    assert_eq!(answer.header("Content-Type"), Some("application/toml; charset=utf-8"));
    assert!(answer.text().contains("\nbody-timeout = \"7s\"\n"), "{}", answer.text());
    let file = scene.path("again.toml");
    fs::write(&file, answer.text()).unwrap();
    let mut command = Command::new(program("tidegate"));
    let checked = command.arg("--config").arg(&file).args(["--check", "--json"]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let ask =
        request("GET", "/config", "").replace("\r\n\r\n", "\r\nAccept: application/json\r\n\r\n");
    let told = json(&scene.connect().ask(&ask));
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(told, checked["settings"]);
    assert_eq!(told["upstream"], json!([format!("{} weight=3", url(origin.address))]));
}

#[test]
fn the_last_choices_are_explained() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address, second.address], &["adaptive", "--workers", "2"]);
    assert_eq!(scene.get("/explain"), json!({ "choices": [] }));
    for _ in 0..10 {
        assert_eq!(get(scene.proxy.address(), "/").status, 200);
    }
    let told = scene.get("/explain?n=5");
    let choices = told["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 5);
    let ages: Vec<f64> = choices.iter().map(|it| it["age_seconds"].as_f64().unwrap()).collect();
    assert!(ages.is_sorted(), "{ages:?}");
    let last = &choices[0];
    assert!(["best", "tie"].contains(&last["reason"].as_str().unwrap()), "{last}");
    let candidates = last["candidates"].as_array().unwrap();
    assert_eq!((candidates.len(), &last["more_candidates"]), (2, &json!(0)));
    let score = |it: &serde_json::Value| it["score"].as_f64().unwrap();
    let chosen = candidates.iter().find(|it| it["url"] == last["chosen"]).unwrap();
    assert!(candidates.iter().all(|it| score(it) >= score(chosen)), "{last}");
    assert_eq!(scene.get("/explain")["choices"].as_array().unwrap().len(), 10);
    assert!(last["candidates"][0]["estimate_age_ms"].is_number() && last["recorded"] == "asked");
    for number in ["0", "201", "x", ""] {
        assert_eq!(scene.ask("GET", &format!("/explain?n={number}"), "").status, 400, "{number}");
    }
}

/// A file with an admin socket, and these backends.
fn file(rest: &str, backends: &[String]) -> String {
    let tables = backends.iter().map(|url| format!("[[backend]]\nurl = '{url}'\n"));
    let tables = tables.collect::<String>();
    format!(
        "listen = '127.0.0.1:0'\nlog = 'none'\nadmin = ['SOCKET', '127.0.0.1:0']\n{rest}\n{tables}"
    )
}

#[test]
fn a_reload_tells_what_it_changed_and_what_of_the_admin_it_undid() {
    let origins = [(); 3].map(|()| answering("x"));
    let [first, second, third] = origins.each_ref().map(|origin| url(origin.address));
    let both = [first.clone(), second.clone()];
    let scene = Scene::configured(&file("", &both));
    scene.change("PATCH", "/backends/0.0", r#"{ "weight": 3 }"#);
    scene.change("PUT", "/backends", &json!({ "url": third }).to_string());
    scene.write(&file("body-timeout = '7s'", &both));
    let changed = scene.change("POST", "/reload", "");
    assert_eq!(changed["removed"], json!([third]));
    assert_eq!(changed["adjusted"], json!([first]));
    assert_eq!(changed["settings"], json!(["body-timeout"]));
    assert_eq!(changed["undone"], json!([third, first]));
    let said = changed["changes"].as_str().unwrap();
    assert!(
        said.ends_with(&format!("; undid what the admin had told of {third}, {first}")),
        "{said}"
    );
    assert_eq!(scene.change("POST", "/reload", "")["changes"], "nothing changed");
    for (rest, why) in [
        ("max-attempts = 0", "a.toml:4:16: max-attempts: give a number, at least 1"),
        ("workers = 77", "workers can't change while the proxy runs"),
    ] {
        scene.write(&file(rest, &both));
        let answer = scene.ask("POST", "/reload", "");
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(json(&answer)["error"].as_str().unwrap().contains(why), "{}", answer.text());
    }
    let admin = support::unix::name(&scene.socket());
    scene.write(&file("", &[first, admin]));
    let answer = scene.ask("POST", "/reload", "");
    assert!(answer.status == 422 && answer.text().contains("is this proxy itself"));
}

#[test]
fn without_a_file_there_is_nothing_to_reload() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let answer = scene.ask("POST", "/reload", "");
    assert!(answer.status == 422 && answer.text().contains("without --config"));
}

#[test]
fn one_that_is_stopping_says_so_and_changes_nothing() {
    let origin = answering("x");
    let scene = Scene::start(&[origin.address], &["--shutdown-delay", "1h"]);
    assert_eq!(scene.get("/health"), json!({ "status": "serving" }));
    scene.proxy.process.signal(Signal::TERM);
    until("another health", || (scene.ask("GET", "/health", "").status == 503).then_some(()));
    assert_eq!(json(&scene.ask("GET", "/health", ""))["status"], "stopping");
    for (method, path, body) in [
        ("POST", "/reload", ""),
        ("PATCH", "/backends/0.0", r#"{ "weight": 3 }"#),
        ("DELETE", "/backends/0.0", ""),
    ] {
        let answer = scene.ask(method, path, body);
        assert_eq!(
            (answer.status, json(&answer)["error"].as_str()),
            (503, Some("the proxy is stopping"))
        );
    }
    assert_eq!(scene.backend(origin.address)["weight"], 1);
}

#[test]
fn the_log_is_described_by_what_the_admin_made_of_the_plan() {
    let (origin, reserved) = (answering("x"), Silent::reserve());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.csv");
    let socket = folder.path().join("admin.sock");
    let name = support::unix::name(&socket);
    let urls = [url(origin.address), url(reserved.address)];
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--log",
        log.to_str().unwrap(),
        "--admin",
        &name,
        "--upstream",
        &urls[0],
    ];
    let mut proxy = Proxy::spawn(&mut support::process::tidegate(&flags));
    let body = json!({ "url": urls[1] }).to_string();
    let answer = support::unix::connect(&socket).ask(&request("PUT", "/backends", &body));
    assert_eq!(answer.status, 200);
    let said = proxy.process.line("by the admin");
    assert!(said.contains(&format!("by the admin: added {}", urls[1])), "{said}");
    let meta = tidegate::journal::meta_path(&log);
    let is_told = || fs::read_to_string(&meta).is_ok_and(|text| text.contains(&urls[1]));
    until("a new description", || is_told().then_some(()));
}

#[test]
fn a_name_and_each_of_its_addresses_can_be_changed() {
    let origin = answering("x");
    let port = origin.address.port();
    let (pods, nowhere) = (format!("http://localhost:{port}"), "http://nowhere.invalid");
    let all = format!("{pods} resolve=all");
    let scene = Scene::start(&[], &["--upstream", &all, "--upstream", nowhere]);
    let member = || {
        let list = scene.get("/backends");
        let all = list["backends"].as_array().unwrap();
        all.iter().find(|it| it["url"] == url(origin.address)).unwrap().clone()
    };
    let id = member()["id"].as_str().unwrap().to_owned();
    let path = |name: &str| format!("/backends/{}", name.replace('/', "%2F"));
    scene.change("PATCH", &path(&id), r#"{ "eject": "1m" }"#);
    assert_eq!(member()["state"], "ejected");
    scene.change("PATCH", &path(&pods), r#"{ "eject": "off", "weight": 3 }"#);
    assert_eq!((&member()["state"], &member()["weight"]), (&json!("up"), &json!(3)));
    let refused = scene.ask("PATCH", &path(&id), r#"{ "weight": 5 }"#);
    assert_eq!(refused.status, 409, "{}", refused.text());
    // It has no address that could be ejected, so nothing of it is done.
    let refused = scene.ask("PATCH", &path(nowhere), r#"{ "eject": "1m", "weight": 7 }"#);
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert!(!scene.ask("GET", "/config", "").text().contains("weight = 7"));
    scene.change("PATCH", &path(nowhere), r#"{ "weight": 7 }"#);
    assert!(scene.ask("GET", "/config", "").text().contains("weight = 7"));
}
