//! How much processor time a request costs here, and in the proxies people would use instead.
//!
//! All contenders of a workload are started, each on the cores that are kept for the proxy, and
//! wait. Then each in turn is put under load for a few seconds, round after round, so that whatever
//! else the machine does meets them alike; compared are medians of one run, never of two. Load and
//! backends have the other cores.
//!
//! A contender is judged by its answers first: one that gives a wrong one, or breaks a connection,
//! has failed, however fast it is.

mod contender;
mod haproxy;
mod job;
mod machine;
mod measure;
mod nginx;
mod place;
mod probe;
pub mod report;
mod results;
mod seen;
mod stats;
mod steady;
mod tools;
mod usage;
mod workload;
mod wrk;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use contender::{Contender, Program, Transport};
pub use machine::Machine;
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
    /// Names of contenders; if there are none, all.
    pub contenders: Vec<String>,
    /// How often each contender has its turn in a workload.
    pub rounds: u32,
    /// How long a turn is.
    pub seconds: u32,
}

impl Plan {
    /// Who takes part in `workload`.
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
    /// A program is not there without which nothing can be measured.
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
        /// What it said last.
        output: String,
    },
    /// The system doesn't let the lab run or watch programs.
    #[error("can't {what}: {source}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody wants it to stop.
    #[error("stopped by a signal")]
    Stopped(i32),
}

fn system(what: &'static str) -> impl Fn(io::Error) -> BenchError {
    move |source| BenchError::System { what, source }
}

/// Runs `plan` with files in `folder`, which must exist, and tells `progress` of it.
///
/// # Errors
/// It could not be run. What contenders do wrong is among the results.
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
