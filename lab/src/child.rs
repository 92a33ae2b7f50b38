//! One program the lab runs, and where its output goes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

use super::leash;
use tidegate::console::Console;

/// Names are padded to this, so that the output of all children lines up.
const NAME_WIDTH: usize = 9;

/// Where what a child says goes.
pub(super) enum Output {
    /// To the lab's own standard output and error, each line under the child's name.
    Shown,
    /// To a file, each line under the child's name.
    Labelled(File),
    /// To a file, as it is.
    Plain(File),
}

/// A running child. It is killed when this value is dropped, and also when the lab dies.
pub(super) struct Child {
    name: String,
    process: process::Child,
    /// Threads that pass output on; they end when nobody can write any more.
    pumps: Vec<JoinHandle<()>>,
}

impl Child {
    /// Starts `program` in a process group of its own: Ctrl-C reaches only the lab, which stops its
    /// children in the order that loses nothing.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn start(
        name: &str,
        lab: &Path,
        program: &Path,
        args: &[OsString],
        output: &Output,
    ) -> io::Result<Self> {
        let (stdout, stderr) = match output {
            Output::Plain(file) => (file.try_clone()?.into(), file.try_clone()?.into()),
            Output::Shown | Output::Labelled(_) => (Stdio::piped(), Stdio::piped()),
        };
        let mut process = leash::command(lab, program, args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let mut child = Self { name: name.to_owned(), process, pumps: Vec::new() };
        if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
            child.pumps = if let Output::Labelled(file) = output {
                vec![pump(name, stdout, into_file(file)?)?, pump(name, stderr, into_file(file)?)?]
            } else {
                let (out, err) = (Console::standard(), Console::on_stderr());
                vec![
                    pump(name, stdout, move |line| out.offer(line))?,
                    pump(name, stderr, move |line| err.offer(line))?,
                ]
            };
        }
        Ok(child)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How the child ended, once it has and all it said has been passed on.
    ///
    /// # Errors
    /// The system doesn't tell.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.process.try_wait()?;
        if status.is_some() {
            for pump in self.pumps.drain(..) {
                // A pump can't panic, and if it did, there is nothing left to pass on.
                let _ = pump.join();
            }
        }
        Ok(status)
    }

    /// Asks the child to finish its work and end.
    pub(super) fn terminate(&self) {
        // The child has not been waited for, so its id can't be anybody else's.
        // It fails only for one that has ended already.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
    }

    /// Ends the child at once.
    pub(super) fn kill(&mut self) {
        let _ = self.process.kill();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        let _ = self.process.wait();
    }
}

/// Says how a process ended, for a sentence that begins with its name.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended: {status}"),
    }
}

/// Puts lines into a file. When it takes none, the children's must still be taken from them.
fn into_file(file: &File) -> io::Result<impl FnMut(&[u8]) + Send + 'static> {
    let mut file = file.try_clone()?;
    Ok(move |line: &[u8]| drop(file.write_all(line)))
}

/// Passes lines on under `name`, each in one piece, so that children don't mix within a line.
fn pump(
    name: &str,
    from: impl Read + Send + 'static,
    mut put: impl FnMut(&[u8]) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let label = format!("{name:NAME_WIDTH$} | ");
    thread::Builder::new().name(format!("output of {name}")).spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = label.clone().into_bytes();
        while from.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if !line.ends_with(b"\n") {
                line.push(b'\n');
            }
            put(&line);
            line.truncate(label.len());
        }
    })
}
