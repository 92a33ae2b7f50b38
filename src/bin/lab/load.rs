//! `load` on the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, value_parser};
use tidegate::lab::load::{Plan, Target, load};

use crate::{fail, say};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab load http://localhost:9090
  tidegate-lab load --rate 5000 --connections 64 --seconds 30 http://localhost:9090

EXIT STATUS
  0  every request was answered, none with an error
  1  some were not, or nobody is there
  2  a flag is wrong";

#[derive(Args, Debug)]
pub(crate) struct LoadFlags {
    /// Whom to ask what: http://host:port/path
    #[arg(value_name = "URL", value_parser = str::parse::<Target>)]
    target: Target,

    /// Requests per second
    #[arg(
        long, value_name = "N", default_value_t = 1000,
        value_parser = value_parser!(u32).range(1..=1_000_000),
    )]
    rate: u32,

    /// Connections, with one request at a time each
    #[arg(
        long, value_name = "N", default_value_t = 64,
        value_parser = value_parser!(u32).range(1..=60_000),
    )]
    connections: u32,

    /// For how long to ask
    #[arg(
        long, value_name = "SECONDS", default_value_t = 10,
        value_parser = value_parser!(u32).range(1..=86_400),
    )]
    seconds: u32,

    /// File for the percentiles as JSON
    #[arg(long, value_name = "FILE", default_value = "reports/load.json")]
    output: PathBuf,
}

impl LoadFlags {
    pub(crate) fn run(self) -> ExitCode {
        let plan = Plan {
            target: self.target,
            per_second: self.rate,
            connections: self.connections,
            seconds: self.seconds,
        };
        let report = match load(&plan) {
            Ok(report) => report,
            Err(error) => return fail(1, &error),
        };
        say(&report.to_string());
        let folder = self.output.parent().unwrap_or(Path::new("."));
        let written =
            fs::create_dir_all(folder).and_then(|()| fs::write(&self.output, report.json(&plan)));
        if let Err(error) = written {
            return fail(1, &format!("can't write {}: {error}", self.output.display()));
        }
        if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
