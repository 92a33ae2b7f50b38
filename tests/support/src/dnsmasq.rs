//! dnsmasq, with records that change.

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::process::Process;
use rustix::process::Signal;
use tempfile::TempDir;

/// Where its program is, if it is here. Only root has its folder in `PATH`.
pub fn program() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/sbin"];
    folders.iter().map(|folder| Path::new(folder).join("dnsmasq")).find(|file| file.exists())
}

/// A running one, for the names below `example.test`.
pub struct Dnsmasq {
    process: Process,
    folder: TempDir,
}

impl Dnsmasq {
    /// Starts it with these records, each an address and its names.
    pub fn start(records: &[(&str, &str)], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts = folder.path().join("records");
        fs::write(&hosts, text(records)).unwrap();
        let mut command = Command::new(program().expect("it is there"));
        command.args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]);
        command.args(["--listen-address=127.0.0.1", "--bind-interfaces", "--domain-needed"]);
        if !flags.iter().any(|flag| flag.starts_with("--server=")) {
            command.arg("--local=/example.test/");
        }
        command.arg(format!("--addn-hosts={}", hosts.display())).args(flags);
        let mut process = Process::spawn(&mut command);
        process.line("read ");
        Self { process, folder }
    }

    /// From now on these are its records.
    pub fn set(&mut self, records: &[(&str, &str)]) {
        fs::write(self.folder.path().join("records"), text(records)).unwrap();
        self.process.signal(Signal::HUP);
        self.process.line("read ");
    }

    /// It does not answer any more.
    pub fn halt(&self) {
        self.process.halt();
    }

    /// It answers again.
    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }
}

fn text(records: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (address, names) in records {
        writeln!(text, "{address} {names}").unwrap();
    }
    text
}

/// A server that answers every question with SERVFAIL, and its port. dnsmasq passes that on.
pub fn failing_server() -> u16 {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((count, from)) = server.recv_from(&mut message) {
            (message[2], message[3]) = (0x81, 0x82);
            let _ = server.send_to(&message[..count], from);
        }
    });
    port
}
