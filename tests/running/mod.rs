//! Programs that tests run, with all they say, and the free ports they run on.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod commands;
#[path = "../support/programs.rs"]
pub(crate) mod programs;
pub(crate) mod scripted;

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// What only a failing test waits out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until `done`, for at most `patience`.
pub(crate) fn until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test may look at the clock to give up")]
    let (now, deadline) = (Instant::now, Instant::now() + patience);
    while !done() {
        assert!(now() < deadline, "in vain: {what}");
        thread::yield_now();
    }
}

/// Ports that were free a moment ago, all different.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Whether somebody accepts connections on this port of this machine.
pub(crate) fn is_open(port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

/// A program in a process group of its own, killed with the test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        collect(child.stdout.take().unwrap(), sender.clone());
        collect(child.stderr.take().unwrap(), sender);
        Self { child, lines, said: String::new() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Does what Ctrl-C in a terminal does: signals the foreground process group.
    pub(crate) fn press_ctrl_c(&self) {
        kill_process_group(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Reads on until a line contains `words`.
    pub(crate) fn says(&mut self, words: &str, patience: Duration) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(patience) else {
                panic!("it never says {words:?}, but\n{}", self.said);
            };
            self.said += &line;
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits until it ends, which it does before it is silent for `patience`: how, and all it said.
    pub(crate) fn ends(mut self, patience: Duration) -> (ExitStatus, String) {
        while let Ok(line) = self.lines.recv_timeout(patience) {
            self.said += &line;
        }
        let mut status = None;
        until("its end", PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), std::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|count| count > 0) {
            let _ = lines.send(std::mem::take(&mut line));
        }
    });
}
