//! Connects the admin API with what a reload does.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use tidegate::admin::{Bound, Server, Service};
use tidegate::console::Console;
use tidegate::control::changes::Changes;
use tidegate::control::meta::describe_run;
use tidegate::control::reloader::Reloader;
use tidegate::control::scraper::Scraper;
use tidegate::journal::{NextRun, Reopener};
use tidegate::proxy::metrics::Metrics;
use tidegate::proxy::settings::Plan;

/// The log, which follows the plan.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) reopener: Reopener,
    pub(crate) started: Timestamp,
}

impl Log {
    /// Rows are of this plan from now on, if there is a log.
    pub(crate) fn goes_on_by(&self, plan: &Plan) {
        if let Some(path) = plan.settings.log.clone() {
            self.reopener.go_on_as(NextRun {
                path,
                meta: describe_run(plan, self.started),
                routing_mode: plan.settings.policy.to_string(),
                connection: plan.settings.upstream_reuse.name().to_owned(),
            });
        }
    }
}

/// What answers are made from.
#[derive(Clone)]
pub(crate) struct Answering {
    pub(crate) scraper: Scraper,
    /// There is one if there is a configuration file.
    pub(crate) reloader: Option<Reloader>,
    pub(crate) metrics: Arc<Metrics>,
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
    let Answering { scraper, reloader, metrics, log } = answering;
    let (plans, reopener) = (scraper.controller.clone(), log.reopener.clone());
    // As SIGHUP does.
    let reload = move || {
        reopener.reopen();
        let none = "the proxy was started without --config, so there is no file to read again";
        let reloader = reloader.as_ref().ok_or_else(|| none.to_owned())?;
        reloader.reload_and_wait()
    };
    let changed = move |changes: &Changes| {
        log.goes_on_by(&plans.plan());
        console.say(&format!("by the admin: {changes}"));
    };
    let service = |now| Service::new(scraper, metrics, reload, changed, now);
    Server::start(bound, service).map(Some)
}
