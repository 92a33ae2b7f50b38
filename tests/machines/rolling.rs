//! What a rolling update in Kubernetes does, with the shipped configuration, under load: a new pod
//! is started and becomes ready; an old one is told to stop, and serves on until it is found no
//! more, which it is a while later.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use support::clock::until;
use support::dnsmasq::Dnsmasq;
use support::http::get;
use support::network::is_inside;
use support::process::{Process, tidegate};
use support::server::Server;

use crate::clients::{Clients, Patience, assert_nothing_failed};
use crate::manifests::{Mounted, PODS, probe};

/// The pods behind the proxies, two of which are there at a time.
const BEHIND: [&str; 4] = ["127.0.3.1", "127.0.3.2", "127.0.3.3", "127.0.3.4"];

/// A pod with tidegate.
struct Pod {
    process: Process,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Pod {
    fn start(mounted: &Mounted, ip: [u8; 4]) -> Self {
        let (http, admin) = (SocketAddr::from((ip, 9090)), SocketAddr::from((ip, 9091)));
        let args = mounted.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = tidegate(&args);
        // Addresses of its own, and shorter times.
        command.args(["--listen", &http.to_string(), "--admin", &admin.to_string()]);
        command.args(["--shutdown-delay", "2s", "--resolve-every", "500ms"]);
        Self { process: Process::spawn(&mut command), http, admin }
    }

    /// The status that a probe gets; none if nothing answers.
    fn probe(&self, name: &str) -> Option<u16> {
        TcpStream::connect(self.admin).ok()?;
        Some(get(self.admin, &probe(name)).status)
    }

    /// Waits until the probes let it have requests.
    fn is_ready(&self) {
        for name in ["startupProbe", "readinessProbe"] {
            until(name, || (self.probe(name) == Some(200)).then_some(()));
        }
        assert_eq!(self.probe("livenessProbe"), Some(200));
    }
}

/// The pods to which a service sends new connections, in turn. Those that there are stay where
/// they are.
#[derive(Clone, Default)]
struct Service(Arc<(Mutex<Vec<SocketAddr>>, AtomicUsize)>);

impl Service {
    fn add(&self, pod: &Pod) {
        self.0.0.lock().unwrap().push(pod.http);
    }

    fn remove(&self, pod: &Pod) {
        self.0.0.lock().unwrap().retain(|address| *address != pod.http);
    }

    fn next(&self) -> SocketAddr {
        let pods = self.0.0.lock().unwrap();
        pods[self.0.1.fetch_add(1, Ordering::Relaxed) % pods.len()]
    }
}

#[test]
fn a_rolling_update_of_the_proxies_and_of_the_pods_behind_them_fails_no_request() {
    let name = "a_rolling_update_of_the_proxies_and_of_the_pods_behind_them_fails_no_request";
    if !is_inside(&format!("rolling::{name}")) {
        return;
    }
    let records = |pods: std::ops::Range<usize>| BEHIND[pods].iter().map(|ip| (*ip, PODS));
    let mut behind: Vec<Server> = BEHIND[..2].iter().map(|ip| Server::start(ip)).collect();
    let mut dnsmasq = Dnsmasq::start(&records(0..2).collect::<Vec<_>>(), &[]);
    let mounted = Mounted::new();
    let service = Service::default();
    let mut pods: Vec<Pod> = [1, 2].map(|n| Pod::start(&mounted, [127, 0, 1, n])).into();
    for pod in &pods {
        pod.is_ready();
        service.add(pod);
    }
    let chosen = service.clone();
    let clients = Clients::start(move || chosen.next(), Patience::USUAL);
    clients.serves(100);
    for gone in 0..2 {
        // Behind the proxies: the old pod's record goes while its `preStop` hook sleeps.
        let new = Server::start(BEHIND[gone + 2]);
        dnsmasq.set(&records(gone..gone + 3).collect::<Vec<_>>());
        new.is_used();
        dnsmasq.set(&records(gone + 1..gone + 3).collect::<Vec<_>>());
        behind.remove(0).is_left();
        behind.push(new);
        clients.serves(100);

        // The proxies: the old pod is told to stop before anyone knows of it.
        let new = Pod::start(&mounted, [127, 0, 1, 3 + u8::try_from(gone).unwrap()]);
        new.is_ready();
        service.add(&new);
        pods.push(new);
        let mut old = pods.remove(0);
        old.process.signal(Signal::TERM);
        until("not ready", || (old.probe("readinessProbe") == Some(503)).then_some(()));
        assert_eq!(old.probe("livenessProbe"), Some(200), "it is not killed");
        assert_eq!(get(old.http, "/").status, 200, "new connections are served");
        service.remove(&old);
        assert!(old.process.ended().success());
        clients.serves(100);
    }
    assert_nothing_failed(&clients.end());
}
