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
    /// The files that are made, written and removed: the log, and those of Unix sockets.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let log = self.log.iter().filter(|path| *path != Path::new(STANDARD_OUTPUT)).cloned();
        let taken = self.taken();
        log.chain(taken.iter().filter_map(|it| it.endpoint.path().map(Path::to_owned))).collect()
    }
}
