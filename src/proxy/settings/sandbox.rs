//! Where the proxy writes files, and whether it is kept from writing others.

use std::path::{Path, PathBuf};

use super::Settings;
use crate::journal::STANDARD_OUTPUT;

/// Whether the proxy is confined to what it has to write.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Confinement {
    /// Where the kernel can do that.
    #[default]
    Auto,
    /// Never.
    Off,
    /// It does not start where the kernel can't.
    Require,
}

impl Settings {
    /// The files that are made, written and removed: the logs, and those of Unix sockets.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let taken = self.taken();
        let sockets = taken.iter().filter_map(|it| it.endpoint.path());
        self.logs().map(PathBuf::as_path).chain(sockets).map(Path::to_owned).collect()
    }

    /// The logs that are files.
    pub fn logs(&self) -> impl Iterator<Item = &PathBuf> {
        let named = self.log.iter().chain(&self.decisions);
        named.filter(|path| *path != Path::new(STANDARD_OUTPUT))
    }
}
