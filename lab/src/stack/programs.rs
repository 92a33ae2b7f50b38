//! The programs of a stack, which are in the folder of the lab's own.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{StackError, system};
use super::plan::Plan;

/// Where the programs are.
pub(crate) struct Programs {
    pub(super) lab: PathBuf,
    pub(super) proxy: PathBuf,
    pub(super) backend: PathBuf,
    pub(super) dashboard: PathBuf,
    pub(crate) ctl: PathBuf,
}

impl Programs {
    /// # Errors
    /// One is missing.
    pub(crate) fn beside_the_lab() -> Result<Self, StackError> {
        let lab = env::current_exe().map_err(system("find the lab's own program"))?;
        let sibling = |name: &str| {
            let path = lab.with_file_name(name);
            if path.is_file() { Ok(path) } else { Err(StackError::NoProgram(path)) }
        };
        let proxy = sibling("tidegate")?;
        let (backend, dashboard) = (sibling("tidegate-backend")?, sibling("tidegate-dashboard")?);
        let ctl = sibling("tidegatectl")?;
        Ok(Self { lab, proxy, backend, dashboard, ctl })
    }

    /// The executable of `tidegate-lab`.
    pub(crate) fn proxy(&self) -> &Path {
        &self.proxy
    }

    pub(crate) fn lab(&self) -> &Path {
        &self.lab
    }

    /// Has the proxy check its flags. Returns the path of its log, if it will write one.
    ///
    /// # Errors
    /// It refuses them, or would not serve with them.
    pub(crate) fn check(&self, plan: &Plan) -> Result<Option<PathBuf>, StackError> {
        let what = format!("run {}", self.proxy.display());
        let output = Command::new(&self.proxy)
            .args(plan.proxy_args())
            .arg("--check")
            .output()
            .map_err(system(&what))?;
        if !output.status.success() {
            // If the stream is closed, there is no other place for it.
            let _ = io::stderr().write_all(&output.stderr);
            return Err(StackError::Refused);
        }
        let settings = String::from_utf8_lossy(&output.stdout);
        let log = settings.lines().find_map(|line| line.strip_prefix("log  "));
        let log = log.ok_or(StackError::NoServer)?.trim();
        Ok((log != "none").then(|| log.into()))
    }
}
