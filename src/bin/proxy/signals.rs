//! What the proxy does at a signal. Signals are heard before names are resolved, which may take
//! minutes: meanwhile it can be ended.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;
use tidegate::console::Console;
use tidegate::control::controller::Controller;
use tidegate::control::manager;
use tidegate::control::reloader::Reloader;
use tidegate::journal::Reopener;

/// A second signal this soon after the first one is ignored, because `timeout` signals the program
/// and then its group, which is the program again.
const ECHO: Duration = Duration::from_millis(250);

/// How far the program has come.
enum Stage {
    /// It does not serve yet. A signal ends it at once.
    Starting {
        /// The present step of the start.
        doing: &'static str,
        /// What signals have asked for. It is done when the proxy serves, because the start may
        /// have opened a log that was renamed since, or read a file that has changed since.
        asked: Asked,
    },
    Serving(Serving),
}

/// What a signal asks for that does not end the program. Each includes those before it.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Asked {
    Nothing,
    /// The log is to be opened again.
    Reopen,
    /// The configuration file is to be read again.
    Reload,
}

/// What signals act on.
pub(crate) struct Serving {
    pub(crate) controller: Controller,
    pub(crate) reopener: Reopener,
    /// `None` if there is no configuration file.
    pub(crate) reloader: Option<Reloader>,
}

impl Serving {
    fn obey(&self, asked: Asked) {
        if asked >= Asked::Reopen {
            self.reopener.reopen();
        }
        match (asked, &self.reloader) {
            (Asked::Reload, Some(reloader)) => reloader.reload(),
            // The service manager may wait for the end of the reload.
            (Asked::Reload, None) => {
                manager::reloading();
                manager::ready(&"the log was opened again; there is no file to read, see --config");
            }
            (Asked::Nothing | Asked::Reopen, _) => {}
        }
    }
}

/// Listens to signals on a thread of its own.
pub(crate) struct Watch(Arc<Mutex<Stage>>);

impl Watch {
    /// # Errors
    /// The system gives no handler or no thread.
    pub(crate) fn start(console: Console) -> io::Result<Self> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGXFSZ])?;
        let starting = Stage::Starting { doing: "starting", asked: Asked::Nothing };
        let stage = Arc::new(Mutex::new(starting));
        let watched = Arc::clone(&stage);
        let thread = thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || obey(signals, &watched, console))?;
        Ok(Self(stage))
    }

    /// Notes a step of the start that may take long. A signal that ends the program during it
    /// prints the step.
    pub(crate) fn begins(&self, what: &'static str) {
        if let Stage::Starting { doing, .. } = &mut *lock(&self.0) {
            *doing = what;
        }
    }

    /// From now on a signal ends the proxy gracefully. What was asked for during the start is done
    /// now.
    pub(crate) fn serves(&self, serving: Serving) {
        let mut stage = lock(&self.0);
        if let Stage::Starting { asked, .. } = *stage {
            serving.obey(asked);
        }
        *stage = Stage::Serving(serving);
    }
}

fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a stop is not on the request path")]
fn read_clock() -> Instant {
    Instant::now()
}

fn obey(mut signals: Signals, stage: &Mutex<Stage>, console: Console) {
    let mut stopping: Option<Instant> = None;
    for signal in signals.forever() {
        match (signal, stopping) {
            (SIGHUP, _) => ask(Asked::Reload, &mut lock(stage)),
            (SIGUSR1, _) => ask(Asked::Reopen, &mut lock(stage)),
            // The size limit of a file was reached; the write that hit it reports it.
            (SIGXFSZ, _) => {}
            (_, None) => {
                stopping = Some(read_clock());
                stop(signal, &lock(stage), console);
            }
            (_, Some(since)) if since.elapsed() < ECHO => {}
            (_, Some(_)) => std::process::exit(128 + signal),
        }
    }
}

/// Does this if the proxy serves, otherwise notes it until it does.
fn ask(what: Asked, stage: &mut Stage) {
    match stage {
        Stage::Starting { asked, .. } => *asked = what.max(*asked),
        Stage::Serving(serving) => serving.obey(what),
    }
}

/// Ends the proxy: gracefully if it serves, otherwise at once.
fn stop(signal: i32, stage: &Stage, console: Console) {
    match stage {
        Stage::Serving(serving) => {
            // First, because a proxy with nothing in flight ends at once.
            manager::stopping(&"stopping; what is in flight may finish");
            serving.controller.stop();
        }
        Stage::Starting { doing, .. } => {
            let name = signal_name(signal).unwrap_or("a signal");
            console.say(&format!("stopped by {name} while {doing}"));
            console.finish();
            std::process::exit(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use tidegate::control::reloader::Step;
    use tidegate::control::sources::Sources;
    use tidegate::journal::{Journal, Options};
    use tidegate::proxy::Bound;
    use tidegate::sandbox::Sandbox;

    use super::*;

    #[test]
    fn a_reload_that_is_asked_for_while_it_starts_is_made_when_it_serves() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        let text = "listen = '127.0.0.1:0'\nlog = 'none'\nbackend = []\n";
        std::fs::write(&path, text).expect("a file");
        let sources = Sources::new(Vec::new(), Some(path.clone()), []).expect("a file");
        let planned = sources.plan().expect("a plan");
        for (asked, expected) in [
            (&[][..], None),
            (&[Asked::Reopen], None),
            (&[Asked::Reload, Asked::Reopen], Some(true)),
        ] {
            let mut stage = Stage::Starting { doing: "starting", asked: Asked::Nothing };
            for what in asked {
                ask(*what, &mut stage);
            }
            let watch = Watch(Arc::new(Mutex::new(stage)));
            watch.begins("opening the log");
            let (_bound, backends) = Bound::bind(&planned.plan).expect("a proxy");
            let plan = planned.plan.clone();
            let controller = Controller::start(plan, backends).expect("a controller");
            let (sender, told) = channel();
            let sources = Sources::new(Vec::new(), Some(path.clone()), []).expect("a file");
            let tell = move |_: &_, step| {
                if let Step::Ended(reloaded) = step {
                    let _ = sender.send(reloaded.is_ok());
                }
            };
            let (planned, sandbox) = (planned.clone(), Sandbox::default());
            let reloader = Reloader::start(sources, planned, controller.clone(), sandbox, tell);
            let reloader = reloader.expect("a thread");
            let (journal, _) = Journal::start(Options {
                decisions: None,
                path: None,
                meta: None,
                routing_mode: String::new(),
                connection: String::new(),
                workers: 1,
                verbose: false,
                console: Console::standard(),
            })
            .expect("a journal");
            watch.serves(Serving { controller, reopener: journal.reopener(), reloader });
            // The thread ends with the last handle, so all that was told is told.
            drop(watch);
            let told: Vec<bool> = told.iter().collect();
            assert_eq!(told, Vec::from_iter(expected));
        }
    }
}
