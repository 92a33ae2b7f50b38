//! Who is answered, and where the admin can listen.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;

use rustix::process::{Signal, geteuid};

use support::http::Connection;
use support::process::{Ended, Proxy, run};
use support::unix;

use crate::scene::{Scene, answering, request};

#[test]
fn nothing_can_be_changed_over_tcp() {
    let scene = Scene::start(&[answering("x").address], &[]);
    for (method, path, body) in [
        ("PUT", "/backends", r#"{ "url": "http://127.0.0.1:1" }"#),
        ("PATCH", "/backends/0.0", r#"{ "weight": 3 }"#),
        ("DELETE", "/backends/0.0", ""),
        ("POST", "/reload", ""),
    ] {
        let answer = Connection::connect(scene.tcp).ask(&request(method, path, body));
        assert_eq!(answer.status, 403, "{method} {path}");
        assert!(answer.text().contains("over the Unix socket"), "{}", answer.text());
    }
    let list = scene.get("/backends");
    assert_eq!(list["backends"][0]["weight"], 1);
}

#[test]
fn other_hosts_and_pages_are_refused() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let ask = |fields: &str| {
        let request = format!("GET /backends HTTP/1.1\r\n{fields}\r\n\r\n");
        Connection::connect(scene.tcp).ask(&request)
    };
    assert_eq!(ask(&format!("Host: {}", scene.tcp)).status, 200);
    let answer = ask("Host: rebound.example");
    assert!(answer.status == 421 && answer.text().contains("rebound.example"));
    let answer = ask("Host: localhost\r\nOrigin: http://localhost:5002");
    assert!(answer.status == 403 && answer.text().contains("http://localhost:5002"));
    let page = request("GET", "/health", "").replace("\r\n\r\n", "\r\nOrigin: null\r\n\r\n");
    assert_eq!(scene.connect().ask(&page).status, 403);
}

#[test]
fn a_host_that_is_named_is_answered() {
    let origin = answering("x");
    let flags = ["--admin", "127.0.0.1:0 host=proxy.example"];
    let proxy = Proxy::start(&[origin.address], &flags);
    let said = proxy.process.stdout();
    let address = said.lines().find_map(|line| line.strip_prefix("admin at http://")).unwrap();
    let ask = |host: &str| {
        let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n");
        Connection::connect(address.parse().unwrap()).ask(&request).status
    };
    assert_eq!((ask("proxy.example:80"), ask("localhost"), ask("example")), (200, 200, 421));
}

#[test]
fn the_socket_is_for_its_owner_alone_and_is_removed_at_the_end() {
    let mut scene = Scene::start(&[answering("x").address], &[]);
    let socket = scene.socket();
    let found = fs::symlink_metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    scene.proxy.process.signal(Signal::TERM);
    assert_eq!(scene.proxy.process.ended().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn without_the_flag_there_is_no_admin() {
    let proxy = Proxy::start(&[answering("x").address], &[]);
    assert!(!proxy.process.stdout().contains("admin"));
    assert!(!proxy.process.threads().iter().any(|name| name.starts_with("admin")));
}

/// Starts a proxy that is to be refused, and whose log is not to be begun.
fn refused(flags: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.csv");
    let fixed = ["--listen", "127.0.0.1:0", "--log", log.to_str().unwrap()];
    let ended = run(&[&fixed, flags].concat());
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(!log.exists());
    ended
}

#[test]
fn a_second_proxy_at_the_same_socket_is_told() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let name = unix::name(&scene.socket());
    let ended = refused(&["--admin", &name]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&name) && ended.stderr.contains("another proxy"));
    assert_eq!(scene.ask("GET", "/health", "").status, 200);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = refused(&["--admin", &address]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&format!("--admin {address}")), "{}", ended.stderr);
    let ended = refused(&["--admin", "unix:/no/such/folder/a.sock"]);
    assert!(ended.stderr.contains("make its folder first"), "{}", ended.stderr);
    for flags in [
        ["--admin", "127.0.0.1:9091", "--admin", "127.0.0.1:9091"],
        ["--listen", "127.0.0.1:9091", "--admin", "127.0.0.1:9091"],
    ] {
        let ended = run(&flags);
        assert_eq!(ended.code, Some(2));
        let told = "127.0.0.1:9091 is given twice, or is an address of --listen";
        assert!(
            ended.stderr.contains("--admin") && ended.stderr.contains(told),
            "{}",
            ended.stderr
        );
    }
    let ended = run(&["--admin", "0.0.0.0:9091"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("exposed"), "{}", ended.stderr);
}

#[test]
fn only_a_socket_that_is_ours_and_stale_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let name = unix::name(&path);
    fs::write(&path, "precious").unwrap();
    let ended = refused(&["--admin", &name]);
    assert!(ended.code == Some(1) && ended.stderr.contains("is no socket"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    if geteuid().is_root() {
        chown(&path, Some(65_534), None).unwrap();
        let ended = refused(&["--admin", &name]);
        let is_told = ended.stderr.contains("belongs to another user (65534)");
        assert!(ended.code == Some(1) && is_told, "{}", ended.stderr);
        chown(&path, Some(0), None).unwrap();
    }
    let proxy = Proxy::start(&[answering("x").address], &["--admin", &name]);
    assert_eq!(unix::connect(&path).ask(&request("GET", "/health", "")).status, 200);
    drop(proxy);
}

#[test]
fn a_backend_at_the_admin_s_address_is_refused() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let url = format!("http://{address}");
    for mode in [&["--check"][..], &[]] {
        let ended =
            run(&[mode, &["--log", "none", "--admin", &address, "--upstream", &url]].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("is this proxy itself"), "{}", ended.stderr);
    }
}
