//! The proxy that a test has to do with.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate::balance::Policy;
use tidegate::console::Console;
use tidegate::endpoint::Endpoint;
use tidegate::journal::{self, Journal};
use tidegate::proxy::metrics::{Metrics, Snapshot};
use tidegate::proxy::settings::{Address, Backend, Settings};
use tidegate::proxy::{Backends, Bound, Server, Stopper};

/// The backend at this address.
pub fn backend(address: SocketAddr) -> Backend {
    Backend {
        url: format!("http://{address}"),
        address: Address::Tcp { host: address.ip().to_string(), port: address.port() },
    }
}

/// Settings for a proxy of one worker in front of these backends.
pub fn settings(backends: &[SocketAddr]) -> Settings {
    Settings {
        listen: vec![Endpoint::from(SocketAddr::from(([127, 0, 0, 1], 0))).into()],
        backends: backends.iter().map(|address| backend(*address)).collect(),
        ..rig::settings(0, Policy::RoundRobin)
    }
}

/// A proxy that serves until it is dropped.
pub struct Live {
    server: Option<Server>,
    stopper: Stopper,
    metrics: Arc<Metrics>,
    pub address: SocketAddr,
}

impl Live {
    pub fn start(settings: &Settings) -> Self {
        let bound = Bound::bind(settings.clone()).expect("the proxy starts");
        let Endpoint::Tcp(address) = bound.endpoints()[0] else { panic!("another kind") };
        let stopper = bound.stopper();
        let server = bound.start(senders(settings)).expect("workers");
        let metrics = server.metrics();
        Self { server: Some(server), stopper, metrics, address }
    }

    pub fn configure(&mut self, settings: &Settings) {
        let server = self.server.as_mut().expect("it runs");
        server.configure(settings.clone()).expect("valid settings");
    }

    pub fn backends(&mut self) -> &mut Backends {
        self.server.as_mut().expect("it runs").backends()
    }

    pub fn counted(&self) -> Snapshot {
        self.metrics.snapshot()
    }

    /// Stops it, and waits until it has ended.
    pub fn stop(&mut self) {
        self.stopper.stop();
        if let Some(server) = self.server.take() {
            server.join().expect("workers that end well");
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Of a journal without a log, one for each worker.
pub fn senders(settings: &Settings) -> Vec<journal::RecordSender> {
    let (_, senders) = Journal::start(journal::Options {
        path: None,
        meta: None,
        routing_mode: String::new(),
        connection: String::new(),
        workers: settings.workers,
        verbose: false,
        console: Console::standard(),
    })
    .expect("a journal");
    senders
}
