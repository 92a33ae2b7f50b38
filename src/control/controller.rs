//! The one owner of what a running proxy is configured by. All that changes its settings or its
//! backends goes through here, whichever source it comes from.
//!
//! A new plan is applied as a whole or not at all. What differs is found out here: backends to be
//! added, which are located first, on the caller's thread; backends to be removed; and settings.
//! Backends that were removed, or whose names have moved away from them, are looked after by a
//! thread of its own until they are gone.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::changes::Changes;
use super::edit::{Edit, EditError, Ejection, find};
use super::plan::{changed, needs_restart};
use super::setting;
use crate::balance::BackendId;
use crate::proxy::backends::{Backends, Change, ChangeError};
use crate::proxy::decisions::Explained;
use crate::proxy::listeners::{ListenError, Relistened};
use crate::proxy::locate::{LocateError, Located};
use crate::proxy::observed::{Observed, Occupancy};
use crate::proxy::settings::{Backend, Plan, Settings};
use crate::proxy::{checks, names};

/// How soon backends are looked after that were just removed, most of which are gone at once.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// How long a worker is waited for that is to tell something.
const TELL: Duration = Duration::from_secs(1);

/// How often they are looked after in the end. The pauses double until then.
const LOOK: Duration = Duration::from_millis(100);

/// Why a plan can't be applied. The one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// These settings are read at the start only.
    #[error("{} can't change while the proxy runs; restart it", .0.join(", "))]
    Restart(Vec<&'static str>),
    /// A new backend can't be used.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// A new address can't be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It is too late.
    #[error("the proxy is stopping")]
    Stopping,
    /// Backends and settings don't fit.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The backends can't be checked.
    #[error("can't start the thread of --check-path: {0}; are file descriptors used up?")]
    Checks(io::Error),
    /// Their names can't be looked up again.
    #[error("can't start the thread of --resolve-every: {0}; are file descriptors used up?")]
    Names(io::Error),
}

/// See the module's description. Each clone is a handle on the same.
#[derive(Clone, Debug)]
pub struct Controller(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    /// The URLs of backends of which the plan says what the admin told, and no other source. Locked
    /// while another plan is applied, names being resolved included.
    told: Mutex<BTreeSet<String>>,
    /// The plan in force. Never locked for long.
    plan: Mutex<Arc<Plan>>,
    /// Never locked for long.
    backends: Arc<Mutex<Backends>>,
}

impl Controller {
    /// Takes over a proxy that was bound by this plan.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(plan: Plan, backends: Backends) -> io::Result<Self> {
        let (removed, removals) = channel();
        let backends = Arc::new(Mutex::new(backends));
        let collected = Arc::downgrade(&backends);
        let thread = thread::Builder::new().name("collector".to_owned());
        thread.spawn(move || collect(&collected, &removals))?;
        let mut owned = lock(&backends);
        owned.tell_removals(removed);
        if has_names(&plan) {
            names::start(&backends, &mut owned)?;
        }
        if plan.settings.checks.path.is_some() {
            checks::start(&backends, &mut owned)?;
            owned.wake_checks();
        }
        drop(owned);
        let (plan, told) = (Mutex::new(Arc::new(plan)), Mutex::default());
        Ok(Self(Arc::new(Owned { told, plan, backends })))
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&lock(&self.0.plan))
    }

    /// Has the proxy run by another plan. This blocks while the names of new backends are resolved.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub fn apply(&self, plan: Plan) -> Result<Changes, ApplyError> {
        let mut told = lock(&self.0.told);
        let mut changes = self.change_to(plan, None)?;
        changes.undone = changes.backends().filter(|url| told.contains(*url)).cloned().collect();
        told.clear();
        Ok(changes)
    }

    /// Has one backend join, leave, or be as the admin tells, until another plan is applied. This
    /// blocks while the name of a new one is resolved.
    ///
    /// # Errors
    /// See [`EditError`].
    pub fn edit(&self, edit: &Edit) -> Result<Changes, EditError> {
        let mut told = lock(&self.0.told);
        if self.is_stopping() {
            return Err(EditError::Stopping);
        }
        let plan = self.plan();
        let (active, reached) = self.present();
        let backends = edit.apply(&plan.backends, &active, &reached)?;
        // They are found before anything changes.
        let ejected = match edit {
            Edit::Set { name, ejection: Some(ejection), .. } => {
                Some((self.members(name, &active)?, *ejection))
            }
            _ => None,
        };
        let meant = edit.name().and_then(|name| find(&active, name).ok()).map(|(id, _)| *id);
        let mut changes = self.change_to(Plan { backends, ..Plan::clone(&plan) }, meant)?;
        told.extend(changes.backends().cloned());
        if let Some((members, ejection)) = ejected {
            self.eject(members, ejection, &mut changes);
        }
        Ok(changes)
    }

    /// What has this URL or id, or stands for the name of this URL.
    fn members(
        &self,
        name: &str,
        active: &[(BackendId, Backend)],
    ) -> Result<Vec<(BackendId, Backend)>, EditError> {
        let named = lock(&self.0.backends).members_of(name);
        match find(active, name) {
            Ok(member) => Ok(vec![member.clone()]),
            Err(EditError::Unknown(_)) if !named.is_empty() => Ok(named),
            Err(error) => Err(error),
        }
    }

    fn eject(&self, members: Vec<(BackendId, Backend)>, ejection: Ejection, changes: &mut Changes) {
        let mut backends = lock(&self.0.backends);
        for (id, backend) in members {
            match ejection {
                Ejection::For(time) => {
                    backends.eject(id, time, read_clock());
                    changes.ejected.push(backend.url);
                }
                Ejection::Over => {
                    backends.admit(id, read_clock());
                    changes.admitted.push(backend.url);
                }
            }
        }
    }

    /// The backends that get requests, and those of the plan for which they stand.
    fn present(&self) -> (Vec<(BackendId, Backend)>, Vec<Backend>) {
        let backends = lock(&self.0.backends);
        (backends.active().cloned().collect(), backends.reached().cloned().collect())
    }

    /// Of several backends that are configured in the same way, `meant` is removed or adjusted.
    /// Only one thread may at a time, because of what it compares the plan with.
    fn change_to(&self, plan: Plan, meant: Option<BackendId>) -> Result<Changes, ApplyError> {
        let current = self.plan();
        let restart = needs_restart(&current, &plan);
        if !restart.is_empty() {
            return Err(ApplyError::Restart(restart));
        }
        let Difference { added, removed, adjusted } = difference(&current.backends, &plan.backends);
        let located = Located::all(&added, &plan.settings).map_err(LocateError::from)?;
        let located = located.into_iter().map(Located::resolved);
        let located = located.collect::<Result<Vec<_>, _>>().map_err(LocateError::from)?;
        let mut changes = Changes {
            added: urls(&added),
            removed: urls(&removed),
            adjusted: adjusted.iter().map(|(_, backend)| backend.url.clone()).collect(),
            settings: changed(&current, &plan, setting::Change::Running),
            ..Changes::default()
        };
        changes.settings.retain(|name| !["upstream", "listen"].contains(name));
        refuse_new_circles(&current, &plan)?;
        let settings = Arc::new(plan.settings.clone());
        let change = Change { added: located, removed, adjusted, meant };
        let mut backends = lock(&self.0.backends);
        if backends.is_stopping() {
            return Err(ApplyError::Stopping);
        }
        if settings.checks.path.is_some() {
            checks::start(&self.0.backends, &mut backends).map_err(ApplyError::Checks)?;
        }
        if has_names(&plan) {
            names::start(&self.0.backends, &mut backends).map_err(ApplyError::Names)?;
        }
        let result = run_by(&mut backends, &settings, change);
        // If nothing has changed, a thread that was started for it ends.
        backends.wake_checks();
        drop(backends);
        let listeners = result?;
        *lock(&self.0.plan) = Arc::new(plan);
        listeners.wait();
        changes.told_of(&listeners);
        Ok(changes)
    }

    /// Has the proxy accept no client any more after its shutdown delay, and end when what is in
    /// flight has ended.
    pub fn stop(&self) {
        lock(&self.0.backends).stop();
    }

    /// All figures, as they are now.
    #[must_use]
    pub fn observe(&self) -> Observed {
        lock(&self.0.backends).observe(read_clock())
    }

    /// Requests that wait because all backends are at their limits, and how many may.
    #[must_use]
    pub fn queue(&self) -> Occupancy {
        lock(&self.0.backends).queue_now()
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        lock(&self.0.backends).is_stopping()
    }

    /// So many of the last choices of all workers, the newest first. This waits for the workers,
    /// for a second at most.
    #[must_use]
    pub fn explain(&self, count: usize) -> Vec<Explained> {
        let (workers, told) = lock(&self.0.backends).explain(count);
        // One that has ended tells nothing.
        let told = (0..workers).map_while(|_| told.recv_timeout(TELL).ok());
        let mut choices: Vec<Explained> = told.flatten().collect();
        choices.sort_by_key(|choice| choice.age);
        choices.truncate(count);
        choices
    }

    /// Backends that were removed and are not gone yet: something is in flight at them.
    #[must_use]
    pub fn draining(&self) -> usize {
        lock(&self.0.backends).draining()
    }
}

/// Listens, balances and serves by other settings, or goes on as before.
fn run_by(
    backends: &mut Backends,
    settings: &Arc<Settings>,
    change: Change,
) -> Result<Relistened, ApplyError> {
    let listeners = backends.bind(&settings.listen)?;
    backends.change(settings, change, read_clock())?;
    Ok(backends.listen(listeners))
}

/// Looks whether a new address to listen on is that of a backend.
fn refuse_new_circles(now: &Plan, new: &Plan) -> Result<(), LocateError> {
    let mut settings = new.settings.clone();
    settings.listen.retain(|listen| !now.settings.listen.contains(listen));
    if !settings.listen.is_empty() {
        // One that has no address just now is no reason, because it may have had one before.
        Located::all(&new.backends, &settings)?;
    }
    Ok(())
}

/// Whether a backend is given by a name.
fn has_names(plan: &Plan) -> bool {
    plan.backends.iter().any(|backend| backend.host_name().is_some())
}

/// Looks after backends that were removed, as long as there is a handle.
fn collect(backends: &Weak<Mutex<Backends>>, removals: &Receiver<()>) {
    let draining = || backends.upgrade().map_or(0, |it| lock(&it).collect(read_clock()));
    while removals.recv().is_ok() {
        let mut pause = FIRST_LOOK;
        while draining() > 0 {
            pause = match removals.recv_timeout(pause) {
                Ok(()) => FIRST_LOOK,
                Err(RecvTimeoutError::Timeout) => LOOK.min(2 * pause),
                Err(RecvTimeoutError::Disconnected) => return,
            };
        }
    }
}

/// How the backends of two plans differ.
#[derive(Debug, Default, Eq, PartialEq)]
struct Difference {
    added: Vec<Backend>,
    removed: Vec<Backend>,
    /// The same servers, as they were configured and as they are.
    adjusted: Vec<(Backend, Backend)>,
}

/// What makes `new` of `now`. A backend that is named twice is two.
fn difference(now: &[Backend], new: &[Backend]) -> Difference {
    let mut difference = Difference { removed: now.to_vec(), ..Difference::default() };
    let Difference { added, removed, adjusted } = &mut difference;
    // First those that stay as they are, so that no other one takes their place.
    let mut others = Vec::new();
    for backend in new {
        match removed.iter().position(|other| other == backend) {
            Some(place) => drop(removed.remove(place)),
            None => others.push(backend),
        }
    }
    for backend in others {
        match removed.iter().position(|other| other.is_same_server(backend)) {
            Some(place) => adjusted.push((removed.remove(place), backend.clone())),
            None => added.push(backend.clone()),
        }
    }
    difference
}

fn urls(backends: &[Backend]) -> Vec<String> {
    backends.iter().map(|backend| backend.url.clone()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a drain limit is not on the request path")]
fn read_clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Role;
    use crate::proxy::Bound;

    fn backends(ports: &[u16]) -> Vec<Backend> {
        ports.iter().map(|port| Backend::tcp("localhost", *port)).collect()
    }

    #[test]
    fn what_is_in_one_plan_and_not_in_the_other_differs_however_often_and_in_any_order() {
        for (now, new, added, removed) in [
            (&[1, 2][..], &[2, 1][..], &[][..], &[][..]),
            (&[1, 2], &[2, 3], &[3], &[1]),
            (&[], &[1, 1], &[1, 1], &[]),
            (&[1, 1, 2], &[1], &[], &[1, 2]),
            (&[1], &[1, 2, 1], &[2, 1], &[]),
        ] {
            let (added, removed) = (backends(added), backends(removed));
            let expected = Difference { added, removed, adjusted: Vec::new() };
            assert_eq!(difference(&backends(now), &backends(new)), expected, "{now:?}");
        }
    }

    #[test]
    fn one_that_is_only_configured_in_another_way_is_neither_added_nor_removed() {
        let [one, other] = [1, 3].map(|weight| {
            let role = Role { weight, ..Role::default() };
            Backend { role, ..Backend::tcp("localhost", 1) }
        });
        let adjusted = |from: &Backend, to: &Backend| Difference {
            adjusted: vec![(from.clone(), to.clone())],
            ..Difference::default()
        };
        let differ = |now: &[&Backend], new: &[&Backend]| {
            let [now, new] = [now, new].map(|list| list.iter().copied().cloned().collect());
            let [now, new]: [Vec<Backend>; 2] = [now, new];
            difference(&now, &new)
        };
        assert_eq!(differ(&[&one], &[&other]), adjusted(&one, &other));
        assert_eq!(differ(&[&one, &other], &[&other, &other]), adjusted(&one, &other));
        assert_eq!(differ(&[&one, &other], &[&other, &one]), Difference::default());
    }

    #[test]
    fn changes_are_told_in_one_line() {
        let mut changes = Changes::default();
        assert_eq!(changes.to_string(), "nothing changed");
        changes.removed = vec!["http://a:1".to_owned()];
        changes.settings = vec!["body-timeout", "pool-size"];
        assert_eq!(changes.to_string(), "removed http://a:1; changed body-timeout, pool-size");
        changes.added = vec!["http://b:1".to_owned(), "http://c:1".to_owned()];
        assert!(
            changes.to_string().starts_with("added http://b:1, http://c:1; removed http://a:1")
        );
    }

    #[test]
    fn settings_that_need_a_restart_are_named_as_in_the_table() {
        let refused = ApplyError::Restart(vec!["workers", "listen"]).to_string();
        assert!(refused.starts_with("workers, listen can't change"), "{refused}");
    }

    fn controller() -> (Bound, Controller) {
        let mut plan = Plan { backends: backends(&[1]), ..Plan::default() };
        plan.settings.listen =
            vec!["127.0.0.1:0".parse::<crate::endpoint::Endpoint>().expect("ok").into()];
        let (bound, backends) = Bound::bind(&plan).expect("a proxy");
        (bound, Controller::start(plan, backends).expect("a controller"))
    }

    #[test]
    fn a_stop_waits_for_no_plan_whose_names_are_being_resolved() {
        let (_bound, controller) = controller();
        let resolving = lock(&controller.0.told);
        controller.stop();
        assert_eq!(controller.draining(), 0);
        drop(resolving);
    }

    #[test]
    fn its_thread_ends_with_the_last_handle() {
        let (_bound, controller) = controller();
        let backends = Arc::downgrade(&controller.0.backends);
        drop(controller.clone());
        assert!(backends.upgrade().is_some());
        drop(controller);
        // The thread may look at them just now.
        while backends.upgrade().is_some() {
            thread::yield_now();
        }
    }
}
