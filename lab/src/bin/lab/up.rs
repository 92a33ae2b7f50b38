//! `up` on the command line.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use tidegate::balance::Policy;
use tidegate::usage::or_nearest;
use tidegate_lab::stack::{Admin, PROXY, Plan, StackError};
use tidegate_lab::up::{Loss, up};

use crate::places::Places;
use crate::{fail, signal_code, stack_code};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab up adaptive_ewma
  tidegate-lab up round-robin --connections non-persistent
  tidegate-lab up --port 19090 --backend-ports 18081,18082,18083 --dashboard-port 15002 \
      --admin-port 19091
  tidegate-lab up adaptive_sma -- --sma-window 10 --workers 2 --pin auto

If a backend or the dashboard ends, up prints a message and the rest continues: kill a backend to
see how the proxy copes. If the proxy ends, everything ends.

EXIT STATUS
  0    stopped by a signal, everything finished
  1    could not start, or with --once a program ended by itself
  2    a flag is wrong
  N    the proxy ended by itself with status N (128 + signal, if a signal killed it)
  130  stopped at once by a second Ctrl-C (143: by a second SIGTERM)";

#[derive(Args, Debug)]
pub(crate) struct UpFlags {
    /// How a backend is chosen: adaptive, least-conn, round-robin, `adaptive_sma` or
    /// `adaptive_ewma`
    #[arg(value_name = "POLICY", default_value = "adaptive", value_parser = policy_name)]
    policy: Policy,

    /// How upstream connections are used
    #[arg(long, value_name = "MODE", default_value = "persistent", value_parser = modes())]
    connections: String,

    #[command(flatten)]
    places: Places,

    /// Port of the dashboard on localhost
    #[arg(
        long, value_name = "PORT", default_value_t = 5002,
        value_parser = clap::value_parser!(u16).range(1..),
    )]
    dashboard_port: u16,

    /// Run no dashboard
    #[arg(long, conflicts_with = "dashboard_port")]
    no_dashboard: bool,

    /// Port of localhost where the proxy tells Prometheus and `tidegatectl`; what changes something
    /// goes to the Unix socket beside the logs
    #[arg(
        long, value_name = "PORT", default_value_t = 9091,
        value_parser = clap::value_parser!(u16).range(1..),
    )]
    admin_port: u16,

    /// Start the proxy without its admin API
    #[arg(long, conflicts_with = "admin_port")]
    no_admin: bool,

    /// End everything with exit status 1 when any program ends by itself
    #[arg(long)]
    once: bool,

    /// Further flags of the proxy, after `--`; `tidegate --help` lists them
    #[arg(last = true, value_name = "PROXY FLAGS")]
    proxy_flags: Vec<OsString>,
}

fn policy_name(text: &str) -> Result<Policy, String> {
    text.parse().map_err(|error| or_nearest(&error, text, Policy::ALL.map(Policy::name)))
}

fn modes() -> PossibleValuesParser {
    let non_persistent = PossibleValue::new("non-persistent").alias("non_persistent");
    PossibleValuesParser::new([PossibleValue::new("persistent"), non_persistent])
}

impl UpFlags {
    fn plan(self) -> Plan {
        let port = self.admin_port;
        // Named after the port, because a folder may have the logs of several stacks.
        let socket = format!("logs/admin-{port}.sock").into();
        Plan {
            policy: self.policy,
            connections: self.connections,
            listen: self.places.listen(),
            backend_ports: self.places.backend_ports(),
            dashboard_port: (!self.no_dashboard).then_some(self.dashboard_port),
            admin: (!self.no_admin).then_some(Admin { port, socket }),
            proxy_flags: self.proxy_flags,
        }
    }

    pub(crate) fn run(self) -> ExitCode {
        let loss = if self.once { Loss::EndsIt } else { Loss::GoesOn };
        match (up(&self.plan(), loss), loss) {
            (Ok(()), _) => ExitCode::SUCCESS,
            (Err(StackError::Ended { name, status }), Loss::GoesOn) if name == PROXY => {
                let signalled = || signal_code(status.signal().unwrap_or(0));
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                fail(code.unwrap_or_else(signalled), &StackError::Ended { name, status })
            }
            (Err(error), _) => fail(stack_code(&error), &error),
        }
    }
}
