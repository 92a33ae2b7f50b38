//! `soak` on the command line.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, process};

use clap::{Args, value_parser};
use tidegate_lab::soak::{Plan, Progress, SoakError, origin, soak};

use crate::meter::Meter;
use crate::{fail, say, signal_code};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab soak
  tidegate-lab soak 60 --rate 2000
  tidegate-lab soak 0.2 --seed 7

EXIT STATUS
  0  nothing was found; also if a signal ended it early
  1  something was found, or it could not run
  2  a flag is wrong
  130  stopped at once by a second Ctrl-C (143: by a second SIGTERM)";

#[derive(Args, Debug)]
pub(crate) struct SoakFlags {
    /// Minutes to run; fractions are allowed
    #[arg(value_name = "MINUTES", default_value_t = 20.0, value_parser = minutes)]
    minutes: f64,

    /// Seed of all random choices [default: a new one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Clients, each with one connection at a time
    #[arg(
        long, value_name = "N", default_value_t = 24,
        value_parser = value_parser!(u32).range(1..=1000),
    )]
    clients: u32,

    /// Requests per second of all clients together, at most
    #[arg(
        long, value_name = "N", default_value_t = 1500,
        value_parser = value_parser!(u32).range(1..=100_000),
    )]
    rate: u32,
}

fn minutes(text: &str) -> Result<f64, String> {
    /// A week.
    const MOST: f64 = 7.0 * 24.0 * 60.0;
    let minutes = text.parse().ok().filter(|minutes| *minutes > 0.0 && *minutes <= MOST);
    minutes.ok_or_else(|| format!("give minutes above 0 and up to {MOST}, such as 20 or 0.2"))
}

impl SoakFlags {
    pub(crate) fn run(self) -> ExitCode {
        let plan = Plan {
            duration: Duration::from_secs_f64(self.minutes * 60.0),
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
            clients: self.clients,
            rate: self.rate,
        };
        let folder = env::temp_dir().join(format!("tidegate-soak-{}", process::id()));
        if let Err(error) = fs::create_dir(&folder) {
            return fail(1, &format!("can't make {}: {error}", folder.display()));
        }
        say(&format!("seed {}, logs in {}\n", plan.seed, folder.display()));
        let seconds = plan.duration.as_secs();
        let mut meter = Meter::of_seconds(seconds, seconds);
        let outcome = soak(&plan, &folder, &mut |progress| show(&mut meter, progress));
        drop(meter);
        match outcome {
            Ok(report) => {
                say(&report.to_string());
                if !report.is_clean() {
                    return fail(1, &format!("the logs are kept in {}", folder.display()));
                }
                // What is left in a folder for temporary files does no harm.
                let _ = fs::remove_dir_all(&folder);
                ExitCode::SUCCESS
            }
            Err(error) => {
                let code = match error {
                    SoakError::Hurried(signal) => signal_code(signal),
                    _ => 1,
                };
                fail(code, &error)
            }
        }
    }
}

fn show(meter: &mut Meter, progress: Progress) {
    let Progress { elapsed, rows, findings } = progress;
    meter.at(elapsed.as_secs(), &format!("{rows} rows read, {findings} findings"));
}

/// The backend of a soak, which the soak itself starts.
#[derive(Args, Debug)]
pub(crate) struct OriginFlags {
    address: SocketAddr,
}

impl OriginFlags {
    pub(crate) fn run(&self) -> ExitCode {
        match origin::serve(self.address) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("can't listen on {}: {error}", self.address)),
        }
    }
}
