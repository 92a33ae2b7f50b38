use super::*;

const SMALL: &str = r#"
about = "one backend"

[[backend]]
service = "exp:10ms"
slots = 4

[load]
load = 0.5

[run]
warm-up = "1s"
length = "10s"
"#;

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse("own.toml", text, None).map_err(|error| error.to_string())
}

/// What is said of the small scenario with `old` replaced by `new`.
fn refusal(old: &str, new: &str) -> String {
    assert!(SMALL.contains(old), "{old}");
    parse(&SMALL.replace(old, new)).expect_err(new)
}

#[test]
fn every_scenario_of_the_lab_is_right_and_says_what_it_shows() {
    for (name, _) in BUILTIN {
        let scenario = Scenario::read(name, None).unwrap_or_else(|error| panic!("{error}"));
        assert!(!scenario.about.is_empty(), "{name}");
    }
}

#[test]
fn every_scenario_is_written_as_it_is_read() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulate.md"));
    let page = page.unwrap();
    let example = page.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let own = SMALL.replace("load = 0.5", "rate = 3.5\narrivals = \"even\"");
    let own = own.replace("one backend", "\\\"one\\\" \\\\ backend");
    let texts = BUILTIN.into_iter().map(|(_, text)| text);
    for text in texts.chain([example, &own]) {
        let scenario = parse(text).unwrap();
        let written = scenario.to_string();
        assert_eq!(parse(&written), Ok(scenario), "{written}");
    }
}

#[test]
fn every_file_in_the_folder_is_one_of_the_scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let stem = |entry: fs::DirEntry| entry.path().file_stem()?.to_str().map(str::to_owned);
    let files = fs::read_dir(folder).unwrap().filter_map(|entry| stem(entry.unwrap()));
    let mut files: Vec<String> = files.collect();
    let mut names = BUILTIN.map(|(name, _)| name);
    files.sort();
    names.sort_unstable();
    assert_eq!(files, names);
}

#[test]
fn defaults_are_those_of_the_proxy() {
    let scenario = parse(SMALL).unwrap();
    assert_eq!(scenario.proxies, Proxies::default());
    assert_eq!(scenario.run.seeds, 3);
    assert_eq!(scenario.classes.len(), 1);
    assert_eq!(scenario.each_backend().count(), 1);
}

#[test]
fn a_load_is_a_part_of_what_the_backends_can_do() {
    let rate = |name, load| match Scenario::read(name, load).unwrap().load {
        Load::Open { rate, .. } => rate.round().to_string(),
        Load::Closed { .. } => panic!("{name} is open"),
    };
    assert_eq!(rate("uneven", None), "490");
    assert_eq!(rate("uneven", Some(0.9)), "630");
    assert_eq!(rate("one-big", None), "3120");
    assert_eq!(rate("mixed", None), "2069", "the cost of the mix counts");
    assert_eq!(rate("long-polls", None), "2111", "long polls cost nothing");
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_with_what_is_allowed() {
    for (old, new, said) in [
        ("slots = 4", "slot = 4", "own.toml, line 6: slot = 4: unknown field `slot`"),
        ("slots = 4", "slot = 4", "did you mean slots?"),
        ("slots = 4", "slots = \"four\"", "own.toml, line 6: slots = \"four\": invalid type"),
        ("slots = 4", "slots = 0", "line 4: [[backend]]: slots and cores are above 0"),
        ("slots = 4", "slots = 4\ncores = 2", "line 4: [[backend]]: give slots or cores"),
        ("slots = 4", "errors = 2", "line 4: [[backend]]: errors is a part, 0 to 1"),
        ("slots = 4", "count = 0", "line 4: [[backend]]: count is above 0"),
        ("slots = 4", "count = 5000", "5000 backends; give 1 to 1024"),
        ("slots = 4", "script = [\"1s..2s slw 3\"]", "line 6: script = [\"1s..2s slw 3\"]: `1s"),
        ("exp:10ms", "exp:10", "line 5: service = \"exp:10\": `10` is not a duration"),
        ("exp:10ms", "gauss:1ms", "lognormal:10ms,sigma=1.4"),
        ("service = \"exp:10ms\"", "", "line 4: [[backend]]: missing field `service`"),
        ("load = 0.5", "", "line 8: [load]: give one of load, rate and clients"),
        ("load = 0.5", "load = 0.5\nrate = 3.0", "line 8: [load]: give one of load, rate"),
        ("load = 0.5", "load = -0.5", "requests per second; give a number above 0"),
        ("load = 0.5", "clients = 0", "line 8: [load]: clients is above 0"),
        ("load = 0.5", "clients = 5\narrivals = \"even\"", "clients wait for answers"),
        ("load = 0.5", "rate = 5\narrivals = \"evn\"", "did you mean even?"),
        ("load = 0.5", "rate = 5\nburst = { by = 2.0, time = \"1s\" }", "less than 1"),
        ("\"10s\"", "\"0s\"", "line 11: [run]: length and seeds are above 0"),
        ("\"10s\"", "10", "line 13: length = 10: invalid type"),
        ("about", "abuot", "did you mean about?"),
        ("[run]", "[[focus]]\nname = \"x\"\n[run]", "line 11: [[focus]]: give during or class"),
        (
            "[run]",
            "[[focus]]\nname = \"x\"\nclass = \"y\"\n[run]",
            "line 11: [[focus]]: there is no such class",
        ),
        ("[run]", "[proxies]\ncount = 0\n[run]", "line 11: [proxies]: count, workers"),
        ("[run]", "[arena]\nlength = \"0s\"\n[run]", "line 11: [arena]: length is above 0"),
        ("[run]", "[arena]\ntime = 2.0\n[run]", "line 11: [arena]: time is above 0, up to 1"),
        ("[run]", "[arena]\nwarmup = \"1s\"\n[run]", "did you mean warm-up?"),
        ("[run]", "[arena]\nlength = 7\n[run]", "line 12: length = 7: invalid type"),
        ("[run]", "[[class]]\nname = \"x\"\nshare = 0.0\n[run]", "line 11: [[class]]: share and"),
    ] {
        let refusal = refusal(old, new);
        assert!(refusal.contains(said), "{new}: {refusal}");
    }
    assert!(refusal("slots = 4", "").contains("an unlimited backend has no capacity"));
}

#[test]
fn one_that_is_not_there_is_answered_with_those_that_are() {
    let unknown = Scenario::read("unevn", None).unwrap_err().to_string();
    assert!(unknown.contains("did you mean uneven"), "{unknown}");
    let missing = Scenario::read("nowhere/own.toml", None).unwrap_err().to_string();
    assert!(missing.starts_with("nowhere/own.toml: No such file"), "{missing}");
}

#[test]
fn the_example_of_the_documentation_is_a_scenario_with_every_key() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulate.md"));
    let page = page.unwrap();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let scenario = parse(example).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((scenario.backends.len(), scenario.classes.len()), (2, 2));
    // Serde names the keys of a table when it refuses another one.
    for table in
        ["[[backend]]", "[[class]]", "[load]", "[proxies]", "[[focus]]", "[run]", "[arena]"]
    {
        let own = format!("{table}\nnone = 1\n");
        let refusal =
            parse(&example.replacen(&format!("{table} "), table, 1).replacen(table, &own, 1));
        let refusal = refusal.unwrap_err();
        let keys = refusal.split('`').skip(3).step_by(2);
        for key in keys.filter(|key| *key != "none") {
            let is_there = example.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} =")) || line.starts_with(&format!("[[{key}]]"))
            });
            assert!(is_there, "{table} {key}");
        }
    }
}
