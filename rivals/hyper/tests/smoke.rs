//! The rival proxies and writes its rows, in each of its modes. What it is for, its speed, is
//! measured by `tidegate-lab bench`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tidegate::endpoint::Endpoint;
use tidegate::reactor::Waker;
use tidegate_lab::backend::{Backend, Behaviour, Profile};

const PATIENCE: Duration = Duration::from_secs(30);

const MODES: [&[&str]; 3] =
    [&["--client", "pooled"], &["--client", "own-pool"], &["--connections", "non-persistent"]];

struct Upstream {
    address: SocketAddr,
    stopper: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    fn start() -> Self {
        let behaviour = Behaviour {
            id: "A".to_owned(),
            profile: "0".parse::<Profile>().unwrap(),
            status: 200,
            body_size: None,
            fail_every: None,
            close_every: None,
        };
        let backend =
            Backend::bind(&Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into()), &behaviour).unwrap();
        let Endpoint::Tcp(address) = *backend.endpoint() else { panic!("another kind") };
        let stopper = backend.stopper();
        let thread = thread::spawn(|| backend.run().unwrap());
        Self { address, stopper, thread: Some(thread) }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopper.wake().unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Rival {
    child: Child,
    address: SocketAddr,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Rival {
    fn start(upstream: SocketAddr, log: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rival-hyper"))
            .args(["adaptive_ewma", "--workers", "1", "--listen", "127.0.0.1:0", "--upstream"])
            .arg(format!("http://{upstream}"))
            .arg("--log")
            .arg(log)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().parse().unwrap();
        Self { child, address, stdout }
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Stops it; what it said last.
    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        said
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request and reads its answer to the end of the connection.
fn ask(mut client: TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_proxies_and_logs_in_every_mode() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    for (index, flags) in MODES.into_iter().enumerate() {
        let log = folder.path().join(format!("{index}.csv"));
        let rival = Rival::start(upstream.address, &log, flags);
        for _ in 0..2 {
            let get = "GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let answer = ask(rival.client(), get);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{flags:?}: {answer}");
            assert!(answer.contains("Hello from A"), "{flags:?}: {answer}");
        }
        let head = ask(rival.client(), "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert!(head.ends_with("\r\n\r\n"), "{flags:?}: {head}");
        let post = "POST /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                    Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert!(ask(rival.client(), post).starts_with("HTTP/1.1 200 "), "{flags:?}");
        assert_eq!(rival.stop(), "4 requests, 0 errors, 4 rows, 0 rows lost\n", "{flags:?}");
        let rows = fs::read_to_string(&log).unwrap();
        assert_eq!(rows.lines().count(), 5, "{rows}");
        assert_eq!(rows.matches("adaptive_ewma").count(), 4, "{rows}");
        assert!(rows.contains(",GET,/a?b,") && rows.contains(",POST,/c,"), "{rows}");
    }
}

#[test]
fn a_client_connection_goes_on_only_where_connections_persist() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    for (index, flags) in MODES.into_iter().enumerate() {
        let log = folder.path().join(format!("{index}.csv"));
        let rival = Rival::start(upstream.address, &log, flags);
        let mut client = rival.client();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let second = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answers = if index == 2 {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
            answer
        } else {
            ask(client, second)
        };
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), [2, 2, 1][index], "{answers}");
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
        assert!(ask(rival.client(), get).starts_with("HTTP/1.1 502 "), "{flags:?}");
        rival.stop();
    }
    silent.join().unwrap();
    for (index, flags) in MODES.into_iter().enumerate() {
        let log = folder.path().join(format!("refused-{index}.csv"));
        let rival = Rival::start(address, &log, flags);
        assert!(ask(rival.client(), get).starts_with("HTTP/1.1 503 "), "{flags:?}");
        rival.stop();
        assert!(fs::read_to_string(log).unwrap().contains(",503,"), "{flags:?}");
    }
}
