//! `tidegate-backend`: a test backend with a latency profile.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU64, NonZeroUsize};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use tidegate::console::Console;
use tidegate::endpoint::{Endpoint, InvalidEndpoint, UnixName};
use tidegate::reactor::descriptors;
use tidegate::usage::{self, Advice};
use tidegate_lab::backend::{self, Backends, Behaviour, Profile, Remote};
use tidegate_lab::scenario::{Drift, Group, Phase, Service};

/// A test backend: answers every request after a delay; queues, slows down and fails if told to.
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

    /// Distribution of the delays instead: fixed:10ms, exp:10ms, lognormal:10ms,sigma=1.4,
    /// pareto:10ms,alpha=1.5, cycle:10,15,400x3 or sample:10,15,400x3
    #[arg(long, value_name = "TIMES", conflicts_with = "profile", help_heading = "Behaviour")]
    service: Option<Service>,

    /// Work on at most N requests at once; the others queue, the first one first [default: no
    /// limit]
    #[arg(long, value_name = "N", help_heading = "Behaviour")]
    slots: Option<NonZeroUsize>,

    /// Let all requests share N cores equally, each having one at most
    #[arg(long, value_name = "N", conflicts_with = "slots", help_heading = "Behaviour")]
    cores: Option<NonZeroUsize>,

    /// What happens and when, as in '10s..20s every 30s slow 10'; once for each phase: slow 10,
    /// pause, fail 503 after 1ms, refuse, hang, restart, absent
    #[arg(long, value_name = "PHASE", help_heading = "Behaviour")]
    script: Vec<Phase>,

    /// Let the speed change by chance, as in sigma=0.5,time=5s: sigma of its logarithm, and the
    /// time after which a third of a change is left
    #[arg(long, value_name = "DRIFT", help_heading = "Behaviour")]
    drift: Option<Drift>,

    /// Answer this part of the requests with 503, by chance
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part,
        help_heading = "Behaviour")]
    errors: f64,

    /// Also work on requests whose client has left
    #[arg(long, help_heading = "Behaviour")]
    ignore_aborts: bool,

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

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "give a part, 0 to 1".to_owned())
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

const ADVICE: [Advice; 6] = [
    Advice { task: "", words: &["server-id", "name"], tip: "its name is '--id <ID>'" },
    Advice { task: "", words: &["host", "bind", "address"], tip: "an address is '--listen <IP>'" },
    Advice {
        task: "",
        words: &["delay", "delays", "latency"],
        tip: "delays: '--profile <DELAYS>'",
    },
    Advice {
        task: "",
        words: &["distribution", "service-time", "mean"],
        tip: "a distribution of delays is '--service <TIMES>'",
    },
    Advice {
        task: "",
        words: &["threads", "workers", "concurrency", "queue", "capacity"],
        tip: "requests worked on at once: '--slots <N>'",
    },
    Advice {
        task: "",
        words: &["phase", "phases", "slow", "pause", "hang", "restart", "refuse"],
        tip: "what happens and when: '--script <PHASE>'",
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
  tidegate-backend --profile 5x9,500 --fail-every 100
  tidegate-backend --service exp:10ms --slots 4 --script '10s..20s every 30s slow 10'
  tidegate-backend --profile 5 --script '5s..6s restart' --script '20s.. fail 503 after 1ms'

A request may say what it is: GET /?seed=7&cost=4&wait=30s. The same seed gets the same
delay, cost multiplies it, and one that waits is answered then and takes no slot.";

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
    let endpoint = match &flags.listen {
        Host::Ip(ip) => SocketAddr::new(*ip, flags.port).into(),
        Host::Unix(name) => Endpoint::Unix(name.clone()),
    };
    if flags.health {
        return Ok(backend::HEALTH.ask(&endpoint)?);
    }
    if let Err(error) = descriptors::raise_limit() {
        console.complain(&format!("warning: the limit of open files can't be raised: {error}"));
    }
    let behaviour = flags.behaviour();
    let bound = Backends::bind(&[(endpoint.clone(), behaviour.clone())], COUNTED);
    let backend = bound.map_err(|error| match &endpoint {
        Endpoint::Tcp(address) if error.kind() == ErrorKind::AddrInUse => {
            anyhow!("port {} is taken; choose another with --port", address.port())
        }
        _ => anyhow!("cannot listen on {endpoint}: {error}"),
    })?;
    let remote = backend.remote();
    remote.begin(SystemTime::now(), fastrand::u64(..)).context("cannot begin")?;
    stop_on_signal(remote, console).context("cannot handle signals")?;
    for endpoint in backend.endpoints() {
        console.say(&announcement(&behaviour, endpoint));
    }
    backend.run().map(drop).context("cannot serve")
}

/// Requests are counted, but nobody asks for the counts.
const COUNTED: Duration = Duration::MAX;

impl Flags {
    fn behaviour(self) -> Behaviour {
        let profile = self.profile.unwrap_or_else(|| Profile::of_server(&self.id));
        let group = Group {
            slots: self.slots.map(NonZeroUsize::get),
            cores: self.cores.map(NonZeroUsize::get),
            script: self.script,
            drift: self.drift,
            errors: self.errors,
            ignore_aborts: self.ignore_aborts,
            ..Group::new(self.service.unwrap_or(Service::Cycle(profile)))
        };
        Behaviour {
            id: self.id,
            group,
            status: self.status,
            body_size: self.body_size,
            fail_every: self.fail_every,
            close_every: self.close_every,
        }
    }
}

fn announcement(behaviour: &Behaviour, endpoint: &Endpoint) -> String {
    let Behaviour { id, group, .. } = behaviour;
    let service = match &group.service {
        Service::Cycle(profile) => format!("profile {profile} ms"),
        service => format!("service {service}"),
    };
    let limit = match (group.slots, group.cores) {
        (Some(slots), _) => format!(", {slots} slots"),
        (_, Some(cores)) => format!(", {cores} cores"),
        _ => String::new(),
    };
    format!("backend {id} listening on {endpoint}, {service}{limit}")
}

/// As process 1 of a container a signal without a handler would be ignored.
fn stop_on_signal(remote: Remote, console: Console) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if let Err(error) = remote.stop() {
                console.complain(&format!("error: cannot stop: {error}"));
            }
        }
    })?;
    Ok(())
}
