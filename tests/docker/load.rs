//! Clients that send one request after another, and record each answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use support::clock::until;
use support::http::get;

pub const CLIENTS: usize = 6;

/// An answer.
#[derive(Clone, Debug)]
pub struct Seen {
    pub status: u16,
    /// The name of the backend that sent it.
    pub backend: Option<char>,
}

/// The name in a backend's greeting.
pub fn greeter(body: &str) -> Option<char> {
    body.strip_prefix("Hello from ")?.chars().next()
}

/// A request without any answer panics in its client, and so in [`Load::end`].
pub struct Load {
    seen: Arc<Mutex<Vec<Seen>>>,
    ending: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn begin(address: SocketAddr) -> Self {
        let (seen, ending) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<AtomicBool>::default());
        let client = |_| {
            let (seen, ending) = (seen.clone(), ending.clone());
            thread::spawn(move || {
                while !ending.load(Ordering::Relaxed) {
                    let answer = get(address, "/");
                    let backend = greeter(&answer.text());
                    seen.lock().unwrap().push(Seen { status: answer.status, backend });
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { seen, ending, clients }
    }

    /// The answers so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for answers until the last `count` of them came from one backend.
    pub fn settles(&self, count: usize) -> char {
        let before = self.seen().len();
        until("answers from one backend", || {
            let seen = self.seen();
            let last = seen[before..].rchunks_exact(count).next()?;
            let backend = last[0].backend?;
            last.iter().all(|seen| seen.backend == Some(backend)).then_some(backend)
        })
    }

    /// Waits for so many more answers.
    pub fn goes_on(&self, count: usize) {
        let before = self.seen().len();
        until("more answers", || (self.seen().len() >= before + count).then_some(()));
    }

    /// Waits for the last answers, and returns all.
    pub fn end(self) -> Vec<Seen> {
        self.ending.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("every request is answered");
        }
        Arc::into_inner(self.seen).unwrap().into_inner().unwrap()
    }
}
