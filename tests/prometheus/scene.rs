//! A proxy with something to tell.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use support::clock::until;
use support::http::{Connection, get};
use support::origin::{Origin, Silent};
use support::process::Proxy;
use support::programs::program;
use tempfile::TempDir;

/// Those that the proxy has answered.
pub(crate) const REQUESTS: u32 = 20;

/// A proxy in front of a backend that answers, and of one at which nothing listens.
pub(crate) struct Scene {
    proxy: Proxy,
    /// Where its metrics are.
    pub(crate) admin: SocketAddr,
    _origin: Origin,
    silent: Silent,
    folder: TempDir,
}

impl Scene {
    /// The proxy has served some requests.
    pub(crate) fn start() -> Self {
        let (origin, silent) = (Origin::echoing_targets(), Silent::reserve());
        let folder = tempfile::tempdir().unwrap();
        let (file, log) = (folder.path().join("a.toml"), folder.path().join("log.csv"));
        let backends = [origin.address, silent.address];
        let backends = backends.map(|at| format!("[[backend]]\nurl = \"http://{at}\"\n"));
        let text = format!(
            "listen = [\"127.0.0.1:0\"]\nadmin = [\"127.0.0.1:0\"]\nlog = \"{}\"\n{}",
            log.display(),
            backends.concat()
        );
        fs::write(&file, text).unwrap();
        let proxy = Proxy::spawn(Command::new(program("tidegate")).arg("--config").arg(file));
        let said = proxy.process.stdout();
        let mut lines = said.lines().filter_map(|line| line.strip_prefix("admin at http://"));
        let admin = lines.next().expect("an address").parse().unwrap();
        let mut client = Connection::connect(proxy.address());
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/x").text(), "/x");
        }
        let scene = Self { proxy, admin, _origin: origin, silent, folder };
        let rows = format!("\ntidegate_log_rows_total {REQUESTS}\n");
        until("all rows", || scene.text().contains(&rows).then_some(()));
        scene
    }

    /// Its metrics, in the format of those who ask for none.
    pub(crate) fn text(&self) -> String {
        get(self.admin, "/metrics").text()
    }

    /// The backend at which nothing listens.
    pub(crate) fn down(&self) -> String {
        format!("http://{}", self.silent.address)
    }

    /// Has the proxy read a file that is wrong.
    pub(crate) fn refuse_a_reload(&self) {
        fs::write(self.folder.path().join("a.toml"), "what is this?").unwrap();
        self.proxy.process.signal(Signal::HUP);
    }
}
