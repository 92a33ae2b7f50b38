//! The whole stack in the foreground, until a signal stops it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::setup;
use super::signals::Signals;
use super::stack::{Output, Plan, Programs, Stack, StackError, check_plan, check_ports, system};
use tidegate::console::Console;

/// What happens when a backend or the dashboard ends by itself. If the proxy does, the stack ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// The others go on, so that failover can be tried.
    GoesOn,
    /// The stack ends, too.
    EndsIt,
}

/// Runs the stack until SIGINT or SIGTERM, then stops it in order: the proxy finishes what is in
/// flight while its backends still answer.
///
/// # Errors
/// It did not start, the proxy, or with [`Loss::EndsIt`] any child, ended by itself, or a second
/// signal stopped it at once. In each case nothing is left running.
pub fn up(plan: &Plan, loss: Loss) -> Result<(), StackError> {
    let programs = Programs::beside_the_lab()?;
    let signals = Signals::watch().map_err(system("watch signals"))?;
    check_plan(plan)?;
    let log = programs.check(plan)?;
    check_ports(plan)?;
    if let Some(folder) = plan.admin.as_ref().and_then(|admin| admin.socket.parent()) {
        fs::create_dir_all(folder).map_err(system("make the folder of the admin's socket"))?;
    }
    let mut stack = Stack::new(&signals, &programs, Output::Shown);
    let outcome = serve(&mut stack, plan, &programs, log.as_deref(), loss);
    stack.stop().and(outcome)
}

/// Starts everything, and returns at a signal or at the end of a child that it needs.
fn serve(
    stack: &mut Stack<'_>,
    plan: &Plan,
    programs: &Programs,
    log: Option<&Path>,
    loss: Loss,
) -> Result<(), StackError> {
    if stack.start_all(plan)?.is_some() {
        return Ok(());
    }
    if let Some(log) = log
        && stack.await_log(log)?.is_some()
    {
        return Ok(());
    }
    // The dashboard can only read a log that is a file.
    let log = log.filter(|log| log.is_file());
    let shown = plan.dashboard_port.and_then(|port| Some((log?, port)));
    if let Some((log, port)) = shown
        && stack.show(log, port)?.is_some()
    {
        return Ok(());
    }
    let greeting = greeting(plan, programs, shown.map(|(_, port)| port));
    Console::standard().say(&greeting);
    match loss {
        Loss::GoesOn => stack.wait_for_proxy(plan, report_loss).map(drop),
        Loss::EndsIt => {
            while stack.wait(Duration::MAX)?.is_none() {}
            Ok(())
        }
    }
}

/// Says what has ended, and how it can be started again.
fn report_loss(ended: &StackError, command: Option<String>) {
    let mut text = format!("tidegate-lab: {ended}; the rest goes on\n");
    if let Some(command) = command {
        // Writing to a String can't fail.
        let _ = writeln!(text, "tidegate-lab: this starts it again: {command}");
    }
    Console::standard().complain(&text);
}

/// What to try next.
fn greeting(plan: &Plan, programs: &Programs, dashboard_port: Option<u16>) -> String {
    let url = plan.proxy_url();
    let mut text = format!(
        "\n{} over {} connections is up at {url}; Ctrl-C stops everything.\n\
         \n  try it     curl {url}\n  load it    wrk -t4 -c100 -d30s {url}\n",
        plan.policy, plan.connections
    );
    if setup::find("wrk").is_none() {
        // Writing to a String can't fail.
        let _ = writeln!(text, "             wrk is not installed yet: ./scripts/setup does it");
    }
    if let Some(port) = dashboard_port {
        let _ = writeln!(text, "  watch it   http://localhost:{port}");
    } else if plan.dashboard_port.is_some() {
        let _ =
            writeln!(text, "  watch it   not without a log: the dashboard shows what is in one");
    }
    if let Some(admin) = &plan.admin {
        let (ctl, socket) = (programs.ctl.display(), admin.socket_flag());
        let _ = writeln!(text, "  control it {ctl} --admin {socket} backends");
        let _ = writeln!(text, "  scrape it  http://localhost:{}/metrics", admin.port);
    }
    text.push('\n');
    text
}
