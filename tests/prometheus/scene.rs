//! A proxy with something to tell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use support::clock::until;
use support::http::{Connection, field};
use support::origin::{Origin, Silent};
use tidegate::balance::Policy;
use tidegate::console::Console;
use tidegate::control::controller::Controller;
use tidegate::control::reloads::ReloadCounter;
use tidegate::control::scraper::Scraper;
use tidegate::endpoint::Endpoint;
use tidegate::journal::{self, Journal};
use tidegate::proxy::metrics::exposition::Format;
use tidegate::proxy::settings::{Backend, Plan};
use tidegate::proxy::{Bound, Server};

/// Those that the proxy has answered.
pub(crate) const REQUESTS: u32 = 20;

/// One worker in front of a backend that answers, and of one at which nothing listens.
pub(crate) struct Scene {
    pub(crate) scraper: Scraper,
    _origin: Origin,
    silent: Silent,
    _journal: Journal,
    _folder: tempfile::TempDir,
    server: Option<Server>,
}

impl Scene {
    /// The proxy has served some requests.
    pub(crate) fn start() -> Self {
        let (origin, silent) = (Origin::echoing_targets(), Silent::reserve());
        let folder = tempfile::tempdir().unwrap();
        let mut settings = rig::settings(Policy::Adaptive);
        settings.workers = Some(1);
        settings.listen = vec![Endpoint::from(SocketAddr::from(([127, 0, 0, 1], 0))).into()];
        let backends = [origin.address, silent.address];
        let backends = backends.map(|at| Backend::tcp(&at.ip().to_string(), at.port()));
        let plan = Plan { settings, backends: backends.into() };
        let (bound, backends) = Bound::bind(&plan).expect("the proxy starts");
        let (journal, senders) = Journal::start(journal::Options {
            path: Some(folder.path().join("log.csv")),
            meta: None,
            routing_mode: String::new(),
            connection: String::new(),
            workers: 1,
            verbose: false,
            console: Console::standard(),
        })
        .expect("a journal");
        let scraper = Scraper {
            controller: Controller::start(plan, backends).expect("a controller"),
            log: journal.watcher(),
            reloads: Some(ReloadCounter::new(SystemTime::now())),
            started: SystemTime::now(),
        };
        let Endpoint::Tcp(address) = bound.endpoints()[0] else { panic!("another kind") };
        let server = Some(bound.start(senders).expect("workers"));
        let mut client = Connection::connect(address);
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/x").text(), "/x");
        }
        let is_counted = || {
            let text = scraper.text(Format::Prometheus);
            text.contains(&format!("\ntidegate_log_rows_total {REQUESTS}\n")).then_some(())
        };
        until("all rows", is_counted);
        Self { scraper, _origin: origin, silent, _journal: journal, _folder: folder, server }
    }

    /// The backend at which nothing listens.
    pub(crate) fn down(&self) -> String {
        format!("http://{}", self.silent.address)
    }

    pub(crate) fn refuse_a_reload(&self) {
        if let Some(reloads) = &self.scraper.reloads {
            reloads.count(false, SystemTime::now());
        }
    }

    /// Answers each request with the metrics, as the admin's listener does.
    pub(crate) fn serve(&self) -> Served {
        let scraper = self.scraper.clone();
        let open = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&open);
        let origin = Origin::serve(move |mut connection| {
            while let Some((head, _)) = connection.request() {
                let format = Format::of_accept(&field(&head, "Accept").unwrap_or_default());
                asked.fetch_or(format == Format::OpenMetrics, Ordering::Relaxed);
                let (kind, text) = (format.content_type(), scraper.text(format));
                let length = text.len();
                connection.offer(format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n\
                     {text}"
                ));
            }
        });
        Served { address: origin.address, open, _origin: origin }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.scraper.controller.stop();
        if let Some(server) = self.server.take() {
            server.join().expect("workers that end well");
        }
    }
}

/// The metrics at an address.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    open: Arc<AtomicBool>,
    _origin: Origin,
}

impl Served {
    pub(crate) fn asked_for_open_metrics(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}
