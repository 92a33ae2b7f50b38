//! `tidegate`: the proxy. Flags in, one call, an exit code out.

mod flags;
mod values;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use flags::{ADVICE, Flags};
use jiff::Timestamp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use tidegate::journal::{self, Journal, Options, Reopener, Totals};
use tidegate::proxy::settings::Settings;
use tidegate::proxy::{Bound, Directory, HEALTH, StartError, Stopper, describe_run};
use tidegate::reactor::descriptors;
use tidegate::usage;

/// A flag, an upstream or a path is wrong.
const MISUSE: u8 = 2;

/// A signal this soon after the first is its echo: `timeout` signals a program and then its group.
const ECHO: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let flags: Flags = usage::parse(&ADVICE);
    let settings = match flags.settings() {
        Ok(settings) => settings,
        Err(error) => return fail(MISUSE, &error),
    };
    if flags.mode.health {
        return match HEALTH.ask(settings.listen[0]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &error),
        };
    }
    if flags.mode.check {
        return check(&flags, &settings);
    }
    match serve(&flags, &settings) {
        Ok(code) | Err(code) => code,
    }
}

/// Runs the proxy until it is stopped.
fn serve(flags: &Flags, settings: &Settings) -> Result<ExitCode, ExitCode> {
    raise_descriptors(settings);
    let log = flags.log(settings);
    // The handlers come first: a signal that arrives while starting must not be lost.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ]).map_err(|e| fail(1, &e))?;
    let bound = Bound::bind(settings.clone()).map_err(|error| match error {
        StartError::Resolve(_) | StartError::Balance(_) => fail(MISUSE, &error),
        StartError::Listen { .. } | StartError::Poller(_) => fail(1, &error),
    })?;
    let (journal, feeds) = Journal::start(Options {
        path: log.clone(),
        meta: Some(describe_run(settings, Timestamp::now())),
        backends: settings.upstreams.iter().map(|upstream| upstream.url.clone()).collect(),
        routing_mode: settings.policy.to_string(),
        connection: settings.connections.name().to_owned(),
        workers: settings.workers,
        verbose: settings.verbose,
    })
    .map_err(|error| fail(MISUSE, &error))?;
    let addresses = bound.addresses().to_vec();
    let server =
        bound.start(feeds).map_err(|error| fail(1, &format!("can't start a worker: {error}")))?;
    greet(settings, &addresses, log.as_deref());
    if let Some(aside) = journal.moved_aside() {
        say(&format!("an earlier log was moved to {}\n", aside.display()));
    }
    obey(signals, server.stopper(), journal.reopener());
    let outcome = server.join();
    let totals = journal.close();
    say_totals(&totals);
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(fail(1, &error)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a person's patience is not on the request path")]
fn read_clock() -> Instant {
    Instant::now()
}

/// Listens to signals on a thread of its own.
fn obey(mut signals: Signals, stopper: Stopper, reopener: Reopener) {
    let watch = move || {
        let mut stopping: Option<Instant> = None;
        for signal in signals.forever() {
            match signal {
                SIGHUP => reopener.reopen(),
                // The size limit of a file was reached; the write that hit it reports it.
                SIGXFSZ => {}
                _ => match stopping {
                    None => {
                        stopping = Some(read_clock());
                        stopper.drain();
                    }
                    Some(since) if since.elapsed() < ECHO => {}
                    Some(_) => std::process::exit(128 + signal),
                },
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("signals".to_owned()).spawn(watch) {
        complain(&format!("no thread for signals: {error}; only SIGKILL will stop this proxy"));
    }
}

fn check(flags: &Flags, settings: &Settings) -> ExitCode {
    let directory = match Directory::resolve(&settings.upstreams) {
        Ok(directory) => directory,
        Err(error) => return fail(MISUSE, &error),
    };
    let mut text = settings.describe();
    let log = flags.log(settings);
    if let Some(Err(error)) = log.as_deref().map(journal::check) {
        return fail(MISUSE, &error);
    }
    let log = log.map_or("none".to_owned(), |path| path.display().to_string());
    let mut line = |name: &str, value: &str| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name:<22} {value}");
    };
    line("log", &log);
    for (index, upstream) in settings.upstreams.iter().enumerate() {
        let addresses = directory.addresses(index);
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        line(&upstream.url, &list.join(", "));
    }
    say(&text);
    ExitCode::SUCCESS
}

/// Says so when not even one worker can hold the connections it may accept.
fn raise_descriptors(settings: &Settings) {
    /// For the log, the loops, and connections to backends.
    const OTHERS: u64 = 1024;
    let connections = settings.limits.connections as u64;
    match descriptors::raise_limit() {
        Ok(limit) if limit < connections + OTHERS => complain(&format!(
            "only {limit} file descriptors may be open, too few for {connections} connections; \
             raise `ulimit -n` or lower --max-connections"
        )),
        Ok(_) => {}
        Err(error) => complain(&format!("can't raise the limit of file descriptors: {error}")),
    }
}

fn greet(settings: &Settings, addresses: &[SocketAddr], log: Option<&std::path::Path>) {
    // Writing to a String can't fail.
    let mut text = String::new();
    for address in addresses {
        let _ = writeln!(text, "listening on http://{address}");
    }
    let log = log.map_or("no log".to_owned(), |path| format!("log {}", path.display()));
    let _ = writeln!(
        text,
        "policy {}, {} connections, {} workers, {log}",
        settings.policy,
        settings.connections.name(),
        settings.workers
    );
    for upstream in &settings.upstreams {
        let _ = writeln!(text, "upstream {}", upstream.url);
    }
    say(&text);
}

fn say_totals(totals: &Totals) {
    say(&format!(
        "{} requests, {} errors, {} rows, {} rows lost\n",
        totals.requests, totals.errors, totals.rows, totals.lost
    ));
}

/// Nobody is left to tell when stdout is gone.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "tidegate: {text}");
}

fn fail(code: u8, error: &impl std::fmt::Display) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::from(code)
}
