//! Connects the admin API with what a reload does.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tidegate::admin::{Bound, Server, Service};
use tidegate::console::Console;
use tidegate::control::changes::Changes;
use tidegate::control::controller::Controller;
use tidegate::control::meta::describe_run;
use tidegate::control::reloader::Reloader;
use tidegate::control::scraper::Scraper;
use tidegate::journal::{NextRun, Reopener};

/// The logs, which follow the plan.
#[derive(Clone)]
pub(crate) struct Log {
    reopener: Reopener,
    started: Timestamp,
    controller: Controller,
    /// Locked while the log is told of the plan in force, because whoever tells it last has to tell
    /// the last one.
    telling: Arc<Mutex<()>>,
}

impl Log {
    /// That of a proxy that began at `started`.
    pub(crate) fn new(reopener: Reopener, started: Timestamp, controller: Controller) -> Self {
        Self { reopener, started, controller, telling: Arc::default() }
    }

    /// Rows and choices are of the plan in force from now on, if they are logged.
    pub(crate) fn follow(&self) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = self.controller.plan();
        let settings = &plan.settings;
        self.reopener.go_on_as(NextRun {
            path: settings.log.clone(),
            decisions: settings.decisions.clone(),
            meta: describe_run(&plan, self.started),
            routing_mode: settings.policy.to_string(),
            connection: settings.upstream_reuse.name().to_owned(),
        });
    }
}

/// What answers are made from.
#[derive(Clone)]
pub(crate) struct Answering {
    pub(crate) scraper: Scraper,
    /// There is one if there is a configuration file.
    pub(crate) reloader: Option<Reloader>,
    pub(crate) log: Log,
}

/// Answers from now on, if there is an address to answer at.
pub(crate) fn start(
    bound: Bound,
    answering: Answering,
    console: Console,
) -> io::Result<Option<Server>> {
    if bound.endpoints().next().is_none() {
        return Ok(None);
    }
    let Answering { scraper, reloader, log } = answering;
    let reopener = log.reopener.clone();
    // As SIGHUP does.
    let reload = move || {
        reopener.reopen();
        let none = "the proxy was started without --config, so there is no file to read again";
        let reloader = reloader.as_ref().ok_or_else(|| none.to_owned())?;
        reloader.reload_and_wait()
    };
    let changed = move |changes: &Changes| {
        log.follow();
        console.say(&format!("by the admin: {changes}"));
    };
    let service = |now| Service::new(scraper, reload, changed, now);
    Server::start(bound, service).map(Some)
}

#[cfg(test)]
mod tests {
    use tidegate::balance::Policy;
    use tidegate::journal::{Journal, Options, meta_path};
    use tidegate::proxy::Bound;
    use tidegate::proxy::settings::{Plan, Settings};

    use super::*;

    #[test]
    fn the_log_follows_the_plan_in_force_whoever_tells_it_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        let any = "127.0.0.1:0".parse::<tidegate::endpoint::Endpoint>().expect("an address");
        let with = |policy: Policy| {
            let log = Some(path.clone());
            let settings =
                Settings { listen: vec![any.clone().into()], log, policy, ..Settings::default() };
            Plan { settings, backends: Vec::new() }
        };
        let (_bound, backends) = Bound::bind(&with(Policy::RoundRobin)).expect("a proxy");
        let controller = Controller::start(with(Policy::RoundRobin), backends).expect("a thread");
        let (journal, senders) = Journal::start(Options {
            path: Some(path.clone()),
            decisions: None,
            meta: None,
            routing_mode: String::new(),
            connection: String::new(),
            workers: 1,
            verbose: false,
            console: Console::standard(),
        })
        .expect("a journal");
        let log = Log::new(journal.reopener(), Timestamp::now(), controller.clone());
        // One applies a plan, and before it tells the log another one applies the next and does.
        controller.apply(with(Policy::LeastConn)).expect("a change");
        controller.apply(with(Policy::Adaptive)).expect("a change");
        log.follow();
        log.follow();
        drop(senders);
        let _totals = journal.close();
        let told = std::fs::read_to_string(meta_path(&path)).expect("a description");
        assert!(told.contains("\"adaptive\"") && !told.contains("least-conn"), "{told}");
    }
}
