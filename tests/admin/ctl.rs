//! `tidegatectl` as people and scripts use it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use serde_json::Value as Json;

use support::clock::{hear, until};
use support::http::{Connection, get};
use support::origin::{Origin, ok};
use support::unix;

use crate::scene::{Scene, answering, url};

/// The program, not started yet, and untouched by the environment of the test.
pub(crate) fn ctl(admin: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegatectl"));
    command.env_remove("TIDEGATE_ADMIN").args(["--admin", admin]).args(args);
    command
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        Self { code: output.status.code(), out, err }
    }
}

fn at(socket: &Path, args: &[&str]) -> Said {
    ctl(&unix::name(socket), args).output().unwrap().into()
}

/// What it says of something that is done.
pub(crate) fn done(scene: &Scene, args: &[&str]) -> String {
    let Said { code, out, err } = at(&scene.socket(), args);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{args:?}");
    out
}

#[test]
fn backends_are_a_table_for_people_and_json_for_programs() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let table = done(&scene, &["backends"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("round-robin: 2 backends, 2 up; "), "{table}");
    assert!(lines[2].starts_with("BACKEND"), "{table}");
    let first = url(first.address);
    let cells: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(cells[..4], [first.as_str(), "up", "1", "0"], "{table}");
    assert_eq!(lines.len(), 5, "{table}");
    assert_eq!(done(&scene, &["backends", "--once"]).lines().count(), 5);
    let told: Json = serde_json::from_str(&done(&scene, &["backends", "--json"])).unwrap();
    assert_eq!(told["backends"][0]["url"], first);
}

#[test]
fn a_backend_is_added_changed_and_removed_by_what_names_it() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address], &[]);
    let (first_url, second_url) = (url(first.address), url(second.address));
    let port = second.address.port().to_string();
    let weight = |address| scene.backend(address)["weight"].clone();
    let said = done(&scene, &["add", &second_url, "weight=3", "max-in-flight=9"]);
    assert_eq!(said, format!("added {second_url}\n"));
    assert_eq!(weight(second.address), 3);
    let said = done(&scene, &["set", &port, "weight=5", "max-in-flight=off", "backup=true"]);
    assert_eq!(said, format!("adjusted {second_url}\n"));
    let told = scene.backend(second.address);
    assert!(told["weight"] == 5 && told["max-in-flight"].is_null() && told["backup"] == true);
    assert_eq!(done(&scene, &["drain", "0.0"]), format!("adjusted {first_url}\n"));
    assert_eq!(scene.backend(first.address)["state"], "drained");
    done(&scene, &["undrain", &first_url]);
    assert_eq!(scene.backend(first.address)["state"], "up");
    assert_eq!(done(&scene, &["eject", &port, "1h"]), format!("ejected {second_url}\n"));
    let table = done(&scene, &["backends"]);
    assert!(table.contains("ejected (admin), 60 min left"), "{table}");
    assert_eq!(done(&scene, &["admit", &port]), format!("admitted {second_url}\n"));
    let said: Json = serde_json::from_str(&done(&scene, &["remove", &port, "--json"])).unwrap();
    assert_eq!(said["removed"][0], second_url);
    until("its end", || scene.find(second.address).is_none().then_some(()));
}

#[test]
fn a_drain_is_waited_for_as_long_as_it_is_told_to() {
    let (asked, was_asked) = channel();
    let (go_on, may_go_on) = channel();
    let (asked, may_go_on) = (Mutex::new(asked), Mutex::new(may_go_on));
    let slow = Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            asked.lock().unwrap().send(()).unwrap();
            hear::<()>(&may_go_on.lock().unwrap());
            connection.send(ok("late"));
        }
    });
    let scene = Scene::start(&[slow.address, answering("x").address], &[]);
    let mut client = Connection::connect(scene.proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    hear(&was_asked);
    let port = slow.address.port().to_string();
    let said = at(&scene.socket(), &["drain", &port, "--wait", "10ms"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("1 requests are in flight at it still"), "{}", said.err);
    go_on.send(()).unwrap();
    assert_eq!(client.answer().text(), "late");
    done(&scene, &["drain", &port, "--wait", "1m"]);
    assert_eq!(scene.backend(slow.address)["in_flight"], 0);
}

#[test]
fn choices_are_told_in_lines() {
    let origin = answering("x");
    let scene = Scene::start(&[origin.address], &["adaptive"]);
    assert_eq!(done(&scene, &["explain"]), "no choice was recorded yet\n");
    for _ in 0..3 {
        assert_eq!(get(scene.proxy.address(), "/").status, 200);
    }
    let said = done(&scene, &["explain", "1"]);
    let lines: Vec<&str> = said.lines().collect();
    let url = url(origin.address);
    let sentence = format!(" ago: {url}, because it was the only backend.");
    assert!(lines[0].ends_with(&sentence) && lines.len() == 1, "{said}");
    let json: serde_json::Value =
        serde_json::from_str(&done(&scene, &["explain", "1", "--json"])).unwrap();
    let choice = &json["choices"][0];
    assert_eq!((&choice["chosen"], &choice["reason"]), (&url.into(), &"only".into()));
}

#[test]
fn settings_health_and_reload_are_asked_for() {
    let origin = answering("x");
    let backend = format!("[[backend]]\nurl = '{}'\n", url(origin.address));
    let text = |rest: &str| {
        let fixed = "listen = '127.0.0.1:0'\nlog = 'none'\nadmin = ['SOCKET', '127.0.0.1:0']";
        format!("{fixed}\n{rest}\n{backend}")
    };
    let scene = Scene::configured(&text(""));
    assert_eq!(done(&scene, &["health"]), "serving\n");
    let figures = done(&scene, &["metrics"]);
    assert!(figures.contains("# TYPE tidegate_backend_state gauge"), "{figures}");
    assert!(done(&scene, &["config"]).contains("\nlog = \"none\"\n"));
    let told: Json = serde_json::from_str(&done(&scene, &["config", "--json"])).unwrap();
    assert_eq!(told["log"], "none");
    scene.write(&text("body-timeout = '7s'"));
    assert_eq!(done(&scene, &["reload"]), "changed body-timeout\n");
    assert_eq!(done(&scene, &["reload"]), "nothing changed\n");
    scene.write(&text("body-timeout = 7"));
    let said = at(&scene.socket(), &["reload"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("a.toml:4:16: body-timeout: `7` is not a duration"), "{}", said.err);
    assert_eq!(get(scene.proxy.address(), "/").status, 200);
}

#[test]
fn what_is_refused_has_status_1_and_what_is_not_clear_2() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let first = first.address.port().to_string();
    for (args, code, why) in [
        (&["set", &first, "weight=0"][..], 1, "weight: give a number from 1 to 1000"),
        (&["set", &first, "wieght=3"], 1, "did you mean weight?"),
        (&["add", "https://a"], 1, "TLS towards backends is not supported"),
        (&["eject", &first, "0s"], 1, "it must be longer than 0"),
        (&["reload"], 1, "without --config"),
        (&["drain", "127.0.0.1"], 2, "`127.0.0.1` may be http://127.0.0.1:"),
        (&["drain", "nobody"], 2, "no backend is called `nobody`"),
        (&["set", &first], 2, "OPTION"),
        (&["eject", &first, "soon"], 2, "`soon` is not a duration"),
        (&["set", &first, "weight=1", "weight=2"], 2, "`weight` is given twice"),
        (&["status"], 2, "tidegatectl backends"),
        (&["disable", &first], 2, "tidegatectl drain BACKEND"),
        (&[], 2, "Usage"),
    ] {
        let said = at(&scene.socket(), args);
        assert_eq!(said.code, Some(code), "{args:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(why), "{args:?}: {}", said.err);
    }
    let said = Said::from(ctl(&scene.tcp.to_string(), &["drain", &first]).output().unwrap());
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("over the Unix socket"), "{}", said.err);
    let tcp = ctl(&scene.tcp.to_string(), &["backends", "--once"]).output().unwrap();
    assert!(tcp.status.success());
    assert!(
        scene.get("/backends")["backends"].as_array().unwrap().iter().all(|it| it["weight"] == 1)
    );
}

#[test]
fn where_no_proxy_answers_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let said = at(&folder.path().join("none.sock"), &["health"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("was it started with --admin?"), "{}", said.err);
    let origin = Origin::serve(|mut connection| {
        connection.request();
        connection.send(ok("something else"));
    });
    let said = Said::from(ctl(&origin.address.to_string(), &["backends"]).output().unwrap());
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("is no proxy's admin API"), "{}", said.err);
    let said = Said::from(ctl("/run/a.sock", &["health"]).output().unwrap());
    assert_eq!(said.code, Some(2));
}

#[test]
fn the_variable_of_the_proxy_names_the_address_too() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let value = format!("127.0.0.1:1,{}", unix::name(&scene.socket()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegatectl"));
    let output = command.arg("health").env("TIDEGATE_ADMIN", value).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_name_that_stands_for_several_backends_is_called_by_its_url() {
    let origin = answering("x");
    let name = format!("http://localhost:{}", origin.address.port());
    let (all, nowhere) = (format!("{name} resolve=all"), "http://nowhere.invalid");
    let scene = Scene::start(&[], &["--upstream", &all, "--upstream", nowhere]);
    for name in [&*name, nowhere] {
        let said = done(&scene, &["set", name, "weight=3"]);
        assert!(said.contains(&format!("adjusted {name}")), "{said}");
    }
}
