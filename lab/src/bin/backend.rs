//! `tidegate-backend`: a test backend with a latency profile.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use tidegate::console::Console;
use tidegate::endpoint::{Endpoint, InvalidEndpoint, UnixName};
use tidegate::reactor::{Waker, descriptors};
use tidegate::usage::{self, Advice};
use tidegate_lab::backend::{self, Backend, Behaviour, Profile};

/// A test backend: answers every request after a delay.
#[derive(Debug, Parser)]
#[command(name = "tidegate-backend", version, after_help = EXAMPLES)]
struct Flags {
    /// Port to listen on; 0 lets the system choose one
    #[arg(long, env = "PORT", default_value_t = 8080, help_heading = "Listening")]
    port: u16,

    /// Address to listen on; :: takes IPv6 and IPv4, unix:PATH has no port
    #[arg(
        long,
        value_name = "IP|unix:PATH",
        default_value = "0.0.0.0",
        help_heading = "Listening"
    )]
    listen: Host,

    /// Name in the answers; A, B and C have profiles of their own
    #[arg(long, env = "SERVER_ID", default_value = "A", help_heading = "Behaviour")]
    id: String,

    /// Delays of successive requests in ms, repeated, as in 10,2.5,400x3; 0 for none [default: by
    /// name]
    #[arg(long, value_name = "DELAYS", help_heading = "Behaviour")]
    profile: Option<Profile>,

    /// Length to which bodies are cut or padded [default: that of the greeting]
    #[arg(long, value_name = "BYTES", help_heading = "Behaviour")]
    body_size: Option<u64>,

    /// Status of the answers, 200 to 599
    #[arg(long, value_name = "CODE", default_value_t = 200, help_heading = "Behaviour",
        value_parser = clap::value_parser!(u16).range(200..600))]
    status: u16,

    /// Answer every Nth request with 500
    #[arg(long, value_name = "N", help_heading = "Behaviour")]
    fail_every: Option<NonZeroU64>,

    /// Close the connection after every Nth response
    #[arg(long, value_name = "N", help_heading = "Behaviour")]
    close_every: Option<NonZeroU64>,

    /// Don't serve: exit with 0 if a backend answers at the address, with 1 if not
    #[arg(long)]
    health: bool,
}

/// Where to listen, port apart.
#[derive(Clone, Debug)]
enum Host {
    Ip(IpAddr),
    Unix(UnixName),
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = "give an IP address, or unix:/path/to/socket".to_owned();
        match text.parse() {
            Ok(Endpoint::Unix(name)) => Ok(Self::Unix(name)),
            Err(InvalidEndpoint::Unix(error)) => Err(error.to_string()),
            _ => text.parse().map(Self::Ip).map_err(|_| refuse),
        }
    }
}

const ADVICE: [Advice; 3] = [
    Advice { task: "", words: &["server-id", "name"], tip: "its name is '--id <ID>'" },
    Advice { task: "", words: &["host", "bind", "address"], tip: "an address is '--listen <IP>'" },
    Advice {
        task: "",
        words: &["delay", "delays", "latency"],
        tip: "delays: '--profile <DELAYS>'",
    },
];

const EXAMPLES: &str = "\
Profiles:
  A  10,15,20,400,400,400,10,15,20   also for every other name
  B  200
  C  250

Examples:
  tidegate-backend --port 8082 --id B
  PORT=8083 SERVER_ID=C tidegate-backend
  tidegate-backend --listen unix:/run/app.sock
  tidegate-backend --profile 0 --body-size 1073741824   1 GiB each, without delay
  tidegate-backend --profile 5x9,500 --fail-every 100";

fn main() -> ExitCode {
    // Serving must not wait for the console.
    let console = Console::standard();
    let code = match run(usage::parse(&ADVICE), console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    };
    console.finish();
    code
}

fn run(flags: Flags, console: Console) -> Result<()> {
    let endpoint = match flags.listen {
        Host::Ip(ip) => SocketAddr::new(ip, flags.port).into(),
        Host::Unix(name) => Endpoint::Unix(name),
    };
    if flags.health {
        return Ok(backend::HEALTH.ask(&endpoint)?);
    }
    if let Err(error) = descriptors::raise_limit() {
        console.complain(&format!("warning: the limit of open files can't be raised: {error}"));
    }
    let profile = flags.profile.unwrap_or_else(|| Profile::of_server(&flags.id));
    let behaviour = Behaviour {
        id: flags.id,
        profile,
        status: flags.status,
        body_size: flags.body_size,
        fail_every: flags.fail_every,
        close_every: flags.close_every,
    };
    let backend = Backend::bind(&endpoint, &behaviour).map_err(|error| match &endpoint {
        Endpoint::Tcp(address) if error.kind() == ErrorKind::AddrInUse => {
            anyhow!("port {} is taken; choose another with --port", address.port())
        }
        _ => anyhow!("cannot listen on {endpoint}: {error}"),
    })?;
    stop_on_signal(backend.stopper(), console).context("cannot handle signals")?;
    let Behaviour { id, profile, .. } = &behaviour;
    let endpoint = backend.endpoint();
    console.say(&format!("backend {id} listening on {endpoint}, profile {profile} ms"));
    backend.run().context("cannot wait for events")
}

/// As process 1 of a container a signal without a handler would be ignored.
fn stop_on_signal(stopper: Waker, console: Console) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if let Err(error) = stopper.wake() {
                console.complain(&format!("error: cannot stop: {error}"));
            }
        }
    })?;
    Ok(())
}
