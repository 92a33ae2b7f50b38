//! The rival proxies and writes its rows, in each of its modes. What it is for, its speed, is
//! measured by `tidegate-lab bench`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use support::http::{Answer, Connection};
use support::process::{Backend, Process};

const MODES: [&[&str]; 3] =
    [&["--client", "pooled"], &["--client", "own-pool"], &["--connections", "non-persistent"]];

struct Rival {
    process: Process,
    address: SocketAddr,
}

impl Rival {
    fn start(upstream: SocketAddr, log: &Path, flags: &[&str]) -> Self {
        Self::start_with("adaptive_ewma", &[upstream], log, flags)
    }

    fn start_with(policy: &str, upstreams: &[SocketAddr], log: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rival-hyper"));
        command.args([policy, "--workers", "1", "--listen", "127.0.0.1:0"]);
        for upstream in upstreams {
            command.arg("--upstream").arg(format!("http://{upstream}"));
        }
        command.arg("--log").arg(log).args(flags);
        let mut process = Process::spawn(&mut command);
        let address = process.says("its address", |text| {
            text.trim().strip_prefix("listening on http://")?.parse().ok()
        });
        Self { process, address }
    }

    fn connect(&self) -> Connection {
        Connection::connect(self.address)
    }

    /// Sends a request that is the last on its connection, and reads the response.
    fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect();
        let answer = client.ask(request);
        assert_eq!(client.rest(), b"", "{request}");
        answer
    }

    /// Stops it; the last line that it printed.
    fn stop(mut self) -> String {
        self.process.signal(Signal::TERM);
        assert!(self.process.ended().success());
        self.process.stdout().lines().last().unwrap().to_owned()
    }
}

#[test]
fn it_proxies_and_logs_in_every_mode() {
    let upstream = Backend::start(&["--profile", "0"]);
    let folder = tempfile::tempdir().unwrap();
    for (index, flags) in MODES.into_iter().enumerate() {
        let log = folder.path().join(format!("{index}.csv"));
        let rival = Rival::start(upstream.address, &log, flags);
        for _ in 0..2 {
            let get = "GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let answer = rival.ask(get);
            assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"), "{flags:?}: {answer:?}");
            assert!(answer.text().contains("Hello from A"), "{flags:?}: {answer:?}");
        }
        // Nothing follows the head.
        rival.ask("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let post = "POST /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                    Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(rival.ask(post).status, 200, "{flags:?}");
        assert_eq!(rival.stop(), "4 requests, 0 errors, 4 rows, 0 rows lost", "{flags:?}");
        let rows = fs::read_to_string(&log).unwrap();
        assert_eq!(rows.lines().count(), 5, "{rows}");
        assert_eq!(rows.matches("adaptive_ewma").count(), 4, "{rows}");
        assert!(rows.contains(",GET,/a?b,") && rows.contains(",POST,/c,"), "{rows}");
    }
}

#[test]
fn a_client_connection_goes_on_only_where_connections_persist() {
    let upstream = Backend::start(&["--profile", "0"]);
    let folder = tempfile::tempdir().unwrap();
    for (index, flags) in MODES.into_iter().enumerate() {
        let log = folder.path().join(format!("{index}.csv"));
        let rival = Rival::start(upstream.address, &log, flags);
        let mut client = rival.connect();
        let answer = client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(answer.status, 200);
        if flags.contains(&"non-persistent") {
            assert_eq!(answer.header("Connection"), Some("close"), "{answer:?}");
        } else {
            let second = client.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            assert_eq!(second.status, 200);
        }
        assert_eq!(client.rest(), b"");
        rival.stop();
    }
}

#[test]
fn a_backend_that_is_not_there_is_a_503_and_one_that_says_nothing_a_502() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let silent = thread::spawn(move || {
        for _ in MODES {
            drop(nobody.accept().unwrap());
        }
    });
    for (index, flags) in MODES.into_iter().enumerate() {
        let rival = Rival::start(address, &folder.path().join(format!("{index}.csv")), flags);
        assert_eq!(rival.ask(get).status, 502, "{flags:?}");
        rival.stop();
    }
    silent.join().unwrap();
    for (index, flags) in MODES.into_iter().enumerate() {
        let log = folder.path().join(format!("refused-{index}.csv"));
        let rival = Rival::start(address, &log, flags);
        assert_eq!(rival.ask(get).status, 503, "{flags:?}");
        rival.stop();
        assert!(fs::read_to_string(log).unwrap().contains(",503,"), "{flags:?}");
    }
}

#[test]
fn towers_balancing_avoids_a_backend_that_once_was_slow() {
    const REQUESTS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let quick = Backend::start(&["--profile", "0"]);
    let slow = Backend::start(&["--profile", "1000"]);
    let upstreams = [quick.address, slow.address];
    let rival = Rival::start_with("p2c-peak-ewma", &upstreams, &log, &["--client", "own-pool"]);
    let mut client = rival.connect();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/").status, 200);
    }
    drop(client);
    rival.stop();
    let rows = fs::read_to_string(&log).unwrap();
    assert_eq!(rows.matches("p2c-peak-ewma").count(), REQUESTS, "{rows}");
    // Only until its first answer it was thought to be as quick.
    let slow = format!("http://{}", slow.address);
    assert!(rows.matches(&slow).count() <= 1, "{rows}");
}
