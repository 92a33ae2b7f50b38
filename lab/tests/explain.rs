//! `tidegate-lab explain` on the logs of a proxy that ran.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use support::http::get;
use support::log::stop;
use support::origin::Origin;
use support::process::{Proxy, tidegate};
use support::programs::program;

fn explain(flags: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program("tidegate-lab")).arg("explain").args(flags).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_request_of_a_run_is_told_from_both_logs_or_from_one() {
    let folder = tempfile::tempdir().unwrap();
    let [log, decisions] = ["x.csv", "x.jsonl"].map(|name| folder.path().join(name));
    let origin = Origin::echoing_targets();
    let mut command = tidegate(&["adaptive", "--listen", "127.0.0.1:0", "--upstream"]);
    command.arg(format!("http://{}", origin.address));
    command.arg("--log").arg(&log).arg("--decisions").arg(&decisions);
    let mut proxy = Proxy::spawn(&mut command);
    assert_eq!(get(proxy.address(), "/a").status, 200);
    stop(&mut proxy);

    let [log, decisions] = [&log, &decisions].map(|path| path.to_str().unwrap());
    // The description beside the log names the other one.
    let (code, both) = explain(&["/a", "--log", log]);
    let why = "because it had not been measured yet, and this request measures it.";
    assert_eq!(code, Some(0), "{both}");
    assert!(both.contains("GET /a: 200 in ") && both.contains(why), "{both}");
    let name = both.split("  ").next().unwrap();
    let (code, alone) = explain(&[name, "--decisions", decisions]);
    assert_eq!(code, Some(0), "{alone}");
    assert!(alone.contains(why) && alone.contains("What became of them"), "{alone}");

    let (code, refusal) = explain(&["/b", "--log", log]);
    assert_eq!(code, Some(1), "{refusal}");
    assert!(refusal.contains("no request `/b` in "), "{refusal}");
    let (code, refusal) = explain(&["/a"]);
    assert_eq!(code, Some(2), "{refusal}");
}
