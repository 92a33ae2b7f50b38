//! The README as a test: its commands work as written, its table of flags is `--help`, and the
//! documents name only what exists.
//!
//! Commands are those in fenced `sh` blocks. A section's commands run in order, each as a line of
//! bash from the project's root. One that starts a server is left running, in place of the one on
//! its port, until the section ends, and must then stop with status 0 on Ctrl-C. Only what can't be
//! the same here is changed: ports become free ones, minutes of load become a second, a bench has
//! one contender, logs go to a folder of their own. The commands that need a container engine are
//! those of `tests/docker`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod running;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use running::commands::{IN_DOCKER, sections};
use running::{PATIENCE, Running, free_ports, is_open, until};
use tempfile::TempDir;
use tidegate::journal;

/// A command may have to build everything in release first.
const BUILD_PATIENCE: Duration = Duration::from_secs(900);

/// The ports of the README, and the ones used here.
const PORTS: [u16; 5] = [9090, 8081, 8082, 8083, 5002];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect(name)
}

/// What is running in a section, by its port.
struct Terminals {
    ports: HashMap<u16, u16>,
    servers: HashMap<u16, Running>,
    logs: TempDir,
}

impl Terminals {
    fn new() -> Self {
        let ports = PORTS.into_iter().zip(free_ports::<{ PORTS.len() }>()).collect();
        Self { ports, servers: HashMap::new(), logs: tempfile::tempdir().unwrap() }
    }

    fn port(&self, written: u16) -> u16 {
        self.ports[&written]
    }

    /// The command as it is run here.
    fn adapt(&self, command: &str) -> String {
        let mut adapted = command.replace("-d30s", "-d1s").replace("-d120s", "-d1s");
        for (written, free) in &self.ports {
            adapted = adapted.replace(&written.to_string(), &free.to_string());
        }
        let [proxy, a, b, c, dashboard] = PORTS.map(|port| self.port(port));
        let places = format!("--port {proxy} --backend-ports {a},{b},{c}");
        let log = self.logs.path().join("rows.csv");
        let log = if command.contains("--log") {
            String::new()
        } else {
            format!("--log {}", log.display())
        };
        if command.starts_with("./scripts/up") {
            format!("{adapted} {places} --dashboard-port {dashboard} -- {log}")
        } else if command.starts_with("./scripts/scenarios") {
            let folder = self.logs.path().display();
            format!("{adapted} {places} --seconds 1 --logs {folder} --out {folder}")
        } else if command.starts_with("./scripts/report") {
            let logs = self.logs.path().display();
            format!("{adapted} {logs} --out {logs}/reports")
        } else if command.starts_with("./scripts/bench") {
            let (folder, one) = (self.logs.path().display(), "small-64 --contender tidegate");
            format!("{adapted} --rounds 1 --workload {one} --reports {folder}")
        } else if command.starts_with("./target/release/tidegate-dashboard") {
            format!("{adapted} --port {dashboard}")
        } else if ["./target/release/tidegate ", "./target/release/rival-hyper "]
            .iter()
            .any(|program| command.starts_with(program))
        {
            let upstreams = [a, b, c].map(|port| format!("--upstream http://localhost:{port}"));
            format!("{adapted} --listen 127.0.0.1:{proxy} {} {log}", upstreams.join(" "))
        } else {
            adapted
        }
    }

    /// The port that a server listens on and the words with which it says so; `None` for a command
    /// that ends by itself.
    fn serves(command: &str) -> Option<(u16, &'static str)> {
        let program = command.split(' ').find(|word| !word.contains('='))?;
        let is_short = command.contains("--check") || command.contains("--health");
        match program {
            "./scripts/up" => Some((9090, "is up at")),
            "./target/release/rival-hyper" => Some((9090, "listening on")),
            "./target/release/tidegate" if !is_short => Some((9090, "listening on")),
            "./target/release/tidegate-dashboard" => Some((5002, "http://")),
            "./target/release/tidegate-backend" => {
                let port = PORTS.into_iter().find(|port| command.contains(&port.to_string()));
                Some((port.expect("a backend with a port"), "listening on"))
            }
            _ => None,
        }
    }

    fn run(&mut self, command: &str) {
        // It is running now, and has called this.
        if command == "./scripts/test" {
            assert!(root().join(command).is_file());
            return;
        }
        let adapted = self.adapt(command);
        let server = Self::serves(command);
        if let Some((port, _)) = server {
            self.stop(port);
        }
        let mut bash = Command::new("bash");
        // Replaced by its one command, it is the one that Ctrl-C reaches.
        bash.arg("-c").arg(exec(&adapted)).current_dir(root());
        let mut running = Running::start(&mut bash);
        if let Some((port, words)) = server {
            running.says(words, BUILD_PATIENCE);
            assert!(is_open(self.port(port)), "{adapted}");
            self.servers.insert(port, running);
        } else {
            let (status, said) = running.ends(BUILD_PATIENCE);
            assert!(status.success(), "`{adapted}` {status}\n{said}");
            assert!(!said.contains("Non-2xx"), "`{adapted}`\n{said}");
        }
    }

    fn stop(&mut self, port: u16) {
        if let Some(server) = self.servers.remove(&port) {
            server.press_ctrl_c();
            let (status, said) = server.ends(PATIENCE);
            assert!(status.success(), "the server on {port} {status}\n{said}");
            let here = self.port(port);
            until("a port left alone", PATIENCE, || !is_open(here));
        }
    }
}

/// Has bash become the program, after what is set for it.
fn exec(command: &str) -> String {
    let settings: Vec<_> = command.split(' ').take_while(|word| word.contains('=')).collect();
    let program = command.split(' ').skip(settings.len()).collect::<Vec<_>>().join(" ");
    let exports: Vec<_> = settings.iter().map(|setting| format!("export {setting}; ")).collect();
    format!("{}exec {program}", exports.concat())
}

/// Builds what the commands run. The ports are chosen only after it, while they are still free.
fn build() {
    let mut cargo = Command::new(env!("CARGO"));
    let built = cargo.args(["build", "--release", "--bins"]).current_dir(root()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[test]
fn every_command_works_as_written() {
    build();
    let mut commands = 0;
    let mut running = Terminals::new();
    for (title, section) in sections(&read("README.md")) {
        for command in section.iter().filter(|_| title != IN_DOCKER) {
            running.run(command);
            commands += 1;
        }
        for port in PORTS {
            running.stop(port);
        }
    }
    assert!(commands > 15, "only {commands} commands were found");
}

/// The flags that `--help` tells of, as tables, one for each group.
fn flags_of_help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, groups) = help.split_once("--version\n").expect("what comes before the groups");
    let (_, groups) = groups.split_once("\n\n").expect("the first group");
    let (groups, _) = groups.split_once("\nEXAMPLES\n").expect("what follows the flags");
    // Each group and flag, with the words that are further in.
    let mut entries: Vec<(&str, String)> = Vec::new();
    for line in groups.lines().filter(|line| !line.is_empty()) {
        match entries.last_mut() {
            Some((_, words)) if line.starts_with("       ") => {
                words.extend([" ", line.trim()]);
            }
            _ => entries.push((line.trim(), String::new())),
        }
    }
    let rows = entries.iter().map(|(name, words)| match name.strip_suffix(':') {
        Some(group) => format!("\n**{group}**\n\n| flag | default | what it says |\n|---|---|---|"),
        None => row(name, words),
    });
    rows.collect::<Vec<_>>().join("\n") + "\n"
}

/// One flag as a row; what its possible values mean, the README says elsewhere.
fn row(flag: &str, words: &str) -> String {
    let (text, default) = words.split_once("[default: ").unwrap_or((words, ""));
    let text = text.split("Possible values:").next().unwrap().trim();
    let flag = flag.replace('|', "\\|");
    let default = match default.trim_end_matches(']') {
        "" => String::new(),
        default => format!("`{}` ", default.replace(' ', "` `")),
    };
    format!("| `{flag}` | {default}| {text} |")
}

#[test]
fn the_table_of_flags_is_the_programs_help() {
    let table = flags_of_help();
    assert!(table.matches("| `--").count() > 20, "{table}");
    let readme = read("README.md");
    assert!(readme.contains(&table), "the README should have this table:\n{table}");
}

#[test]
fn the_columns_of_the_log_are_those_that_are_written() {
    let readme = read("README.md");
    let header = journal::header();
    let wrapped = readme.split("```text\n").find(|block| block.starts_with("timestamp,"));
    let block = wrapped.expect("a block with the header").split("```").next().unwrap();
    assert_eq!(block.replace('\n', ""), header.trim_end());
    for column in header.trim_end().split(',') {
        let rows = readme.lines().filter(|line| line.starts_with("| `"));
        let named = rows.filter(|row| row.contains(&format!("`{column}`"))).count();
        assert!(named > 0, "{column} is not explained");
    }
}

#[test]
fn the_documents_name_only_files_that_exist() {
    let docs =
        ["architecture", "conformance", "dependencies", "fuzzing", "performance", "reliability"];
    let docs = docs.map(|name| format!("docs/{name}.md"));
    for document in ["README.md", "CONTRIBUTING.md"].into_iter().chain(docs.iter().map(|d| &**d)) {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let exists = link.contains("://") || folder.join(link).exists();
            assert!(exists, "{document} links to {link}");
        }
        let words = text.split(['`', ' ', '\n', '(', ')']);
        for word in words.filter(|word| is_rust(word)) {
            assert!(names_a_file(word), "{document} names {word}");
        }
    }
}

fn is_rust(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|end| end == "rs") && !word.contains("://")
}

/// Whether a path, or a bare name, is that of a file in `src/`, in `lab/src/` or from the root.
fn names_a_file(word: &str) -> bool {
    fn find(folder: PathBuf, name: &str) -> bool {
        fs::read_dir(folder).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            path.ends_with(name) || (path.is_dir() && find(path, name))
        })
    }
    let folders = ["src", "lab/src"].map(|folder| root().join(folder));
    root().join(word).is_file() || folders.into_iter().any(|folder| find(folder, word))
}

#[test]
fn every_dependency_is_accounted_for_with_its_version() {
    let manifests = ["Cargo.toml", "lab/Cargo.toml"].map(read);
    let (lock, page) = (read("Cargo.lock"), read("docs/dependencies.md"));
    let dependencies = manifests.iter().flat_map(|manifest| {
        let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
        rest.lines().take_while(|line| !["[profile", "[lints"].iter().any(|s| line.starts_with(s)))
    });
    // What has a path is a part of this project.
    let lines = dependencies.filter(|line| !line.contains("path = "));
    let names: Vec<_> = lines.filter_map(|line| line.split_once(" = ")).map(|it| it.0).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in &names {
        // Another crate may bring an older version of the same one along.
        let entry = format!("name = \"{name}\"\nversion = \"");
        let entries = lock.split(&entry).skip(1);
        let rows: Vec<_> = entries
            .map(|entry| format!("| {name} | {} |", entry.split('"').next().unwrap()))
            .collect();
        let found = rows.iter().any(|row| page.contains(row));
        assert!(found, "docs/dependencies.md should have one of {rows:?}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| crate"));
    for row in rows {
        let name = row.split('|').nth(1).unwrap().trim();
        assert!(names.contains(&name), "{name} is no dependency");
    }
}
