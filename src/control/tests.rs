//! The table, and what comes from it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::time::Duration;

use serde_json::json;

use super::environment::EnvironmentError;
use super::plan::{changed, needs_restart, plan, stated};
use super::setting::{Change, Given, Setting, Spelling, as_text};
use super::{command_line, describe, environment, table};
use crate::proxy::settings::{HalfClose, Listen, Pin, Plan};
use crate::reactor::cores;

fn variables(pairs: &[(&str, &str)]) -> Result<Vec<Given>, EnvironmentError> {
    environment::read(pairs.iter().map(|(name, text)| ((*name).into(), OsString::from(text))))
}

fn planned(flags: &[&str], pairs: &[(&str, &str)]) -> Result<Plan, String> {
    let matches = command_line::command().get_matches_from([&["tidegate"], flags].concat());
    let variables = variables(pairs).map_err(|error| error.to_string())?;
    plan([&command_line::read(&matches), &variables]).map_err(|error| error.to_string())
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    planned(&[], pairs).expect_err("refused")
}

#[test]
fn names_are_unique_and_each_setting_is_explained() {
    let mut names = HashSet::new();
    for Setting { name, help, brief, value, .. } in table::all() {
        assert!(names.insert(name), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        assert!(!help.is_empty() && !help.ends_with('.') && !help.contains("  "), "{name}");
        assert!(brief.len() <= 60 && !brief.ends_with('.'), "{name}");
        assert!(!value.contains(char::is_lowercase) || value.contains('|'), "{name}");
    }
    let of = |setting: &'static Setting| match setting.spelling {
        Spelling::InPlaceOf(other) => Some(other),
        _ => None,
    };
    assert!(table::all().filter_map(of).all(|other| names.contains(&other)));
}

#[test]
fn what_a_setting_shows_is_what_it_reads() {
    for (name, texts) in [
        ("upstream", &["http://a", "http://[::1]:8081", "unix:/run/a.sock"][..]),
        ("upstream", &["http://a weight=3 max-in-flight=8 backup", "http://b backup"]),
        ("upstream", &["http://a:8080 max-in-flight=8 resolve=all"]),
        ("resolve-every", &["500ms"]),
        ("resolve-hold", &["0s"]),
        ("resolver", &["10.0.0.53", "10.0.0.53:5353", "fd00::53", "[fd00::53]:5353"]),
        ("listen", &["127.0.0.1:80", "[::]:9090", "unix:/a.sock mode=0660"]),
        ("connections", &["non-persistent"]),
        ("client-half-close", &["allow"]),
        ("trusted-proxy", &["10.0.0.0/8", "fd00::/8", "unix:"]),
        ("log", &["none"]),
        ("decisions", &["x.jsonl"]),
        ("decision-sample", &["1"]),
        ("policy", &["adaptive_ewma"]),
        ("sma-window", &["7"]),
        ("ewma-alpha", &["0.5"]),
        ("resample-after", &["90s"]),
        ("resample-after", &["auto"]),
        ("resample-after", &["off"]),
        ("eject-after", &["5"]),
        ("eject-after", &["off"]),
        ("max-ejected", &["0"]),
        ("slow-start", &["30s"]),
        ("check-path", &["/healthz?full=1"]),
        ("check-path", &["off"]),
        ("check-interval", &["500ms"]),
        ("check-rise", &["1"]),
        ("check-status", &["200,204,300-399"]),
        ("max-attempts", &["5"]),
        ("retry-budget", &["0"]),
        ("workers", &["3"]),
        ("pin", &["0,2"]),
        ("response-timeout", &["off"]),
        ("shutdown-delay", &["0s"]),
        ("max-body-bytes", &["1000000"]),
        ("min-body-rate", &["off"]),
        ("admin", &["unix:/run/a.sock", "127.0.0.1:9091", "0.0.0.0:1 exposed host=a"]),
        ("sandbox", &["require"]),
        ("verbose", &["true"]),
    ] {
        let setting = table::all().find(|setting| setting.name == name).expect(name);
        let mut plan = Plan::default();
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        setting.part.read(&texts, &mut plan).expect(name);
        assert_eq!(as_text(&setting.part.show(&plan)), texts.join(", "), "{name}");
    }
    for setting in table::all() {
        for text in setting.default().split(", ").filter(|text| !text.is_empty()) {
            setting.check(text).expect(setting.name);
        }
    }
}

#[test]
fn each_setting_changes_its_own_part_and_no_other() {
    let shown = |plan: &Plan| -> Vec<_> {
        table::all().map(|setting| (setting.name, setting.part.show(plan))).collect()
    };
    for setting in table::all() {
        let texts = [
            "17",
            "1717",
            "3",
            "0.7",
            "17s",
            "1,0",
            "allow",
            "non-persistent",
            "adaptive_sma",
            "true",
            "http://z",
            "10.0.0.0/8",
            "10.0.0.1:1",
            "127.0.0.1:1",
            "/z",
            "404",
            "require",
            "z.csv",
        ];
        let mut plan = Plan::default();
        let text = texts.into_iter().find(|text| setting.check(text).is_ok()).expect(setting.name);
        setting.part.read(&[text.to_owned()], &mut plan).expect(text);
        let (before, after) = (shown(&Plan::default()), shown(&plan));
        let changed: Vec<_> =
            before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
        let own = match setting.spelling {
            Spelling::InPlaceOf(other) => other,
            _ => setting.name,
        };
        assert_eq!(changed, [own], "{text}");
    }
}

#[test]
fn a_variable_gives_what_its_flag_would() {
    let pairs = [
        ("TIDEGATE_POLICY", "adaptive-ewma"),
        ("TIDEGATE_EWMA_ALPHA", "0.5"),
        ("TIDEGATE_UPSTREAM", "http://a:1, unix:/run/b.sock"),
        ("TIDEGATE_TRUSTED_PROXY", "10.0.0.0/8,::1"),
        ("TIDEGATE_RESPONSE_TIMEOUT", "off"),
        ("TIDEGATE_VERBOSE", "true"),
        ("TIDEGATE_LOG", "none"),
        ("TIDEGATE_MAX_HEADERS", ""),
    ];
    let flags = "adaptive-ewma --ewma-alpha 0.5 --upstream http://a:1 --upstream unix:/run/b.sock \
                 --trusted-proxy 10.0.0.0/8 --trusted-proxy ::1 --response-timeout off --verbose \
                 --log none";
    let flags: Vec<_> = flags.split_whitespace().collect();
    let by_flags = planned(&flags, &[]).expect("a plan");
    let by_variables = planned(&[], &pairs).expect("a plan");
    assert_eq!(describe::text(&by_variables), describe::text(&by_flags));
    assert_eq!(by_variables.backends, by_flags.backends);
}

#[test]
fn a_flag_wins_over_its_variable() {
    let pairs = [
        ("TIDEGATE_CLIENT_HALF_CLOSE", "allow"),
        ("TIDEGATE_UPSTREAM", "http://a,http://b"),
        ("TIDEGATE_LISTEN", "127.0.0.1:1"),
        ("TIDEGATE_BODY_TIMEOUT", "wrong"),
    ];
    let flags =
        ["--upstream", "http://c", "--port", "2", "--body-timeout", "5s", "--max-attempts", "7"];
    let plan = planned(&flags, &pairs).expect("a plan");
    assert_eq!(plan.settings.half_close, HalfClose::Allow);
    assert_eq!(plan.backends.len(), 1);
    assert_eq!(plan.settings.listen, [Listen::all_ipv4(2)]);
}

#[test]
fn a_wrong_value_is_named_with_its_variable() {
    for (name, text, reason) in [
        ("TIDEGATE_RESPONSE_TIMEOUT", "5", "invalid value '5': `5` is not a duration"),
        ("TIDEGATE_UPSTREAM", "http://a,https://b", "invalid value 'https://b': TLS"),
        ("TIDEGATE_CONNECTIONS", "persistant", "persistent or non-persistent; did you mean persis"),
        ("TIDEGATE_POLICY", "ewma", "did you mean adaptive_ewma?"),
        ("TIDEGATE_VERBOSE", "yes", "give true or false"),
        ("TIDEGATE_MAX_HEADERS", "0", "give a number from 1 to 4096"),
    ] {
        let refusal = refusal(&[(name, text)]);
        assert!(refusal.starts_with(&format!("{name}: ")), "{refusal}");
        assert!(refusal.contains(reason), "{refusal}");
    }
    let bytes = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
    let refused = environment::read([("TIDEGATE_LOG".into(), bytes)]);
    assert!(matches!(refused, Err(EnvironmentError::NoText(name)) if name == "TIDEGATE_LOG"));
}

#[test]
fn settings_that_do_not_fit_each_other_are_named() {
    let many = vec!["--upstream=http://a"; 1025];
    let core = format!("--pin={}", cores::allowed().expect("cores")[0]);
    for (flags, expected) in [
        (&many[..], "--upstream <URL|unix:PATH>: 1025 backends are too many, 1024 is the most"),
        (
            &["--cooldown=2s", "--cooldown-max=1s"],
            "--cooldown <DURATION>: cooldown must not be longer than cooldown-max (1s)",
        ),
        (
            &["--listen=[::]:80", "--listen=127.0.0.1:80", "--listen=[::]:80"],
            "--listen <ADDR:PORT|unix:PATH>: [::]:80 is given",
        ),
        (
            &["--listen=unix:/a", "--listen=unix:/a mode=0600"],
            "--listen <ADDR:PORT|unix:PATH>: unix:/a is given twice",
        ),
        (
            &["--workers=2", &core],
            "--pin <auto|none|LIST>: pin names too few cores for 2 workers (1)",
        ),
        (&["--pin=9999"], "--pin <auto|none|LIST>: there is no core 9999 to run on"),
    ] {
        let refused = planned(flags, &[]).expect_err("refused");
        assert!(refused.starts_with(expected), "{refused}");
    }
    let two_of_any = ["--listen=127.0.0.1:0", "--listen=127.0.0.1:0"];
    planned(&two_of_any, &[]).expect("the system chooses two ports");
}

#[test]
fn a_variable_that_is_almost_a_settings_is_refused_and_any_other_left_alone() {
    for (name, meant) in [
        ("TIDEGATE_RESPONS_TIMEOUT", "did you mean TIDEGATE_RESPONSE_TIMEOUT?"),
        ("TIDEGATE_ALPHA", "did you mean TIDEGATE_EWMA_ALPHA?"),
        ("TIDEGATE_upstream", "did you mean TIDEGATE_UPSTREAM?"),
    ] {
        assert!(refusal(&[(name, "1")]).ends_with(meant), "{}", refusal(&[(name, "1")]));
    }
    // What Kubernetes sets because a service is named tidegate or tidegate-upstream, and what is
    // meant for other programs.
    let others = [
        ("TIDEGATE_PORT", "tcp://10.0.0.1:9090"),
        ("TIDEGATE_PORT_9090_TCP", "tcp://10.0.0.1:9090"),
        ("TIDEGATE_PORT_9090_TCP_ADDR", "10.0.0.1"),
        ("TIDEGATE_SERVICE_HOST", "10.0.0.1"),
        ("TIDEGATE_SERVICE_PORT", "9090"),
        ("TIDEGATE_UPSTREAM_PORT", "tcp://10.0.0.2:80"),
        ("TIDEGATE_UPSTREAM_SERVICE_PORT", "80"),
        ("TIDEGATE_SKIP_BROWSER", "1"),
        ("RESPONSE_TIMEOUT", "x"),
    ];
    assert!(variables(&others).expect("left alone").is_empty());
}

#[test]
fn a_plan_is_shown_with_units_and_for_programs_without() {
    let flags = ["adaptive_sma", "--pin", "none", "--workers", "2", "--min-body-rate", "off"];
    let plan = planned(&flags, &[]).expect("a plan");
    let text = describe::text(&plan);
    for line in [
        "policy                 adaptive_sma\n",
        "trusted-proxy          none\n",
        "workers                2\n",
        "response-timeout       1m\n",
        "min-body-rate          off\n",
        "max-connections        10240 per worker\n",
        "log                    logs/adaptive_sma_persistent.csv\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let json = describe::json(&plan);
    for (name, value) in [
        ("policy", json!("adaptive_sma")),
        ("trusted-proxy", json!([])),
        ("workers", json!(2)),
        ("response-timeout", json!("1m")),
        ("max-connections", json!(10_240)),
        ("ewma-alpha", json!(0.2)),
        ("verbose", json!(false)),
    ] {
        assert_eq!(json.get(name), Some(&value), "{name}");
    }
    assert!(!json.contains_key("port"), "listen shows it");
}

#[test]
fn when_a_backend_is_measured_again_depends_on_the_policy_unless_it_is_said() {
    let resample_after = |flags: &[&str]| {
        let plan = planned(flags, &[]).expect("a plan");
        (describe::json(&plan)["resample-after"].clone(), plan.settings.balancing().resample_after)
    };
    let minute = (json!("1m"), Some(Duration::from_secs(60)));
    assert_eq!(resample_after(&[]), minute);
    assert_eq!(resample_after(&["adaptive", "--resample-after", "auto"]), minute);
    assert_eq!(resample_after(&["adaptive", "--resample-after", "off"]), (json!("off"), None));
    for policy in ["round-robin", "adaptive_sma", "adaptive_ewma", "least-conn"] {
        assert_eq!(resample_after(&[policy]), (json!("off"), None), "{policy}");
    }
    let five = (json!("5s"), Some(Duration::from_secs(5)));
    assert_eq!(resample_after(&["adaptive_sma", "--resample-after", "5s"]), five);
    let setting = table::all().find(|setting| setting.name == "resample-after").expect("there");
    let refusal = setting.check("x").expect_err("no duration");
    assert!(refusal.ends_with(", or `auto`, or `off`"), "{refusal}");
}

#[test]
fn the_documents_have_every_flag() {
    let table = describe::markdown();
    let named = table.lines().filter(|line| line.starts_with("| `-")).count();
    // Without the policy, and with what is no setting.
    assert_eq!(named, table::all().count() - 1 + command_line::MODES.len(), "{table}");
    for row in [
        "| `--response-timeout <DURATION\\|off>` | `1m` | For a backend",
        "| `--upstream <URL\\|unix:PATH>` | `http://localhost:8081` `http://",
        "| `--max-headers <N>` | `128` (1 to 4096) | Header fields of a request or a response |",
        "| `-v, --verbose` | | Print a line per decision |",
        "| `--check` | | Check",
    ] {
        assert!(table.contains(row), "{row}\n{table}");
    }
}

#[test]
fn a_change_that_takes_a_restart_is_known() {
    let old = planned(&["--workers", "1", "--pin", "none"], &[]).expect("a plan");
    let flags = ["--workers", "2", "--port", "1", "--body-timeout", "1s"];
    let new = planned(&flags, &[]).expect("a plan");
    assert_eq!(changed(&old, &new, Change::Restart), ["workers"]);
    assert_eq!(changed(&old, &new, Change::Running), ["listen", "body-timeout"]);
    assert!(changed(&old, &old, Change::Restart).is_empty());
    let of = |change| table::all().filter(move |it| it.change == change);
    assert!(of(Change::Running).count() > 10);
    let restart: Vec<_> = of(Change::Restart).map(|setting| setting.name).collect();
    assert_eq!(restart, ["workers", "pin", "admin", "sandbox", "verbose"]);
}

#[test]
fn what_is_given_is_compared_and_not_what_followed_from_it_on_the_machine_of_the_start() {
    let matches = |flags: &[&str]| {
        let matches = command_line::command().get_matches_from([&["tidegate"], flags].concat());
        command_line::read(&matches)
    };
    let flags = matches(&["--workers", "auto", "--pin", "auto"]);
    let start = stated([&flags]).expect("settings");
    let mut plan = start.plan().expect("a plan");
    // The process had other cores then.
    (plan.settings.workers, plan.settings.pin) = (Some(77), Pin::Cores(vec![1000; 77]));
    let later = matches(&["--workers", "auto", "--pin", "auto", "--body-timeout", "7s"]);
    let next = stated([&later]).expect("settings").plan_after(&start.plan, &plan).expect("a plan");
    assert_eq!(next.settings.workers(), 77);
    assert_eq!(next.settings.pin, plan.settings.pin);
    assert!(needs_restart(&plan, &next).is_empty());
    let other = matches(&["--workers", "77", "--pin", "auto"]);
    let refused = stated([&other]).expect("settings").plan_after(&start.plan, &plan);
    let refused = refused.map(drop).expect_err("another number").to_string();
    assert_eq!(
        refused,
        "--workers <N|auto>: workers can't change while the proxy runs; restart it"
    );
}

#[test]
fn a_log_can_become_another_file_but_not_begin_or_end_without_a_restart() {
    let log = |path| planned(&["--log", path], &[]).expect("a plan");
    for (now, new, needs) in [
        ("a.csv", "a.csv", false),
        ("a.csv", "b.csv", false),
        ("a.csv", "none", true),
        ("none", "a.csv", true),
        ("a.csv", "-", true),
        ("-", "a.csv", true),
        ("-", "-", false),
    ] {
        let expected: &[&str] = if needs { &["log"] } else { &[] };
        assert_eq!(needs_restart(&log(now), &log(new)), expected, "{now} {new}");
    }
}
