//! A program that ends with the lab, with its output in a file, on cores of its own if need be.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::leash;

/// Lines of output that are quoted when a program fails.
const QUOTED_LINES: usize = 5;

/// A running program. It and its children are killed when this value is dropped, and they end when
/// the lab dies.
#[derive(Debug)]
pub(super) struct Process {
    child: process::Child,
    output: PathBuf,
}

impl Process {
    /// Starts `program` with what it says in the file `output`.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn start(
        lab: &Path,
        program: &Path,
        args: &[OsString],
        output: PathBuf,
    ) -> io::Result<Self> {
        let stdout = File::create(&output)?;
        let stderr = stdout.try_clone()?;
        let child = leash::command(lab, program, args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        Ok(Self { child, output })
    }

    /// Starts `program` on `cores`.
    ///
    /// `taskset` puts it there, since it does so for any program before it has made a thread.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn start_on(
        cores: &[usize],
        lab: &Path,
        program: &Path,
        args: &[OsString],
        output: PathBuf,
    ) -> io::Result<Self> {
        let mut words = vec!["-c".into(), list(cores).into(), program.into()];
        words.extend_from_slice(args);
        Self::start(lab, Path::new("taskset"), &words, output)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, once it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks it to end, which gives a server time to wait for its own children.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(super) fn signal(&self, signal: Signal) {
        // The child has not been waited for, so its id can't be anybody else's.
        // It fails only for one that has ended already.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// All it has said.
    pub(super) fn output(&self) -> String {
        fs::read(&self.output)
            .map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last of what it has said, in one line.
    pub(super) fn last_lines(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(QUOTED_LINES)..].join("; ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not yet waited for, so the group can't be anybody else's. Failure means that it is gone.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Cores as `taskset` and others take them: `0,2`.
pub(super) fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
