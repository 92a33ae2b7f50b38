//! Where each backend can be reached: the addresses that were found, shared by all workers.
//!
//! A backend's addresses are known before it is added. They change when its name is looked up again
//! (`names/`), which happens from time to time, and soon after none of them answered. A backend
//! with several addresses remembers which one answered, so that no connection fails first on
//! another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::balance::{BackendId, MAX_BACKENDS};
use crate::endpoint::Endpoint;
use crate::reactor::Waker;

/// The backend that has a slot, and where it can be reached.
#[derive(Clone, Debug)]
struct Located {
    id: BackendId,
    addresses: Vec<Endpoint>,
}

/// What is known of the backend in one slot.
#[derive(Debug, Default)]
struct Entry {
    /// Grows with each change of `located`.
    version: AtomicU64,
    located: Mutex<Option<Located>>,
    /// Index of the address that answered last.
    preferred: AtomicUsize,
    /// Whether the helper was asked to look again, and has not begun to.
    is_stale: AtomicBool,
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, Option<Located>> {
        self.located.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the backend, if it has the slot still, has other addresses than it had.
    fn publish(&self, id: BackendId, addresses: &[Endpoint]) -> bool {
        let mut guard = self.lock();
        let Some(located) = guard.as_mut().filter(|located| located.id == id) else { return false };
        if located.addresses == addresses {
            return false;
        }
        // The one that answered last is still tried first.
        let preferred = located.addresses.get(self.preferred.load(Ordering::Relaxed));
        let place = addresses.iter().position(|address| Some(address) == preferred);
        located.addresses = addresses.to_vec();
        self.changed(place.unwrap_or(0));
        true
    }

    fn changed(&self, preferred: usize) {
        self.preferred.store(preferred, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// The addresses of all backends, shared by all workers.
#[derive(Debug)]
pub(super) struct Resolver {
    /// By the slots of their backends.
    entries: Box<[Entry]>,
    /// Wakes the thread that looks names up, if there is one.
    helper: OnceLock<Waker>,
}

impl Resolver {
    /// It knows no backend yet.
    pub(super) fn new() -> Self {
        let entries = (0..MAX_BACKENDS).map(|_| Entry::default()).collect();
        Self { entries, helper: OnceLock::new() }
    }

    /// A backend and the addresses it was resolved to. Its id must not be in a roster before.
    pub(super) fn add(&self, id: BackendId, addresses: Vec<Endpoint>) {
        let entry = &self.entries[id.slot()];
        let mut located = entry.lock();
        *located = Some(Located { id, addresses });
        entry.changed(0);
    }

    /// A backend has these addresses from now on; whether they are other ones.
    pub(super) fn publish(&self, id: BackendId, addresses: &[Endpoint]) -> bool {
        self.entries[id.slot()].publish(id, addresses)
    }

    /// Whether a thread looks names up.
    pub(super) fn has_helper(&self) -> bool {
        self.helper.get().is_some()
    }

    /// The thread that looks names up from now on. The first one stays.
    pub(super) fn set_helper(&self, waker: Waker) {
        let _ = self.helper.set(waker);
    }

    /// Has that thread, if there is one, look what has changed.
    pub(super) fn wake_helper(&self) {
        if let Some(helper) = self.helper.get() {
            // An eventfd that refuses its one write leaves it to the next event.
            let _ = helper.wake();
        }
    }

    /// The backends of which no address answered since this was asked last.
    pub(super) fn take_stale(&self) -> Vec<BackendId> {
        let stale = self.entries.iter().filter(|it| it.is_stale.swap(false, Ordering::Relaxed));
        stale.filter_map(|entry| entry.lock().as_ref().map(|located| located.id)).collect()
    }
}

/// How far the search for an address that answers has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AddressCursor {
    /// Addresses tried before this one.
    pub step: usize,
    /// Which of the backend's addresses this one is.
    pub index: usize,
}

/// One worker's copy of the resolver, refreshed when it has changed: no lock per request.
#[derive(Debug)]
pub(super) struct LocalResolver {
    shared: Arc<Resolver>,
    /// By slot, as far as backends were asked for.
    copies: Vec<Copy>,
}

/// An entry as it was at this version.
#[derive(Debug, Default)]
struct Copy {
    version: u64,
    located: Option<Located>,
}

impl LocalResolver {
    pub(super) fn new(shared: Arc<Resolver>) -> Self {
        Self { shared, copies: Vec::new() }
    }

    /// The address to try after `last`: first the one that answered last, then the ones behind it,
    /// each once, whatever other searches find meanwhile.
    pub(super) fn address(
        &mut self,
        id: BackendId,
        last: Option<AddressCursor>,
    ) -> Option<(AddressCursor, &Endpoint)> {
        let (entry, addresses) = self.current(id)?;
        let AddressCursor { step, index } = match last {
            None => AddressCursor { step: 0, index: entry.preferred.load(Ordering::Relaxed) },
            Some(last) => AddressCursor { step: last.step + 1, index: last.index + 1 },
        };
        if step >= addresses.len() {
            return None;
        }
        let index = index % addresses.len();
        Some((AddressCursor { step, index }, &addresses[index]))
    }

    /// The entry of a backend, and its addresses as they are now.
    fn current(&mut self, id: BackendId) -> Option<(&Entry, &[Endpoint])> {
        let Self { shared, copies } = self;
        let entry = &shared.entries[id.slot()];
        if copies.len() <= id.slot() {
            copies.resize_with(id.slot() + 1, Copy::default);
        }
        let copy = &mut copies[id.slot()];
        let current = entry.version.load(Ordering::Acquire);
        if copy.version != current {
            *copy = Copy { version: current, located: entry.lock().clone() };
        }
        Some((entry, &copy.located.as_ref().filter(|located| located.id == id)?.addresses))
    }

    /// Whether this is an address of a backend now.
    pub(super) fn leads_to(&mut self, id: BackendId, address: SocketAddr) -> bool {
        let address = Endpoint::Tcp(address);
        self.current(id).is_some_and(|(_, addresses)| addresses.contains(&address))
    }

    /// The address that a search came to, as it is known here.
    pub(super) fn address_at(&self, id: BackendId, cursor: AddressCursor) -> Option<&Endpoint> {
        let located = self.copies.get(id.slot())?.located.as_ref();
        located.filter(|located| located.id == id)?.addresses.get(cursor.index)
    }

    /// This address answered: it is tried first from now on.
    pub(super) fn mark_good(&self, id: BackendId, cursor: AddressCursor) {
        let preferred = &self.shared.entries[id.slot()].preferred;
        if preferred.load(Ordering::Relaxed) != cursor.index {
            preferred.store(cursor.index, Ordering::Relaxed);
        }
    }

    /// No address answered: the name may have moved.
    pub(super) fn request_refresh(&self, id: BackendId) {
        let is_stale = &self.shared.entries[id.slot()].is_stale;
        // The helper may be slow, and is asked once however many requests and checks fail.
        if !is_stale.swap(true, Ordering::Relaxed) {
            self.shared.wake_helper();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{ids, reused};
    use crate::reactor::{Event, Poller};

    fn addresses<const N: usize>(texts: [&str; N]) -> Vec<Endpoint> {
        texts.map(|text| text.parse().expect("an address")).to_vec()
    }

    fn local(id: BackendId, addresses: Vec<Endpoint>) -> LocalResolver {
        let resolver = Resolver::new();
        resolver.add(id, addresses);
        LocalResolver::new(Arc::new(resolver))
    }

    #[test]
    fn one_address_is_tried_once() {
        let (id, found) = (ids(1)[0], addresses(["127.0.0.1:8081"]));
        let mut resolver = local(id, found.clone());
        let (cursor, address) = resolver.address(id, None).expect("an address");
        assert_eq!(*address, found[0]);
        assert_eq!(resolver.address_at(id, cursor), Some(&found[0]));
        assert_eq!(resolver.address(id, Some(cursor)), None);
    }

    #[test]
    fn the_address_that_answered_comes_first_and_all_are_tried() {
        let both = addresses(["[::1]:8081", "127.0.0.1:8081"]);
        let id = ids(1)[0];
        let mut resolver = local(id, both.clone());
        let (first, address) = resolver.address(id, None).expect("the first");
        assert_eq!(*address, both[0]);
        let (second, address) = resolver.address(id, Some(first)).expect("the second");
        assert_eq!(*address, both[1]);
        assert_eq!(resolver.address(id, Some(second)), None);
        resolver.mark_good(id, second);
        let (first, address) = resolver.address(id, None).expect("the one that answered");
        assert_eq!(*address, both[1]);
        assert_eq!(resolver.address(id, Some(first)).map(|(_, address)| address), Some(&both[0]));
    }

    #[test]
    fn what_another_search_finds_makes_none_try_an_address_twice() {
        let both = addresses(["[::1]:8081", "127.0.0.1:8081"]);
        let id = ids(1)[0];
        let mut resolver = local(id, both.clone());
        let (first, _) = resolver.address(id, None).expect("the first");
        let (second, _) = resolver.address(id, Some(first)).expect("the second");
        resolver.mark_good(id, second);
        assert_eq!(resolver.address(id, Some(first)), Some((second, &both[1])));
    }

    #[test]
    fn the_helper_is_asked_once_until_it_looks_however_many_attempts_fail() {
        let id = ids(1)[0];
        let resolver = local(id, addresses(["127.0.0.1:1"]));
        let mut poller = Poller::new(8).expect("a poller");
        resolver.shared.set_helper(poller.waker());
        let mut events = Vec::new();
        for _ in 0..3 {
            (0..1_000).for_each(|_| resolver.request_refresh(id));
            poller.turn(&mut events, false).expect("a turn");
            assert_eq!(events, [Event::Woken]);
            assert_eq!(resolver.shared.take_stale(), [id]);
            assert_eq!(resolver.shared.take_stale(), []);
        }
    }

    #[test]
    fn the_address_that_answered_stays_first_when_others_come_and_go() {
        let id = ids(1)[0];
        let [a, b, c] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];
        let mut resolver = local(id, addresses([a, b]));
        let first = resolver.address(id, None).expect("the first").0;
        let second = resolver.address(id, Some(first)).expect("the second").0;
        resolver.mark_good(id, second);
        let mut first = |now: &[Endpoint]| {
            assert!(resolver.shared.publish(id, now) && !resolver.shared.publish(id, now));
            resolver.address(id, None).map(|(_, address)| address.clone())
        };
        assert_eq!(first(&addresses([b, c])), addresses([b]).pop());
        assert_eq!(first(&addresses([a, b, c])), addresses([b]).pop());
        assert_eq!(first(&addresses([a, c])), addresses([a]).pop(), "it is gone");
        let leads_to = |text: &str| text.parse().expect("an address");
        assert!(resolver.leads_to(id, leads_to(c)) && !resolver.leads_to(id, leads_to(b)));
    }

    #[test]
    fn a_refresh_changes_the_addresses_of_its_backend_and_of_no_later_one_in_the_slot() {
        let [earlier, later] = reused();
        let [old, new, late] = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
        let mut resolver = local(earlier, addresses([old]));
        let shared = Arc::clone(&resolver.shared);
        let mut first = |id| resolver.address(id, None).map(|(_, address)| address.clone());
        assert_eq!((first(earlier), first(later)), (addresses([old]).pop(), None));
        assert!(shared.publish(earlier, &addresses([new])));
        assert_eq!(first(earlier), addresses([new]).pop());
        shared.add(later, addresses([old]));
        assert!(!shared.publish(earlier, &addresses([late])));
        assert_eq!((first(earlier), first(later)), (None, addresses([old]).pop()));
    }
}
