//! The proxy that a test has to do with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate::balance::Policy;
use tidegate::console::Console;
use tidegate::control::controller::Controller;
use tidegate::endpoint::Endpoint;
use tidegate::journal::{self, Journal};
use tidegate::proxy::metrics::{Metrics, Snapshot};
use tidegate::proxy::settings::{Backend, Plan};
use tidegate::proxy::{Bound, Server};

/// A plan for a proxy of one worker in front of these backends. Connections rest for longer than a
/// test waits.
pub fn plan(backends: &[SocketAddr]) -> Plan {
    let mut settings = rig::settings(Policy::RoundRobin);
    settings.workers = Some(1);
    settings.listen = vec![Endpoint::from(SocketAddr::from(([127, 0, 0, 1], 0))).into()];
    settings.timeouts.upstream_idle = Duration::from_secs(3600);
    Plan { settings, backends: backends.iter().map(backend).collect() }
}

pub fn backend(address: &SocketAddr) -> Backend {
    Backend::tcp(&address.ip().to_string(), address.port())
}

/// A proxy that serves until it is dropped.
pub struct Live {
    server: Option<Server>,
    metrics: Arc<Metrics>,
    pub controller: Controller,
    pub address: SocketAddr,
}

impl Live {
    pub fn start(plan: &Plan) -> Self {
        let (bound, backends) = Bound::bind(plan).expect("the proxy starts");
        let metrics = backends.metrics();
        let controller = Controller::start(plan.clone(), backends).expect("a controller");
        let Endpoint::Tcp(address) = bound.endpoints()[0] else { panic!("another kind") };
        let server = bound.start(senders(plan)).expect("workers");
        Self { server: Some(server), metrics, controller, address }
    }

    /// Has it run by another plan.
    pub fn apply(&self, plan: &Plan) {
        self.controller.apply(plan.clone()).expect("a plan that can be applied");
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.controller.queue().now
    }

    pub fn counted(&self) -> Snapshot {
        self.metrics.snapshot()
    }

    /// Stops it, and waits until it has ended.
    pub fn stop(&mut self) {
        self.controller.stop();
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

/// A proxy that does not serve yet.
pub fn bound(plan: &Plan) -> (Bound, Controller, Arc<Metrics>) {
    let (bound, backends) = Bound::bind(plan).expect("the proxy starts");
    let metrics = backends.metrics();
    (bound, Controller::start(plan.clone(), backends).expect("a controller"), metrics)
}

/// Of a journal without a log, one for each worker.
pub fn senders(plan: &Plan) -> Vec<journal::RecordSender> {
    let (_, senders) = Journal::start(journal::Options {
        decisions: None,
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
