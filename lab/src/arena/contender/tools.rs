//! Where the contenders' programs are, and their versions.

use std::path::{Path, PathBuf};

use super::Program;
use crate::machine::version_line;
use crate::setup::{self, Wheel};

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    lab: PathBuf,
    /// The virtual environment of those that `setup --arena` installs from wheels.
    wheels: PathBuf,
}

impl Tools {
    /// Those beside `lab`, the file of `tidegate-lab`, those that `setup --arena` installed, and
    /// those of the system.
    #[must_use]
    pub fn beside(lab: &Path) -> Self {
        Self { lab: lab.to_owned(), wheels: Wheel::environment(lab) }
    }

    /// The file of a program, if it is there. What comes from wheels is searched nowhere else,
    /// because its version is a part of the comparison.
    #[must_use]
    pub fn program(&self, program: Program) -> Option<PathBuf> {
        let executable = program.executable();
        match program {
            Program::Tidegate(_) | Program::Unhedged | Program::Hyper => {
                let file = self.lab.with_file_name(executable);
                file.is_file().then_some(file)
            }
            Program::Haproxy { .. } => setup::find(executable),
            Program::Nginx { .. }
            | Program::Envoy { .. }
            | Program::Traefik(_)
            | Program::Caddy(_) => Wheel::of(executable)?.file(&self.wheels),
        }
    }
}

/// What a program says of its version, with its name.
pub(super) fn version(file: &Path, program: Program) -> String {
    let flag = match program {
        Program::Tidegate(_) | Program::Unhedged | Program::Hyper | Program::Envoy { .. } => {
            "--version"
        }
        Program::Nginx { .. } | Program::Haproxy { .. } => "-v",
        Program::Traefik(_) | Program::Caddy(_) => "version",
    };
    let name = program.executable();
    let said = version_line(file, flag).unwrap_or_else(|| "unknown version".to_owned());
    match program {
        // A hash of the source and the version, with slashes between them.
        Program::Envoy { .. } => {
            format!("{name} {}", said.split('/').rev().nth(3).unwrap_or(&said))
        }
        Program::Traefik(_) => format!("{name} {}", said.trim_start_matches("Version:").trim()),
        Program::Caddy(_) => format!("{name} {}", said.split(' ').next().unwrap_or(&said)),
        _ => said,
    }
}
