//! `tidegatectl`: asks and tells a running proxy.

use std::process::ExitCode;

use tidegate::ctl::{self, Flags};
use tidegate::usage;

fn main() -> ExitCode {
    let flags: Flags = usage::parse(&ctl::ADVICE);
    match ctl::run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegatectl: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
