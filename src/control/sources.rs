//! Where settings come from, read together: flags and variables, which stay, and the configuration
//! file, which is read anew each time.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::environment::{self, CONFIG, EnvironmentError};
use super::file::{self, FileError};
use super::plan::{PlanError, plan, stated};
use super::setting::Given;
use crate::proxy::settings::Plan;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A setting can't be used, or does not fit another one.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// See the module's description.
pub struct Sources {
    flags: Vec<Given>,
    variables: Vec<Given>,
    config: Option<PathBuf>,
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
        let config = config.or_else(|| named.map(PathBuf::from));
        Ok(Self { flags, variables: environment::read(variables)?, config })
    }

    /// The configuration file, if one is named.
    #[must_use]
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Reads the file, and makes the plan of all that is given. A flag wins over its variable, and
    /// that over the file.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn plan(&self) -> Result<Plan, SourceError> {
        Ok(plan([&self.flags, &self.variables, &self.file()?])?)
    }

    /// The same with what follows from other settings or from this machine left open.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn stated(&self) -> Result<Plan, SourceError> {
        Ok(stated([&self.flags, &self.variables, &self.file()?])?)
    }

    fn file(&self) -> Result<Vec<Given>, FileError> {
        Ok(self.config().map(file::read).transpose()?.unwrap_or_default())
    }
}
