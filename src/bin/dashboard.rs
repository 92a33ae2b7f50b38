//! `tidegate-dashboard`: a live page over the proxy's log.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use tidegate::console::Console;
use tidegate::dashboard::{self, Dashboard, Options};
use tidegate::reactor::descriptors;
use tidegate::usage::{self, Advice};

/// A live page over the proxy's log.
#[derive(Debug, Parser)]
#[command(name = "tidegate-dashboard", version, after_help = NOTES, max_term_width = 100)]
struct Flags {
    /// Port to listen on; 0 lets the system choose one
    #[arg(long, env = "DASHBOARD_PORT", default_value_t = 5002, help_heading = "Listening")]
    port: u16,

    /// Address to listen on; anyone who can reach it can read the log's rows
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Listening")]
    listen: IpAddr,

    /// A further host name, besides localhost and the address, for browsers; may be repeated
    #[arg(long, value_name = "NAME", value_parser = host, help_heading = "Listening")]
    allow_host: Vec<String>,

    /// A log, or a folder of which the newest CSV log is followed, also when a newer run begins
    #[arg(long, value_name = "FILE|FOLDER", default_value = "logs", help_heading = "Log")]
    log: PathBuf,

    /// Read an existing log from its start, instead of its last 32 MiB
    #[arg(long, help_heading = "Log")]
    from_start: bool,

    /// Don't serve: exit with 0 if a dashboard answers at the address, with 1 if not
    #[arg(long)]
    health: bool,
}

const ADVICE: [Advice; 2] = [
    Advice { task: "", words: &["host", "bind", "address"], tip: "an address is '--listen <IP>'" },
    Advice { task: "", words: &["csv", "file", "logs"], tip: "a log is '--log <FILE|FOLDER>'" },
];

const NOTES: &str = "\
The log need not exist yet, and may be truncated, rotated or deleted meanwhile.

Examples:
  tidegate-dashboard                            then open http://localhost:5002
  tidegate-dashboard --log logs/adaptive_ewma_persistent.csv --from-start
  DASHBOARD_PORT=8000 tidegate-dashboard --listen 0.0.0.0

Exit status:
  0  stopped by a signal, or --health found a dashboard
  1  could not start, or --health got no answer
  2  a flag or the log's path is wrong";

/// How many descriptors are assumed if the system does not tell the limit.
const DESCRIPTORS_ASSUMED: u64 = 64;

/// The exit code for a wrong flag; clap has the same.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    let flags: Flags = usage::parse(&ADVICE);
    // Serving must not wait for the console.
    let console = Console::standard();
    let code = match check(&flags.log).map_err(|reason| (MISUSE, anyhow!(reason))) {
        Ok(()) => run(flags, console).map_err(|error| (1, error)),
        Err(refusal) => Err(refusal),
    };
    let code = code.map_or_else(
        |(code, error)| {
            console.complain(&format!("error: {error:#}"));
            ExitCode::from(code)
        },
        |()| ExitCode::SUCCESS,
    );
    console.finish();
    code
}

/// Refuses a path that can never become a log; one that does not exist yet is waited for.
fn check(log: &std::path::Path) -> Result<(), String> {
    match std::fs::metadata(log) {
        Ok(found) if found.is_dir() || found.is_file() => Ok(()),
        Ok(_) => Err(format!("{} is neither a file nor a folder", log.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("cannot read {}: {error}", log.display())),
    }
}

/// A host name without scheme or port.
fn host(text: &str) -> Result<String, String> {
    let is_bracketed = text.starts_with('[') && text.ends_with(']');
    let is_bare = !text.is_empty() && !text.contains(['/', ':', ' ', '*', ',']);
    if is_bare || is_bracketed {
        Ok(text.to_owned())
    } else {
        Err("give a host name as in the browser's address bar, without scheme, port or *"
            .to_owned())
    }
}

fn run(flags: Flags, console: Console) -> Result<()> {
    let address = SocketAddr::new(flags.listen, flags.port);
    if flags.health {
        return Ok(dashboard::HEALTH.ask(&address.into())?);
    }
    let descriptors = descriptors::raise_limit().unwrap_or_else(|error| {
        console.complain(&format!("warning: the limit of open files can't be raised: {error}"));
        DESCRIPTORS_ASSUMED
    });
    if descriptors < dashboard::DESCRIPTORS_MIN {
        let needed = dashboard::DESCRIPTORS_MIN;
        bail!("{needed} open files are needed and {descriptors} allowed; raise it with ulimit -n");
    }
    // First of all, so that no signal is lost that comes during the start.
    stop_on_signal().context("cannot handle signals")?;
    let log = flags.log.clone();
    let options = Options {
        listen: address,
        log: flags.log,
        from_start: flags.from_start,
        allowed_hosts: flags.allow_host,
        descriptors,
    };
    let dashboard = Dashboard::start(options).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("port {} is taken; choose another with --port", address.port())
        }
        _ => anyhow!("cannot listen on {address}: {error}"),
    })?;
    console.say(&format!("dashboard on http://{}, log {}", dashboard.endpoint(), log.display()));
    if !log.exists() {
        console.say(&format!("{} does not exist yet; waiting for it", log.display()));
    }
    let error = dashboard.run();
    Err(anyhow!("cannot wait for connections any more: {error}"))
}

/// Exits at once, because there is nothing to finish. Without a handler, process 1 of a container
/// would ignore the signal.
fn stop_on_signal() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        if signals.forever().next().is_some() {
            std::process::exit(0);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}
