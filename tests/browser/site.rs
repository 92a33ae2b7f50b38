//! A dashboard over a folder of logs, ended with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Site {
    child: Child,
    pub(crate) url: String,
    folder: TempDir,
}

impl Site {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let (child, url) = serve(folder.path(), "0");
        Self { child, url, folder }
    }

    /// Starts the dashboard again at the same address.
    pub(crate) fn restart(&mut self) {
        let port = self.url.rsplit(':').next().unwrap();
        self.child = serve(self.folder.path(), port).0;
    }

    /// The path of a log of this name.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    /// Ends the dashboard.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a dashboard over the folder `logs` in a folder, and returns its URL.
fn serve(folder: &Path, port: &str) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-dashboard"));
    // Users and screenshots see a relative path.
    command.current_dir(folder).args(["--port", port]).env_remove("DASHBOARD_PORT");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split([' ', ',']).find(|word| word.starts_with("http://"));
    (child, url.expect("the start-up line has the address").to_owned())
}
