//! `setup` on the command line.

use std::env;
use std::process::ExitCode;

use clap::Args;
use rustix::process::geteuid;
use tidegate_lab::setup::{BENCH_TOOLS, TOOLS, setup};

use crate::{fail, say};

#[derive(Args, Debug)]
pub(crate) struct SetupFlags {
    /// Also the proxies that `bench` compares with: nginx and `HAProxy`
    #[arg(long)]
    bench: bool,
}

impl SetupFlags {
    pub(crate) fn run(&self) -> ExitCode {
        let mut tools = TOOLS.to_vec();
        if self.bench {
            tools.extend(BENCH_TOOLS);
        }
        let path = env::var_os("PATH").unwrap_or_default();
        match setup(&tools, &path, geteuid().is_root()) {
            Ok(installed) => {
                let names: Vec<_> = installed.iter().map(|tool| tool.command).collect();
                say(&match names.as_slice() {
                    [] => "nothing is missing\n".to_owned(),
                    names => format!("installed {}\n", names.join(", ")),
                });
                ExitCode::SUCCESS
            }
            Err(error) => fail(1, &error),
        }
    }
}
