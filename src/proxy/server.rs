//! The proxy as a whole: its listeners, its workers, and how they are stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::control::Control;
use super::directory::{Directory, ResolveError};
use super::settings::Settings;
use super::worker::{Shared, Worker};
use crate::balance::{Balancer, InvalidOptions, Options};
use crate::journal::Feed;
use crate::reactor::{Listener, Poller, cores};

/// Events that a loop takes from the system in one turn.
const EVENTS_PER_TURN: usize = 1024;

/// Why the proxy can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {source}{}", listen_advice(source, *address))]
    Listen {
        /// The address as given.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An upstream has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The balancer refuses its options.
    #[error(transparent)]
    Balance(#[from] InvalidOptions),
    /// The system gives no event loop or no thread.
    #[error("can't start a worker: {0}")]
    Worker(#[from] io::Error),
}

fn listen_advice(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "; is another proxy running there? Choose another port with --listen {}:PORT",
                address.ip()
            )
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege, choose a higher one with --listen".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this host does not have that address, see --listen".to_owned()
        }
        _ => String::new(),
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Server {
    workers: Vec<JoinHandle<io::Result<()>>>,
    control: Arc<Control>,
    addresses: Vec<SocketAddr>,
}

/// Stops a running proxy from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Control>);

impl Stopper {
    /// Lets nobody new in, and has the proxy end when what is in flight has ended.
    pub fn drain(&self) {
        self.0.drain();
    }
}

impl Server {
    /// Resolves the upstreams, binds the listeners, and starts one thread per feed.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub fn start(settings: Settings, feeds: Vec<Feed>) -> Result<Self, StartError> {
        let directory = Directory::resolve(&settings.upstreams)?;
        let mut addresses = Vec::new();
        let mut per_worker: Vec<Vec<Listener>> = feeds.iter().map(|_| Vec::new()).collect();
        for &address in &settings.listen {
            let group = Listener::bind_group(address, feeds.len())
                .map_err(|source| StartError::Listen { address, source })?;
            addresses.extend(group.first().map(Listener::local_addr));
            for (listeners, listener) in per_worker.iter_mut().zip(group) {
                listeners.push(listener);
            }
        }
        let pollers: Vec<Poller> =
            feeds.iter().map(|_| Poller::new(EVENTS_PER_TURN)).collect::<io::Result<_>>()?;
        let Some(started) = pollers.first().map(Poller::now) else {
            return Err(StartError::Worker(io::Error::other("there must be at least one worker")));
        };
        let options = Options {
            policy: settings.policy,
            resample_after: settings.resample_after,
            cooldown: settings.cooldown,
            cooldown_max: settings.cooldown_max,
            failure_sample: settings.timeouts.response,
        };
        let names = settings.upstreams.iter().map(|upstream| upstream.url.clone()).collect();
        let control = Arc::new(Control::default());
        let shared = Shared {
            balancer: Arc::new(Balancer::new(names, options, started)?),
            directory: Arc::new(directory),
            control: Arc::clone(&control),
            settings: Arc::new(settings),
        };
        let mut workers = Vec::new();
        for (index, ((listeners, feed), poller)) in
            per_worker.into_iter().zip(feeds).zip(pollers).enumerate()
        {
            control.add(poller.waker());
            let core = shared.settings.cores.get(index).copied();
            let worker = Worker::new(listeners, shared.clone(), feed, poller)?;
            let thread = thread::Builder::new().name(format!("worker-{index}"));
            workers.push(thread.spawn(move || {
                if let Some(core) = core {
                    cores::pin_current_thread(core).map_err(io::Error::other)?;
                }
                worker.run()
            })?);
        }
        Ok(Self { workers, control, addresses })
    }

    /// The addresses listened on, ports filled in where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A handle that stops the proxy.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.control))
    }

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
