//! A proxy that was started with a configuration file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use support::process::Proxy;
use support::programs::program;

/// A proxy and the folder of its file, which is named a.toml.
pub(crate) struct Configured {
    pub(crate) folder: TempDir,
    pub(crate) proxy: Proxy,
}

impl Configured {
    /// Starts it; see [`write`].
    pub(crate) fn start(rest: &str, backends: &[SocketAddr]) -> Self {
        Self::start_with(&[], rest, backends)
    }

    /// The same with flags.
    pub(crate) fn start_with(flags: &[&str], rest: &str, backends: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        write(&path, rest, backends);
        let mut command = Command::new(program("tidegate"));
        let proxy = Proxy::spawn(command.arg("--config").arg(path).args(flags));
        Self { folder, proxy }
    }

    /// The address that is always listened on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has it read this in place of what was in the file: what it says of that.
    pub(crate) fn reload(&mut self, rest: &str, backends: &[SocketAddr]) -> String {
        write(&self.path("a.toml"), rest, backends);
        self.reload_as_it_is()
    }

    /// Has it read the file again: what it says of that.
    pub(crate) fn reload_as_it_is(&mut self) -> String {
        self.proxy.process.signal(Signal::HUP);
        self.proxy.process.line("reloaded")
    }
}

/// Writes a file with these lines and backends. Unless a line says otherwise, it has the proxy
/// listen on a port that the system chooses.
pub(crate) fn write(path: &Path, rest: &str, backends: &[SocketAddr]) {
    let tables = backends.iter().map(|at| format!("[[backend]]\nurl = 'http://{at}'\n"));
    let listen = if rest.contains("listen = ") { "" } else { "listen = '127.0.0.1:0'" };
    let text = format!("{listen}\n{rest}\n{}", tables.collect::<String>());
    // In one step, so that it is never read in part.
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}
