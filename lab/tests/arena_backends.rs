//! All backends of a scenario in one process, as the arena starts, begins and ends them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use support::clock::until;
use support::http::Connection;
use support::programs::program;
use tempfile::TempDir;
use tidegate_lab::arena::{Backends, Counts};

const GET: &str = "GET /?seed=1 HTTP/1.1\r\nHost: test\r\n\r\n";
const PING: &str = "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n";

/// Bins so long that all is in the first.
const ENDLESS: Duration = Duration::from_secs(3600);

const THREE: &str = r#"
about = "three backends"

[[backend]]
service = "fixed:1ms"
count = 2

[[backend]]
service = "fixed:1h"
slots = 1
script = ["0s..100ms absent"]

[load]
rate = 1

[run]
warm-up = "1s"
length = "10s"
"#;

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

fn start(scenario: &Path, bins: Duration) -> std::io::Result<Backends> {
    Backends::start(&program("tidegate-lab"), scenario, bins, &[])
}

#[test]
fn they_serve_before_their_scripts_begin_and_count_from_then_on() {
    let (_folder, file) = written(THREE);
    let mut backends = start(&file, ENDLESS).unwrap();
    let [first, second, late] = backends.addresses[..] else { panic!("three") };
    for address in [first, second] {
        assert_eq!(Connection::connect(address).ask(GET).status, 200);
    }
    assert!(TcpStream::connect(late).is_err(), "it has not joined");
    backends.begin(SystemTime::now(), 1).unwrap();
    until("it joins", || TcpStream::connect(late).ok());
    for address in [first, first, second] {
        assert_eq!(Connection::connect(address).ask(GET).status, 200);
    }
    let mut leaving = Connection::connect(late);
    leaving.send(GET);
    assert_eq!(Connection::connect(late).ask(PING).status, 200);
    leaving.finish();
    assert_eq!(leaving.rest(), b"");
    let Counts { received, abandoned, accuracy } = backends.stop().unwrap();
    assert_eq!(received, [[2], [1], [1]]);
    assert_eq!(abandoned, [0, 0, 1]);
    assert_eq!(accuracy.requests, 3);
    let mean = accuracy.asked_ms[0];
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
    assert!(accuracy.measured_ms[0] >= mean);
}

#[test]
fn a_beginning_may_be_in_the_future() {
    let (_folder, file) = written(&THREE.replace("0s..100ms absent", "0s..1h absent"));
    let mut backends = start(&file, ENDLESS).unwrap();
    backends.begin(SystemTime::now() + ENDLESS, 1).unwrap();
    assert_eq!(Connection::connect(backends.addresses[0]).ask(GET).status, 200);
    let counts = backends.stop().unwrap();
    assert_eq!(counts.received, [[]; 3] as [[u64; 0]; 3]);
}

#[test]
fn a_scenario_of_the_lab_is_known_by_its_name() {
    let backends = start(Path::new("uneven"), ENDLESS).unwrap();
    assert_eq!(backends.addresses.len(), 3);
}

#[test]
fn what_is_wrong_with_a_scenario_is_said() {
    let (_folder, file) = written(&THREE.replace("slots = 1", "slots = 0"));
    let error = start(&file, ENDLESS).unwrap_err().to_string();
    assert!(
        error.contains("own.toml, line 8: [[backend]]: slots and cores are above 0"),
        "{error}"
    );
    let error = start(Path::new("unevn"), ENDLESS).unwrap_err().to_string();
    assert!(error.contains("did you mean uneven?"), "{error}");
}

#[test]
fn they_end_when_they_are_dropped() {
    let backends = start(Path::new("uneven"), ENDLESS).unwrap();
    let address = backends.addresses[0];
    drop(backends);
    assert!(TcpStream::connect(address).is_err());
}
