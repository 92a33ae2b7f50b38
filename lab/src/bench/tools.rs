//! The programs that a bench runs.

use std::env;
use std::path::{Path, PathBuf};

use super::contender::Program;
use super::{BenchError, system};
use crate::machine::Machine;
use crate::setup::find;

/// The programs that every bench needs.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) lab: PathBuf,
    pub(super) backend: PathBuf,
    pub(super) wrk: PathBuf,
}

impl Tools {
    pub(super) fn find() -> Result<Self, BenchError> {
        let lab = env::current_exe().map_err(system("find its own program"))?;
        let backend = lab.with_file_name("tidegate-backend");
        if !backend.is_file() {
            return Err(BenchError::NoProgram(backend, "`cargo build --release` builds it"));
        }
        let on_path = |name: &str| {
            let missing = || BenchError::NoProgram(name.into(), "./scripts/setup installs it");
            find(name).ok_or_else(missing)
        };
        on_path("taskset")?;
        Ok(Self { lab, backend, wrk: on_path("wrk")? })
    }

    /// The program of a contender, if it is installed.
    pub(super) fn program(&self, program: Program) -> Option<PathBuf> {
        if program.is_ours() {
            let path = self.lab.with_file_name(program.executable());
            path.is_file().then_some(path)
        } else {
            find(program.executable())
        }
    }

    /// Why a contender is left out.
    pub(super) fn absence(program: Program) -> String {
        let name = program.executable();
        if program.is_ours() {
            format!("{name} is not built: cargo build --release --workspace")
        } else {
            format!("{name} is not installed: ./scripts/setup --bench")
        }
    }

    pub(super) fn machine(&self, cores: usize) -> Machine {
        let found = |program: Program| self.program(program);
        let ours = found(Program::Tidegate(""));
        let (rival, nginx) = (found(Program::Hyper("")), found(Program::Nginx));
        let haproxy = found(Program::Haproxy);
        let all = [
            (ours.as_deref(), "--version"),
            (rival.as_deref(), "--version"),
            (nginx.as_deref(), "-v"),
            (haproxy.as_deref(), "-v"),
            (Some(self.wrk.as_path()), "-v"),
        ];
        let there: Vec<(&Path, &str)> =
            all.into_iter().filter_map(|(path, flag)| Some((path?, flag))).collect();
        Machine::this(cores, &there)
    }
}
