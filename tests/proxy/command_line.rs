//! The command line: what it accepts, and the errors for what it does not.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;
use support::clock::until;
use support::http::get;
use support::origin::{Origin, Silent};
use support::process::{Process, Proxy, run, run_with, tidegate};

#[test]
fn a_wrong_flag_is_named_with_what_would_be_right() {
    let cases: [(&[&str], &str); 16] = [
        (&["fastest"], "adaptive_ewma"),
        (&["--upstream", "https://a"], "TLS"),
        (&["--upstream", "http://a/api"], "/api"),
        (&["--upstream", "a:80"], "http://"),
        (&["--listen", "localhost"], "127.0.0.1:9090"),
        (&["--response-timeout", "5"], "--response-timeout"),
        (&["--response-timeout", "0s"], "longer than 0"),
        (&["--max-head-bytes", "70000"], "--max-head-bytes"),
        (&["--ewma-alpha", "2"], "at most 1"),
        (&["--sma-window", "0"], "--sma-window"),
        (&["--workers", "0"], "--workers"),
        (&["--pin", "9999", "--log", "none"], "9999"),
        (
            &["--cooldown", "10s", "--cooldown-max", "1s"],
            "--cooldown <DURATION>: cooldown must not be longer than cooldown-max (1s)",
        ),
        (&["--trusted-proxy", "lb.example"], "10.0.0.0/8"),
        (&["--trusted-proxy", "10.0.0.0/33"], "0 to 32"),
        (&["--no-such-flag"], "--no-such-flag"),
    ];
    for (flags, words) in cases {
        let ended = run(flags);
        assert_eq!(ended.code, Some(2), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{flags:?}");
    }
}

/// The core that a process may run on, and what `--check` prints on workers and cores there.
fn checked_on_one_core(flags: &[&str]) -> (usize, String) {
    let core = *tidegate::reactor::cores::allowed().unwrap().last().unwrap();
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), env!("CARGO_BIN_EXE_tidegate"), "--check"]).args(flags);
    let mut process = Process::spawn(command.args(["--upstream", "http://127.0.0.1:1"]));
    assert_eq!(process.ended().code(), Some(0), "{}", process.stderr());
    (core, process.stdout())
}

#[test]
fn there_are_as_many_workers_as_cores_may_be_used_and_each_has_its_own() {
    let (_, said) = checked_on_one_core(&["--workers", "auto"]);
    assert!(said.contains(&format!("{:<22} 1\n", "workers")), "{said}");
    let (core, said) = checked_on_one_core(&["--pin", "auto"]);
    assert!(said.contains(&format!("{:<22} {core}\n", "pin")), "{said}");
    let other = core + 1;
    let ended = run(&["--check", "--pin", &other.to_string()]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains(&format!("no core {other}")), "{}", ended.stderr);
}

#[test]
fn a_pinned_worker_stays_on_its_core() {
    let core = *tidegate::reactor::cores::allowed().unwrap().last().unwrap();
    let proxy = Proxy::start(&[Silent::reserve().address], &["--pin", &core.to_string()]);
    assert_eq!(proxy.process.core_of("worker-0"), core);
}

/// A name server at which nothing listens.
fn no_resolver() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[test]
fn an_upstream_that_has_no_address_is_named_by_the_check() {
    let url = "http://no-such-host.invalid:1";
    let ended = run(&["--check", "--resolver", &no_resolver(), "--upstream", url]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("no-such-host.invalid"), "{}", ended.stderr);
    assert!(ended.stderr.contains("can't be reached"), "{}", ended.stderr);
}

#[test]
fn a_proxy_starts_though_no_upstream_has_an_address_and_says_so() {
    let url = "http://no-such-host.invalid:1";
    let flags = ["--resolver", &no_resolver(), "--upstream", url, "--log", "none"];
    let mut proxy =
        Proxy::spawn(&mut tidegate(&[&["--listen", "127.0.0.1:0"], &flags[..]].concat()));
    let said = proxy.process.line("have no address");
    assert!(said.contains(&format!("{url}; no upstream has one")), "{said}");
    assert_eq!(get(proxy.address(), "/").status, 503);
}

#[test]
fn an_upstream_that_is_the_proxy_itself_is_refused_by_its_port() {
    // The port is in use, too, which must not be the error.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for (listen, host) in
        [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), ("[::]", "127.0.0.1")]
    {
        let (listen, url) = (format!("{listen}:{port}"), format!("http://{host}:{port}"));
        let flags = ["--log", "none", "--listen", &listen, "--upstream", &url];
        for mode in [&["--check"][..], &[]] {
            let ended = run(&[mode, &flags].concat());
            assert_eq!(ended.code, Some(2), "{listen} {url}: {}", ended.stderr);
            assert!(ended.stderr.contains(&url), "{}", ended.stderr);
            assert!(ended.stderr.contains(&format!("port {port} ")), "{}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
    let other = format!("127.0.0.2:{port}");
    let url = format!("http://127.0.0.1:{port}");
    let ended = run(&["--check", "--log", "none", "--listen", &other, "--upstream", &url]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_port_in_use_is_named_with_the_way_to_another() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let ended = run(&["--listen", &address, "--log", log.to_str().unwrap(), "--workers", "2"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("--listen"));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(!log.exists(), "no log is begun");
}

#[test]
fn two_proxies_do_not_share_a_port() {
    let origin = Origin::echoing_targets();
    let first = Proxy::start(&[origin.address], &["--workers", "2"]);
    let address = first.address().to_string();
    let ended = run(&["--listen", &address, "--log", "none", "--workers", "2"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn a_log_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.join("below/a/file.csv"), folder.path().to_owned()] {
        let path = path.to_str().unwrap();
        let ended = run(&["--listen", "127.0.0.1:0", "--log", path]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(path), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_file_that_is_no_log_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious.txt");
    std::fs::write(&file, "precious\n").unwrap();
    let ended = run(&["--listen", "127.0.0.1:0", "--log", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(2), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious\n");
}

#[test]
fn check_prints_the_settings_and_does_not_listen() {
    let silent = Silent::reserve();
    let listen = silent.address.to_string();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let log = log.to_str().unwrap();
    let flags = ["adaptive-ewma", "--ewma-alpha", "0.5", "--upstream", "http://localhost:8081"];
    let ended = run(&[&flags[..], &["--listen", &listen, "--check", "--log", log]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let of = |name: &str| {
        let line = ended.stdout.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(char::is_whitespace)).unwrap().1.trim().to_owned()
    };
    assert_eq!((of("policy "), of("ewma-alpha ")), ("adaptive_ewma".into(), "0.5".into()));
    assert_eq!(of("listen "), listen);
    assert_eq!(of("response-timeout "), "1m");
    assert_eq!(of("log "), log);
    assert!(of("http://localhost:8081 ").contains(":8081"), "{}", ended.stdout);
    assert!(!std::path::Path::new(log).exists());
}

#[test]
fn check_prints_the_plan_for_programs() {
    let flags = ["--check", "--json", "--log", "none", "--port", "0"];
    let ended = run(&[&flags[..], &["--upstream", "http://127.0.0.1:8081"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let backend = json!({ "url": "http://127.0.0.1:8081", "addresses": ["127.0.0.1:8081"] });
    assert_eq!(plan["backends"], json!([backend]));
    let settings = &plan["settings"];
    assert_eq!(settings["listen"], json!(["0.0.0.0:0"]));
    assert_eq!(settings["response-timeout"], "1m");
    assert_eq!(settings["max-headers"], 128);
    assert_eq!(run(&["--json"]).code, Some(2), "alone it means nothing");
}

#[test]
fn the_environment_gives_settings_and_flags_win() {
    let variables = [
        ("TIDEGATE_POLICY", "adaptive_sma"),
        ("TIDEGATE_UPSTREAM", "http://127.0.0.1:8081,http://127.0.0.1:8082"),
        ("TIDEGATE_BODY_TIMEOUT", "7s"),
        ("TIDEGATE_LOG", "none"),
    ];
    let ended = run_with(&variables, &["--check", "--body-timeout", "9s"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for line in [
        "policy                 adaptive_sma\n",
        "upstream               http://127.0.0.1:8081, http://127.0.0.1:8082\n",
        "body-timeout           9s\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}{}", ended.stdout);
    }
    // One that serves has the settings, too.
    let origin = Origin::echoing_targets();
    let url = format!("http://{}", origin.address);
    let variables = [("TIDEGATE_LISTEN", "127.0.0.1:0"), ("TIDEGATE_UPSTREAM", &url)];
    let mut proxy = Process::spawn(tidegate(&["--log", "none"]).envs(variables));
    until("the proxy listens", || proxy.stdout().contains(&url).then_some(()));
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.stderr());
}

#[test]
fn a_wrong_variable_is_named() {
    for (name, text, words) in [
        ("TIDEGATE_RESPONSE_TIMEOUT", "5", "TIDEGATE_RESPONSE_TIMEOUT: invalid value '5': `5` is"),
        ("TIDEGATE_RESPONS_TIMEOUT", "5s", "did you mean TIDEGATE_RESPONSE_TIMEOUT?\n"),
    ] {
        let ended = run_with(&[(name, text)], &["--check"]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn health_asks_the_proxy_itself() {
    // Its only backend is down, but the proxy works.
    let silent = Silent::reserve();
    let proxy = Proxy::start(&[silent.address], &[]);
    let address = proxy.address().to_string();
    assert_eq!(run(&["--health", "--listen", &address]).code, Some(0));
    let ended = run(&["--health", "--listen", &silent.address.to_string()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&silent.address.to_string()), "{}", ended.stderr);
    // Something else listens there.
    let other = Origin::serve(|mut connection| {
        let _ = connection.head();
        connection.send("SSH-2.0-other\r\n");
    });
    let ended = run(&["--health", "--listen", &other.address.to_string()]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    // It does not wait for an endless answer.
    let endless =
        Origin::serve(|connection| while connection.stream().write_all(&[b'x'; 4096]).is_ok() {});
    let ended = run(&["--health", "--listen", &endless.address.to_string()]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn health_says_that_nothing_was_answered_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let ended = run(&["--health", "--listen", &address]);
    let expected = format!("tidegate: no proxy answers at {address}: no answer within 2 s\n");
    assert_eq!((ended.code, ended.stderr), (Some(1), expected));
}

#[test]
fn version_and_help_tell_what_it_is() {
    let ended = run(&["--version"]);
    let expected = format!("tidegate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((ended.code, ended.stdout), (Some(0), expected));
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for words in ["EXAMPLES", "SIGHUP", "EXIT STATUS", "[default: 10s]", "http://localhost:8083"] {
        assert!(help.stdout.contains(words), "{words}: {}", help.stdout);
    }
    let summary = run(&["-h"]);
    assert_eq!(summary.code, Some(0));
    assert!(summary.stdout.contains("--upstream") && summary.stdout.lines().count() <= 42);
}

#[test]
fn it_says_where_it_listens_and_what_for() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&[origin.address], &["adaptive_sma", "--workers", "1"]);
    let said = proxy.process.stdout();
    let expected = format!(
        "listening on http://{}\npolicy adaptive_sma, persistent connections, 1 workers, no log\n\
         upstream http://{}\n",
        proxy.address(),
        origin.address
    );
    assert_eq!(said, expected);
}
