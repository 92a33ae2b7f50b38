//! Where backends are reached, asked before they are added: the addresses that their names have.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::circle::{CircleError, refuse_circle};
use super::names;
use super::settings::{Address, Backend, Settings};
use crate::dns::Outcome;
use crate::endpoint::{Endpoint, UnixName};

/// How long names are waited for before the proxy goes on without their addresses.
const LIMIT: Duration = Duration::from_secs(5);

/// A host name that has no address.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the upstream {url} can't be resolved ({reason}); check the name, or give an address")]
pub struct ResolveError {
    url: String,
    reason: String,
}

/// A backend that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// It has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It is this proxy itself.
    #[error(transparent)]
    Circle(#[from] CircleError),
}

/// A backend and where it is reached.
#[derive(Clone, Debug)]
pub struct Located {
    /// As configured.
    pub backend: Backend,
    /// Its addresses, at least one; or why none is known.
    pub addresses: Result<Vec<Endpoint>, ResolveError>,
}

impl Located {
    /// Asks where backends are reached by a proxy with these settings. This blocks, for five
    /// seconds at most.
    ///
    /// # Errors
    /// If one of them is the proxy itself.
    pub fn all(backends: &[Backend], settings: &Settings) -> Result<Vec<Self>, CircleError> {
        let taken = settings.taken();
        let wanted: HashSet<&str> = backends.iter().filter_map(Backend::host_name).collect();
        let outcomes = names::look_up(&wanted, &settings.names.servers, LIMIT);
        let outcomes = outcomes.map_err(|error| error.to_string());
        let located = backends.iter().map(|backend| {
            let addresses = match (&backend.address, &outcomes) {
                (Address::Unix(path), _) => unix(path.as_os_str()),
                (Address::Tcp { host, port }, outcomes) => match (host.parse(), outcomes) {
                    (Ok(ip), _) => Ok(endpoints(&[ip], *port)),
                    (Err(_), Ok(outcomes)) => addresses(outcomes.get(host.as_str()), *port),
                    (Err(_), Err(error)) => Err(error.clone()),
                },
            };
            let url = backend.url.clone();
            let addresses = addresses.map_err(|reason| ResolveError { url, reason });
            if let Ok(addresses) = &addresses {
                refuse_circle(backend, addresses, &taken)?;
            }
            Ok(Self { backend: backend.clone(), addresses })
        });
        located.collect()
    }

    /// The same, if it has an address.
    ///
    /// # Errors
    /// If it has none.
    pub fn resolved(self) -> Result<Self, ResolveError> {
        let Self { backend, addresses } = self;
        addresses.map(|addresses| Self { backend, addresses: Ok(addresses) })
    }
}

fn unix(path: &std::ffi::OsStr) -> Result<Vec<Endpoint>, String> {
    UnixName::new(path).map(|name| vec![name.into()]).map_err(|error| error.to_string())
}

fn addresses(outcome: Option<&Outcome>, port: u16) -> Result<Vec<Endpoint>, String> {
    match outcome {
        Some(Outcome::Found(found)) => Ok(endpoints(&found.addresses, port)),
        Some(Outcome::Failed(failure)) => Err(failure.to_string()),
        Some(Outcome::Absent) | None => Err("no such name, or it has no address".to_owned()),
    }
}

/// A port of these hosts.
pub(super) fn endpoints(ips: &[IpAddr], port: u16) -> Vec<Endpoint> {
    ips.iter().map(|ip| SocketAddr::from((*ip, port)).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Role;
    use crate::proxy::settings::Resolve;

    fn located(backend: &Backend) -> Result<Vec<Endpoint>, ResolveError> {
        let all = Located::all(std::slice::from_ref(backend), &Settings::default());
        all.expect("no circle").remove(0).addresses
    }

    fn addresses<const N: usize>(texts: [&str; N]) -> Vec<Endpoint> {
        texts.map(|text| text.parse().expect("an address")).to_vec()
    }

    #[test]
    fn an_address_stands_for_itself() {
        for host in ["127.0.0.1", "::1"] {
            let found = located(&Backend::tcp(host, 8081)).expect("resolves");
            assert_eq!(found, endpoints(&[host.parse().expect("an address")], 8081));
        }
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let url = "unix:/run/app.sock".to_owned();
        let address = Address::Unix("/run/app.sock".into());
        let (role, resolve) = (Role::default(), Resolve::One);
        let found = located(&Backend { url, address, role, resolve }).expect("resolves");
        assert_eq!(found, addresses(["unix:/run/app.sock"]));
    }

    #[test]
    fn a_name_of_this_host_needs_no_server() {
        let found = located(&Backend::tcp("localhost", 8081)).expect("resolves");
        assert!(found.contains(&addresses(["127.0.0.1:8081"])[0]), "{found:?}");
    }

    #[test]
    fn a_name_without_address_is_refused_by_its_url() {
        let backend = Backend::tcp("no-such-host..invalid", 8081);
        let located = Located::all(&[backend], &Settings::default()).expect("no circle");
        let error = located[0].clone().resolved().expect_err("refused").to_string();
        assert!(error.contains("http://no-such-host..invalid:8081"), "{error}");
        assert!(error.contains("(no such name, or it has no address)"), "{error}");
    }
}
