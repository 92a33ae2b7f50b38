//! The thread that looks names up.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::super::backends::Backends;
use super::super::resolver::Resolver;
use super::super::settings::Names;
use super::asker::Asker;
use super::lock;
use super::watched::Watched;
use crate::console::Console;
use crate::dns::Outcome;
use crate::reactor::Waker;

/// What has changed is looked at no more often than after this. Connections that fail wake this
/// thread as often as it looks, because each backend wakes it once until then.
const PAUSE: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Watcher {
    asker: Asker,
    backends: Weak<Mutex<Backends>>,
    resolver: Arc<Resolver>,
    settings: Names,
    watched: HashMap<String, Watched>,
    /// When it looks what has changed, if something has.
    look_at: Option<Instant>,
    /// No sooner than at this instant.
    soonest_look: Instant,
}

impl Watcher {
    /// A loop that has nothing to do until it is woken.
    pub(super) fn new(
        backends: &Arc<Mutex<Backends>>,
        owned: &Backends,
    ) -> io::Result<(Self, Waker)> {
        let settings = owned.settings.names.clone();
        let asker = Asker::new(&settings.servers)?;
        let (waker, soonest_look) = (asker.waker(), asker.now());
        let watcher = Self {
            asker,
            look_at: None,
            soonest_look,
            backends: Arc::downgrade(backends),
            resolver: Arc::clone(&owned.resolver),
            settings,
            watched: HashMap::new(),
        };
        Ok((watcher, waker))
    }

    /// Looks names up until there are no backends any more.
    pub(super) fn run(mut self) {
        loop {
            let turn = match self.asker.turn() {
                Ok(turn) => turn,
                Err(error) => {
                    return say(&format!(
                        "names are not looked up any more: {error}; restart the proxy"
                    ));
                }
            };
            for (name, outcome) in turn.answers {
                self.take(&name, outcome, turn.now);
            }
            if turn.is_woken {
                self.look_at.get_or_insert(turn.now.max(self.soonest_look));
            }
            if self.look_at.is_some_and(|at| at <= turn.now) {
                self.look_at = None;
                self.soonest_look = turn.now + PAUSE;
                if !self.follow(turn.now) {
                    return;
                }
            }
            self.begin_due(turn.now);
        }
    }

    /// Takes over the settings and the names as they are now; whether there are backends any more.
    fn follow(&mut self, now: Instant) -> bool {
        let Some(backends) = self.backends.upgrade() else { return false };
        let stale = self.resolver.take_stale();
        let (names, hastened) = {
            let owned = lock(&backends);
            self.settings.clone_from(&owned.settings.names);
            (
                owned.names(),
                stale.into_iter().filter_map(|id| owned.name_of(id)).collect::<Vec<_>>(),
            )
        };
        self.asker.set_servers(&self.settings.servers);
        self.watched.retain(|name, _| names.contains_key(name));
        for (name, addresses) in names {
            let settings = &self.settings;
            let watched = self.watched.entry(name).or_insert_with(|| {
                // One that has no address is waited for.
                let pause = settings.every.mul_f64(fastrand::f64());
                let due = if addresses.is_empty() { now } else { now + pause };
                Watched::new(addresses, due)
            });
            watched.follow(settings, now);
        }
        for name in hastened {
            if let Some(watched) = self.watched.get_mut(&name) {
                watched.hasten(now);
            }
        }
        true
    }

    /// Begins the look-ups that are due, and waits for the next one.
    fn begin_due(&mut self, now: Instant) {
        for (name, watched) in &mut self.watched {
            if watched.due().is_some_and(|due| due <= now) {
                watched.begin(now);
                self.asker.begin(name);
            }
        }
        if let Some(next) = self.watched.values().filter_map(Watched::due).chain(self.look_at).min()
        {
            self.asker.wake_at(next);
        }
    }

    /// Has the backends use what was found.
    fn take(&mut self, name: &str, outcome: Outcome, now: Instant) {
        // It may be the name of no backend any more.
        let Some(watched) = self.watched.get_mut(name) else { return };
        let Some(backends) = self.backends.upgrade() else { return };
        let mut owned = lock(&backends);
        owned.lookups.count(name, &outcome, SystemTime::now());
        let line = watched.take(outcome, &self.settings, fastrand::f64(), now);
        let lines = owned.found(name, watched.addresses(), now);
        drop(owned);
        for line in line.map(|line| format!("{name} {line}")).into_iter().chain(lines) {
            say(&line);
        }
    }
}

fn say(text: &str) {
    Console::standard().complain(&format!("tidegate: {text}"));
}
