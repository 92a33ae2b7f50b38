//! The images and the stack of `compose.yaml`, in a real container engine, as the README runs them.
//!
//! What an engine does to a program is what is tested: it is process 1, its root is read-only, its
//! user is no one, it is asked how it is, stopped, frozen and started again. Those tests are run by
//! `scripts/docker-test`, which sees to an engine and cleans up, one at a time, for they share the
//! README's ports.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

mod backends;
#[path = "../running/commands.rs"]
mod commands;
mod engine;
mod images;
mod load;
mod script;
#[path = "../running/scripted.rs"]
mod scripted;
mod stack;
#[path = "../support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, SocketAddr};

/// The commands of the README's section that begin with `words`.
fn readme(words: &str) -> Vec<String> {
    let sections = commands::sections(include_str!("../../README.md")).into_iter();
    let commands = sections.filter(|(title, _)| title == commands::IN_DOCKER).flat_map(|(_, c)| c);
    commands.filter(|command| command.starts_with(words)).collect()
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn every_command_of_the_readmes_section_is_run_here() {
    let [build, run, compose] = ["docker build", "docker run", "docker compose"].map(readme);
    assert_eq!(build, [images::BUILD]);
    assert_eq!(
        run,
        [(8081, 'A'), (8082, 'B'), (8083, 'C')].map(|(port, id)| format!(
            "docker run --rm -p {port}:8080 -e PORT=8080 -e SERVER_ID={id} backend-server:latest"
        ))
    );
    assert_eq!(compose, [stack::UP, stack::DOWN]);
    assert_eq!(readme("").len(), 1 + 3 + 2);
}
