//! Reads the configuration file again while the proxy runs, and applies it. A thread of its own
//! does that, because resolving the names of new backends takes time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::changes::Changes;
use super::controller::{ApplyError, Controller};
use super::sources::{Planned, SourceError, Sources};
use crate::journal::{self, Form, JournalError};
use crate::proxy::settings::{Plan, Settings};
use crate::sandbox::Sandbox;

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The settings make no plan.
    #[error(transparent)]
    Sources(#[from] SourceError),
    /// A log of the new plan can't be written.
    #[error(transparent)]
    Log(#[from] JournalError),
    /// The sandbox does not permit to write a file of the new plan.
    #[error(
        "the sandbox does not permit this process to write `{}`: it may write only in the folders \
         that it used at its start, and a folder that was deleted and made again is not one of \
         them; restart the proxy, or choose a path in a folder that is permitted (see --sandbox)",
        .0.display()
    )]
    Confined(PathBuf),
    /// The new plan can't be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// A step of a reload.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Step {
    /// The file is about to be read.
    Begins,
    /// The reload has ended, with this result.
    Ended(Result<Reloaded, ReloadError>),
}

/// The result of a reload.
#[derive(Debug)]
pub struct Reloaded {
    /// The plan that is in force now.
    pub plan: Plan,
    /// What it changed.
    pub changes: Changes,
}

/// A handle on the thread. The thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Reloader(SyncSender<Option<Answer>>);

/// Takes the result to the caller that waits for it: the changes, or why there are none.
type Answer = Sender<Result<Changes, String>>;

impl Reloader {
    /// Starts the thread, for a proxy that was started with the plan `start`; `None` if there is no
    /// file. A plan that needs files which `sandbox` refuses is refused. The thread calls `tell`
    /// before and after each reload.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        sources: Sources,
        start: Planned,
        controller: Controller,
        sandbox: Sandbox,
        tell: impl FnMut(&Path, Step) + Send + 'static,
    ) -> io::Result<Option<Self>> {
        if sources.config().is_none() {
            return Ok(None);
        }
        let (asking, asked) = sync_channel(1);
        let thread = thread::Builder::new().name("reloader".to_owned());
        let reading = Reading { sources, start, controller, sandbox };
        thread.spawn(move || reading.run(&asked, tell))?;
        Ok(Some(Self(asking)))
    }

    /// Asks for a reload and returns at once.
    pub fn reload(&self) {
        // If the queue is full, a reload that has not begun was asked for already. One is enough.
        let _ = self.0.try_send(None);
    }

    /// Asks for a reload and waits for its result.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn reload_and_wait(&self) -> Result<Changes, String> {
        let (answer, answered) = channel();
        let ended = || "nothing reads the file any more".to_owned();
        self.0.send(Some(answer)).map_err(|_| ended())?;
        answered.recv().unwrap_or_else(|_| Err(ended()))
    }
}

/// What a plan is made by, and where it is applied.
struct Reading {
    sources: Sources,
    start: Planned,
    controller: Controller,
    sandbox: Sandbox,
}

impl Reading {
    fn run(&self, asked: &Receiver<Option<Answer>>, mut tell: impl FnMut(&Path, Step)) {
        let Some(config) = self.sources.config() else { return };
        let mut logs = Logs::of(&self.start.plan);
        while let Ok(answer) = asked.recv() {
            tell(config, Step::Begins);
            let reloaded = self.reload(&logs);
            let short = match &reloaded {
                Ok(Reloaded { plan, changes }) => {
                    logs = Logs::of(plan);
                    Ok(changes.clone())
                }
                Err(error) => Err(error.to_string()),
            };
            tell(config, Step::Ended(reloaded));
            if let Some(answer) = answer {
                // The caller may be gone by now.
                let _ = answer.send(short);
            }
        }
    }

    /// Reads the file again and applies it. The proxy writes `logs` now.
    fn reload(&self, logs: &Logs) -> Result<Reloaded, ReloadError> {
        let Planned { plan, hidden, .. } = self.sources.plan_after(&self.start)?;
        if let Some(file) = self.sandbox.refused(&plan.settings.files()) {
            return Err(ReloadError::Confined(file.to_owned()));
        }
        logs.check_next(&plan)?;
        let changes = self.controller.apply(plan.clone())?;
        Ok(Reloaded { plan, changes: Changes { hidden, ..changes } })
    }
}

/// The logs, and where each of them is.
struct Logs([(Form, Option<PathBuf>); 2]);

impl Logs {
    fn of(plan: &Plan) -> Self {
        let settings = &plan.settings;
        Self([(Form::Rows, settings.log.clone()), (Form::Decisions, settings.decisions.clone())])
    }

    /// Checks that the logs of the next plan can be written.
    fn check_next(&self, plan: &Plan) -> Result<(), JournalError> {
        let Self(next) = Self::of(plan);
        for ((form, now), (_, next)) in self.0.iter().zip(&next) {
            if let (Some(now), Some(next)) = (now, next) {
                journal::check_next(now, next, *form)?;
            }
        }
        let Settings { log, decisions, .. } = &plan.settings;
        journal::check_distinct(log.as_deref(), decisions.as_deref())
    }
}
