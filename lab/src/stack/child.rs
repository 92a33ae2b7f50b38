//! One program of a stack, and where its output goes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitStatus;
use std::thread::{self, JoinHandle};

use crate::process::Process;
use tidegate::console::Console;

/// Names are padded to this width, so that the output of all children is aligned.
const NAME_WIDTH: usize = 9;

/// Where the output of children goes, each line after the child's name.
pub(crate) enum Output {
    /// To the lab's own standard output and error.
    Shown,
    /// To a file.
    File(File),
}

/// A running child. It is killed when this value is dropped, and when the lab dies.
pub(super) struct Child {
    name: String,
    process: Process,
    /// Threads that pass output on; they end when all writers have closed the pipe.
    pumps: Vec<JoinHandle<()>>,
}

impl Child {
    /// # Errors
    /// It could not be started.
    pub(super) fn start(
        name: &str,
        lab: &Path,
        program: &Path,
        args: &[OsString],
        output: &Output,
    ) -> io::Result<Self> {
        let mut process = Process::start_piped(lab, program, args)?;
        let (stdout, stderr) = (process.child.stdout.take(), process.child.stderr.take());
        let mut child = Self { name: name.to_owned(), process, pumps: Vec::new() };
        if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
            child.pumps = if let Output::File(file) = output {
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

    /// How the child ended, once it has and all of its output has been passed on.
    ///
    /// # Errors
    /// The system does not tell.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.process.ended()?;
        if status.is_some() {
            for pump in self.pumps.drain(..) {
                // It can't panic.
                let _ = pump.join();
            }
        }
        Ok(status)
    }

    /// Asks the child to finish its work and end.
    pub(super) fn terminate(&self) {
        self.process.terminate();
    }
}

/// Writes lines to a file. If it takes none, the child's pipes are emptied all the same.
fn into_file(file: &File) -> io::Result<impl FnMut(&[u8]) + Send + 'static> {
    let mut file = file.try_clone()?;
    Ok(move |line: &[u8]| drop(file.write_all(line)))
}

/// Passes lines on after the child's name, each at once, so that the lines of children don't mix.
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
