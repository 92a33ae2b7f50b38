//! The images and the stack of `compose.yaml`, in a real container engine, as `docs/docker.md` runs
//! them.
//!
//! Tested is what an engine does to a program: the program is process 1, its root is read-only, its
//! user has no rights, its health is checked, and it is stopped, frozen and started again. These
//! tests are run by `scripts/docker-test`, which provides an engine and cleans up; one at a time,
//! because they share the document's ports.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

mod backends;
mod engine;
mod images;
mod load;
mod script;
mod stack;

use std::net::{Ipv4Addr, SocketAddr};

use support::commands;

/// The commands of `docs/docker.md` that begin with `words`.
fn documented(words: &str) -> Vec<String> {
    let commands = commands::sections(include_str!("../../docs/docker.md")).into_iter().flatten();
    commands.filter(|command| command.starts_with(words)).collect()
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn every_documented_command_is_run_here() {
    let [build, run, compose] = ["docker build", "docker run", "docker compose"].map(documented);
    assert_eq!(build, [images::BUILD]);
    assert_eq!(
        run,
        [(8081, 'A'), (8082, 'B'), (8083, 'C')].map(|(port, id)| format!(
            "docker run --rm -p {port}:8080 -e PORT=8080 -e SERVER_ID={id} backend-server:latest"
        ))
    );
    assert_eq!(compose, [stack::UP, stack::DOWN]);
    assert_eq!(documented("").len(), 1 + 3 + 2);
}
