//! How much processor time a request costs in tidegate and in other proxies.
//!
//! All contenders of a workload are started, each on the cores that are reserved for the proxy.
//! Then each in turn is put under load for a few seconds, round after round, so that other activity
//! of the machine affects all of them. Only medians of one run are compared. Load and backends have
//! the other cores.
//!
//! A contender that gives a wrong answer or breaks a connection has failed, however fast it is.

mod contender;
pub(crate) mod haproxy;
mod job;
mod measure;
pub(crate) mod nginx;
mod place;
mod probe;
pub mod report;
mod results;
mod seen;
mod stats;
mod steady;
mod tools;
pub(crate) mod usage;
mod workload;
mod wrk;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use contender::{Contender, Program, Transport};
pub use measure::Progress;
pub use place::Place;
pub use results::{Entry, Measured, Results, Round};
pub use seen::Load;
pub use stats::Spread;
pub use workload::{LineUp, QUICK, WORKLOADS, Workload};

use super::signals::Signals;
use measure::Bench;
use tidegate::reactor::{cores, descriptors};
use tools::Tools;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kinds of load, in order.
    pub workloads: Vec<Workload>,
    /// Names of contenders; all if there are none.
    pub contenders: Vec<String>,
    /// Rounds per workload, in each of which every contender has one turn.
    pub rounds: u32,
    /// The length of a turn.
    pub seconds: u32,
}

impl Plan {
    /// The contenders of `workload`.
    fn contenders(&self, workload: &Workload) -> Vec<Contender> {
        let is_wanted = |contender: &Contender| {
            self.contenders.is_empty() || self.contenders.iter().any(|name| name == contender.name)
        };
        workload.line_up.contenders().into_iter().filter(is_wanted).collect()
    }
}

/// Why there are no results.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A program is missing that every measurement needs.
    #[error("there is no {0}; {1}")]
    NoProgram(PathBuf, &'static str),
    /// No contender is left.
    #[error("none of the contenders asked for takes part; {}", .0.join("; "))]
    NobodyLeft(Vec<String>),
    /// The load's or a backend's program failed.
    #[error("{name} failed: {output}")]
    Failed {
        /// Which one.
        name: &'static str,
        /// The last lines of its output.
        output: String,
    },
    /// A system call failed.
    #[error("can't {what}: {source}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A signal stopped it.
    #[error("stopped by a signal")]
    Stopped(i32),
}

fn system(what: &'static str) -> impl Fn(io::Error) -> BenchError {
    move |source| BenchError::System { what, source }
}

/// Runs `plan` with files in `folder`, which must exist, and reports to `progress`.
///
/// # Errors
/// It could not be run. Failures of contenders are in the results.
pub fn bench(
    plan: &Plan,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Results, BenchError> {
    descriptors::raise_limit().map_err(system("raise the limit of file descriptors"))?;
    let allowed = cores::allowed().map_err(system("tell its cores"))?;
    let tools = Tools::find()?;
    let signals = Signals::watch().map_err(system("watch signals"))?;
    let bench = Bench { plan, tools, signals, folder, allowed };
    bench.run(progress)
}
