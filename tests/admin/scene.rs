//! The proxy that a test has to do with, and its admin API.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value as Json;
use tempfile::TempDir;

use support::clock::until;
use support::http::{Answer, Connection};
use support::origin::{Origin, ok};
use support::process::Proxy;
use support::unix;

/// A proxy that answers its admin at a Unix socket and at a TCP port.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) proxy: Proxy,
    pub(crate) tcp: SocketAddr,
}

impl Scene {
    pub(crate) fn start(backends: &[SocketAddr], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = unix::name(&folder.path().join("admin.sock"));
        let admin = ["--admin", &socket, "--admin", "127.0.0.1:0"];
        let proxy = Proxy::start(backends, &[&admin[..], flags].concat());
        let tcp = tcp(&proxy);
        Self { folder, proxy, tcp }
    }

    /// One that was started by a configuration file of this text, in which `SOCKET` stands for its
    /// admin's socket.
    pub(crate) fn configured(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        write(&folder, text);
        let mut command = std::process::Command::new(support::programs::program("tidegate"));
        let proxy = Proxy::spawn(command.arg("--config").arg(file));
        let tcp = tcp(&proxy);
        Self { folder, proxy, tcp }
    }

    /// Has another text be in the file.
    pub(crate) fn write(&self, text: &str) {
        write(&self.folder, text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    pub(crate) fn connect(&self) -> Connection {
        unix::connect(&self.socket())
    }

    /// Asks over the Unix socket.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.connect().ask(&request(method, path, body))
    }

    /// What is there, over TCP.
    pub(crate) fn get(&self, path: &str) -> Json {
        let answer = Connection::connect(self.tcp).ask(&request("GET", path, ""));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        json(&answer)
    }

    /// Has something changed: what was.
    pub(crate) fn change(&self, method: &str, path: &str, body: &str) -> Json {
        let answer = self.ask(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path} {body}: {}", answer.text());
        json(&answer)
    }

    /// The backend at this address, as it is told.
    pub(crate) fn backend(&self, address: SocketAddr) -> Json {
        self.find(address).unwrap_or_else(|| panic!("{address} is not told of"))
    }

    pub(crate) fn find(&self, address: SocketAddr) -> Option<Json> {
        let list = self.get("/backends");
        let mut backends = list["backends"].as_array().unwrap().clone().into_iter();
        backends.find(|backend| backend["url"] == url(address))
    }

    /// Waits until nothing is in flight at a backend.
    pub(crate) fn until_idle(&self, address: SocketAddr) {
        let is_idle = || self.find(address).is_none_or(|it| it["in_flight"] == 0);
        until("a backend without requests", || is_idle().then_some(()));
    }
}

fn write(folder: &TempDir, text: &str) {
    let socket = unix::name(&folder.path().join("admin.sock"));
    let file = folder.path().join("a.toml");
    std::fs::write(file, text.replace("SOCKET", &socket)).unwrap();
}

/// Where the admin listens, as it was said.
fn tcp(proxy: &Proxy) -> SocketAddr {
    let said = proxy.process.stdout();
    let mut lines = said.lines().filter_map(|line| line.strip_prefix("admin at http://"));
    lines.next().expect("an address").parse().unwrap()
}

pub(crate) fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
}

pub(crate) fn json(answer: &Answer) -> Json {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()))
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A backend that answers everything with this.
pub(crate) fn answering(text: &'static str) -> Origin {
    Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            connection.send(ok(text));
        }
    })
}
