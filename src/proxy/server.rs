//! The proxy as a whole: its listeners, its workers, and how they are stopped.

use std::io;
use std::thread::{self, JoinHandle};

use super::backends::{Backends, ChangeError};
use super::circle::CircleError;
use super::listeners::{ListenError, ListenerTable, OwnListener};
use super::locate::Located;
use super::settings::Plan;
use super::worker::{Shared, Worker};
use crate::balance::Balancer;
use crate::endpoint::Endpoint;
use crate::journal::RecordSender;
use crate::reactor::{Inherited, Poller, cores};

/// Events that a loop takes from the system in one turn.
const EVENTS_PER_TURN: usize = 1024;

/// Why the proxy can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// An upstream is the proxy itself.
    #[error(transparent)]
    Circle(#[from] CircleError),
    /// Upstreams and settings don't fit.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The system gives no event loop.
    #[error("can't make an event loop: {0}; are file descriptors used up?")]
    Poller(#[from] io::Error),
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
    listeners: Vec<OwnListener>,
    balancer: Balancer,
}

impl Bound {
    /// Resolves the upstreams and binds the listeners; an upstream whose name has no address gets
    /// no requests yet. What comes beside it changes the backends and the settings of the proxy,
    /// and stops it, even before it is started.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn bind(plan: &Plan) -> Result<(Self, Backends), StartError> {
        Self::bind_with(plan, Inherited::default())
    }

    /// As [`Bound::bind`], but listens at these sockets where they have the address, also later.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn bind_with(plan: &Plan, inherited: Inherited) -> Result<(Self, Backends), StartError> {
        let settings = &plan.settings;
        let located = Located::all(&plan.backends, settings)?;
        let workers = settings.workers().max(1);
        let pollers = (0..workers).map(|_| Poller::new(EVENTS_PER_TURN));
        let pollers = pollers.collect::<Result<Vec<_>, _>>()?;
        let mut table = ListenerTable::new(inherited);
        let new = table.bind(&settings.listen, workers)?;
        let listeners = table.take(new, workers);
        let wakers = pollers.iter().map(Poller::waker).collect();
        let mut backends = Backends::new(settings, located, wakers, pollers[0].now())?;
        let endpoints = table.endpoints();
        backends.listeners = table;
        let loops = pollers.into_iter().zip(listeners).map(|(poller, listeners)| {
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
