//! The whole stack in the foreground, for a person: greeted, shown, and stopped by a signal.

use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::setup;
use super::signals::Signals;
use super::stack::{Output, Plan, Programs, Stack, StackError, check_plan, check_ports, system};
use tidegate::console::Console;

/// What becomes of the stack when a backend or the dashboard ends by itself. Without its proxy it
/// is none, and ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// It goes on and says so: how the proxy does without a backend is what can be tried.
    GoesOn,
    /// It ends, too.
    EndsIt,
}

/// Runs the stack until SIGINT or SIGTERM, then stops it in order: the proxy finishes what is in
/// flight while its backends still answer.
///
/// # Errors
/// It did not come up, the proxy, or with [`Loss::EndsIt`] any child, ended by itself, or it had to
/// be stopped hastily. Whatever had been started has been stopped.
pub fn up(plan: &Plan, loss: Loss) -> Result<(), StackError> {
    let programs = Programs::beside_the_lab()?;
    let signals = Signals::watch().map_err(system("watch signals"))?;
    check_plan(plan)?;
    let log = programs.check(plan)?;
    check_ports(plan)?;
    let mut stack = Stack::new(&signals, &programs, Output::Shown);
    let outcome = stay(&mut stack, plan, log.as_deref(), loss);
    stack.stop().and(outcome)
}

/// Starts everything and stays until a signal or the end of a child it can't do without.
fn stay(
    stack: &mut Stack<'_>,
    plan: &Plan,
    log: Option<&Path>,
    loss: Loss,
) -> Result<(), StackError> {
    if stack.rise(plan)?.is_some() {
        return Ok(());
    }
    if let Some(log) = log
        && stack.begin_log(log)?.is_some()
    {
        return Ok(());
    }
    // Only a file can be looked into while it is written.
    let log = log.filter(|log| log.is_file());
    let shown = plan.dashboard_port.and_then(|port| Some((log?, port)));
    if let Some((log, port)) = shown
        && stack.show(log, port)?.is_some()
    {
        return Ok(());
    }
    let greeting = greeting(plan, shown.map(|(_, port)| port));
    Console::standard().say(&greeting);
    match loss {
        Loss::GoesOn => stack.outlast(plan, tell_loss).map(drop),
        Loss::EndsIt => {
            while stack.wait(Duration::MAX)?.is_none() {}
            Ok(())
        }
    }
}

/// Says what is no longer there, and how to have it back.
fn tell_loss(ended: &StackError, command: Option<String>) {
    let mut text = format!("tidegate-lab: {ended}; the rest goes on\n");
    if let Some(command) = command {
        // Writing to a String can't fail.
        let _ = writeln!(text, "tidegate-lab: this starts it again: {command}");
    }
    Console::standard().complain(&text);
}

/// What to open, and what to run next.
fn greeting(plan: &Plan, dashboard_port: Option<u16>) -> String {
    let url = plan.proxy_url();
    let mut text = format!(
        "\n{} over {} connections is up at {url}; Ctrl-C stops everything.\n\
         \n  try it     curl {url}\n  load it    wrk -t4 -c100 -d30s {url}\n",
        plan.policy, plan.connections
    );
    if !setup::is_installed(&env::var_os("PATH").unwrap_or_default(), "wrk") {
        // Writing to a String can't fail.
        let _ = writeln!(text, "             wrk is not installed yet: ./scripts/setup does it");
    }
    if let Some(port) = dashboard_port {
        let _ = writeln!(text, "  watch it   http://localhost:{port}");
    } else if plan.dashboard_port.is_some() {
        let _ =
            writeln!(text, "  watch it   not without a log: the dashboard shows what is in one");
    }
    text.push('\n');
    text
}
