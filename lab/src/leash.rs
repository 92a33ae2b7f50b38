//! A program that ends when the one that started it does, however that ended.
//!
//! Linux sends a process the signal it asked for when its parent dies, and keeps that wish across
//! `execve` (prctl(2), `PR_SET_PDEATHSIG`). So a child is started as this program first, which asks
//! for the signal and then becomes the program that was meant; no code runs between fork and exec.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The subcommand of `tidegate-lab` that calls [`become_program`].
pub const SUBCOMMAND: &str = "leash";

/// The command that runs `program` through `lab`, the executable of `tidegate-lab`.
///
/// It must be spawned on a thread that lives as long as the child may: to Linux, that thread is the
/// parent.
#[must_use]
pub fn command(lab: &Path, program: &Path, args: &[OsString]) -> Command {
    let mut command = Command::new(lab);
    command.arg(SUBCOMMAND).arg(process::id().to_string()).arg(program).arg("--").args(args);
    command
}

/// Becomes `program`, which gets SIGTERM when process `parent` dies.
///
/// # Errors
/// It returns only if it failed: the program can't be executed, or the parent is gone already.
pub fn become_program(parent: u32, program: &Path, args: &[OsString]) -> io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    // The parent may have died before the wish was made; then no signal will ever come.
    let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
    if getppid() != parent {
        return io::Error::new(io::ErrorKind::NotFound, "who started it is gone");
    }
    Command::new(program).args(args).exec()
}
