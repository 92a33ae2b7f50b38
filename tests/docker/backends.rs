//! The three backends of `docs/docker.md`, each in a container, behind a proxy outside.

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::engine::{command, container_on, is_healthy, run};
use crate::images::BUILD;
use crate::load::{CLIENTS, Load, greeter};
use crate::{documented, local};
use support::clock::until;
use support::http::{Connection, field, get};
use support::process::{Process, Proxy, tidegate};

const PORTS: [u16; 3] = [8081, 8082, 8083];

fn port_of(backend: char) -> u16 {
    PORTS[usize::from(backend as u8 - b'A')]
}

/// Their three terminals, closed with the test.
struct Terminals([Process; 3]);

impl Terminals {
    fn open() -> Self {
        run(BUILD);
        let runs: [String; 3] = documented("docker run").try_into().expect("three backends");
        let mut terminals = runs.map(|line| Process::spawn(&mut command(&line)));
        for terminal in &mut terminals {
            terminal.says("that it listens", |text| text.contains(" listening on ").then_some(()));
        }
        Self(terminals)
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        for port in PORTS {
            // A panic here during another panic would hide that one.
            let ids = command(&format!("docker ps --quiet --filter publish={port}")).output();
            let ids = ids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            for id in ids.unwrap_or_default().lines() {
                let _ = command(&format!("docker rm --force {id}")).output();
            }
        }
    }
}

/// A proxy in front of the backends, at its default upstreams.
fn proxy(flags: &[&str]) -> Proxy {
    let common = ["--listen", "127.0.0.1:0", "--log", "none"];
    Proxy::spawn(&mut tidegate(&[&common, flags].concat()))
}

#[test]
#[ignore = "needs a container engine: ./scripts/docker-test"]
fn three_containers_serve_behind_a_proxy_and_stop_on_a_signal() {
    let mut terminals = Terminals::open();
    for connections in ["persistent", "non-persistent"] {
        let proxy = proxy(&["round-robin", "--connections", connections]);
        let mut greetings = BTreeMap::<char, usize>::new();
        let mut client = Connection::connect(proxy.address());
        for _ in 0..9 {
            let answer = client.get("/");
            assert_eq!(answer.status, 200, "{answer:?}");
            *greetings.entry(greeter(&answer.text()).expect("a greeting")).or_default() += 1;
            if connections == "non-persistent" {
                assert_eq!(field(&answer.head, "connection").as_deref(), Some("close"));
                client = Connection::connect(proxy.address());
            }
        }
        assert_eq!(greetings.into_iter().collect::<Vec<_>>(), [('A', 3), ('B', 3), ('C', 3)]);
    }
    for port in PORTS {
        let container = container_on(port);
        until("a healthy backend", || is_healthy(&container).then_some(()));
    }
    // 137 would mean that the engine had to kill it.
    let [a, b, c] = &mut terminals.0;
    run(&format!("docker stop {}", container_on(8081)));
    assert_eq!(a.ended().code(), Some(0));
    for (terminal, signal) in [(b, Signal::INT), (c, Signal::TERM)] {
        terminal.signal(signal);
        assert_eq!(terminal.ended().code(), Some(0));
    }
    assert_eq!(run("docker ps --all --quiet --filter ancestor=backend-server:latest"), "");
}

#[test]
#[ignore = "needs a container engine: ./scripts/docker-test"]
fn a_frozen_container_costs_only_its_own_requests() {
    let _terminals = Terminals::open();
    // The end of an ejection would cost one more request.
    let cooldown = ["--cooldown", "1h", "--cooldown-max", "1h"];
    let proxy = proxy(&[&["adaptive_ewma", "--response-timeout", "1s"][..], &cooldown].concat());
    let load = Load::begin(proxy.address());
    // The favourite may have changed just before the engine froze it; then this is repeated.
    let (favourite, next) = until("a favourite that is frozen", || {
        let favourite = load.settles(30);
        let container = container_on(port_of(favourite));
        // The kernel still accepts connections for it, but it never answers.
        run(&format!("docker pause {container}"));
        let next = load.settles(30);
        run(&format!("docker unpause {container}"));
        load.seen().iter().any(|seen| seen.status == 504).then_some((favourite, next))
    });
    assert_ne!(favourite, next);
    let seen = load.end();
    let late = seen.iter().filter(|seen| seen.status == 504).count();
    assert!((1..=CLIENTS).contains(&late), "{late} answers were 504");
    let well = seen.iter().filter(|seen| seen.status == 200).count();
    assert_eq!(well + late, seen.len(), "{seen:?}");
    assert_eq!(greeter(&get(local(port_of(favourite)), "/").text()), Some(favourite));
}
