//! Addresses of clients, their distribution over workers, and how long they may be idle.

use std::net::{Ipv4Addr, SocketAddr};

use support::http::{Connection, get};
use support::origin::Origin;
use support::process::{Proxy, tidegate};

#[test]
fn idle_connections_are_closed_after_the_timeout() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&[origin.address], &["--client-idle-timeout", "200ms"]);
    let mut unused = Connection::connect(proxy.address());
    let mut used = Connection::connect(proxy.address());
    assert_eq!(used.get("/").status, 200);
    assert_eq!(unused.rest(), b"");
    assert_eq!(used.rest(), b"");
}

#[test]
fn two_workers_share_one_port() {
    let origin = Origin::echoing_targets();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let mut proxy = support::log::logging(&origin, &log, &["--workers", "2"]);
    // The kernel chooses by the client's port; a worker with too many gives some to the other.
    let connections: Vec<Connection> = (0..100)
        .map(|n| {
            let mut connection = Connection::connect(proxy.address());
            assert_eq!(connection.get(&format!("/{n}")).text(), format!("/{n}"));
            connection
        })
        .collect();
    drop(connections);
    support::log::stop(&mut proxy);
    let rows = support::log::rows(&log);
    let of = |worker: &str| rows.iter().filter(|row| row["worker"] == worker).count();
    assert_eq!(of("0") + of("1"), 100);
    assert!(of("0").min(of("1")) >= 47, "{} and {}", of("0"), of("1"));
}

#[test]
fn it_listens_on_several_addresses_of_both_families() {
    let origin = Origin::echoing_targets();
    let upstream = format!("http://{}", origin.address);
    let flags = ["--upstream", &upstream, "--log", "none", "--workers", "2"];
    let proxy = Proxy::spawn(
        tidegate(&flags)
            .args(["--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--listen"])
            .arg("[::]:0"),
    );
    let [v4, v6, both] = proxy.addresses[..] else { panic!("{:?}", proxy.addresses) };
    assert!(v4.is_ipv4() && v6.is_ipv6() && both.is_ipv6());
    for address in [v4, v6, both, SocketAddr::from((Ipv4Addr::LOCALHOST, both.port()))] {
        assert_eq!(get(address, "/here").text(), "/here", "{address}");
    }
}

#[test]
fn the_clients_address_is_logged_without_ipv4_mapping() {
    let origin = Origin::serve(|mut connection| {
        while let Some((head, _)) = connection.request() {
            let peer = support::http::field(&head, "x-forwarded-for").unwrap();
            connection.send(support::origin::ok(&peer));
        }
    });
    let upstream = format!("http://{}", origin.address);
    let flags = ["--upstream", &upstream, "--log", "none", "--listen", "[::]:0"];
    let proxy = Proxy::spawn(&mut tidegate(&flags));
    let port = proxy.address().port();
    assert_eq!(get(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "/").text(), "127.0.0.1");
    assert_eq!(get(format!("[::1]:{port}").parse().unwrap(), "/").text(), "::1");
}
