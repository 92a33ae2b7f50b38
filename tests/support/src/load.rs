//! Clients that ask while something happens to a proxy.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::http::{Connection, get};
use super::over::Over;

const CLIENTS: usize = 4;

/// Has clients ask on connections that are kept and on new ones, each request being answered 200,
/// while `act` acts: how many requests they made, and what it came to.
pub fn under_load<T>(address: SocketAddr, act: impl FnOnce() -> T) -> (u64, T) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = Over(&is_over);
        let clients = [(); CLIENTS].map(|()| {
            scope.spawn(|| {
                let (mut kept, mut count) = (Connection::connect(address), 0);
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(kept.get("/kept").status, 200);
                    assert_eq!(get(address, "/new").status, 200);
                    count += 2;
                }
                count
            })
        });
        let result = act();
        drop(over);
        (clients.into_iter().map(|client| client.join().unwrap()).sum(), result)
    })
}
