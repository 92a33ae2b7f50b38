//! Flags as typed, and the plans they make or the refusals they meet.

use std::time::Duration;

use super::*;
use crate::balance::Policy;
use crate::control::plan::plan;
use crate::proxy::settings::{Listen, Pin, Plan, Settings, UpstreamReuse};
use crate::reactor::cores;

fn matches(args: &[&str]) -> Result<ArgMatches, clap::Error> {
    command().try_get_matches_from([&["tidegate"], args].concat())
}

fn planned(args: &[&str]) -> Plan {
    plan([&read(&matches(args).expect("valid flags"))]).expect("a plan")
}

fn settings(args: &[&str]) -> Settings {
    planned(args).settings
}

fn refusal(args: &[&str]) -> String {
    match matches(args) {
        Ok(matches) => plan([&read(&matches)]).expect_err("refused").to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_command_line_is_well_formed() {
    command().debug_assert();
}

#[test]
fn without_flags_it_is_the_original_experiment_by_the_best_policy() {
    let Plan { settings, backends } = planned(&[]);
    assert_eq!(settings.policy, Policy::Adaptive);
    assert_eq!(settings.upstream_reuse, UpstreamReuse::Persistent);
    assert_eq!(settings.listen, [Listen::all_ipv4(9090)]);
    let urls: Vec<_> = backends.iter().map(|backend| backend.url.as_str()).collect();
    assert_eq!(urls, ["http://localhost:8081", "http://localhost:8082", "http://localhost:8083"]);
    assert_eq!(settings.log, Some("logs/adaptive_persistent.csv".into()));
}

#[test]
fn by_default_it_has_ended_before_a_container_engine_kills_it() {
    /// As `docker stop` does.
    const KILLED_AFTER: Duration = Duration::from_secs(10);
    let timeouts = settings(&[]).timeouts;
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
        ("adaptive", Policy::Adaptive),
        ("least-conn", Policy::LeastConn),
        ("least_conn", Policy::LeastConn),
    ] {
        let settings = settings(&[name, "--sma-window", "5", "--ewma-alpha", "0.5"]);
        assert_eq!(settings.policy, policy, "{name}");
    }
    assert!(refusal(&["fastest"]).contains("adaptive_ewma"));
}

#[test]
fn the_log_is_named_after_the_policy_and_the_connections() {
    for connections in ["non-persistent", "non_persistent"] {
        let settings = settings(&["adaptive-ewma", "--connections", connections]);
        assert_eq!(settings.log, Some("logs/adaptive_ewma_non_persistent.csv".into()));
    }
    let named = settings(&["adaptive_sma", "--log", "<policy>/x.csv"]);
    assert_eq!(named.log, Some("adaptive_sma/x.csv".into()));
}

#[test]
fn the_log_can_be_named_or_left_out() {
    for (text, path) in [("x/y.csv", Some("x/y.csv")), ("-", Some("/dev/stdout")), ("none", None)] {
        assert_eq!(settings(&["--log", text]).log, path.map(Into::into), "{text}");
    }
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
        ["--max-head-bytes", "255"],
        ["--max-headers", "0"],
        ["--max-attempts", "0"],
        ["--max-connections", "0"],
        ["--retry-budget", "101"],
        ["--min-body-rate", "0"],
        ["--workers", "0"],
        ["--listen", "9090"],
        ["--pin", "x"],
        ["--pin", "100000"],
        ["--cooldown", "6s"],
        ["--client-half-close", "no"],
        ["--check-path", "healthz"],
        ["--check-path", "http://a/healthz"],
        ["--check-path", "/a b"],
        ["--check-path", "/a\r\nHost: b"],
        ["--check-path", "/a#b"],
        ["--check-path", "/ä"],
        ["--check-interval", "0s"],
        ["--check-timeout", "0s"],
        ["--check-rise", "0"],
        ["--check-fall", "256"],
        ["--check-status", "2xx"],
    ] {
        let refusal = refusal(&args);
        assert!(refusal.contains(args[0]), "{args:?}: {refusal}");
    }
}

#[test]
fn a_refusal_says_what_would_be_accepted() {
    for (args, words) in [
        (["--max-head-bytes", "65536"], "give a number from 256 to 65535\n"),
        (["--max-attempts", "0"], "give a number, at least 1\n"),
        (["--workers", "0"], "give a number from 1 to 1024, or `auto`\n"),
        (["--min-body-rate", "x"], "give a number, at least 1, or `off`\n"),
        (["--stream-timeout", "5"], "write a number and ms, s, m or h (500ms), or `off`\n"),
        (["--check-path", "healthz"], "give a path such as /healthz, with % for what a URL can't"),
        (["--check-status", "20"], "give a status from 200 to 599, a range such as 200-399, or"),
        (["--log", ""], "give a file, `-` for standard output, or `none`\n"),
        (["--client-half-close", "no"], "[possible values: cancel, allow]\n"),
    ] {
        let refusal = refusal(&args);
        assert!(refusal.contains(words), "{args:?}: {refusal}");
    }
}

#[test]
fn a_flag_for_one_value_is_given_once_and_one_for_a_list_any_number_of_times() {
    assert!(refusal(&["--pin", "none", "--pin", "auto"]).contains("multiple times"));
    let plan = planned(&["--upstream", "http://a", "--upstream", "unix:/b"]);
    assert_eq!(plan.backends.len(), 2, "in place of the default");
}

#[test]
fn a_list_of_cores_decides_how_many_workers_there_are() {
    let core = cores::allowed().expect("cores")[0];
    let list = format!("{core},{core}");
    let pinned = settings(&["--pin", &list]);
    assert_eq!((pinned.workers, pinned.pin), (Some(2), Pin::Cores(vec![core; 2])));
    let one = settings(&["--pin", &list, "--workers", "1"]);
    assert_eq!((one.workers, one.pin), (Some(1), Pin::Cores(vec![core])));
    assert!(refusal(&["--pin", &list, "--workers", "3"]).contains("name one for each"));
    let auto = settings(&["--pin", "auto", "--workers", "100"]);
    assert!(auto.core(99).is_some(), "cores are shared");
}

#[test]
fn a_port_alone_is_that_port_at_every_ipv4_address() {
    let listen = |args: &[&str]| settings(args).listen;
    assert_eq!(listen(&["--port", "8080"]), listen(&["--listen", "0.0.0.0:8080"]));
    assert_eq!(listen(&["--port=0"]), [Listen::all_ipv4(0)]);
    for args in [&["--port", "65536"][..], &["--port", "1", "--listen", "[::]:1"]] {
        assert!(refusal(args).contains("--port"), "{args:?}");
    }
}

#[test]
fn more_backends_than_can_be_balanced_are_refused() {
    let flags = vec!["--upstream=http://a"; crate::balance::MAX_BACKENDS + 1];
    assert!(refusal(&flags).contains("--upstream"));
    assert_eq!(planned(&flags[1..]).backends.len(), crate::balance::MAX_BACKENDS);
}

#[test]
fn flags_say_what_the_program_does() {
    let mode = |args: &[&str]| mode(&matches(args).expect("valid flags"));
    assert_eq!(mode(&["-v"]), Mode::Serve);
    assert_eq!(mode(&["--check"]), Mode::Check(Form::Text));
    assert_eq!(mode(&["--check", "--json"]), Mode::Check(Form::Json));
    assert_eq!(mode(&["--health"]), Mode::Health);
    assert!(refusal(&["--json"]).contains("--check"));
    assert!(settings(&["-v"]).verbose && settings(&["--verbose"]).verbose);
}

#[test]
fn the_summary_fits_a_screen_and_help_has_every_flag() {
    let summary = command().term_width(100).render_help().to_string();
    assert!(summary.lines().count() <= 40, "{summary}");
    let lines = || summary.lines().filter(|line| line.trim_start().starts_with('-'));
    assert!(lines().all(|line| line.contains("  ") && line.len() <= 100), "{summary}");
    let help = command().render_long_help().to_string();
    for setting in table::all() {
        assert!(help.contains(&setting.usage()), "{}: {help}", setting.name);
        let is_brief = summary.contains(&setting.usage());
        assert_eq!(is_brief, !setting.brief.is_empty(), "{}: {summary}", setting.name);
    }
}
