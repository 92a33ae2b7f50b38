//! From texts to the plan: which source wins, and whether the settings fit together.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use super::setting::{Change, Given, Place, Refusal, Setting, Value};
use super::table::{self, UPSTREAM};
use crate::balance::MAX_BACKENDS;
use crate::endpoint::Endpoint;
use crate::journal::STANDARD_OUTPUT;
use crate::proxy::settings::{Listen, Pin, Plan, Resample, Settings};
use crate::reactor::cores;
use crate::time::format_duration;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A value is not accepted.
    #[error("invalid value '{text}': {reason}")]
    Value {
        /// The setting.
        setting: &'static str,
        /// The value.
        text: String,
        /// What is accepted.
        reason: String,
    },
    /// There are more backends than the balancer takes.
    #[error("{0} backends are too many, {MAX_BACKENDS} is the most")]
    TooManyBackends(usize),
    /// An address to listen on is given more than once.
    #[error("{0} is given twice")]
    ListenTwice(Endpoint),
    /// An address of the admin is given more than once, or is one for clients.
    #[error("{0} is given twice, or is an address of --listen")]
    AdminTwice(Endpoint),
    /// The same file is to have rows and choices.
    #[error("{} can't be both --log and --decisions; name two files", .0.display())]
    OneFile(PathBuf),
    /// The first ejection would be longer than the longest.
    #[error("cooldown must not be longer than cooldown-max ({})", format_duration(*.0))]
    Cooldown(Duration),
    /// The system does not say which cores there are.
    #[error("the system doesn't tell its cores: {0}")]
    NoCores(io::Error),
    /// This process may not use the core.
    #[error("there is no core {core} to run on; the allowed ones are {allowed:?}")]
    NoSuchCore {
        /// The core.
        core: usize,
        /// The cores that it may use.
        allowed: Vec<usize>,
    },
    /// There are fewer cores than workers.
    #[error("pin names too few cores for {workers} workers ({cores}); name one for each")]
    TooFewCores {
        /// How many workers there are.
        workers: usize,
        /// How many cores are named.
        cores: usize,
    },
    /// These settings are read at the start only.
    #[error("{} can't change while the proxy runs; restart it", .0.join(", "))]
    Restart(Vec<&'static str>),
}

impl PlanError {
    /// The settings that it is about. Of those that are given, the first one is shown.
    fn settings(&self) -> Vec<&'static str> {
        match self {
            Self::Value { setting, .. } => vec![setting],
            Self::TooManyBackends(_) => vec![UPSTREAM],
            Self::ListenTwice(_) => vec!["listen"],
            Self::AdminTwice(_) => vec!["admin"],
            Self::OneFile(_) => vec!["decisions", "log"],
            Self::Cooldown(_) => vec!["cooldown", "cooldown-max"],
            Self::NoCores(_) | Self::NoSuchCore { .. } | Self::TooFewCores { .. } => {
                vec!["pin", "workers"]
            }
            Self::Restart(settings) => settings.clone(),
        }
    }

    /// The value that it is about, if that is one of a list.
    fn value(&self) -> Option<String> {
        match self {
            Self::Value { text, .. } => Some(text.clone()),
            Self::ListenTwice(endpoint) | Self::AdminTwice(endpoint) => Some(endpoint.to_string()),
            _ => None,
        }
    }
}

/// Why there is no plan, and where that is given.
#[derive(Debug)]
pub struct Misfit {
    place: Option<Place>,
    error: PlanError,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => place.explain(&self.error.to_string()).fmt(f),
            None => self.error.fmt(f),
        }
    }
}

impl Error for Misfit {}

/// What is given, as it is given: what follows from other settings or from this machine is left
/// open.
pub struct Stated<'a> {
    /// The defaults, and what is given.
    pub plan: Plan,
    /// What holds of that which is given.
    given: Vec<&'a Given>,
}

/// Reads the sources. The first one that gives a setting wins.
///
/// # Errors
/// The first value that is not accepted.
pub fn stated<'a>(sources: impl IntoIterator<Item = &'a Vec<Given>>) -> Result<Stated<'a>, Misfit> {
    let given: Vec<&Given> = sources.into_iter().flatten().collect();
    let mut stated = Stated { plan: Plan::default(), given: Vec::new() };
    for setting in table::all() {
        let mut given = given.iter();
        let Some(given) = given.find(|given| given.setting.name == setting.name) else { continue };
        stated.given.push(given);
        let read = setting.part.read(&given.texts(), &mut stated.plan);
        read.map_err(|Refusal { text, reason }| {
            stated.misfit(PlanError::Value { setting: setting.name, text, reason })
        })?;
    }
    Ok(stated)
}

impl Stated<'_> {
    /// The plan of a proxy that starts on this machine.
    ///
    /// # Errors
    /// Settings that don't fit each other, or this machine.
    pub fn plan(&self) -> Result<Plan, Misfit> {
        let plan = settle(self.plan.clone()).and_then(|mut plan| {
            place(&mut plan.settings)?;
            Ok(plan)
        });
        plan.map_err(|error| self.misfit(error))
    }

    /// The plan of a proxy that runs, and was started by `plan`, which followed from `stated`. How
    /// many workers there are, and where, was decided then: this machine may have other cores now.
    ///
    /// # Errors
    /// Settings that don't fit each other, or that take a restart.
    pub fn plan_after(&self, stated: &Plan, plan: &Plan) -> Result<Plan, Misfit> {
        let restart = needs_restart(stated, &self.plan);
        if !restart.is_empty() {
            return Err(self.misfit(PlanError::Restart(restart)));
        }
        let mut next = settle(self.plan.clone()).map_err(|error| self.misfit(error))?;
        next.settings.workers = plan.settings.workers;
        next.settings.pin.clone_from(&plan.settings.pin);
        Ok(next)
    }

    /// An error, with the place of the value that it is about.
    fn misfit(&self, error: PlanError) -> Misfit {
        let settings = error.settings();
        let of = |name: &&str| self.given.iter().find(|given| given.setting.name == *name);
        let values = settings.iter().find_map(of).map_or(&[][..], |given| &given.values);
        let value = error.value();
        let is_meant = |it: &&Value| it.text.split(' ').next() == value.as_deref().map(first_word);
        let value = values.iter().rev().find(is_meant).or(values.last());
        Misfit { place: value.map(|value| value.place.clone()), error }
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// Makes the plan of a proxy that starts, of the defaults and the sources.
///
/// # Errors
/// The first value that is not accepted, or does not fit another one.
#[cfg(test)]
pub fn plan<'a>(sources: impl IntoIterator<Item = &'a Vec<Given>>) -> Result<Plan, Misfit> {
    stated(sources)?.plan()
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
    type Log = fn(&Plan) -> Option<&PathBuf>;
    let logs: [(&str, Log); 2] = [
        ("log", |plan| plan.settings.log.as_ref()),
        ("decisions", |plan| plan.settings.decisions.as_ref()),
    ];
    let is_stdout = |path: &PathBuf| *path == *STANDARD_OUTPUT;
    let differs = |(_, path): &(_, Log)| path(now).map(is_stdout) != path(new).map(is_stdout);
    let moved = logs.into_iter().filter(differs).map(|(name, _)| name);
    changed(now, new, Change::Restart).into_iter().chain(moved).collect()
}

/// Checks and completes what depends on more than one setting.
fn settle(mut plan: Plan) -> Result<Plan, PlanError> {
    /// The name of this process in `Via`. It is the same in all its plans.
    static PSEUDONYM: LazyLock<String> =
        LazyLock::new(|| format!("tidegate-{:08x}", fastrand::u32(..)));

    if plan.backends.len() > MAX_BACKENDS {
        return Err(PlanError::TooManyBackends(plan.backends.len()));
    }
    let settings = &mut plan.settings;
    if settings.cooldown > settings.cooldown_max {
        return Err(PlanError::Cooldown(settings.cooldown_max));
    }
    if let Some(endpoint) = given_twice(&settings.listen) {
        return Err(PlanError::ListenTwice(endpoint.clone()));
    }
    if let Some(endpoint) = given_twice(&settings.taken()) {
        return Err(PlanError::AdminTwice(endpoint.clone()));
    }
    settings.policy = settings.policy.with(settings.sma_window, settings.ewma_alpha);
    if settings.resample == Resample::ByPolicy {
        settings.resample =
            settings.policy.resample_after().map_or(Resample::Never, Resample::After);
    }
    settings.log = settings.log.take().map(|path| named_after(path, settings));
    settings.decisions = settings.decisions.take().map(|path| named_after(path, settings));
    if let Some(path) =
        settings.decisions.as_ref().filter(|path| settings.log.as_ref() == Some(*path))
    {
        return Err(PlanError::OneFile(path.clone()));
    }
    settings.pseudonym.clone_from(&PSEUDONYM);
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
