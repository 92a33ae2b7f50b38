//! Reads the configuration file again while the proxy runs, and has the proxy run by it. It does so
//! on a thread of its own, because the names of new backends are resolved meanwhile.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::controller::{ApplyError, Changes, Controller};
use super::sources::{SourceError, Sources};
use crate::journal::{self, JournalError};
use crate::proxy::settings::Plan;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no plan.
    #[error(transparent)]
    Sources(#[from] SourceError),
    /// Its log can't be written.
    #[error(transparent)]
    Log(#[from] JournalError),
    /// It can't be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// What came of reading the file again.
#[derive(Debug)]
pub struct Reloaded {
    /// The plan that is in force now.
    pub plan: Plan,
    /// What it changed.
    pub changes: Changes,
}

/// A handle on the thread, which ends with it.
#[derive(Debug)]
pub struct Reloader(SyncSender<()>);

impl Reloader {
    /// Starts the thread; `None` if there is no file. It calls `tell` after each time.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        sources: Sources,
        controller: Controller,
        tell: impl FnMut(&Path, Result<Reloaded, ReloadError>) + Send + 'static,
    ) -> io::Result<Option<Self>> {
        if sources.config().is_none() {
            return Ok(None);
        }
        let (asking, asked) = sync_channel(1);
        let thread = thread::Builder::new().name("reloader".to_owned());
        thread.spawn(move || run(&sources, &controller, &asked, tell))?;
        Ok(Some(Self(asking)))
    }

    /// Has the file read again, soon.
    pub fn reload(&self) {
        // If it is asked for already, it will be read after this, and once is enough.
        let _ = self.0.try_send(());
    }
}

fn run(
    sources: &Sources,
    controller: &Controller,
    asked: &Receiver<()>,
    mut tell: impl FnMut(&Path, Result<Reloaded, ReloadError>),
) {
    let Some(config) = sources.config() else { return };
    while asked.recv().is_ok() {
        tell(config, reload(sources, controller));
    }
}

fn reload(sources: &Sources, controller: &Controller) -> Result<Reloaded, ReloadError> {
    let plan = sources.plan()?;
    plan.settings.log.as_deref().map(journal::check).transpose()?;
    let changes = controller.apply(plan.clone())?;
    Ok(Reloaded { plan, changes })
}
