//! Names that move: the host names of backends are looked up again and again, and what is found
//! changes which addresses are in use.
//!
//! One thread with one event loop does so, and no worker waits for it. It exists once a backend is
//! given by a name. Like the thread of the active checks it takes settings and names from
//! [`Backends`] whenever it is woken, and gives them what it found. What a look-up is, without
//! sockets, is in [`crate::dns`]; when the next one is due and how long an answer counts is in
//! `watched.rs`; `asker.rs` sends and receives, for this thread and for a proxy that starts.

mod asker;
mod sources;
mod watched;
mod watcher;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::backends::Backends;
use crate::dns::Outcome;
use asker::Asker;
use watcher::Watcher;

/// Makes sure that there is a thread that looks the names of these backends up. They stay locked
/// until it may look at them.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn start(backends: &Arc<Mutex<Backends>>, owned: &mut Backends) -> io::Result<()> {
    if owned.resolver.has_helper() {
        return Ok(());
    }
    let (watcher, waker) = Watcher::new(backends, owned)?;
    thread::Builder::new().name("names".to_owned()).spawn(move || watcher.run())?;
    owned.resolver.set_helper(waker);
    owned.resolver.wake_helper();
    Ok(())
}

/// Looks names up at these servers, or at those of this system. This blocks, for `limit` at most.
///
/// # Errors
/// When the system gives no event loop.
pub(super) fn look_up(
    names: &HashSet<&str>,
    servers: &[SocketAddr],
    limit: Duration,
) -> io::Result<HashMap<String, Outcome>> {
    let mut outcomes = HashMap::new();
    if names.is_empty() {
        return Ok(outcomes);
    }
    let mut asker = Asker::new(servers)?;
    asker.wake_at(asker.now() + limit);
    for name in names {
        asker.begin(name);
    }
    while outcomes.len() < names.len() {
        let turn = asker.turn()?;
        outcomes.extend(turn.answers);
        if turn.is_due {
            asker.give_up();
        }
    }
    Ok(outcomes)
}

fn lock(backends: &Mutex<Backends>) -> MutexGuard<'_, Backends> {
    backends.lock().unwrap_or_else(PoisonError::into_inner)
}
