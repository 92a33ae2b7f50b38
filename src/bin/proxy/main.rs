//! `tidegate`: the proxy. Settings in, one call, an exit code out.

mod admin;
mod help;
mod service;
mod signals;

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use admin::{Answering, Log};
use clap::ArgMatches;
use help::{ADVICE, EVERYTHING, MORE};
use jiff::Timestamp;
use serde_json::{Value, json};
use signals::{Serving, Watch};
use tidegate::console::Console;
use tidegate::control::command_line::{self, Form, Mode};
use tidegate::control::controller::Controller;
use tidegate::control::meta::describe_run;
use tidegate::control::reloader::Reloader;
use tidegate::control::reloads::ReloadCounter;
use tidegate::control::scraper::Scraper;
use tidegate::control::sources::{Planned, Sources};
use tidegate::control::{describe, file, manager, watchdog};
use tidegate::endpoint::Endpoint;
use tidegate::journal::{
    self, Form as LogForm, Journal, JournalError, Options, RecordSender, STANDARD_OUTPUT, Totals,
};
use tidegate::proxy::backends::Backends;
use tidegate::proxy::locate::Located;
use tidegate::proxy::metrics::Metrics;
use tidegate::proxy::settings::{Backend, Plan, Settings};
use tidegate::proxy::{Bound, HEALTH, StartError};
use tidegate::reactor::{Inherited, descriptors};
use tidegate::usage;

/// A setting, an upstream or a path is wrong.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    // Before there are threads.
    let inherited = Inherited::take();
    let command = command_line::command().after_help(MORE).after_long_help(EVERYTHING);
    let matches = usage::matches(command, &ADVICE);
    let console = Console::standard();
    let inherited = inherited.map_err(|error| fail(console, 1, &error));
    let code = match inherited.and_then(|inherited| run(&matches, &inherited, console)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    };
    console.finish();
    code
}

fn run(matches: &ArgMatches, inherited: &Inherited, console: Console) -> Result<(), u8> {
    let (flags, config) = (command_line::read(matches), command_line::config(matches));
    let sources = Sources::new(flags, config, std::env::vars_os())
        .map_err(|error| fail(console, MISUSE, &error))?;
    let planned = sources.plan().map_err(|error| fail(console, MISUSE, &error))?;
    match command_line::mode(matches) {
        Mode::Serve => serve(&planned, sources, inherited, console),
        Mode::PrintConfig => {
            // On another machine there are other cores, and another policy gets another log.
            console.say(&file::print(&planned.stated));
            Ok(())
        }
        Mode::Check(form) => check(&planned, sources.config(), form, console),
        Mode::Health => {
            let listen = &planned.plan.settings.listen[0].endpoint;
            HEALTH.ask(listen).map_err(|error| fail(console, 1, &error))
        }
    }
}

/// Runs the proxy until it is stopped.
fn serve(
    planned: &Planned,
    sources: Sources,
    inherited: &Inherited,
    console: Console,
) -> Result<(), u8> {
    let Planned { plan, hidden, .. } = planned;
    let settings = &plan.settings;
    let mut logs = [&settings.log, &settings.decisions].into_iter().flatten();
    let is_log_on_stdout = logs.any(|path| path == Path::new(STANDARD_OUTPUT));
    // Nothing but rows goes to standard output then.
    let console = if is_log_on_stdout { Console::on_stderr() } else { console };
    // Before there are threads, because it would not hold for them.
    let sandbox = service::confine(settings, console)?;
    // Signals come before all that takes time: one that arrives meanwhile must not be lost.
    let watch = Watch::start(console)
        .map_err(|error| fail(console, 1, &format!("can't listen to signals: {error}")))?;
    raise_descriptors(settings, console);
    service::tell_unused(inherited, settings, console);
    watch.begins("resolving the names of the upstreams");
    let (bound, backends, admin) = bind(plan, inherited, console)?;
    watch.begins("opening the log");
    let started = Timestamp::now();
    let (journal, senders) = open_logs(plan, started, inherited, console)
        .map_err(|error| fail(console, MISUSE, &error))?;
    let greeting = greeting(plan, bound.endpoints(), admin.endpoints());
    let metrics = backends.metrics();
    let unresolved: Vec<String> = backends.unresolved().map(|it| it.url.clone()).collect();
    let can_t_start = |error| fail(console, 1, &format!("can't start a thread: {error}"));
    let controller = Controller::start(plan.clone(), backends).map_err(can_t_start)?;
    let log = Log::new(journal.reopener(), started, controller.clone());
    let reloads = ReloadCounter::new(SystemTime::now());
    let scraper = Scraper {
        controller: controller.clone(),
        log: journal.watcher(),
        decisions: journal.decisions_watcher(),
        reloads: sources.config().map(|_| reloads.clone()),
        started: SystemTime::now(),
    };
    let tell = service::around_reload(log.clone(), reloads, console);
    let reloader = Reloader::start(sources, planned.clone(), controller.clone(), sandbox, tell);
    let reloader = reloader.map_err(can_t_start)?;
    let answering = Answering { scraper, reloader, log };
    let admin = admin::start(admin, answering.clone(), console).map_err(can_t_start)?;
    let reloader = answering.reloader;
    watchdog::start(Arc::clone(&metrics), controller.clone()).map_err(can_t_start)?;
    watch.serves(Serving { controller, reopener: journal.reopener(), reloader });
    let server = bound.start(senders).map_err(can_t_start)?;
    console.say(&greeting);
    if let Some(hidden) = hidden {
        complain(console, &hidden.to_string());
    }
    if !unresolved.is_empty() {
        complain(console, &without_address(&unresolved, plan.backends.len()));
    }
    for aside in journal.moved_aside() {
        console.say(&format!("an earlier log was moved to {}", aside.display()));
    }
    if journal.is_awaited() {
        console.say("another process writes the log still; rows are kept until it has ended");
    }
    manager::ready(&format!("serving with {} upstreams", plan.backends.len()));
    let outcome = server.join();
    drop(admin);
    console.say(&totals(journal, &metrics));
    outcome.map_err(|error| fail(console, 1, &error))
}

/// Begins what the plan says is logged. Where sockets were passed, another process may accept at
/// them and write the logs still: it is about to end.
fn open_logs(
    plan: &Plan,
    started: Timestamp,
    inherited: &Inherited,
    console: Console,
) -> Result<(Journal, Vec<RecordSender>), JournalError> {
    let settings = &plan.settings;
    let options = Options {
        path: settings.log.clone(),
        decisions: settings.decisions.clone(),
        meta: Some(describe_run(plan, started)),
        routing_mode: settings.policy.to_string(),
        connection: settings.upstream_reuse.name().to_owned(),
        workers: settings.workers(),
        verbose: settings.verbose,
        console,
    };
    if inherited.is_empty() { Journal::start(options) } else { Journal::start_after(options) }
}

/// Ends the logs: what has become of all requests.
fn totals(journal: Journal, metrics: &Metrics) -> String {
    let decisions = journal.decisions_watcher();
    let Totals { rows, lost, .. } = journal.close();
    let traffic = metrics.snapshot().total.traffic;
    let (requests, errors) = (traffic.requests(), traffic.errors());
    let decisions = decisions.map_or(String::new(), |log| {
        format!(", {} choices, {} choices lost", log.rows(), log.lost())
    });
    format!("{requests} requests, {errors} errors, {rows} rows, {lost} rows lost{decisions}")
}

/// Has all sockets listen, at those that were passed where they have the address.
fn bind(
    plan: &Plan,
    inherited: &Inherited,
    console: Console,
) -> Result<(Bound, Backends, tidegate::admin::Bound), u8> {
    let bound = Bound::bind_with(plan, inherited.clone());
    let (bound, backends) = bound.map_err(|error| match error {
        StartError::Circle(_) | StartError::Change(_) => fail(console, MISUSE, &error),
        StartError::Listen { .. } | StartError::Poller(_) => fail(console, 1, &error),
    })?;
    let admin = tidegate::admin::Bound::bind(&plan.settings.admin, inherited);
    Ok((bound, backends, admin.map_err(|error| fail(console, 1, &error))?))
}

/// Prints the plan, if a proxy could start with it.
fn check(planned: &Planned, config: Option<&Path>, form: Form, console: Console) -> Result<(), u8> {
    let Planned { plan, hidden, .. } = planned;
    let settings = &plan.settings;
    let located = Located::all(&plan.backends, settings);
    let located = located.map_err(|error| fail(console, MISUSE, &error))?;
    let mut found = Vec::new();
    for Located { backend, addresses } in located {
        let addresses = addresses.map_err(|error| fail(console, MISUSE, &error))?;
        found.push((backend, addresses));
    }
    let [log, decisions] = [&settings.log, &settings.decisions].map(Option::as_deref);
    let logs = [(log, LogForm::Rows), (decisions, LogForm::Decisions)];
    let mut logs = logs.into_iter().filter_map(|(path, form)| Some((path?, form)));
    logs.try_for_each(|(path, form)| journal::check(path, form))
        .and_then(|()| journal::check_distinct(log, decisions))
        .map_err(|error| fail(console, MISUSE, &error))?;
    if let Some(hidden) = hidden {
        complain(console, &hidden.to_string());
    }
    let config = config.map(|path| path.display().to_string());
    console.say(&match form {
        Form::Text => {
            let config = config.map(|config| describe::line("config", &config));
            let found: String = found.iter().map(as_line).collect();
            config.unwrap_or_default() + &describe::text(plan) + &found
        }
        Form::Json => {
            let backends: Value = found
                .iter()
                .map(|(backend, addresses)| {
                    let addresses = addresses.iter().map(ToString::to_string);
                    let mut backend = describe::backend(backend);
                    backend["addresses"] = addresses.collect();
                    backend
                })
                .collect();
            let settings = describe::json(plan);
            let plan = json!({ "config": config, "settings": settings, "backends": backends });
            format!("{plan:#}\n")
        }
    });
    Ok(())
}

/// A backend's URL and what was found there, as a line.
fn as_line((backend, addresses): &(Backend, Vec<Endpoint>)) -> String {
    describe::line(&backend.url, &addresses.iter().map(what_is_at).collect::<Vec<_>>().join(", "))
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
        Ok(limit) if limit < connections.saturating_add(OTHERS) => complain(
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

fn greeting<'a>(
    plan: &Plan,
    endpoints: &[Endpoint],
    admin: impl Iterator<Item = &'a Endpoint>,
) -> String {
    let Plan { settings, backends } = plan;
    // Writing to a String can't fail.
    let mut text = String::new();
    for endpoint in endpoints {
        let _ = writeln!(text, "listening on {}", endpoint.url());
    }
    for endpoint in admin {
        let _ = writeln!(text, "admin at {}", endpoint.url());
    }
    let log = settings.log.as_ref();
    let log = log.map_or("no log".to_owned(), |path| format!("log {}", path.display()));
    let decisions = settings.decisions.as_ref();
    let decisions = decisions.map_or(String::new(), |it| format!(", decisions {}", it.display()));
    let _ = writeln!(
        text,
        "policy {}, {} connections, {} workers, {log}{decisions}",
        settings.policy,
        settings.upstream_reuse.name(),
        settings.workers()
    );
    for backend in backends {
        let _ = writeln!(text, "upstream {}", backend.url);
    }
    text
}

/// What is said of backends whose names have no address.
fn without_address(unresolved: &[String], backends: usize) -> String {
    let urls = unresolved.join(", ");
    let more = if unresolved.len() == backends {
        "no upstream has one, so requests are answered 503 until one has"
    } else {
        "they get no requests until they have one"
    };
    format!("the names of these upstreams have no address: {urls}; {more}")
}

fn complain(console: Console, text: &str) {
    console.complain(&format!("tidegate: {text}"));
}

/// Says what is wrong, and gives the exit code back.
fn fail(console: Console, code: u8, error: &impl std::fmt::Display) -> u8 {
    complain(console, &format!("{error:#}"));
    code
}
