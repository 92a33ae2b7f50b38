//! The proxy as a whole: its listeners, its workers, and how they are stopped.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::accept_balancer::AcceptBalancer;
use super::backends::{BackendError, Backends};
use super::mailbox::{Command, Mailboxes};
use super::metrics::Metrics;
use super::settings::{Listen, Plan, Settings};
use super::worker::{Shared, Worker};
use crate::balance::{InvalidOptions, Options};
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
    /// An upstream can't be one of the proxy's backends.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The balancer refuses its options.
    #[error(transparent)]
    Balance(#[from] InvalidOptions),
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

fn options(settings: &Settings) -> Options {
    Options {
        policy: settings.policy,
        resample_after: settings.resample_after,
        cooldown: settings.cooldown,
        cooldown_max: settings.cooldown_max,
        probe_timeout: settings.probe_timeout,
        ..Options::default()
    }
}

/// A proxy that has its upstreams' addresses and its listeners, and serves nobody yet.
///
/// What can go wrong with a start has gone wrong before this exists, so a log is not begun for
/// nothing.
#[derive(Debug)]
pub struct Bound {
    settings: Settings,
    backends: Backends,
    /// One poller per worker, and its share of the listeners.
    loops: Vec<(Poller, Vec<Listener>)>,
    endpoints: Vec<Endpoint>,
    mailboxes: Arc<Mailboxes>,
}

impl Bound {
    /// Resolves the upstreams and binds the listeners.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn bind(plan: Plan) -> Result<Self, StartError> {
        let settings = plan.settings;
        let mut loops = Vec::new();
        for _ in 0..settings.workers().max(1) {
            loops.push((Poller::new(EVENTS_PER_TURN)?, Vec::new()));
        }
        let mailboxes = Mailboxes::new(loops.iter().map(|(poller, _)| poller.waker()));
        let mailboxes = Arc::new(mailboxes);
        let (listen, now) = (settings.listen.clone(), loops[0].0.now());
        let mut backends = Backends::new(options(&settings), Arc::clone(&mailboxes), listen, now)?;
        for backend in &plan.backends {
            backends.add(backend)?;
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
        Ok(Self { settings, backends, loops, endpoints, mailboxes })
    }

    /// The addresses listened on, ports filled in where 0 was asked for.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// A handle that stops the proxy, even before it is started.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.mailboxes))
    }

    /// Starts one thread per sender; there must be one sender for each worker.
    ///
    /// # Errors
    /// When the system gives no thread or can't watch a listener.
    pub fn start(mut self, senders: Vec<RecordSender>) -> io::Result<Server> {
        let shared = Shared {
            resolver: self.backends.resolver(),
            accept_balancer: Arc::new(AcceptBalancer::new(Arc::clone(&self.mailboxes))),
            mailboxes: Arc::clone(&self.mailboxes),
            metrics: self.backends.metrics(),
            settings: Arc::new(self.settings),
        };
        let mut workers = Vec::new();
        for (index, ((poller, listeners), sender)) in
            self.loops.into_iter().zip(senders).enumerate()
        {
            let core = shared.settings.core(index);
            let balancer = self.backends.balancer();
            let worker = Worker::new(index, listeners, shared.clone(), balancer, sender, poller)?;
            let thread = thread::Builder::new().name(format!("worker-{index}"));
            workers.push(thread.spawn(move || {
                if let Some(core) = core {
                    cores::pin_current_thread(core).map_err(io::Error::other)?;
                }
                worker.run()
            })?);
        }
        Ok(Server { backends: self.backends, workers, mailboxes: self.mailboxes })
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Server {
    backends: Backends,
    mailboxes: Arc<Mailboxes>,
    workers: Vec<JoinHandle<io::Result<()>>>,
}

/// Stops a running proxy from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Mailboxes>);

impl Stopper {
    /// Has the proxy let nobody new in after its shutdown delay, and end when what is in flight has
    /// ended.
    pub fn stop(&self) {
        self.0.send_all(|| Command::Drain);
    }
}

impl Server {
    /// Has all workers run by these settings from now on.
    ///
    /// # Errors
    /// The balancer refuses its options; then nothing changes.
    pub fn configure(&mut self, settings: Settings) -> Result<(), InvalidOptions> {
        self.backends.set_options(options(&settings))?;
        self.backends.publish();
        let settings = Arc::new(settings);
        self.mailboxes.send_all(|| Command::Settings(Arc::clone(&settings)));
        Ok(())
    }

    /// What it counts, to be read while it runs and when it has ended.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.backends.metrics()
    }

    /// Which backends it has, to be changed while it runs.
    pub fn backends(&mut self) -> &mut Backends {
        &mut self.backends
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
