//! `load` on the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::{fs, io};

use clap::{Args, value_parser};
use tidegate_lab::load::{Plan, Progress, Target, load};

use crate::meter::Meter;
use crate::{fail, say};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab load http://localhost:9090
  tidegate-lab load --rate 5000 --connections 64 --seconds 30 http://localhost:9090

EXIT STATUS
  0  every request was answered, none with an error
  1  some were not, or there is no server
  2  a flag is wrong";

#[derive(Args, Debug)]
pub(crate) struct LoadFlags {
    /// What to request: http://host:port/path
    #[arg(value_name = "URL", value_parser = str::parse::<Target>)]
    target: Target,

    /// Requests per second
    #[arg(
        long, value_name = "N", default_value_t = 1000,
        value_parser = value_parser!(u32).range(1..=1_000_000),
    )]
    rate: u32,

    /// Connections at most, with one request at a time each
    #[arg(
        long, value_name = "N", default_value_t = 64,
        value_parser = value_parser!(u32).range(1..=60_000),
    )]
    connections: u32,

    /// How long to send requests
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
        let (sender, shower) = match show(&plan) {
            Ok(shown) => shown,
            Err(error) => return fail(1, &format!("can't start a thread: {error}")),
        };
        // Showing the progress must not delay the load.
        let outcome = load(&plan, &mut |progress| {
            let _ = sender.try_send(progress);
        });
        drop(sender);
        // It can't panic, and the report does not need it.
        let _ = shower.join();
        let report = match outcome {
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

/// Shows progress on a thread of its own, until the sender is dropped.
fn show(plan: &Plan) -> io::Result<(SyncSender<Progress>, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel::<Progress>(1);
    let seconds = plan.seconds.into();
    let shower = thread::Builder::new().name("progress".to_owned()).spawn(move || {
        let mut meter = Meter::of_seconds(seconds, seconds);
        for Progress { elapsed, asked, answered, errors } in receiver {
            let words = format!("{asked} sent, {answered} answered, {errors} errors");
            meter.at(elapsed.as_secs(), &words);
        }
    })?;
    Ok((sender, shower))
}
