//! The proxy as a whole: its listeners, its workers, and how they are stopped.

use std::io;
use std::thread::{self, JoinHandle};

use super::backends::{Backends, ChangeError, LocateError, Located};
use super::settings::{Listen, Plan};
use super::worker::{Shared, Worker};
use crate::balance::Balancer;
use crate::endpoint::Endpoint;
use crate::journal::RecordSender;
use crate::reactor::{Listener, Poller, cores};

/// Events that a loop takes from the system in one turn.
const EVENTS_PER_TURN: usize = 1024;

/// Why the proxy can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {source}{}", listen_advice(source, address))]
    Listen {
        /// The address as given.
        address: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// An upstream can't be used.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// Upstreams and settings don't fit.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The system gives no event loop.
    #[error("can't make an event loop: {0}; are file descriptors used up?")]
    Poller(#[from] io::Error),
}

fn listen_advice(error: &io::Error, endpoint: &Endpoint) -> String {
    match (error.kind(), endpoint) {
        (io::ErrorKind::AddrInUse, Endpoint::Tcp(address)) => {
            format!(
                "; is another proxy running there? Choose another port with --listen {}:PORT",
                address.ip()
            )
        }
        (io::ErrorKind::AddrInUse, Endpoint::Unix(_)) => {
            "; another program listens there: stop it, or choose another path".to_owned()
        }
        (io::ErrorKind::AlreadyExists, _) => "; remove it, or choose another path".to_owned(),
        (io::ErrorKind::PermissionDenied, Endpoint::Tcp(_)) => {
            "; ports below 1024 need a privilege, choose a higher one with --listen".to_owned()
        }
        (io::ErrorKind::PermissionDenied, Endpoint::Unix(_)) => {
            "; the proxy's user must be permitted to write to its folder, and to a socket that is \
             there already"
                .to_owned()
        }
        (io::ErrorKind::NotFound, _) => "; make its folder first".to_owned(),
        (io::ErrorKind::AddrNotAvailable, _) => {
            "; this host does not have that address, see --listen".to_owned()
        }
        _ => String::new(),
    }
}

/// A proxy that has its upstreams' addresses and its listeners, and does not serve yet.
///
/// What can go wrong with a start has gone wrong before this exists, so a log is not begun for
/// nothing.
#[derive(Debug)]
pub struct Bound {
    shared: Shared,
    loops: Vec<Loop>,
    endpoints: Vec<Endpoint>,
}

/// What a worker begins with that is its own.
#[derive(Debug)]
struct Loop {
    poller: Poller,
    listeners: Vec<Listener>,
    balancer: Balancer,
}

impl Bound {
    /// Resolves the upstreams and binds the listeners. What comes beside it changes the backends
    /// and the settings of the proxy, and stops it, even before it is started.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn bind(plan: &Plan) -> Result<(Self, Backends), StartError> {
        let settings = &plan.settings;
        let located = plan.backends.iter().map(|it| Located::new(it, &settings.listen));
        let located = located.collect::<Result<Vec<_>, _>>()?;
        let mut loops = Vec::new();
        for _ in 0..settings.workers().max(1) {
            loops.push((Poller::new(EVENTS_PER_TURN)?, Vec::new()));
        }
        let mut endpoints = Vec::new();
        for Listen { endpoint, mode } in &settings.listen {
            let refuse = |source| StartError::Listen { address: endpoint.clone(), source };
            let group = Listener::bind_group(endpoint, *mode, loops.len()).map_err(refuse)?;
            endpoints.extend(group.first().map(|listener| listener.endpoint().clone()));
            for ((_, listeners), listener) in loops.iter_mut().zip(group) {
                listeners.push(listener);
            }
        }
        let wakers = loops.iter().map(|(poller, _)| poller.waker()).collect();
        let mut backends = Backends::new(settings, located, wakers, loops[0].0.now())?;
        let loops = loops.into_iter().map(|(poller, listeners)| {
            let balancer = backends.balancer();
            Loop { poller, listeners, balancer }
        });
        let loops = loops.collect();
        Ok((Self { shared: Shared::new(settings.clone(), &backends), loops, endpoints }, backends))
    }

    /// The addresses listened on, ports filled in where 0 was asked for.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Starts one thread per sender; there must be one sender for each worker.
    ///
    /// # Errors
    /// When the system gives no thread or can't watch a listener.
    pub fn start(self, senders: Vec<RecordSender>) -> io::Result<Server> {
        let mut workers = Vec::new();
        for (index, (own, sender)) in self.loops.into_iter().zip(senders).enumerate() {
            let core = self.shared.settings.core(index);
            let Loop { poller, listeners, balancer } = own;
            let shared = self.shared.clone();
            let worker = Worker::new(index, listeners, shared, balancer, sender, poller)?;
            let thread = thread::Builder::new().name(format!("worker-{index}"));
            workers.push(thread.spawn(move || {
                if let Some(core) = core {
                    cores::pin_current_thread(core).map_err(io::Error::other)?;
                }
                worker.run()
            })?);
        }
        Ok(Server { workers })
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Server {
    workers: Vec<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// Waits until all workers have ended.
    ///
    /// # Errors
    /// The first failure of an event loop.
    pub fn join(self) -> io::Result<()> {
        let results = self.workers.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker ended by a panic")))
        });
        results.collect::<Vec<_>>().into_iter().collect()
    }
}
