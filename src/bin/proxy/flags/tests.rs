//! Flags as typed, and the settings they make or the refusals they meet.

use super::*;

fn flags(args: &[&str]) -> Flags {
    Flags::try_parse_from([&["tidegate"], args].concat()).expect("valid flags")
}

fn tcp(address: &str) -> Listen {
    Endpoint::Tcp(address.parse().expect("an address")).into()
}

fn refusal(args: &[&str]) -> String {
    match Flags::try_parse_from([&["tidegate"], args].concat()) {
        Ok(flags) => flags.settings().expect_err("refused").to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn without_flags_it_is_the_original_experiment() {
    let flags = flags(&[]);
    let settings = flags.settings().expect("settings");
    assert_eq!(settings.policy, Policy::RoundRobin);
    assert_eq!(settings.upstream_reuse, UpstreamReuse::Persistent);
    assert_eq!(settings.listen, [tcp("0.0.0.0:9090")]);
    let urls: Vec<_> = settings.backends.iter().map(|u| u.url.as_str()).collect();
    assert_eq!(urls, ["http://localhost:8081", "http://localhost:8082", "http://localhost:8083"]);
    let log = flags.log(&settings);
    assert_eq!(log, Some("logs/round-robin_persistent.csv".into()));
}

#[test]
fn by_default_it_has_ended_before_a_container_engine_kills_it() {
    /// As `docker stop` does.
    const KILLED_AFTER: Duration = Duration::from_secs(10);
    let timeouts = flags(&[]).settings().expect("settings").timeouts;
    assert_eq!((timeouts.shutdown_delay, timeouts.drain.as_secs()), (Duration::ZERO, 8));
    // A second for a log that takes nothing, and half of one for the last words.
    assert!(timeouts.drain + Duration::from_millis(1500) < KILLED_AFTER);
}

#[test]
fn every_policy_is_known_by_both_spellings_and_gets_its_parameter() {
    for (name, policy) in [
        ("round-robin", Policy::RoundRobin),
        ("round_robin", Policy::RoundRobin),
        ("adaptive_sma", Policy::AdaptiveSma { window: 5 }),
        ("adaptive-sma", Policy::AdaptiveSma { window: 5 }),
        ("adaptive_ewma", Policy::AdaptiveEwma { alpha: 0.5 }),
        ("adaptive-ewma", Policy::AdaptiveEwma { alpha: 0.5 }),
    ] {
        let flags = flags(&[name, "--sma-window", "5", "--ewma-alpha", "0.5"]);
        assert_eq!(flags.settings().expect("settings").policy, policy, "{name}");
    }
    assert!(refusal(&["fastest"]).contains("adaptive_ewma"));
}

#[test]
fn the_log_is_named_after_the_policy_and_the_connections() {
    let flags = flags(&["adaptive-ewma", "--connections", "non-persistent"]);
    let log = flags.log(&flags.settings().expect("settings"));
    assert_eq!(log, Some("logs/adaptive_ewma_non_persistent.csv".into()));
}

#[test]
fn the_log_can_be_named_or_left_out() {
    let named = flags(&["--log", "x/y.csv"]);
    assert_eq!(named.log(&named.settings().expect("settings")), Some("x/y.csv".into()));
    let none = flags(&["--log", "none"]);
    assert_eq!(none.log(&none.settings().expect("settings")), None);
}

#[test]
fn values_out_of_range_are_refused_by_the_name_of_their_flag() {
    for args in [
        ["--sma-window", "0"],
        ["--ewma-alpha", "0"],
        ["--ewma-alpha", "NaN"],
        ["--ewma-alpha", "1.1"],
        ["--response-timeout", "0s"],
        ["--response-timeout", "5"],
        ["--max-head-bytes", "65536"],
        ["--max-attempts", "0"],
        ["--workers", "0"],
        ["--listen", "9090"],
        ["--pin", "x"],
        ["--pin", "100000"],
        ["--cooldown", "6s"],
    ] {
        let refusal = refusal(&args);
        assert!(refusal.contains(args[0]), "{args:?}: {refusal}");
    }
}

#[test]
fn a_list_of_cores_decides_how_many_workers_there_are() {
    let core = cores::allowed().expect("cores")[0].to_string();
    let list = format!("{core},{core}");
    let settings = flags(&["--pin", &list]).settings().expect("settings");
    assert_eq!((settings.workers, settings.cores.len()), (2, 2));
    assert!(refusal(&["--pin", &list, "--workers", "3"]).contains("name one for each"));
}

#[test]
fn a_port_alone_is_that_port_at_every_ipv4_address() {
    let listen = |args: &[&str]| flags(args).settings().expect("settings").listen;
    assert_eq!(listen(&["--port", "8080"]), listen(&["--listen", "0.0.0.0:8080"]));
    assert_eq!(listen(&["--port=0"]), [tcp("0.0.0.0:0")]);
    for args in [&["--port", "65536"][..], &["--port", "1", "--listen", "[::]:1"]] {
        assert!(refusal(args).contains("--port"), "{args:?}");
    }
}
