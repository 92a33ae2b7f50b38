//! `up` on the command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use tidegate::balance::Policy;
use tidegate::lab::up::{Plan, UpError, up};

use crate::{MISUSE, fail};

pub(crate) const EXAMPLES: &str = "\
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

#[derive(Args, Debug)]
pub(crate) struct UpFlags {
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

    pub(crate) fn run(self) -> ExitCode {
        match up(&self.plan()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let code = match error {
                    UpError::Refused | UpError::PortTwice(_) => MISUSE,
                    // As a shell reports a program that a signal ended.
                    UpError::Hurried(signal) => {
                        128u8.saturating_add(u8::try_from(signal).unwrap_or(0))
                    }
                    _ => 1,
                };
                fail(code, &error)
            }
        }
    }
}
