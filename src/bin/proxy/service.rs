//! What the proxy has from the service manager that started it, and what it is confined to.

use std::fs;
use std::path::Path;

use tidegate::console::Console;
use tidegate::control::manager;
use tidegate::control::reloader::{ReloadError, Reloaded, Step};
use tidegate::control::reloads::ReloadCounter;
use tidegate::endpoint::Endpoint;
use tidegate::proxy::settings::{Confinement, Settings};
use tidegate::reactor::Inherited;
use tidegate::sandbox::{Demand, Sandbox};

use super::admin::Log;
use super::{complain, fail};

/// Says which sockets were passed for nothing. They stay open, because a reload may name them.
pub(crate) fn tell_unused(inherited: &Inherited, settings: &Settings, console: Console) {
    let used: Vec<Endpoint> = settings.taken().into_iter().map(|it| it.endpoint).collect();
    for socket in inherited.others(&used) {
        complain(
            console,
            &format!(
                "{socket} was passed to this program and listens at {at}, where no --listen and no \
                 --admin is: clients that connect there wait for nothing; add --listen {at}, or \
                 remove it from the socket unit",
                at = socket.endpoint()
            ),
        );
    }
}

/// From now on nothing can be written but the files of these settings and their neighbours. It
/// holds for this thread and those that it starts later, so there must be no other one. Nothing is
/// printed before it holds, because the console has threads of its own.
pub(crate) fn confine(settings: &Settings, console: Console) -> Result<Sandbox, u8> {
    if settings.confinement == Confinement::Off {
        return Ok(Sandbox::default());
    }
    for folder in settings.logs().filter_map(|path| path.parent()) {
        // If it can't be made, the log can't be opened, which says so.
        let _ = fs::create_dir_all(folder);
    }
    let demand = match settings.confinement {
        Confinement::Require => Demand::Needed,
        _ => Demand::AsMuchAsThereIs,
    };
    if demand == Demand::Needed && has_other_threads() {
        let error = "can't be confined by --sandbox require: threads were started before";
        return Err(fail(console, 1, &error));
    }
    let entered = Sandbox::enter(&settings.files(), demand);
    let why = match entered {
        Ok(Some(sandbox)) => return Ok(sandbox),
        Ok(None) => "this kernel has no Landlock, or it is turned off".to_owned(),
        Err(error) => error.to_string(),
    };
    if settings.confinement == Confinement::Require {
        let error = format!("can't be confined by --sandbox require: {why}");
        return Err(fail(console, 1, &error));
    }
    console.say(&format!("not confined to the folders of its files: {why}"));
    Ok(Sandbox::default())
}

/// Whether there is a thread beside this one, as far as the system tells.
fn has_other_threads() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1)
}

/// What is done when the file is read again, and after it.
pub(crate) fn around_reload(
    log: Log,
    reloads: ReloadCounter,
    console: Console,
) -> impl Fn(&Path, Step) {
    move |config, step| match step {
        Step::Begins => manager::reloading(),
        Step::Ended(reloaded) => {
            reloads.count(reloaded.is_ok(), std::time::SystemTime::now());
            let is_done = reloaded.is_ok();
            let told = told_of(reloaded, config, &log);
            manager::ready(&told);
            if is_done {
                console.say(&told);
            } else {
                complain(console, &told);
            }
        }
    }
}

/// Has the log follow the plan, and says what came of reading the file again.
fn told_of(reloaded: Result<Reloaded, ReloadError>, config: &Path, log: &Log) -> String {
    match reloaded {
        Ok(Reloaded { changes, .. }) => {
            log.follow();
            format!("reloaded {}: {changes}", config.display())
        }
        Err(error) => format!("not reloaded, nothing has changed: {error}"),
    }
}
