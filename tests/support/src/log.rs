//! A proxy that keeps a log, and what the log says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::clock::until;
use super::origin::Origin;
use super::process::{Proxy, tidegate};

/// A row by column.
pub type Row = HashMap<String, String>;

/// The rows of a log.
pub fn rows(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

/// One column of all rows.
pub fn column<'r>(rows: &'r [Row], name: &str) -> Vec<&'r str> {
    rows.iter().map(|row| row[name].as_str()).collect()
}

/// What a row says of how its request ended: status, fault and attempts.
pub fn ending(row: &Row) -> (&str, &str, &str) {
    (&row["status_code"], &row["fault"], &row["attempts"])
}

/// [`ending`] of each row.
pub fn endings(rows: &[Row]) -> Vec<(&str, &str, &str)> {
    rows.iter().map(ending).collect()
}

/// Starts a proxy that logs to `log`.
pub fn logging(origin: &Origin, log: &Path, flags: &[&str]) -> Proxy {
    start(&[origin.address], log, flags)
}

fn start(upstreams: &[SocketAddr], log: &Path, flags: &[&str]) -> Proxy {
    let mut command = tidegate(&["--listen", "127.0.0.1:0", "--log"]);
    command.arg(log).args(flags);
    for address in upstreams {
        command.args(["--upstream", &format!("http://{address}")]);
    }
    Proxy::spawn(&mut command)
}

/// Stops the proxy in order and gives what it printed.
pub fn stop(proxy: &mut Proxy) -> String {
    proxy.process.signal(Signal::TERM);
    let status = proxy.process.ended();
    assert!(status.success(), "{status}: {}", proxy.process.stderr());
    proxy.process.stdout()
}

/// The numbers of a proxy's last line: requests, errors, rows, and rows lost; and, if there is a
/// decision log, choices and choices lost.
pub fn totals<const COUNT: usize>(said: &str) -> [usize; COUNT] {
    let line = said.lines().last().unwrap();
    let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("so many numbers, not {said:?}"))
}

/// A proxy with a log of its own.
pub struct Logged {
    /// The proxy.
    pub proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Logged {
    /// Starts it on a free port of 127.0.0.1 in front of `upstreams`.
    pub fn start(upstreams: &[SocketAddr], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proxy = start(upstreams, &folder.path().join("log.csv"), flags);
        Self { proxy, folder }
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// Where the log is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("log.csv")
    }

    /// Waits until the log has so many rows.
    pub fn has_rows(&self, count: usize) {
        until("the rows", || {
            let text = std::fs::read_to_string(self.path()).unwrap();
            (text.lines().count() > count).then_some(())
        });
    }

    /// Stops the proxy in order and gives its rows, one for each request. Those of one worker come
    /// in the order in which the requests ended.
    pub fn rows(mut self) -> Vec<Row> {
        let [requests, _, rows, lost] = totals(&stop(&mut self.proxy));
        let found = self::rows(&self.path());
        assert_eq!((found.len(), rows, lost), (requests, requests, 0));
        found
    }
}
