//! The program: its flags, what it says, and how it ends.

use std::net::TcpListener;
use std::process::Output;

use rustix::process::Signal;

use support::process::dashboard;

use super::scene::Scene;

fn run(flags: &[&str]) -> Output {
    dashboard(flags).output().unwrap()
}

/// The one line a program that failed with `code` said.
fn complaint(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[test]
fn listens_on_the_loopback_unless_told_otherwise() {
    let scene = Scene::started();
    assert!(scene.address().ip().is_loopback());
    let scene = Scene::new().start(&["--listen", "0.0.0.0"]);
    assert!(scene.address().ip().is_unspecified());
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for word in ["5002", "DASHBOARD_PORT", "127.0.0.1", "--from-start", "Exit status"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn a_taken_port_is_named_with_the_way_to_choose_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let expected = format!("error: port {port} is taken; choose another with --port\n");
    assert_eq!(complaint(&run(&["--port", &port]), 1), expected);
    let by_environment = dashboard(&[]).env("DASHBOARD_PORT", &port).output().unwrap();
    assert_eq!(complaint(&by_environment, 1), expected);
}

#[test]
fn an_address_that_is_not_ours_is_refused() {
    let line = complaint(&run(&["--listen", "192.0.2.1", "--port", "0"]), 1);
    assert!(line.starts_with("error: cannot listen on 192.0.2.1:0: "), "{line}");
}

#[test]
fn bad_flags_are_misuse() {
    for flags in [
        &["--port", "65536"][..],
        &["--listen", "x"],
        &["--allow-host", "http://x"],
        &["--allow-host", "x:80"],
        &["--allow-host", "*"],
        &["--nonsense"],
        &["surplus"],
    ] {
        let output = run(flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "), "{flags:?}");
    }
}

#[test]
fn what_can_never_be_a_log_is_misuse() {
    let line = complaint(&run(&["--port", "0", "--log", "/dev/null"]), 2);
    assert_eq!(line, "error: /dev/null is neither a file nor a folder\n");
    let line = complaint(&run(&["--port", "0", "--log", "/dev/null/x.csv"]), 2);
    assert!(line.starts_with("error: cannot read /dev/null/x.csv: "), "{line}");
}

#[test]
fn health_is_asked_from_outside() {
    let scene = Scene::started();
    let port = scene.address().port().to_string();
    let healthy = run(&["--health", "--port", &port]);
    assert_eq!((healthy.status.code(), healthy.stderr.len()), (Some(0), 0));
    let healthy = run(&["--health", "--port", &port, "--listen", "0.0.0.0"]);
    assert_eq!(healthy.status.code(), Some(0));
    drop(scene);
    let line = complaint(&run(&["--health", "--port", &port]), 1);
    assert!(line.contains(&format!("no dashboard answers at 127.0.0.1:{port}")), "{line}");
}

#[test]
fn health_is_not_taken_from_a_stranger() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port().to_string();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = stranger.accept().unwrap();
        let _ = stream.read(&mut [0; 512]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").unwrap();
    });
    let line = complaint(&run(&["--health", "--port", &port]), 1);
    assert!(line.contains("is no healthy dashboard"), "{line}");
    answering.join().unwrap();
}

#[test]
fn health_says_that_nothing_was_answered_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let line = complaint(&run(&["--health", "--port", &port]), 1);
    let expected =
        format!("error: no dashboard answers at 127.0.0.1:{port}: no answer within 2 s\n");
    assert_eq!(line, expected);
}

#[test]
fn a_signal_ends_it_at_once_whatever_it_is_doing() {
    for signal in [Signal::TERM, Signal::INT] {
        let scene = Scene::started();
        let mut stream = scene.connect();
        stream.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(stream.answer_head().status, 200);
        scene.process().signal(signal);
        assert_eq!(scene.exit_code(), Some(0), "{signal:?}");
    }
}
