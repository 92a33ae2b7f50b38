//! The documents as tests: their commands work as written, their tables of flags and columns are
//! those of the programs, and they name only what exists.
//!
//! Commands are those in fenced `sh` blocks. A section's commands run in order, each as a line of
//! bash from the project's root. One that starts a server keeps running, in place of the one on
//! its port, until the section ends; then it must stop with status 0 on Ctrl-C. Only what can't be
//! the same here is changed: ports become free ones, a minute of load becomes a second, a bench has
//! one contender, logs go to a folder of their own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::clock::{PATIENCE, until};
use support::commands::sections;
use support::ports::{free_ports, is_open, until_closed};
use support::process::Process;
use tempfile::TempDir;
use tidegate::control::describe;
use tidegate::journal;
use tidegate::proxy::metrics::exposition;

/// The documents whose commands are run here.
const RUN_HERE: [&str; 13] = [
    "README.md",
    "docs/admin.md",
    "docs/backend.md",
    "docs/balancing.md",
    "docs/comparison.md",
    "docs/dashboard.md",
    "docs/decisions.md",
    "docs/experiment.md",
    "docs/flags.md",
    "docs/http.md",
    "docs/log.md",
    "docs/operations.md",
    "docs/simulate.md",
];

/// The documents whose commands are run elsewhere, and where.
const RUN_ELSEWHERE: [(&str, &str); 6] = [
    ("CONTRIBUTING.md", "they are this test and what runs it"),
    ("docs/arena.md", "lab/tests/arena.rs; by hand: a full run takes forty minutes"),
    ("docs/conformance.md", "they are tests/wire"),
    ("docs/docker.md", "tests/docker, which needs a container engine"),
    ("docs/fuzzing.md", "they are tests/properties, and libFuzzer, which needs a nightly Rust"),
    ("docs/performance.md", "by hand: a full bench takes twenty minutes"),
];

/// A command may have to build everything in release first.
const BUILD_PATIENCE: Duration = Duration::from_secs(900);

/// The ports of the documents, for each of which a free one is used here.
const PORTS: [u16; 9] = [9090, 9091, 8080, 8081, 8082, 8083, 5002, 3000, 3001];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect(name)
}

/// Every document, by its path from the root.
fn documents() -> Vec<String> {
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let pages = pages.map(|path| format!("docs/{}", path.file_name().unwrap().display()));
    ["README.md", "CONTRIBUTING.md"].map(str::to_owned).into_iter().chain(pages).collect()
}

/// What is running in a section, by its port.
struct Terminals {
    ports: HashMap<u16, u16>,
    servers: HashMap<u16, Process>,
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
        let logs = self.logs.path().display();
        let log = format!("--log {logs}/rows.csv");
        let adapted = ["-d30s", "-d60s", "-d120s"]
            .into_iter()
            .fold(self.with_free_ports(command), |line, time| line.replace(time, "-d1s"))
            .replace("logs/adaptive_persistent.csv", &format!("{logs}/rows.csv"))
            .replace("/tmp/requests.csv", &format!("{logs}/requests.csv"))
            .replace("tidegate.toml", &format!("{logs}/tidegate.toml"))
            .replace("admin.sock", &format!("{logs}/admin.sock"));
        let log = if command.contains("--log") { "" } else { &log };
        let [proxy, a, b, c, dashboard, admin] =
            [9090, 8081, 8082, 8083, 5002, 9091].map(|port| self.port(port));
        let places = format!("--port {proxy} --backend-ports {a},{b},{c}");
        match program(command) {
            "./scripts/up" => {
                let (lab, flags) = adapted.split_once(" -- ").unwrap_or((&adapted, ""));
                let places = format!("{places} --dashboard-port {dashboard} --admin-port {admin}");
                format!("{lab} {places} -- {flags} {log}")
            }
            "./scripts/scenarios" => {
                format!("{adapted} {places} --seconds 1 --logs {logs} --out {logs}")
            }
            "./scripts/report" => format!("{adapted} {logs} --out {logs}/reports"),
            "./scripts/arena" => {
                let one = "--scenario uneven --contender tidegate-adaptive";
                let one = if command.contains("--scenario") { "" } else { one };
                format!("{adapted} {one} --seconds 1 --out {logs}")
            }
            "./scripts/hedging" => "./scripts/hedging workload 1 1".to_owned(),
            "./scripts/bench" => {
                let one = "small-64 --contender tidegate";
                format!("{adapted} --rounds 1 --workload {one} --reports {logs}")
            }
            "./target/release/tidegate-dashboard" => format!("{adapted} --port {dashboard}"),
            "./target/release/tidegate" | "./target/release/rival-hyper" => {
                let has = |flag| command.contains(flag);
                let listen = if has("--port") { String::new() } else { at(proxy) };
                let upstreams = [a, b, c].map(|port| format!("--upstream http://localhost:{port}"));
                let upstreams = if has("--upstream") { String::new() } else { upstreams.join(" ") };
                format!("{adapted} {listen} {upstreams} {log}")
            }
            _ => adapted,
        }
    }

    /// A command with the free ports in place of those written; other numbers stay.
    fn with_free_ports(&self, command: &str) -> String {
        let pieces = command.split_inclusive(|c: char| !c.is_ascii_digit());
        let free = |piece: &str| {
            let digits = piece.trim_end_matches(|c: char| !c.is_ascii_digit());
            let port = digits.parse().ok().and_then(|port: u16| self.ports.get(&port));
            port.map_or(piece.to_owned(), |port| piece.replace(digits, &port.to_string()))
        };
        pieces.map(free).collect()
    }

    /// The port that a server listens on, as written, and the words with which it says so, if it
    /// does; `None` for a command that ends by itself.
    fn serves(command: &str) -> Option<(u16, &'static str)> {
        if ["--check", "--health", "--print-config"].iter().any(|flag| command.contains(flag)) {
            return None;
        }
        let numbers = command.split(|c: char| !c.is_ascii_digit());
        let written = numbers.filter_map(|it| it.parse().ok()).find(|port| PORTS.contains(port));
        match program(command) {
            "./scripts/up" => Some((9090, "is up at")),
            "./target/release/tidegate" | "./target/release/rival-hyper" => {
                Some((if command.contains("--port") { written? } else { 9090 }, "listening on"))
            }
            "./target/release/tidegate-dashboard" => Some((5002, "http://")),
            "./target/release/tidegate-backend" => Some((written?, "listening on")),
            "python3" => Some((written?, "")),
            _ => None,
        }
    }

    fn run(&mut self, command: &str) {
        // One is running now, and has called this. The other changes the machine: the gate runs it.
        if ["./scripts/test", "./scripts/setup"].contains(&program(command)) {
            assert!(root().join(program(command)).is_file());
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
        let mut running = Process::spawn_group(&mut bash).patient(BUILD_PATIENCE);
        if let Some((port, words)) = server {
            if !words.is_empty() {
                running.line(words);
            }
            let is_serving = || is_open(self.port(port)).then_some(());
            until(&format!("a server: {adapted}"), is_serving);
            self.servers.insert(port, running.patient(PATIENCE));
        } else {
            let (status, said) = running.ends();
            assert!(status.success(), "`{adapted}` {status}\n{said}");
            assert!(!said.contains("Non-2xx"), "`{adapted}`\n{said}");
        }
    }

    fn stop(&mut self, port: u16) {
        if let Some(server) = self.servers.remove(&port) {
            server.press_ctrl_c();
            let (status, said) = server.ends();
            assert!(status.success(), "the server on {port} {status}\n{said}");
            until_closed(&[self.port(port)]);
        }
    }
}

/// The program that a command calls, after what is set for it.
fn program(command: &str) -> &str {
    command.split(' ').find(|word| !word.contains('=')).unwrap_or_default()
}

fn at(port: u16) -> String {
    format!("--listen 127.0.0.1:{port}")
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
    // A task that takes its time, such as all six scenarios, runs once.
    let mut done = HashSet::new();
    for document in RUN_HERE {
        for section in sections(&read(document)) {
            for command in section {
                commands += 1;
                let is_task = command.starts_with("./scripts/");
                if is_task && Terminals::serves(&command).is_none() && !done.insert(command.clone())
                {
                    continue;
                }
                running.run(&command);
            }
            for port in PORTS {
                running.stop(port);
            }
        }
    }
    assert!(commands > 40, "only {commands} commands were found");
}

#[test]
fn the_commands_of_every_document_are_run_somewhere() {
    let has_commands = |document: &String| !sections(&read(document)).concat().is_empty();
    let found: BTreeSet<_> = documents().into_iter().filter(has_commands).collect();
    let elsewhere = RUN_ELSEWHERE.map(|(document, _)| document);
    let known = RUN_HERE.iter().chain(&elsewhere).map(|document| (*document).to_owned());
    assert_eq!(found, known.collect());
}

/// The tables of flags are between these lines.
const FLAGS: [&str; 2] = [
    "<!-- Written by `UPDATE_DOCUMENTS=1 cargo test --test readme flags` -->\n",
    "<!-- Until here -->\n",
];

/// Where the table of metrics is.
const METRICS: [&str; 2] =
    ["<!-- Written by `UPDATE_DOCUMENTS=1 cargo test --test readme metrics` -->\n", FLAGS[1]];

/// What is between two lines of a page has to be this, or becomes it.
fn assert_written(page: &str, [begin, end]: [&str; 2], expected: &str) {
    let text = read(page);
    let (before, rest) = text.split_once(begin).expect("the table's begin");
    let (table, after) = rest.split_once(end).expect("the table's end");
    let expected = format!("\n{expected}\n");
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        let text = [before, begin, &expected, end, after].concat();
        fs::write(root().join(page), text).unwrap();
    } else {
        assert_eq!(table, expected, "UPDATE_DOCUMENTS=1 writes it");
    }
}

#[test]
fn the_table_of_flags_is_that_of_the_settings() {
    assert_written("docs/flags.md", FLAGS, &describe::markdown());
}

#[test]
fn the_table_of_metrics_is_that_of_the_code() {
    assert_written("docs/metrics.md", METRICS, &exposition::markdown());
}

/// The words in the first cells of the tables below a heading, up to the next one of its level.
fn first_cells(page: &str, heading: &str) -> Vec<String> {
    let text = read(page);
    let (_, below) = text.split_once(&format!("\n{heading}\n")).expect("the heading");
    let level = heading.split_inclusive(' ').next().unwrap();
    let below = below.split(&format!("\n{level}")).next().unwrap();
    let rows = below.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split('|').next());
    cells
        .flat_map(|cell| cell.trim().trim_end_matches('`').split("`, `"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_alert_has_its_entry_in_the_runbook() {
    let rules = read("packaging/prometheus/tidegate.rules.yml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    assert_eq!(first_cells("docs/operations.md", "### Alerts"), alerts.collect::<Vec<_>>());
}

/// That its table has each label is a test beside the labels.
#[test]
fn each_fault_has_its_entry_in_the_runbook() {
    let mut known = first_cells("docs/reliability.md", "## Labels of faults");
    let mut told = first_cells("docs/operations.md", "### Faults");
    known.sort_unstable();
    told.sort_unstable();
    assert!(known.len() > 50);
    assert_eq!(told, known);
}

#[test]
fn the_dashboards_flags_are_those_of_its_help() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tidegate-dashboard")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let flags = |text: &str, begin: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(begin));
        let names = lines.filter_map(|line| line.split([' ', '`']).next());
        names.map(str::to_owned).collect()
    };
    assert_eq!(flags(&read("docs/dashboard.md"), "| `--"), flags(&help, "--"));
}

/// The unit's command line, with `--check`, in a folder of its own, and with the file of the page.
#[test]
fn the_service_starts_with_a_command_line_that_is_valid() {
    const FILE: &str = "/etc/tidegate/tidegate.toml";
    let unit = read("packaging/systemd/tidegate.service");
    let start = "ExecStart=/usr/bin/tidegate ";
    let flags = unit.lines().find_map(|line| line.strip_prefix(start)).expect("a unit");
    let page = read("docs/service.md");
    let file = page.split("```toml\n").nth(1).expect("a file").split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    std::fs::write(&path, file).unwrap();
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    proxy.args(flags.split(' ').map(|it| if it == FILE { path.as_os_str() } else { it.as_ref() }));
    let output = proxy.arg("--check").current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_columns_of_the_log_are_described_as_in_the_code() {
    let rows = journal::COLUMNS.map(|column| {
        let says = column.says.trim_end_matches('.');
        let unit = if column.unit.is_empty() { "" } else { &format!("{} ", column.unit) };
        format!("| `{}` | {unit}| {says} |\n", column.name)
    });
    let table = format!("| column | unit | what it says |\n|---|---|---|\n{}", rows.concat());
    let page = read("docs/log.md");
    assert!(page.contains(&table), "docs/log.md should have this table:\n{table}");
    let wrapped = page.split("```text\n").find(|block| block.starts_with("timestamp,"));
    let block = wrapped.expect("a block with the header").split("```").next().unwrap();
    assert_eq!(block.replace('\n', ""), journal::header().trim_end());
}

#[test]
fn the_documents_name_only_what_exists() {
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&document) } else { folder.join(file) };
            assert!(target.exists(), "{document} links to {link}");
            if !heading.is_empty() {
                let headings = headings(&fs::read_to_string(&target).unwrap());
                assert!(headings.contains(heading), "{document} links to {link}: {headings:?}");
            }
        }
        let words = text.split(['`', ' ', '\n', '(', ')']);
        for word in words.filter(|word| is_rust(word)) {
            assert!(names_a_file(word), "{document} names {word}");
        }
    }
}

/// The headings of a page as links spell them: letters in lower case, digits, and `-` for spaces.
fn headings(markdown: &str) -> BTreeSet<String> {
    let lines = markdown.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| {
        let text = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    lines.map(slug).collect()
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
    let manifests = ["Cargo.toml", "lab/Cargo.toml", "tests/models/Cargo.toml"].map(read);
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
