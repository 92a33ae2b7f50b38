//! A running dashboard over a folder of its own, and a client that sees every byte of an answer.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const FIVE_COLUMNS: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";

/// The program with `flags`, untouched by the environment of whoever runs the tests.
pub(crate) fn program(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-dashboard"));
    command.args(flags).env_remove("DASHBOARD_PORT");
    command
}

/// The program with so many descriptors at most, on a port that the system chooses.
pub(crate) fn limited(descriptors: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_tidegate-dashboard"), "--port", "0"]);
    command.env_remove("DASHBOARD_PORT");
    command
}

/// A folder that may hold a log, and the dashboard over it.
pub(crate) struct Scene {
    folder: TempDir,
    dashboard: Option<Dashboard>,
}

struct Dashboard {
    child: Child,
    address: SocketAddr,
}

impl Scene {
    /// A folder with no dashboard yet.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), dashboard: None }
    }

    /// A dashboard over an empty folder.
    pub(crate) fn started() -> Self {
        Self::new().start(&[])
    }

    /// Starts the dashboard over the folder, on a port that the system chooses.
    pub(crate) fn start(self, flags: &[&str]) -> Self {
        self.spawn(program(&["--port", "0"]), flags)
    }

    /// Starts it with so many descriptors at most.
    pub(crate) fn start_limited(self, descriptors: u32) -> Self {
        self.spawn(limited(descriptors), &[])
    }

    fn spawn(mut self, mut command: Command, flags: &[&str]) -> Self {
        command.arg("--log").arg(self.folder.path()).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("dashboard on http://").expect("the start-up line");
        let address = rest.split_once(',').unwrap().0.parse().unwrap();
        self.dashboard = Some(Dashboard { child, address });
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.dashboard.as_ref().unwrap().address
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.address())
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.connect().ask(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    pub(crate) fn data(&self, query: &str) -> Value {
        let answer = self.get(&format!("/data{query}"));
        assert_eq!(answer.status, 200, "{}", answer.head);
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Asks for the figures until they are as wanted.
    #[expect(clippy::disallowed_methods, reason = "a test may look at the clock to give up")]
    pub(crate) fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let figures = self.data("");
            if wanted(&figures) {
                return figures;
            }
            assert!(begun.elapsed() < PATIENCE, "{figures:#}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits for so many rows since reading began.
    pub(crate) fn until_rows(&self, rows: u64) -> Value {
        self.until(|figures| figures["since"]["requests"] == rows)
    }

    /// How many of something the dashboard's process has: `fd` or `task`.
    pub(crate) fn count(&self, what: &str) -> usize {
        let id = self.dashboard.as_ref().unwrap().child.id();
        fs::read_dir(format!("/proc/{id}/{what}")).unwrap().count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.dashboard.as_ref().unwrap().child), signal).unwrap();
    }

    /// Waits for the dashboard to end by itself.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.dashboard.take().unwrap().child.wait().unwrap().code()
    }

    /// The most memory the dashboard ever had, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let id = self.dashboard.as_ref().unwrap().child.id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(dashboard) = &mut self.dashboard {
            let _ = dashboard.child.kill();
            let _ = dashboard.child.wait();
        }
    }
}

/// A connection to a dashboard.
pub(crate) struct Connection(BufReader<TcpStream>);

/// An answer, its body whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header field; `None` if there is none.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value.trim_end())
        })
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, request: &str) {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Sends a request and reads its answer, the body by its length.
    pub(crate) fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        let mut answer = self.head();
        let length = answer.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        if !request.starts_with("HEAD") {
            answer.body.resize(length, 0);
            self.0.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// The head of an answer.
    pub(crate) fn head(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// Waits for the end of the connection; false if something else comes.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// One chunk of a body; `None` when the connection is closed.
    pub(crate) fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        if self.0.read_line(&mut size).ok()? == 0 {
            return None;
        }
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.0.read_exact(&mut chunk).unwrap();
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(size);
        Some(String::from_utf8(chunk).unwrap())
    }
}
