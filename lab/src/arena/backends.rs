//! The backends of a scenario, for real: one process with one event loop on cores of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use tidegate::time::format_duration;

use super::protocol;
use crate::backend::Counts;
use crate::bench::usage::Tree;
use crate::process::Process;

/// They listen from [`Backends::start`] on and do what their scripts say of the beginning, until
/// [`Backends::begin`]. Dropping it ends them.
#[derive(Debug)]
pub struct Backends {
    /// Where each listens, in the order of `Scenario::each_backend`.
    pub addresses: Vec<SocketAddr>,
    process: Process,
    /// It ends when this is closed.
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Backends {
    /// Starts the backends of a scenario (a file, or the name of one of the lab) through `lab`, the
    /// executable of `tidegate-lab`, and waits until they listen. Requests are counted in `bins`.
    ///
    /// # Errors
    /// The scenario is wrong, or they can't be started.
    pub fn start(lab: &Path, scenario: &Path, bins: Duration, cores: &[usize]) -> io::Result<Self> {
        let args = [
            protocol::SUBCOMMAND.into(),
            scenario.into(),
            "--bins".into(),
            format_duration(bins).into(),
        ];
        let mut process = Process::start_talking(cores, lab, &args)?;
        let (input, output) = (process.child.stdin.take(), process.child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut output = BufReader::new(output);
        let addresses = read(&mut output, &mut process)?;
        Ok(Self { addresses, process, input, output })
    }

    /// Sets time zero of scripts and bins, which may be in the future. Speeds that drift do so by
    /// `seed`, as in the simulator.
    ///
    /// # Errors
    /// They have ended.
    pub fn begin(&mut self, at: SystemTime, seed: u64) -> io::Result<()> {
        self.input.write_all(protocol::begin(at, seed).as_bytes())
    }

    /// Processor time that they have used.
    ///
    /// # Errors
    /// They have ended.
    pub fn processor_time(&self) -> io::Result<Duration> {
        Tree::of(self.process.id())?.processor_time()
    }

    /// Ends them.
    ///
    /// # Errors
    /// They had ended before.
    pub fn stop(self) -> io::Result<Counts> {
        let Self { mut process, input, mut output, .. } = self;
        drop(input);
        read(&mut output, &mut process)
    }
}

/// Reads the next line. Where there is none, the process has said why on its standard error.
fn read<T: DeserializeOwned>(
    output: &mut BufReader<ChildStdout>,
    process: &mut Process,
) -> io::Result<T> {
    let mut line = String::new();
    if output.read_line(&mut line)? == 0 {
        let mut complaint = String::new();
        if let Some(stderr) = &mut process.child.stderr {
            stderr.read_to_string(&mut complaint)?;
        }
        return Err(io::Error::other(format!("the backends have ended: {}", complaint.trim())));
    }
    Ok(serde_json::from_str(&line)?)
}
