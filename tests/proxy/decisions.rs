//! The decision log: a line for each choice that is recorded.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::configured::Configured;
use support::clock::until;
use support::http::{Connection, get};
use support::log::{Row, rows, stop};
use support::origin::{Origin, ok};
use support::ports::free_ports;
use support::process::{Process, Proxy, run, tidegate};

fn lines(path: &Path) -> Vec<Json> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn answering() -> Origin {
    Origin::serve(|mut connection| {
        while connection.request().is_some() {
            connection.send(ok("x"));
        }
    })
}

/// A proxy with both logs in the folder.
fn start(folder: &Path, backends: &[SocketAddr], flags: &[&str]) -> Proxy {
    let mut command = tidegate(&["--listen", "127.0.0.1:0"]);
    command.arg("--log").arg(folder.join("x.csv"));
    command.arg("--decisions").arg(folder.join("x.jsonl")).args(flags);
    for address in backends {
        command.args(["--upstream", &format!("http://{address}")]);
    }
    Proxy::spawn(&mut command)
}

fn name(row: &Row) -> String {
    ["started", "worker", "client"].map(|column| row[column].as_str()).join("/")
}

#[test]
fn each_choice_has_a_line_that_is_found_by_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (answering(), answering());
    let flags = ["adaptive", "--decision-sample", "1", "--workers", "2"];
    let mut proxy = start(folder.path(), &[first.address, second.address], &flags);
    for _ in 0..4 {
        let mut client = Connection::connect(proxy.address());
        for _ in 0..5 {
            assert_eq!(client.get("/").status, 200);
        }
    }
    let said = stop(&mut proxy);
    let totals = "20 requests, 0 errors, 20 rows, 0 rows lost, 20 choices, 0 choices lost\n";
    assert!(said.ends_with(totals), "{said}");
    let (rows, lines) = (rows(&folder.path().join("x.csv")), lines(&folder.path().join("x.jsonl")));
    for row in &rows {
        let mut own = lines.iter().filter(|line| line["request"] == name(row));
        let line = own.next().unwrap_or_else(|| panic!("{} has no line", name(row)));
        assert!(own.next().is_none());
        assert_eq!(
            (&line["chosen"], &line["reason"]),
            (&json(row, "backend_url"), &json(row, "reason"))
        );
        assert_eq!((&line["time"], &line["policy"]), (&json(row, "started"), &"adaptive".into()));
        assert_eq!(line["worker"].to_string(), row["worker"]);
        let candidates = line["candidates"].as_array().unwrap();
        let chosen = candidates.iter().find(|it| it["url"] == line["chosen"]).unwrap();
        assert_eq!((chosen["in_flight"].as_u64().unwrap() + 1).to_string(), row["in_flight"]);
        assert_eq!((candidates.len(), &line["more_candidates"]), (2, &0.into()));
    }
}

fn json(row: &Row, column: &str) -> Json {
    row[column].as_str().into()
}

#[test]
fn the_members_of_a_line_are_those_that_are_documented() {
    let folder = tempfile::tempdir().unwrap();
    let origin = answering();
    let mut proxy = start(folder.path(), &[origin.address], &["adaptive"]);
    assert_eq!(get(proxy.address(), "/").status, 200);
    stop(&mut proxy);
    let line = &lines(&folder.path().join("x.jsonl"))[0];
    let documented = fs::read_to_string("docs/decisions.md").unwrap();
    let members = |object: &Json| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for member in [members(line), members(&line["candidates"][0])].concat() {
        assert!(documented.contains(&format!("| `{member}` |")), "{member}");
    }
    let text = fs::read_to_string(folder.path().join("x.jsonl")).unwrap();
    assert!(text.starts_with("{\"time\":\"20"), "by which readers know the form: {text}");
}

#[test]
fn a_retry_is_recorded_with_what_was_tried_however_seldom_choices_are() {
    let folder = tempfile::tempdir().unwrap();
    let origin = answering();
    let gone = SocketAddr::from(([127, 0, 0, 1], free_ports::<1>()[0]));
    let flags = ["round-robin", "--decision-sample", "1000000", "--workers", "1"];
    let mut proxy = start(folder.path(), &[gone, origin.address], &flags);
    for _ in 0..2 {
        assert_eq!(get(proxy.address(), "/").status, 200);
    }
    stop(&mut proxy);
    let lines = lines(&folder.path().join("x.jsonl"));
    let reasons: Vec<&str> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons[..2], ["turn", "retry"], "{reasons:?}");
    assert_eq!(lines[0]["request"], lines[1]["request"]);
    let state = |line: &Json, at: usize| line["candidates"][at]["state"].clone();
    assert_eq!((state(&lines[0], 0), state(&lines[1], 0)), ("up".into(), "tried".into()));
    assert_eq!(lines[1]["recorded"], "unusual");
    // While one of two is out, each choice is unusual, and tells since when and why.
    assert_eq!(reasons[2], "only");
    let out = &lines[2]["candidates"][0];
    assert_eq!((&out["state"], &out["cause"]), (&"ejected".into(), &"refused".into()));
    assert!(out["since_seconds"].is_number() && out["ejected_for_seconds"].is_number(), "{out}");
}

#[test]
fn the_file_and_the_sample_change_while_the_proxy_runs_but_it_neither_begins_nor_ends() {
    let origin = answering();
    let mut without = Configured::start("log = 'none'", &[origin.address]);
    let said = without.reload("log = 'none'\ndecisions = 'x.jsonl'", &[origin.address]);
    assert!(said.contains("decisions can't change while the proxy runs"), "{said}");

    let start = "sandbox = 'off'\nlog = 'none'\ndecisions = '/dev/null'\ndecision-sample = 1000";
    let mut configured = Configured::start(start, &[origin.address]);
    let folder = configured.path("a.toml").parent().unwrap().to_str().unwrap().to_owned();
    let at = |name: &str, sample: u32| {
        let rest = "sandbox = 'off'\nlog = 'none'";
        format!("{rest}\ndecisions = '{folder}/{name}'\ndecision-sample = {sample}")
    };
    let address = configured.proxy.address();
    let said = configured.reload(&at("next.jsonl", 1), &[origin.address]);
    assert!(said.contains("changed decisions, decision-sample"), "{said}");
    until("the next file", || configured.path("next.jsonl").exists().then_some(()));
    for _ in 0..5 {
        assert_eq!(get(address, "/").status, 200);
    }
    let next = configured.path("next.jsonl");
    until("five choices", || (lines(&next).len() >= 5).then_some(()));
    let said = configured.reload("sandbox = 'off'\nlog = 'none'", &[origin.address]);
    assert!(said.contains("decisions can't change while the proxy runs"), "{said}");
    // A rotation: the file was renamed, and SIGHUP follows.
    fs::rename(&next, configured.path("old.jsonl")).unwrap();
    configured.proxy.process.signal(Signal::HUP);
    until("a new file", || next.exists().then_some(()));
    assert_eq!(get(address, "/").status, 200);
    until("a choice in it", || (!lines(&next).is_empty()).then_some(()));
}

#[test]
fn standard_output_has_nothing_but_choices() {
    let origin = answering();
    let url = format!("http://{}", origin.address);
    let flags = ["adaptive", "--upstream", &url, "--listen", "127.0.0.1:0", "--log", "none"];
    let choices = ["--decisions", "-", "--decision-sample", "1"];
    let mut process = Process::spawn(&mut tidegate(&[&flags[..], &choices].concat()));
    let address: SocketAddr = until("the address listened on", || {
        let said = process.stderr();
        let line = said.lines().find_map(|line| line.strip_prefix("listening on http://"));
        line.filter(|_| said.contains("\nupstream ")).map(|line| line.parse().unwrap())
    });
    for _ in 0..3 {
        assert_eq!(get(address, "/").status, 200);
    }
    process.signal(Signal::TERM);
    assert!(process.ended().success());
    let said = process.stdout();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.lines().all(|line| serde_json::from_str::<Json>(line).is_ok()), "{said}");
}

#[test]
fn what_can_not_be_logged_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.txt");
    fs::write(&other, "something else\n").unwrap();
    let other = other.to_str().unwrap();
    for (flags, reason) in [
        (&["--decisions", other][..], "name another file with --decisions"),
        (&["--decisions", "/dev/null/x"], "or --decisions none"),
        (&["--decisions", "x", "--log", "x"], "x can't be both --log and --decisions"),
        (&["--decisions", "-", "--log", "-"], "can't be both --log and --decisions"),
        (&["--decision-sample", "0"], "give a number from 1 to 1000000"),
    ] {
        let ended =
            run(&[&["round-robin", "--upstream", "http://127.0.0.1:1", "--check"], flags].concat());
        assert_eq!(ended.code, Some(2), "{flags:?}");
        assert!(ended.stderr.contains(reason), "{flags:?}: {}", ended.stderr);
    }
}
