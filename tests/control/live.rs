//! The proxy that a test has to do with.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate::balance::Policy;
use tidegate::console::Console;
use tidegate::endpoint::Endpoint;
use tidegate::journal::{self, Journal};
use tidegate::proxy::metrics::{Metrics, Snapshot};
use tidegate::proxy::settings::{Backend, Plan, Settings};
use tidegate::proxy::{Backends, Bound, Server, Stopper};

/// The backend at this address.
pub fn backend(address: SocketAddr) -> Backend {
    Backend::tcp(&address.ip().to_string(), address.port())
}

/// The plan of a proxy of one worker in front of these backends.
pub fn plan(backends: &[SocketAddr]) -> Plan {
    let settings = Settings {
        listen: vec![Endpoint::from(SocketAddr::from(([127, 0, 0, 1], 0))).into()],
        workers: Some(1),
        ..rig::settings(Policy::RoundRobin)
    };
    Plan { settings, backends: backends.iter().map(|address| backend(*address)).collect() }
}

/// A proxy that serves until it is dropped.
pub struct Live {
    server: Option<Server>,
    stopper: Stopper,
    metrics: Arc<Metrics>,
    pub address: SocketAddr,
}

impl Live {
    pub fn start(plan: &Plan) -> Self {
        let bound = Bound::bind(plan.clone()).expect("the proxy starts");
        let Endpoint::Tcp(address) = bound.endpoints()[0] else { panic!("another kind") };
        let stopper = bound.stopper();
        let server = bound.start(senders(plan)).expect("workers");
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
pub fn senders(plan: &Plan) -> Vec<journal::RecordSender> {
    let (_, senders) = Journal::start(journal::Options {
        path: None,
        meta: None,
        routing_mode: String::new(),
        connection: String::new(),
        workers: plan.settings.workers(),
        verbose: false,
        console: Console::standard(),
    })
    .expect("a journal");
    senders
}
