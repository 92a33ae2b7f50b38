//! `tidegate`: the proxy. Flags in, one call, an exit code out.

mod flags;
mod signals;
mod values;

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::ExitCode;

use flags::{ADVICE, Flags};
use jiff::Timestamp;
use signals::Watch;
use tidegate::console::Console;
use tidegate::endpoint::Endpoint;
use tidegate::journal::{self, Journal, Options, STANDARD_OUTPUT, Totals};
use tidegate::proxy::settings::Settings;
use tidegate::proxy::{self, Bound, HEALTH, StartError, describe_run};
use tidegate::reactor::descriptors;
use tidegate::usage;

/// A flag, an upstream or a path is wrong.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    let flags: Flags = usage::parse(&ADVICE);
    let console = Console::standard();
    let code = match run(&flags, console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    };
    console.finish();
    code
}

fn run(flags: &Flags, console: Console) -> Result<(), u8> {
    let settings = flags.settings().map_err(|error| fail(console, MISUSE, &error))?;
    if flags.mode.health {
        return HEALTH.ask(&settings.listen[0].endpoint).map_err(|error| fail(console, 1, &error));
    }
    if flags.mode.check {
        return check(flags, &settings, console);
    }
    serve(flags, &settings, console)
}

/// Runs the proxy until it is stopped.
fn serve(flags: &Flags, settings: &Settings, console: Console) -> Result<(), u8> {
    let log = flags.log(settings);
    let is_log_on_stdout = log.as_deref() == Some(Path::new(STANDARD_OUTPUT));
    // Nothing but rows goes to standard output then.
    let console = if is_log_on_stdout { Console::on_stderr() } else { console };
    // Signals come first: one that arrives while starting must not be lost.
    let watch = Watch::start(console)
        .map_err(|error| fail(console, 1, &format!("can't listen to signals: {error}")))?;
    raise_descriptors(settings, console);
    watch.begins("resolving the names of the upstreams");
    let bound = Bound::bind(settings.clone()).map_err(|error| match error {
        StartError::Backend(_) | StartError::Balance(_) => fail(console, MISUSE, &error),
        StartError::Listen { .. } | StartError::Poller(_) => fail(console, 1, &error),
    })?;
    watch.begins("opening the log");
    let (journal, senders) = Journal::start(Options {
        path: log.clone(),
        meta: Some(describe_run(settings, Timestamp::now())),
        routing_mode: settings.policy.to_string(),
        connection: settings.upstream_reuse.name().to_owned(),
        workers: settings.workers,
        verbose: settings.verbose,
        console,
    })
    .map_err(|error| fail(console, MISUSE, &error))?;
    let endpoints = bound.endpoints().to_vec();
    watch.serves(bound.stopper(), journal.reopener());
    let server = bound
        .start(senders)
        .map_err(|error| fail(console, 1, &format!("can't start a worker: {error}")))?;
    console.say(&greeting(settings, &endpoints, log.as_deref()));
    if let Some(aside) = journal.moved_aside() {
        console.say(&format!("an earlier log was moved to {}", aside.display()));
    }
    let metrics = server.metrics();
    let outcome = server.join();
    let Totals { rows, lost, .. } = journal.close();
    let traffic = metrics.snapshot().total.traffic;
    let (requests, errors) = (traffic.requests(), traffic.errors());
    console.say(&format!("{requests} requests, {errors} errors, {rows} rows, {lost} rows lost"));
    outcome.map_err(|error| fail(console, 1, &error))
}

fn check(flags: &Flags, settings: &Settings, console: Console) -> Result<(), u8> {
    let mut located = Vec::new();
    for backend in &settings.backends {
        let addresses = proxy::resolve(backend).map_err(|error| fail(console, MISUSE, &error))?;
        proxy::refuse_circle(backend, &addresses, &settings.listen)
            .map_err(|error| fail(console, MISUSE, &error))?;
        located.push((&backend.url, addresses));
    }
    let mut text = settings.describe();
    let log = flags.log(settings);
    if let Some(Err(error)) = log.as_deref().map(journal::check) {
        return Err(fail(console, MISUSE, &error));
    }
    let log = log.map_or("none".to_owned(), |path| path.display().to_string());
    let mut line = |name: &str, value: &str| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name:<22} {value}");
    };
    line("log", &log);
    for (url, addresses) in located {
        let list: Vec<String> = addresses.iter().map(what_is_at).collect();
        line(url, &list.join(", "));
    }
    console.say(&text);
    Ok(())
}

/// An address, or what there is at the path of a Unix socket.
fn what_is_at(endpoint: &Endpoint) -> String {
    let Endpoint::Unix(name) = endpoint else { return endpoint.to_string() };
    let Some(path) = name.path() else { return "an abstract socket".to_owned() };
    match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => "the socket is there".to_owned(),
        Ok(_) => "what is there is no socket".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => "there is no such file".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Says so when not even one worker can hold the connections it may accept.
fn raise_descriptors(settings: &Settings, console: Console) {
    /// For the log, the loops, and connections to backends.
    const OTHERS: u64 = 1024;
    let connections = settings.limits.connections as u64;
    match descriptors::raise_limit() {
        Ok(limit) if limit < connections + OTHERS => complain(
            console,
            &format!(
                "only {limit} file descriptors may be open, too few for {connections} \
                 connections; raise `ulimit -n` or lower --max-connections"
            ),
        ),
        Ok(_) => {}
        Err(error) => {
            complain(console, &format!("can't raise the limit of file descriptors: {error}"));
        }
    }
}

fn greeting(settings: &Settings, endpoints: &[Endpoint], log: Option<&Path>) -> String {
    // Writing to a String can't fail.
    let mut text = String::new();
    for endpoint in endpoints {
        let scheme = if matches!(endpoint, Endpoint::Tcp(_)) { "http://" } else { "" };
        let _ = writeln!(text, "listening on {scheme}{endpoint}");
    }
    let log = log.map_or("no log".to_owned(), |path| format!("log {}", path.display()));
    let _ = writeln!(
        text,
        "policy {}, {} connections, {} workers, {log}",
        settings.policy,
        settings.upstream_reuse.name(),
        settings.workers
    );
    for upstream in &settings.backends {
        let _ = writeln!(text, "upstream {}", upstream.url);
    }
    text
}

fn complain(console: Console, text: &str) {
    console.complain(&format!("tidegate: {text}"));
}

/// Says what is wrong, and gives the exit code back.
fn fail(console: Console, code: u8, error: &impl std::fmt::Display) -> u8 {
    complain(console, &format!("{error:#}"));
    code
}
