//! Connections to addresses that a backend had, and may have again.

use super::*;

/// A worker with a request in flight at its backend, whose connection the test holds.
struct InFlight {
    bench: Bench,
    client: TcpStream,
    origin: TcpStream,
    backend: crate::balance::BackendId,
}

impl InFlight {
    fn new() -> Self {
        let mut bench = Bench::new();
        let mut client = bench.client();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        bench.until("a connection to the backend", |bench| !bench.worker.upstreams.is_empty());
        let (origin, _) = bench.backend.accept().unwrap();
        let link = bench.worker.upstreams.keys().next().unwrap();
        let backend = bench.worker.upstreams.get(link).unwrap().backend;
        Self { bench, client, origin, backend }
    }

    /// The backend is reached at this address from now on.
    fn moves_to(&mut self, address: SocketAddr) {
        assert!(self.bench.resolver.publish(self.backend, &[address.into()]));
        self.bench.worker.mailboxes.send_all(|| Command::Moved);
        self.bench.turn();
    }

    fn has_connection(&self) -> bool {
        !self.bench.worker.upstreams.is_empty()
    }
}

fn elsewhere(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn what_is_in_flight_at_an_address_that_comes_back_is_not_cut() {
    let mut rig = InFlight::new();
    let own = rig.bench.backend.local_addr().unwrap();
    let limit = rig.bench.worker.context.settings.timeouts.backend_drain;
    rig.moves_to(elsewhere(1));
    rig.moves_to(own);
    let over = rig.bench.worker.poller.now() + 2 * limit;
    rig.bench.worker.cut_former(over);
    assert!(rig.has_connection());
    rig.origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    rig.bench.until("an answer", |_| answers(&mut rig.client) == 1);
    assert!(rig.has_connection(), "it can be used again");
}

#[test]
fn what_is_in_flight_at_a_former_address_has_as_long_as_when_that_was_left_first() {
    let mut rig = InFlight::new();
    let limit = rig.bench.worker.context.settings.timeouts.backend_drain;
    rig.moves_to(elsewhere(1));
    let left = rig.bench.worker.poller.now();
    let over = left + limit;
    rig.bench.worker.cut_former(left + limit / 2);
    rig.moves_to(elsewhere(2));
    assert!(rig.has_connection());
    rig.bench.worker.cut_former(over);
    assert!(!rig.has_connection());
}

#[test]
fn timers_do_not_grow_with_moves() {
    let mut rig = InFlight::new();
    let before = rig.bench.worker.poller.timers().len();
    for port in 1..100 {
        rig.moves_to(elsewhere(port));
    }
    let more = rig.bench.worker.poller.timers().len() - before;
    assert!(more <= 2, "{more} more timers");
}
