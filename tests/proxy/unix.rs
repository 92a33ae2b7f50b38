//! Unix sockets in place of ports: towards clients, and towards backends.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use support::http::{Connection, field, get};
use support::log::{Logged, column};
use support::origin::ok;
use support::process::{Proxy, run, tidegate};
use support::unix::{UnixOrigin, connect, name};

/// A folder for the sockets of a test, and the name of the one that the proxy listens on.
fn folder() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.sock");
    (folder, path)
}

/// A backend that answers each request with what `tell` makes of its head.
fn telling(path: &Path, tell: impl Fn(&str) -> String + Send + Sync + 'static) -> UnixOrigin {
    UnixOrigin::serve(path, move |mut connection| {
        while let Some((head, _)) = connection.request() {
            connection.send(ok(&tell(&head)));
        }
    })
}

#[test]
fn each_policy_serves_in_each_mode_from_socket_to_socket() {
    const REQUESTS: usize = 12;
    for policy in ["round-robin", "adaptive_sma", "adaptive_ewma"] {
        for mode in ["persistent", "non-persistent"] {
            let (folder, listen) = folder();
            let backends = ["a.sock", "b.sock"]
                .map(|file| telling(&folder.path().join(file), |head| head[..6].to_owned()));
            let names = backends.each_ref().map(UnixOrigin::name);
            let listen_name = name(&listen);
            let flags = [policy, "--connections", mode, "--listen", &listen_name];
            let upstreams = names.iter().flat_map(|name| ["--upstream", name]);
            let proxy = Logged::start(&[], &flags.into_iter().chain(upstreams).collect::<Vec<_>>());
            let said = proxy.proxy.process.stdout();
            for line in [format!("listening on {listen_name}"), format!("upstream {}", names[1])] {
                assert!(said.lines().any(|other| other == line), "{line}: {said}");
            }
            for _ in 0..REQUESTS {
                let mut client = connect(&listen);
                client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                assert_eq!(client.answer().text(), "GET / ", "{policy} {mode}");
            }
            let rows = proxy.rows();
            assert_eq!(column(&rows, "client"), ["unix:"; REQUESTS]);
            assert!(rows.iter().all(|row| names.contains(&row["backend_url"])), "{rows:?}");
            assert!(rows.iter().all(|row| row["status_code"] == "200" && row["attempts"] == "1"));
            let fresh = rows.iter().filter(|row| !row["connect_ms"].is_empty()).count();
            let opened: usize = backends.iter().map(UnixOrigin::accepted).sum();
            assert_eq!(fresh, opened, "{policy} {mode}");
            assert_eq!(fresh == REQUESTS, mode == "non-persistent", "{policy}: {fresh}");
        }
    }
}

#[test]
fn a_client_is_told_of_by_a_trusted_proxy_alone() {
    let (folder, listen) = folder();
    let backend = telling(&folder.path().join("backend.sock"), |head| {
        let names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
        names.map(|name| field(head, name).unwrap_or("none".to_owned())).join(" ")
    });
    let (listen_name, upstream) = (name(&listen), backend.name());
    let flags = ["--listen", &listen_name, "--upstream", &upstream];
    let ask = |more: &[&str]| {
        let proxy = Logged::start(&[], &[&flags, more].concat());
        let mut client = connect(&listen);
        client.send(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.1:50\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\r\n",
        );
        let told = client.answer().text();
        let rows = proxy.rows();
        (told, column(&rows, "client").concat())
    };
    let told = ("none http a".to_owned(), "unix:".to_owned());
    assert_eq!(ask(&[]), told);
    assert_eq!(ask(&["--trusted-proxy", "0.0.0.0/0", "--trusted-proxy", "::/0"]), told);
    let told = "6.6.6.6, 198.51.100.1:50 https shop.example".to_owned();
    assert_eq!(ask(&["--trusted-proxy", "unix:"]), (told, "198.51.100.1:50".to_owned()));
}

#[test]
fn a_request_that_names_no_host_is_for_localhost() {
    let (folder, listen) = folder();
    let backend = telling(&folder.path().join("backend.sock"), |head| field(head, "host").unwrap());
    let _proxy = proxy(&[&listen], &backend.name());
    let mut client = connect(&listen);
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().text(), "localhost");
}

/// Starts a proxy that listens at these paths.
fn proxy(listen: &[&Path], upstream: &str) -> Proxy {
    let mut command = tidegate(&["--log", "none", "--workers", "2", "--upstream", upstream]);
    for path in listen {
        command.args(["--listen", &name(path)]);
    }
    Proxy::spawn(&mut command)
}

#[test]
fn one_proxy_listens_at_ports_and_sockets_alike() {
    let (folder, first) = folder();
    let second = folder.path().join("second.sock");
    let backend = telling(&folder.path().join("backend.sock"), |_| "here".to_owned());
    let names = [name(&first), name(&second)];
    let mut command = tidegate(&["--log", "none", "--upstream", &backend.name()]);
    command.args(["--listen", &names[0], "--listen", "127.0.0.1:0", "--listen", &names[1]]);
    let proxy = Proxy::spawn(&mut command);
    assert_eq!(connect(&first).get("/").text(), "here");
    assert_eq!(get(proxy.address(), "/").text(), "here");
    assert_eq!(connect(&second).get("/").text(), "here");
}

#[test]
fn an_abstract_name_does_where_files_are_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let backend = telling(&folder.path().join("backend.sock"), |_| "here".to_owned());
    let listen = format!("unix:@tidegate-{}", std::process::id());
    let behind = ["--log", "none", "--listen", &listen, "--upstream", &backend.name()];
    let _behind = Proxy::spawn(&mut tidegate(&behind));
    let front = ["--log", "none", "--listen", "127.0.0.1:0", "--upstream", &listen];
    let front = Proxy::spawn(&mut tidegate(&front));
    assert_eq!(get(front.address(), "/").text(), "here");
    assert_eq!(run(&["--health", "--listen", &listen]).code, Some(0));
}

#[test]
fn clients_of_one_socket_are_shared_out_among_the_workers() {
    let (folder, listen) = folder();
    let backend = telling(&folder.path().join("backend.sock"), |_| String::new());
    let (listen_name, upstream) = (name(&listen), backend.name());
    let flags = ["--listen", &listen_name, "--upstream", &upstream, "--workers", "3"];
    let proxy = Logged::start(&[], &flags);
    let mut clients: Vec<_> = (0..12).map(|_| connect(&listen)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let rows = proxy.rows();
    let workers: HashSet<_> = column(&rows, "worker").into_iter().collect();
    assert_eq!(workers, HashSet::from(["0", "1", "2"]));
}

#[test]
fn large_bodies_go_both_ways_and_a_tunnel_stays_open() {
    const BYTES: usize = 8 << 20;
    let (folder, listen) = folder();
    let backend = UnixOrigin::serve(&folder.path().join("backend.sock"), |mut connection| {
        while let Some((head, body)) = connection.request() {
            if field(&head, "upgrade").is_some() {
                connection.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                     Upgrade: echo\r\n\r\n",
                );
                let mut block = [0; 1024];
                loop {
                    let count = connection.read(&mut block);
                    if count == 0 {
                        return;
                    }
                    connection.send(&block[..count]);
                }
            }
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            connection.send(body);
        }
    });
    let _proxy = proxy(&[&listen], &backend.name());
    let body: Vec<u8> = (0..BYTES).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut client = connect(&listen);
    for _ in 0..2 {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n");
        client.send(head);
        let (mut writer, copy) = (client.stream().try_clone().unwrap(), body.clone());
        let sending = std::thread::spawn(move || writer.write_all(&copy).unwrap());
        assert!(client.answer().body == body, "the bytes differ");
        sending.join().unwrap();
    }
    assert_eq!(backend.accepted(), 1, "the connection was kept");
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    for word in ["one", "another"] {
        client.send(word);
        assert_eq!(client.take(word.len()), word.as_bytes());
    }
    client.finish();
    assert_eq!(client.rest(), b"");
}

#[test]
fn curl_asks_over_the_socket() {
    let (folder, listen) = folder();
    let backend = telling(&folder.path().join("backend.sock"), |head| {
        head.lines().next().unwrap().to_owned()
    });
    let _proxy = proxy(&[&listen], &backend.name());
    let mut curl = Command::new("curl");
    curl.args(["-q", "--silent", "--show-error", "--fail", "--noproxy", "*", "--unix-socket"]);
    curl.arg(&listen).args(["--write-out", " %{num_connects};"]);
    let output = curl.args(["http://a/1", "http://a/2"]).output();
    let output = output.expect("the program is installed, see scripts/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "GET /1 HTTP/1.1 1;GET /2 HTTP/1.1 0;");
}

#[test]
fn health_is_asked_over_the_socket() {
    let (folder, listen) = folder();
    let listen_name = name(&listen);
    let ask = || run(&["--health", "--listen", &listen_name]);
    let nobody = ask();
    assert_eq!(nobody.code, Some(1));
    let expected = format!("tidegate: no proxy answers at {listen_name}: ");
    assert!(nobody.stderr.starts_with(&expected), "{}", nobody.stderr);
    {
        let _stranger = UnixOrigin::serve(&listen, |mut connection| {
            connection.request();
            connection.send("220 no proxy\r\n");
        });
        assert!(ask().stderr.contains("is no healthy proxy"));
    }
    // Its file is left.
    let backend = telling(&folder.path().join("backend.sock"), |_| String::new());
    let _proxy = proxy(&[&listen], &backend.name());
    assert_eq!(ask().code, Some(0));
}

#[test]
fn check_tells_the_mode_and_what_is_at_each_path() {
    let (folder, listen) = folder();
    let backend = telling(&folder.path().join("there.sock"), |_| String::new());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let gone = folder.path().join("gone.sock");
    let names = [backend.name(), name(&gone), name(&file), "unix:@abstract".to_owned()];
    let listen_option = format!("{} mode=0660", name(&listen));
    let mut flags = vec!["--check", "--log", "none", "--listen", &listen_option];
    flags.extend(["--trusted-proxy", "unix:"]);
    flags.extend(names.iter().flat_map(|name| ["--upstream", name]));
    let checked = run(&flags);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for (name, told) in [
        ("listen", listen_option.as_str()),
        ("trusted-proxy", "unix:"),
        (&names[0], "the socket is there"),
        (&names[1], "there is no such file"),
        (&names[2], "what is there is no socket"),
        (&names[3], "an abstract socket"),
    ] {
        let lines = checked.stdout.lines().filter_map(|line| line.split_once(' '));
        let mut values = lines.filter(|line| line.0 == name).map(|line| line.1.trim());
        assert_eq!(values.next(), Some(told), "{}", checked.stdout);
    }
    assert!(!listen.exists(), "nothing was bound");
}

#[test]
fn an_upstream_that_is_the_proxy_s_own_socket_is_refused_however_it_is_called() {
    let (folder, listen) = folder();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
    let upstream = name(&folder.path().join("link/proxy.sock"));
    let flags = ["--log", "none", "--listen", &name(&listen), "--upstream", &upstream];
    for mode in [&["--check"][..], &[]] {
        let ended = run(&[mode, &flags].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(&upstream), "{}", ended.stderr);
        assert!(ended.stderr.contains("choose another path with --listen"), "{}", ended.stderr);
    }
}

#[test]
fn a_loop_through_a_socket_ends_with_508() {
    let (_folder, listen) = folder();
    let port = Proxy::spawn(&mut tidegate(&[
        "--log",
        "none",
        "--listen",
        "127.0.0.1:0",
        "--upstream",
        &name(&listen),
    ]));
    let back = format!("http://{}", port.address());
    let _second = proxy(&[&listen], &back);
    assert_eq!(Connection::connect(port.address()).get("/").status, 508);
}
