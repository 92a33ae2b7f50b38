//! A request through the whole proxy: the program itself under the counter, between a client and
//! backends that are not. What is counted is its worker's thread in user space, with all that lies
//! between two calls of the system.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use support::http::Connection;
use support::origin::Origin;
use support::process::Proxy;

use crate::paths::{ANSWER, BACKENDS, SMALL};

/// Clients that ask at the same time, so that a turn has work for several.
const CLIENTS: usize = 64;

/// Requests of each of them before it is counted twice as often.
const TIMES: u64 = 100;

/// What is counted, and the flags for it.
pub(crate) const RUNS: [(&str, &[&str]); 4] = [
    ("whole proxy, its worker", &["round-robin"]),
    ("whole, adaptive", &["adaptive"]),
    ("whole, 1 choice of 100", &["adaptive", "--decisions", "/dev/null"]),
    ("whole, each choice", &["adaptive", "--decisions", "/dev/null", "--decision-sample", "1"]),
];

/// Instructions of the worker for one request.
pub(crate) fn count(flags: &[&str]) -> Option<u64> {
    let (once, twice) = (instructions(flags, TIMES)?, instructions(flags, 2 * TIMES)?);
    let requests = TIMES * CLIENTS as u64;
    Some((twice.checked_sub(once)? + requests / 2) / requests)
}

/// Those of the worker's thread: of the threads that run code of a worker, it needs most of them.
fn instructions(flags: &[&str], times: u64) -> Option<u64> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let origins: Vec<_> = (0..BACKENDS).map(|_| Origin::serve(answer_all)).collect();
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--separate-threads=yes", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", folder.path().join("counts").display()));
    command.arg(env!("CARGO_BIN_EXE_tidegate"));
    command.args(flags).args(["--listen", "127.0.0.1:0", "--workers", "1", "--log"]);
    command.arg(folder.path().join("log.csv"));
    for origin in &origins {
        command.args(["--upstream", &format!("http://{}", origin.address)]);
    }
    let proxy = Proxy::spawn(&mut command);
    ask(proxy.addresses[0], times);
    proxy.process.signal(Signal::TERM);
    let (status, said) = proxy.process.ends();
    if !status.success() {
        eprintln!("the proxy can't be counted:\n{said}");
        return None;
    }
    totals(folder.path()).max()
}

fn answer_all(mut connection: Connection) {
    while connection.head().is_some() {
        connection.send(ANSWER);
    }
}

/// Each client asks so often; all of them at once, and again when all have their answers.
fn ask(proxy: SocketAddr, times: u64) {
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Connection::connect(proxy)).collect();
    for _ in 0..times {
        for client in &mut clients {
            client.send(SMALL);
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
        }
    }
}

/// What the counter wrote of each thread that runs code of a worker, as the main one does.
fn totals(folder: &Path) -> impl Iterator<Item = u64> {
    let files = fs::read_dir(folder).expect("the folder").flatten();
    let counts = files.filter(|file| file.file_name().as_encoded_bytes().starts_with(b"counts"));
    counts.filter_map(|file| {
        let text = fs::read_to_string(file.path()).ok()?;
        text.contains("proxy::worker::").then_some(())?;
        text.lines().find_map(|line| line.strip_prefix("totals: ")?.parse().ok())
    })
}
