//! A proxy in front of servers whose addresses a name has, and clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use support::clock::until;
use support::http::{Connection, get};
use support::process::{Proxy, tidegate};
pub(crate) use support::server::{PORT, Server};

/// A proxy in front of `http://app:8080`, whose options follow, that looks its name up often.
pub(crate) fn proxy(options: &str, flags: &[&str]) -> Proxy {
    let upstream = format!("http://app:{PORT}{options}");
    let own = ["--listen", "127.0.0.1:0", "--resolve-every", "100ms"];
    let flags =
        if flags.contains(&"--log") { flags } else { &[flags, &["--log", "none"]].concat() };
    Proxy::spawn(&mut tidegate(&[&own[..], &["--upstream", &upstream], flags].concat()))
}

/// Waits until this is the answer.
pub(crate) fn answers(proxy: &Proxy, text: &str) {
    until("its answer", || (get(proxy.address(), "/").text() == text).then_some(()));
}

/// Clients that ask on and on, each on a connection that is kept, until they are told to end. Each
/// request must be answered 200.
pub(crate) struct Load {
    clients: Vec<JoinHandle<()>>,
    ends: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
}

impl Load {
    /// With requests of this method; a POST is not sent again.
    pub(crate) fn start(proxy: &Proxy, method: &'static str) -> Self {
        const CLIENTS: usize = 4;
        let (ends, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..CLIENTS).map(|_| {
            let (address, ends, served) = (proxy.address(), Arc::clone(&ends), Arc::clone(&served));
            thread::spawn(move || {
                let mut connection = Connection::connect(address);
                while !ends.load(Ordering::Relaxed) {
                    let head = "HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
                    connection.send(format!("{method} / {head}"));
                    let answer = connection.answer();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        Self { clients: clients.collect(), ends, served }
    }

    /// Waits until so many more requests have been served.
    pub(crate) fn serves(&self, more: usize) {
        let before = self.served.load(Ordering::Relaxed);
        until("more requests", || {
            (self.served.load(Ordering::Relaxed) >= before + more).then_some(())
        });
    }

    /// How many requests there were.
    pub(crate) fn end(self) -> usize {
        self.ends.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no request failed");
        }
        self.served.load(Ordering::Relaxed)
    }
}
