//! A dashboard over a folder of logs, ended with the test.

use std::path::{Path, PathBuf};

use support::process::{Dashboard, dashboard};
use tempfile::TempDir;

pub(crate) struct Site {
    /// `None` while it is stopped.
    dashboard: Option<Dashboard>,
    url: String,
    folder: TempDir,
}

impl Site {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let dashboard = serve(folder.path(), "0");
        let url = format!("http://{}", dashboard.address);
        Self { dashboard: Some(dashboard), url, folder }
    }

    /// Where the dashboard is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Starts the dashboard again at the same address.
    pub(crate) fn restart(&mut self) {
        let port = self.url.rsplit(':').next().unwrap();
        self.dashboard = Some(serve(self.folder.path(), port));
    }

    /// The path of a log of this name.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    /// Ends the dashboard.
    pub(crate) fn stop(&mut self) {
        self.dashboard = None;
    }
}

/// Starts a dashboard over the folder `logs` in a folder.
fn serve(folder: &Path, port: &str) -> Dashboard {
    // Users and screenshots see a relative path.
    Dashboard::spawn(dashboard(&["--port", port]).current_dir(folder))
}
