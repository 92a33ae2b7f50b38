//! Backends that come and go while the proxy serves.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tidegate::balance::Role;
use tidegate::control::controller::ApplyError;
use tidegate::endpoint::Endpoint;
use tidegate::proxy::settings::{Address, Backend, Plan, Resolve};

use crate::live::{Live, backend, plan};
use support::clock::{hear, until};
use support::http::{Connection, get};
use support::origin::{Origin, Silent, ok};

/// Waits until every backend that was removed is gone.
fn all_gone(proxy: &Live) {
    until("the end of what was removed", || (proxy.controller.draining() == 0).then_some(()));
}

/// An origin that answers with its name, and how many connections to it are open.
fn named(name: &'static str) -> (Origin, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let origin = Origin::serve(move |mut connection| {
        count.fetch_add(1, Ordering::Relaxed);
        while connection.request().is_some_and(|_| connection.offer(ok(name))) {}
        count.fetch_sub(1, Ordering::Relaxed);
    });
    (origin, open)
}

fn is_closed(open: &AtomicUsize) -> Option<()> {
    (open.load(Ordering::Relaxed) == 0).then_some(())
}

/// Clients that ask on and on, on connections that are kept, until they are told to end; each
/// request must be answered 200.
struct Load {
    clients: Vec<thread::JoinHandle<usize>>,
    ends: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
}

impl Load {
    fn start(proxy: &Live, clients: usize) -> Self {
        let (ends, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..clients).map(|_| {
            let (address, ends, served) = (proxy.address, Arc::clone(&ends), Arc::clone(&served));
            thread::spawn(move || {
                let (mut connection, mut requests) = (Connection::connect(address), 0);
                while !ends.load(Ordering::Relaxed) {
                    // A request that may not be sent again is no exception.
                    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
                    let answer = connection.answer();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    requests += 1;
                    served.fetch_add(1, Ordering::Relaxed);
                }
                requests
            })
        });
        Self { clients: clients.collect(), ends, served }
    }

    /// Waits until so many more requests have been served.
    fn serves(&self, more: usize) {
        let before = self.served.load(Ordering::Relaxed);
        until("more requests", || {
            (self.served.load(Ordering::Relaxed) >= before + more).then_some(())
        });
    }

    /// How many requests there were.
    fn end(self) -> usize {
        self.ends.store(true, Ordering::Relaxed);
        self.clients.into_iter().map(|client| client.join().expect("no request failed")).sum()
    }
}

#[test]
fn a_backend_that_is_added_gets_requests_and_one_that_is_removed_gets_none() {
    let ((first, first_open), (second, _)) = (named("first"), named("second"));
    let proxy = Live::start(&plan(&[first.address]));
    let mut client = Connection::connect(proxy.address);
    assert_eq!(client.get("/").text(), "first");
    proxy.apply(&plan(&[first.address, second.address]));
    until("the second one's answer", || (client.get("/").text() == "second").then_some(()));
    proxy.apply(&plan(&[second.address]));
    all_gone(&proxy);
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "second");
    }
    until("the end of idle connections", || is_closed(&first_open));
    let listed = proxy.counted().backends.len();
    assert_eq!(listed, 1, "what is gone is in the total only");
}

#[test]
fn removing_a_backend_under_load_fails_no_request_and_closes_its_connections() {
    let ((stays, _), (leaves, open)) = (named("stays"), named("leaves"));
    let mut with_both = plan(&[stays.address, leaves.address]);
    with_both.settings.workers = Some(2);
    let proxy = Live::start(&with_both);
    let load = Load::start(&proxy, 6);
    until("connections to both", || (open.load(Ordering::Relaxed) > 0).then_some(()));
    load.serves(500);
    let changes = proxy
        .controller
        .apply(Plan { backends: vec![backend(&stays.address)], ..with_both.clone() });
    let changes = changes.expect("a plan that can be applied");
    assert_eq!(changes.to_string(), format!("removed http://{}", leaves.address));
    all_gone(&proxy);
    until("the end of its connections", || is_closed(&open));
    load.serves(500);
    let requests = load.end();
    assert!(requests >= 1000);
    let total = until("all rows", || {
        let total = proxy.counted().total;
        (total.traffic.requests() == requests as u64).then_some(total)
    });
    assert_eq!((total.traffic.errors(), total.traffic.retries), (0, 0));
}

#[test]
fn a_request_in_flight_at_a_backend_that_is_removed_is_answered_by_it() {
    let ((came, comes), (go, goes), (ended, ends)) = (channel(), channel::<()>(), channel());
    let goes = Mutex::new(goes);
    let slow = Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            came.send(()).unwrap();
            let _ = goes.lock().unwrap().recv();
            connection.send(ok("slow"));
        }
        ended.send(()).unwrap();
    });
    let (other, _) = named("other");
    let proxy = Live::start(&plan(&[slow.address]));
    let mut waiting = Connection::connect(proxy.address);
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(&comes);
    proxy.apply(&plan(&[other.address]));
    until("the other one's answer", || (get(proxy.address, "/").text() == "other").then_some(()));
    assert_eq!(proxy.controller.draining(), 1, "its slot is not free");
    go.send(()).unwrap();
    assert_eq!(waiting.answer().text(), "slow");
    hear(&ends);
    all_gone(&proxy);
    assert_eq!(waiting.get("/").text(), "other", "the client's connection goes on");
}

/// An origin that changes to a protocol that sends back all it gets.
fn echo() -> Origin {
    Origin::serve(|mut connection| {
        if connection.request().is_some() {
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
            );
            let mut block = [0; 1024];
            loop {
                let count = connection.stream().peek(&mut block).unwrap_or(0);
                if count == 0 {
                    return;
                }
                let count = connection.read(&mut block);
                connection.offer(&block[..count]);
            }
        }
    })
}

#[test]
fn a_tunnel_at_a_backend_that_is_removed_lasts_until_the_drain_limit() {
    let (echo, (other, _)) = (echo(), named("other"));
    let mut with_tunnel = plan(&[echo.address]);
    with_tunnel.settings.timeouts.backend_drain = Duration::from_secs(3600);
    let proxy = Live::start(&with_tunnel);
    let mut tunnel = Connection::connect(proxy.address);
    tunnel.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(tunnel.answer().status, 101);
    let without = Plan { backends: vec![backend(&other.address)], ..with_tunnel.clone() };
    proxy.apply(&without);
    assert_eq!(get(proxy.address, "/").text(), "other");
    tunnel.send("still there");
    assert_eq!(tunnel.take(11), b"still there");
    assert_eq!(proxy.controller.draining(), 1);
    // One that is removed with a limit that is over at once.
    let mut again = with_tunnel.clone();
    again.settings.timeouts.backend_drain = Duration::from_millis(1);
    proxy.apply(&again);
    let mut second = Connection::connect(proxy.address);
    until("a tunnel to the one that was added again", || {
        second = Connection::connect(proxy.address);
        second.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        (second.answer().status == 101).then_some(())
    });
    let without = Plan { backends: vec![backend(&other.address)], ..again };
    proxy.apply(&without);
    second.end().1.expect_err("a reset, because what is missing must show");
    until("its slot", || (proxy.controller.draining() == 1).then_some(()));
    tunnel.send("and still");
    assert_eq!(tunnel.take(9), b"and still", "the first one keeps the limit it was removed with");
    let faults = until("its row", || {
        let faults = proxy.counted().total.traffic.faults;
        (!faults.is_empty()).then_some(faults)
    });
    assert_eq!(faults.into_iter().collect::<Vec<_>>(), [("backend_removed", 1)]);
}

#[test]
fn a_request_that_outlasts_the_drain_limit_is_answered_503() {
    let ((came, comes), (other, _)) = (channel(), named("other"));
    let never = Origin::serve(move |mut connection| {
        if connection.request().is_some() {
            came.send(()).unwrap();
            connection.rest();
        }
    });
    let mut plan = plan(&[never.address]);
    plan.settings.timeouts.backend_drain = Duration::from_millis(1);
    let proxy = Live::start(&plan);
    let mut waiting = Connection::connect(proxy.address);
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(&comes);
    plan.backends = vec![backend(&other.address)];
    proxy.apply(&plan);
    let answer = waiting.answer();
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("the backend was removed"), "{}", answer.text());
    all_gone(&proxy);
}

#[test]
fn a_client_that_is_bound_to_a_backend_that_is_removed_goes_to_another() {
    let ((first, open), (second, _)) = (named("first"), named("second"));
    let proxy = Live::start(&plan(&[first.address]));
    let mut client = Connection::connect(proxy.address);
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n\r\n";
    client.send(ask);
    assert_eq!(client.answer().text(), "first");
    proxy.apply(&plan(&[first.address, second.address]));
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "first", "it is bound to that one");
    }
    proxy.apply(&plan(&[second.address]));
    until("the end of the connection it was bound to", || is_closed(&open));
    all_gone(&proxy);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "second");
    }
}

#[test]
fn a_new_limit_of_a_backend_holds_while_its_connections_stay() {
    let (origin, open) = named("here");
    let mut plan = plan(&[origin.address]);
    let proxy = Live::start(&plan);
    let mut client = Connection::connect(proxy.address);
    assert_eq!(client.get("/").text(), "here");
    plan.backends[0].role = Role { weight: 3, max_in_flight: Some(5), ..Role::default() };
    let changes = proxy.controller.apply(plan.clone()).expect("a plan that can be applied");
    let url = &plan.backends[0].url;
    assert_eq!(changes.to_string(), format!("adjusted {url}"));
    assert_eq!(client.get("/").text(), "here");
    assert!(is_closed(&open).is_none(), "its connection is used still");
    assert_eq!(proxy.controller.draining(), 0);
}

#[test]
fn a_plan_that_can_t_be_applied_changes_nothing() {
    let (origin, _) = named("here");
    let before = plan(&[origin.address]);
    let proxy = Live::start(&before);
    let mut larger = before.clone();
    larger.settings.workers = Some(2);
    let refused = proxy.controller.apply(larger).expect_err("a restart is needed");
    assert!(matches!(&refused, ApplyError::Restart(names) if names == &["workers"]), "{refused}");
    assert!(refused.to_string().starts_with("workers can't change"), "{refused}");
    // An address of another host.
    let mut moved = before.clone();
    moved.settings.listen = vec![Endpoint::from(SocketAddr::from(([192, 0, 2, 1], 1))).into()];
    let refused = proxy.controller.apply(moved).expect_err("an address that can't be had");
    assert!(matches!(&refused, ApplyError::Listen(_)), "{refused}");
    assert!(refused.to_string().starts_with("can't listen on 192.0.2.1:1: "), "{refused}");
    let mut unknown = before.clone();
    // A name server that is not there.
    unknown.settings.names.servers = vec![SocketAddr::from(([127, 0, 0, 1], 1))];
    let (url, host) = ("http://no-such-host.invalid".to_owned(), "no-such-host.invalid".to_owned());
    let address = Address::Tcp { host, port: 80 };
    unknown.backends = vec![Backend { url, address, role: Role::default(), resolve: Resolve::One }];
    let refused = proxy.controller.apply(unknown).expect_err("a name without address");
    assert!(matches!(refused, ApplyError::Locate(_)), "{refused}");
    let mut many = before.clone();
    many.backends = (1..1026u16).map(|port| backend(&([127, 0, 0, 1], port).into())).collect();
    let refused = proxy.controller.apply(many).expect_err("too many");
    assert!(matches!(refused, ApplyError::Change(_)), "{refused}");
    assert_eq!(get(proxy.address, "/").text(), "here");
    let changes = proxy.controller.apply(before).expect("the same");
    assert_eq!(changes.to_string(), "nothing changed");
}

#[test]
fn the_next_backend_in_a_slot_gets_none_of_the_connections_of_the_one_before() {
    const SLOTS: usize = 1024;
    let ((old, _), (new, _)) = (named("old"), named("new"));
    let proxy = Live::start(&plan(&[old.address]));
    assert_eq!(get(proxy.address, "/").text(), "old");
    let slot = || proxy.counted().backends.keys().map(|id| id.slot()).collect::<Vec<_>>();
    let first = slot();
    // All slots are used in turn, so this one is the first to be used again.
    for _ in 1..SLOTS {
        proxy.apply(&plan(&[]));
        all_gone(&proxy);
        proxy.apply(&plan(&[old.address]));
    }
    proxy.apply(&plan(&[]));
    all_gone(&proxy);
    proxy.apply(&plan(&[new.address]));
    until("the new one", || (get(proxy.address, "/").text() == "new").then_some(()));
    assert_eq!(slot(), first);
    let counted = proxy.counted();
    let backend = counted.backends.values().next().expect("the new one");
    assert_eq!(backend.opened, new.accepted() as u64);
}

#[test]
fn without_a_backend_requests_are_answered_503_until_there_is_one() {
    let (origin, _) = named("here");
    let proxy = Live::start(&plan(&[origin.address]));
    proxy.apply(&plan(&[]));
    until("an empty roster", || (get(proxy.address, "/").status == 503).then_some(()));
    proxy.apply(&plan(&[origin.address]));
    until("an answer", || (get(proxy.address, "/").text() == "here").then_some(()));
}

#[test]
fn a_thousand_additions_and_removals_under_load_fail_no_request_and_keep_nothing() {
    let (stays, _) = named("stays");
    let guests = [named("one"), named("two"), named("three")];
    let mut alone = plan(&[stays.address]);
    alone.settings.workers = Some(2);
    let proxy = Live::start(&alone);
    let load = Load::start(&proxy, 4);
    let mut memory = Vec::new();
    for round in 0..1000 {
        let (guest, _) = &guests[round % guests.len()];
        let mut with_guest = alone.clone();
        // In any order, so that it is not always the last slot that is used again.
        with_guest.backends.insert(round % 2, backend(&guest.address));
        proxy.apply(&with_guest);
        // Each has its part in the load.
        load.serves(2);
        proxy.apply(&alone);
        if round % 100 == 99 {
            all_gone(&proxy);
            memory.push(resident_kib());
        }
    }
    all_gone(&proxy);
    let requests = load.end();
    for (guest, open) in &guests {
        assert!(guest.accepted() >= 100, "a guest had {} connections", guest.accepted());
        until("the end of each guest's connections", || is_closed(open));
    }
    let all = until("all rows", || {
        let all = proxy.counted();
        (all.total.traffic.requests() == requests as u64 && all.outstanding == 0).then_some(all)
    });
    assert_eq!((all.total.traffic.errors(), all.total.outstanding), (0, 0));
    assert_eq!(all.backends.len(), 1, "one is left");
    // What is kept of each change adds up in each hundred. Other tests of this process, which run
    // at the same time, take memory in one or two of them.
    let mut grown: Vec<u64> =
        memory.windows(2).skip(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    grown.sort_unstable();
    assert!(grown[grown.len() / 2] < 256, "memory grows, KiB: {memory:?}");
    println!("{requests} requests; resident KiB after each hundred: {memory:?}");
}

/// Memory of this process, clients and origins included.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_backend_that_nobody_listens_at_can_be_removed_while_it_is_dialled() {
    let (silent, (origin, _)) = (Silent::reserve().hang(), named("here"));
    let mut both = plan(&[silent.address, origin.address]);
    both.settings.timeouts.connect = Duration::from_millis(50);
    let proxy = Live::start(&both);
    let mut clients: Vec<Connection> = (0..4).map(|_| Connection::connect(proxy.address)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    proxy.apply(&Plan { backends: vec![backend(&origin.address)], ..both.clone() });
    for client in &mut clients {
        assert_eq!(client.answer().text(), "here");
    }
    all_gone(&proxy);
}
