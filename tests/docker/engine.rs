//! The container engine's command line.

use std::process::{Command, Stdio};

use serde_json::Value;

/// A command as it is written, except for the image that it builds in, and for Compose where that
/// is a program of its own.
pub fn command(line: &str) -> Command {
    let mut words: Vec<&str> = line.split(' ').collect();
    if line.starts_with("docker compose ") && !has_compose_plugin() {
        words.splice(..2, ["docker-compose"]);
    }
    let builder = std::env::var("BUILDER").map(|image| format!("BUILDER={image}"));
    if let (true, Ok(builder)) = (line.starts_with("docker build "), &builder) {
        words.splice(2..2, ["--build-arg", builder]);
    }
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn has_compose_plugin() -> bool {
    let mut asked = Command::new("docker");
    asked.args(["compose", "version"]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// Runs a command, and returns its output.
pub fn run(line: &str) -> String {
    finish(line, &mut command(line))
}

pub fn finish(line: &str, command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let [said, complaints] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "`{line}` {}\n{said}{complaints}", output.status);
    said
}

/// All information that the engine has about an image or a container.
pub fn inspect(name: &str) -> Value {
    let text = run(&format!("docker inspect {name}"));
    serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
}

/// The container that publishes a port.
pub fn container_on(port: u16) -> String {
    let ids = run(&format!("docker ps --quiet --filter publish={port}"));
    let [id] = ids.lines().collect::<Vec<_>>()[..] else { panic!("on {port}: {ids:?}") };
    id.to_owned()
}

/// Whether its health check has succeeded.
pub fn is_healthy(container: &str) -> bool {
    inspect(container)["State"]["Health"]["Status"] == "healthy"
}
