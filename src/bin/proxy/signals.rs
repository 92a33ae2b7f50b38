//! What signals mean to the proxy, from its first moment on: a name that is not resolved for
//! minutes must not keep it from its end.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;
use tidegate::console::Console;
use tidegate::control::controller::Controller;
use tidegate::control::reloader::Reloader;
use tidegate::journal::Reopener;

/// A signal this soon after the first is its echo: `timeout` signals a program and then its group.
const ECHO: Duration = Duration::from_millis(250);

/// How far the program has come.
enum Stage {
    /// It does this, and does not serve yet: it can be ended at once.
    Starting(&'static str),
    Serving(Serving),
}

/// What signals act on.
pub(crate) struct Serving {
    pub(crate) controller: Controller,
    pub(crate) reopener: Reopener,
    /// There is one if there is a configuration file.
    pub(crate) reloader: Option<Reloader>,
}

/// Listens to signals on a thread of its own.
pub(crate) struct Watch(Arc<Mutex<Stage>>);

impl Watch {
    /// # Errors
    /// The system gives no handler or no thread.
    pub(crate) fn start(console: Console) -> io::Result<Self> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGXFSZ])?;
        let stage = Arc::new(Mutex::new(Stage::Starting("starting")));
        let watched = Arc::clone(&stage);
        let thread = thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || obey(signals, &watched, console))?;
        Ok(Self(stage))
    }

    /// Notes what the program is about to do that may take long. If it is ended meanwhile, it says
    /// that.
    pub(crate) fn begins(&self, what: &'static str) {
        *lock(&self.0) = Stage::Starting(what);
    }

    /// From now on the proxy ends in order.
    pub(crate) fn serves(&self, serving: Serving) {
        *lock(&self.0) = Stage::Serving(serving);
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
            (SIGHUP | SIGUSR1, _) => {
                if let Stage::Serving(serving) = &*lock(stage) {
                    serving.reopener.reopen();
                    if signal == SIGHUP
                        && let Some(reloader) = &serving.reloader
                    {
                        reloader.reload();
                    }
                }
            }
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

/// Ends a proxy that serves in order, and one that does not at once.
fn stop(signal: i32, stage: &Stage, console: Console) {
    match stage {
        Stage::Serving(serving) => serving.controller.stop(),
        Stage::Starting(what) => {
            let name = signal_name(signal).unwrap_or("a signal");
            console.say(&format!("stopped by {name} while {what}"));
            console.finish();
            std::process::exit(0);
        }
    }
}
