//! From texts to the plan: which source wins, and whether the settings fit together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::setting::{Change, Given, Refusal, Setting};
use super::table;
use crate::balance::MAX_BACKENDS;
use crate::endpoint::Endpoint;
use crate::journal::STANDARD_OUTPUT;
use crate::proxy::settings::{Listen, Pin, Plan, Resample, Settings};
use crate::reactor::cores;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A value is not accepted.
    #[error("{place}: invalid value '{text}': {reason}")]
    Value {
        /// Where it is given.
        place: String,
        /// The value.
        text: String,
        /// What is accepted.
        reason: String,
    },
    /// There are more backends than the balancer takes.
    #[error("--upstream: {0} are too many, {MAX_BACKENDS} is the most")]
    TooManyBackends(usize),
    /// An address to listen on is given more than once.
    #[error("--listen: {0} is given twice")]
    ListenTwice(Endpoint),
    /// The first ejection would be longer than the longest.
    #[error("--cooldown must not be longer than --cooldown-max")]
    Cooldown,
    /// The system does not say which cores there are.
    #[error("--pin: the system doesn't tell its cores: {0}")]
    NoCores(io::Error),
    /// This process may not use the core.
    #[error("--pin: there is no core {core} to run on; the allowed ones are {allowed:?}")]
    NoSuchCore {
        /// The core.
        core: usize,
        /// The cores that it may use.
        allowed: Vec<usize>,
    },
    /// There are fewer cores than workers.
    #[error("--pin names too few cores for {workers} workers ({cores}); name one for each")]
    TooFewCores {
        /// How many workers there are.
        workers: usize,
        /// How many cores are named.
        cores: usize,
    },
}

/// Makes a plan of the defaults and the sources. The first source that gives a setting wins.
///
/// # Errors
/// The first value that is not accepted, or does not fit another one.
pub fn plan<'a>(sources: impl IntoIterator<Item = &'a Vec<Given>>) -> Result<Plan, PlanError> {
    settle(stated(sources)?)
}

/// The defaults and what is given, as it is given: what follows from other settings or from this
/// machine is left open.
///
/// # Errors
/// The first value that is not accepted.
pub fn stated<'a>(sources: impl IntoIterator<Item = &'a Vec<Given>>) -> Result<Plan, PlanError> {
    let given: Vec<&Given> = sources.into_iter().flatten().collect();
    let mut plan = Plan::default();
    for setting in table::all() {
        let mut given = given.iter();
        let Some(given) = given.find(|given| given.setting.name == setting.name) else { continue };
        let Given { texts, place, .. } = given;
        setting.part.read(texts, &mut plan).map_err(|Refusal { text, reason }| {
            PlanError::Value { place: place.clone(), text, reason }
        })?;
    }
    Ok(plan)
}

/// The settings that differ between two plans, of those of which a new value takes effect then.
#[must_use]
pub fn changed(now: &Plan, new: &Plan, effect: Change) -> Vec<&'static str> {
    let differs = |setting: &&Setting| setting.part.show(now) != setting.part.show(new);
    let settings = table::all().filter(|setting| setting.change == effect);
    settings.filter(differs).map(|setting| setting.name).collect()
}

/// The settings whose new values take effect at a restart only. A log can become another file, but
/// not begin, end, or move to or from standard output.
#[must_use]
pub fn needs_restart(now: &Plan, new: &Plan) -> Vec<&'static str> {
    let place = |plan: &Plan| {
        let is_stdout = |path: &PathBuf| path == Path::new(STANDARD_OUTPUT);
        plan.settings.log.as_ref().map(is_stdout)
    };
    let log = (place(now) != place(new)).then_some("log");
    changed(now, new, Change::Restart).into_iter().chain(log).collect()
}

/// Checks and completes what depends on more than one setting, or on this machine.
fn settle(mut plan: Plan) -> Result<Plan, PlanError> {
    /// The name of this process in `Via`. It is the same in all its plans.
    static PSEUDONYM: LazyLock<String> =
        LazyLock::new(|| format!("tidegate-{:08x}", fastrand::u32(..)));

    if plan.backends.len() > MAX_BACKENDS {
        return Err(PlanError::TooManyBackends(plan.backends.len()));
    }
    let settings = &mut plan.settings;
    if settings.cooldown > settings.cooldown_max {
        return Err(PlanError::Cooldown);
    }
    if let Some(endpoint) = given_twice(&settings.listen) {
        return Err(PlanError::ListenTwice(endpoint.clone()));
    }
    settings.policy = settings.policy.with(settings.sma_window, settings.ewma_alpha);
    if settings.resample == Resample::ByPolicy {
        settings.resample =
            settings.policy.resample_after().map_or(Resample::Never, Resample::After);
    }
    settings.log = settings.log.take().map(|path| named_after(path, settings));
    settings.pseudonym.clone_from(&PSEUDONYM);
    place(settings)?;
    Ok(plan)
}

/// An address that is listened on twice. Port 0 stands for another port each time.
fn given_twice(listen: &[Listen]) -> Option<&Endpoint> {
    let is_any = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp(it) if it.port() == 0);
    let endpoints: Vec<&Endpoint> = listen.iter().map(|listen| &listen.endpoint).collect();
    let twice = |at: usize| !is_any(endpoints[at]) && endpoints[..at].contains(&endpoints[at]);
    (0..endpoints.len()).find(|at| twice(*at)).map(|at| endpoints[at])
}

/// The log's path, with the names of settings replaced by their values.
fn named_after(path: PathBuf, settings: &Settings) -> PathBuf {
    let Some(text) = path.to_str() else { return path };
    let connections = settings.upstream_reuse.name().replace('-', "_");
    let text = text.replace("<policy>", settings.policy.name());
    text.replace("<connections>", &connections).into()
}

/// Decides how many workers there are, and their cores.
fn place(settings: &mut Settings) -> Result<(), PlanError> {
    let workers = settings.workers();
    settings.workers = Some(workers);
    let allowed = cores::allowed().map_err(PlanError::NoCores)?;
    match &mut settings.pin {
        Pin::None => {}
        Pin::Auto => {
            settings.pin = Pin::Cores(allowed.into_iter().cycle().take(workers).collect());
        }
        Pin::Cores(list) => {
            if let Some(&core) = list.iter().find(|core| !allowed.contains(core)) {
                return Err(PlanError::NoSuchCore { core, allowed });
            }
            if list.len() < workers {
                return Err(PlanError::TooFewCores { workers, cores: list.len() });
            }
            list.truncate(workers);
        }
    }
    Ok(())
}
