//! A program that the lab runs: in a process group of its own, and ended with the lab.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{self, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::parent_death;

/// Lines of output that are quoted when a program fails.
const QUOTED_LINES: usize = 5;

/// A running program. It and its children are killed when this value is dropped, and end when the
/// lab dies.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: process::Child,
    /// The file that it writes to, unless its output is piped.
    output: PathBuf,
}

impl Process {
    /// Starts `program` with its output in the file `output`.
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
        let streams = [Stdio::null(), stdout.into(), stderr.into()];
        Ok(Self { child: spawn(lab, program, args, streams)?, output })
    }

    /// Starts `program` with its output in pipes, which are in `child`.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn start_piped(lab: &Path, program: &Path, args: &[OsString]) -> io::Result<Self> {
        let child = spawn(lab, program, args, [Stdio::null(), Stdio::piped(), Stdio::piped()])?;
        Ok(Self { child, output: PathBuf::new() })
    }

    /// Starts `lab` itself on `cores`, or on any, with its input and output in pipes.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn start_talking(
        cores: &[usize],
        lab: &Path,
        args: &[OsString],
    ) -> io::Result<Self> {
        let streams = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
        let child = if cores.is_empty() {
            spawn(lab, lab, args, streams)?
        } else {
            spawn(lab, Path::new("taskset"), &pinned(cores, lab, args), streams)?
        };
        Ok(Self { child, output: PathBuf::new() })
    }

    /// Starts `program` on `cores`, with its output in the file `output`.
    ///
    /// `taskset` pins it, because that works for any program and before it starts a thread.
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
        Self::start(lab, Path::new("taskset"), &pinned(cores, program, args), output)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, once it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks it to end, so that a server can finish its requests and wait for its own children.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(super) fn signal(&self, signal: Signal) {
        // The child has not been waited for, so no other process has its id.
        // It fails only if the child has ended already.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// All that it has written.
    pub(super) fn output(&self) -> String {
        fs::read(&self.output)
            .map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines that it has written, in one line.
    pub(super) fn last_lines(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(QUOTED_LINES)..].join("; ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has not been waited for, so no other group has its id. It fails only if all have
        // ended.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The arguments with which `taskset` runs a program on `cores`.
fn pinned(cores: &[usize], program: &Path, args: &[OsString]) -> Vec<OsString> {
    let mut words = vec!["-c".into(), list(cores).into(), program.into()];
    words.extend_from_slice(args);
    words
}

/// Starts a program in a process group of its own: Ctrl-C reaches only the lab, which stops its
/// children in the order that loses no request.
fn spawn(
    lab: &Path,
    program: &Path,
    args: &[OsString],
    [stdin, stdout, stderr]: [Stdio; 3],
) -> io::Result<process::Child> {
    let mut command = parent_death::command(lab, program, args);
    command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0).spawn()
}

/// Cores as `taskset` and others take them: `0,2`.
pub(super) fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// How a process ended, as the end of a sentence that begins with its name.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended: {status}"),
    }
}
