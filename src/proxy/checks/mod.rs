//! Active checks: the proxy itself asks each backend again and again whether it is well.
//!
//! One thread with one event loop makes all of them, so that a backend that hangs costs a
//! descriptor and no thread, and workers have nothing to do with it. The thread exists while
//! [`Checks::path`](super::settings::Checks::path) is set. It takes settings and backends from
//! [`Backends`] whenever it is woken, and tells them when a verdict changes; workers see that in
//! the word that they look at for each choice anyway.
//!
//! A check is no request: it has no row, no lease, no connection of the pool, and is counted by
//! itself. What one is, without a socket, is in `conversation.rs`; what follows from several, and
//! when the next one is due, in `target.rs`.

mod checker;
mod conversation;
mod target;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::backends::Backends;
use checker::Checker;

/// Makes sure that there is a thread that checks these backends, even if their settings don't ask
/// for it yet. It looks at them when it is woken for the first time. They stay locked, because a
/// thread that is there may be about to end by the settings that held so far.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn start(backends: &Arc<Mutex<Backends>>, owned: &mut Backends) -> io::Result<()> {
    if owned.checks.is_some() {
        return Ok(());
    }
    let (checker, waker) = Checker::new(backends, owned)?;
    thread::Builder::new().name("checks".to_owned()).spawn(move || checker.run())?;
    owned.checks = Some(waker);
    Ok(())
}

fn lock(backends: &Mutex<Backends>) -> MutexGuard<'_, Backends> {
    backends.lock().unwrap_or_else(PoisonError::into_inner)
}
