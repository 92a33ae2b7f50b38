//! Where each backend can be reached: the addresses its host name resolves to.
//!
//! A name is resolved at start, and again on a helper thread after its addresses failed, for
//! `getaddrinfo` blocks. A name with several addresses (`localhost` has two) remembers which one
//! answered, so that no connection fails first on the other.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::settings::Backend;

/// A host name that has no address.
#[derive(Debug, thiserror::Error)]
#[error("the upstream {url} can't be resolved ({reason}); check the name, or give an address")]
pub struct ResolveError {
    url: String,
    reason: String,
}

#[derive(Debug)]
struct Entry {
    upstream: Backend,
    /// Grows with each change of `addresses`.
    version: AtomicU64,
    addresses: Mutex<Vec<SocketAddr>>,
    /// Index of the address that answered last.
    preferred: AtomicUsize,
}

impl Entry {
    fn publish(&self, addresses: Vec<SocketAddr>) {
        let mut current = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != addresses {
            *current = addresses;
            self.preferred.store(0, Ordering::Relaxed);
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

/// The addresses of all backends, shared by all workers.
#[derive(Debug)]
pub struct Resolver {
    entries: Arc<Vec<Entry>>,
    stale: SyncSender<usize>,
}

impl Resolver {
    /// Resolves every upstream.
    ///
    /// # Errors
    /// The first upstream that has no address.
    pub fn resolve(upstreams: &[Backend]) -> Result<Self, ResolveError> {
        let entries = upstreams.iter().map(|upstream| {
            let refuse = |reason: String| ResolveError { url: upstream.url.clone(), reason };
            let addresses = look_up(upstream).map_err(|error| refuse(error.to_string()))?;
            if addresses.is_empty() {
                return Err(refuse("it has no address".to_owned()));
            }
            Ok(Entry {
                upstream: upstream.clone(),
                version: AtomicU64::new(1),
                addresses: Mutex::new(addresses),
                preferred: AtomicUsize::new(0),
            })
        });
        let entries = Arc::new(entries.collect::<Result<Vec<_>, _>>()?);
        let (stale, requests) = sync_channel(upstreams.len());
        let shared = Arc::clone(&entries);
        // Without the helper the first addresses stay in use, which is no reason not to serve.
        let _ = thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || refresh_on_request(&shared, &requests));
        Ok(Self { entries, stale })
    }

    /// The addresses of one backend as they are now.
    #[must_use]
    pub fn addresses(&self, backend: usize) -> Vec<SocketAddr> {
        let addresses = &self.entries[backend].addresses;
        addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn look_up(upstream: &Backend) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> =
        (upstream.host.as_str(), upstream.port).to_socket_addrs()?.collect();
    let mut seen = Vec::new();
    addresses.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new
    });
    Ok(addresses)
}

fn refresh_on_request(entries: &[Entry], requests: &Receiver<usize>) {
    while let Ok(index) = requests.recv() {
        // A name that can't be resolved just now keeps the addresses it had.
        if let Ok(addresses) = look_up(&entries[index].upstream)
            && !addresses.is_empty()
        {
            entries[index].publish(addresses);
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
    copies: Vec<(u64, Vec<SocketAddr>)>,
}

impl LocalResolver {
    pub(super) fn new(shared: Arc<Resolver>) -> Self {
        let copies = vec![(0, Vec::new()); shared.entries.len()];
        Self { shared, copies }
    }

    /// The address to try after `last`: first the one that answered last, then the ones behind it,
    /// each once, whatever other searches find meanwhile.
    pub(super) fn address(
        &mut self,
        backend: usize,
        last: Option<AddressCursor>,
    ) -> Option<(AddressCursor, SocketAddr)> {
        let entry = &self.shared.entries[backend];
        let (version, addresses) = &mut self.copies[backend];
        let current = entry.version.load(Ordering::Acquire);
        if *version != current {
            *addresses = self.shared.addresses(backend);
            *version = current;
        }
        let AddressCursor { step, index } = match last {
            None => AddressCursor { step: 0, index: entry.preferred.load(Ordering::Relaxed) },
            Some(last) => AddressCursor { step: last.step + 1, index: last.index + 1 },
        };
        if step >= addresses.len() {
            return None;
        }
        let index = index % addresses.len();
        Some((AddressCursor { step, index }, addresses[index]))
    }

    /// This address answered: it is tried first from now on.
    pub(super) fn mark_good(&self, backend: usize, cursor: AddressCursor) {
        let preferred = &self.shared.entries[backend].preferred;
        if preferred.load(Ordering::Relaxed) != cursor.index {
            preferred.store(cursor.index, Ordering::Relaxed);
        }
    }

    /// No address answered: the name may have moved.
    pub(super) fn request_refresh(&self, backend: usize) {
        // A full queue means that the helper has it on its list already.
        let _ = self.shared.stale.try_send(backend);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(host: &str) -> Backend {
        Backend { url: format!("http://{host}:8081"), host: host.to_owned(), port: 8081 }
    }

    fn local(host: &str) -> LocalResolver {
        LocalResolver::new(Arc::new(Resolver::resolve(&[upstream(host)]).expect("resolves")))
    }

    #[test]
    fn an_address_stands_for_itself() {
        let mut resolver = local("127.0.0.1");
        let (cursor, address) = resolver.address(0, None).expect("an address");
        assert_eq!(address, "127.0.0.1:8081".parse().expect("ok"));
        assert_eq!(resolver.address(0, Some(cursor)), None);
    }

    #[test]
    fn a_name_without_address_is_refused_by_its_url() {
        let error = Resolver::resolve(&[upstream("no-such-host.invalid")]).expect_err("refused");
        assert!(error.to_string().contains("http://no-such-host.invalid:8081"), "{error}");
    }

    #[test]
    fn the_address_that_answered_comes_first_and_all_are_tried() {
        let mut resolver = local("127.0.0.1");
        let both: Vec<SocketAddr> =
            ["[::1]:8081", "127.0.0.1:8081"].map(|a| a.parse().expect("ok")).to_vec();
        resolver.shared.entries[0].publish(both.clone());
        let (first, address) = resolver.address(0, None).expect("the first");
        assert_eq!(address, both[0]);
        let (second, address) = resolver.address(0, Some(first)).expect("the second");
        assert_eq!(address, both[1]);
        assert_eq!(resolver.address(0, Some(second)), None);
        resolver.mark_good(0, second);
        let (first, address) = resolver.address(0, None).expect("the one that answered");
        assert_eq!(address, both[1]);
        assert_eq!(resolver.address(0, Some(first)).map(|(_, address)| address), Some(both[0]));
    }

    #[test]
    fn what_another_search_finds_makes_none_try_an_address_twice() {
        let mut resolver = local("127.0.0.1");
        let both: Vec<SocketAddr> =
            ["[::1]:8081", "127.0.0.1:8081"].map(|a| a.parse().expect("ok")).to_vec();
        resolver.shared.entries[0].publish(both.clone());
        let (first, _) = resolver.address(0, None).expect("the first");
        let (second, _) = resolver.address(0, Some(first)).expect("the second");
        resolver.mark_good(0, second);
        assert_eq!(resolver.address(0, Some(first)), Some((second, both[1])));
    }
}
