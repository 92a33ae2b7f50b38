//! Listeners that a reload adds and removes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use rustix::process::Signal;

use crate::configured::Configured;
use support::clock::{hear, until};
use support::http::{Connection, get};
use support::log::stop;
use support::origin::{Origin, ok};
use support::ports::{free_ports, is_open, until_closed};
use support::unix;

/// A file whose list of listeners is this, and perhaps more.
fn on(listen: &[&str], more: &str) -> String {
    let listen: Vec<String> = listen.iter().map(|name| format!("'{name}'")).collect();
    // Sockets come to folders that no listener was in at the start.
    format!("sandbox = 'off'\nlog = 'none'\nlisten = [{}]\n{more}", listen.join(", "))
}

const STAYS: &str = "127.0.0.1:0";

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn connections_that_wait_for_a_place_at_a_listener_that_is_removed_are_served() {
    let (go, goes) = channel::<()>();
    let goes = Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET /slow ") {
                hear(&goes.lock().unwrap());
            }
            connection.send(ok("x"));
        }
    });
    let (backends, port) = ([origin.address], free_ports::<1>()[0]);
    let more = "workers = 1\nmax-connections = 1";
    let tcp = at(port).to_string();
    let mut configured = Configured::start(&on(&[STAYS, &tcp], more), &backends);
    let mut busy = Connection::connect(at(port));
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    until("its request", || (origin.accepted() == 1).then_some(()));
    let mut waiting = [(); 3].map(|()| Connection::connect(at(port)));
    for client in &mut waiting {
        client.send("GET /fast HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let said = configured.reload(&on(&[STAYS], more), &backends);
    assert!(said.contains("no longer listens"), "{said}");
    for mut client in waiting {
        assert_eq!(client.answer().status, 200);
    }
    go.send(()).unwrap();
    assert_eq!(busy.answer().status, 200);
}

#[test]
fn listeners_come_and_go_and_their_clients_stay() {
    let origin = Origin::echoing_targets();
    let backends = [origin.address];
    let mut configured = Configured::start(&on(&[STAYS], "workers = 2"), &backends);
    let port = free_ports::<1>()[0];
    let path = configured.path("a.sock");
    let (tcp, socket) = (at(port).to_string(), unix::name(&path));
    let both = on(&[STAYS, &tcp, &format!("{socket} mode=0600")], "workers = 2");
    let mut first = Connection::connect(configured.address());
    for _ in 0..3 {
        let said = configured.reload(&both, &backends);
        assert!(said.contains(&format!(": listens on http://{tcp}, {socket}\n")), "{said}");
        assert_eq!(mode(&path), 0o600);
        let mut clients = [Connection::connect(at(port)), unix::connect(&path)];
        for client in &mut clients {
            assert_eq!(client.get("/before").text(), "/before");
        }
        let said = configured.reload(&on(&[STAYS], "workers = 2"), &backends);
        assert!(
            said.contains(&format!(": no longer listens on http://{tcp}, {socket}\n")),
            "{said}"
        );
        assert!(!is_open(port) && !path.exists(), "both are closed when it is said");
        for client in clients.iter_mut().chain([&mut first]) {
            assert_eq!(client.get("/after").text(), "/after");
        }
        assert_eq!(get(configured.address(), "/stays").text(), "/stays");
    }
    let said = configured.reload(&on(&[&tcp], "workers = 2"), &backends);
    let stayed = configured.address();
    assert!(said.contains(&format!("no longer listens on http://{stayed}")), "{said}");
    assert_eq!(first.get("/after").text(), "/after");
    assert_eq!(get(at(port), "/other").text(), "/other");
    stop(&mut configured.proxy);
    until_closed(&[port]);
}

#[test]
fn one_that_can_not_be_had_refuses_the_whole_plan() {
    let (origin, other) = (Origin::echoing_targets(), Origin::echoing_targets());
    let mut configured = Configured::start(&on(&[STAYS], "workers = 1"), &[origin.address]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let [new, held, file] = ["new.sock", "held.sock", "file"].map(|name| configured.path(name));
    let _held = UnixListener::bind(&held).unwrap();
    fs::write(&file, "x").unwrap();
    let port = free_ports::<1>()[0];
    // With the connection to the backend.
    assert_eq!(get(configured.address(), "/").text(), "/");
    let files = configured.proxy.process.open_files();
    for (bad, reason) in [
        (taken.clone(), "in use"),
        (unix::name(&held), "another program listens there"),
        (unix::name(&file), "the file there is no socket"),
        (unix::name(&configured.path("none/a.sock")), "make its folder first"),
        ("192.0.2.1:80".to_owned(), "this host does not have that address"),
        (other.address.to_string(), "is this proxy itself"),
    ] {
        let listen = on(
            &[&unix::name(&new), &at(port).to_string(), &bad],
            "workers = 1\nbody-timeout = '7s'",
        );
        let said = configured.reload(&listen, &[other.address]);
        assert!(said.contains("not reloaded, nothing has changed: "), "{said}");
        assert!(said.contains(reason) && said.contains(&bad), "{said}");
        assert!(!new.exists() && !is_open(port), "{bad}");
        let few = || (configured.proxy.process.open_files() <= files).then_some(());
        until("no descriptor more", few);
        assert_eq!(get(configured.address(), "/").text(), "/");
    }
    assert_eq!(other.accepted(), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    let said = configured.reload(&on(&[STAYS], "workers = 1"), &[origin.address]);
    assert!(said.contains("nothing changed"), "{said}");
}

#[test]
fn a_new_mode_is_given_to_the_socket_that_is_there() {
    let origin = Origin::echoing_targets();
    let mut configured = Configured::start(&on(&[STAYS], ""), &[origin.address]);
    let path = configured.path("a.sock");
    let name = unix::name(&path);
    let with = |mode: &str| on(&[STAYS, &format!("{name}{mode}")], "");
    configured.reload(&with(""), &[origin.address]);
    assert_eq!(mode(&path), 0o666);
    let mut client = unix::connect(&path);
    let said = configured.reload(&with(" mode=0600"), &[origin.address]);
    assert!(said.contains(&format!(": adjusted {name} mode=0600\n")), "{said}");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(client.get("/a").text(), "/a");
    assert_eq!(unix::connect(&path).get("/b").text(), "/b");
    // What is refused leaves the mode as it is.
    let bad = on(&[STAYS, &format!("{name} mode=0660"), "192.0.2.1:80"], "");
    let said = configured.reload(&bad, &[origin.address]);
    assert!(said.contains("nothing has changed"), "{said}");
    assert_eq!(mode(&path), 0o600);
    fs::remove_file(&path).unwrap();
    let said = configured.reload(&with(" mode=0660"), &[origin.address]);
    assert!(said.contains("nothing has changed") && said.contains("not there any more"), "{said}");
}

#[test]
fn a_port_can_move_between_all_addresses_and_one() {
    let origin = Origin::echoing_targets();
    let mut configured = Configured::start(&on(&[STAYS], "workers = 2"), &[origin.address]);
    let port = free_ports::<1>()[0];
    let mut clients = Vec::new();
    for ip in ["0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1", "0.0.0.0"] {
        let listen = format!("{ip}:{port}");
        let said = configured.reload(&on(&[STAYS, &listen], "workers = 2"), &[origin.address]);
        assert!(said.contains(&format!("listens on http://{listen}")), "{said}");
        clients.push(Connection::connect(at(port)));
        let other = TcpStream::connect(("127.0.0.2", port));
        assert_eq!(other.is_err(), ip == "127.0.0.1", "{ip}");
        for client in &mut clients {
            assert_eq!(client.get("/a").text(), "/a");
        }
    }
}

#[test]
fn clients_that_wait_at_a_listener_that_is_closed_are_served() {
    // More than are accepted in one turn.
    const CLIENTS: usize = 300;
    let origin = Origin::echoing_targets();
    let path = |configured: &Configured| configured.path("a.sock");
    let mut configured = Configured::start(&on(&[STAYS], "workers = 2"), &[origin.address]);
    let port = free_ports::<1>()[0];
    let name = unix::name(&path(&configured));
    let more = on(&[STAYS, &at(port).to_string(), &name], "workers = 2");
    configured.reload(&more, &[origin.address]);
    configured.proxy.process.halt();
    let over_tcp = (0..CLIENTS).map(|_| Connection::connect(at(port)));
    let over_unix = (0..CLIENTS).map(|_| unix::connect(&path(&configured)));
    let mut clients: Vec<Connection> = over_tcp.chain(over_unix).collect();
    for client in &mut clients {
        client.send("GET /served HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    crate::configured::write(
        &configured.path("a.toml"),
        &on(&[STAYS], "workers = 2"),
        &[origin.address],
    );
    configured.proxy.process.signal(Signal::HUP);
    configured.proxy.process.signal(Signal::CONT);
    let said = configured.proxy.process.line("reloaded");
    assert!(said.contains("no longer listens on"), "{said}");
    for client in &mut clients {
        assert_eq!(client.answer().text(), "/served");
    }
    assert!(!is_open(port) && !path(&configured).exists());
}
