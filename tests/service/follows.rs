//! One process follows another at the same sockets and with the same log, while clients ask.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::manager::pass;
use support::clock::{PATIENCE, until};
use support::log::totals;
use support::origin::Origin;
use support::process::Process;
use tidegate::decision::Logged;

/// How often a process is replaced in each test.
const UPGRADES: usize = 4;

/// A socket that stays, and what the processes at it have in common.
struct Site {
    socket: TcpListener,
    address: SocketAddr,
    origin: Origin,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (origin, folder) = (Origin::echoing_targets(), tempfile::tempdir().unwrap());
        Self { socket, address, origin, folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts a process that serves here, and waits until it does.
    fn start(&self) -> Process {
        let listen = self.address.to_string();
        let upstream = format!("http://{}", self.origin.address);
        let flags = [
            ["--listen", &listen],
            ["--upstream", &upstream],
            ["--log", &self.file("log.csv")],
            ["--decisions", &self.file("choices.jsonl")],
            ["--decision-sample", "1"],
            ["--workers", "2"],
        ];
        let mut process = pass(&[&self.socket], flags.as_flattened(), &[]);
        process.line("upstream ");
        process
    }

    /// All logs of this kind, those that were moved aside included.
    fn files(&self, extension: &str) -> impl Iterator<Item = PathBuf> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|it| it.unwrap().path());
        files.filter(move |path| path.extension().is_some_and(|it| it == extension))
    }

    fn rows(&self) -> usize {
        self.files("csv").map(|path| support::log::rows(&path).len()).sum()
    }

    /// How many requests have a choice.
    fn decided(&self) -> usize {
        let texts: String = self.files("jsonl").map(|it| fs::read_to_string(it).unwrap()).collect();
        let lines = texts.lines().map(|line| serde_json::from_str::<Logged<'_>>(line).expect(line));
        lines.map(|line| line.request.into_owned()).collect::<HashSet<_>>().len()
    }

    /// Has clients ask, one after the other on new and on kept connections, until `act` is done:
    /// how many answers there were, and what `act` gives. All were as they should be.
    fn under_load<T>(&self, act: impl FnOnce(&AtomicUsize) -> T) -> (usize, T) {
        let (over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
        let done = thread::scope(|scope| {
            let clients: Vec<_> = (0..6)
                .map(|number| {
                    let (over, answers, address) = (&over, &answers, self.address);
                    scope.spawn(move || ask(address, number % 2 == 0, over, answers))
                })
                .collect();
            let _over = Over(&over);
            let done = act(&answers);
            over.store(true, Ordering::Relaxed);
            for client in clients {
                client.join().unwrap();
            }
            done
        });
        (answers.into_inner(), done)
    }
}

/// Has the clients end, also if the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks again and again. A connection that is closed after an answer said so is opened anew, and so
/// is one that had been idle for so long that it was closed meanwhile.
fn ask(address: SocketAddr, keeps: bool, over: &AtomicBool, answers: &AtomicUsize) {
    let close = if keeps { "" } else { "Connection: close\r\n" };
    let request = format!("GET /a HTTP/1.1\r\nHost: a\r\n{close}\r\n");
    let mut kept: Option<TcpStream> = None;
    while !over.load(Ordering::Relaxed) {
        let is_kept = kept.is_some();
        let mut stream = kept.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(address).expect("it is never refused");
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        });
        let sent = stream.write_all(request.as_bytes());
        let answer = sent.and_then(|()| answer(&mut stream)).unwrap_or_default();
        if is_kept && answer.is_empty() {
            continue;
        }
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        answers.fetch_add(1, Ordering::Relaxed);
        if !answer.to_ascii_lowercase().contains("connection: close") {
            kept = Some(stream);
        }
    }
}

/// All that comes until an answer is whole, or the stream ends.
fn answer(stream: &mut TcpStream) -> io::Result<String> {
    let (mut text, mut block) = (Vec::new(), [0; 4096]);
    while !text.ends_with(b"\r\n\r\n/a") {
        match stream.read(&mut block)? {
            0 => break,
            count => text.extend_from_slice(&block[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Waits until so many more were answered.
fn more(answers: &AtomicUsize) {
    let before = answers.load(Ordering::Relaxed);
    until("more answers", || (answers.load(Ordering::Relaxed) > before + 100).then_some(()));
}

fn stop(process: &mut Process) -> [usize; 6] {
    process.signal(Signal::TERM);
    let status = process.ended();
    assert!(status.success(), "{status}: {}", process.stderr());
    totals(&process.stdout())
}

#[test]
fn one_that_begins_before_the_other_stops_waits_for_its_log_and_for_nothing_else() {
    let site = Site::new();
    let mut rows = Vec::new();
    let (answers, mut last) = site.under_load(|answers| {
        let mut process = site.start();
        more(answers);
        for _ in 0..UPGRADES {
            let mut next = site.start();
            next.line("another process writes the log still");
            // Both are asked now.
            more(answers);
            rows.push(stop(&mut process));
            process = next;
            more(answers);
            for _ in ["rows", "choices"] {
                process.line("an earlier log was moved to");
            }
        }
        process
    });
    rows.push(stop(&mut last));
    check(&site, &rows, answers);
}

#[test]
fn while_there_is_none_clients_wait_for_the_next() {
    let site = Site::new();
    let mut rows = Vec::new();
    let (answers, mut last) = site.under_load(|answers| {
        for _ in 0..UPGRADES {
            let mut process = site.start();
            more(answers);
            rows.push(stop(&mut process));
        }
        let process = site.start();
        more(answers);
        process
    });
    rows.push(stop(&mut last));
    check(&site, &rows, answers);
}

/// All answers have rows and choices, and none is lost.
fn check(site: &Site, totals: &[[usize; 6]], answers: usize) {
    for [requests, errors, rows, lost, choices, choices_lost] in totals {
        assert_eq!([*errors, *rows, *lost, *choices_lost], [0, *requests, 0, 0]);
        assert!(choices >= requests, "another attempt is another choice");
    }
    let requests: usize = totals.iter().map(|[requests, ..]| requests).sum();
    assert_eq!([requests, site.rows(), site.decided()], [answers; 3]);
}
