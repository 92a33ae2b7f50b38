//! Files as written, and the plans they make or the refusals they meet.

use rustix::fs::{CWD, Mode};

use super::*;
use crate::control::plan::{plan, stated};
use crate::control::{command_line, describe};
use crate::proxy::settings::Plan;

fn planned(text: &str) -> Plan {
    plan([&parse("a.toml", text).unwrap_or_else(|error| panic!("{error}"))]).expect("a plan")
}

fn flags(flags: &[&str]) -> Vec<Given> {
    let matches = command_line::command().get_matches_from([&["tidegate"], flags].concat());
    command_line::read(&matches)
}

fn refusal(text: &str) -> String {
    parse("a.toml", text).map(drop).expect_err(text).to_string()
}

#[test]
fn a_file_says_what_flags_say() {
    let file = r#"
        listen = ["127.0.0.1:80", "unix:/a.sock mode=0660"]
        policy = "adaptive-ewma"
        ewma-alpha = 0.5
        response-timeout = "5s"
        stream-timeout = "off"
        max-headers = 1_000
        max-head-bytes = 0x1000
        trusted-proxy = "10.0.0.0/8"
        verbose = true
        [[backend]]
        url = "http://a"
        weight = 3
        max-in-flight = 8
        [[backend]]
        url = "unix:/run/b.sock"
        backup = true
        weight = "2"
        [[backend]]
        url = "http://c"
        backup = false
    "#;
    let by_flags = flags(&[
        "adaptive-ewma",
        "--listen=127.0.0.1:80",
        "--listen=unix:/a.sock mode=0660",
        "--ewma-alpha=0.5",
        "--response-timeout=5s",
        "--stream-timeout=off",
        "--max-headers=1000",
        "--max-head-bytes=4096",
        "--trusted-proxy=10.0.0.0/8",
        "--verbose",
        "--upstream=http://a weight=3 max-in-flight=8",
        "--upstream=unix:/run/b.sock weight=2 backup",
        "--upstream=http://c",
    ]);
    let (by_file, by_flags) = (planned(file), plan([&by_flags]).expect("a plan"));
    assert_eq!(describe::text(&by_file), describe::text(&by_flags));
    assert_eq!(by_file.backends, by_flags.backends);
}

#[test]
fn a_flag_wins_over_the_file() {
    let file = parse("a.toml", "response-timeout = '1s'\nbody-timeout = '2s'").expect("a file");
    let plan = plan([&flags(&["--response-timeout=3s"]), &file]).expect("a plan");
    let text = describe::text(&plan);
    assert!(text.contains("response-timeout       3s\n"), "{text}");
    assert!(text.contains("body-timeout           2s\n"), "{text}");
}

#[test]
fn an_empty_file_gives_nothing_and_an_empty_list_no_backend() {
    assert_eq!(describe::text(&planned("# nothing\n")), describe::text(&planned("")));
    assert_eq!(planned("").backends, Plan::default().backends);
    assert!(planned("backend = []").backends.is_empty());
}

#[test]
fn a_plan_that_is_printed_as_a_file_is_the_same_when_it_is_read() {
    let every_format = flags(&[
        "least-conn",
        "--connections=non-persistent",
        "--log=logs/\"\\ ä\x7f\t.csv",
        "--resample-after=off",
        "--eject-after=off",
        "--response-timeout=off",
        "--min-body-rate=off",
        "--trusted-proxy=unix:",
        "--ewma-alpha=0.05",
        "--workers=3",
        "--pin=none",
        "--verbose",
        "--upstream=http://a weight=3 max-in-flight=8 backup",
        "--upstream=unix:/run/a.sock",
    ]);
    for given in [Vec::new(), every_format, parse("a.toml", "backend = []").expect("a file")] {
        let plan = plan([&given]).expect("a plan");
        let file = print(&plan);
        let again = planned(&file);
        assert_eq!(describe::json(&again), describe::json(&plan), "{file}");
        assert_eq!(again.backends, plan.backends, "{file}");
        assert!(file.lines().all(|line| line.len() <= 120), "{file}");
    }
}

#[test]
fn what_follows_from_others_or_from_the_machine_is_not_printed_as_given() {
    let given = flags(&["least-conn", "--pin=auto", "--upstream=http://a"]);
    let file = print(&stated([&given]).expect("a plan").plan);
    let is_set = |line: &&str| line.contains(" = ") && !line.starts_with('#');
    let set: Vec<&str> = file.lines().filter(is_set).collect();
    assert_eq!(set, ["policy = \"least-conn\"", "pin = \"auto\"", "url = \"http://a\""], "{file}");
}

#[test]
fn each_setting_can_be_written_into_a_file_with_its_default() {
    let file = print(&Plan::default());
    for setting in table::all().filter(|setting| !setting.part.show(&Plan::default()).is_null()) {
        let line = match setting.name {
            UPSTREAM => "[[backend]]\nurl = \"http://localhost:8081\"\n".to_owned(),
            name => format!("\n# {name} = "),
        };
        assert!(file.contains(&line), "{}", setting.name);
    }
    // What is a comment because it is the default is right, too.
    let lines = file.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let is_value = |line: &&str| {
        let name = line.split_once(" = ").map(|(name, _)| name);
        name.is_some_and(|name| table::all().any(|setting| setting.name == name))
    };
    let all: Vec<&str> = lines.filter(is_value).collect();
    assert_eq!(all.len(), table::all().count() - 2, "{all:?}");
    assert_eq!(describe::json(&planned(&all.join("\n"))), describe::json(&planned("")));
}

#[test]
fn what_is_wrong_is_shown_with_its_place_and_what_is_allowed() {
    for (text, at, reason) in [
        ("polcy = 1", "1:1", "there is no setting `polcy`; did you mean policy?"),
        ("policy = 'fastest'", "1:10", "policy: "),
        ("\nmax-attempts = 0", "2:16", "max-attempts: give a number, at least 1"),
        ("max-attempts = -1", "1:16", "max-attempts: give a number, at least 1"),
        ("max-attempts = [1]", "1:16", "max-attempts: give a number, at least 1"),
        ("max-attempts = 1979-05-27", "1:16", "max-attempts: give a number, at least 1"),
        ("verbose = 1", "1:11", "verbose: give true or false"),
        ("body-timeout = 5", "1:16", "body-timeout: "),
        ("listen = ['a', '127.0.0.1:1']", "1:11", "listen: "),
        ("listen = [[1]]", "1:11", "listen: give an address and a port"),
        ("listen = {}", "1:10", "listen: give an address and a port"),
        ("port = 1", "1:1", "--port <N> is only a flag; here it is `listen`"),
        ("upstream = 'http://a'", "1:1", "each backend is a table here: [[backend]]"),
        ("backend = 'http://a'", "1:1", "each backend begins with [[backend]]"),
        ("[backend]\nurl = 'http://a'", "1:2", "each backend begins with [[backend]]"),
        ("backend = ['http://a']", "1:12", "give a table with a `url`"),
        ("[[backend]]\nweight = 1", "1:1", "the backend has no `url`"),
        ("[[backend]]\nurl = 'http://a weight=1'", "2:7", "url: give a text without spaces"),
        ("[[backend]]\nurl = 1", "2:7", "url: give a text without spaces"),
        ("[[backend]]\nurl = 'https://a'", "2:7", "url: TLS towards backends"),
        ("[[backend]]\nurl = 'http://a'\nweight = 0", "3:1", "weight: give a number from 1"),
        ("[[backend]]\nurl = 'http://a'\nweight = [1]", "3:1", "weight: give a number from 1"),
        ("[[backend]]\nurl = 'http://a'\nweight = '1 backup'", "3:1", "weight: give a number"),
        ("[[backend]]\nurl = 'http://a'\nwieght = 1", "3:1", "did you mean weight?"),
        (
            "[[backend]]\nurl = 'http://a'\npolicy = 'adaptive'",
            "3:1",
            "policy: settings are above the first [[backend]]",
        ),
        ("[[backend]]\nurl = 'http://a'\nbackup = 1", "3:1", "backup: give true or false"),
        ("[[backend]]\nurl = 'http://a'\nbackup = 'yes'", "3:1", "backup: give true or false"),
        ("[[backend]]\nurl = 'http://a'\nbackup = [true]", "3:1", "backup: give true or false"),
        ("[[backend]]\nurl = 'http://a'\nweight = true", "3:1", "weight: give a number from 1"),
        ("[[backend]]\nurl = 'http://a'\nweight = false", "3:1", "weight: give a number from 1"),
        ("log = false", "1:7", "log: give a file, `-` for standard output, or `none`"),
        ("[[backend]]\nurl = 'http://a'\nbakcup = false", "3:1", "did you mean backup?"),
        ("policy = ", "1:10", ""),
        ("policy = 'adaptive'\npolicy = 'adaptive'", "2:1", "duplicate key"),
        ("'x", "1:3", ""),
    ] {
        let refusal = refusal(text);
        let place = format!("a.toml:{at}: ");
        assert!(refusal.starts_with(&place) && refusal.contains(reason), "{text}\n{refusal}");
    }
}

/// A value of each type, and one that no setting takes of those that are texts.
const OF_ALL_TYPES: [&str; 10] = [
    "'such a text'",
    "''",
    "-7",
    "1.5",
    "true",
    "1979-05-27",
    "[[1]]",
    "[{ a = 1 }]",
    "{ a = 1 }",
    "[\n1.5,\n]",
];

#[test]
fn whatever_type_a_value_has_each_setting_takes_it_or_says_where_it_is_and_what_is_allowed() {
    let written = |setting: &&Setting| {
        !matches!(setting.spelling, Spelling::InPlaceOf(_)) && setting.name != UPSTREAM
    };
    for setting in table::all().filter(written) {
        let name = setting.name;
        let mut refused = 0;
        for value in OF_ALL_TYPES {
            let text = format!("# first\n{name} = {value}\n");
            let Err(refusal) = parse("a.toml", &text) else { continue };
            refused += 1;
            let refusal = refusal.to_string();
            let lines: Vec<&str> = refusal.lines().collect();
            let place = lines[0].strip_prefix("a.toml:").expect("the file");
            let (line, rest) = place.split_once(':').expect("a line");
            let (column, reason) = rest.split_once(": ").expect("a column");
            // An element of a list is shown by itself.
            let elements = if setting.part.is_list() { 2..=3 } else { 2..=2 };
            assert!(elements.contains(&line.parse::<usize>().expect("a line")), "{refusal}");
            assert!(column.parse::<usize>().expect("a column") > 0, "{refusal}");
            let reason = reason.strip_prefix(name).and_then(|it| it.strip_prefix(": "));
            assert!(reason.is_some_and(|reason| reason.len() > 10), "{refusal}");
            let shown = lines[2].split_once(" | ").expect("its text").1;
            assert!(text.contains(shown) && !shown.is_empty(), "{refusal}");
            assert!(lines[3].contains('^'), "{refusal}");
            assert_eq!(lines.len(), 4, "{refusal}");
        }
        assert!(refused > 5, "{name}: {refused}");
    }
}

#[test]
fn what_does_not_fit_another_setting_is_shown_where_it_is_written() {
    let many = "[[backend]]\nurl = 'http://a'\n".repeat(1025);
    let own = crate::reactor::cores::allowed().expect("cores")[0];
    for (text, place, reason) in [
        (
            "verbose = true\ncooldown = '1m'",
            "2:12",
            "cooldown must not be longer than cooldown-max (5s)",
        ),
        ("cooldown-max = '1ms'", "1:16", "cooldown must not be longer than cooldown-max (1ms)"),
        (
            "listen = ['127.0.0.1:1', 'unix:/a', 'unix:/a mode=0600', '127.0.0.1:2']",
            "1:37",
            "unix:/a is given twice",
        ),
        (&many, "2050:7", "1025 backends are too many, 1024 is the most"),
        ("pin = '9999'", "1:7", "there is no core 9999"),
        (&format!("workers = 2\npin = '{own}'"), "2:7", "pin names too few cores for 2 workers"),
    ] {
        let given = parse("a.toml", text).unwrap_or_else(|error| panic!("{error}"));
        let refusal = plan([&given]).expect_err(text).to_string();
        let first = format!("a.toml:{place}: {reason}");
        assert!(refusal.starts_with(&first) && refusal.ends_with('^'), "{refusal}");
    }
}

#[test]
fn all_that_is_wrong_is_shown_in_the_order_of_the_file() {
    for (text, places) in [
        ("verbose = 1\nbody-timeout = 'x'\npolcy = 1\n", ["1:11", "2:16", "3:1"]),
        ("[[backend]]\nurl = 'http://a'\nb = 1\na = 1\nc = 1\n", ["3:1", "4:1", "5:1"]),
        ("a: 1\nb: 2\n", ["1:2", "1:4", "2:4"]),
    ] {
        let refusal = refusal(text);
        let shown = refusal.lines().filter_map(|line| line.strip_prefix("a.toml:"));
        let shown: Vec<_> = shown.filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(shown[..3], places, "{refusal}");
    }
}

#[test]
fn of_a_file_that_is_something_else_only_the_beginning_is_shown() {
    let refusal = refusal(&"2026-11-28,GET,/a,200\n".repeat(10_000));
    assert!(refusal.starts_with("a.toml:1:"), "{refusal}");
    assert_eq!(refusal.matches("a.toml:").count(), MOST_SHOWN, "{refusal}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none.toml");
    let refusal = read(&path).map(drop).expect_err("there is none").to_string();
    assert!(refusal.starts_with("can't read the configuration ") && refusal.contains("none.toml"));
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
    for other in [folder.path(), &pipe, Path::new("/dev/zero")] {
        let refusal = read(other).map(drop).expect_err("no file").to_string();
        assert!(refusal.ends_with(": it is not a regular file"), "{refusal}");
    }
    fs::write(&path, [0xff]).expect("written");
    assert!(read(&path).map(drop).expect_err("no text").to_string().contains("UTF-8"));
}
