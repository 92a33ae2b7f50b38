//! Unix sockets: files that are left behind, taken, or kept from us, and backends behind them.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

use support::clock::pause;
use support::http::{Connection, get};
use support::log::{Logged, endings, stop};
use support::origin::{Origin, ok};
use support::process::{Process, Proxy, run, tidegate};
use support::programs::program;
use support::unix::{UnixOrigin, as_anybody, connect, name};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    (folder, path)
}

fn listening(listen: &str) -> Proxy {
    let flags = ["--log", "none", "--listen", listen, "--workers", "2"];
    Proxy::spawn(&mut tidegate(&[&flags[..], &["--upstream", "http://127.0.0.1:1"]].concat()))
}

fn is_served(path: &Path) -> bool {
    let mut client = connect(path);
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    client.answer().status == 200
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A backend that answers with its target.
fn echoing(path: &Path) -> UnixOrigin {
    UnixOrigin::serve(path, |mut connection| {
        while let Some((head, _)) = connection.request() {
            connection.send(ok(head.split(' ').nth(1).unwrap()));
        }
    })
}

#[test]
fn a_file_that_a_killed_proxy_left_behind_is_replaced() {
    let (_folder, path) = folder();
    let mut first = listening(&name(&path));
    assert!(is_served(&path) && mode(&path) == 0o666);
    first.process.signal(Signal::KILL);
    first.process.ended();
    assert!(path.exists());
    let mut second = listening(&format!("{} mode=0600", name(&path)));
    assert!(is_served(&path) && mode(&path) == 0o600);
    stop(&mut second);
    assert!(!path.exists(), "it is removed at the end");
}

#[test]
fn a_path_at_which_another_listens_is_left_to_it() {
    let (_folder, path) = folder();
    let _first = listening(&name(&path));
    let ended = run(&["--log", "none", "--listen", &name(&path)]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told = format!("tidegate: can't listen on {}: ", name(&path));
    assert!(ended.stderr.starts_with(&told), "{}", ended.stderr);
    assert!(ended.stderr.contains("another program listens there"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(is_served(&path));
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let (_folder, path) = folder();
    fs::write(&path, "precious").unwrap();
    let ended = run(&["--log", "none", "--listen", &name(&path)]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told = "the file there is no socket; remove it, or choose another path";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_path_that_is_too_long_is_refused_with_its_length() {
    let long = format!("unix:/{}", "x".repeat(107));
    for flag in ["--listen", "--upstream"] {
        let ended = run(&["--check", flag, &long]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("has 108 bytes"), "{}", ended.stderr);
        assert!(ended.stderr.contains("107 at most"), "{}", ended.stderr);
    }
}

#[test]
fn a_folder_that_is_not_there_or_not_ours_to_write_in_is_told_of() {
    let (folder, path) = folder();
    let gone = run(&["--log", "none", "--listen", &name(&folder.path().join("gone/a.sock"))]);
    assert_eq!(gone.code, Some(1), "{}", gone.stderr);
    assert!(gone.stderr.contains("make its folder first"), "{}", gone.stderr);
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o500)).unwrap();
    let listen = name(&path);
    let denied = as_anybody(move || run(&["--log", "none", "--listen", &listen]));
    assert_eq!(denied.code, Some(1), "{}", denied.stderr);
    assert!(denied.stderr.contains("permitted to write to its folder"), "{}", denied.stderr);
}

#[test]
fn a_file_that_is_another_s_by_the_end_stays() {
    let (_folder, path) = folder();
    let mut proxy = listening(&name(&path));
    assert!(is_served(&path));
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    stop(&mut proxy);
    assert!(path.exists());
    drop(connect(&path));
    drop(other.accept().unwrap());
}

#[test]
fn who_waits_at_a_socket_as_the_proxy_stops_is_served() {
    let (_folder, path) = folder();
    let mut proxy = listening(&name(&path));
    assert!(is_served(&path));
    proxy.process.halt();
    let mut waiting: Vec<_> = (0..20).map(|_| connect(&path)).collect();
    for client in &mut waiting {
        client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    }
    proxy.process.signal(Signal::TERM);
    proxy.process.signal(Signal::CONT);
    for client in &mut waiting {
        // It says that it stops, which is an answer.
        assert!(matches!(client.answer().status, 200 | 503));
    }
    assert!(proxy.process.ended().success() && !path.exists());
}

/// A test backend at a path, as a process; killed when dropped, so that its file is left.
fn backend(path: &Path) -> Process {
    let mut command = Command::new(program("tidegate-backend"));
    command.env_remove("PORT").env_remove("SERVER_ID");
    let mut process = Process::spawn(command.args(["--profile", "0", "--listen", &name(path)]));
    process.says("where it listens", |text| text.contains(" listening on ").then_some(()));
    process
}

#[test]
fn a_backend_whose_socket_is_not_there_refuses_until_it_is() {
    let (_folder, path) = folder();
    let upstream = name(&path);
    let flags = ["--upstream", &upstream, "--cooldown", "1ms", "--cooldown-max", "1ms"];
    let proxy = Logged::start(&[], &[&flags[..], &["--workers", "1"]].concat());
    let mut client = Connection::connect(proxy.address());
    let answer = client.get("/");
    assert!(answer.status == 503 && answer.text().contains("refused"), "{answer:?}");
    let first = backend(&path);
    assert_eq!(client.get("/").status, 200);
    drop(first);
    assert!(path.exists());
    assert_eq!(client.get("/").status, 503);
    let _second = backend(&path);
    assert_eq!(client.get("/").status, 200);
    let rows = proxy.rows();
    let (refused, served) = (("503", "connect_refused"), ("200", ""));
    let endings: Vec<_> = endings(&rows).into_iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(endings, [refused, served, refused, served]);
    assert!(rows.iter().all(|row| row["backend_url"] == upstream));
}

#[test]
fn a_backend_restarts_its_socket_and_costs_no_get() {
    let (folder, path) = folder();
    let steady = echoing(&folder.path().join("steady.sock"));
    let upstreams = [steady.name(), name(&path)];
    let flags = ["--upstream", &upstreams[0], "--upstream", &upstreams[1], "--workers", "1"];
    let quick = ["--cooldown", "1ms", "--cooldown-max", "1ms"];
    let proxy = Logged::start(&[], &[&flags[..], &quick].concat());
    let mut client = Connection::connect(proxy.address());
    let mut ask = |times| (0..times).for_each(|_| assert_eq!(client.get("/").status, 200));
    for _ in 0..5 {
        let restarting = backend(&path);
        ask(10);
        drop(restarting);
        ask(3);
    }
    let rows = proxy.rows();
    assert_eq!(rows.len(), 65);
    assert!(rows.iter().filter(|row| row["backend_url"] == upstreams[1]).count() >= 5);
}

#[test]
fn a_backend_s_socket_that_is_kept_from_us_says_so() {
    let (_folder, path) = folder();
    let origin = echoing(&path);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    let upstream = origin.name();
    let proxy = as_anybody(move || Logged::start(&[], &["--upstream", &upstream]));
    let answer = get(proxy.address(), "/");
    assert!(answer.status == 503 && answer.text().contains("permission denied"), "{answer:?}");
    assert_eq!(endings(&proxy.rows()), [("503", "connect_denied", "1")]);
}

/// A backend's socket at which as many wait as may; nobody accepts them.
fn full(path: &Path) -> (Socket, Vec<Socket>) {
    let address = SockAddr::unix(path).unwrap();
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
        if client.connect(&address).is_err() {
            return (listener, waiting);
        }
        waiting.push(client);
    }
}

#[test]
fn a_backend_with_a_full_queue_is_waited_for() {
    let (_folder, path) = folder();
    let (listener, waiting) = full(&path);
    let upstream = name(&path);
    let flags = ["-v", "--upstream", &upstream, "--connect-timeout", "1m"];
    let mut proxy = Logged::start(&[], &flags);
    let mut client = Connection::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    proxy.proxy.process.says("where it goes", |text| text.contains("-> unix:").then_some(()));
    let serving = thread::spawn(move || {
        for _ in 0..waiting.len() {
            listener.accept().unwrap();
        }
        let (stream, _) = listener.accept().unwrap();
        let mut backend = Connection::new(OwnedFd::from(stream).into());
        let (_, body) = backend.request().unwrap();
        backend.send(ok(&String::from_utf8(body).unwrap()));
    });
    assert_eq!(client.answer().text(), "hello");
    serving.join().unwrap();
    assert_eq!(endings(&proxy.rows()), [("200", "", "1")]);
}

#[test]
fn a_backend_whose_queue_stays_full_is_a_connect_timeout() {
    let (_folder, path) = folder();
    let _full = full(&path);
    let (upstream, alive) = (name(&path), Origin::echoing_targets());
    let flags = ["--upstream", &upstream, "--connect-timeout", "100ms", "--workers", "1"];
    let proxy = Logged::start(&[], &flags);
    let answer = get(proxy.address(), "/");
    assert!(answer.status == 503 && answer.text().contains("timed out"), "{answer:?}");
    assert_eq!(endings(&proxy.rows()), [("503", "connect_timeout", "1")]);
    // Where there is another backend, it costs time and no request.
    let other = format!("http://{}", alive.address);
    let flags = [&flags[..], &["--upstream", &other]].concat();
    let proxy = Logged::start(&[], &flags);
    assert_eq!(get(proxy.address(), "/").status, 200);
    assert_eq!(endings(&proxy.rows()), [("200", "", "2")]);
}

#[test]
fn a_check_waits_for_a_backend_with_a_full_queue() {
    let (_folder, path) = folder();
    let (listener, waiting) = full(&path);
    let upstream = name(&path);
    let checks = ["--check-path", "/healthz", "--check-interval", "5ms", "--check-fall", "1"];
    let patience = ["--check-timeout", "1m", "--connect-timeout", "1m"];
    let flags = [&["--upstream", &upstream], &checks[..], &patience].concat();
    let mut proxy = Logged::start(&[], &flags).proxy;
    // It is tried again and again meanwhile.
    pause(Duration::from_millis(50));
    for _ in 0..waiting.len() {
        listener.accept().unwrap();
    }
    for _ in 0..3 {
        let (stream, _) = listener.accept().unwrap();
        let mut backend = Connection::new(OwnedFd::from(stream).into());
        assert!(backend.request().unwrap().0.starts_with("GET /healthz "));
        backend.offer(ok("well"));
    }
    stop(&mut proxy);
    assert!(!proxy.process.stderr().contains("is down"), "no check has failed");
}

#[test]
fn a_client_that_leaves_while_a_backend_is_busy_is_forgotten() {
    let (_folder, path) = folder();
    let (listener, waiting) = full(&path);
    let upstream = name(&path);
    let proxy = Logged::start(&[], &["--upstream", &upstream, "--connect-timeout", "1m"]);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.finish();
    assert_eq!(client.end().0, b"");
    for _ in 0..waiting.len() {
        listener.accept().unwrap();
    }
    listener.set_nonblocking(true).unwrap();
    assert_eq!(endings(&proxy.rows()), [("499", "client_gone", "1")]);
    assert!(listener.accept().is_err(), "nobody connects in its name any more");
}

#[test]
fn a_backend_that_ends_in_the_body_breaks_the_clients_framing() {
    let (folder, path) = folder();
    let origin = UnixOrigin::serve(&path, |mut connection| {
        connection.request().unwrap();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let listen = folder.path().join("proxy.sock");
    let (listen_name, upstream) = (name(&listen), origin.name());
    let proxy = Logged::start(&[], &["--listen", &listen_name, "--upstream", &upstream]);
    let mut client = connect(&listen);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.head().unwrap().contains("Content-Length: 10"));
    assert_eq!(client.end(), (b"half".to_vec(), Ok(())));
    assert_eq!(endings(&proxy.rows()), [("200", "response_truncated", "1")]);
}
