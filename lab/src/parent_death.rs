//! Programs that end when the lab does, however it ends.
//!
//! Linux sends a process the signal that it asked for when its parent dies, also after `execve`
//! (prctl(2), `PR_SET_PDEATHSIG`). So a child is started as this program first, which asks for the
//! signal and then executes the program that is wanted. No code runs between fork and exec.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The subcommand of `tidegate-lab` that calls [`become_program`].
pub const SUBCOMMAND: &str = "end-with-parent";

/// The command that runs `program` through `lab`, the executable of `tidegate-lab`.
///
/// It must be spawned by a thread that lives as long as the child may, because to Linux that thread
/// is the parent.
#[must_use]
pub fn command(lab: &Path, program: &Path, args: &[OsString]) -> Command {
    let mut command = Command::new(lab);
    command.arg(SUBCOMMAND).arg(process::id().to_string()).arg(program).arg("--").args(args);
    command
}

/// Becomes `program`, which gets SIGTERM when process `parent` dies.
///
/// # Errors
/// It returns only if it failed: the program can't be executed, or the parent has ended already.
pub fn become_program(parent: u32, program: &Path, args: &[OsString]) -> io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    // If the parent died before the signal was asked for, none will ever be sent.
    let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
    if getppid() != parent {
        return io::Error::new(io::ErrorKind::NotFound, "its parent has ended");
    }
    Command::new(program).args(args).exec()
}
