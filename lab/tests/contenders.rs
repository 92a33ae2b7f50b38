//! Every contender of the arena that is installed does its job: before real sockets, with its own
//! configuration.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use support::clock::until;
use support::http::Connection;
use support::origin::{Origin, Silent};
use support::ports::{free_ports, until_closed};
use support::process::Process;
use support::programs::program;
use tempfile::TempDir;
use tidegate_lab::arena::contender::{ALL, BackendSpec, Contender, Job, Program, Tools};
use tidegate_lab::scenario::Proxies;

/// A contender that runs, and its folder.
struct Running {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Running {
    fn start(contender: Contender, tools: &Tools, backends: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let spec = |address: &SocketAddr| BackendSpec {
            address: *address,
            weight: 1,
            max_in_flight: None,
            backup: false,
        };
        let backends: Vec<_> = backends.iter().map(spec).collect();
        let job = Job {
            listen: address,
            backends: &backends,
            folder: folder.path(),
            cores: &[tidegate::reactor::cores::allowed().unwrap()[0]],
            proxies: &Proxies::default(),
            log: None,
        };
        let command = contender.command(tools, &job).unwrap();
        let mut process = Process::spawn_group(Command::new(command.program).args(command.args));
        until(contender.name, || {
            assert!(!process.has_ended(), "{}: {}", contender.name, process.stderr());
            TcpStream::connect(address).ok()?;
            // Traefik listens before it has read its routes.
            (Connection::connect(address).get("/").status != 404).then_some(())
        });
        Self { process, address, _folder: folder }
    }

    /// Asks it to end, and waits until it has.
    fn stop(mut self) {
        self.process.signal(Signal::TERM);
        self.process.ended();
        until_closed(&[self.address.port()]);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Workers may outlive their master. This fails if all have ended.
        let group = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Runs `check` for each contender of a program that is installed.
fn each(executable: &str, check: impl Fn(Contender, &Tools)) {
    let tools = Tools::beside(&program("tidegate-lab"));
    for contender in ALL.into_iter().filter(|it| it.program.executable() == executable) {
        if tools.program(contender.program).is_none() {
            println!("{}: {}", contender.name, contender.program.absence());
            return;
        }
        check(contender, &tools);
    }
}

/// Fields that a client may send.
const HOSTS: [&str; 5] = ["x", "example.com:81", "127.0.0.1", "[::1]:8080", "a_b.internal"];

/// It answers whatever `Host` says, over connections that it keeps, and ends.
fn does_its_job(contender: Contender, tools: &Tools) {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 25;
    let origins = [(); 3].map(|()| Origin::echoing_targets());
    let backends = origins.each_ref().map(|origin| origin.address);
    let running = Running::start(contender, tools, &backends);
    let ask = |client: usize| {
        let mut connection = Connection::connect(running.address);
        for request in 0..REQUESTS {
            let path = format!("/{client}?seed={request}");
            let host = HOSTS[request % HOSTS.len()];
            let answer = connection.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!((answer.status, answer.text()), (200, path), "{} {host}", contender.name);
        }
    };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || ask(client));
        }
    });
    let opened: usize = origins.iter().map(Origin::accepted).sum();
    // Each client may get one at each backend, and health checks make some of their own.
    let most = origins.len() * CLIENTS + 12;
    assert!(opened <= most, "{}: {opened} connections for {CLIENTS} clients", contender.name);
    running.stop();
}

/// A backend that is not there at the start costs few requests, if any, except where nothing is
/// tried again.
fn survives_absent_backends(contender: Contender, tools: &Tools) {
    const REQUESTS: usize = 20;
    let (there, absent) = (Origin::echoing_targets(), Silent::reserve());
    let running = Running::start(contender, tools, &[there.address, absent.address]);
    let mut connection = Connection::connect(running.address);
    let mut failures = 0;
    for _ in 0..REQUESTS {
        let answer = connection.get("/");
        assert!([200, 502, 503].contains(&answer.status), "{}: {answer:?}", contender.name);
        failures += usize::from(answer.status != 200);
    }
    let most = match contender.program {
        // It has no retry, and prefers what is quick to refuse.
        Program::Hyper => REQUESTS,
        // Some choose the same backend for each retry, until they leave it out for a while.
        _ => 3,
    };
    assert!(failures <= most, "{}: {failures} failures", contender.name);
    drop(connection);
    running.stop();
}

#[test]
fn tidegate_does_its_job() {
    each("tidegate", does_its_job);
}

#[test]
fn tidegate_survives_absent_backends() {
    each("tidegate", survives_absent_backends);
}

#[test]
fn hyper_does_its_job() {
    each("rival-hyper", does_its_job);
}

#[test]
fn hyper_survives_absent_backends() {
    each("rival-hyper", survives_absent_backends);
}

#[test]
fn nginx_does_its_job() {
    each("nginx", does_its_job);
}

#[test]
fn nginx_survives_absent_backends() {
    each("nginx", survives_absent_backends);
}

#[test]
fn haproxy_does_its_job() {
    each("haproxy", does_its_job);
}

#[test]
fn haproxy_survives_absent_backends() {
    each("haproxy", survives_absent_backends);
}

#[test]
fn envoy_does_its_job() {
    each("envoy", does_its_job);
}

#[test]
fn envoy_survives_absent_backends() {
    each("envoy", survives_absent_backends);
}

#[test]
fn traefik_does_its_job() {
    each("traefik", does_its_job);
}

#[test]
fn traefik_survives_absent_backends() {
    each("traefik", survives_absent_backends);
}

#[test]
fn caddy_does_its_job() {
    each("caddy", does_its_job);
}

#[test]
fn caddy_survives_absent_backends() {
    each("caddy", survives_absent_backends);
}
