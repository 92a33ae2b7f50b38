//! A dashboard over a folder of logs, ended with the test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-dashboard"));
        // A relative path is what people see, and what the pictures should show.
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        command.current_dir(folder.path()).args(["--port", "0"]).env_remove("DASHBOARD_PORT");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split([' ', ',']).find(|word| word.starts_with("http://"));
        let url = url.expect("the start-up line tells the address").to_owned();
        Self { child, url, folder }
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
