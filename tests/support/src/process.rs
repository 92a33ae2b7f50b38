//! A program of the project as a process, ended with the test that started it.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use procfs::net::TcpState;
use procfs::process::{FDTarget, LimitValue, Status};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, kill_process_group, prlimit};

use super::clock::{PATIENCE, until};
use super::http::Connection;
use super::programs::program;

/// One of the streams that a process writes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stream {
    Stdout,
    Stderr,
}

/// The lines a process has written so far.
#[derive(Default)]
struct Lines {
    lines: Vec<(Stream, String)>,
    /// Streams on which more may come.
    open: usize,
}

impl Lines {
    fn text(&self, is_wanted: impl Fn(Stream) -> bool) -> String {
        let lines = self.lines.iter().filter(|(stream, _)| is_wanted(*stream));
        lines.map(|(_, line)| line.as_str()).collect()
    }
}

/// Lines, and word of each that comes.
#[derive(Clone, Default)]
struct Transcript(Arc<(Mutex<Lines>, Condvar)>);

impl Transcript {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap()
    }

    /// Waits for another line, or for the end of a stream.
    fn wait<'a>(
        &'a self,
        lines: MutexGuard<'a, Lines>,
        patience: Duration,
    ) -> MutexGuard<'a, Lines> {
        let (lines, waited) = self.0.1.wait_timeout(lines, patience).unwrap();
        let said = || lines.text(|_| true);
        assert!(!waited.timed_out(), "nothing for {patience:?} behind\n{}", said());
        lines
    }

    fn follow(&self, stream: Stream, from: impl Read + Send + 'static) -> JoinHandle<()> {
        self.lines().open += 1;
        let transcript = self.clone();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                transcript.lines().lines.push((stream, text));
                transcript.0.1.notify_all();
                line.clear();
            }
            transcript.lines().open -= 1;
            transcript.0.1.notify_all();
        })
    }
}

/// A process and what it says.
pub struct Process {
    child: Child,
    transcript: Transcript,
    followers: Vec<JoinHandle<()>>,
    /// Lines that [`Process::line`] has passed.
    passed: usize,
    patience: Duration,
}

impl Process {
    /// Starts it.
    pub fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let transcript = Transcript::default();
        let followers = vec![
            transcript.follow(Stream::Stdout, child.stdout.take().unwrap()),
            transcript.follow(Stream::Stderr, child.stderr.take().unwrap()),
        ];
        Self { child, transcript, followers, passed: 0, patience: PATIENCE }
    }

    /// As [`Process::spawn`], in a process group of its own, as a shell starts a command: see
    /// [`Process::press_ctrl_c`].
    pub fn spawn_group(command: &mut Command) -> Self {
        Self::spawn(command.process_group(0))
    }

    /// As [`Process::spawn`], but its output goes where the command says, and is not read.
    pub fn spawn_unheard(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn().expect("the program starts");
        let (transcript, followers) = Default::default();
        Self { child, transcript, followers, passed: 0, patience: PATIENCE }
    }

    /// How long it may be silent while a test waits for a line or for its end.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        self.transcript.lines().text(|stream| stream == Stream::Stdout)
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        self.transcript.lines().text(|stream| stream == Stream::Stderr)
    }

    /// Waits until `found` finds something in what was written to standard output.
    pub fn says<T>(&mut self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        until(what, || {
            let found = found(&self.stdout());
            if found.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("{status} instead of {what}: {}{}", self.stdout(), self.stderr());
            }
            found
        })
    }

    /// The next line with these words in it, on either stream, after those that were waited for
    /// before.
    pub fn line(&mut self, words: &str) -> String {
        let mut lines = self.transcript.lines();
        loop {
            while let Some((_, line)) = lines.lines.get(self.passed) {
                self.passed += 1;
                if line.contains(words) {
                    return line.clone();
                }
            }
            assert!(lines.open > 0, "it never says {words:?}, but\n{}", lines.text(|_| true));
            lines = self.transcript.wait(lines, self.patience);
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Does what Ctrl-C in a terminal does: signals the foreground process group.
    pub fn press_ctrl_c(&self) {
        kill_process_group(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Stops the process until it is told to go on, and waits until the system has done so.
    pub fn halt(&self) {
        self.signal(Signal::STOP);
        until("the halt", || self.is_stopped().then_some(()));
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end, after which all was read that was written.
    pub fn ended(&mut self) -> ExitStatus {
        let status = until("the end of a process", || self.child.try_wait().unwrap());
        for follower in self.followers.drain(..) {
            follower.join().unwrap();
        }
        status
    }

    /// Waits for the end however long that takes, as long as lines are written: how it ended, and
    /// all that it and its children wrote to either stream.
    pub fn ends(mut self) -> (ExitStatus, String) {
        let mut lines = self.transcript.lines();
        while lines.open > 0 {
            lines = self.transcript.wait(lines, self.patience);
        }
        let said = lines.text(|_| true);
        drop(lines);
        (self.ended(), said)
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn procfs(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.id().cast_signed()).unwrap()
    }

    /// Its `/proc/<pid>/status`; sizes are in KiB.
    pub fn status(&self) -> Status {
        self.procfs().status().unwrap()
    }

    /// Whether SIGSTOP has reached each of its threads.
    pub fn is_stopped(&self) -> bool {
        self.procfs().tasks().unwrap().all(|thread| thread.unwrap().stat().unwrap().state == 'T')
    }

    /// Changes a limit of the running process; gives what it was.
    pub fn limit(&self, resource: Resource, current: Option<u64>) -> Option<u64> {
        let limits = self.procfs().limits().unwrap();
        let limit = match resource {
            Resource::Nofile => limits.max_open_files,
            _ => limits.max_file_size,
        };
        let maximum = match limit.hard_limit {
            LimitValue::Value(value) => Some(value),
            LimitValue::Unlimited => None,
        };
        let pid = Some(Pid::from_child(&self.child));
        prlimit(pid, resource, Rlimit { current, maximum }).unwrap().current
    }

    /// Processor time used so far, in hundredths of a second.
    pub fn processor_ticks(&self) -> u64 {
        let stat = self.procfs().stat().unwrap();
        stat.utime + stat.stime
    }

    /// The highest number of an open descriptor.
    pub fn highest_file(&self) -> u64 {
        let files = self.procfs().fd().unwrap().map(|file| file.unwrap().fd);
        files.max().unwrap().try_into().unwrap()
    }

    /// Lowers the limit of its descriptors, so that so many more can be opened; gives what it was.
    pub fn leave_files(&self, count: usize) -> Option<u64> {
        let files: HashSet<i32> = self.procfs().fd().unwrap().map(|it| it.unwrap().fd).collect();
        let limit = (0..).filter(|number| !files.contains(number)).nth(count).unwrap();
        self.limit(Resource::Nofile, Some(limit.unsigned_abs().into()))
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let threads = self.procfs().tasks().unwrap().flatten();
        threads.filter_map(|thread| Some(thread.stat().ok()?.comm)).collect()
    }

    /// The number of its thread of this name, once there is one.
    pub fn thread(&self, name: &str) -> i32 {
        until("a thread", || {
            let mut threads = self.procfs().tasks().ok()?.flatten();
            threads.find(|it| it.stat().is_ok_and(|stat| stat.comm == name)).map(|it| it.tid)
        })
    }

    /// The numbers of its threads.
    pub fn thread_ids(&self) -> Vec<Option<Pid>> {
        let threads = self.procfs().tasks().unwrap().flatten();
        threads.map(|thread| Pid::from_raw(thread.tid)).collect()
    }

    /// The only core that its thread of this name may run on, once that is so: a thread is named
    /// before it is pinned.
    pub fn core_of(&self, thread: &str) -> usize {
        until("a thread on one core", || {
            let mut threads = self.procfs().tasks().ok()?.flatten();
            let named = threads.find(|it| it.stat().is_ok_and(|stat| stat.comm == thread))?;
            match named.status().ok()?.cpus_allowed_list?.as_slice() {
                [(first, last)] if first == last => Some(*first as usize),
                _ => None,
            }
        })
    }

    /// Waits until it listens on a TCP port of IPv4, and gives the address.
    pub fn listens(&self) -> SocketAddr {
        until("a port it listens on", || {
            let files: Vec<FDTarget> =
                self.procfs().fd().ok()?.flatten().map(|file| file.target).collect();
            let is_own = |inode| {
                files.iter().any(|file| matches!(file, FDTarget::Socket(own) if *own == inode))
            };
            let mut sockets = self.procfs().tcp().ok()?.into_iter();
            let listener = sockets.find(|it| it.state == TcpState::Listen && is_own(it.inode))?;
            Some(listener.local_address)
        })
    }

    /// Waits until the end of each connection to `peer` that the peer has closed has come. The
    /// system may deliver what was sent after it on another connection before it.
    pub fn has_ends_from(&self, peer: SocketAddr) {
        until("the end of connections", || {
            let sockets = self.procfs().tcp().ok()?;
            let is_open = |state: &TcpState| matches!(state, TcpState::Established);
            let mut open = sockets.iter().filter(|it| is_open(&it.state));
            open.all(|it| it.remote_address != peer).then_some(())
        });
    }

    /// The number of its open descriptors.
    pub fn open_files(&self) -> usize {
        self.procfs().fd_count().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The proxy with `flags`, not started yet.
pub fn tidegate(flags: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate"));
    // A test that names no policy can tell which backend comes next.
    command.env("TIDEGATE_POLICY", "round-robin").args(flags);
    command
}

/// The result of a program.
pub struct Ended {
    /// Its exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
}

/// Runs the proxy with `flags` until it ends by itself.
pub fn run(flags: &[&str]) -> Ended {
    run_with(&[], flags)
}

/// As [`run`], with these environment variables.
pub fn run_with(variables: &[(&str, &str)], flags: &[&str]) -> Ended {
    let mut process = Process::spawn(tidegate(flags).envs(variables.iter().copied()));
    let code = process.ended().code();
    Ended { code, stdout: process.stdout(), stderr: process.stderr() }
}

/// A running proxy.
pub struct Proxy {
    /// Its process.
    pub process: Process,
    /// In the order of the `--listen` flags.
    pub addresses: Vec<SocketAddr>,
}

impl Proxy {
    /// Starts it on a free port of 127.0.0.1 in front of `upstreams`, without a log.
    pub fn start(upstreams: &[SocketAddr], flags: &[&str]) -> Self {
        let urls: Vec<String> =
            upstreams.iter().map(|address| format!("http://{address}")).collect();
        let upstreams = urls.iter().flat_map(|url| ["--upstream", url]);
        let mut all = vec!["--listen", "127.0.0.1:0", "--log", "none"];
        all.extend(upstreams);
        all.extend(flags);
        Self::spawn(&mut tidegate(&all))
    }

    /// Starts a command that is one.
    pub fn spawn(command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        // The upstreams are said last, in one write with the addresses.
        let addresses = process.says("the addresses listened on", |text| {
            text.contains("\nupstream ").then(|| {
                let lines = text.lines();
                lines
                    .filter_map(|line| line.strip_prefix("listening on http://")?.parse().ok())
                    .collect::<Vec<_>>()
            })
        });
        Self { process, addresses }
    }

    /// The first of its addresses.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

/// The backend with `flags`, not started yet, and untouched by the environment of the test.
pub fn backend(flags: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate-backend"));
    command.args(flags).env_remove("PORT").env_remove("SERVER_ID");
    command
}

/// A running `tidegate-backend`.
pub struct Backend {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Backend {
    /// Starts it on a free port of 127.0.0.1.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_on(0, flags)
    }

    /// Starts it on this port of 127.0.0.1.
    pub fn start_on(port: u16, flags: &[&str]) -> Self {
        let place = ["--port", &port.to_string(), "--listen", "127.0.0.1"];
        Self::spawn(&mut backend(&[&place, flags].concat()))
    }

    /// Starts a command that is one.
    pub fn spawn(command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        let mut address: SocketAddr = process.says("the address listened on", |text| {
            text.split_once(" listening on ")?.1.split_once(',')?.0.parse().ok()
        });
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Self { process, address }
    }

    /// A connection to it.
    pub fn connect(&self) -> Connection {
        Connection::connect(self.address)
    }
}

/// The dashboard with `flags`, not started yet, and untouched by the environment of the test.
pub fn dashboard(flags: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate-dashboard"));
    command.args(flags).env_remove("DASHBOARD_PORT");
    command
}

/// A running dashboard.
pub struct Dashboard {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Dashboard {
    /// Starts a command that is one.
    pub fn spawn(command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        let address = process.says("the address listened on", |text| {
            text.split_once("dashboard on http://")?.1.split_once(',')?.0.parse().ok()
        });
        Self { process, address }
    }
}
