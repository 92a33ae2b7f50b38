//! `tidegate-lab`: sets up, runs and measures. Flags in, one call, an exit code out.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};
use rustix::process::geteuid;
use tidegate::balance::Policy;
use tidegate::lab::leash;
use tidegate::lab::setup::setup;
use tidegate::lab::up::{Plan, UpError, up};

/// A flag is wrong.
const MISUSE: u8 = 2;

const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab up adaptive_ewma
  tidegate-lab up round-robin --connections non-persistent
  tidegate-lab up --port 19090 --backend-ports 18081,18082,18083
  tidegate-lab up adaptive_sma -- --sma-window 10 --workers 2 --pin auto

EXIT STATUS
  0    stopped by a signal, everything finished
  1    could not start, or a program ended by itself
  2    a flag is wrong
  130  stopped at once by a second Ctrl-C (143: by a second SIGTERM)";

/// The lab around the tidegate proxy.
#[derive(Debug, Parser)]
#[command(name = "tidegate-lab", version, max_term_width = 100)]
struct Flags {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what running and testing need, by apt-get as root or through sudo
    Setup,
    /// Run the whole stack in the foreground: three backends and the proxy
    #[command(after_help = EXAMPLES)]
    Up(UpFlags),
    /// Become a program that ends when its parent does
    #[command(name = leash::SUBCOMMAND, hide = true)]
    Leash {
        parent: u32,
        program: PathBuf,
        #[arg(last = true)]
        args: Vec<OsString>,
    },
}

#[derive(Args, Debug)]
struct UpFlags {
    /// How a backend is chosen: round-robin, `adaptive_sma` or `adaptive_ewma`
    #[arg(
        value_name = "POLICY", default_value = "round-robin", value_parser = str::parse::<Policy>,
    )]
    policy: Policy,

    /// How upstream connections are used
    #[arg(long, value_name = "MODE", default_value = "persistent", value_parser = modes())]
    connections: String,

    /// Port of the proxy
    #[arg(
        long, value_name = "PORT", default_value_t = 9090,
        value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "listen",
    )]
    port: u16,

    /// Address and port of the proxy [default: 0.0.0.0 and --port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,

    /// Ports of the backends A, B and C on localhost
    #[arg(
        long, value_name = "A,B,C", default_value = "8081,8082,8083", value_parser = three_ports,
    )]
    backend_ports: Ports,

    /// Further flags of the proxy, after `--`; `tidegate --help` lists them
    #[arg(last = true, value_name = "PROXY FLAGS")]
    proxy_flags: Vec<OsString>,
}

#[derive(Clone, Copy, Debug)]
struct Ports([u16; 3]);

fn modes() -> PossibleValuesParser {
    let non_persistent = PossibleValue::new("non-persistent").alias("non_persistent");
    PossibleValuesParser::new([PossibleValue::new("persistent"), non_persistent])
}

fn three_ports(text: &str) -> Result<Ports, String> {
    let port = |word: &str| word.trim().parse().ok().filter(|port: &u16| *port > 0);
    let ports: Option<Vec<u16>> = text.split(',').map(port).collect();
    ports
        .and_then(|ports| ports.try_into().ok())
        .map(Ports)
        .ok_or_else(|| "give three ports, such as 18081,18082,18083".to_owned())
}

impl UpFlags {
    fn plan(self) -> Plan {
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port));
        Plan {
            policy: self.policy,
            connections: self.connections,
            listen: self.listen.unwrap_or(everywhere),
            backend_ports: self.backend_ports.0,
            proxy_flags: self.proxy_flags,
        }
    }
}

fn main() -> ExitCode {
    match Flags::parse().task {
        Task::Setup => run_setup(),
        Task::Up(flags) => run_up(flags),
        Task::Leash { parent, program, args } => {
            let error = leash::become_program(parent, &program, &args);
            fail(1, &format!("can't run {}: {error}", program.display()))
        }
    }
}

fn run_setup() -> ExitCode {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match setup(&path, geteuid().is_root()) {
        Ok(installed) => {
            let names: Vec<_> = installed.iter().map(|tool| tool.command).collect();
            let news = match names.as_slice() {
                [] => "nothing is missing".to_owned(),
                names => format!("installed {}", names.join(", ")),
            };
            // Nobody is left to tell when stdout is gone.
            let _ = writeln!(io::stdout(), "{news}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, &error),
    }
}

fn run_up(flags: UpFlags) -> ExitCode {
    match up(&flags.plan()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = match error {
                UpError::Refused | UpError::PortTwice(_) => MISUSE,
                // As a shell reports a program that a signal ended.
                UpError::Hurried(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
                _ => 1,
            };
            fail(code, &error)
        }
    }
}

fn fail(code: u8, error: &impl std::fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "tidegate-lab: {error}");
    ExitCode::from(code)
}
