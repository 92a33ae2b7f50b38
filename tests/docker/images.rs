//! What is in the images, with either builder.

use std::process::{Command, Stdio};

use crate::engine::{command, finish, inspect};

/// Builds the backend.
pub const BUILD: &str = "docker build -t backend-server:latest .";

/// The target of each image, its name, its program, what asks for its health, and the number of its
/// layers: one for the programs, and for the proxy one for its folders and one for its file.
const IMAGES: [(&str, &str, &str, [&str; 2], usize); 3] = [
    ("proxy", "tidegate-proxy", "/tidegate", ["/tidegatectl", "health"], 3),
    ("dashboard", "tidegate-dashboard", DASHBOARD, [DASHBOARD, "--health"], 1),
    ("backend", "backend-server", BACKEND, [BACKEND, "--health"], 1),
];
const DASHBOARD: &str = "/tidegate-dashboard";
const BACKEND: &str = "/tidegate-backend";

/// The value of `DOCKER_BUILDKIT` that chooses each builder.
const BUILDERS: [(&str, &str); 2] = [("the classic builder", "0"), ("BuildKit", "1")];

/// The most that "a few MB" may be.
const MOST_BYTES: u64 = 8_000_000;

/// Whether this engine and its client have the builder; tried with a minimal image.
fn has(builder: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "printf 'FROM scratch\\nLABEL least=yes\\n' | docker build --tag tidegate-least -",
    ]);
    shell.env("DOCKER_BUILDKIT", builder).stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

#[test]
#[ignore = "needs a container engine: ./scripts/docker-test"]
fn either_builder_makes_small_images_of_one_program_without_rights() {
    let (here, missing): (Vec<_>, Vec<_>) = BUILDERS.iter().partition(|(_, value)| has(value));
    for (name, _) in missing {
        println!("{name} is not available here");
    }
    assert!(!here.is_empty());
    let mut from = "";
    for (name, value) in here {
        for (target, tag, program, health, layers) in IMAGES {
            let line = format!("docker build {from}--target {target} --tag {tag} .");
            finish(&line, command(&line).env("DOCKER_BUILDKIT", value));
            let image = inspect(tag);
            let config = &image["Config"];
            assert_eq!(config["User"], "65532:65532", "{tag}");
            assert_eq!(config["Entrypoint"][0], program);
            let health = [&["CMD"], &health[..]].concat();
            assert_eq!(config["Healthcheck"]["Test"], serde_json::json!(health));
            assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), layers, "{tag}");
            let bytes = image["Size"].as_u64().unwrap();
            println!("{tag} by {name}: {:.2} MB", bytes as f64 / 1e6);
            assert!(bytes < MOST_BYTES, "{tag}: {bytes} bytes");
        }
        // The other builder starts from the compiled dependencies and only builds the crates here.
        if from.is_empty() {
            let line = "docker build --target build --tag tidegate-built .";
            finish(line, command(line).env("DOCKER_BUILDKIT", value));
            from = "--build-arg BUILDER=tidegate-built ";
        }
    }
}
