//! Where each backend can be reached: the addresses its host name resolves to.
//!
//! A name is resolved before its backend is added, and again on a helper thread after its addresses
//! failed, because `getaddrinfo` blocks. A name with several addresses (`localhost` has two)
//! remembers which one answered, so that no connection fails first on the other.

use std::io;
use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::settings::{Address, Backend};
use crate::balance::{BackendId, MAX_BACKENDS};
use crate::endpoint::{Endpoint, UnixName};

/// A host name that has no address.
#[derive(Debug, thiserror::Error)]
#[error("the upstream {url} can't be resolved ({reason}); check the name, or give an address")]
pub struct ResolveError {
    url: String,
    reason: String,
}

/// The addresses that a backend has now. This blocks.
///
/// # Errors
/// If there is none.
pub(super) fn resolve(backend: &Backend) -> Result<Vec<Endpoint>, ResolveError> {
    let refuse = |reason: String| ResolveError { url: backend.url.clone(), reason };
    let addresses = look_up(backend).map_err(|error| refuse(error.to_string()))?;
    if addresses.is_empty() {
        return Err(refuse("it has no address".to_owned()));
    }
    Ok(addresses)
}

fn look_up(upstream: &Backend) -> io::Result<Vec<Endpoint>> {
    let mut addresses: Vec<Endpoint> = match &upstream.address {
        Address::Tcp { host, port } => {
            (host.as_str(), *port).to_socket_addrs()?.map(Endpoint::from).collect()
        }
        Address::Unix(path) => {
            let name = UnixName::new(path.as_os_str());
            vec![name.map_err(io::Error::other)?.into()]
        }
    };
    let mut seen = Vec::new();
    addresses.retain(|address| {
        let new = !seen.contains(address);
        seen.push(address.clone());
        new
    });
    Ok(addresses)
}

/// The backend that has a slot, and where it can be reached.
#[derive(Clone, Debug)]
struct Located {
    id: BackendId,
    backend: Backend,
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

    /// The backend of this id, if it still has the slot.
    fn backend(&self, id: BackendId) -> Option<Backend> {
        self.lock().as_ref().filter(|located| located.id == id).map(|l| l.backend.clone())
    }

    /// The addresses that were looked up for this backend, unless another one has the slot by now.
    fn publish(&self, id: BackendId, addresses: Vec<Endpoint>) {
        let mut located = self.lock();
        if let Some(located) = located.as_mut().filter(|located| located.id == id)
            && located.addresses != addresses
        {
            located.addresses = addresses;
            self.changed();
        }
    }

    fn changed(&self) {
        self.preferred.store(0, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// The addresses of all backends, shared by all workers.
#[derive(Debug)]
pub(super) struct Resolver {
    /// By the slots of their backends.
    entries: Arc<[Entry]>,
    stale: SyncSender<BackendId>,
}

impl Resolver {
    /// It knows no backend yet.
    pub(super) fn new() -> Self {
        let entries: Arc<[Entry]> = (0..MAX_BACKENDS).map(|_| Entry::default()).collect();
        let (stale, requests) = sync_channel(MAX_BACKENDS);
        let shared = Arc::clone(&entries);
        // Without the helper the first addresses stay in use, which is no reason not to serve.
        let _ = thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || refresh_on_request(&shared, &requests));
        Self { entries, stale }
    }

    /// A backend and the addresses it was resolved to. Its id must not be in a roster before.
    pub(super) fn add(&self, id: BackendId, backend: &Backend, addresses: Vec<Endpoint>) {
        let entry = &self.entries[id.slot()];
        let mut located = entry.lock();
        *located = Some(Located { id, backend: backend.clone(), addresses });
        entry.changed();
    }
}

fn refresh_on_request(entries: &[Entry], requests: &Receiver<BackendId>) {
    while let Ok(id) = requests.recv() {
        let entry = &entries[id.slot()];
        entry.is_stale.store(false, Ordering::Relaxed);
        // A name that can't be resolved just now keeps the addresses it had.
        if let Some(backend) = entry.backend(id)
            && let Ok(addresses) = resolve(&backend)
        {
            entry.publish(id, addresses);
        }
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
        let entry = &self.shared.entries[id.slot()];
        if self.copies.len() <= id.slot() {
            self.copies.resize_with(id.slot() + 1, Copy::default);
        }
        let copy = &mut self.copies[id.slot()];
        let current = entry.version.load(Ordering::Acquire);
        if copy.version != current {
            *copy = Copy { version: current, located: entry.lock().clone() };
        }
        let addresses = &copy.located.as_ref().filter(|located| located.id == id)?.addresses;
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
        if !is_stale.swap(true, Ordering::Relaxed) && self.shared.stale.try_send(id).is_err() {
            is_stale.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Role;
    use crate::balance::tests::{ids, reused};

    fn backend(host: &str) -> Backend {
        Backend::tcp(host, 8081)
    }

    fn addresses<const N: usize>(texts: [&str; N]) -> Vec<Endpoint> {
        texts.map(|text| text.parse().expect("an address")).to_vec()
    }

    fn local(id: BackendId, addresses: Vec<Endpoint>) -> LocalResolver {
        let resolver = Resolver::new();
        resolver.add(id, &backend("127.0.0.1"), addresses);
        LocalResolver::new(Arc::new(resolver))
    }

    #[test]
    fn an_address_stands_for_itself() {
        let found = resolve(&backend("127.0.0.1")).expect("resolves");
        assert_eq!(found, addresses(["127.0.0.1:8081"]));
        let id = ids(1)[0];
        let mut resolver = local(id, found.clone());
        let (cursor, address) = resolver.address(id, None).expect("an address");
        assert_eq!(*address, found[0]);
        assert_eq!(resolver.address(id, Some(cursor)), None);
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let url = "unix:/run/app.sock".to_owned();
        let address = Address::Unix("/run/app.sock".into());
        let found = resolve(&Backend { url, address, role: Role::default() });
        let found = found.expect("resolves");
        assert_eq!(found, addresses(["unix:/run/app.sock"]));
        let id = ids(1)[0];
        let mut resolver = local(id, found.clone());
        let cursor = resolver.address(id, None).expect("an address").0;
        assert_eq!(resolver.address_at(id, cursor), Some(&found[0]));
        assert_eq!(resolver.address(id, Some(cursor)), None);
    }

    #[test]
    fn a_name_without_address_is_refused_by_its_url() {
        let error = resolve(&backend("no-such-host.invalid")).expect_err("refused");
        assert!(error.to_string().contains("http://no-such-host.invalid:8081"), "{error}");
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
        let (stale, requests) = sync_channel(MAX_BACKENDS);
        let entries: Arc<[Entry]> = (0..MAX_BACKENDS).map(|_| Entry::default()).collect();
        let shared = Arc::new(Resolver { entries: Arc::clone(&entries), stale });
        shared.add(id, &backend("127.0.0.1"), addresses(["127.0.0.1:1"]));
        let mut resolver = LocalResolver::new(shared);
        for _ in 0..3 {
            (0..1_000).for_each(|_| resolver.request_refresh(id));
            assert_eq!(requests.try_iter().collect::<Vec<_>>(), [id]);
            let (asked, asks) = sync_channel(1);
            asked.send(id).expect("room");
            drop(asked);
            refresh_on_request(&entries, &asks);
        }
        let found = resolver.address(id, None).map(|(_, address)| address.clone());
        assert_eq!(found, addresses(["127.0.0.1:8081"]).pop());
    }

    #[test]
    fn a_refresh_changes_the_addresses_of_its_backend_and_of_no_later_one_in_the_slot() {
        let [earlier, later] = reused();
        let [old, new, late] = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
        let mut resolver = local(earlier, addresses([old]));
        let shared = Arc::clone(&resolver.shared);
        let entry = &shared.entries[earlier.slot()];
        let mut first = |id| resolver.address(id, None).map(|(_, address)| address.clone());
        assert_eq!((first(earlier), first(later)), (addresses([old]).pop(), None));
        entry.publish(earlier, addresses([new]));
        assert_eq!(first(earlier), addresses([new]).pop());
        shared.add(later, &backend("127.0.0.1"), addresses([old]));
        entry.publish(earlier, addresses([late]));
        assert_eq!(entry.backend(earlier), None);
        assert_eq!((first(earlier), first(later)), (None, addresses([old]).pop()));
    }
}
