//! Collects all figures of a running proxy for a scrape.

use std::time::SystemTime;

use super::controller::Controller;
use super::reloads::ReloadCounter;
use crate::journal::Watcher;
use crate::proxy::metrics::exposition::{Format, Log, Process, Scrape, text};

/// What a scrape is made from. Asking it takes nothing from the workers but the reading of their
/// counters.
#[derive(Clone, Debug)]
pub struct Scraper {
    /// Of the proxy.
    pub controller: Controller,
    /// Of its log, if there is one.
    pub log: Option<Watcher>,
    /// Of its log of choices, if there is one.
    pub decisions: Option<Watcher>,
    /// Of its configuration file, if there is one.
    pub reloads: Option<ReloadCounter>,
    /// When it started.
    pub started: SystemTime,
}

impl Scraper {
    /// All figures, as they are now.
    #[must_use]
    pub fn text(&self, format: Format) -> String {
        let rows = |log: &Watcher| Log { rows: log.rows(), lost: log.lost() };
        let logs = [&self.log, &self.decisions].map(|log| log.as_ref().map(rows));
        let reloads = self.reloads.as_ref().map(ReloadCounter::get);
        let (observed, process) = (self.controller.observe(), Process::read());
        text(Scrape::new(observed, logs, reloads, process, self.started), format)
    }
}
