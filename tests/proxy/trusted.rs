//! Proxies in front of this one, over real sockets: what the application and the log get.

use std::net::{Ipv4Addr, SocketAddr};

use support::http::{Connection, field};
use support::log::{Logged, column};
use support::origin::{Origin, ok};

/// An origin that answers with the forwarded fields of the request.
fn telling() -> Origin {
    Origin::serve(|mut connection| {
        while let Some((head, _)) = connection.request() {
            let names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
            let told = names.map(|name| field(&head, name).unwrap_or_default());
            connection.send(ok(&told.join(" ")));
        }
    })
}

const TOLD: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.1:50\r\n\
                    X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\r\n";

fn ask(address: SocketAddr) -> (String, String) {
    let mut client = Connection::connect(address);
    client.send(TOLD);
    (client.answer().text(), client.stream().local_addr().unwrap().to_string())
}

#[test]
fn what_a_trusted_proxy_sends_reaches_the_application_and_the_log() {
    let origin = telling();
    let trusted = ["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "fd00::/8"];
    let proxy = Logged::start(&[origin.address], &trusted);
    let (told, _) = ask(proxy.address());
    assert_eq!(told, "6.6.6.6, 198.51.100.1:50, 127.0.0.1 https shop.example");
    assert_eq!(column(&proxy.rows(), "client"), ["198.51.100.1:50"]);
}

#[test]
fn what_any_other_peer_sends_reaches_neither() {
    let origin = telling();
    for flags in [&[][..], &["--trusted-proxy", "127.0.0.2"]] {
        let proxy = Logged::start(&[origin.address], flags);
        let (told, own) = ask(proxy.address());
        assert_eq!(told, "127.0.0.1 http a");
        assert_eq!(column(&proxy.rows(), "client"), [own]);
    }
}

#[test]
fn a_proxy_is_trusted_by_its_ipv4_address_on_a_listener_of_both_families() {
    let origin = telling();
    for (flag, is_trusted) in
        [("127.0.0.0/8", true), ("::ffff:127.0.0.0/104", true), ("::1", false)]
    {
        let flags = ["--listen", "[::]:0", "--trusted-proxy", flag];
        let proxy = Logged::start(&[origin.address], &flags);
        let port = proxy.proxy.addresses[1].port();
        let (told, _) = ask(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        assert_eq!(told.ends_with("127.0.0.1 https shop.example"), is_trusted, "{told}");
        assert_eq!(column(&proxy.rows(), "client")[0] == "198.51.100.1:50", is_trusted);
    }
}
