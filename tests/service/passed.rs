//! Sockets that are passed to the proxy.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::process::Signal;

use super::manager::{alone, pass};
use support::http::{Connection, get};
use support::origin::Origin;
use support::process::Process;
use support::unix;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What it says until it serves.
fn greeting(process: &mut Process) -> String {
    process.says("the upstreams", |text| text.contains("\nupstream ").then(|| text.to_owned()))
}

fn ends_well(process: &mut Process) {
    process.signal(Signal::TERM);
    let status = process.ended();
    assert!(status.success(), "{status}: {}", process.stderr());
}

#[test]
fn each_is_used_where_its_address_is_configured_and_the_rest_is_bound_as_usual() {
    let (origin, folder) = (Origin::echoing_targets(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    let (tcp, at) = listener();
    let (unused, nowhere) = listener();
    let [web, admin] = ["web.sock", "admin.sock"].map(|name| UnixListener::bind(path(name)));
    let (web, admin) = (web.unwrap(), admin.unwrap());
    fs::set_permissions(path("admin.sock"), Permissions::from_mode(0o600)).unwrap();
    let sockets: [&dyn AsFd; 4] = [&unused, &tcp, &web, &admin];
    let upstream = format!("http://{}", origin.address);
    let [web_name, admin_name, own] =
        ["web.sock", "admin.sock", "own.sock"].map(|name| unix::name(&path(name)));
    let flags = [
        ["--listen", &at.to_string()],
        ["--listen", &web_name],
        ["--listen", &own],
        ["--listen", "127.0.0.1:0"],
        ["--admin", &admin_name],
        ["--upstream", &upstream],
        ["--log", "none"],
        ["--workers", "2"],
    ];
    let names = [("LISTEN_FDNAMES", Path::new("spare:tidegate.socket:web:admin"))];
    let mut proxy = pass(&sockets, flags.as_flattened(), &names);
    let said = greeting(&mut proxy);
    for name in [&format!("http://{at}"), &web_name, &own] {
        assert!(said.contains(&format!("listening on {name}\n")), "{said}");
    }
    let complaint = proxy.line("wait for nothing");
    assert!(
        complaint.contains(&format!(
            "descriptor 3 (spare) was passed to this program and listens \
         at {nowhere}, where no --listen"
        )),
        "{complaint}"
    );
    let clients = (0..8).map(|_| Connection::connect(at)).collect::<Vec<_>>();
    for mut client in clients {
        assert_eq!(client.get("/tcp").text(), "/tcp");
    }
    for name in ["web.sock", "own.sock"] {
        assert_eq!(unix::connect(&path(name)).get("/unix").text(), "/unix");
    }
    assert_eq!(unix::connect(&path("admin.sock")).get("/health").status, 200);
    ends_well(&mut proxy);
    // They are not its own: their files stay, and who connects waits.
    assert!(path("web.sock").exists() && path("admin.sock").exists() && !path("own.sock").exists());
    TcpStream::connect(at).unwrap();
    UnixStream::connect(path("admin.sock")).unwrap();
}

#[test]
fn one_that_a_reload_leaves_and_takes_again_is_the_same() {
    let (origin, folder) = (Origin::echoing_targets(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.toml");
    let (tcp, at) = listener();
    let write = |listen: &str| {
        let text = format!(
            "listen = {listen}\nlog = 'none'\n[[backend]]\nurl = 'http://{}'",
            origin.address
        );
        fs::write(&file, text).unwrap();
    };
    let both = format!("['127.0.0.1:0', '{at}']");
    write(&both);
    let mut proxy = pass(&[&tcp], &["--config", file.to_str().unwrap()], &[]);
    greeting(&mut proxy);
    for _ in 0..3 {
        assert_eq!(get(at, "/a").text(), "/a");
        write("'127.0.0.1:0'");
        proxy.signal(Signal::HUP);
        proxy.line("reloaded");
        // It is neither accepted nor refused.
        let mut waits = Connection::connect(at);
        waits.send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n");
        write(&both);
        proxy.signal(Signal::HUP);
        let said = proxy.line("reloaded");
        assert!(said.contains(&format!("listens on http://{at}")), "{said}");
        assert_eq!(waits.answer().text(), "/waits");
    }
    ends_well(&mut proxy);
}

#[test]
fn those_of_another_process_are_not_taken() {
    let mut command = alone(&["--listen", "127.0.0.1:0", "--log", "none"]);
    command.args(["--upstream", "http://127.0.0.1:1"]);
    let mut proxy = Process::spawn(command.env("LISTEN_PID", "1").env("LISTEN_FDS", "2"));
    greeting(&mut proxy);
    ends_well(&mut proxy);
}

#[test]
fn what_can_t_be_accepted_from_is_refused_by_its_number_and_name() {
    let (tcp, at) = listener();
    let connected = TcpStream::connect(at).unwrap();
    let file = tempfile::tempfile().unwrap();
    for other in [&connected as &dyn AsFd, &file] {
        let flags = ["--upstream", "http://127.0.0.1:1", "--log", "none"];
        for (names, called) in [
            ("web:other", "descriptor 4 (other)"),
            (":other", "descriptor 4 (other)"),
            ("unknown:other", "descriptor 4 (other)"),
            ("web:", "descriptor 4"),
            ("web", "descriptor 4"),
        ] {
            let names = [("LISTEN_FDNAMES", Path::new(names))];
            let mut proxy = pass(&[&tcp, other], &flags, &names);
            assert_eq!(proxy.ended().code(), Some(1));
            let said = proxy.stderr();
            assert!(said.starts_with(&format!("tidegate: {called} was passed to")), "{said}");
        }
    }
}

#[test]
fn an_admin_s_socket_that_everyone_may_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let admin = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let name = unix::name(&path);
    let flags = [
        ["--listen", "127.0.0.1:0"],
        ["--admin", &name],
        ["--upstream", "http://127.0.0.1:1"],
        ["--log", "none"],
    ];
    let mut proxy = pass(&[&admin], flags.as_flattened(), &[]);
    assert_eq!(proxy.ended().code(), Some(1));
    let said = proxy.stderr();
    assert!(said.contains("SocketMode=0600"), "{said}");
}

#[test]
fn a_process_that_overlaps_another_has_the_admin_s_port_too() {
    let (admin, at) = listener();
    let name = at.to_string();
    let flags = [
        ["--listen", "127.0.0.1:0"],
        ["--admin", &name],
        ["--upstream", "http://127.0.0.1:1"],
        ["--log", "none"],
    ];
    let mut old = pass(&[&admin], flags.as_flattened(), &[]);
    greeting(&mut old);
    let mut new = pass(&[&admin], flags.as_flattened(), &[]);
    greeting(&mut new);
    ends_well(&mut old);
    assert_eq!(get(at, "/health").status, 200);
    ends_well(&mut new);
}

#[test]
fn clients_of_one_socket_are_shared_out_over_the_workers() {
    let (origin, folder) = (Origin::echoing_targets(), tempfile::tempdir().unwrap());
    let log = folder.path().join("a.csv");
    let (tcp, at) = listener();
    let (listen, upstream) = (at.to_string(), format!("http://{}", origin.address));
    let flags = [
        ["--listen", &listen],
        ["--upstream", &upstream],
        ["--log", log.to_str().unwrap()],
        ["--workers", "2"],
    ];
    let mut proxy = pass(&[&tcp], flags.as_flattened(), &[]);
    greeting(&mut proxy);
    let mut clients: Vec<_> = (0..40).map(|_| Connection::connect(at)).collect();
    // All are accepted before the first one leaves.
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    ends_well(&mut proxy);
    let rows = support::log::rows(&log);
    let of_first = rows.iter().filter(|row| row["worker"] == "0").count();
    assert_eq!(rows.len(), 40);
    assert!((17..=23).contains(&of_first), "{of_first} of 40");
}
