//! A running dashboard over a folder of its own.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use support::clock::until;
use support::http::{Answer, Connection};
use support::process::{Dashboard, Process, dashboard};
use support::programs::program;
use tempfile::TempDir;

pub(crate) const FIVE_COLUMNS: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";

/// The program with so many descriptors at most, on a port that the system chooses.
pub(crate) fn limited(descriptors: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(program("tidegate-dashboard")).args(["--port", "0"]);
    command.env_remove("DASHBOARD_PORT");
    command
}

/// A folder that may hold a log, and the dashboard over it.
pub(crate) struct Scene {
    folder: TempDir,
    dashboard: Option<Dashboard>,
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
        self.spawn(dashboard(&["--port", "0"]), flags)
    }

    /// Starts it with so many descriptors at most.
    pub(crate) fn start_limited(self, descriptors: u32) -> Self {
        self.spawn(limited(descriptors), &[])
    }

    fn spawn(mut self, mut command: Command, flags: &[&str]) -> Self {
        command.arg("--log").arg(self.folder.path()).args(flags);
        self.dashboard = Some(Dashboard::spawn(&mut command));
        self
    }

    pub(crate) fn process(&self) -> &Process {
        &self.dashboard.as_ref().unwrap().process
    }

    /// Waits for the dashboard to end by itself.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.dashboard.take().unwrap().process.ended().code()
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
        Connection::connect(self.address())
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.connect().ask(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    pub(crate) fn data(&self, query: &str) -> Value {
        self.json(&format!("/data{query}"))
    }

    pub(crate) fn json(&self, target: &str) -> Value {
        let answer = self.get(target);
        assert_eq!(answer.status, 200, "{}", answer.head);
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Asks for the figures until they are as wanted.
    pub(crate) fn until(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        until("the wanted figures", || Some(self.data("")).filter(&is_wanted))
    }

    /// Waits for so many rows since reading began.
    pub(crate) fn until_rows(&self, rows: u64) -> Value {
        self.until(|figures| figures["since"]["requests"] == rows)
    }
}
