//! Where settings come from, read together: flags and variables, which stay, and the configuration
//! file, which is read anew each time.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::{self, CONFIG, EnvironmentError};
use super::file::{self, FileError};
use super::plan::{Misfit, stated};
use super::setting::Given;
use super::table::UPSTREAM;
use crate::proxy::settings::Plan;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file can't be used.
    #[error("{}{error}", .variable.map(|name| format!("{name}: ")).unwrap_or_default())]
    File {
        /// The variable that names it, if one does.
        variable: Option<&'static str>,
        /// Why.
        error: FileError,
    },
    /// The file names no backend, and no other source does. It may have been emptied or cut, so
    /// that the built-in backends are not what is meant.
    #[error(
        "{} names no backend: add a table [[backend]] with its `url`, or `backend = []` if there \
         is to be none",
        .0.display()
    )]
    NoBackend(PathBuf),
    /// A setting can't be used, or does not fit another one.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

/// A plan, and what it was made of.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The same with what follows from other settings or from this machine left open.
    pub stated: Plan,
    /// Backends that a file names and that are not used.
    pub hidden: Option<Hidden>,
}

/// Backends of the file that are not used, because another source names some. Lists of two sources
/// are not joined.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hidden {
    by: String,
    file: PathBuf,
    count: usize,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, file, count } = self;
        let (file, backends) = (file.display(), if *count == 1 { "backend" } else { "backends" });
        write!(f, "{by} takes the place of the {count} {backends} of {file}")
    }
}

/// See the module's description.
pub struct Sources {
    flags: Vec<Given>,
    variables: Vec<Given>,
    config: Option<Config>,
}

/// The configuration file.
struct Config {
    path: PathBuf,
    /// The variable that names it, if no flag does.
    variable: Option<&'static str>,
}

impl Sources {
    /// What flags and variables give; a flag names the file, or a variable.
    ///
    /// # Errors
    /// A variable can't be used.
    pub fn new(
        flags: Vec<Given>,
        config: Option<PathBuf>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, EnvironmentError> {
        let variables: Vec<(OsString, OsString)> = variables.into_iter().collect();
        let named = variables.iter().find(|(name, _)| name == OsStr::new(CONFIG));
        let named = named.map(|(_, path)| path).filter(|path| !path.is_empty());
        let by_variable = || Some(Config { path: named?.into(), variable: Some(CONFIG) });
        let config = config.map(|path| Config { path, variable: None }).or_else(by_variable);
        Ok(Self { flags, variables: environment::read(variables)?, config })
    }

    /// The configuration file, if one is named.
    #[must_use]
    pub fn config(&self) -> Option<&Path> {
        self.config.as_ref().map(|config| config.path.as_path())
    }

    /// Reads the file, and makes the plan of all that is given. A flag wins over its variable, and
    /// that over the file.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn plan(&self) -> Result<Planned, SourceError> {
        self.read(None)
    }

    /// The same for a proxy that was started by the plan `start` and runs.
    ///
    /// # Errors
    /// See [`SourceError`]. A setting that takes a restart is one.
    pub fn plan_after(&self, start: &Planned) -> Result<Planned, SourceError> {
        self.read(Some(start))
    }

    fn read(&self, start: Option<&Planned>) -> Result<Planned, SourceError> {
        let file = self.file()?;
        let hidden = self.hidden(&file)?;
        let stated = stated([&self.flags, &self.variables, &file])?;
        let plan = match start {
            None => stated.plan(),
            Some(start) => stated.plan_after(&start.stated, &start.plan),
        }?;
        Ok(Planned { plan, stated: stated.plan, hidden })
    }

    fn file(&self) -> Result<Vec<Given>, SourceError> {
        let Some(Config { path, variable }) = &self.config else { return Ok(Vec::new()) };
        file::read(path).map_err(|error| SourceError::File { variable: *variable, error })
    }

    /// The backends of the file that are not used.
    fn hidden(&self, file: &[Given]) -> Result<Option<Hidden>, SourceError> {
        let Some(file_path) = self.config() else { return Ok(None) };
        let of = |given: &'_ [Given]| {
            given.iter().find(|it| it.setting.name == UPSTREAM).map(|it| it.values.len())
        };
        let by = if of(&self.flags).is_some() {
            format!("--{UPSTREAM}")
        } else if let Some(variable) = self.variables.iter().find(|it| it.setting.name == UPSTREAM)
        {
            environment::variable(variable.setting).unwrap_or_default()
        } else if of(file).is_none() {
            return Err(SourceError::NoBackend(file_path.to_owned()));
        } else {
            return Ok(None);
        };
        let hidden = |count| Hidden { by, file: file_path.to_owned(), count };
        Ok(of(file).filter(|count| *count > 0).map(hidden))
    }
}
