//! `backends` on the command line: the backends of the arena, as a process of its own.

use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tidegate::reactor::descriptors;
use tidegate::time::parse_duration;
use tidegate_lab::arena::protocol;
use tidegate_lab::backend::{Backends, Behaviour, Remote};
use tidegate_lab::scenario::Scenario;

use crate::{fail, say};

#[derive(Args, Debug)]
pub(crate) struct BackendsFlags {
    /// The scenario: a file that ends in .toml, or the name of one of the lab
    scenario: String,

    /// The length of the bins of time in which requests are counted
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = parse_duration)]
    bins: Duration,
}

impl BackendsFlags {
    pub(crate) fn run(self) -> ExitCode {
        match serve(&self.scenario, self.bins) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("{error:#}")),
        }
    }
}

/// Says where the backends listen, serves until the input or a signal ends it, and says what they
/// have counted.
fn serve(scenario: &str, bins: Duration) -> Result<()> {
    let scenario = Scenario::read(scenario, None)?;
    // Without it fewer connections fit, and then they say so themselves.
    let _ = descriptors::raise_limit();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let groups = (1..).zip(scenario.each_backend());
    let behaviours = groups
        .map(|(number, group)| (any.into(), Behaviour::new(&number.to_string(), group.clone())));
    let backends = Backends::bind(&behaviours.collect::<Vec<_>>(), bins).context("can't listen")?;
    let endpoints = backends.endpoints().map(ToString::to_string);
    say(&protocol::line(&endpoints.collect::<Vec<_>>())?);
    obey_input(backends.remote()).context("can't start a thread")?;
    obey_signals(backends.remote()).context("can't handle signals")?;
    say(&protocol::line(&backends.run().context("can't serve")?)?);
    Ok(())
}

fn obey_input(remote: Remote) -> io::Result<()> {
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match protocol::parse_begin(&line) {
                Some((at, seed)) => drop(remote.begin(at, seed)),
                None => drop(fail(1, &format!("`{line}` is no command"))),
            }
        }
        // If it can't be woken there is no loop any more.
        let _ = remote.stop();
    })?;
    Ok(())
}

fn obey_signals(remote: Remote) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            let _ = remote.stop();
        }
    })?;
    Ok(())
}
