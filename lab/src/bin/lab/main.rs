//! `tidegate-lab`: parses flags, makes one call, and returns an exit code.

mod arena;
mod backends;
mod bench;
mod explain;
mod hedge;
mod load;
mod meter;
mod places;
mod relay;
mod replay;
mod report;
mod scenarios;
mod scratch;
mod setup;
mod simulate;
mod soak;
mod turns;
mod up;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use arena::ArenaFlags;
use backends::BackendsFlags;
use bench::BenchFlags;
use clap::{Parser, Subcommand};
use explain::ExplainFlags;
use load::LoadFlags;
use relay::RelayFlags;
use replay::ReplayFlags;
use report::ReportFlags;
use scenarios::ScenariosFlags;
use setup::SetupFlags;
use simulate::SimulateFlags;
use soak::{OriginFlags, SoakFlags};
use tidegate::console::Console;
use tidegate::usage::{self, Advice};
use tidegate_lab::arena::protocol;
use tidegate_lab::parent_death;
use tidegate_lab::soak::origin;
use tidegate_lab::stack::StackError;
use up::UpFlags;

/// A flag is wrong.
const MISUSE: u8 = 2;

/// Suggestions for flags of another subcommand or another program.
const ADVICE: [Advice; 7] = [
    Advice { task: "", words: &POLICIES, tip: "to run a policy: 'tidegate-lab up <POLICY>'" },
    Advice {
        task: "up",
        words: &[],
        tip: "flags of the proxy go after '--': 'tidegate-lab up <POLICY> -- {}'",
    },
    Advice { task: "scenarios", words: &["policy", "connections"], tip: ONE_SCENARIO },
    Advice { task: "scenarios", words: &POLICIES, tip: ONE_SCENARIO },
    Advice {
        task: "scenarios",
        words: &[],
        tip: "scenarios take no flags of the proxy; 'tidegate-lab up' takes them after '--'",
    },
    Advice {
        task: "load",
        words: &["port", "host", "address"],
        tip: "it is part of the URL: 'tidegate-lab load http://localhost:9090'",
    },
    Advice {
        task: "relay",
        words: &["port"],
        tip: "the port is part of '--listen 127.0.0.1:9090'",
    },
];

const POLICIES: [&str; 5] =
    ["round-robin", "adaptive_sma", "adaptive_ewma", "least-conn", "adaptive"];

const ONE_SCENARIO: &str = "all six are run; one alone is run by \
    'tidegate-lab up <POLICY> --connections <MODE>'";

/// Runs, loads, measures and compares the tidegate proxy.
#[derive(Debug, Parser)]
#[command(name = "tidegate-lab", version, max_term_width = 100)]
struct Flags {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what the demo and the tests need, by apt-get as root or through sudo
    Setup(SetupFlags),
    /// Run three backends, the proxy and the dashboard in the foreground
    #[command(after_help = up::EXAMPLES)]
    Up(UpFlags),
    /// Run the six scenarios under load: each policy with each kind of connections
    #[command(after_help = scenarios::EXAMPLES)]
    Scenarios(ScenariosFlags),
    /// Compare the logs of runs: throughput, latency, errors, the share of each backend
    #[command(after_help = report::EXAMPLES)]
    Report(ReportFlags),
    /// Tell in sentences why a request went where it went, from the logs of a run
    #[command(after_help = explain::EXAMPLES)]
    Explain(ExplainFlags),
    /// Measure the processor time per request of tidegate and other proxies
    #[command(after_help = bench::EXAMPLES)]
    Bench(BenchFlags),
    /// Run real proxies before backends that queue, slow down and fail, and compare their latencies
    #[command(after_help = arena::EXAMPLES)]
    Arena(ArenaFlags),
    /// Send requests at a fixed rate, regardless of the answers, and print the latencies
    #[command(after_help = load::EXAMPLES)]
    Load(LoadFlags),
    /// Relay bytes without parsing them, as the lower limit of a comparison
    Relay(RelayFlags),
    /// Compare policies in simulated time, in scenarios written as files
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(SimulateFlags),
    /// Predict from a log what other policies would have made of the same requests
    #[command(after_help = replay::EXAMPLES)]
    Replay(ReplayFlags),
    /// Run clients and backends that misbehave, and account for every request
    #[command(after_help = soak::EXAMPLES)]
    Soak(SoakFlags),
    /// Be a backend of `soak`
    #[command(name = origin::SUBCOMMAND, hide = true)]
    Origin(OriginFlags),
    /// Be the backends of a scenario
    #[command(name = protocol::SUBCOMMAND, hide = true)]
    Backends(BackendsFlags),
    /// Become a program that ends with its parent
    #[command(name = parent_death::SUBCOMMAND, hide = true)]
    EndWithParent {
        parent: u32,
        program: PathBuf,
        #[arg(last = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let code = run(usage::parse::<Flags>(&ADVICE).task);
    Console::standard().finish();
    code
}

fn run(task: Task) -> ExitCode {
    match task {
        Task::Setup(flags) => flags.run(),
        Task::Up(flags) => flags.run(),
        Task::Scenarios(flags) => flags.run(),
        Task::Report(flags) => flags.run(),
        Task::Explain(flags) => flags.run(),
        Task::Bench(flags) => flags.run(),
        Task::Arena(flags) => flags.run(),
        Task::Load(flags) => flags.run(),
        Task::Relay(flags) => flags.run(),
        Task::Simulate(flags) => flags.run(),
        Task::Replay(flags) => flags.run(),
        Task::Soak(flags) => flags.run(),
        Task::Origin(flags) => flags.run(),
        Task::Backends(flags) => flags.run(),
        Task::EndWithParent { parent, program, args } => {
            let error = parent_death::become_program(parent, &program, &args);
            fail(1, &format!("can't run {}: {error}", program.display()))
        }
    }
}

/// Prints a result, however slowly it is read. If stdout is closed, there is no other place for it.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn fail(code: u8, error: &impl std::fmt::Display) -> ExitCode {
    Console::standard().complain(&format!("tidegate-lab: {error}"));
    ExitCode::from(code)
}

/// The exit code for a stack that did not come up or didn't stay.
fn stack_code(error: &StackError) -> u8 {
    match error {
        StackError::Refused | StackError::NoServer | StackError::PortTwice(_) => MISUSE,
        StackError::Hurried(signal) => signal_code(*signal),
        _ => 1,
    }
}

/// As a shell reports a program that a signal ended.
fn signal_code(signal: i32) -> u8 {
    128u8.saturating_add(u8::try_from(signal).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate::balance::Policy;

    #[test]
    fn the_policies_of_the_advice_are_those_there_are() {
        assert_eq!(POLICIES, Policy::ALL.map(Policy::name));
    }
}
